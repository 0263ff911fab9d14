/* SPDX-License-Identifier: MIT */
/*
 * What writers.c asks of a database: counters, and records of bytes. A function that fails prints why and ends the
 * process.
 */
#include <stddef.h>
#include <stdint.h>

/* Prints what has failed, and ends the process with status 2. */
_Noreturn void fail(const char *what, const char *why);

enum { RECORD_SIZE = 3000 };

/* Makes an empty database in the working directory. Nothing of it is open afterwards, so that others may fork. */
void store_make(void);
void store_open(void);
void store_close(void);

void store_begin(int write);
/* Commits, or gives up. False if there was no room: then nothing has happened. */
int store_end(int commit);

/* A counter that was never set is 0. */
int64_t store_counter(unsigned counter);
void store_set_counter(unsigned counter, int64_t value);

/* Record @number of @writer. A length of 0 removes it. */
void store_set_record(unsigned writer, uint32_t number, const void *bytes, size_t length);
/* Returns its length, which is 0 if there is none. */
size_t store_record(unsigned writer, uint32_t number, void *bytes);

/* What the database itself finds wrong with its file. The database is open. */
void store_check(void);
