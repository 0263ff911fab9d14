// SPDX-License-Identifier: MIT
// LMDB: its locks, and its table of readers, are in memory that the processes share. The data file is mapped, too;
// LMDB_FLAGS may be those of mdb_env_open(), and LMDB_READERS is the size of the table.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <lmdb.h>
#include "../store.h"

enum { ROOM = 4 << 20 };

/* A key of the database; its first word is COUNTERS, or a writer's number. */
struct key {
	uint32_t kind, number;
};
enum { COUNTERS = 1000 };

static MDB_env *environment;
static MDB_txn *transaction;
static MDB_dbi table;
/*
 * The transaction finds no room. Pages that a reader may still see are not used again, so one that gets no processor
 * for a while makes the file grow.
 */
static int full;

static void must(int error, const char *what)
{
	if (error) fail(what, mdb_strerror(error));
}

static void open_environment(void)
{
	const char *readers = getenv("LMDB_READERS"), *flags = getenv("LMDB_FLAGS");

	must(mdb_env_create(&environment), "create");
	must(mdb_env_set_mapsize(environment, ROOM), "set_mapsize");
	if (readers) must(mdb_env_set_maxreaders(environment, atoi(readers)), "set_maxreaders");
	must(mdb_env_open(environment, ".", flags ? strtoul(flags, NULL, 0) : 0, 0600), "open");
}

void store_make(void)
{
	open_environment();
	mdb_env_close(environment);
}

void store_open(void)
{
	open_environment();
	/* Those that were killed are in the table of readers until somebody looks. */
	must(mdb_reader_check(environment, NULL), "reader_check");
	store_begin(0);
	must(mdb_dbi_open(transaction, NULL, 0, &table), "dbi_open");
	must(mdb_txn_commit(transaction), "commit");
}

void store_close(void)
{
	mdb_env_close(environment);
}

void store_begin(int write)
{
	full = 0;
	must(mdb_txn_begin(environment, NULL, write ? 0 : MDB_RDONLY, &transaction), "begin");
}

/* True if the transaction goes on. */
static int goes_on(int error, const char *what)
{
	if (error == MDB_MAP_FULL) full = 1;
	else must(error, what);
	return !full;
}

int store_end(int commit)
{
	if (!commit || full) mdb_txn_abort(transaction);
	else goes_on(mdb_txn_commit(transaction), "commit");
	return !full;
}

/* Copies a value of at most @room bytes, and returns its length. */
static size_t get(struct key key, void *bytes, size_t room)
{
	MDB_val name = { sizeof key, &key }, value;
	int error = full ? MDB_NOTFOUND : mdb_get(transaction, table, &name, &value);

	if (error == MDB_NOTFOUND) return 0;
	must(error, "get");
	if (value.mv_size > room) fail("a value", "its length");
	memcpy(bytes, value.mv_data, value.mv_size);
	return value.mv_size;
}

static void set(struct key key, const void *bytes, size_t length)
{
	MDB_val name = { sizeof key, &key }, value = { length, (void *)bytes };

	if (full) return;
	if (length) goes_on(mdb_put(transaction, table, &name, &value, 0), "put");
	else goes_on(mdb_del(transaction, table, &name, NULL), "del");
}

int64_t store_counter(unsigned counter)
{
	int64_t value = 0;

	get((struct key){ COUNTERS, counter }, &value, sizeof value);
	return value;
}

void store_set_counter(unsigned counter, int64_t value)
{
	set((struct key){ COUNTERS, counter }, &value, sizeof value);
}

void store_set_record(unsigned writer, uint32_t number, const void *bytes, size_t length)
{
	set((struct key){ writer, number }, bytes, length);
}

size_t store_record(unsigned writer, uint32_t number, void *bytes)
{
	return get((struct key){ writer, number }, bytes, RECORD_SIZE);
}

/* mdb_stat and mdb_copy look at all pages (../../boot/databases.test.mjs). */
void store_check(void)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_stat found;
	size_t count = 0;
	int error;

	store_begin(0);
	must(mdb_stat(transaction, table, &found), "stat");
	must(mdb_cursor_open(transaction, table, &cursor), "cursor_open");
	while (!(error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) count++;
	if (error != MDB_NOTFOUND) fail("cursor_get", mdb_strerror(error));
	mdb_cursor_close(cursor);
	store_end(0);
	if (count != found.ms_entries) fail("stat", "another number of entries than there are");
}
