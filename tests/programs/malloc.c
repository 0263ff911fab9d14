// SPDX-License-Identifier: MIT
// The allocator: small, large, aligned, resized, and out of memory.
#include <malloc.h>
#include <stdint.h>
#include "check.h"

#define SLOTS 512

static unsigned char *slot[SLOTS];
static size_t length[SLOTS];

/* a sequence that is the same everywhere */
static uint32_t random_state = 1;
static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

int main(void)
{
	for (int round = 0; round < 50000; round++) {
		unsigned n = next_random() % SLOTS;
		if (slot[n]) {
			for (size_t i = 0; i < length[n]; i += 97)
				if (slot[n][i] != (unsigned char)(n + i)) CHECK(!"content kept");
			if (next_random() % 4) {
				free(slot[n]);
				slot[n] = NULL;
				continue;
			}
		}
		length[n] = next_random() % (round % 100 ? 2000 : 300000) + 1;
		slot[n] = realloc(slot[n], length[n]);
		CHECK(slot[n] != NULL && (uintptr_t)slot[n] % 16 == 0);
		for (size_t i = 0; i < length[n]; i++) slot[n][i] = n + i;
	}
	for (int n = 0; n < SLOTS; n++) free(slot[n]);

	for (size_t align = 16; align <= 65536; align *= 2) {
		void *p = aligned_alloc(align, align);
		CHECK(p && (uintptr_t)p % align == 0);
		free(p);
	}

	unsigned char *big = calloc(3, 5 << 20);
	CHECK(big != NULL);
	size_t sum = 0;
	for (size_t i = 0; i < (size_t)15 << 20; i += 511) sum += big[i];
	CHECK(sum == 0);
	free(big);

	/* by pointer: the compiler believes to know that malloc does not touch errno */
	void *(*volatile allocate)(size_t) = malloc;
	void *(*volatile allocate_array)(size_t, size_t) = calloc;
	CHECK(allocate(0xfffff000) == NULL && errno == ENOMEM);
	errno = 0;
	CHECK(allocate_array(0x80000001, 2) == NULL && errno == ENOMEM);
	puts("malloc done");
	return failures != 0;
}
