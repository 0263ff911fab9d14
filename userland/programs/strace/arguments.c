// SPDX-License-Identifier: MIT
// Prints the arguments of a call, each by its letter in the form of the call
// (calls.c). Where an argument is a pointer, this reads the memory of the
// tracee.
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "strace.h"

/*
 * The most bytes of a buffer and elements of a vector that are shown. Of a
 * string, such as a path, four times as many bytes are shown.
 */
#define SHOWN_BYTES 32
#define SHOWN_ELEMENTS 32

static const struct value open_flags[] = {
	V(O_WRONLY), V(O_RDWR), V(O_CREAT), V(O_EXCL), V(O_NOCTTY), V(O_TRUNC), V(O_APPEND), V(O_NONBLOCK),
	V(O_SYNC), V(O_DSYNC), V(O_DIRECT), V(O_LARGEFILE), V(O_DIRECTORY), V(O_NOFOLLOW), V(O_CLOEXEC), V(O_PATH),
	{ 0 }
};
static const struct value at_flags[] = {
	V(AT_SYMLINK_NOFOLLOW), V(AT_REMOVEDIR), V(AT_SYMLINK_FOLLOW), V(AT_NO_AUTOMOUNT), V(AT_EMPTY_PATH), { 0 }
};
static const struct value access_modes[] = { V(R_OK), V(W_OK), V(X_OK), { 0 } };
static const struct value protections[] = { V(PROT_READ), V(PROT_WRITE), V(PROT_EXEC), { 0 } };
static const struct value map_flags[] = {
	V(MAP_SHARED), V(MAP_PRIVATE), V(MAP_FIXED), V(MAP_ANONYMOUS), V(MAP_NORESERVE), V(MAP_STACK),
	V(MAP_FIXED_NOREPLACE), { 0 }
};
static const struct value clone_flags[] = {
	V(CLONE_VM), V(CLONE_FS), V(CLONE_FILES), V(CLONE_SIGHAND), V(CLONE_PIDFD), V(CLONE_VFORK), V(CLONE_PARENT),
	V(CLONE_THREAD), V(CLONE_NEWNS), V(CLONE_SYSVSEM), V(CLONE_SETTLS), V(CLONE_PARENT_SETTID),
	V(CLONE_CHILD_CLEARTID), V(CLONE_DETACHED), V(CLONE_CHILD_SETTID), { 0 }
};
static const struct value wait_flags[] = {
	V(WNOHANG), V(WUNTRACED), V(WEXITED), V(WCONTINUED), V(WNOWAIT), V(__WALL), V(__WCLONE), { 0 }
};
static const struct value fcntl_commands[] = {
	V(F_DUPFD), V(F_GETFD), V(F_SETFD), V(F_GETFL), V(F_SETFL), V(F_GETLK), V(F_SETLK), V(F_SETLKW), V(F_SETOWN),
	V(F_GETOWN), V(F_DUPFD_CLOEXEC), { 0 }
};
static const struct value seek_origins[] = { V(SEEK_SET), V(SEEK_CUR), V(SEEK_END), { 0 } };
static const struct value mask_changes[] = { V(SIG_BLOCK), V(SIG_UNBLOCK), V(SIG_SETMASK), { 0 } };
static const struct value id_types[] = { V(P_ALL), V(P_PID), V(P_PGID), V(P_PIDFD), { 0 } };
static const struct value clocks[] = {
	V(CLOCK_REALTIME), V(CLOCK_MONOTONIC), V(CLOCK_PROCESS_CPUTIME_ID), V(CLOCK_THREAD_CPUTIME_ID), { 0 }
};
static const struct value file_types[] = {
	V(S_IFDIR), V(S_IFCHR), V(S_IFBLK), V(S_IFREG), V(S_IFIFO), V(S_IFLNK), V(S_IFSOCK), { 0 }
};

static size_t read_memory(pid_t pid, uint32_t address, void *buffer, size_t length)
{
	struct iovec to = { buffer, length }, from = { (void *)(uintptr_t)address, length };
	ssize_t n = process_vm_readv(pid, &to, 1, &from, 1, 0);
	return n < 0 ? 0 : n;
}

static void put_memory(pid_t pid, uint32_t address, uint32_t length)
{
	unsigned char bytes[SHOWN_BYTES];
	size_t want = length < sizeof bytes ? length : sizeof bytes;
	if (!address || read_memory(pid, address, bytes, want) != want) put_pointer(address);
	else put_quoted(bytes, want, length > want);
}

static void put_string(pid_t pid, uint32_t address)
{
	unsigned char bytes[SHOWN_BYTES * 4 + 1];
	size_t n = address ? read_memory(pid, address, bytes, sizeof bytes) : 0;
	unsigned char *end = memchr(bytes, 0, n);
	if (end) put_quoted(bytes, end - bytes, 0);
	else if (n == sizeof bytes) put_quoted(bytes, n - 1, 1);
	else put_pointer(address);
}

