// SPDX-License-Identifier: MIT
// What the compiler calls for setjmp() and longjmp() (-mllvm
// -enable-emscripten-sjlj).
#include <setjmp.h>
#include <features.h>
#include <stdint.h>

/*
 * A function that calls setjmp() has a pseudo-unique id for each invocation (an
 * address in its frame), and numbers its setjmp() calls. After the first of
 * them, it makes every call through an invoke_* function, which the compiler
 * wrapper generates. longjmp() throws a wasm exception. The invoke_* function
 * catches it, reports it to __wasm_longjmp_caught(), and returns. The function
 * with setjmp() then looks at __THREW__, and asks whether the jump is meant for
 * it.
 *
 * The compiler has another scheme, with the handlers in the function itself. It
 * is not used, because asyncify cannot unwind through a handler: a shell that
 * forks below a function with setjmp() could not be linked.
 */
struct jump_buffer {
	void *invocation;
	uint32_t label;
	struct thrown {
		void *buffer;
		int value;
	} thrown;
};
_Static_assert(sizeof(struct jump_buffer) <= sizeof(__jmp_buf), "__jmp_buf");

_Thread_local void *__THREW__;
_Thread_local int __threwValue;
static _Thread_local int setjmp_result;

void __wasm_setjmp(struct jump_buffer *buffer, uint32_t label, void *invocation)
{
	buffer->invocation = invocation;
	buffer->label = label;
}

/* The label to continue at, or 0 if the jump is meant for another function. */
uint32_t __wasm_setjmp_test(struct jump_buffer *buffer, void *invocation)
{
	return buffer->invocation == invocation ? buffer->label : 0;
}

void setTempRet0(int result)
{
	setjmp_result = result;
}

int getTempRet0(void)
{
	return setjmp_result;
}

/* Tag 1 is __c_longjmp. Its value is the address of a struct thrown. */
_Noreturn void emscripten_longjmp(struct jump_buffer *buffer, int value)
{
	buffer->thrown.buffer = buffer;
	buffer->thrown.value = value ? value : 1;
	__builtin_wasm_throw(1, &buffer->thrown);
}

void __wasm_longjmp_caught(struct thrown *thrown)
{
	__THREW__ = thrown->buffer;
	__threwValue = thrown->value;
}
