/* SPDX-License-Identifier: MIT */
/*
 * What picolibc's functions for long double of 128 bits need besides <math.h>.
 * They are OpenBSD's stock functions (by Stephen Moshier and Sun). A file in
 * this folder includes each (docs/decisions/0053). musl has its own for other
 * types only.
 */
#ifndef QUAD_H
#define QUAD_H
#define _GNU_SOURCE
#include "libm.h"

#define _IEEE128_FLOAT
#ifndef __FLOAT_WORD_ORDER__
#define __FLOAT_WORD_ORDER__ __BYTE_ORDER__
#endif
#define _IEEE_754_2008_SNAN 1
#define __always_inline inline __attribute__((__always_inline__))
#define u_int32_t uint32_t
#define u_int64_t uint64_t
#include "math_private_openbsd.h"

/*
 * wasm has no floating-point exception flags. musl's functions do not set
 * errno.
 */
#define __math_oflowl(negative) ((negative) ? -INFINITY : INFINITY)
#define __math_uflowl(negative) ((negative) ? -0.0L : 0.0L)
#define __math_divzerol(negative) ((negative) ? -INFINITY : INFINITY)
#define __math_inexactl(x) (x)
#define check_oflowl(x) (x)
#define check_uflowl(x) (x)

static inline int64_t asr(int64_t value, int bits) { return value >> bits; }
static inline int64_t lsl(int64_t value, int bits) { return (int64_t)((uint64_t)value << bits); }

#endif
