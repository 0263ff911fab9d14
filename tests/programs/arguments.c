// SPDX-License-Identifier: MIT
// The argument block: argv, environment and auxiliary vector after execve.
#define _GNU_SOURCE
#include <sys/auxv.h>
#include <unistd.h>
#include "check.h"

int main(int argc, char **argv)
{
	if (argc == 1) {
		char *arguments[] = { argv[0], "one", "", "three words here", "\xe2\x82\xac", NULL };
		char *environment[] = { "FIRST=1", "EMPTY=", "LAST=a=b", NULL };
		execve(argv[0], arguments, environment);
		perror("execve");
		return 1;
	}
	for (int i = 1; i < argc; i++) printf("argument %d: '%s'\n", i, argv[i]);
	CHECK(argv[argc] == NULL);
	for (char **e = environ; *e; e++) printf("environment: '%s'\n", *e);
	CHECK(strcmp(getenv("LAST"), "a=b") == 0 && getenv("NONE") == NULL);
	CHECK(setenv("NEW", "value", 1) == 0 && strcmp(getenv("NEW"), "value") == 0);
	CHECK(unsetenv("FIRST") == 0 && getenv("FIRST") == NULL);

	CHECK(getauxval(AT_PAGESZ) == 4096 && sysconf(_SC_PAGESIZE) == 4096);
	CHECK(getauxval(AT_RANDOM) != 0);
	CHECK(getauxval(AT_UID) == getuid());
	CHECK(getauxval(AT_EXECFN) && strcmp((char *)getauxval(AT_EXECFN), argv[0]) == 0);
	CHECK(getauxval(AT_PHDR) == 0 && getauxval(AT_ENTRY) == 0 && getauxval(AT_BASE) == 0);
	return failures != 0;
}
