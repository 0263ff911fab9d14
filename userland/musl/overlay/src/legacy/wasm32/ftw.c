// SPDX-License-Identifier: MIT
// ftw() by nftw(). Upstream's code casts the callback to the other type, but a
// wasm call must match the type of the function.
#include <ftw.h>
#include "callback.h"

typedef int visitor(const char *, const struct stat *, int);

static _Thread_local visitor *current;

static int visit(const char *path, const struct stat *st, int type, struct FTW *unused)
{
	return CALLBACK3(WORD_3, current, path, st, type);
}

int ftw(const char *path, visitor *fn, int fd_limit)
{
	visitor *outer = current;
	current = fn;
	int r = nftw(path, visit, fd_limit, FTW_PHYS);
	current = outer;
	return r;
}
