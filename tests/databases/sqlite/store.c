// SPDX-License-Identifier: MIT
// SQLite with a write-ahead log: its index is in memory that the processes share.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include "../store.h"

enum { PATIENCE = 600000 /* ms */ };

enum { BEGIN, BEGIN_WRITE, COMMIT, ROLLBACK, COUNTER, SET_COUNTER, RECORD, SET_RECORD, REMOVE_RECORD, STATEMENTS };
static const char *const text[STATEMENTS] = {
	[BEGIN] = "BEGIN",
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[COUNTER] = "SELECT value FROM counters WHERE counter = ?1",
	[SET_COUNTER] = "INSERT INTO counters VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
	[RECORD] = "SELECT bytes FROM records WHERE writer = ?1 AND number = ?2",
	[SET_RECORD] = "INSERT INTO records VALUES (?1, ?2, ?3)",
	[REMOVE_RECORD] = "DELETE FROM records WHERE writer = ?1 AND number = ?2",
};
static sqlite3_stmt *statement[STATEMENTS];
static sqlite3 *database;

static void must(int succeeded, const char *what)
{
	if (!succeeded) fail(what, sqlite3_errmsg(database));
}

/* Executes a text whose only result, if it has one, must be this. */
static void run(const char *line, const char *expected)
{
	sqlite3_stmt *prepared;

	must(sqlite3_prepare_v2(database, line, -1, &prepared, NULL) == SQLITE_OK, line);
	int result = sqlite3_step(prepared);
	must(result == SQLITE_ROW || result == SQLITE_DONE, line);
	if (expected) {
		const char *found = result == SQLITE_ROW ? (const char *)sqlite3_column_text(prepared, 0) : "nothing";
		if (strcmp(found, expected) != 0) fail(line, found);
	}
	must(sqlite3_finalize(prepared) == SQLITE_OK, line);
}

static void open_database(void)
{
	must(sqlite3_open("database", &database) == SQLITE_OK, "open");
	must(sqlite3_busy_timeout(database, PATIENCE) == SQLITE_OK, "busy_timeout");
}

void store_make(void)
{
	open_database();
	run("PRAGMA journal_mode = WAL", "wal");
	run("CREATE TABLE counters (counter INTEGER PRIMARY KEY, value INTEGER) STRICT", NULL);
	run("CREATE TABLE records (writer INTEGER, number INTEGER, bytes BLOB, PRIMARY KEY (writer, number)) STRICT", NULL);
	must(sqlite3_close(database) == SQLITE_OK, "close");
}

void store_open(void)
{
	open_database();
	for (int i = 0; i < STATEMENTS; i++)
		must(sqlite3_prepare_v3(database, text[i], -1, SQLITE_PREPARE_PERSISTENT, &statement[i], NULL) == SQLITE_OK, text[i]);
}

void store_close(void)
{
	for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(statement[i]);
	must(sqlite3_close(database) == SQLITE_OK, "close");
}

/* Binds up to two numbers, and makes the first step. The caller resets the statement. */
static int step(int which, int64_t first, int64_t second)
{
	int parameters = sqlite3_bind_parameter_count(statement[which]);

	if (parameters > 0) sqlite3_bind_int64(statement[which], 1, first);
	if (parameters > 1) sqlite3_bind_int64(statement[which], 2, second);
	int result = sqlite3_step(statement[which]);
	must(result == SQLITE_ROW || result == SQLITE_DONE, text[which]);
	return result == SQLITE_ROW;
}

static void step_once(int which, int64_t first, int64_t second)
{
	step(which, first, second);
	must(sqlite3_reset(statement[which]) == SQLITE_OK, text[which]);
}

void store_begin(int write)
{
	step_once(write ? BEGIN_WRITE : BEGIN, 0, 0);
}

int store_end(int commit)
{
	step_once(commit ? COMMIT : ROLLBACK, 0, 0);
	return 1;
}

int64_t store_counter(unsigned counter)
{
	int64_t value = step(COUNTER, counter, 0) ? sqlite3_column_int64(statement[COUNTER], 0) : 0;

	sqlite3_reset(statement[COUNTER]);
	return value;
}

void store_set_counter(unsigned counter, int64_t value)
{
	step_once(SET_COUNTER, counter, value);
}

void store_set_record(unsigned writer, uint32_t number, const void *bytes, size_t length)
{
	if (length) sqlite3_bind_blob(statement[SET_RECORD], 3, bytes, length, SQLITE_STATIC);
	step_once(length ? SET_RECORD : REMOVE_RECORD, writer, number);
}

size_t store_record(unsigned writer, uint32_t number, void *bytes)
{
	size_t length = 0;

	if (step(RECORD, writer, number)) {
		length = sqlite3_column_bytes(statement[RECORD], 0);
		if (length > RECORD_SIZE) fail("a record", "its length");
		memcpy(bytes, sqlite3_column_blob(statement[RECORD], 0), length);
	}
	sqlite3_reset(statement[RECORD]);
	return length;
}

void store_check(void)
{
	run("PRAGMA journal_mode", "wal");
	run("PRAGMA integrity_check", "ok");
}
