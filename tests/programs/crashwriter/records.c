// SPDX-License-Identifier: MIT
// Contents that follow from a seed, so that a checker knows each byte that may be in a file.
#include "crashwriter.h"

enum { MAGIC = 0x43525348 };

// The finalizer of SplitMix64.
uint64_t mixed(uint64_t seed, uint64_t value)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15 + value + 0x632be59bd9b4e019;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint32_t crc32c(uint32_t crc, const unsigned char *bytes, size_t size)
{
	static uint32_t table[256];
	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t value = i;
			for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0x82f63b78 : 0);
			table[i] = value;
		}
	crc = ~crc;
	for (size_t i = 0; i < size; i++) crc = table[(crc ^ bytes[i]) & 255] ^ crc >> 8;
	return ~crc;
}

static uint32_t crc_of(const struct record *record)
{
	uint32_t crc = crc32c(0, (const unsigned char *)record, offsetof(struct record, crc));
	return crc32c(crc, record->payload, record->length);
}

static uint32_t payload_size(uint64_t seed, int process, uint32_t seq)
{
	if (process == SLOTS || process == MAPPED) return SLOT_SIZE - sizeof(struct record);
	uint32_t most = process == TREE ? 9000 : LARGEST_RECORD - sizeof(struct record);
	return 16 + mixed(seed + process, seq) % (most - 15);
}

size_t record_size(uint64_t seed, int process, uint32_t seq)
{
	return sizeof(struct record) + payload_size(seed, process, seq);
}

size_t make_record(uint64_t seed, int process, uint32_t seq, unsigned char *place)
{
	struct record *record = (struct record *)place;
	uint64_t key = mixed(seed, (uint64_t)process << 32 | seq);
	*record = (struct record){ .magic = MAGIC, .seq = seq, .length = payload_size(seed, process, seq) };
	for (uint32_t i = 0; i < record->length; i += 8) {
		uint64_t word = mixed(key, i);
		memcpy(record->payload + i, &word, record->length - i < 8 ? record->length - i : 8);
	}
	record->crc = crc_of(record);
	return sizeof *record + record->length;
}

int is_record(const unsigned char *bytes, size_t size, uint32_t *seq)
{
	const struct record *record = (const struct record *)bytes;
	if (size < sizeof *record || record->magic != MAGIC || record->length > size - sizeof *record) return 0;
	*seq = record->seq;
	return record->crc == crc_of(record);
}

unsigned char noise_byte(uint64_t seed, int file, size_t place)
{
	static uint64_t key, index = ~0ull, word;
	uint64_t wanted = seed ^ (uint64_t)(file + 1) << 40;
	if (wanted != key || place / 8 != index) word = mixed(key = wanted, index = place / 8);
	return word >> 8 * (place % 8);
}

unsigned char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return NULL;
	off_t end = lseek(fd, 0, SEEK_END);
	unsigned char *bytes = malloc(end + 1);
	for (*size = 0; *size < (size_t)end;) {
		ssize_t n = pread(fd, bytes + *size, end - *size, *size);
		if (n <= 0) break;
		*size += n;
	}
	close(fd);
	bytes[*size] = '\0';
	return bytes;
}
