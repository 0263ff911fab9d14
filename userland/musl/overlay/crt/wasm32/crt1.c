// SPDX-License-Identifier: MIT
// The entry of a program. The kernel calls _start with the address of the
// argument block.
#include <features.h>
#include "libc.h"
#include "main_arguments.h"
#include "main_stack.h"

int __libc_start_main(int (*)(int, char **, char **), int, char **,
	void (*)(), void (*)(), void (*)());

void __wasm_call_ctors(void);

/*
 * Replaces the weak one in libc.a. That one goes through an array of
 * constructors, but here the linker makes a function that calls them.
 */
void __libc_start_init(void)
{
	__wasm_call_ctors();
}

static int call_main(int argc, char **argv, char **envp)
{
	return __main_argc_argv(argc, argv);
}

__attribute__((__export_name__("_start")))
void _start(long *block)
{
	__start_stack();
	__libc_start_main(call_main, block[0], (char **)(block + 1), 0, 0, 0);
}

/*
 * Says which version of the psABI the program is made for
 * (docs/abi-programs.md). The kernel looks for the name of this export.
 */
__attribute__((__export_name__("__psabi_2")))
void __psabi(void)
{
}
