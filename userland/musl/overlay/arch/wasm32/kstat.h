/* SPDX-License-Identifier: MIT */
/* There is no struct kstat: statx is the only stat system call. */
