// SPDX-License-Identifier: MIT
// execve to the letter: sizes of arguments, scripts, interpreters, file descriptors, threads, and each error.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char *const no_environment[] = { NULL };

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	static char buffer[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;
	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, buffer, sizeof buffer)) > 0) CHECK(write(out, buffer, n) == n);
	CHECK(fchmod(out, mode) == 0 && close(in) == 0 && close(out) == 0);
}

static int status_of(pid_t child)
{
	int status;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Executes in a child. 0 if the new program found all as it should, its status otherwise; 100 + errno if exec failed. */
static int run(const char *path, char *const *arguments, char *const *environment)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		execve(path, arguments, environment);
		_exit(100 + errno);
	}
	return status_of(child);
}

/* "sum N LENGTH": N arguments with a pattern follow, of LENGTH bytes each. */
static int check_sum(int argc, char **argv)
{
	int count = atoi(argv[2]), length = atoi(argv[3]);
	if (argc != 4 + count || argv[argc] != NULL) return 1;
	for (int i = 0; i < count; i++) {
		if (strlen(argv[4 + i]) != (size_t)length) return 2;
		for (int k = 0; k < length; k++) if (argv[4 + i][k] != 'a' + (i + k) % 26) return 3;
	}
	/* They are in /proc as they are here. */
	static char buffer[3 << 20];
	int fd = open("/proc/self/cmdline", O_RDONLY);
	size_t have = 0;
	for (ssize_t n; fd >= 0 && (n = read(fd, buffer + have, sizeof buffer - have)) > 0;) have += n;
	char *at = buffer;
	for (int i = 0; i < argc; i++) {
		if (at >= buffer + have || strcmp(at, argv[i]) != 0) return 4;
		at += strlen(at) + 1;
	}
	return at == buffer + have ? 0 : 5;
}

static int run_with(int count, int length, int environment_length)
{
	char **arguments = calloc(count + 5, sizeof *arguments), numbers[2][16];
	char *environment[] = { environment_length ? malloc(environment_length + 1) : NULL, NULL };
	if (environment_length) {
		memset(environment[0], 'e', environment_length);
		memcpy(environment[0], "LONG=", 5);
		environment[0][environment_length] = '\0';
	}
	sprintf(numbers[0], "%d", count);
	sprintf(numbers[1], "%d", length);
	arguments[0] = "exec";
	arguments[1] = "sum";
	arguments[2] = numbers[0];
	arguments[3] = numbers[1];
	for (int i = 0; i < count; i++) {
		arguments[4 + i] = malloc(length + 1);
		for (int k = 0; k < length; k++) arguments[4 + i][k] = 'a' + (i + k) % 26;
		arguments[4 + i][length] = '\0';
	}
	int result = run("/proc/self/exe", arguments, environment);
	for (int i = 0; i < count; i++) free(arguments[4 + i]);
	free(arguments);
	free(environment[0]);
	return result;
}

static void arguments(void)
{
	CHECK(run_with(0, 0, 0) == 0);
	CHECK(run_with(128, 1024, 0) == 0);
	CHECK(run_with(128, 1023, 65536) == 0);
	CHECK(run_with(32768, 3, 4000) == 0);
	CHECK(run_with(1, 128 * 1024 - 1, 0) == 0);
	/* A single string has a limit of its own, MAX_ARG_STRLEN with its end. */
	CHECK(run_with(1, 128 * 1024, 0) == 100 + E2BIG);
	CHECK(run_with(0, 0, 128 * 1024) == 100 + E2BIG);
	CHECK(run_with(15, 100000, 0) == 0);
	CHECK(run_with(30, 100000, 0) == 100 + E2BIG);
	puts("arguments");
}

/* What interpreters are given. */
static int say(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) printf("%s%s", argv[i], i + 1 < argc ? "|" : "\n");
	return 0;
}

