// SPDX-License-Identifier: MIT
// What may be in the folder after a crash, whatever the crash has cut off.
#include <dirent.h>
#include <stdarg.h>
#include <sys/stat.h>
#include "crashwriter.h"

static const char *top;
static uint64_t seed;
static int faults;
static unsigned char expected[LARGEST_RECORD];

__attribute__((format(printf, 1, 2))) static void fault(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	vprintf(format, values);
	va_end(values);
	putchar('\n');
	faults++;
}

__attribute__((format(printf, 2, 3))) static unsigned char *read_named(size_t *size, const char *format, ...)
{
	char path[PATH_SIZE];
	va_list values;
	int length = snprintf(path, sizeof path, "%s/", top);
	va_start(values, format);
	vsnprintf(path + length, sizeof path - length, format, values);
	va_end(values);
	return read_file(path, size);
}

/* Where the bytes are neither those of record @seq nor zero; -1 if nowhere. Nothing may be behind the record's end. */
static long foreign(const unsigned char *bytes, size_t size, int process, uint32_t seq)
{
	size_t length = make_record(seed, process, seq, expected);
	for (size_t i = 0; i < size; i++)
		if (i >= length || (bytes[i] != expected[i] && bytes[i] != 0)) return i;
	return -1;
}

/* Whether these bytes are record @seq and nothing else. */
static int is_whole(const unsigned char *bytes, size_t size, int process, uint32_t seq)
{
	size_t length = make_record(seed, process, seq, expected);
	return bytes && size == length && memcmp(bytes, expected, length) == 0;
}

/* How many records file @file of the log begins with. What is behind them is a part of the next ones. */
static uint32_t check_log_file(uint32_t file, const unsigned char *bytes, size_t size)
{
	size_t place = 0;
	uint32_t count = 0, seq;
	for (; count < LOG_RECORDS && is_record(bytes + place, size - place, &seq); count++) {
		uint32_t next = file * LOG_RECORDS + count + 1;
		size_t length = make_record(seed, LOG, next, expected);
		if (seq != next || length > size - place || memcmp(bytes + place, expected, length) != 0) {
			fault("log-%u: record %u is none that was written here", file, next);
			return count;
		}
		place += length;
	}
	for (uint32_t next = count; next < LOG_RECORDS && place < size; next++) {
		seq = file * LOG_RECORDS + next + 1;
		size_t length = record_size(seed, LOG, seq);
		size_t part = length < size - place ? length : size - place;
		long where = foreign(bytes + place, part, LOG, seq);
		if (where >= 0) fault("log-%u: byte %ld was never written", file, (long)place + where);
		place += part;
	}
	if (place < size) fault("log-%u: it is longer than it ever was", file);
	return count;
}

static void check_log(uint32_t last)
{
	DIR *folder = opendir(top);
	long newest = -1;
	for (struct dirent *entry; (entry = readdir(folder));) {
		unsigned file;
		if (sscanf(entry->d_name, "log-%u", &file) == 1 && (long)file > newest) newest = file;
	}
	closedir(folder);
	uint32_t records = 0;
	for (long file = newest < 2 ? 0 : newest - 2; file <= newest; file++) {
		size_t size;
		unsigned char *bytes = read_named(&size, "log-%ld", file);
		if (!bytes) {
			/* The oldest one may be removed already. */
			if (file >= newest - 1) fault("log-%ld: it is missing, and the next one is there", file);
			continue;
		}
		uint32_t count = check_log_file(file, bytes, size);
		if (file < newest && count < LOG_RECORDS)
			fault("log-%ld: record %ld is bad, and the next file is there", file, file * LOG_RECORDS + count + 1);
		records = file * LOG_RECORDS + count;
		free(bytes);
	}
	if (records < last) fault("log: record %u was acknowledged, and the log ends with %u", last, records);
}

/* Whether a sector of the slots is that of record @seq, or as the file was made if @seq is 0. */
static int is_sector(const unsigned char *bytes, size_t place, int process, uint32_t seq)
{
	static unsigned char copies[2][SLOT_SIZE];
	static uint32_t seqs[2];
	static int processes[2];
	int slot = place / SLOT_SIZE;
	if (seqs[slot] != seq || processes[slot] != process) {
		memset(copies[slot], 0, SLOT_SIZE);
		if (seq) make_record(seed, process, seq, copies[slot]);
		seqs[slot] = seq;
		processes[slot] = process;
	}
	return memcmp(bytes + place, copies[slot] + place % SLOT_SIZE, SECTOR) == 0;
}

/* Whether all of a slot is made of sectors of the one record or the other. */
static int is_mixed(const unsigned char *bytes, size_t slot, int process, uint32_t one, uint32_t other)
{
	char others[SLOT_SIZE / SECTOR];
	for (size_t i = 0; i < sizeof others; i++) others[i] = !is_sector(bytes, slot * SLOT_SIZE + i * SECTOR, process, one);
	for (size_t i = 0; i < sizeof others; i++)
		if (others[i] && !is_sector(bytes, slot * SLOT_SIZE + i * SECTOR, process, other)) return 0;
	return 1;
}

