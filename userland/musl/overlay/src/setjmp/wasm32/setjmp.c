// SPDX-License-Identifier: MIT
// What the compiler calls for setjmp and longjmp (-mllvm -wasm-enable-sjlj).
#include <setjmp.h>
#include <stdint.h>

/*
 * A function that calls setjmp makes a pseudo-unique id per invocation (an
 * address in its frame) and numbers its calls. A longjmp is a wasm exception that
 * every such function catches; it asks whether the jump is meant for it.
 */
struct jump_buffer {
	void *invocation;
	uint32_t label;
	struct {
		void *buffer;
		int value;
	} thrown;
};
_Static_assert(sizeof(struct jump_buffer) <= sizeof(__jmp_buf), "__jmp_buf");

void __wasm_setjmp(struct jump_buffer *buffer, uint32_t label, void *invocation)
{
	buffer->invocation = invocation;
	buffer->label = label;
}

/* The label to continue at, or 0: rethrow, another function's setjmp is meant. */
uint32_t __wasm_setjmp_test(struct jump_buffer *buffer, void *invocation)
{
	return buffer->invocation == invocation ? buffer->label : 0;
}

/* Tag number 1 is __c_longjmp, whose value is the address of { buffer, value }. */
_Noreturn void __wasm_longjmp(struct jump_buffer *buffer, int value)
{
	buffer->thrown.buffer = buffer;
	buffer->thrown.value = value ? value : 1;
	__builtin_wasm_throw(1, &buffer->thrown);
}
