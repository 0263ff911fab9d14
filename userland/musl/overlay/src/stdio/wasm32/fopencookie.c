// SPDX-License-Identifier: MIT
// Upstream's fopencookie(), which calls the functions by their type
// (callback.h).
#define _GNU_SOURCE
#include <unistd.h>
#include "stdio_impl.h"
#include <stdlib.h>
#include <sys/ioctl.h>
#include <fcntl.h>
#include <errno.h>
#include <string.h>
#include "callback.h"

/* Upstream calls members, so these texts follow "fc->iofuncs.". */
#define read(cookie, a, b) read ? CALLBACK3(WORD_3, fc->iofuncs.read, cookie, a, b) : 0
#define write(cookie, a, b) write ? CALLBACK3(WORD_3, fc->iofuncs.write, cookie, a, b) : 0
#define seek(cookie, a, b) seek ? CALLBACK3(WORD_3, fc->iofuncs.seek, cookie, a, b) : 0
#define close(cookie) close ? CALLBACK1(WORD_1, fc->iofuncs.close, cookie) : 0

#include "../fopencookie.c"
