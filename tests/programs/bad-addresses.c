// SPDX-License-Identifier: MIT
// System calls go by the protection of pages: PROT_NONE, read-only pages and holes are EFAULT, or the end of what is done.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "check.h"

#define PAGE 4096
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static int zero, ends[2], pair[2];

static char *map(size_t length, int protection)
{
	char *p = mmap(NULL, length, protection, ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

/* Nothing of what is at @p can be read. */
static void check_unreadable(char *p)
{
	struct iovec vector = { p, 16 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	static uint32_t word;

	CHECK_ERROR(write(ends[1], p, 16), EFAULT);
	CHECK_ERROR(writev(ends[1], &vector, 1), EFAULT);
	CHECK_ERROR(syscall(SYS_writev, ends[1], p, 1), EFAULT);
	CHECK_ERROR(sendmsg(pair[0], &message, 0), EFAULT);
	CHECK_ERROR(send(pair[0], p, 16, 0), EFAULT);
	CHECK_ERROR(vmsplice(ends[1], &vector, 1, 0), EFAULT);
	CHECK_ERROR(chdir(p), EFAULT);
	CHECK_ERROR(open(p, O_RDONLY), EFAULT);
	CHECK_ERROR(mkdir(p, 0700), EFAULT);
	CHECK_ERROR(syscall(SYS_execve, p, NULL, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_execve, "/bin/true", p, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_execve, "/bin/true", (char *[]){ p, NULL }, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_ppoll_time64, p, 1, NULL, NULL, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_mount, p, "/tmp", "ramfs", 0, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_sethostname, p, 4), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, p, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1, p, 0), EFAULT);
}

static void check_unwritable(char *p)
{
	struct iovec vector = { p, 16 };
	static uint32_t word;

	CHECK_ERROR(read(zero, p, 16), EFAULT);
	CHECK_ERROR(readv(zero, &vector, 1), EFAULT);
	CHECK_ERROR(syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, p), EFAULT);
	CHECK_ERROR(uname((struct utsname *)p), EFAULT);
	CHECK_ERROR(syscall(SYS_pipe2, p, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_getcwd, p, 100), EFAULT);
	CHECK_ERROR(syscall(SYS_getrandom, p, 16, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_clock_gettime64, CLOCK_REALTIME, p), EFAULT);
	CHECK_ERROR(syscall(SYS_readlinkat, AT_FDCWD, "/proc/self", p, 100), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_getsockname, pair[0], &word, p), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, p, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1, p, 0), EFAULT);
}

/* Of two pages the second is bad: what lies in the first is done, and strings may end there. */
static void check_border(char *bad)
{
	char *good = bad - PAGE, text[2 * PAGE];
	int file = open("/tmp/bad-addresses", O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(good, 'x', PAGE);
	CHECK(write(file, bad - 100, 4096) == 100 && lseek(file, 0, SEEK_END) == 100);
	CHECK(pwrite(file, good, 2 * PAGE, 0) == PAGE);
	CHECK(pread(file, bad - 50, 100, 0) == 50);
	CHECK(write(ends[1], bad - 100, 200) == 100 || errno == EFAULT);
	while (read(ends[0], text, sizeof text) == (ssize_t)sizeof text)
		;
	CHECK(read(zero, bad - 10, 20) == 10 && bad[-1] == 0 && bad[-10] == 0 && bad[-11] == 'x');
	CHECK_ERROR(syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, bad - 8), EFAULT);
	/* a path that ends with its page, and one that does not end */
	strcpy(bad - 5, "/tmp");
	CHECK(access(bad - 5, F_OK) == 0);
	memcpy(bad - 4, "/tmp", 4);
	CHECK_ERROR(access(bad - 4, F_OK), EFAULT);
	CHECK(close(file) == 0 && unlink("/tmp/bad-addresses") == 0);
}

static void *thread_protects(void *p)
{
	CHECK(mprotect(p, PAGE, PROT_NONE) == 0);
	return NULL;
}

