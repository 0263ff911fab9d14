// SPDX-License-Identifier: MIT
// Real-time tasks that never sleep, more than there are CPUs: a normal task still gets its part of the time. All but the
// first become real-time on that part, which may not cost the others theirs.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define SPINNERS 6

int main(void)
{
	struct sched_param priority = { .sched_priority = 50 };
	pid_t child[SPINNERS];

	for (int i = 0; i < SPINNERS; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			/* The C library has no such call: it would be for a thread, where POSIX wants a process. */
			if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority) != 0) _exit(1);
			for (;;) __asm__ volatile("");
		}
		CHECK(child[i] > 0);
	}
	/* They cannot tell: those of one priority wait for each other. */
	for (int i = 0; i < SPINNERS; i++)
		while (syscall(SYS_sched_getscheduler, child[i]) != SCHED_FIFO) sched_yield();
	puts("all are real-time");
	for (int i = 0; i < SPINNERS; i++) CHECK(kill(child[i], SIGKILL) == 0);
	for (int i = 0; i < SPINNERS; i++) {
		int status;

		CHECK(waitpid(child[i], &status, 0) == child[i] && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	puts("and ended");
	return failures != 0;
}
