/* SPDX-License-Identifier: MIT */
/* What writer and checker know of the files: names, sizes, and the one content that each place of each file may have. */
#include <stddef.h>
#include <stdint.h>
#include "../check.h"

/* The processes that acknowledge their steps, by number; then the one that does not. */
enum { LOG, SLOTS, RENAME, TREE, MAPPED, ACKNOWLEDGED, NOISE = ACKNOWLEDGED, PROCESSES };

enum {
	SECTOR = 512,
	SLOT_SIZE = 16384,	/* one record */
	LOG_RECORDS = 64,	/* in a file; then comes the next file */
	TREE_KEPT = 4,		/* folders of so many steps are there */
	NOISE_FILES = 16,
	NOISE_SIZE = 200000,
	PATH_SIZE = 512,
};

/* A record: this, and a payload of so many bytes. Sequence numbers begin with 1. */
struct record {
	uint32_t magic, seq, length;
	uint32_t crc;	/* CRC-32C of the three above and the payload */
	unsigned char payload[];
};

/* Of record @seq of a process; 60,016 bytes at most. */
size_t record_size(uint64_t seed, int process, uint32_t seq);
/* Returns its size. */
size_t make_record(uint64_t seed, int process, uint32_t seq, unsigned char *place);
/* Whether the bytes are a record; if it is, @seq is its number. */
int is_record(const unsigned char *bytes, size_t size, uint32_t *seq);
enum { LARGEST_RECORD = sizeof(struct record) + 60000 };

/* Byte @place of noise file @file. */
unsigned char noise_byte(uint64_t seed, int file, size_t place);

/* A number that follows from its arguments. */
uint64_t mixed(uint64_t seed, uint64_t value);

struct bounds {
	uint32_t steps;		/* of each process; 0: no limit */
	double seconds;		/* 0: no limit */
};

/*
 * Runs the processes in the empty folder @folder. Each step that is durable is
 * told to standard output: "ACK process seq". It is told to the file @acks
 * before, if there is one: page @process of it begins with the same line. The
 * file is written with O_DSYNC, so that a process goes on when its line is on
 * the medium. @letters are the processes to run: those in "lsrtmn". Returns 0, or 1
 * if a call has failed.
 */
int write_all(const char *folder, uint64_t seed, struct bounds bounds, const char *acks, const char *letters);

/* Prints what is wrong in the folder after a crash. Returns how many things. @last: the last number of each process. */
int check_all(const char *folder, uint64_t seed, const uint32_t last[ACKNOWLEDGED]);

/* The whole file, with a zero behind it, or NULL. */
unsigned char *read_file(const char *path, size_t *size);
