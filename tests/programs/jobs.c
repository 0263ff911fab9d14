// SPDX-License-Identifier: MIT
// Sessions, process groups and their terminal: who may read and write, what keys send, orphans, hang-up.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

static int master, events[2];
static char terminal_name[64];

static volatile sig_atomic_t caught[65];
static void note(int signal) { caught[signal]++; }

static void tell(char what) { (void)!write(events[1], &what, 1); }
static char told(void) { char what = 0; return read(events[0], &what, 1) == 1 ? what : '?'; }

static int ended(pid_t child)
{
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int stopped_by(pid_t child)
{
	int status;
	if (waitpid(child, &status, WUNTRACED) != child) return -1;
	return WIFSTOPPED(status) ? WSTOPSIG(status) : 1000 + status;
}

/* What the terminal's other side shows from now on, until @text. */
static void expect(const char *text)
{
	static char shown[4096];
	size_t have = 0;
	while (!strstr(shown, text)) {
		ssize_t n = read(master, shown + have, sizeof shown - 1 - have);
		if (n <= 0 || (have += n) == sizeof shown - 1) {
			CHECK(!"shown");
			break;
		}
		shown[have] = '\0';
	}
	memset(shown, 0, sizeof shown);
}

/* A child in a group of its own, which becomes the foreground's if asked for. */
static pid_t job(int foreground, void (*function)(void))
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		setpgid(0, 0);
		if (foreground) {
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(0, getpid());
			signal(SIGTTOU, SIG_DFL);
		}
		tell('r');
		function();
		_exit(0);
	}
	setpgid(child, child);
	CHECK(told() == 'r');
	return child;
}

