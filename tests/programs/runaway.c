// SPDX-License-Identifier: MIT
// Ends programs that make no system calls, while twice as many of them as there are CPUs go on in the background.
// "runaway CASE..." prints "CASE STATUS MILLISECONDS" for each: the status as a shell shows it (128 + signal), and the
// time from the cause to the return of waitpid. "runaway list" lists the cases.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

/* Seconds for one case: one that hangs must not take the others with it. */
enum { PATIENCE = 30 };

static const char *self;
static int ready[2];

static void say_ready(void) { write(ready[1], "", 1); }
static void await_ready(void)
{
	char byte;
	CHECK(read(ready[0], &byte, 1) == 1);
}

static void spin(void)
{
	say_ready();
	for (;;) { }
}

/* Threads say it to their own process only. */
static sem_t thread_ready;
static void start_thread(void *(*function)(void *))
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, function, NULL) == 0);
	while (sem_wait(&thread_ready) != 0) { }
}
static void *spin_in_thread(void *argument)
{
	sem_post(&thread_ready);
	for (;;) { }
}

static double milliseconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static int shell_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/* Clock ticks in user mode, as /proc has them. */
static long user_time(pid_t process)
{
	char name[32], text[512], *field;
	long user = -1;
	snprintf(name, sizeof name, "/proc/%d/stat", process);
	int file = open(name, O_RDONLY);
	ssize_t length = read(file, text, sizeof text - 1);
	close(file);
	CHECK(length > 0);
	text[length > 0 ? length : 0] = '\0';
	field = strrchr(text, ')');
	CHECK(field != NULL && sscanf(field + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld", &user) == 1);
	return user;
}

/* What said that it is ready may not have come back from that system call yet. */
static void await_spinning(pid_t process)
{
	await_ready();
	while (user_time(process) == 0) usleep(1000);
}

/* Runs the function in a child until it spins. */
static pid_t spinner(void (*function)(void))
{
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		sem_init(&thread_ready, 0, 0);
		function();
		_exit(99);
	}
	await_spinning(child);
	return child;
}

static int end_by_signal(int signal, void (*function)(void), double *took)
{
	pid_t child = spinner(function);
	int status = 0;
	double start = milliseconds();
	CHECK(kill(child, signal) == 0 && waitpid(child, &status, 0) == child);
	*took = milliseconds() - start;
	return shell_status(status);
}

static int kill_9(double *took) { return end_by_signal(SIGKILL, spin, took); }
static int kill_15(double *took) { return end_by_signal(SIGTERM, spin, took); }
static int kill_int(double *took) { return end_by_signal(SIGINT, spin, took); }
static int kill_real_time(double *took) { return end_by_signal(SIGRTMIN, spin, took); }

/* The same process group with many spinners: one signal ends all. */
static int kill_group(double *took)
{
	enum { MEMBERS = 5 };
	pid_t members[MEMBERS];
	int status, result = 0;
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = spinner(spin);
		CHECK(setpgid(members[i], members[0]) == 0);
	}
	double start = milliseconds();
	CHECK(kill(-members[0], SIGTERM) == 0);
	for (int i = 0; i < MEMBERS; i++) {
		CHECK(waitpid(members[i], &status, 0) == members[i]);
		CHECK(result == 0 || result == shell_status(status));
		result = shell_status(status);
	}
	*took = milliseconds() - start;
	return result;
}

/* A timer of the process itself; the time is what it is late. */
static void spin_with_alarm(void)
{
	struct itimerval soon = { .it_value = { 0, 500000 } };
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	spin();
}
static int itimer_real(double *took)
{
	int status = 0;
	double start = milliseconds();
	pid_t child = spinner(spin_with_alarm);
	CHECK(waitpid(child, &status, 0) == child);
	*took = milliseconds() - start - 500;
	CHECK(*took >= 0);
	return shell_status(status);
}

/* Timers of CPU time: the time is what the child used too much. */
static void spin_with_virtual_timer(void)
{
	struct itimerval soon = { .it_value = { 0, 200000 } };
	CHECK(setitimer(ITIMER_VIRTUAL, &soon, NULL) == 0);
	spin();
}
static void spin_with_cpu_limit(void)
{
	struct rlimit limit = { 1, 3 };
	CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
	spin();
}
static void spin_with_hard_cpu_limit(void)
{
	struct rlimit limit = { 1, 2 };
	CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
	signal(SIGXCPU, SIG_IGN);
	spin();
}
static int end_by_cpu_time(void (*function)(void), double limit, double *took)
{
	struct rusage usage;
	int status;
	pid_t child = spinner(function);
	CHECK(wait4(child, &status, 0, &usage) == child);
	*took = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3 - limit;
	return shell_status(status);
}
static int itimer_virtual(double *took) { return end_by_cpu_time(spin_with_virtual_timer, 200, took); }
static int cpu_limit(double *took) { return end_by_cpu_time(spin_with_cpu_limit, 1000, took); }
static int hard_cpu_limit(double *took) { return end_by_cpu_time(spin_with_hard_cpu_limit, 2000, took); }

