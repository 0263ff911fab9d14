/* SPDX-License-Identifier: MIT */
/*
 * A wasm function has exactly one type, so the compiler names main after it:
 * __main_argc_argv, __main_void, and plain main for any other. The start code
 * calls __main_argc_argv. A program that does not have it gets ours, which calls
 * __main_void; and who does not have that gets ours, which calls the main of
 * three arguments. As members of libc.a they are only linked where needed.
 */
#include <features.h>

extern hidden struct main_arguments {
	int argc;
	char **argv;
} __main_arguments;

int __main_argc_argv(int, char **);
int __main_void(void);