static void take_terminal(void)
{
	signal(SIGTTOU, SIG_IGN);
	CHECK(tcsetpgrp(0, getpgrp()) == 0 && tcgetpgrp(0) == getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

static void reads(void)
{
	char line[100];
	ssize_t n = read(0, line, sizeof line);
	_exit(n < 0 ? errno : n);
}
static void reads_ignoring(void) { signal(SIGTTIN, SIG_IGN); reads(); }
static void reads_catching(void)
{
	struct sigaction action = { .sa_handler = note };
	char c;
	sigaction(SIGTTIN, &action, NULL);
	_exit(read(0, &c, 1) == -1 && errno == EINTR && caught[SIGTTIN] == 1 ? 0 : 1);
}
static void writes(void) { _exit(write(0, "written\n", 8) == 8 ? 0 : errno); }
static void writes_ignoring(void) { signal(SIGTTOU, SIG_IGN); writes(); }
static void sets_group(void) { _exit(tcsetpgrp(0, getpgrp()) == 0 ? 0 : errno); }
static void sets_attributes(void)
{
	struct termios t;
	_exit(tcgetattr(0, &t) == 0 && tcsetattr(0, TCSANOW, &t) == 0 ? 0 : errno);
}
static void waits(void) { for (;;) pause(); }
static void waits_with_child(void)
{
	if (fork() == 0) tell('c');
	for (;;) pause();
}

static void background(void)
{
	int status;
	/* Reading stops it; in the foreground it goes on and gets its line. */
	pid_t child = job(0, reads);
	CHECK(stopped_by(child) == SIGTTIN);
	CHECK(kill(-child, SIGCONT) == 0 && stopped_by(child) == SIGTTIN);
	signal(SIGTTOU, SIG_IGN);
	CHECK(tcsetpgrp(0, child) == 0);
	signal(SIGTTOU, SIG_DFL);
	CHECK(kill(-child, SIGCONT) == 0 && write(master, "line\n", 5) == 5 && ended(child) == 5);
	take_terminal();
	CHECK(ended(job(0, reads_ignoring)) == EIO);
	CHECK(ended(job(0, reads_catching)) == 0);

	/* Writing stops it if the terminal says so. */
	CHECK(ended(job(0, writes)) == 0);
	expect("written");
	struct termios attributes;
	CHECK(tcgetattr(0, &attributes) == 0);
	attributes.c_lflag |= TOSTOP;
	CHECK(tcsetattr(0, TCSANOW, &attributes) == 0);
	child = job(0, writes);
	CHECK(stopped_by(child) == SIGTTOU);
	CHECK(ended(job(0, writes_ignoring)) == 0);
	expect("written");
	attributes.c_lflag &= ~TOSTOP;
	CHECK(tcsetattr(0, TCSANOW, &attributes) == 0);
	CHECK(kill(child, SIGCONT) == 0 && ended(child) == 0);
	expect("written");
	/* Changing it stops it in any case. */
	child = job(0, sets_group);
	CHECK(stopped_by(child) == SIGTTOU && tcgetpgrp(0) == getpgrp());
	CHECK(kill(child, SIGKILL) == 0 && ended(child) == 1000 + SIGKILL);
	child = job(0, sets_attributes);
	CHECK(stopped_by(child) == SIGTTOU && kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
	puts("background");
}

static void keys(void)
{
	static const struct { char key; int signal; } keys[] = { { 3, SIGINT }, { 28, SIGQUIT } };
	int status;
	for (int i = 0; i < 2; i++) {
		/* All of the group get it, and nobody else. */
		pid_t child = job(1, waits_with_child);
		CHECK(told() == 'c');
		CHECK(write(master, &keys[i].key, 1) == 1 && ended(child) == 1000 + keys[i].signal);
		while (kill(-child, 0) == 0) usleep(500);
		take_terminal();
	}
	pid_t child = job(1, waits);
	CHECK(write(master, "\x1a", 1) == 1 && stopped_by(child) == SIGTSTP);
	CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(write(master, "\x1a", 1) == 1 && stopped_by(child) == SIGTSTP);
	/* Death does not wait for it to be continued; another signal does. */
	CHECK(kill(child, SIGTERM) == 0 && waitpid(child, &status, WNOHANG | WUNTRACED) == 0);
	CHECK(kill(child, SIGCONT) == 0 && ended(child) == 1000 + SIGTERM);
	take_terminal();

	struct sigaction action = { .sa_handler = note };
	CHECK(sigaction(SIGWINCH, &action, NULL) == 0);
	struct winsize size = { .ws_row = 7, .ws_col = 77 }, now;
	CHECK(ioctl(master, TIOCSWINSZ, &size) == 0);
	while (!caught[SIGWINCH]) usleep(500);
	CHECK(ioctl(0, TIOCGWINSZ, &now) == 0 && now.ws_row == 7 && now.ws_col == 77);
	CHECK(ioctl(master, TIOCSWINSZ, &size) == 0 && caught[SIGWINCH] == 1);	/* no change */
	puts("keys, size");
}

static void groups(void)
{
	CHECK_ERROR(setsid(), EPERM);	/* leads a session */
	CHECK_ERROR(setpgid(0, 0), EPERM);
	CHECK_ERROR(setpgid(0, 99999), EPERM);
	CHECK_ERROR(setpgid(1, 1), ESRCH);
	CHECK_ERROR(setpgid(0, -1), EINVAL);
	CHECK_ERROR(getpgid(99999), ESRCH);
	CHECK_ERROR(kill(-99999, SIGTERM), ESRCH);
	pid_t one = job(0, waits), two = job(0, waits);
	CHECK(getpgid(one) == one && getsid(one) == getpid());
	CHECK(setpgid(two, one) == 0 && getpgid(two) == one);
	CHECK_ERROR(setpgid(two, 99999), EPERM);
	CHECK_ERROR(kill(-two, SIGTERM), ESRCH);
	CHECK(kill(-one, SIGTERM) == 0 && waitpid(-one, NULL, 0) > 0 && waitpid(-one, NULL, 0) > 0);
	CHECK_ERROR(waitpid(-one, NULL, 0), ECHILD);
	one = job(0, waits);
	CHECK(kill(one, SIGKILL) == 0 && ended(one) == 1000 + SIGKILL);
	/* A child that has executed a program keeps its group. */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		execlp("sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	char comm[20] = "", path[40];
	sprintf(path, "/proc/%d/comm", child);
	while (strcmp(comm, "sleep\n") != 0) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, comm, sizeof comm - 1);
		comm[n > 0 ? n : 0] = '\0';
		close(fd);
	}
	CHECK_ERROR(setpgid(child, child), EACCES);
	kill(child, SIGKILL);
	ended(child);
	/* The terminal's group is of this session, and there is one. */
	CHECK_ERROR(tcsetpgrp(0, 99999), ESRCH);
	CHECK_ERROR(tcsetpgrp(0, 1), EPERM);
	CHECK(tcgetsid(0) == getpid());
	puts("groups");
}

/* Its parent ends, so nobody is left who could continue it: it gets SIGHUP and SIGCONT if it is stopped. */
static void orphans(void)
{
	for (int is_stopped = 0; is_stopped < 2; is_stopped++) {
		int status;
		fflush(stdout);
		pid_t parent = fork();
		if (parent == 0) {
			pid_t self = getpid(), child = fork();
			if (child == 0) {
				setpgid(0, 0);
				struct sigaction action = { .sa_handler = note };
				sigaction(SIGHUP, &action, NULL);
				sigaction(SIGCONT, &action, NULL);
				if (is_stopped) raise(SIGSTOP);
				while (getppid() == self) usleep(500);
				/* Both are there by now, or never will be. */
				tell(caught[SIGHUP] == is_stopped && caught[SIGCONT] == is_stopped ? 'y' : 'n');
				/* Nobody could continue it: reading is an error instead, and these do not stop it. */
				char c;
				errno = 0;
				tell(read(0, &c, 1) == -1 && errno == EIO ? 'y' : 'n');
				raise(SIGTSTP);
				raise(SIGTTIN);
				tell('y');
				_exit(0);
			}
			setpgid(child, child);
			if (is_stopped) waitpid(child, &status, WUNTRACED);
			_exit(0);
		}
		CHECK(ended(parent) == 0);
		for (int i = 0; i < 3; i++) CHECK(told() == 'y');
	}
	puts("orphans");
}

/* The leader of the session on the terminal; its status tells. */
static int session(void)
{
	int slave = open(terminal_name, O_RDWR | O_NOCTTY);
	CHECK_ERROR(open("/dev/tty", O_RDWR), ENXIO);
	CHECK(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0 && dup2(slave, 0) == 0);
	int tty = open("/dev/tty", O_RDWR);
	CHECK(tty >= 0 && close(tty) == 0);
	close(slave);
	take_terminal();
	background();
	keys();
	groups();
	orphans();
	fflush(stdout);
	return failures != 0;
}

static int open_terminal(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), number;
	CHECK(fd >= 0 && unlockpt(fd) == 0 && ioctl(fd, TIOCGPTN, &number) == 0);
	sprintf(terminal_name, "/dev/pts/%d", number);
	return fd;
}

/* When the terminal goes, its session's leader is told; when the leader goes, the foreground is. */
static void hang_up(void)
{
	for (int leader_first = 0; leader_first < 2; leader_first++) {
		int report[2];
		CHECK(pipe(report) == 0);
		master = open_terminal();
		fflush(stdout);
		pid_t leader = fork();
		if (leader == 0) {
			int own = master;
			setsid();
			int slave = open(terminal_name, O_RDWR);
			close(own);
			dup2(slave, 0);
			pid_t child = job(1, waits);
			signal(SIGHUP, note);
			(void)!write(report[1], &child, sizeof child);
			if (leader_first) _exit(0);
			while (!caught[SIGHUP]) usleep(500);
			char c;
			_exit(kill(child, 0) == 0 && read(0, &c, 1) == 0 && write(0, "x", 1) == -1 && errno == EIO ? 0 : 1);
		}
		/* The child has the pipe's end, too, until it has ended. */
		close(report[1]);
		pid_t child;
		char c;
		CHECK(read(report[0], &child, sizeof child) == sizeof child);
		if (!leader_first) close(master);
		CHECK(ended(leader) == 0);
		CHECK(read(report[0], &c, 1) == 0);
		if (leader_first) close(master);
		close(report[0]);
	}
	puts("hang-up");
}

int main(void)
{
	CHECK(pipe(events) == 0);
	master = open_terminal();
	pid_t leader = fork();
	if (leader == 0) {
		if (setsid() < 0) _exit(1);
		exit(session());
	}
	CHECK(ended(leader) == 0);
	close(master);
	hang_up();
	return failures != 0;
}