static void scripts(void)
{
	CHECK(mkdir("/tmp/exec", 0755) == 0 && chdir("/tmp/exec") == 0);
	copy_file("/proc/self/exe", "program", 0755);

	char *say_two[] = { "x", "one", "two words", NULL };
	write_file("script", "#!/tmp/exec/program say\n", 0755);
	CHECK(run("/tmp/exec/script", say_two, no_environment) == 0);
	write_file("script", "#! \t/tmp/exec/program  say it \t\nrest\n", 0755);
	CHECK(run("./script", say_two, no_environment) == 0);
	/* Of the interpreter's line the first word is its name, and the rest is one argument; no line end is needed. */
	write_file("script", "#!program say", 0755);
	CHECK(run("script", say_two, no_environment) == 0);
	/* A relative interpreter is looked for where the process is, not where the script is. */
	CHECK(mkdir("elsewhere", 0755) == 0 && chdir("elsewhere") == 0);
	CHECK(run("../script", say_two, no_environment) == 100 + ENOENT);
	CHECK(chdir("..") == 0);

	/* Scripts whose interpreters are scripts: five levels, as the kernel allows. */
	char name[32], text[64];
	write_file("level0", "#!/tmp/exec/program say\n", 0755);
	for (int level = 1; level <= 6; level++) {
		sprintf(name, "level%d", level);
		sprintf(text, "#!/tmp/exec/level%d from %d\n", level - 1, level);
		write_file(name, text, 0755);
	}
	CHECK(run("level1", say_two, no_environment) == 0);
	CHECK(run("level4", say_two, no_environment) == 0);
	CHECK(run("level6", say_two, no_environment) == 100 + ELOOP);
	write_file("itself", "#!/tmp/exec/itself\n", 0755);
	CHECK(run("itself", say_two, no_environment) == 100 + ELOOP);

	/* An interpreter's name that does not fit into the first 256 bytes. */
	char *line = malloc(400);
	memset(line, 'x', 400);
	memcpy(line, "#!/", 3);
	strcpy(line + 390, "\n");
	write_file("script", line, 0755);
	free(line);
	CHECK(run("script", say_two, no_environment) == 100 + ENOEXEC);
	write_file("script", "#!\n", 0755);
	CHECK(run("script", say_two, no_environment) == 100 + ENOEXEC);
	write_file("script", "#!/tmp/exec/elsewhere\n", 0755);
	CHECK(run("script", say_two, no_environment) == 100 + EACCES);
	write_file("script", "#!/tmp/exec/level1/none\n", 0755);
	CHECK(run("script", say_two, no_environment) == 100 + ENOTDIR);
	puts("scripts");
}

/* "fds N...": these are open, and no others but the first three. */
static int check_descriptors(int argc, char **argv)
{
	int next = 2;
	for (int fd = 3; fd < 100; fd++) {
		if (fcntl(fd, F_GETFD) < 0) continue;
		if (next == argc || atoi(argv[next++]) != fd) return 1;
	}
	return next == argc ? 0 : 2;
}

static void descriptors(void)
{
	char *with[] = { "exec", "fds", "10", "12", NULL };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(dup3(fd, 10, 0) == 10 && dup3(fd, 11, O_CLOEXEC) == 11 && dup2(11, 12) == 12);
	CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 13) == 13);
	CHECK(run("/proc/self/exe", with, no_environment) == 0);
	/* The parent's stay, and so they do when exec fails. */
	CHECK_ERROR(execv("/nowhere", with), ENOENT);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(13, F_GETFD) == FD_CLOEXEC);
	for (int i = 10; i <= 13; i++) close(i);
	close(fd);
	puts("close-on-exec");
}

/* "name NAME": what the kernel calls this program. */
static int check_name(int argc, char **argv)
{
	char link[PATH_MAX] = "", comm[32] = "";
	int fd = open("/proc/self/comm", O_RDONLY);
	if (readlink("/proc/self/exe", link, sizeof link - 1) < 0) return 1;
	if (strcmp(link, argv[2]) != 0) return 2;
	if (read(fd, comm, sizeof comm - 1) < 0 || strncmp(comm, argv[3], 15) != 0) return 3;
	if (strcmp((char *)getauxval(AT_EXECFN), argv[4]) != 0) return 4;
	return 0;
}

static void names(void)
{
	char *direct[] = { "any", "name", "/tmp/exec/program", "program\n", "/tmp/exec/program", NULL };
	CHECK(run("/tmp/exec/program", direct, no_environment) == 0);
	CHECK(symlink("program", "a-link-with-a-long-name") == 0);
	char *by_link[] = { "any", "name", "/tmp/exec/program", "a-link-with-a-l", "a-link-with-a-long-name", NULL };
	CHECK(run("a-link-with-a-long-name", by_link, no_environment) == 0);

	/* By descriptor: fexecve, execveat with an empty path, and relative to a directory. */
	int fd = open("program", O_RDONLY | O_CLOEXEC), folder = open(".", O_RDONLY | O_DIRECTORY), path = open("program", O_PATH);
	char number[32];
	char *by_descriptor[] = { "any", "name", "/tmp/exec/program", "program\n", number, NULL };
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		sprintf(number, "/dev/fd/%d", fd);
		fexecve(fd, by_descriptor, no_environment);
		_exit(100 + errno);
	}
	CHECK(status_of(child) == 0);
	child = fork();
	if (child == 0) {
		sprintf(number, "/dev/fd/%d", path);
		syscall(SYS_execveat, path, "", by_descriptor, no_environment, AT_EMPTY_PATH);
		_exit(100 + errno);
	}
	CHECK(status_of(child) == 0);
	child = fork();
	if (child == 0) {
		sprintf(number, "/dev/fd/%d/program", folder);
		syscall(SYS_execveat, folder, "program", by_descriptor, no_environment, 0);
		_exit(100 + errno);
	}
	CHECK(status_of(child) == 0);
	CHECK_ERROR(syscall(SYS_execveat, folder, "a-link-with-a-long-name", by_link, no_environment, AT_SYMLINK_NOFOLLOW), ELOOP);
	CHECK_ERROR(syscall(SYS_execveat, fd, "", by_link, no_environment, 0), ENOENT);
	CHECK_ERROR(syscall(SYS_execveat, folder, "program", by_link, no_environment, 0x8000), EINVAL);
	CHECK_ERROR(syscall(SYS_execveat, 99, "", by_link, no_environment, AT_EMPTY_PATH), EBADF);
	CHECK_ERROR(syscall(SYS_execveat, fd, "program", by_link, no_environment, 0), ENOTDIR);
	/* A script by a descriptor that exec closes could not be opened by its interpreter. */
	int script = open("level0", O_RDONLY | O_CLOEXEC);
	errno = 0;
	CHECK(fexecve(script, by_link, no_environment) == -1 && errno == ENOENT);
	close(fd), close(folder), close(path), close(script);
	puts("names, descriptors");
}

