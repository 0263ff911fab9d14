// SPDX-License-Identifier: MIT
// main_arguments.h says which programs use this.
#include <unistd.h>
#include "main_arguments.h"

int main_with_environment(int, char **, char **) __asm__("main");

int __main_void(void)
{
	return main_with_environment(__main_arguments.argc, __main_arguments.argv, __environ);
}
