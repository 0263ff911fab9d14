// SPDX-License-Identifier: MIT
// A program of more than 4 MiB, which the kernel's memory has no room for in one piece.
#include <stdio.h>

#define SIZE (5 << 20)
static unsigned char data[SIZE] = { [0 ... SIZE - 1] = 0x5a };

int main(void)
{
	volatile unsigned char *byte = data;
	unsigned long sum = 0;
	for (int i = 0; i < SIZE; i++) sum += byte[i];
	printf("%lu\n", sum);
	return 0;
}
