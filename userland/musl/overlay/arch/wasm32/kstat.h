/* SPDX-License-Identifier: MIT */
/* No stat system call but statx. */
