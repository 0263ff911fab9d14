// SPDX-License-Identifier: MIT
// Says "spinning" and then makes no system call any more.
#include <unistd.h>

int main(void)
{
	write(1, "spinning\n", 9);
	for (;;) { }
}
