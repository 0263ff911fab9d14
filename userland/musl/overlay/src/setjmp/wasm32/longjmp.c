// SPDX-License-Identifier: MIT
// longjmp() as a function, for programs that take its address.
#define _GNU_SOURCE
#include <setjmp.h>
#include <features.h>

_Noreturn void emscripten_longjmp(void *, int);

_Noreturn void longjmp(jmp_buf buffer, int value)
{
	emscripten_longjmp(buffer, value);
}
weak_alias(longjmp, _longjmp);
