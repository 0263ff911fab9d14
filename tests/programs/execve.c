// SPDX-License-Identifier: MIT
// execve: what the new program keeps and loses, and every way to fail.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static void handler(int signal) { }

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static int after_exec(int argc, char **argv)
{
	struct sigaction action;
	sigset_t mask;
	char text[16] = "";
	int kept = atoi(argv[2]), closed = atoi(argv[3]);
	CHECK(argc == 5 && getpid() == atoi(argv[4]));
	CHECK(pread(kept, text, 4, 0) == 4 && strcmp(text, "kept") == 0);
	CHECK_ERROR(fcntl(closed, F_GETFD), EBADF);
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);	/* was caught */
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);	/* was ignored */
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGALRM) == 1);
	CHECK(strcmp(getenv("MARK"), "set") == 0 && environ[1] == NULL);
	char comm[32] = "";
	int fd = open("/proc/self/comm", O_RDONLY);
	CHECK(read(fd, comm, sizeof comm - 1) > 0 && strcmp(comm, "test-execve-cop\n") == 0);
	puts("executed");
	return failures != 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "after") == 0) return after_exec(argc, argv);

	char *none[] = { NULL }, *one[] = { "x", NULL };
	CHECK_ERROR(execve("/nowhere/program", one, none), ENOENT);
	CHECK_ERROR(execve("/tmp", one, none), EACCES);
	write_file("/tmp/test-execve", "#!/bin/sh\n", 0644);
	CHECK_ERROR(execve("/tmp/test-execve", one, none), EACCES);
	unlink("/tmp/test-execve");
	write_file("/tmp/test-execve", "not a program\n", 0755);
	CHECK_ERROR(execve("/tmp/test-execve", one, none), ENOEXEC);
	write_file("/tmp/test-execve", "#!/nowhere/interpreter\n", 0755);
	CHECK_ERROR(execve("/tmp/test-execve", one, none), ENOENT);
	write_file("/tmp/test-execve", "", 0755);
	CHECK_ERROR(execve("/tmp/test-execve", one, none), ENOEXEC);

	int status;
	write_file("/tmp/test-execve", "#!/bin/sh\necho script $# \"$1\"\nexit 9\n", 0755);
	if (fork() == 0) {
		execl("/tmp/test-execve", "test-execve", "an argument", NULL);
		_exit(1);
	}
	CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 9);
	unlink("/tmp/test-execve");

	/* PATH is searched */
	if (fork() == 0) {
		setenv("PATH", "/nowhere:/bin:/usr/bin", 1);
		execlp("echo", "echo", "by", "path", NULL);
		_exit(1);
	}
	CHECK(wait(&status) > 0 && status == 0);

	/* under another name, to see the name change */
	symlink(argv[0], "/tmp/test-execve-copy");
	int kept = open("/tmp/test-execve", O_RDWR | O_CREAT, 0600);
	int closed = open("/tmp/test-execve", O_RDWR | O_CLOEXEC);
	unlink("/tmp/test-execve");
	write(kept, "kept", 4);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	char numbers[3][16];
	sprintf(numbers[0], "%d", kept);
	sprintf(numbers[1], "%d", closed);
	sprintf(numbers[2], "%d", getpid());
	fflush(stdout);
	execle("/tmp/test-execve-copy", "copy", "after", numbers[0], numbers[1], numbers[2], NULL,
		(char *[]){ "MARK=set", NULL });
	perror("execle");
	return 1;
}
