// SPDX-License-Identifier: MIT
// Every cancellation point of POSIX that can wait: cancelled while it waits, and before. Then deferred and asynchronous mode.
#define _GNU_SOURCE
#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int empty[2], full[2], sockets[2], full_sockets[2], listener, locked, terminal, file;
static int queue_empty, queue_full;
static mqd_t mq_empty, mq_full;
static sem_t semaphore, ready;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_t other;
static sigset_t usr2;
static char buffer[8192];
static struct iovec vector = { buffer, 1 };
static struct { long type; char text[100]; } message = { 1, "" };
static const struct timespec minute = { 60, 0 };

static struct timespec in_a_minute(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += 60;
	return now;
}

static void do_read(void) { read(empty[0], buffer, 1); }
static void do_readv(void) { readv(empty[0], &vector, 1); }
static void do_write(void) { write(full[1], buffer, sizeof buffer); }
static void do_writev(void) { writev(full[1], &(struct iovec){ buffer, sizeof buffer }, 1); }
static void do_open(void) { close(open("/tmp/cancellation-fifo", O_RDONLY)); }
static void do_creat(void) { close(creat("/tmp/cancellation-fifo", 0600)); }
static void do_recv(void) { recv(sockets[0], buffer, 1, 0); }
static void do_recvfrom(void) { recvfrom(sockets[0], buffer, 1, 0, NULL, NULL); }
static void do_recvmsg(void) { recvmsg(sockets[0], &(struct msghdr){ .msg_iov = &vector, .msg_iovlen = 1 }, 0); }
static void do_send(void) { send(full_sockets[0], buffer, sizeof buffer, 0); }
static void do_sendto(void) { sendto(full_sockets[0], buffer, sizeof buffer, 0, NULL, 0); }
static void do_sendmsg(void)
{
	struct iovec large = { buffer, sizeof buffer };
	sendmsg(full_sockets[0], &(struct msghdr){ .msg_iov = &large, .msg_iovlen = 1 }, 0);
}
static void do_accept(void) { close(accept(listener, NULL, NULL)); }
static void do_poll(void) { poll(&(struct pollfd){ empty[0], POLLIN }, 1, -1); }
static void do_ppoll(void) { ppoll(&(struct pollfd){ empty[0], POLLIN }, 1, NULL, NULL); }
static void do_select(void) { fd_set set; FD_ZERO(&set); FD_SET(empty[0], &set); select(empty[0] + 1, &set, NULL, NULL, NULL); }
static void do_pselect(void) { fd_set set; FD_ZERO(&set); FD_SET(empty[0], &set); pselect(empty[0] + 1, &set, NULL, NULL, NULL, NULL); }
static void do_sleep(void) { sleep(60); }
static void do_usleep(void) { usleep(60000000); }
static void do_nanosleep(void) { nanosleep(&minute, NULL); }
static void do_clock_nanosleep(void) { clock_nanosleep(CLOCK_MONOTONIC, 0, &minute, NULL); }
static void do_pause(void) { pause(); }
static void do_sigsuspend(void) { sigset_t none; sigemptyset(&none); sigsuspend(&none); }
static void do_sigwait(void) { int number; sigwait(&usr2, &number); }
static void do_sigwaitinfo(void) { sigwaitinfo(&usr2, NULL); }
static void do_sigtimedwait(void) { sigtimedwait(&usr2, NULL, &minute); }
static void do_wait(void) { wait(NULL); }
static void do_waitpid(void) { waitpid(-1, NULL, 0); }
static void do_waitid(void) { siginfo_t info; waitid(P_ALL, 0, &info, WEXITED); }
static void do_sem_wait(void) { sem_wait(&semaphore); }
static void do_sem_timedwait(void) { struct timespec end = in_a_minute(); sem_timedwait(&semaphore, &end); }
static void unlock(void *unused) { pthread_mutex_unlock(&mutex); }
static void do_cond_wait(void)
{
	pthread_mutex_lock(&mutex);
	/* It has the mutex again when it is cancelled. */
	pthread_cleanup_push(unlock, NULL);
	pthread_cond_wait(&condition, &mutex);
	pthread_cleanup_pop(1);
}
static void do_cond_timedwait(void)
{
	struct timespec end = in_a_minute();
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock, NULL);
	pthread_cond_timedwait(&condition, &mutex, &end);
	pthread_cleanup_pop(1);
}
static void do_join(void) { pthread_join(other, NULL); }
static void do_mq_receive(void) { mq_receive(mq_empty, buffer, sizeof buffer, NULL); }
static void do_mq_timedreceive(void) { struct timespec end = in_a_minute(); mq_timedreceive(mq_empty, buffer, sizeof buffer, NULL, &end); }
static void do_mq_send(void) { mq_send(mq_full, buffer, 1, 0); }
static void do_mq_timedsend(void) { struct timespec end = in_a_minute(); mq_timedsend(mq_full, buffer, 1, 0, &end); }
static void do_msgrcv(void) { msgrcv(queue_empty, &message, sizeof message.text, 0, 0); }
static void do_msgsnd(void) { msgsnd(queue_full, &message, sizeof message.text, 0); }
static void do_fcntl(void) { fcntl(locked, F_SETLKW, &(struct flock){ .l_type = F_WRLCK }); }
static void do_lockf(void) { lockf(locked, F_LOCK, 0); }
static void do_system(void) { system("exec sleep 60"); }
static void do_aio_suspend(void)
{
	struct aiocb control = { .aio_fildes = empty[0], .aio_buf = buffer, .aio_nbytes = 1 };
	const struct aiocb *list[] = { &control };
	/* Not begun, it is in progress for ever. */
	control.__err = EINPROGRESS;
	aio_suspend(list, 1, NULL);
}
static void do_close(void) { close(dup(file)); }
static void do_connect(void) { connect(sockets[0], (struct sockaddr *)buffer, 0); }
static void do_fsync(void) { fsync(file); }
static void do_fdatasync(void) { fdatasync(file); }
static void do_msync(void) { msync(0, 0, MS_SYNC); }
static void do_pread(void) { pread(file, buffer, 1, 0); }
static void do_pwrite(void) { pwrite(file, buffer, 1, 0); }
static void do_openat(void) { close(openat(AT_FDCWD, "/dev/null", O_RDONLY)); }
static void do_tcdrain(void) { tcdrain(terminal); }
static void do_testcancel(void) { pthread_testcancel(); }