static void put_strings(pid_t pid, uint32_t address, int only_count)
{
	uint32_t string, count = 0;
	if (!only_count) put("[");
	for (;; count++) {
		if (read_memory(pid, address + 4 * count, &string, 4) != 4 || !string) break;
		if (only_count) continue;
		if (count == SHOWN_ELEMENTS) {
			put(", ...");
			break;
		}
		if (count) put(", ");
		put_string(pid, string);
	}
	if (!only_count) {
		put("]");
	} else {
		put_pointer(address);
		put(" /* ");
		put_number(count, 10, 0);
		put(count == 1 ? " var */" : " vars */");
	}
}

/* Shows the vectors up to @length bytes of all their buffers together. */
static void put_vectors(pid_t pid, uint32_t address, uint32_t count, uint32_t length)
{
	uint32_t vector[2];
	put("[");
	for (uint32_t i = 0; i < count; i++) {
		if (i == SHOWN_ELEMENTS || read_memory(pid, address + 8 * i, vector, 8) != 8) {
			put("...");
			break;
		}
		uint32_t part = vector[1] < length ? vector[1] : length;
		if (i) put(", ");
		put("{iov_base=");
		put_memory(pid, vector[0], part);
		put(", iov_len=");
		put_number(vector[1], 10, 0);
		put("}");
		length -= part;
	}
	put("]");
}

/*
 * Reads what an argument points to. If that cannot be read, shows the pointer
 * itself and returns 0.
 */
static int read_argument(pid_t pid, uint32_t address, void *to, size_t size)
{
	if (address && read_memory(pid, address, to, size) == size) return 1;
	put_pointer(address);
	return 0;
}

static void put_time(pid_t pid, uint32_t address)
{
	int64_t time[2];
	if (!read_argument(pid, address, time, sizeof time)) return;
	put("{tv_sec=");
	put_signed(time[0]);
	put(", tv_nsec=");
	put_signed((int32_t)time[1]);
	put("}");
}

static void put_set(pid_t pid, uint32_t address)
{
	uint64_t set;
	if (!read_argument(pid, address, &set, sizeof set)) return;
	int inverse = __builtin_popcountll(set) > 32, some = 0;
	if (inverse) set = ~set, put("~");
	put("[");
	for (int number = 1; number <= 64; number++) {
		if (!(set >> (number - 1) & 1)) continue;
		if (some++) put(" ");
		const char *name = signal_name(number);
		if (name) put(name + 3);
		else if (number == 32) put("RTMIN");
		else put("RT_"), put_number(number - 32, 10, 0);
	}
	put("]");
}

static void put_action(pid_t pid, uint32_t address)
{
	uint32_t action[2];
	if (!read_argument(pid, address, action, sizeof action)) return;
	static const struct value flags[] = {
		V(SA_NOCLDSTOP), V(SA_NOCLDWAIT), V(SA_SIGINFO), V(SA_ONSTACK), V(SA_RESTART), V(SA_NODEFER),
		V(SA_RESETHAND), { 0 }
	};
	put("{sa_handler=");
	if (action[0] < 2) put(action[0] ? "SIG_IGN" : "SIG_DFL");
	else put_hex(action[0]);
	put(", sa_flags=");
	put_flags(action[1] & ~0x04000000u /* SA_RESTORER */, flags, "0");
	put("}");
}

static const struct value child_codes[] = {
	V(CLD_EXITED), V(CLD_KILLED), V(CLD_DUMPED), V(CLD_TRAPPED), V(CLD_STOPPED), V(CLD_CONTINUED), { 0 }
};
static const struct value sender_codes[] = {
	V(SI_USER), V(SI_KERNEL), V(SI_QUEUE), V(SI_TIMER), V(SI_TKILL), { 0 }
};

void put_siginfo(const siginfo_t *info)
{
	static const struct value numbers[] = { { 0 } };
	int kernel_code = info->si_code > 0 && info->si_code < SI_KERNEL;
	int of_child = info->si_signo == SIGCHLD && kernel_code;

	put("{si_signo=");
	put_signal(info->si_signo);
	put(", si_code=");
	put_value(info->si_code, of_child ? child_codes : kernel_code ? numbers : sender_codes);
	if (of_child || info->si_code == SI_USER || info->si_code == SI_TKILL || info->si_code == SI_QUEUE) {
		put(", si_pid=");
		put_number(info->si_pid, 10, 0);
		put(", si_uid=");
		put_number(info->si_uid, 10, 0);
	}
	if (of_child) {
		put(", si_status=");
		if (info->si_code == CLD_EXITED) put_number(info->si_status, 10, 0);
		else put_signal(info->si_status);
	}
	put("}");
}

