/* SPDX-License-Identifier: MIT */
/* What the parts of strace share. trace.c follows the tracees. */
#ifndef STRACE_H
#define STRACE_H
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct __ptrace_syscall_info;

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NAME(array, number) ((unsigned)(number) < COUNT(array) ? (array)[number] : 0)

/*
 * A flag or a value, and its name. A list of them ends with one without a name.
 */
struct value {
	unsigned bits;
	const char *name;
};
#define V(name) { name, #name }

struct tracee {
	struct tracee *next;
	pid_t pid;
	int in_call;		/* it is between the two stops of a call */
	int shown;		/* the call is one of those to print */
	int open_line;		/* the last line printed is the call's start */
	unsigned printed;	/* so many of the call's arguments are printed */
	unsigned number;
	uint32_t arguments[6];
};

/* ---- calls.c ---- */

/*
 * CALLS is more than the highest number of a system call. call_count is one
 * more than that number.
 */
#define CALLS 512
extern const unsigned call_count;

/* Both return NULL for a call that is not known. */
const char *call_name(unsigned number);
const char *call_form(unsigned number);
/* Whether -e asks for this call. */
int is_call_shown(unsigned number);
void set_filter(char *text);

/* ---- output.c ---- */

extern int output;	/* the descriptor */
const char *error_name(unsigned number);
const char *signal_name(unsigned number);
void flush(void);
void put_bytes(const char *text, size_t length);
void put(const char *text);
void put_number(uint64_t value, unsigned base, int width);
void put_signed(int64_t value);
void put_hex(uint32_t value);
void put_pointer(uint32_t value);
void put_signal(uint32_t number);
/* @none is the text for no flag at all. */
void put_flags(uint32_t bits, const struct value *value, const char *none);
void put_value(uint32_t number, const struct value *value);
void put_quoted(const unsigned char *text, size_t length, int more);
_Noreturn void fail(const char *what, const char *why);

/* ---- arguments.c ---- */

void put_siginfo(const siginfo_t *info);
void put_arguments(struct tracee *tracee, int returned, int64_t result);

/* ---- report.c ---- */

/* The tracee whose call is the line that has no end yet. */
extern struct tracee *open_tracee;
void begin_line(struct tracee *tracee);
void end_line(void);
void enter_call(struct tracee *tracee, const struct __ptrace_syscall_info *info);
void leave_call(struct tracee *tracee, const struct __ptrace_syscall_info *info);
void report_signal(struct tracee *tracee, int signal);
void report_end(struct tracee *tracee, int status);
void print_summary(void);

/* ---- trace.c ---- */

extern int tracee_count;
extern int interrupted;	/* the signal that ends strace, or 0 */
extern sigset_t awaited;	/* SIGCHLD and the signals that end strace */
struct tracee *find_tracee(pid_t pid);
int trace(void);

/* ---- main.c ---- */

extern pid_t command;	/* the child that is traced; 0 with -p */
extern int command_started;
extern int follow, summary;	/* options */

#endif
