// SPDX-License-Identifier: MIT
// The line that is being written, and how numbers, names and strings look in
// it. Nothing here uses stdio (main.c).
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "strace.h"

/* build.sh makes these lists from the headers: names by number. */
static const char *const error_names[] = {
#include "errno-names.h"
};
static const char *const signal_names[] = {
#include "signal-names.h"
};

int output = 2;
static char line[4096];
static size_t line_length;

void flush(void)
{
	for (size_t done = 0; done < line_length;) {
		ssize_t n = write(output, line + done, line_length - done);
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) break;
		done += n;
	}
	line_length = 0;
}

void put_bytes(const char *text, size_t length)
{
	if (length > sizeof line - line_length) flush();
	memcpy(line + line_length, text, length);
	line_length += length;
}

void put(const char *text)
{
	put_bytes(text, strlen(text));
}

void put_number(uint64_t value, unsigned base, int width)
{
	char digits[24];
	int at = sizeof digits;
	do digits[--at] = "0123456789abcdef"[value % base];
	while (value /= base);
	for (int n = sizeof digits - at; n < width; n++) put(" ");
	put_bytes(digits + at, sizeof digits - at);
}

void put_signed(int64_t value)
{
	if (value < 0) put("-");
	put_number(value < 0 ? -(uint64_t)value : value, 10, 0);
}

void put_hex(uint32_t value)
{
	if (value) put("0x");
	put_number(value, 16, 0);
}

void put_pointer(uint32_t value)
{
	if (value) put_hex(value);
	else put("NULL");
}

const char *error_name(unsigned number)
{
	return NAME(error_names, number);
}

const char *signal_name(unsigned number)
{
	return NAME(signal_names, number);
}

void put_signal(uint32_t number)
{
	const char *name = signal_name(number);
	if (name) put(name);
	else if (number == 32) put("SIGRTMIN");
	else if (number > 32 && number <= 64) put("SIGRT_"), put_number(number - 32, 10, 0);
	else put_number(number, 10, 0);
}

void put_flags(uint32_t bits, const struct value *value, const char *none)
{
	int some = 0;
	for (; value->name; value++) {
		if (!value->bits || (bits & value->bits) != value->bits) continue;
		if (some++) put("|");
		put(value->name);
		bits &= ~value->bits;
	}
	if (!some && !bits) put(none);
	else if (bits) {
		if (some) put("|");
		put_hex(bits);
	}
}

void put_value(uint32_t number, const struct value *value)
{
	while (value->name && value->bits != number) value++;
	if (value->name) put(value->name);
	else put_hex(number);
}

void put_quoted(const unsigned char *text, size_t length, int more)
{
	put("\"");
	for (size_t i = 0; i < length; i++) {
		static const char escapes[] = "\aa\bb\tt\nn\vv\ff\rr\"\"\\\\";
		char c = text[i], pair[2] = "\\";
		const char *escape = 0;
		for (const char *e = escapes; *e && !escape; e += 2)
			if (*e == c) escape = e;
		if (escape) {
			pair[1] = escape[1];
			put_bytes(pair, 2);
		} else if (text[i] < 32 || text[i] >= 127) {
			put("\\");
			/* Three digits are needed if another digit follows. */
			if (i + 1 < length && text[i + 1] >= '0' && text[i + 1] <= '9') {
				char digits[3] = { '0' + (text[i] >> 6), '0' + (text[i] >> 3 & 7), '0' + (text[i] & 7) };
				put_bytes(digits, 3);
			} else {
				put_number(text[i], 8, 0);
			}
		} else {
			put_bytes(&c, 1);
		}
	}
	put(more ? "\"..." : "\"");
}

_Noreturn void fail(const char *what, const char *why)
{
	line_length = 0;
	output = 2;
	put("strace: ");
	put(what);
	if (why) put(": "), put(why);
	put("\n");
	flush();
	exit(1);
}