/* ---- threads ---- */

static void start_spinning_threads(void)
{
	for (int i = 0; i < 3; i++) start_thread(spin_in_thread);
}

/* All threads spin, the main one too. */
static void spin_in_all_threads(void)
{
	start_spinning_threads();
	spin();
}
static int threads_killed(double *took) { return end_by_signal(SIGKILL, spin_in_all_threads, took); }
static int threads_terminated(double *took) { return end_by_signal(SIGTERM, spin_in_all_threads, took); }

/* The main thread is gone (a zombie in /proc), but the process is not. */
static void *spin_after_main(void *argument)
{
	char text[64] = "", state = 0;
	sem_post(&thread_ready);
	while (state != 'Z') {
		int file = open("/proc/self/stat", O_RDONLY);
		read(file, text, sizeof text - 1);
		close(file);
		sscanf(text, "%*d (runaway) %c", &state);
		usleep(1000);
	}
	spin();
	return NULL;
}
static void spin_without_main(void)
{
	start_thread(spin_after_main);
	pthread_exit(NULL);
}
static int main_thread_gone(double *took) { return end_by_signal(SIGTERM, spin_without_main, took); }

/*
 * What a thread does when a signal asks for it, beside others that spin: by a handler, so that the time counts
 * from the signal on.
 */
static void (*then)(void);
static void handler(int signal) { then(); }
static void *obey(void *argument)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	say_ready();
	for (;;) pause();
}
static void prepare_to_obey(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	signal(SIGUSR1, handler);
	/* the other threads do not take it */
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
}
static void obey_in_thread(void)
{
	prepare_to_obey();
	pthread_t thread;
	start_spinning_threads();
	CHECK(pthread_create(&thread, NULL, obey, NULL) == 0);
	for (;;) { }
}
static void obey_in_main(void)
{
	prepare_to_obey();
	start_spinning_threads();
	obey(NULL);
}

static void end_with_7(void) { _exit(7); }
static void execute(void)
{
	execl(self, self, "end", (char *)NULL);
	_exit(98);
}
static void trap(void) { __builtin_trap(); }
static void abort_now(void) { abort(); }

static int obeyed(void (*what)(void), void (*function)(void), double *took)
{
	then = what;
	return end_by_signal(SIGUSR1, function, took);
}
static int exit_group_in_thread(double *took) { return obeyed(end_with_7, obey_in_thread, took); }
static int exit_group_in_main(double *took) { return obeyed(end_with_7, obey_in_main, took); }
static int exec_in_thread(double *took) { return obeyed(execute, obey_in_thread, took); }
static int exec_in_main(double *took) { return obeyed(execute, obey_in_main, took); }
static int trap_in_thread(double *took) { return obeyed(trap, obey_in_thread, took); }
static int abort_in_thread(double *took) { return obeyed(abort_now, obey_in_thread, took); }

/* fork takes only the calling thread along. */
static void fork_and_end(void)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) _exit(5);
	_exit(waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 97);
}
static int fork_in_thread(double *took) { return obeyed(fork_and_end, obey_in_thread, took); }

/* ---- the terminal goes away ---- */

/*
 * A session on a pseudo-terminal whose foreground job spins. Its leader waits for the job and ends as it did, or
 * only sleeps, and then this process adopts the job.
 */