int main(void)
{
	char *p, *hole, *brk, text[64] = "";
	pthread_t thread;
	int status;
	pid_t child;

	zero = open("/dev/zero", O_RDWR);
	CHECK(zero >= 0 && pipe2(ends, O_NONBLOCK) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);

	p = map(2 * PAGE, PROT_NONE);
	check_unreadable(p);
	check_unwritable(p);
	CHECK(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0);
	check_border(p + PAGE);
	CHECK(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE) == 0 && read(zero, p, 2 * PAGE) == 2 * PAGE);
	puts("none");

	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	check_unwritable(p);
	CHECK(write(ends[1], p, 16) == 16 && read(ends[0], text, 16) == 16);
	/* what can be written or executed can be read, as on most machines */
	CHECK(mprotect(p, PAGE, PROT_WRITE) == 0 && write(ends[1], p, 16) == 16 && read(ends[0], text, 16) == 16);
	CHECK(mprotect(p, PAGE, PROT_EXEC) == 0 && write(ends[1], p, 16) == 16 && read(ends[0], text, 16) == 16);
	puts("read-only");

	/* holes: in the middle of a mapping, at its end, behind the break, and where none was ever mapped */
	hole = map(4 * PAGE, PROT_READ | PROT_WRITE);
	CHECK(munmap(hole + PAGE, PAGE) == 0);
	check_unreadable(hole + PAGE);
	check_unwritable(hole + PAGE);
	check_border(hole + PAGE);
	CHECK(read(zero, hole, PAGE) == PAGE && read(zero, hole + 2 * PAGE, 2 * PAGE) == 2 * PAGE);
	CHECK(munmap(hole + 3 * PAGE, PAGE) == 0);
	check_border(hole + 3 * PAGE);
	brk = (char *)syscall(SYS_brk, 0);
	CHECK((char *)syscall(SYS_brk, brk + 3 * PAGE) == brk + 3 * PAGE && read(zero, brk, 3 * PAGE) == 3 * PAGE);
	CHECK((char *)syscall(SYS_brk, brk) == brk);
	check_unwritable((char *)(((uintptr_t)brk + PAGE - 1) & -PAGE));
	p = mremap(hole + 2 * PAGE, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED && read(zero, p, 64 * PAGE) == 64 * PAGE);
	if (p != hole + 2 * PAGE) check_unwritable(hole + 2 * PAGE);
	CHECK(munmap(p, 64 * PAGE) == 0 && munmap(hole, PAGE) == 0);
	check_unreadable(p);
	puts("holes");

	/* the kernel itself fills a mapping that the program may not write */
	int file = open("/tmp/bad-addresses", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(write(file, "contents", 8) == 8);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(p != MAP_FAILED && memcmp(p, "contents", 9) == 0);
	check_unwritable(p);
	CHECK(mprotect(p, PAGE, PROT_NONE) == 0 && madvise(p, PAGE, MADV_DONTNEED) == 0);
	check_unreadable(p);
	CHECK(mprotect(p, PAGE, PROT_READ) == 0 && memcmp(p, "contents", 9) == 0);
	CHECK(munmap(p, PAGE) == 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	CHECK(p != MAP_FAILED && memcmp(p, "contents", 9) == 0 && pwrite(file, "C", 1, 0) == 1 && p[0] == 'C');
	check_unwritable(p);
	CHECK(munmap(p, PAGE) == 0 && close(file) == 0 && unlink("/tmp/bad-addresses") == 0);
	puts("files");

	/* a child has the same, another thread changes it for all, a debugger may do more than a neighbour */
	p = map(3 * PAGE, PROT_READ | PROT_WRITE);
	memset(p, 'p', 2 * PAGE);
	CHECK(mprotect(p, PAGE, PROT_NONE) == 0 && munmap(p + 2 * PAGE, PAGE) == 0);
	child = fork();
	if (child == 0) {
		check_unreadable(p);
		check_border(p + 2 * PAGE);
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 && raise(SIGSTOP) == 0);
		_exit(failures != 0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	struct iovec local = { text, 16 }, remote = { p, 16 };
	CHECK_ERROR(process_vm_readv(child, &local, 1, &remote, 1, 0), EFAULT);
	CHECK_ERROR(process_vm_writev(child, &local, 1, &remote, 1, 0), EFAULT);
	remote.iov_base = p + PAGE - 8;
	CHECK_ERROR(process_vm_readv(child, &local, 1, &remote, 1, 0), EFAULT);
	remote.iov_base = p + 2 * PAGE - 8;
	CHECK(process_vm_readv(child, &local, 1, &remote, 1, 0) == 8);
	errno = 0;
	CHECK((int)ptrace(PTRACE_PEEKDATA, child, p, 0) == 0x70707070 && errno == 0);
	CHECK(ptrace(PTRACE_POKEDATA, child, p, 0) == 0);
	CHECK_ERROR(ptrace(PTRACE_PEEKDATA, child, p + 2 * PAGE, 0), EIO);
	CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && status == 0);
	CHECK(pthread_create(&thread, NULL, thread_protects, p + PAGE) == 0 && pthread_join(thread, NULL) == 0);
	check_unwritable(p + PAGE);
	puts("others");

	/* large copies: more pages than a word has bits, and more than one table describes */
	size_t large = 80 << 20;
	p = mmap(NULL, large, PROT_READ | PROT_WRITE, ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && read(zero, p, large) == (ssize_t)large);
	CHECK(mprotect(p + large - PAGE, PAGE, PROT_READ) == 0);
	CHECK(read(zero, p, large) == (ssize_t)large - PAGE);
	CHECK(mprotect(p + 100 * PAGE, PAGE, PROT_NONE) == 0 && read(zero, p, large) == 100 * PAGE);
	CHECK(read(zero, p + 101 * PAGE, large) == (ssize_t)large - 102 * PAGE);
	CHECK(munmap(p, large) == 0);
	CHECK_ERROR(read(zero, p, large), EFAULT);
	puts("large");
	return failures != 0;
}
