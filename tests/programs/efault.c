// SPDX-License-Identifier: MIT
// A wild pointer given to a system call is EFAULT, never a trap and never someone else's memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

int main(void)
{
	/* beyond the end of the memory, at the very end of the address space, and around its wrap */
	uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * 65536;
	uintptr_t wild[] = { end, end + 1, 0x7ffffff0, 0x80000000, 0xc0000000, 0xfffffff0, 0xffffffff };
	int ends[2], fd = open("/dev/zero", O_RDWR);
	CHECK(fd >= 0 && pipe(ends) == 0);
	CHECK(write(ends[1], "some data", 9) == 9);

	for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++) {
		void *p = (void *)wild[i];
		/* raw system calls: the C library would touch some of these itself */
		CHECK_ERROR(syscall(SYS_read, fd, p, 16), EFAULT);
		CHECK_ERROR(syscall(SYS_read, ends[0], p, 4), EFAULT);
		CHECK_ERROR(syscall(SYS_write, ends[1], p, 16), EFAULT);
		CHECK_ERROR(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY), EFAULT);
		CHECK_ERROR(syscall(SYS_uname, p), EFAULT);
		CHECK_ERROR(syscall(SYS_pipe2, p, 0), EFAULT);
		CHECK_ERROR(syscall(SYS_clock_gettime64, CLOCK_REALTIME, p), EFAULT);
		CHECK_ERROR(syscall(SYS_getcwd, p, 100), EFAULT);
		CHECK_ERROR(syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, p), EFAULT);
		CHECK_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, NULL, 8), EFAULT);
		CHECK_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8), EFAULT);
		CHECK_ERROR(syscall(SYS_getrandom, p, 16, 0), EFAULT);
		CHECK_ERROR(syscall(SYS_ppoll_time64, p, 1, NULL, NULL, 8), EFAULT);
		CHECK_ERROR(syscall(SYS_writev, ends[1], p, 1), EFAULT);
		CHECK_ERROR(syscall(SYS_execve, p, NULL, NULL), EFAULT);
		CHECK_ERROR(syscall(SYS_execve, "/bin/true", p, NULL), EFAULT);
		CHECK_ERROR(syscall(SYS_futex_time64, p, 0, 0, NULL, NULL, 0), wild[i] % 4 ? EINVAL : EFAULT);
	}
	/* null pointers, and members of structures at them */
	for (uintptr_t null = 0; null < 4096; null += 1000) {
		void *p = (void *)null;
		CHECK_ERROR(syscall(SYS_read, fd, p, 16), EFAULT);
		CHECK_ERROR(syscall(SYS_write, ends[1], p, 16), EFAULT);
		CHECK(syscall(SYS_read, fd, p, 0) == 0);
		CHECK_ERROR(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY), EFAULT);
		CHECK_ERROR(syscall(SYS_uname, p), EFAULT);
		CHECK_ERROR(syscall(SYS_pipe2, p, 0), EFAULT);
		CHECK_ERROR(syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, p), EFAULT);
		CHECK_ERROR(syscall(SYS_execveat, AT_FDCWD, p, NULL, NULL, 0), EFAULT);
		CHECK_ERROR(syscall(SYS_futex_time64, p, 0, 0, NULL, NULL, 0), EFAULT);
	}
	/* a range that begins inside and ends outside */
	char *hole = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
	CHECK(munmap(hole, 4096) == 0);
	CHECK_ERROR(syscall(SYS_read, fd, hole - 8 + 9, 100), EFAULT);
	CHECK(syscall(SYS_read, fd, hole - 8, 4096) == 8);
	/* as much of it as there is: a file is written page by page, and each page is tried until all or nothing is gone */
	int file = open("/tmp/efault", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(syscall(SYS_write, file, hole - 100, 4096) == 100);
	CHECK(lseek(file, 0, SEEK_END) == 100 && close(file) == 0 && unlink("/tmp/efault") == 0);
	struct iovec part = { (void *)0xffff0000, 0x1000 };
	CHECK_ERROR(syscall(SYS_writev, ends[1], &part, 1), EFAULT);

	/* futexes whose word the kernel itself changes: nobody can bring in what is not there */
	static uint32_t word;
	void *aligned = (void *)end;
	CHECK_ERROR(syscall(SYS_futex_time64, aligned, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, aligned, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, aligned, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, &word, FUTEX_WAKE_OP, 1, 1, aligned, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_futex_time64, &word, FUTEX_CMP_REQUEUE_PI, 1, 1, aligned, 0), EFAULT);

	/* lengths that wrap around */
	char small[16];
	CHECK_ERROR(syscall(SYS_getrandom, (void *)0xfffffff8, 16, 0), EFAULT);
	ssize_t n = syscall(SYS_write, ends[1], small, 0xffffffff);
	CHECK(n == -1 && (errno == EINVAL || errno == EFAULT));

	char text[16] = "";
	CHECK(read(ends[0], text, sizeof text) == 9 && strcmp(text, "some data") == 0);	/* nothing was lost */
	puts("efault done");
	return failures != 0;
}
