// SPDX-License-Identifier: MIT
// Set-user-ID and set-group-ID programs: who they run as, what they are told, and when the kernel does not listen.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "check.h"

enum { USER = 1000, OTHER = 1001, GROUP = 5 };

static const char self[] = "/proc/self/exe";

/* The program that is executed: says what it is. */
static int look(void)
{
	uid_t real, effective, saved;
	gid_t real_group, group, saved_group;
	getresuid(&real, &effective, &saved);
	getresgid(&real_group, &group, &saved_group);
	printf("uid %d %d %d gid %d %d %d, secure %lu, told %lu %lu %lu %lu, dumpable %d\n", real, effective, saved,
		real_group, group, saved_group, getauxval(AT_SECURE), getauxval(AT_UID), getauxval(AT_EUID),
		getauxval(AT_GID), getauxval(AT_EGID), prctl(PR_GET_DUMPABLE));
	if (effective == 0 && real != 0) {
		CHECK(access("/etc/shadow", R_OK) != 0);	/* with the real user's rights */
		int fd = open("/etc/shadow", O_RDONLY);
		CHECK(fd >= 0);
		close(fd);
		CHECK(setuid(real) == 0 && geteuid() == real);
		CHECK_ERROR(seteuid(0), EPERM);
		CHECK_ERROR(open("/etc/shadow", O_RDONLY), EACCES);
	}
	fflush(stdout);
	return failures;
}

static void copy(const char *to, uid_t owner, gid_t group, mode_t mode)
{
	static char buffer[65536];
	int in = open(self, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;
	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buffer, sizeof buffer)) > 0) CHECK(write(out, buffer, n) == n);
	CHECK(fchown(out, owner, group) == 0 && fchmod(out, mode) == 0 && close(in) == 0 && close(out) == 0);
}

static void become(uid_t user)
{
	if (setgid(user) || setuid(user)) _exit(99);
}

static void finish(pid_t child, const char *what)
{
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		printf("%s: status %#x\n", what, status);
		failures++;
	}
}

enum { PLAIN, NO_NEW_PRIVILEGES, TRACED };

/* Executes @path as @user. */
static void run(const char *what, const char *path, uid_t user, int how)
{
	printf("%s: ", what);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		become(user);
		if (how == NO_NEW_PRIVILEGES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(98);
		if (how == TRACED) {
			/* by a tracer that is no more than the user */
			pid_t traced = fork();
			int status;
			if (traced == 0) {
				if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(97);
				execl(path, path, "look", (char *)0);
				_exit(96);
			}
			if (waitpid(traced, &status, 0) != traced || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) _exit(95);
			if (ptrace(PTRACE_CONT, traced, 0, 0)) _exit(94);
			if (waitpid(traced, &status, 0) != traced || !WIFEXITED(status)) _exit(93);
			_exit(WEXITSTATUS(status));
		}
		execl(path, path, "look", (char *)0);
		_exit(92);
	}
	finish(child, what);
}

/* What a user may do with a process that runs as root for the user: wait and signal, not look inside. */
static void check_protection(const char *path)
{
	int ready[2];
	CHECK(pipe(ready) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		become(USER);
		pid_t program = fork();
		if (program == 0) {
			dup2(ready[1], 1);
			execl(path, path, "wait", (char *)0);
			_exit(91);
		}
		char byte, name[40];
		int status;
		CHECK(read(ready[0], &byte, 1) == 1);
		CHECK_ERROR(ptrace(PTRACE_ATTACH, program, 0, 0), EPERM);
		sprintf(name, "/proc/%d/environ", program);
		CHECK_ERROR(open(name, O_RDONLY), EACCES);
		sprintf(name, "/proc/%d/mem", program);
		CHECK_ERROR(open(name, O_RDONLY), EACCES);
		CHECK(kill(program, SIGTERM) == 0);
		CHECK(waitpid(program, &status, 0) == program && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
		fflush(stdout);
		_exit(failures);
	}
	finish(child, "protection");
	close(ready[0]);
	close(ready[1]);
}

/* Who changes the file takes the bit away. */
static void check_bit(const char *path)
{
	struct stat status;
	fflush(stdout);
	CHECK(chmod(path, 04777) == 0);
	pid_t child = fork();
	if (child == 0) {
		become(OTHER);
		int fd = open(path, O_WRONLY);
		_exit(fd < 0 || write(fd, "", 1) != 1);
	}
	finish(child, "write");
	CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0777);
	CHECK(chmod(path, 06755) == 0 && chown(path, OTHER, OTHER) == 0);
	CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0755);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "look") == 0) return look();
	if (argc == 2 && strcmp(argv[1], "wait") == 0) {
		CHECK(write(1, "", 1) == 1);
		for (;;) pause();
	}
	/* a script's arguments: its interpreter's one, and its own name and word */
	if (argc > 2 && strcmp(argv[1], "look") == 0) return look();

	CHECK(mkdir("/root/ids", 0755) == 0 && chmod("/root", 0755) == 0 && chdir("/root/ids") == 0);
	copy("plain", 0, 0, 0755);
	copy("root", 0, 0, 04755);
	copy("group", 0, GROUP, 02755);
	copy("user", USER, USER, 04755);
	copy("both", USER, GROUP, 06755);
	run("plain", "plain", USER, PLAIN);
	run("root's", "root", USER, PLAIN);
	run("root's, by root", "root", 0, PLAIN);
	run("a group's", "group", USER, PLAIN);
	run("a user's, by another", "user", OTHER, PLAIN);
	run("a user's, by itself", "user", USER, PLAIN);
	run("a user's, by root", "user", 0, PLAIN);
	run("a user's and a group's", "both", OTHER, PLAIN);
	run("no new privileges", "root", USER, NO_NEW_PRIVILEGES);
	run("traced by the user", "root", USER, TRACED);

	int fd = open("script", O_WRONLY | O_CREAT, 0600);
	CHECK(dprintf(fd, "#!/root/ids/plain look\n") > 0 && fchmod(fd, 04755) == 0 && close(fd) == 0);
	run("a script", "script", USER, PLAIN);
	fd = open("interpreted", O_WRONLY | O_CREAT, 0600);
	CHECK(dprintf(fd, "#!/root/ids/root look\n") > 0 && fchmod(fd, 0755) == 0 && close(fd) == 0);
	run("a script's interpreter", "interpreted", USER, PLAIN);

	CHECK(mkdir("nosuid", 0755) == 0 && mount("none", "nosuid", "tmpfs", MS_NOSUID, "mode=755") == 0);
	copy("nosuid/root", 0, 0, 04755);
	run("on a mount with nosuid", "nosuid/root", USER, PLAIN);
	CHECK(mount("none", "nosuid", NULL, MS_REMOUNT, NULL) == 0);
	run("and without", "nosuid/root", USER, PLAIN);
	CHECK(umount("nosuid") == 0);

	check_protection("root");
	check_bit("both");
	printf(failures ? "%d failures\n" : "passed\n", failures);
	return failures != 0;
}
