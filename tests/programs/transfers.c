// SPDX-License-Identifier: MIT
// Calls that would lend pages of the program to the kernel: asynchronous input and output, vmsplice, O_DIRECT.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "check.h"

#define FILE_NAME "/tmp/transfers"

static int get_events(aio_context_t context, int least, int most, struct io_event *events, long long *timeout)
{
	return syscall(SYS_io_pgetevents_time64, context, least, most, events, timeout, NULL);
}

static void asynchronous(void)
{
	aio_context_t context = 0, other = 0;
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char text[16] = "";
	struct iocb write_it = {
		.aio_data = 7, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd,
		.aio_buf = (uintptr_t)"asynchronous", .aio_nbytes = 12, .aio_offset = 5,
	}, read_it = {
		.aio_data = 8, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
		.aio_buf = (uintptr_t)text, .aio_nbytes = 16, .aio_offset = 5,
	}, *both[] = { &write_it, &read_it };
	struct io_event events[4];

	CHECK(syscall(SYS_io_setup, 128, &context) == 0 && context != 0);
	CHECK_ERROR(syscall(SYS_io_setup, 128, &context), EINVAL);
	CHECK(syscall(SYS_io_setup, 1, &other) == 0 && other != context);
	CHECK(syscall(SYS_io_submit, context, 2, both) == 2);
	CHECK(get_events(context, 2, 4, events, NULL) == 2);
	CHECK(events[0].data == 7 && events[0].res == 12 && events[1].data == 8 && events[1].res == 12);
	CHECK(events[0].obj == (uintptr_t)&write_it && strcmp(text, "asynchronous") == 0);
	/* more rounds than the ring has places */
	for (int i = 0; i < 1000; i++) {
		CHECK(syscall(SYS_io_submit, context, 2, both) == 2);
		CHECK(get_events(context, 2, 4, events, NULL) == 2 && events[1].res == 12);
	}
	/* the other has none */
	CHECK(get_events(other, 0, 1, events, (long long[]){ 0, 1000 }) == 0);
	read_it.aio_buf = (uintptr_t)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(syscall(SYS_io_submit, context, 1, both + 1) == 1);
	CHECK(get_events(context, 1, 4, events, NULL) == 1 && events[0].res == -EFAULT);
	/* contexts are not inherited */
	pid_t child = fork();
	if (child == 0) _exit(syscall(SYS_io_submit, context, 2, both) != -1 || errno != EINVAL);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(syscall(SYS_io_destroy, context) == 0 && syscall(SYS_io_destroy, other) == 0);
	CHECK_ERROR(syscall(SYS_io_submit, context, 2, both), EINVAL);
	CHECK(close(fd) == 0 && unlink(FILE_NAME) == 0);
	puts("aio");
}

static void spliced(void)
{
	size_t size = 75 * 4096, done = 0;
	char *data = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *back = data + size;
	struct iovec vector = { data, size }, two[] = { { "ab", 2 }, { "cde", 3 } };
	int ends[2], fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(pipe(ends) == 0 && vmsplice(ends[1], two, 2, 0) == 5 && read(ends[0], back, 10) == 5 && memcmp(back, "abcde", 5) == 0);
	for (size_t i = 0; i < size; i++) data[i] = i * 7 + (i >> 8);
	/* as much as the pipe has room for, and what is there now */
	while (vector.iov_len) {
		ssize_t n = vmsplice(ends[1], &vector, 1, SPLICE_F_GIFT);
		CHECK(n > 0 && n <= 65536);
		if (n <= 0) break;
		vector.iov_base = (char *)vector.iov_base + n;
		vector.iov_len -= n;
		CHECK(splice(ends[0], NULL, fd, NULL, n, 0) == n);
	}
	while (done < size && pread(fd, back + done, size - done, done) > 0) done += 65536;
	CHECK(memcmp(data, back, size) == 0);
	CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	vector = (struct iovec){ data, size };
	CHECK(vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK) == 65536);
	CHECK_ERROR(vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK), EAGAIN);
	vector.iov_len = 65536;
	vector.iov_base = back;
	memset(back, 0, size);
	CHECK(vmsplice(ends[0], &vector, 1, 0) == 65536 && memcmp(data, back, 65536) == 0);
	CHECK(close(fd) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0 && unlink(FILE_NAME) == 0);
	CHECK(munmap(data, 2 * size) == 0);
	puts("vmsplice");
}

static void direct(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);

	memset(page, 'd', 4096);
	CHECK(fd >= 0 && fcntl(fd, F_GETFL) & O_DIRECT);
	CHECK(pwrite(fd, page, 4096, 4096) == 4096 && pread(fd, page + 4096, 4096, 4096) == 4096 && page[8191] == 'd');
	CHECK(fcntl(fd, F_SETFL, 0) == 0 && fcntl(fd, F_SETFL, O_DIRECT) == 0 && pread(fd, page, 4096, 0) == 4096 && page[0] == 0);
	CHECK(close(fd) == 0 && unlink(FILE_NAME) == 0);
	puts("direct");
}

int main(void)
{
	asynchronous();
	spliced();
	direct();
	return failures != 0;
}
