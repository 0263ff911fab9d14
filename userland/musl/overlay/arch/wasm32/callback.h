/* SPDX-License-Identifier: MIT */
/*
 * How the library calls functions that the program hands to it. C programs
 * often pass a function of another type than the library declares: "void
 * handler()" without a prototype as a signal handler is the most common. Other
 * machines ignore arguments that the function does not take, and a result that
 * it does not give. WebAssembly checks the type and traps. The library
 * therefore calls such a function by the type that the function has. The
 * compiler wrapper (wasm32-linux-musl-clang) writes the types into
 * __function_shapes when it links.
 */
#ifndef CALLBACK_H
#define CALLBACK_H
#include <features.h>
#include <stdint.h>

/*
 * The types that have a number here: up to four parameters of one word each,
 * with a result of one word or none. The compiler wrapper has the same numbers.
 * It gives the program's other types the numbers from OTHER_SHAPES on.
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

/* The shape of each function, by its index in the table. */
extern hidden const unsigned char __function_shapes[];
extern hidden const unsigned __function_shapes_count;

/*
 * Calls the function by its type, or by the declared one if its type is not
 * known. Arguments that the function does not take are left out. Parameters
 * that the caller does not give are 0, and so is the result of a function
 * without one. A union sigval is also one word, because clang passes its
 * address.
 */
hidden uintptr_t __call_by_shape(uintptr_t function, enum function_shape declared,
	uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);

#define CALLBACK4(declared, function, a, b, c, d) \
	__call_by_shape((uintptr_t)(function), declared, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d))
#define CALLBACK3(declared, function, a, b, c) CALLBACK4(declared, function, a, b, c, 0)
#define CALLBACK2(declared, function, a, b) CALLBACK4(declared, function, a, b, 0, 0)
#define CALLBACK1(declared, function, a) CALLBACK4(declared, function, a, 0, 0, 0)
#define CALLBACK(declared, function) CALLBACK4(declared, function, 0, 0, 0, 0)

/*
 * Whether the library may call the function by the declared type: the function
 * has that type, or its type is not known.
 */
static inline int __has_shape(uintptr_t function, enum function_shape declared)
{
	return function >= __function_shapes_count ||
		__function_shapes[function] == declared || __function_shapes[function] == UNKNOWN_SHAPE;
}

/*
 * A call of an int (const void *, const void *). Such calls take most of the
 * time of a search, so a function of the declared type is called directly.
 */
#define COMPARISON(function, a, b) \
	(__has_shape((uintptr_t)(function), WORD_2) ? (function)(a, b) : (int)CALLBACK2(WORD_2, function, a, b))

#endif
