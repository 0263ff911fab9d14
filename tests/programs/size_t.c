// SPDX-License-Identifier: MIT
// Types have the names that the compiler has for them: warnings are errors here (size_t.flags), and functions of size_t are constants.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <wchar.h>

#define SAME(type, other) _Static_assert(__builtin_types_compatible_p(type, other), #type)
SAME(size_t, __SIZE_TYPE__);
SAME(size_t, __typeof__(sizeof 0));
SAME(ptrdiff_t, __PTRDIFF_TYPE__);
SAME(ptrdiff_t, __typeof__((char *)0 - (char *)0));
SAME(intptr_t, __INTPTR_TYPE__);
SAME(uintptr_t, __UINTPTR_TYPE__);
SAME(intmax_t, __INTMAX_TYPE__);
SAME(uintmax_t, __UINTMAX_TYPE__);
SAME(wchar_t, __WCHAR_TYPE__);
SAME(wchar_t, __typeof__(*L""));
SAME(int64_t, __INT64_TYPE__);
SAME(int32_t, __INT32_TYPE__);
_Static_assert(SIZE_MAX == __SIZE_MAX__ && PTRDIFF_MAX == __PTRDIFF_MAX__ && INTPTR_MIN == -__INTPTR_MAX__ - 1, "limits");

static unsigned lengths[] = { strlen("abc") };

int main(void)
{
	size_t size = sizeof lengths;
	ssize_t result = -1;
	ptrdiff_t distance = lengths - (lengths + 1);
	intmax_t most = INTMAX_MAX;
	off_t offset = 1LL << 40;

	printf("%u %zu %zd %td %jd %lld\n", lengths[0], size, result, distance, most, (long long)offset);
	printf("%zu %td\n", (size_t)SIZE_MAX, (ptrdiff_t)PTRDIFF_MIN);
	return 0;
}
