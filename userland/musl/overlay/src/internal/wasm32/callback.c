// SPDX-License-Identifier: MIT
// The calls of callback.h by shape.
#include "callback.h"

/*
 * The compiler wrapper links a second time, with the program's true shapes. A
 * program linked by hand has no shapes, so it calls every function as declared.
 */
__attribute__((__weak__)) const unsigned char __function_shapes[1] = { UNKNOWN_SHAPE };
__attribute__((__weak__)) const unsigned __function_shapes_count = 0;

/*
 * The wrapper makes the true one. It has a call for each of the program's types
 * with a number from OTHER_SHAPES on.
 */
__attribute__((__weak__)) uintptr_t __call_other_shape(uintptr_t function, unsigned shape, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	__builtin_trap();
}

#define CALL(result, parameters, ...) ((result (*)parameters)function)(__VA_ARGS__)
typedef uintptr_t word;

uintptr_t __call_by_shape(uintptr_t function, enum function_shape declared, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	enum function_shape shape = UNKNOWN_SHAPE;
	if (function < __function_shapes_count) shape = __function_shapes[function];
	if (shape == UNKNOWN_SHAPE) shape = declared;
	switch (shape) {
	case VOID_0: CALL(void, (void)); return 0;
	case WORD_0: return CALL(word, (void));
	case VOID_1: CALL(void, (word), a); return 0;
	case WORD_1: return CALL(word, (word), a);
	case VOID_2: CALL(void, (word, word), a, b); return 0;
	case WORD_2: return CALL(word, (word, word), a, b);
	case VOID_3: CALL(void, (word, word, word), a, b, c); return 0;
	case WORD_3: return CALL(word, (word, word, word), a, b, c);
	case VOID_4: CALL(void, (word, word, word, word), a, b, c, d); return 0;
	case WORD_4: return CALL(word, (word, word, word, word), a, b, c, d);
	default: return __call_other_shape(function, shape, a, b, c, d);
	}
}
