// SPDX-License-Identifier: MIT
// main_arguments.h tells when this is used.
#include "main_arguments.h"

struct main_arguments __main_arguments;

int __main_argc_argv(int argc, char **argv)
{
	__main_arguments.argc = argc;
	__main_arguments.argv = argv;
	return __main_void();
}
