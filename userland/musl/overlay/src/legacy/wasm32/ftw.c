// SPDX-License-Identifier: MIT
// ftw over nftw. Generic code casts the callback, but a wasm call must match its type.
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
