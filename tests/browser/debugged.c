// SPDX-License-Identifier: MIT
// What debugger.test.mjs steps through; it knows the lines by the words in their comments.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int square(int n)
{
	int result = n * n; /* first */
	result += 1; /* second */
	return result;
}

int main(void)
{
	int status;
#ifdef FORKS
	pid_t child = fork();
	if (child == 0)
		_exit(3);
	waitpid(child, &status, 0);
#else
	status = 3 << 8;
#endif
	int sum = WEXITSTATUS(status);
	sum += square(6); /* call */
	printf("%d\n", sum);
	return 0;
}
