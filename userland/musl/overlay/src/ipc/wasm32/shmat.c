// SPDX-License-Identifier: MIT
// shmat(). It notes that the memory is shared, so that atomic operations on it
// become system calls.
#include <sys/shm.h>
#include "atomic.h"
#include "syscall.h"

void *shmat(int id, const void *addr, int flag)
{
	struct shmid_ds info;
	void *start = (void *)syscall(SYS_shmat, id, addr, flag);
	/*
	 * A process that may attach a segment may ask for its size. This fails
	 * only if the segment is gone by now.
	 */
	if (start != (void *)-1)
		__note_shared(start, shmctl(id, IPC_STAT, &info) ? 0 : info.shm_segsz);
	return start;
}
