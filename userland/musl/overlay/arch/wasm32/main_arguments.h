/* SPDX-License-Identifier: MIT */
/*
 * A wasm function has exactly one type, so the compiler names main after its
 * type: __main_argc_argv, __main_void, or plain main for any other. The start
 * code calls __main_argc_argv. A program without that function gets the
 * library's, which calls __main_void. A program without that one too gets the
 * library's, which calls the main of three arguments. Both are members of
 * libc.a, so the linker takes them only where they are needed.
 */
#include <features.h>

extern hidden struct main_arguments {
	int argc;
	char **argv;
} __main_arguments;

int __main_argc_argv(int, char **);
int __main_void(void);