static void put_siginfo_at(pid_t pid, uint32_t address)
{
	siginfo_t info;
	if (!read_argument(pid, address, &info, sizeof info)) return;
	if (!info.si_signo) put("{}");
	else put_siginfo(&info);
}

static void put_statx(pid_t pid, uint32_t address)
{
	struct statx status;
	if (!read_argument(pid, address, &status, sizeof status)) return;
	put("{stx_mode=");
	put_value(status.stx_mode & S_IFMT, file_types);
	put("|0");
	put_number(status.stx_mode & 07777, 8, 0);
	put(", stx_size=");
	put_number(status.stx_size, 10, 0);
	put(", ...}");
}

/*
 * Prints argument @at by its letter. @result is the result of the call, if that
 * has returned.
 */
static void put_argument(const struct tracee *tracee, char letter, unsigned at, int64_t result)
{
	uint32_t value = tracee->arguments[at], following = at < 5 ? tracee->arguments[at + 1] : 0;
	pid_t pid = tracee->pid;

	/* The kernel has written nothing if the call failed. */
	if (result < 0 && strchr("rITPNSK", letter)) letter = 'p';
	switch (letter) {
	case 'd': put_signed((int32_t)value); break;
	case 'u': put_number(value, 10, 0); break;
	case 'x': put_hex(value); break;
	case 'm': if (value) put("0"); put_number(value, 8, 0); break;
	case 'p': put_pointer(value); break;
	case 'l': put_signed((int64_t)((uint64_t)following << 32 | value)); break;
	case 'D': if ((int)value == AT_FDCWD) put("AT_FDCWD"); else put_signed((int32_t)value); break;
	case 's': put_string(pid, value); break;
	case 'v': put_strings(pid, value, 0); break;
	case 'V': put_strings(pid, value, 1); break;
	case 'b': put_memory(pid, value, following); break;
	case 'r': put_memory(pid, value, result); break;
	case 'i': put_vectors(pid, value, following, -1); break;
	case 'I': put_vectors(pid, value, following, result); break;
	case 't': case 'T': put_time(pid, value); break;
	case 'k': case 'K': put_set(pid, value); break;
	case 'P': {
		int pair[2] = { -1, -1 };
		read_memory(pid, value, pair, sizeof pair);
		put("[");
		put_signed(pair[0]);
		put(", ");
		put_signed(pair[1]);
		put("]");
		break;
	}
	case 'N': put_siginfo_at(pid, value); break;
	case 'y': put_value(value, id_types); break;
	case 'S': put_statx(pid, value); break;
	case 'g': put_signal(value); break;
	case 'G': put_action(pid, value); break;
	case 'h': put_value(value, mask_changes); break;
	case 'o':
		if (!(value & O_ACCMODE)) put(value ? "O_RDONLY|" : "O_RDONLY");
		if (value) put_flags(value, open_flags, "0");
		break;
	case 'q': put_flags(value, open_flags, "0"); break;
	case 'z': put_flags(value, at_flags, "0"); break;
	case 'a': put_flags(value, access_modes, "F_OK"); break;
	case 'M': put_flags(value, protections, "PROT_NONE"); break;
	case 'A': put_flags(value, map_flags, "0"); break;
	case 'C':
		put_flags(value & ~0xffu, clone_flags, "");
		if (value & 0xff) {
			if (value & ~0xffu) put("|");
			put_signal(value & 0xff);
		}
		break;
	case 'j': put_flags(value, wait_flags, "0"); break;
	case 'f': put_value(value, fcntl_commands); break;
	case 'w': put_value(value, seek_origins); break;
	case 'c': put_value(value, clocks); break;
	}
}

static int written_by_kernel(char letter)
{
	return strchr("rITPNSK", letter) != 0;
}

/*
 * Prints all arguments, or those before the first that the kernel has not
 * written yet. A second call prints the others.
 */
void put_arguments(struct tracee *tracee, int returned, int64_t result)
{
	const char *letters = call_form(tracee->number);
	char guess[7] = "";

	if (!letters) {
		/* Guesses that the last argument is the last that is not 0. */
		int n = 6;
		while (n > 0 && !tracee->arguments[n - 1]) n--;
		memset(guess, 'x', n);
		letters = guess;
	}
	/* A file that is not created has no mode argument. */
	int without_mode = tracee->number == __NR_openat && !(tracee->arguments[2] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)));
	unsigned at = 0;
	for (unsigned i = 0; letters[i]; i++) {
		if (i >= tracee->printed) {
			if (!returned && written_by_kernel(letters[i])) return;
			if (without_mode && i == 3) break;
			if (i) put(", ");
			put_argument(tracee, letters[i], at, result);
			tracee->printed = i + 1;
		}
		at += letters[i] == 'l' ? 2 : 1;
		if (at >= 6) break;
	}
}
