// SPDX-License-Identifier: MIT
// What /proc/PID says of a process: maps, status, stat, cmdline, environ, comm, fd.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static char text[65536];

/* The file NAME of process @pid; its length. */
static int look(pid_t pid, const char *name)
{
	char path[100];
	sprintf(path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY), have = 0;
	for (ssize_t n; fd >= 0 && (n = read(fd, text + have, sizeof text - 1 - have)) > 0;) have += n;
	text[have] = '\0';
	close(fd);
	return fd < 0 ? -1 : have;
}

/* The value of a line of status, after look(). */
static const char *field(const char *name)
{
	static char value[200];
	char start[50];
	sprintf(start, "\n%s:\t", name);
	char *at = strstr(text, start);
	*value = '\0';
	if (at) sscanf(at + strlen(start), " %199[^\n]", value);
	return value;
}
#define CHECK_FIELD(name, expected) \
	do { \
		char expected_[100]; \
		sprintf(expected_, "%s", expected); \
		if (strcmp(field(name), expected_) != 0) { \
			printf("line %d: %s is %s, not %s\n", __LINE__, name, field(name), expected_); \
			failures++; \
		} \
	} while (0)

static const char *number(long long value)
{
	static char digits[4][24];
	static int next;
	char *at = digits[next++ & 3];
	sprintf(at, "%lld", value);
	return at;
}

/* Number @which of stat, from 1, after look(). The name may have spaces and parentheses. */
static long long stat_field(int which)
{
	char *at = strrchr(text, ')');
	for (int i = 2; at && i < which; i++) at = strchr(at + 1, ' ');
	return at ? which == 3 ? at[1] : atoll(at + 1) : -1;
}

static void until_state(pid_t pid, char state)
{
	while (look(pid, "stat") > 0 && stat_field(3) != state) usleep(500);
}

static void *wait_in_thread(void *name)
{
	CHECK(prctl(PR_SET_NAME, name) == 0);
	for (;;) pause();
	return NULL;
}

static int child_main(int argc, char **argv)
{
	pthread_t thread;
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t set;
	signal(SIGUSR1, exit);
	sigaction(SIGUSR2, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGALRM);
	umask(027);
	nice(5);
	pthread_create(&thread, NULL, wait_in_thread, "a) thread");
	char byte = 'x';
	(void)!write(9, &byte, 1);
	for (;;) pause();
}

