// SPDX-License-Identifier: MIT
// qsort and qsort_r: every width and order of elements, as few comparisons as they may take, and comparisons that contradict themselves.
#define _GNU_SOURCE
#include <stdint.h>
#include "check.h"

#define MOST 3000
#define WIDEST 100

static size_t width;
static long comparisons;
static unsigned state = 1;
/* What is sorted, between two parts that must stay as they are. */
static unsigned char memory[WIDEST * (MOST + 2)], before[WIDEST * (MOST + 2)];

static unsigned next_random(void)
{
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static int by_bytes(const void *a, const void *b)
{
	comparisons++;
	return memcmp(a, b, width);
}
static int by_argument(const void *a, const void *b, void *argument) { return memcmp(a, b, *(size_t *)argument); }
static int by_chance(const void *a, const void *b) { return (int)(next_random() % 3) - 1; }
static int always_more(const void *a, const void *b) { return 1; }
static int always_less(const void *a, const void *b) { return -1; }

enum { RANDOM, RISING, FALLING, SAME, FEW, SAW, PIPES, ORDERS };

static unsigned key(int order, unsigned i, unsigned count)
{
	switch (order) {
	case RANDOM: return next_random();
	case RISING: return i;
	case FALLING: return count - i;
	case SAME: return 5;
	case FEW: return next_random() % 4;
	case SAW: return i % 2 ? i : count - i;
	default: return i < count / 2 ? i : count - i;
	}
}

static void fill(int order, unsigned count)
{
	memset(memory, 0xee, sizeof memory);
	for (unsigned i = 0; i < count; i++) {
		unsigned char *element = memory + width * (i + 1);
		unsigned value = key(order, i, count);
		for (size_t k = 0; k < width; k++) element[k] = value >> 8 * (3 - k % 4);
	}
	memcpy(before, memory, sizeof memory);
}

/* A sum over the elements that does not depend on their order: none is lost, doubled or mixed with another. */
static uint64_t sum_of(const unsigned char *element, unsigned count)
{
	uint64_t sum = 0;
	for (; count--; element += width) {
		uint64_t hash = 14695981039346656037u;
		for (size_t k = 0; k < width; k++) hash = (hash ^ element[k]) * 1099511628211u;
		sum += hash;
	}
	return sum;
}

static int is_intact(unsigned count)
{
	size_t size = width * count;
	return memcmp(memory, before, width) == 0 && memcmp(memory + width + size, before + width + size, width) == 0 &&
		sum_of(memory + width, count) == sum_of(before + width, count);
}

static int is_sorted(unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		if (memcmp(memory + width * i, memory + width * (i + 1), width) > 0) return 0;
	return 1;
}

static void sort_all(void)
{
	static const size_t widths[] = { 1, 2, 3, 4, 5, 7, 8, 12, 16, 33, WIDEST };
	static int (*const odd[])(const void *, const void *) = { by_chance, always_more, always_less };
	int wrong = 0;
	for (unsigned w = 0; w < sizeof widths / sizeof *widths; w++) for (int order = 0; order < ORDERS; order++)
		for (unsigned count = 0; count <= MOST; count = count < 50 ? count + 1 : count * 3 / 2) {
			width = widths[w];
			fill(order, count);
			comparisons = 0;
			qsort(memory + width, count, width, by_bytes);
			long most = count;
			for (unsigned left = count; left; left /= 2) most += 3 * count;
			wrong += !is_sorted(count) || !is_intact(count) || comparisons > most;
			fill(order, count);
			qsort_r(memory + width, count, width, by_argument, &width);
			wrong += !is_sorted(count) || !is_intact(count);
			for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
				qsort(memory + width, count, width, odd[i]);
				wrong += !is_intact(count);
			}
		}
	CHECK(wrong == 0);
}

/* McIlroy, "A killer adversary for quicksort" (1999): it decides what is smaller when it is asked, so that each pivot is the worst one. */
static int value[20000], solid, gas, candidate;
static int adversary(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;
	comparisons++;
	if (value[a] == gas && value[b] == gas) value[a == candidate ? a : b] = solid++;
	if (value[a] == gas) candidate = a;
	else if (value[b] == gas) candidate = b;
	return value[a] - value[b];
}

static void worst_case(void)
{
	static int number[20000];
	int count = sizeof number / sizeof *number, wrong = 0;
	gas = count - 1;
	for (int i = 0; i < count; i++) number[i] = i, value[i] = gas;
	comparisons = 0;
	qsort(number, count, sizeof *number, adversary);
	for (int i = 1; i < count; i++) wrong += value[number[i - 1]] > value[number[i]];
	/* n log n is 286,000; the square of n would be 400 million. */
	CHECK(wrong == 0 && comparisons < 2000000);
}

int main(void)
{
	sort_all();
	worst_case();
	/* Nothing to do. */
	qsort(memory, 0, 4, by_bytes);
	qsort(memory, 10, 0, by_bytes);
	puts(failures ? "failed" : "sorted");
	return failures != 0;
}
