// SPDX-License-Identifier: MIT
// Writes files whose every byte can be checked after a crash, and checks them. Run without arguments, it tests itself.
//
//   crashwriter write [-n STEPS] [-t SECONDS] [-a FILE] [-p PROCESSES] FOLDER SEED
//   crashwriter check FOLDER ACKNOWLEDGED
//
// ACKNOWLEDGED is a file with what "write" has printed up to the crash. Processes: l (a log), s (two slots that are
// overwritten), r (rename), t (folders and links), m (slots by a shared mapping), n (noise that nobody syncs); default all.
// Default STEPS: no limit.
#include <sys/stat.h>
#include <sys/wait.h>
#include "crashwriter.h"

static int usage(void)
{
	fputs("usage: crashwriter write [-n STEPS] [-t SECONDS] [-a FILE] [-p PROCESSES] FOLDER SEED\n"
	      "       crashwriter check FOLDER ACKNOWLEDGED\n", stderr);
	return 2;
}

static int write_command(int argc, char **argv)
{
	struct bounds bounds = { 0 };
	const char *acks = NULL, *letters = "lsrtmn";
	for (int option; (option = getopt(argc, argv, "n:t:a:p:")) != -1;)
		switch (option) {
		case 'n': bounds.steps = strtoul(optarg, NULL, 10); break;
		case 't': bounds.seconds = strtod(optarg, NULL); break;
		case 'a': acks = optarg; break;
		case 'p': letters = optarg; break;
		default: return usage();
		}
	if (argc - optind != 2) return usage();
	return write_all(argv[optind], strtoull(argv[optind + 1], NULL, 10), bounds, acks, letters);
}

/* The seed and the last number of each process. A line that the crash has cut off does not count. */
static int read_acknowledged(const char *path, uint64_t *seed, uint32_t last[ACKNOWLEDGED])
{
	size_t size;
	char *text = (char *)read_file(path, &size);
	char *rest = text, *line;
	int has_seed = 0;
	memset(last, 0, ACKNOWLEDGED * sizeof *last);
	while (text && (line = rest) && (rest = strchr(line, '\n'))) {
		unsigned long long number;
		unsigned process, seq;
		*rest++ = '\0';
		if (sscanf(line, "SEED %llu", &number) == 1) {
			*seed = number;
			has_seed = 1;
		} else if (sscanf(line, "ACK %u %u", &process, &seq) == 2 && process < ACKNOWLEDGED && seq > last[process]) {
			last[process] = seq;
		}
	}
	free(text);
	return has_seed;
}

static int check_command(int argc, char **argv)
{
	uint64_t seed;
	uint32_t last[ACKNOWLEDGED];
	if (argc != 3) return usage();
	if (!read_acknowledged(argv[2], &seed, last)) {
		fprintf(stderr, "crashwriter: %s: no line SEED\n", argv[2]);
		return 2;
	}
	if (check_all(argv[1], seed, last)) return 1;
	printf("right, acknowledged: log %u, slots %u, rename %u, tree %u, mapped %u\n", last[LOG], last[SLOTS], last[RENAME], last[TREE],
	       last[MAPPED]);
	return 0;
}

/* ---- the test of itself ------------------------------------------------------------------------------------------ */

enum { STEPS = 90, SEED = 5 };

static uint32_t written[ACKNOWLEDGED];

static void put_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* The checker must see a changed byte (at @place, from the end if negative), a file that is cut there, and a missing one. */
static void damage(const char *folder, const char *name, long place, int cut, int removed)
{
	char path[PATH_SIZE];
	size_t size;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unsigned char *bytes = read_file(path, &size);
	CHECK(bytes != NULL);
	if (!bytes) return;
	size_t at = place < 0 ? size + place : (size_t)place;
	CHECK(at < size);
	bytes[at] ^= 0x55;
	put_file(path, bytes, size);
	printf("%s, a byte: ", name);
	CHECK(check_all(folder, SEED, written) > 0);
	bytes[at] ^= 0x55;
	if (cut) {
		put_file(path, bytes, at);
		printf("%s, cut off: ", name);
		CHECK(check_all(folder, SEED, written) > 0);
	}
	if (removed) {
		/* It may have another link. */
		char aside[PATH_SIZE];
		snprintf(aside, sizeof aside, "%s.aside", folder);
		put_file(path, bytes, size);
		CHECK(rename(path, aside) == 0);
		printf("%s, removed: ", name);
		CHECK(check_all(folder, SEED, written) > 0);
		CHECK(rename(aside, path) == 0);
	}
	put_file(path, bytes, size);
	free(bytes);
	CHECK(check_all(folder, SEED, written) == 0);
}

