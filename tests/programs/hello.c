// SPDX-License-Identifier: MIT
// The smallest program: no fork, so it must not be instrumented.
#include <stdio.h>

int main(void)
{
	puts("Hello from WebAssembly");
	return 0;
}
