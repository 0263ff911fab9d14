// SPDX-License-Identifier: MIT
// Seals of memfd_create, and what mmap and mprotect allow of shared mappings.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include "check.h"

#define PAGE 4096
#define SHARED_VALIDATE 3

static int sealed(int seals)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	CHECK(fd >= 0 && fcntl(fd, F_GET_SEALS) == 0 && write(fd, "0123456789", 10) == 10);
	CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0 && fcntl(fd, F_GET_SEALS) == seals);
	return fd;
}

static void *map(int fd, int protection)
{
	return mmap(NULL, PAGE, protection, MAP_SHARED, fd, 0);
}

static void seals(void)
{
	char *p, path[40];
	int fd = memfd_create("never sealed", 0), other;

	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	CHECK_ERROR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);

	fd = sealed(F_SEAL_SHRINK);
	CHECK_ERROR(ftruncate(fd, 5), EPERM);
	CHECK(ftruncate(fd, 20) == 0);
	close(fd);
	fd = sealed(F_SEAL_GROW);
	CHECK_ERROR(ftruncate(fd, 20), EPERM);
	CHECK_ERROR(pwrite(fd, "x", 1, 10), EPERM);
	CHECK_ERROR(fallocate(fd, 0, 0, 20), EPERM);
	CHECK(pwrite(fd, "x", 1, 9) == 1 && ftruncate(fd, 5) == 0);
	close(fd);

	fd = sealed(F_SEAL_WRITE | F_SEAL_SEAL);
	CHECK_ERROR(pwrite(fd, "x", 1, 0), EPERM);
	CHECK_ERROR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5), EPERM);
	CHECK_ERROR(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
	errno = 0;
	CHECK(map(fd, PROT_READ | PROT_WRITE) == MAP_FAILED && errno == EPERM);
	p = map(fd, PROT_READ);
	CHECK(p != MAP_FAILED && memcmp(p, "0123456789", 10) == 0);
	CHECK_ERROR(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(munmap(p, PAGE) == 0);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && munmap(p, PAGE) == 0);
	sprintf(path, "/proc/self/fd/%d", fd);
	other = open(path, O_RDONLY);
	CHECK(other >= 0 && fcntl(other, F_GET_SEALS) == (F_SEAL_WRITE | F_SEAL_SEAL));
	close(other);
	close(fd);

	/* while somebody may store, it cannot be sealed; but the future can */
	fd = sealed(0);
	p = map(fd, PROT_READ | PROT_WRITE);
	CHECK_ERROR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK(fcntl(fd, F_ADD_SEALS, 0x10 /* F_SEAL_FUTURE_WRITE */) == 0);
	p[0] = 'S';
	CHECK(pread(fd, path, 2, 0) == 2 && path[0] == 'S' && path[1] == '1');
	CHECK_ERROR(pwrite(fd, "x", 1, 0), EPERM);
	CHECK(map(fd, PROT_READ | PROT_WRITE) == MAP_FAILED);
	CHECK(munmap(p, PAGE) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	close(fd);
	CHECK_ERROR(fcntl(0, F_GET_SEALS), EINVAL);

	fd = memfd_create("not executable", 8 /* MFD_NOEXEC_SEAL */);
	struct stat status;
	CHECK(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 0111) == 0);
	CHECK(fcntl(fd, F_GET_SEALS) == 0x20 /* F_SEAL_EXEC */);
	CHECK_ERROR(fchmod(fd, 0777), EPERM);
	CHECK(fchmod(fd, 0600) == 0);
	close(fd);
	puts("seals");
}

static int attached(int id)
{
	struct shmid_ds status;

	CHECK(shmctl(id, IPC_STAT, &status) == 0);
	return status.shm_nattch;
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, 5 * PAGE, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, 0);

	CHECK(p != (void *)-1 && q != (void *)-1 && attached(id) == 2);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0 && munmap(p + 3 * PAGE, PAGE) == 0);
	CHECK(shmdt(p) == 0 && attached(id) == 1);
	CHECK(msync(p, PAGE, MS_ASYNC) == -1 && msync(p + PAGE, PAGE, MS_ASYNC) == -1 && msync(p + 4 * PAGE, PAGE, MS_ASYNC) == -1);
	CHECK_ERROR(shmdt(p), EINVAL);
	/* what is left of it, though its beginning is not */
	CHECK(munmap(q, PAGE) == 0 && attached(id) == 1 && shmdt(q) == 0 && attached(id) == 0);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	puts("segments");
}

static void mappings(void)
{
	int fd = open("/tmp/seals", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int zero = open("/dev/zero", O_RDONLY);
	char *p;

	CHECK(ftruncate(fd, PAGE) == 0);
	p = mmap(NULL, PAGE, PROT_READ, SHARED_VALIDATE, fd, 0);
	CHECK(p != MAP_FAILED && munmap(p, PAGE) == 0);
	errno = 0;
	CHECK(mmap(NULL, PAGE, PROT_READ, SHARED_VALIDATE | 1 << 22, fd, 0) == MAP_FAILED && errno == EOPNOTSUPP);
	errno = 0;
	CHECK(mmap(NULL, PAGE, PROT_READ, SHARED_VALIDATE | 0x80000 /* MAP_SYNC */, fd, 0) == MAP_FAILED && errno == EOPNOTSUPP);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | 1 << 22, fd, 0);
	CHECK(p != MAP_FAILED && munmap(p, PAGE) == 0);
	errno = 0;
	CHECK(mmap(NULL, PAGE, PROT_READ, SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	close(fd);
	unlink("/tmp/seals");

	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, zero, 0);
	CHECK(p != MAP_FAILED && p[0] == 0);
	CHECK_ERROR(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(munmap(p, PAGE) == 0);
	errno = 0;
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0) == MAP_FAILED && errno == EACCES);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
	CHECK(p != MAP_FAILED && munmap(p, PAGE) == 0);
	close(zero);
	puts("mappings");
}

static void files(void)
{
	struct statvfs before, after;
	int fd;

	CHECK(statvfs("/tmp", &before) == 0 && before.f_files > before.f_ffree && before.f_ffree > 0);
	fd = open("/tmp/seals", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(statvfs("/tmp", &after) == 0 && after.f_files - after.f_ffree == before.f_files - before.f_ffree + 1);
	CHECK(close(fd) == 0 && unlink("/tmp/seals") == 0);
	CHECK(statvfs("/tmp", &after) == 0 && after.f_files - after.f_ffree == before.f_files - before.f_ffree);
	puts("files");
}

int main(void)
{
	seals();
	segments();
	mappings();
	files();
	CHECK_ERROR(waitpid(INT_MIN, NULL, 0), ESRCH);
	CHECK_ERROR(wait4(INT_MIN, NULL, 0, NULL), ESRCH);
	pid_t child = fork();
	if (child == 0) _exit(7);
	int status;
	CHECK(waitpid(-getpgrp(), &status, 0) == child && WEXITSTATUS(status) == 7);
	puts("wait");
	return failures != 0;
}
