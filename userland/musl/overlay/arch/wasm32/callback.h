/* SPDX-License-Identifier: MIT */
/*
 * Calls of functions that the program hands to the library. C programs pass ones
 * of another type than the library calls, most often "void handler()" without a
 * prototype as a signal handler. Other machines ignore what the function does not
 * take or give; WebAssembly checks the type and traps. So such calls go by the
 * type that the function has, which the linking compiler writes down
 * (__function_shapes, wasm32-linux-musl-clang).
 */
#ifndef CALLBACK_H
#define CALLBACK_H
#include <features.h>
#include <stdint.h>

/*
 * By the number of parameters, all of them one word, and whether there is a result. The compiler wrapper has the same numbers, and
 * gives the types of other functions of the program the numbers from OTHER_SHAPES on.
 */
enum function_shape {
	UNKNOWN_SHAPE,
	VOID_0, WORD_0,
	VOID_1, WORD_1,
	VOID_2, WORD_2,
	VOID_3, WORD_3,
	VOID_4, WORD_4,
	OTHER_SHAPES,
};

/* The shape of each function in the table. */
extern hidden const unsigned char __function_shapes[];
extern hidden const unsigned __function_shapes_count;

/* What the function does not take is left out, what it takes besides is 0; the result is 0 if it has none. A union sigval is one word, too: clang passes its address. */
hidden uintptr_t __call_by_shape(uintptr_t function, enum function_shape declared,
	uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);

#define CALLBACK4(declared, function, a, b, c, d) \
	__call_by_shape((uintptr_t)(function), declared, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d))
#define CALLBACK3(declared, function, a, b, c) CALLBACK4(declared, function, a, b, c, 0)
#define CALLBACK2(declared, function, a, b) CALLBACK4(declared, function, a, b, 0, 0)
#define CALLBACK1(declared, function, a) CALLBACK4(declared, function, a, 0, 0, 0)
#define CALLBACK(declared, function) CALLBACK4(declared, function, 0, 0, 0, 0)

/* Whether a call of the declared type does not trap, as far as is known. */
static inline int __has_shape(uintptr_t function, enum function_shape declared)
{
	return function >= __function_shapes_count ||
		__function_shapes[function] == declared || __function_shapes[function] == UNKNOWN_SHAPE;
}

/* A call of an int (const void *, const void *), where calls are what takes the time. */
#define COMPARISON(function, a, b) \
	(__has_shape((uintptr_t)(function), WORD_2) ? (function)(a, b) : (int)CALLBACK2(WORD_2, function, a, b))

#endif