static const struct {
	const char *name;
	void (*function)(void);
	enum { WAITS, DOES_NOT } waits;
} points[] = {
	{ "read", do_read }, { "readv", do_readv }, { "write", do_write }, { "writev", do_writev },
	{ "open", do_open }, { "creat", do_creat }, { "recv", do_recv }, { "recvfrom", do_recvfrom },
	{ "recvmsg", do_recvmsg }, { "send", do_send }, { "sendto", do_sendto }, { "sendmsg", do_sendmsg },
	{ "accept", do_accept }, { "poll", do_poll }, { "ppoll", do_ppoll }, { "select", do_select },
	{ "pselect", do_pselect }, { "sleep", do_sleep }, { "usleep", do_usleep }, { "nanosleep", do_nanosleep },
	{ "clock_nanosleep", do_clock_nanosleep }, { "pause", do_pause }, { "sigsuspend", do_sigsuspend },
	{ "sigwait", do_sigwait }, { "sigwaitinfo", do_sigwaitinfo }, { "sigtimedwait", do_sigtimedwait },
	{ "wait", do_wait }, { "waitpid", do_waitpid }, { "waitid", do_waitid }, { "sem_wait", do_sem_wait },
	{ "sem_timedwait", do_sem_timedwait }, { "pthread_cond_wait", do_cond_wait },
	{ "pthread_cond_timedwait", do_cond_timedwait }, { "pthread_join", do_join }, { "mq_receive", do_mq_receive },
	{ "mq_timedreceive", do_mq_timedreceive }, { "mq_send", do_mq_send }, { "mq_timedsend", do_mq_timedsend },
	{ "msgrcv", do_msgrcv }, { "msgsnd", do_msgsnd }, { "fcntl", do_fcntl }, { "lockf", do_lockf },
	{ "system", do_system }, { "aio_suspend", do_aio_suspend },
	{ "close", do_close, DOES_NOT }, { "connect", do_connect, DOES_NOT }, { "fsync", do_fsync, DOES_NOT },
	{ "fdatasync", do_fdatasync, DOES_NOT }, { "msync", do_msync, DOES_NOT }, { "pread", do_pread, DOES_NOT },
	{ "pwrite", do_pwrite, DOES_NOT }, { "openat", do_openat, DOES_NOT }, { "tcdrain", do_tcdrain, DOES_NOT },
	{ "pthread_testcancel", do_testcancel, DOES_NOT },
};

static int cleaned;
static void clean(void *argument) { cleaned++; }
static volatile pid_t thread_id;

