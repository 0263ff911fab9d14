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

/* By the number of parameters, all of them one word, and whether there is a result. The compiler wrapper has the same numbers. */
enum function_shape {
	UNKNOWN_SHAPE,
	VOID_0, WORD_0,
	VOID_1, WORD_1,
	VOID_2, WORD_2,
	VOID_3, WORD_3,
};

/* The result is 0 if the function has none. A union sigval is one word, too: clang passes its address. */
hidden uintptr_t __call_by_shape(uintptr_t function, enum function_shape declared,
	uintptr_t a, uintptr_t b, uintptr_t c);

#define CALLBACK(declared, function) \
	__call_by_shape((uintptr_t)(function), declared, 0, 0, 0)
#define CALLBACK1(declared, function, a) \
	__call_by_shape((uintptr_t)(function), declared, (uintptr_t)(a), 0, 0)
#define CALLBACK3(declared, function, a, b, c) \
	__call_by_shape((uintptr_t)(function), declared, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c))

#endif
