// SPDX-License-Identifier: MIT
// CPU-bound work without a C library: the same source is native code, a plain WebAssembly module, and a program in the guest.
//
// compute(test, count) does `count` units of work and returns a value that depends on all of it.
// With REACHABLE_FORK each test calls a function that may fork after each unit, so that asyncify instruments it.

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define EXPORTED __attribute__((export_name("compute")))
#else
#define EXPORTED
#endif

#ifdef REACHABLE_FORK
void unit_done(void);
#else
static void unit_done(void)
{
}
#endif

enum { CRC32, SIEVE, MULTIPLY, INTERPRETER, SORT, SORT_BY, MATRIX };

static unsigned char bytes[1 << 16];
static uint32_t table[256];

static uint32_t crc32(int count)
{
	uint32_t crc = ~0u;

	for (uint32_t i = 0; i < 256; ++i) {
		uint32_t c = i;

		for (int k = 0; k < 8; ++k)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
	for (size_t i = 0; i < sizeof(bytes); ++i)
		bytes[i] = (unsigned char)(i * 31);
	while (count--) {
		for (size_t i = 0; i < sizeof(bytes); ++i)
			crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
		unit_done();
	}
	return ~crc;
}

static uint32_t sieve(int count)
{
	uint32_t primes = 0;

	while (count--) {
		for (size_t i = 0; i < sizeof(bytes); ++i)
			bytes[i] = 1;
		for (size_t i = 2; i < sizeof(bytes); ++i) {
			if (!bytes[i])
				continue;
			++primes;
			for (size_t k = i + i; k < sizeof(bytes); k += i)
				bytes[k] = 0;
		}
		unit_done();
	}
	return primes;
}

static uint32_t multiply(int count)
{
	uint64_t x = 88172645463325252ull, sum = 0;

	while (count--) {
		for (int i = 0; i < 65536; ++i) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			sum += x * 0x9e3779b97f4a7c15ull;
		}
		unit_done();
	}
	return (uint32_t)(sum ^ (sum >> 32));
}

// A loop over a small register machine: sums i * i for i in 0 .. 9999.
static uint32_t interpreter(int count)
{
	static const unsigned char program[] = { 0, 1, 2, 1, 1, 3, 2, 4, 0, 3, 5 };
	uint32_t result = 0;

	while (count--) {
		uint32_t i = 0, square = 0, sum = 0;
		size_t at = 0;

		for (;;) {
			switch (program[at]) {
			case 0: square = i; at = 1; break;
			case 1: square *= i; at = 2; break;
			case 2: sum += square; at = 5; break;
			case 3: ++i; at = 7; break;
			case 4: at = i < 10000 ? 0 : 10; break;
			default: goto done;
			}
		}
done:
		result += sum;
		unit_done();
	}
	return result;
}

static uint32_t numbers[1 << 14];

static void quicksort(uint32_t *first, uint32_t *last)
{
	while (first < last) {
		uint32_t pivot = first[(last - first) / 2];
		uint32_t *low = first, *high = last;

		while (low <= high) {
			while (*low < pivot)
				++low;
			while (*high > pivot)
				--high;
			if (low <= high) {
				uint32_t swap = *low;

				*low++ = *high;
				*high-- = swap;
			}
		}
		quicksort(first, high);
		first = low;
	}
}

// The same with the order given as a function, as for qsort(): an indirect call may reach anything, fork included.
typedef int (*order)(uint32_t left, uint32_t right);

static int is_less(uint32_t left, uint32_t right)
{
	return left < right;
}

static const volatile order given_order = is_less;

static void quicksort_by(uint32_t *first, uint32_t *last, order less)
{
	while (first < last) {
		uint32_t pivot = first[(last - first) / 2];
		uint32_t *low = first, *high = last;

		while (low <= high) {
			while (less(*low, pivot))
				++low;
			while (less(pivot, *high))
				--high;
			if (low <= high) {
				uint32_t swap = *low;

				*low++ = *high;
				*high-- = swap;
			}
		}
		quicksort_by(first, high, less);
		first = low;
	}
}

static uint32_t sort(int count, order less)
{
	const size_t n = sizeof(numbers) / sizeof(*numbers);
	uint32_t seed = 1, sum = 0;

	while (count--) {
		for (size_t i = 0; i < n; ++i)
			numbers[i] = seed = seed * 1664525u + 1013904223u;
		if (less)
			quicksort_by(numbers, numbers + n - 1, less);
		else
			quicksort(numbers, numbers + n - 1);
		sum += numbers[n / 2];
		unit_done();
	}
	return sum;
}

enum { SIDE = 96 };
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

static uint32_t matrix(int count)
{
	for (int i = 0; i < SIDE; ++i)
		for (int k = 0; k < SIDE; ++k) {
			a[i][k] = i + k;
			b[i][k] = i - k;
		}
	while (count--) {
		for (int i = 0; i < SIDE; ++i)
			for (int k = 0; k < SIDE; ++k) {
				double sum = 0;

				for (int j = 0; j < SIDE; ++j)
					sum += a[i][j] * b[j][k];
				c[i][k] = sum;
			}
		a[0][0] += c[1][1] * 1e-9;
		unit_done();
	}
	return (uint32_t)(int64_t)c[SIDE - 1][SIDE - 1];
}

EXPORTED uint32_t compute(int test, int count)
{
	switch (test) {
	case CRC32: return crc32(count);
	case SIEVE: return sieve(count);
	case MULTIPLY: return multiply(count);
	case INTERPRETER: return interpreter(count);
	case SORT: return sort(count, NULL);
	case SORT_BY: return sort(count, given_order);
	default: return matrix(count);
	}
}
