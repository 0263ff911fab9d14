// SPDX-License-Identifier: MIT
// Fences stay in a program: of two threads that each store, and then load what
// the other stores, one sees the other's store.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ROUNDS = 200000 };

// Plain accesses: atomic ones are fences themselves in wasm.
static volatile int x, y, seen_x, seen_y;
static atomic_int begun, done;

static void *other(void *unused)
{
	(void)unused;
	for (int round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&begun) != round) {
		}
		x = 1;
		atomic_thread_fence(memory_order_seq_cst);
		seen_y = y;
		atomic_store(&done, round);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int missed = 0;

	if (pthread_create(&thread, NULL, other, NULL)) return 1;
	for (int round = 1; round <= ROUNDS; round++) {
		x = 0;
		y = 0;
		atomic_store(&begun, round);
		// Both store at the same moment in some of the rounds.
		for (volatile int delay = round % 64; delay > 0; delay--) {
		}
		y = 1;
		atomic_thread_fence(memory_order_seq_cst);
		seen_x = x;
		while (atomic_load(&done) != round) {
		}
		missed += !seen_x && !seen_y;
	}
	pthread_join(thread, NULL);
	printf("%d stores were not seen\n", missed);
	return 0;
}