static void check_slots(const char *name, int process, uint32_t last)
{
	size_t size = 0;
	unsigned char *bytes = read_named(&size, "%s", name);
	uint32_t newest = 0;
	if (!bytes || size != 2 * SLOT_SIZE) {
		if (last || size > 2 * SLOT_SIZE) fault("%s: %zu bytes", name, size);
		free(bytes);
		return;
	}
	for (int slot = 0; slot < 2; slot++) {
		uint32_t seq;
		const unsigned char *place = bytes + slot * SLOT_SIZE;
		if (is_record(place, SLOT_SIZE, &seq) && seq % 2 == (unsigned)slot && is_whole(place, SLOT_SIZE, process, seq) &&
		    seq > newest)
			newest = seq;
	}
	if (newest < last) fault("%s: %u was acknowledged, and the newest valid copy is %u", name, last, newest);
	/* The other one may be the one before it, or be in the middle of the next. Without any, the first two may be. */
	for (uint32_t slot = 0; slot < 2; slot++) {
		if (newest ? newest % 2 == slot : 0) continue;
		uint32_t next = newest ? newest + 1 : slot == 1 ? 1 : 2;
		if (!is_mixed(bytes, slot, process, newest > 1 ? newest - 1 : 0, next))
			fault("%s: slot %u has more than parts of copy %u and %u", name, slot, newest > 1 ? newest - 1 : 0, next);
	}
	free(bytes);
}

static void check_renamed(uint32_t last)
{
	size_t size;
	uint32_t seq = 0;
	unsigned char *bytes = read_named(&size, "config");
	if (bytes && (!is_record(bytes, size, &seq) || !is_whole(bytes, size, RENAME, seq)))
		fault("config: it is not what was renamed");
	else if (seq < last)
		fault("config: %u was acknowledged, and it is %u", last, seq);
	free(bytes);
	bytes = read_named(&size, "config.tmp");
	if (bytes && foreign(bytes, size, RENAME, seq + 1) >= 0) fault("config.tmp: byte %ld was never written", foreign(bytes, size, RENAME, seq + 1));
	free(bytes);
}

static void check_tree_step(uint32_t seq, int whole)
{
	size_t sizes[2];
	unsigned char *files[2] = { read_named(&sizes[0], "tree/d%u/file", seq), read_named(&sizes[1], "tree/link%u", seq) };
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "d%u/file" : "link%u";
		char text[40];
		snprintf(text, sizeof text, name, seq);
		if (whole && !is_whole(files[i], sizes[i], TREE, seq)) fault("tree/%s: it is %s", text, files[i] ? "damaged" : "missing");
		else if (files[i] && foreign(files[i], sizes[i], TREE, seq) >= 0) fault("tree/%s: a byte was never written", text);
		free(files[i]);
	}
}

static void check_tree(uint32_t last)
{
	char path[PATH_SIZE];
	uint32_t newest = 0, oldest = UINT32_MAX;
	snprintf(path, sizeof path, "%s/tree", top);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		unsigned seq;
		if (entry->d_name[0] == '.') continue;
		if (sscanf(entry->d_name, "d%u", &seq) != 1 && sscanf(entry->d_name, "link%u", &seq) != 1) {
			fault("tree/%s: nobody made it", entry->d_name);
			continue;
		}
		if (seq > newest) newest = seq;
		if (seq < oldest) oldest = seq;
	}
	if (folder) closedir(folder);
	if (newest < last) fault("tree: %u was acknowledged, and the newest is %u", last, newest);
	/* The newest one may be in the making, and the oldest one half removed. */
	if (newest > TREE_KEPT && oldest < newest - TREE_KEPT) fault("tree: %u was removed before %u was made", oldest, newest);
	for (uint32_t seq = newest > TREE_KEPT ? newest - TREE_KEPT : 1; newest && seq <= newest; seq++)
		check_tree_step(seq, (seq < newest || newest <= last) && seq + TREE_KEPT > newest);
}

static void check_noise(void)
{
	for (int file = 0; file < NOISE_FILES; file++) {
		size_t size;
		unsigned char *bytes = read_named(&size, "noise/n%d", file);
		if (!bytes) continue;
		if (size > NOISE_SIZE) fault("noise/n%d: it is longer than it ever was", file);
		for (size_t i = 0; i < size; i++)
			if (bytes[i] != 0 && bytes[i] != noise_byte(seed, file, i)) {
				fault("noise/n%d: byte %zu was never written", file, i);
				break;
			}
		free(bytes);
	}
}

static void check_names(void)
{
	static const char *const known[] = { ".", "..", "lost+found", "slots", "mapped", "config", "config.tmp", "tree", "noise" };
	DIR *folder = opendir(top);
	for (struct dirent *entry; (entry = readdir(folder));) {
		size_t i = 0;
		while (i < sizeof known / sizeof *known && strcmp(entry->d_name, known[i]) != 0) i++;
		if (i == sizeof known / sizeof *known && strncmp(entry->d_name, "log-", 4) != 0) fault("%s: nobody made it", entry->d_name);
	}
	closedir(folder);
}

int check_all(const char *folder, uint64_t the_seed, const uint32_t last[ACKNOWLEDGED])
{
	top = folder;
	seed = the_seed;
	faults = 0;
	if (access(folder, R_OK)) {
		fault("%s: %s", folder, strerror(errno));
		return faults;
	}
	check_names();
	check_log(last[LOG]);
	check_slots("slots", SLOTS, last[SLOTS]);
	check_renamed(last[RENAME]);
	check_tree(last[TREE]);
	check_slots("mapped", MAPPED, last[MAPPED]);
	check_noise();
	return faults;
}
