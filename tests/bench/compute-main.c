// SPDX-License-Identifier: MIT
// Times compute.c where there is a C library: "compute-main COUNT..." prints the best of five runs of each test in ns.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint32_t compute(int test, int count);

#ifdef REACHABLE_FORK
static volatile int forks_wanted;

void unit_done(void)
{
	if (forks_wanted)
		fork();
}
#endif

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	for (int test = 0; test < argc - 1; ++test) {
		double best = 1e18;
		uint32_t result = 0;

		for (int round = 0; round < 5; ++round) {
			double start = now();

			result = compute(test, atoi(argv[test + 1]));
			double took = now() - start;

			if (took < best)
				best = took;
		}
		printf("%d %.0f %u\n", test, best, result);
	}
	return 0;
}