/* A record that is right, but in the wrong place or too old. */
static void replace(const char *folder, const char *name, int process, uint32_t seq)
{
	static unsigned char record[LARGEST_RECORD];
	char path[PATH_SIZE];
	size_t size;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unsigned char *bytes = read_file(path, &size);
	put_file(path, record, make_record(SEED, process, seq, record));
	printf("%s, another one: ", name);
	CHECK(check_all(folder, SEED, written) > 0);
	if (bytes) put_file(path, bytes, size);
	else unlink(path);
	free(bytes);
	CHECK(check_all(folder, SEED, written) == 0);
}

static void test_checker(const char *folder)
{
	static const char noise[] = "never written";
	char path[PATH_SIZE];
	damage(folder, "log-3", -1, 1, 1);
	damage(folder, "log-3", 20, 1, 0);
	damage(folder, "log-2", 0, 1, 1);
	/* slot 0 has the newest copy */
	damage(folder, "slots", 5000, 1, 1);
	damage(folder, "slots", SLOT_SIZE + 5000, 0, 0);
	damage(folder, "mapped", 5000, 1, 1);
	damage(folder, "config", 12, 1, 1);
	replace(folder, "config", RENAME, STEPS - 1);
	replace(folder, "config.tmp", RENAME, STEPS);
	damage(folder, "tree/d90/file", -1, 1, 1);
	damage(folder, "tree/link88", 0, 1, 1);
	snprintf(path, sizeof path, "%s/tree/d1", folder);
	CHECK(mkdir(path, 0755) == 0);
	printf("tree/d1: ");
	CHECK(check_all(folder, SEED, written) > 0);
	CHECK(rmdir(path) == 0);
	snprintf(path, sizeof path, "%s/noise/n3", folder);
	unlink(path);
	put_file(path, noise, sizeof noise);
	printf("noise/n3: ");
	CHECK(check_all(folder, SEED, written) > 0);
	unlink(path);
	CHECK(check_all(folder, SEED, written) == 0);
}

static int self_test(void)
{
	char folder[] = "/tmp/crashwriter.XXXXXX", acks[PATH_SIZE], output[PATH_SIZE], command[PATH_SIZE];
	uint64_t seed = 0;
	CHECK(mkdtemp(folder) != NULL);
	snprintf(output, sizeof output, "%s.output", folder);
	snprintf(acks, sizeof acks, "%s.acks", folder);
	put_file(acks, "", 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		CHECK(freopen(output, "w", stdout) != NULL);
		_exit(write_all(folder, SEED, (struct bounds){ .steps = STEPS }, acks, "lsrtmn"));
	}
	int status = -1;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(read_acknowledged(output, &seed, written) && seed == SEED);
	printf("log %u, slots %u, rename %u, tree %u, mapped %u\n", written[LOG], written[SLOTS], written[RENAME], written[TREE],
	       written[MAPPED]);
	size_t size;
	char *pages = (char *)read_file(acks, &size);
	for (int i = 0; pages && i < ACKNOWLEDGED && (size_t)i * 4096 < size; i++) printf("%s", pages + i * 4096);
	free(pages);
	CHECK(check_all(folder, SEED, written) == 0);
	test_checker(folder);
	snprintf(command, sizeof command, "rm -r %s %s %s", folder, acks, output);
	CHECK(system(command) == 0);
	printf("%d failures\n", failures);
	return failures != 0;
}

int main(int argc, char **argv)
{
	if (argc == 1) return self_test();
	if (strcmp(argv[1], "write") == 0) return write_command(argc - 1, argv + 1);
	if (strcmp(argv[1], "check") == 0) return check_command(argc - 1, argv + 1);
	return usage();
}
