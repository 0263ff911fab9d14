/* SPDX-License-Identifier: MIT */
/*
 * The names that uapi/asm/host.h takes from Linux, for compilers without Linux
 * headers.
 */
#ifndef AUKLET_LINUX_TYPES_H
#define AUKLET_LINUX_TYPES_H

#if __has_include_next(<linux/types.h>)
#include_next <linux/types.h>
#else
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
#endif

#endif
