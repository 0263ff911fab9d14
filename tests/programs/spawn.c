// SPDX-License-Identifier: MIT
// posix_spawn, system and popen. No fork: this program must not be instrumented.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

int main(void)
{
	pid_t child;
	int status;
	CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, (char *[]){ "sh", "-c", "exit 12", NULL }, environ) == 0);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 12);
	CHECK(posix_spawn(&child, "/nowhere/program", NULL, NULL, (char *[]){ "x", NULL }, environ) == ENOENT);
	CHECK_ERROR(waitpid(-1, &status, 0), ECHILD);	/* the failed one is not left over */

	int ends[2];
	char text[64] = "";
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t set;
	CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, ends[1], 1) == 0);
	CHECK(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0);
	CHECK(posix_spawn_file_actions_addchdir_np(&actions, "/proc") == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(posix_spawnattr_setsigmask(&attributes, &set) == 0 && posix_spawnattr_setpgroup(&attributes, 0) == 0);
	CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP) == 0);
	CHECK(posix_spawnp(&child, "sh", &actions, &attributes,
		(char *[]){ "sh", "-c", "pwd; read x || echo end; kill -USR1 $$; echo alive", NULL }, environ) == 0);
	close(ends[1]);
	size_t have = 0;
	for (ssize_t n; (n = read(ends[0], text + have, sizeof text - 1 - have)) > 0;) have += n;
	CHECK(strcmp(text, "/proc\nend\nalive\n") == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);

	CHECK(WEXITSTATUS(system("exit 7")) == 7);
	status = system("kill -9 $$");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	FILE *f = popen("echo popened", "r");
	CHECK(f && fgets(text, sizeof text, f) && strcmp(text, "popened\n") == 0 && pclose(f) == 0);
	f = popen("cat", "w");
	fflush(stdout);
	CHECK(f && fputs("through cat\n", f) >= 0 && pclose(f) == 0);
	puts("spawn done");
	return failures != 0;
}
