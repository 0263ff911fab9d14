// SPDX-License-Identifier: MIT
// C++ as far as it needs no library: the size_t of operator new is the compiler's, and the C library's headers have the
// same.

#include <stddef.h>
#include <stdlib.h>

void* operator new(size_t size) { return malloc(size); }

void operator delete(void* object) noexcept { free(object); }

void operator delete(void* object, size_t) noexcept { free(object); }

static_assert(__is_same(size_t, decltype(sizeof(0))));
static_assert(__is_same(ptrdiff_t, decltype(static_cast<char*>(nullptr) - static_cast<char*>(nullptr))));

extern "C" int* make_number() { return new int(5); }