int main(int argc, char **argv)
{
	if (argc > 1) return child_main(argc, argv);
	int ends[2], status;
	char byte, path[100], link[200];
	CHECK(pipe(ends) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		setpgid(0, 0);
		dup2(ends[1], 9);
		close(ends[0]), close(ends[1]);
		int data = open("/tmp/proc-data", O_RDWR | O_CREAT | O_APPEND, 0600);
		dup2(data, 8);
		close(data);
		(void)!write(8, "12345", 5);
		chdir("/tmp");
		execle("/proc/self/exe", "first word", "", "last", NULL, (char *[]){ "ONE=1", "TWO=two words", NULL });
		_exit(1);
	}
	close(ends[1]);
	CHECK(read(ends[0], &byte, 1) == 1);
	until_state(child, 'S');

	CHECK(look(child, "cmdline") == 17 && memcmp(text, "first word\0\0last", 17) == 0);
	CHECK(look(child, "environ") == 20 && memcmp(text, "ONE=1\0TWO=two words", 20) == 0);
	CHECK(look(child, "comm") == 4 && strcmp(text, "exe\n") == 0);
	/* Where it sleeps, asked of its worker twice; who asks does not sleep there. It has said S on its way to sleep. */
	while (look(child, "wchan") == 1 && strcmp(text, "0") == 0) usleep(500);
	CHECK(look(child, "wchan") > 1 && strcmp(text, "do_sys_poll") == 0);
	CHECK(look(child, "wchan") > 1 && strcmp(text, "do_sys_poll") == 0);
	CHECK(look(getpid(), "wchan") == 1 && strcmp(text, "0") == 0);
	/* A kernel thread: kthreadd makes others now and then; it runs then, or sleeps until there is a worker for one. */
	while (look(2, "wchan") > 0 && strcmp(text, "kthreadd") != 0) usleep(500);
	CHECK(strcmp(text, "kthreadd") == 0);

	CHECK(look(child, "status") > 0 && strncmp(text, "Name:\texe\n", 10) == 0);
	CHECK_FIELD("State", "S (sleeping)");
	CHECK_FIELD("Umask", "0027");
	CHECK_FIELD("Tgid", number(child));
	CHECK_FIELD("Pid", number(child));
	CHECK_FIELD("PPid", number(getpid()));
	CHECK_FIELD("TracerPid", "0");
	CHECK_FIELD("Uid", "0\t0\t0\t0");
	CHECK_FIELD("Gid", "0\t0\t0\t0");
	CHECK_FIELD("Threads", "2");
	CHECK_FIELD("SigPnd", "0000000000002000");	/* SIGALRM of the thread itself, blocked */
	CHECK_FIELD("ShdPnd", "0000000000000000");
	CHECK_FIELD("SigBlk", "0000000000002000");
	CHECK_FIELD("SigIgn", "0000000000000800");
	CHECK(strcmp(field("SigCgt") + 8, "00000200") == 0 || strcmp(field("SigCgt"), "0000000300000200") == 0);
	long size = atol(field("VmSize")), data = atol(field("VmData"));
	CHECK(size > 100 && data > 0 && data <= size && strstr(field("VmSize"), " kB"));

	CHECK(look(child, "stat") > 0 && stat_field(4) == getpid() && stat_field(5) == child && stat_field(6) == getsid(0));
	CHECK(stat_field(19) == 5 && stat_field(18) == 25 && stat_field(20) == 2);
	CHECK(stat_field(23) == size * 1024LL && stat_field(24) * 4 == size);
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	long long began = stat_field(22) * 1000 / sysconf(_SC_CLK_TCK), is = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	CHECK(began <= is && is - began < 60000);

	/* What its areas add up to is its size. */
	CHECK(look(child, "maps") > 0);
	long long sum = 0;
	unsigned long last = 0, from, to;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		CHECK(sscanf(line, "%lx-%lx ", &from, &to) == 2 && from >= last && to > from);
		last = to;
		sum += to - from;
	}
	CHECK(sum == size * 1024LL);

	/* Its threads have names of their own, which end where 15 characters do, and the same size. */
	sprintf(path, "/proc/%d/task", child);
	DIR *folder = opendir(path);
	int threads = 0;
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		pid_t thread = atoi(entry->d_name);
		if (thread == 0) continue;
		threads++;
		if (thread == child) continue;
		until_state(thread, 'S');
		sprintf(path, "task/%d/comm", thread);
		CHECK(look(child, path) == 10 && strcmp(text, "a) thread\n") == 0);
		sprintf(path, "task/%d/status", thread);
		CHECK(look(child, path) > 0);
		CHECK_FIELD("Tgid", number(child));
		CHECK_FIELD("Pid", number(thread));
	}
	CHECK(threads == 2 && closedir(folder) == 0);

	/* Its files. */
	sprintf(path, "/proc/%d/fd/8", child);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link) > 0 && strcmp(link, "/tmp/proc-data") == 0);
	int same = open(path, O_RDONLY);
	char five[6] = "";
	CHECK(read(same, five, 5) == 5 && strcmp(five, "12345") == 0 && close(same) == 0);
	CHECK(look(child, "fdinfo/8") > 0 && strncmp(text, "pos:\t5\nflags:\t0", 15) == 0);
	unsigned flags = strtoul(text + 14, NULL, 8);
	CHECK((flags & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND));
	sprintf(path, "/proc/%d/fd/9", child);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link) > 0 && strncmp(link, "pipe:[", 6) == 0);
	sprintf(path, "/proc/%d/cwd", child);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link) > 0 && strcmp(link, "/tmp") == 0);
	sprintf(path, "/proc/%d/root", child);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link) > 0 && strcmp(link, "/") == 0);
	char own[200] = "";
	sprintf(path, "/proc/%d/exe", child);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link) > 0 && readlink("/proc/self/exe", own, sizeof own) > 0 && strcmp(link, own) == 0);

	/* Stopped, dead, and gone. */
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
	CHECK(look(child, "stat") > 0 && stat_field(3) == 'T');
	CHECK(kill(child, SIGKILL) == 0);
	until_state(child, 'Z');
	CHECK(look(child, "cmdline") == 0);
	CHECK(look(child, "maps") <= 0);
	CHECK(look(child, "status") > 0);
	CHECK_FIELD("State", "Z (zombie)");
	CHECK(waitpid(child, &status, 0) == child && look(child, "stat") == -1);

	/* A user sees little of what is another's. */
	child = fork();
	if (child == 0) {
		if (setuid(65534) != 0) _exit(1);
		int see_stat = look(1, "stat") > 0, see_environ = look(1, "environ") > 0, see_maps = look(1, "maps") > 0;
		_exit(see_stat && !see_environ && !see_maps ? 0 : 2);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);

	/* It may rewrite its name and its command line, and use time that is counted. */
	CHECK(prctl(PR_SET_NAME, "renamed (twice) here") == 0 && look(getpid(), "stat") > 0);
	CHECK(strstr(text, "(renamed (twice)) ") && stat_field(4) == getppid());
	strcpy(argv[0], "new");
	CHECK(look(getpid(), "cmdline") > 4 && memcmp(text, "new", 4) == 0);
	struct rusage usage;
	do look(getpid(), "stat"), getrusage(RUSAGE_SELF, &usage);
	while (stat_field(14) + stat_field(15) == 0);
	CHECK(usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec > 0);
	CHECK(usage.ru_maxrss > 100);
	unlink("/tmp/proc-data");
	puts("proc done");
	return failures != 0;
}
