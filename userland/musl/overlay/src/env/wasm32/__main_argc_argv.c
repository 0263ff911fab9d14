// SPDX-License-Identifier: MIT
// main_arguments.h says which programs use this.
#include "main_arguments.h"

struct main_arguments __main_arguments;

int __main_argc_argv(int argc, char **argv)
{
	__main_arguments.argc = argc;
	__main_arguments.argv = argv;
	return __main_void();
}
