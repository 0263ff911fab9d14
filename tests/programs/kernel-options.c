// SPDX-License-Identifier: MIT
// What programs look for and a small configuration leaves out: directory notification, kcmp, where cores go, how long leases
// last.
#define _GNU_SOURCE
#include <linux/kcmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "check.h"

static void check_notification(void)
{
	siginfo_t information;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(fcntl(folder, F_SETSIG, SIGRTMIN) == 0 && fcntl(folder, F_NOTIFY, DN_CREATE) == 0);
	close(open("new", O_WRONLY | O_CREAT, 0600));
	CHECK(sigwaitinfo(&set, &information) == SIGRTMIN && information.si_fd == folder);
	close(folder);
}

static void check_files(void)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_uses_pid", "/proc/sys/fs/lease-break-time",
		"/proc/sys/fs/dir-notify-enable",
	};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (access(paths[i], R_OK) != 0) {
			printf("%s: %s\n", paths[i], strerror(errno));
			failures++;
		}
}

int main(void)
{
	CHECK(mkdir("/tmp/options", 0700) == 0 && chdir("/tmp/options") == 0);
	check_files();
	check_notification();
	int other = dup(0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, other) == 0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 1) != 0);
	printf(failures ? "%d failures\n" : "passed\n", failures);
	return failures != 0;
}
