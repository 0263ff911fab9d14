/* SPDX-License-Identifier: MIT */
/* What the parts of transfer share (docs/transfers.md). */
#ifndef TRANSFER_H
#define TRANSFER_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Numbers of both protocols. All of them are little endian, as wasm is. */
enum kind { END, FILE_ENTRY, FOLDER_ENTRY };

/* Bytes that are moved at a time. */
enum { PIECE = 65536 };

/* ---- main.c ---- */

/* The name by which messages begin. */
extern const char *program;
/* Prints a message about a file. */
void complain(const char *name, const char *text);
/* What errno means, for somebody who does not know Linux. */
const char *reason(int error);
/* Writes all of it. Returns 0 if that fails. */
int write_all(int fd, const void *bytes, size_t count);

/* ---- console.c ---- */

/*
 * Becomes the user of the console's foreground program, in its working
 * directory. Returns 0 if that fails.
 */
int enter_console(void);

/* ---- take.c ---- */

int take(void);

/* ---- give.c ---- */

/* Gives files to the owner, who answers. */
int download(char **names);
/* Writes one file to standard output, in the same form. */
int give(const char *name);

#endif
