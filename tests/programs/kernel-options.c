// SPDX-License-Identifier: MIT
// What programs look for and a small configuration leaves out: I/O accounting, directory notification, permission events,
// Landlock, kcmp, copies of messages, how long leases last.
#define _GNU_SOURCE
#include <linux/kcmp.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "check.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

static void finish(pid_t child)
{
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static unsigned long counter(const char *name)
{
	char text[400], *line;
	int fd = open("/proc/self/io", O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, name);
	CHECK(line != NULL);
	return line ? strtoul(line + strlen(name), NULL, 10) : 0;
}

static void check_accounting(void)
{
	static char bytes[10000];
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned long read_before = counter("rchar: "), written = counter("wchar: "), calls = counter("syscw: ");
	CHECK(write(fd, bytes, sizeof bytes) == sizeof bytes);
	CHECK(counter("wchar: ") == written + sizeof bytes);
	CHECK(counter("syscw: ") == calls + 1);
	CHECK(pread(fd, bytes, 5000, 0) == 5000);
	CHECK(counter("rchar: ") >= read_before + 5000);
	close(fd);
}

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

static void check_permission_events(void)
{
	int group = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
	CHECK(group >= 0);
	CHECK(fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "file") == 0);
	pid_t child = fork();
	if (child == 0) {
		if (open("file", O_RDONLY) != -1 || errno != EPERM) _exit(1);
		_exit(open("file", O_RDONLY) < 0);
	}
	for (int i = 0; i < 2; i++) {
		struct fanotify_event_metadata event;
		CHECK(read(group, &event, sizeof event) == sizeof event && event.mask == FAN_OPEN_PERM && event.pid == child);
		struct fanotify_response answer = { .fd = event.fd, .response = i == 0 ? FAN_DENY : FAN_ALLOW };
		CHECK(write(group, &answer, sizeof answer) == sizeof answer);
		close(event.fd);
	}
	finish(child);
	close(group);
}

static void check_landlock(void)
{
	CHECK(syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1);
	CHECK(mkdir("allowed", 0700) == 0);
	close(open("allowed/in", O_WRONLY | O_CREAT, 0600));
	pid_t child = fork();
	if (child == 0) {
		struct landlock_ruleset_attr rules = {
			.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE,
		};
		int set = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
		struct landlock_path_beneath_attr below = {
			.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
			.parent_fd = open("allowed", O_PATH | O_DIRECTORY),
		};
		CHECK(set >= 0);
		CHECK(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0);
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, set, 0) == 0);
		CHECK(open("allowed/in", O_RDONLY) >= 0);
		CHECK_ERROR(open("allowed/in", O_WRONLY), EACCES);
		CHECK_ERROR(open("file", O_RDONLY), EACCES);
		fflush(stdout);
		_exit(failures);
	}
	finish(child);
}

static void check_messages(void)
{
	struct { long type; char text[8]; } message = { 7, "first" };
	int queue = msgget(IPC_PRIVATE, 0600);
	CHECK(queue >= 0 && msgsnd(queue, &message, sizeof message.text, 0) == 0);
	strcpy(message.text, "second");
	CHECK(msgsnd(queue, &message, sizeof message.text, 0) == 0);
	CHECK(msgrcv(queue, &message, sizeof message.text, 1, MSG_COPY | IPC_NOWAIT) == sizeof message.text);
	CHECK(strcmp(message.text, "second") == 0);
	CHECK(msgrcv(queue, &message, sizeof message.text, 0, 0) == sizeof message.text);
	CHECK(strcmp(message.text, "first") == 0);
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
}

static void check_files(void)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_uses_pid", "/proc/sys/fs/lease-break-time",
		"/proc/sys/fs/dir-notify-enable", "/proc/thread-self/children", "/proc/self/io",
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
	check_accounting();
	check_notification();
	check_permission_events();
	check_landlock();
	check_messages();
	int other = dup(0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, other) == 0);
	CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 1) != 0);
	printf(failures ? "%d failures\n" : "passed\n", failures);
	return failures != 0;
}
