// SPDX-License-Identifier: MIT
// What runs before and after main, and a main with three parameters.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int order;

__attribute__((constructor(101))) static void first(void) { printf("constructor 101, %d\n", ++order); }
__attribute__((constructor)) static void second(void) { printf("constructor, %d\n", ++order); }
__attribute__((destructor)) static void last(void) { printf("destructor, %d\n", ++order); }
static void at_exit_1(void) { printf("atexit 1, %d\n", ++order); }
static void at_exit_2(void) { printf("atexit 2, %d\n", ++order); }

int main(int argc, char **argv, char **envp)
{
	atexit(at_exit_1);
	atexit(at_exit_2);
	printf("main, %d, %s, %s\n", ++order, argc >= 1 && argv[argc] == NULL ? "argv ends" : "argv is wrong",
		envp == environ ? "envp is environ" : "envp is wrong");
	return 0;
}