struct session {
	int terminal;
	pid_t leader, spinner;
};
static void start_session(struct session *session, int leader_waits)
{
	char name[32];
	int number = -1, zero = 0, there[2];
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && pipe(there) == 0);
	session->terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(session->terminal >= 0);
	CHECK(ioctl(session->terminal, TIOCSPTLCK, &zero) == 0 && ioctl(session->terminal, TIOCGPTN, &number) == 0);
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	session->leader = fork();
	if (session->leader == 0) {
		close(session->terminal);
		setsid();
		int terminal = open(name, O_RDWR);
		CHECK(terminal >= 0);
		pid_t child = fork();
		if (child == 0) {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			CHECK(tcsetpgrp(terminal, getpid()) == 0);
			spin();
		}
		write(there[1], &child, sizeof child);
		while (!leader_waits) pause();
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		_exit(shell_status(status));
	}
	CHECK(read(there[0], &session->spinner, sizeof session->spinner) == sizeof session->spinner);
	await_spinning(session->spinner);
	close(there[0]);
	close(there[1]);
}
static int end_session(const struct session *session, int leader_status, double start, double *took)
{
	int status;
	CHECK(waitpid(session->leader, &status, 0) == session->leader && shell_status(status) == leader_status);
	CHECK(waitpid(session->spinner, &status, 0) == session->spinner);
	*took = milliseconds() - start;
	return shell_status(status);
}
static int terminal_closed(double *took)
{
	struct session session;
	start_session(&session, 0);
	double start = milliseconds();
	CHECK(close(session.terminal) == 0);
	return end_session(&session, 128 + SIGHUP, start, took);
}
static int session_leader_killed(double *took)
{
	struct session session;
	start_session(&session, 0);
	double start = milliseconds();
	CHECK(kill(session.leader, SIGKILL) == 0);
	int status = end_session(&session, 128 + SIGKILL, start, took);
	close(session.terminal);
	return status;
}
static int key(char key, double *took)
{
	struct session session;
	int status = 0;
	start_session(&session, 1);
	double start = milliseconds();
	CHECK(write(session.terminal, &key, 1) == 1 && waitpid(session.leader, &status, 0) == session.leader);
	*took = milliseconds() - start;
	close(session.terminal);
	return shell_status(status);
}
static int control_c(double *took) { return key(3, took); }
static int control_backslash(double *took) { return key(28, took); }

/* ---- CPU time ---- */

enum { MOST_BACKGROUND = 32 };
static pid_t background[MOST_BACKGROUND];
static int background_count;

static void end_background(void)
{
	for (int i = 0; i < background_count; i++) kill(background[i], SIGKILL);
}
static void no_patience_left(int signal)
{
	static const char text[] = "no end\n";
	write(1, text, sizeof text - 1);
	end_background();
	_exit(124);
}

/* The spinners share all CPUs: the status is what /proc says they used of them in a second, in percent. */
static int cpu_time_shown(double *took)
{
	long before[MOST_BACKGROUND], sum = 0;
	for (int i = 0; i < background_count; i++) before[i] = user_time(background[i]);
	double start = milliseconds();
	sleep(1);
	double seconds = (milliseconds() - start) / 1e3;
	for (int i = 0; i < background_count; i++) {
		long used = user_time(background[i]) - before[i];
		CHECK(used > 0);
		sum += used;
	}
	*took = 0;
	return 100. * sum / sysconf(_SC_CLK_TCK) / sysconf(_SC_NPROCESSORS_ONLN) / seconds;
}

static const struct {
	const char *name;
	int (*run)(double *took);
} cases[] = {
	{ "kill-9", kill_9 },
	{ "kill", kill_15 },
	{ "kill-INT", kill_int },
	{ "kill-RTMIN", kill_real_time },
	{ "kill-group", kill_group },
	{ "itimer-real", itimer_real },
	{ "itimer-virtual", itimer_virtual },
	{ "cpu-limit", cpu_limit },
	{ "hard-cpu-limit", hard_cpu_limit },
	{ "threads-kill-9", threads_killed },
	{ "threads-kill", threads_terminated },
	{ "main-thread-gone", main_thread_gone },
	{ "exit_group-in-thread", exit_group_in_thread },
	{ "exit_group-in-main", exit_group_in_main },
	{ "exec-in-thread", exec_in_thread },
	{ "exec-in-main", exec_in_main },
	{ "trap-in-thread", trap_in_thread },
	{ "abort-in-thread", abort_in_thread },
	{ "fork-in-thread", fork_in_thread },
	{ "terminal-closed", terminal_closed },
	{ "session-leader-killed", session_leader_killed },
	{ "Ctrl-C", control_c },
	{ "Ctrl-backslash", control_backslash },
	{ "cpu-time", cpu_time_shown },
};

int main(int argc, char **argv)
{
	const int count = sizeof cases / sizeof *cases;
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "end") == 0) return 7;
	if (argc > 1 && strcmp(argv[1], "list") == 0) {
		for (int i = 0; i < count; i++) puts(cases[i].name);
		return 0;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	CHECK(pipe(ready) == 0);
	signal(SIGALRM, no_patience_left);
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN) && background_count + 2 <= MOST_BACKGROUND; cpu++) {
		background[background_count++] = spinner(spin);
		background[background_count++] = spinner(spin);
	}
	for (int i = 1; i < argc; i++)
		for (int k = 0; k < count; k++) {
			double took;
			if (strcmp(argv[i], cases[k].name) != 0) continue;
			alarm(PATIENCE);
			printf("%s ", cases[k].name);
			int status = cases[k].run(&took);
			printf("%d %.2f\n", status, took);
		}
	alarm(PATIENCE);
	end_background();
	for (int i = 0; i < background_count; i++) {
		int status;
		CHECK(waitpid(background[i], &status, 0) == background[i] && shell_status(status) == 128 + SIGKILL);
	}
	return failures != 0;
}
