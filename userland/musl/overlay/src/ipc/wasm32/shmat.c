// SPDX-License-Identifier: MIT
// shmat(), which notes the memory as shared: atomic operations on it are system calls.
#include <sys/shm.h>
#include "atomic.h"
#include "syscall.h"

void *shmat(int id, const void *addr, int flag)
{
	struct shmid_ds info;
	void *start = (void *)syscall(SYS_shmat, id, addr, flag);
	/* Who may attach it may ask for its size, unless it is gone by now. */
	if (start != (void *)-1)
		__note_shared(start, shmctl(id, IPC_STAT, &info) ? 0 : info.shm_segsz);
	return start;
}