static void errors(void)
{
	char *one[] = { "x", NULL };
	CHECK_ERROR(execve("", one, no_environment), ENOENT);
	CHECK_ERROR(execve("program/x", one, no_environment), ENOTDIR);
	CHECK_ERROR(execve("elsewhere", one, no_environment), EACCES);
	CHECK_ERROR(execve("/dev/null", one, no_environment), EACCES);
	write_file("plain", "text\n", 0644);
	CHECK_ERROR(execve("plain", one, no_environment), EACCES);
	CHECK(chmod("plain", 0755) == 0);
	CHECK_ERROR(execve("plain", one, no_environment), ENOEXEC);
	CHECK(symlink("circle", "circle") == 0);
	CHECK_ERROR(execve("circle", one, no_environment), ELOOP);
	char name[5000];
	memset(name, 'n', sizeof name);
	name[300] = '\0';
	CHECK_ERROR(execve(name, one, no_environment), ENAMETOOLONG);
	name[300] = 'n';
	name[4999] = '\0';
	CHECK_ERROR(execve(name, one, no_environment), ENAMETOOLONG);

	/* A file that is open for writing is no program, and one that is executed is not written to. */
	int fd = open("program", O_WRONLY);
	CHECK(fd >= 0);
	CHECK_ERROR(execve("program", one, no_environment), ETXTBSY);
	close(fd);
	int ends[2];
	char c;
	CHECK(pipe(ends) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		char number[2][16];
		sprintf(number[0], "%d", ends[0]);
		sprintf(number[1], "%d", ends[1]);
		execl("program", "exec", "wait", number[0], number[1], NULL);
		_exit(100 + errno);
	}
	close(ends[1]);
	/* It closes its end when it runs. */
	CHECK(read(ends[0], &c, 1) == 0);
	CHECK_ERROR(open("program", O_WRONLY), ETXTBSY);
	CHECK_ERROR(truncate("program", 0), ETXTBSY);
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	close(ends[0]);
	fd = open("program", O_WRONLY);
	CHECK(fd >= 0 && close(fd) == 0);

	/* As a user who may not. */
	CHECK(chmod("program", 0700) == 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) != 0) _exit(1);
		execve("program", one, no_environment);
		_exit(100 + errno);
	}
	CHECK(status_of(child) == 100 + EACCES);
	CHECK(chmod("program", 0755) == 0 && chmod("/tmp/exec", 0700) == 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) != 0) _exit(1);
		execve("/tmp/exec/program", one, no_environment);
		_exit(100 + errno);
	}
	CHECK(status_of(child) == 100 + EACCES);
	puts("errors");
}

static void *wait_forever(void *unused)
{
	for (;;) pause();
	return NULL;
}

static void *execute(void *argument)
{
	execv("/proc/self/exe", argument);
	return NULL;
}

/* "threads PID": the process is that one, and has one thread. */
static int check_threads(int argc, char **argv)
{
	struct stat status;
	if (getpid() != atoi(argv[2]) || syscall(SYS_gettid) != getpid()) return 1;
	return stat("/proc/self/task", &status) == 0 && status.st_nlink == 3 ? 0 : 2;
}

static void threads(void)
{
	fflush(stdout);
	for (int in_main = 0; in_main < 2; in_main++) {
		pid_t child = fork();
		if (child == 0) {
			pthread_t thread;
			char number[16];
			char *arguments[] = { "exec", "threads", number, NULL };
			sprintf(number, "%d", getpid());
			for (int i = 0; i < 3; i++) if (pthread_create(&thread, NULL, wait_forever, NULL)) _exit(50);
			if (in_main) execute(arguments);
			else if (pthread_create(&thread, NULL, execute, arguments) == 0) pause();
			_exit(51);
		}
		CHECK(status_of(child) == 0);
	}
	puts("threads");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		if (strcmp(argv[1], "sum") == 0) return check_sum(argc, argv);
		if (strcmp(argv[1], "fds") == 0) return check_descriptors(argc, argv);
		if (strcmp(argv[1], "name") == 0) return check_name(argc, argv);
		if (strcmp(argv[1], "threads") == 0) return check_threads(argc, argv);
		if (strcmp(argv[1], "wait") == 0) {
			close(atoi(argv[2]));
			close(atoi(argv[3]));
			for (;;) pause();
		}
		return say(argc, argv);
	}
	CHECK(setvbuf(stdout, NULL, _IOLBF, 0) == 0);
	arguments();
	scripts();
	descriptors();
	names();
	errors();
	threads();
	return failures != 0;
}