static void *wait_there(void *argument)
{
	pthread_cleanup_push(clean, NULL);
	thread_id = gettid();
	sem_post(&ready);
	points[(size_t)argument].function();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *come_cancelled(void *argument)
{
	int old;
	pthread_cleanup_push(clean, NULL);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_cancel(pthread_self());
	pthread_testcancel();	/* not now */
	pthread_setcancelstate(old, NULL);
	points[(size_t)argument].function();
	pthread_cleanup_pop(0);
	return NULL;
}

static void wait_semaphore(sem_t *s) { while (sem_wait(s) != 0) { } }

static void set_up(void)
{
	CHECK(pipe(empty) == 0 && pipe2(full, O_NONBLOCK) == 0);
	while (write(full[1], buffer, sizeof buffer) > 0) { }
	CHECK(fcntl(full[1], F_SETFL, 0) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, full_sockets) == 0);
	while (send(full_sockets[0], buffer, sizeof buffer, 0) > 0) { }
	CHECK(fcntl(full_sockets[0], F_SETFL, 0) == 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&(sa_family_t){ AF_UNIX }, sizeof(sa_family_t)) == 0 && listen(listener, 1) == 0);
	CHECK(mkfifo("/tmp/cancellation-fifo", 0600) == 0);
	queue_empty = msgget(IPC_PRIVATE, 0600);
	queue_full = msgget(IPC_PRIVATE, 0600);
	while (msgsnd(queue_full, &message, sizeof message.text, IPC_NOWAIT) == 0) { }
	struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 100 };
	mq_unlink("/cancellation-full");
	mq_empty = mq_open("/cancellation-empty", O_RDWR | O_CREAT, 0600, &attributes);
	mq_full = mq_open("/cancellation-full", O_RDWR | O_CREAT, 0600, &attributes);
	CHECK(mq_empty >= 0 && mq_full >= 0 && mq_send(mq_full, "x", 1, 0) == 0);
	CHECK(sem_init(&semaphore, 0, 0) == 0 && sem_init(&ready, 0, 0) == 0);
	terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	file = open("/tmp/cancellation", O_RDWR | O_CREAT, 0600);
	locked = open("/tmp/cancellation", O_RDWR);
	CHECK(terminal >= 0 && file >= 0 && locked >= 0);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	CHECK(pthread_sigmask(SIG_BLOCK, &usr2, NULL) == 0);
	/* A child that holds the lock, and that wait() waits for. */
	pid_t child = fork();
	if (child == 0) {
		CHECK(fcntl(file, F_SETLK, &(struct flock){ .l_type = F_WRLCK }) == 0);
		write(sockets[1], "x", 1);
		for (;;) pause();
	}
	CHECK(recv(sockets[0], buffer, 1, 0) == 1);
	thread_id = child;
}

static void *forever(void *unused)
{
	for (;;) pause();
	return NULL;
}

/* Asynchronous: a thread that is not at a cancellation point. Here it is noticed at the next system call. */
static volatile int counter;
static void *asynchronous(void *unused)
{
	int old;
	pthread_cleanup_push(clean, NULL);
	CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old) == 0 && old == PTHREAD_CANCEL_DEFERRED);
	sem_post(&ready);
	for (;;) counter++, getppid();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *deferred(void *unused)
{
	pthread_cleanup_push(clean, NULL);
	sem_post(&ready);
	while (!counter) getppid();
	counter = 2;
	pthread_testcancel();
	counter = 3;
	pthread_cleanup_pop(0);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	void *result;
	int tested = 0;
	set_up();
	pid_t child = thread_id;
	CHECK(pthread_create(&other, NULL, forever, NULL) == 0);
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		if (points[i].waits == WAITS) {
			cleaned = 0;
			CHECK(pthread_create(&thread, NULL, wait_there, (void *)i) == 0);
			wait_semaphore(&ready);
			wait_until_asleep(thread_id);
			CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
			if (result != PTHREAD_CANCELED || cleaned != 1) {
				printf("%s: not cancelled while it waited\n", points[i].name);
				failures++;
			}
			tested++;
		}
		cleaned = 0;
		CHECK(pthread_create(&thread, NULL, come_cancelled, (void *)i) == 0 && pthread_join(thread, &result) == 0);
		if (result != PTHREAD_CANCELED || cleaned != 1) {
			printf("%s: not cancelled before\n", points[i].name);
			failures++;
		}
		tested++;
	}
	printf("%d points\n", tested);
	/* What was cancelled has taken nothing. */
	CHECK(fcntl(empty[0], F_SETFL, O_NONBLOCK) == 0 && write(empty[1], "y", 1) == 1);
	CHECK(read(empty[0], buffer, 10) == 1 && *buffer == 'y');
	CHECK(pthread_mutex_trylock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);

	cleaned = 0;
	CHECK(pthread_create(&thread, NULL, asynchronous, NULL) == 0);
	wait_semaphore(&ready);
	CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1);
	counter = cleaned = 0;
	CHECK(pthread_create(&thread, NULL, deferred, NULL) == 0);
	wait_semaphore(&ready);
	CHECK(pthread_cancel(thread) == 0);
	counter = 1;
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && cleaned == 1 && counter == 2);
	CHECK(pthread_setcancelstate(77, NULL) == EINVAL && pthread_setcanceltype(77, NULL) == EINVAL);
	puts("modes");
	kill(child, SIGKILL);
	CHECK(waitpid(child, NULL, 0) == child);
	msgctl(queue_empty, IPC_RMID, NULL);
	msgctl(queue_full, IPC_RMID, NULL);
	mq_unlink("/cancellation-empty");
	mq_unlink("/cancellation-full");
	unlink("/tmp/cancellation");
	unlink("/tmp/cancellation-fifo");
	return failures != 0;
}
