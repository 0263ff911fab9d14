// SPDX-License-Identifier: MIT
// Formatted input and output, and buffered files.
#include <math.h>
#include <unistd.h>
#include <wchar.h>
#include "check.h"

int main(void)
{
	printf("%d %5d|%-5d|%05d %u %x %#X %o %lld %zu %c %s %.3s %%\n",
		-1, 42, 42, 42, 4000000000u, 255, 255, 8, -9000000000000000000LL, sizeof(long), 'c', "string", "truncated");
	printf("%f %.2f %e %g %a %.0f\n", 3.14159265358979, -2.5, 12345.678, 0.0001, 1.0, 0.5);
	printf("%.30Lf\n", 1.0L / 3);	/* needs all of a 128-bit long double */
	printf("%Lg %Lg\n", 1e4000L, ldexpl(1.0L, -16000));
	printf("%f %f %f\n", INFINITY, -INFINITY, NAN);
	printf("%ls %s\n", L"wide", "p\xc3\xa4" "ck");

	char text[32];
	CHECK(snprintf(text, sizeof text, "%s", "a text that is longer than the buffer") == 37);
	CHECK(strlen(text) == 31);

	int i;
	double d;
	char word[16];
	CHECK(sscanf("17 2.5e3 word rest", "%d %lf %15s", &i, &d, word) == 3);
	printf("%d %g %s\n", i, d, word);
	CHECK(strtod("0x1.8p3", NULL) == 12.0 && strtol("-077", NULL, 0) == -63);

	const char *path = "/tmp/test-stdio";
	FILE *f = fopen(path, "w+");
	CHECK(f != NULL);
	for (i = 0; i < 10000; i++) fprintf(f, "line %d\n", i);
	CHECK(ftell(f) == 98890);
	CHECK(fseek(f, 0, SEEK_SET) == 0);
	char *line = NULL;
	size_t size = 0;
	for (i = 0; getline(&line, &size, f) > 0; i++) {
		char want[32];
		sprintf(want, "line %d\n", i);
		CHECK(strcmp(line, want) == 0);
	}
	CHECK(i == 10000 && feof(f) && !ferror(f));
	free(line);
	CHECK(fseek(f, -5, SEEK_END) == 0 && fgetc(f) == '9' && ungetc('!', f) == '!' && fgetc(f) == '!');
	CHECK(fclose(f) == 0 && unlink(path) == 0);

	f = tmpfile();
	CHECK(f && fwrite("0123456789", 1, 10, f) == 10 && (rewind(f), fread(text, 1, 32, f)) == 10);
	fclose(f);
	CHECK(fopen("/nowhere/at/all", "r") == NULL && errno == ENOENT);

	char *memory;
	f = open_memstream(&memory, &size);
	fprintf(f, "%d", 12345);
	fclose(f);
	CHECK(size == 5 && strcmp(memory, "12345") == 0);
	free(memory);
	return failures != 0;
}
