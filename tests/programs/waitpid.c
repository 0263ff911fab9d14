// SPDX-License-Identifier: MIT
// Every way in which a child ends or stops, as its parent sees it.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t children;
static void on_child(int signal) { children++; }

int main(void)
{
	int status;
	CHECK_ERROR(wait(&status), ECHILD);
	pid_t child = fork();
	if (child == 0) _exit(300);	/* only the low eight bits count */
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 44);
	CHECK_ERROR(waitpid(child, &status, 0), ECHILD);

	int ends[2];
	CHECK(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		char c;
		close(ends[1]);
		read(ends[0], &c, 1);
		_exit(3);
	}
	CHECK(waitpid(child, &status, WNOHANG) == 0);
	close(ends[0]);
	close(ends[1]);
	CHECK(waitpid(-1, &status, 0) == child && WEXITSTATUS(status) == 3);

	static const int signals[] = { SIGTERM, SIGKILL, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGABRT, SIGQUIT };
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		/* A background job of a shell ignores some. */
		signal(signals[i], SIG_DFL);
		child = fork();
		if (child == 0) for (;;) pause();
		CHECK(kill(child, signals[i]) == 0 && waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
	}
	child = fork();
	if (child == 0) abort();
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);

	child = fork();
	if (child == 0) for (;;) pause();
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);

	siginfo_t info;
	child = fork();
	if (child == 0) _exit(5);
	CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_EXITED && info.si_status == 5);
	CHECK(info.si_pid == child && info.si_signo == SIGCHLD);
	struct rusage usage;
	CHECK(wait4(child, &status, 0, &usage) == child && WEXITSTATUS(status) == 5);

	struct sigaction action = { .sa_handler = on_child };
	sigaction(SIGCHLD, &action, NULL);
	child = fork();
	if (child == 0) _exit(0);
	while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
	CHECK(children == 1);

	/* a grandchild whose parent is gone belongs to init */
	signal(SIGCHLD, SIG_DFL);
	CHECK(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			while (getppid() == parent) usleep(1000);
			pid_t now = getppid();
			write(ends[1], &now, sizeof now);
		}
		_exit(0);
	}
	pid_t adopted;
	CHECK(waitpid(child, &status, 0) == child && read(ends[0], &adopted, sizeof adopted) == sizeof adopted && adopted == 1);
	puts("waitpid done");
	return failures != 0;
}
