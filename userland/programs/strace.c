// SPDX-License-Identifier: MIT
// Prints the system calls of a program, as strace does where it has the same options:
//
//   strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] COMMAND [ARGUMENT...]
//   strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] -p PID
//
// A tracee stops at its system calls only (docs/debugging.md), so one that makes none is never seen. It does
// not use printf or fork, which would make it twice as large.
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Made by build.sh from the headers: { name } by number. */
static const char *const call_names[] = {
#include "syscall-names.h"
};
static const char *const error_names[] = {
#include "errno-names.h"
};
static const char *const signal_names[] = {
#include "signal-names.h"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NAME(array, number) ((unsigned)(number) < COUNT(array) ? (array)[number] : 0)

/* Most bytes of a string, and elements of a vector, that are shown. */
#define SHOWN_BYTES 32
#define SHOWN_ELEMENTS 32

/*
 * The arguments of system calls, a letter each:
 *   d u x m   signed, unsigned, hexadecimal, octal          p   pointer
 *   l         64 bits in two arguments                      D   directory: descriptor or AT_FDCWD
 *   s         string                                        v V strings up to NULL; their number only
 *   b r       bytes read by the kernel (length follows), or written (length is the result)
 *   i I       the same in a struct iovec array (count follows)
 *   t T       struct timespec read or written               P N two descriptors, siginfo of a child, written
 *   S         struct statx written                          g G signal, struct sigaction read
 *   k K h     signal set read or written, how it is applied
 *   others    sets of flags and lists of values, below
 * Capital letters, but for D and V and G, stand for what is there when the call returns.
 */
static const char *const call_arguments[COUNT(call_names)] = {
	[__NR_accept] = "dpp", [__NR_accept4] = "dppx", [__NR_bind] = "dpd", [__NR_brk] = "p",
	[__NR_chdir] = "s", [__NR_chroot] = "s", [__NR_clock_gettime64] = "cT",
	[__NR_clock_nanosleep_time64] = "cxtp", [__NR_clone] = "Cpppp", [__NR_close] = "d", [__NR_connect] = "dpd",
	[__NR_dup] = "d", [__NR_dup3] = "ddq", [__NR_epoll_create1] = "x", [__NR_epoll_ctl] = "dddp",
	[__NR_execve] = "svV", [__NR_execveat] = "DsvVx", [__NR_exit] = "d", [__NR_exit_group] = "d",
	[__NR_faccessat] = "Dsa", [__NR_faccessat2] = "Dsaz", [__NR_fchdir] = "d", [__NR_fchmod] = "dm",
	[__NR_fchmodat] = "Dsm", [__NR_fchown] = "ddd", [__NR_fchownat] = "Dsddz", [__NR_fcntl64] = "dfx",
	[__NR_fsync] = "d", [__NR_ftruncate64] = "dl", [__NR_futex_time64] = "pdutpx", [__NR_getcwd] = "ru",
	[__NR_getdents64] = "dpu", [__NR_getegid] = "", [__NR_geteuid] = "", [__NR_getgid] = "",
	[__NR_getpgid] = "d", [__NR_getpid] = "", [__NR_getppid] = "", [__NR_getrandom] = "pux",
	[__NR_getsid] = "d", [__NR_gettid] = "", [__NR_getuid] = "", [__NR_ioctl] = "dxp", [__NR_kill] = "dg",
	[__NR_linkat] = "DsDsz", [__NR_listen] = "dd", [__NR_llseek] = "duupw", [__NR_madvise] = "pud",
	[__NR_mkdirat] = "Dsm", [__NR_mknodat] = "Dsmx", [__NR_mmap2] = "puMAdx", [__NR_mount] = "sssxp",
	[__NR_mprotect] = "puM", [__NR_mremap] = "puuxp", [__NR_munmap] = "pu", [__NR_openat] = "Dsom",
	[__NR_pidfd_open] = "dx", [__NR_pipe2] = "Pq", [__NR_ppoll_time64] = "putkx", [__NR_prctl] = "dxxxx",
	[__NR_pread64] = "drul", [__NR_prlimit64] = "ddpp", [__NR_pselect6_time64] = "dppptp",
	[__NR_pwrite64] = "dbul", [__NR_read] = "dru", [__NR_readlinkat] = "Dsru", [__NR_readv] = "dIu",
	[__NR_recvfrom] = "druxpp", [__NR_renameat2] = "DsDsx", [__NR_rt_sigaction] = "gGpu",
	[__NR_rt_sigprocmask] = "hkKu", [__NR_rt_sigreturn] = "p", [__NR_rt_sigsuspend] = "ku",
	[__NR_rt_sigtimedwait_time64] = "kptu", [__NR_sched_yield] = "", [__NR_sendfile64] = "ddpu",
	[__NR_sendto] = "dbuxpd", [__NR_set_robust_list] = "pu", [__NR_set_tid_address] = "p",
	[__NR_setgid] = "d", [__NR_setpgid] = "dd", [__NR_setsid] = "", [__NR_setsockopt] = "dddpu",
	[__NR_setuid] = "d", [__NR_shutdown] = "dd", [__NR_sigaltstack] = "pp", [__NR_socket] = "dxd",
	[__NR_socketpair] = "dxdP", [__NR_statfs64] = "sup", [__NR_statx] = "DszxS", [__NR_symlinkat] = "sDs",
	[__NR_sync] = "", [__NR_tgkill] = "ddg", [__NR_tkill] = "dg", [__NR_truncate64] = "sl", [__NR_umask] = "m",
	[__NR_umount2] = "sx", [__NR_uname] = "p", [__NR_unlinkat] = "Dsz", [__NR_utimensat_time64] = "Dspz",
	[__NR_waitid] = "ydNjp", [__NR_write] = "dbu", [__NR_writev] = "diu",
};

struct value {
	unsigned bits;
	const char *name;
};
#define V(name) { name, #name }
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
static const struct value restarts[] = {
	{ 512, "ERESTARTSYS" }, { 513, "ERESTARTNOINTR" }, { 514, "ERESTARTNOHAND" }, { 516, "ERESTART_RESTARTBLOCK" },
	{ 0 }
};

/* ---- output ------------------------------------------------------------------------------------------------------ */

static int output = 2;
static char line[4096];
static size_t line_length;

static void flush(void)
{
	for (size_t done = 0; done < line_length;) {
		ssize_t n = write(output, line + done, line_length - done);
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) break;
		done += n;
	}
	line_length = 0;
}

static void put_bytes(const char *text, size_t length)
{
	if (length > sizeof line - line_length) flush();
	memcpy(line + line_length, text, length);
	line_length += length;
}

static void put(const char *text)
{
	put_bytes(text, strlen(text));
}

static void put_number(uint64_t value, unsigned base, int width)
{
	char digits[24];
	int at = sizeof digits;
	do digits[--at] = "0123456789abcdef"[value % base];
	while (value /= base);
	for (int n = sizeof digits - at; n < width; n++) put(" ");
	put_bytes(digits + at, sizeof digits - at);
}

static void put_signed(int64_t value)
{
	if (value < 0) put("-");
	put_number(value < 0 ? -(uint64_t)value : value, 10, 0);
}

static void put_hex(uint32_t value)
{
	if (value) put("0x");
	put_number(value, 16, 0);
}

static void put_pointer(uint32_t value)
{
	if (value) put_hex(value);
	else put("NULL");
}

static void put_signal(uint32_t number)
{
	const char *name = NAME(signal_names, number);
	if (name) put(name);
	else if (number == 32) put("SIGRTMIN");
	else if (number > 32 && number <= 64) put("SIGRT_"), put_number(number - 32, 10, 0);
	else put_number(number, 10, 0);
}

static void put_flags(uint32_t bits, const struct value *value, const char *none)
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

static void put_value(uint32_t number, const struct value *value)
{
	while (value->name && value->bits != number) value++;
	if (value->name) put(value->name);
	else put_hex(number);
}

static void put_quoted(const unsigned char *text, size_t length, int more)
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
			/* three digits if another digit follows */
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

static _Noreturn void fail(const char *what, const char *why)
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

/* ---- tracees ----------------------------------------------------------------------------------------------------- */

struct tracee {
	struct tracee *next;
	pid_t pid;
	int in_call;		/* between the stops of a call */
	int shown;		/* the call is one of those to print */
	int open_line;		/* its beginning is the last that was printed */
	unsigned printed;	/* letters of its arguments that are printed */
	unsigned number;
	uint32_t arguments[6];
};

static struct tracee *tracees;
static struct tracee *open_tracee;
static pid_t command;	/* our child; 0 with -p */
static int command_started;
static int follow, summary, tracee_count;
static int interrupted;
static sigset_t awaited;	/* blocked: a stop of a tracee, and what ends us */

static struct {
	unsigned calls, errors;
} counts[COUNT(call_names) + 1];
static unsigned char filter[COUNT(call_names)];
static int filtered, filter_excludes;

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

/* @length: how many bytes of all are to be shown. */
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

static void put_time(pid_t pid, uint32_t address)
{
	int64_t time[2];
	if (!address || read_memory(pid, address, time, sizeof time) != sizeof time) {
		put_pointer(address);
		return;
	}
	put("{tv_sec=");
	put_signed(time[0]);
	put(", tv_nsec=");
	put_signed((int32_t)time[1]);
	put("}");
}

static void put_set(pid_t pid, uint32_t address)
{
	uint64_t set;
	if (!address || read_memory(pid, address, &set, sizeof set) != sizeof set) {
		put_pointer(address);
		return;
	}
	int inverse = __builtin_popcountll(set) > 32, some = 0;
	if (inverse) set = ~set, put("~");
	put("[");
	for (int number = 1; number <= 64; number++) {
		if (!(set >> (number - 1) & 1)) continue;
		if (some++) put(" ");
		const char *name = NAME(signal_names, number);
		if (name) put(name + 3);
		else if (number == 32) put("RTMIN");
		else put("RT_"), put_number(number - 32, 10, 0);
	}
	put("]");
}

static void put_action(pid_t pid, uint32_t address)
{
	uint32_t action[2];
	if (!address || read_memory(pid, address, action, sizeof action) != sizeof action) {
		put_pointer(address);
		return;
	}
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

static void put_siginfo(const siginfo_t *info)
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
	if (!address || read_memory(pid, address, &info, sizeof info) != sizeof info) put_pointer(address);
	else if (!info.si_signo) put("{}");
	else put_siginfo(&info);
}

static void put_statx(pid_t pid, uint32_t address)
{
	struct statx status;
	if (read_memory(pid, address, &status, sizeof status) != sizeof status) {
		put_pointer(address);
		return;
	}
	put("{stx_mode=");
	put_value(status.stx_mode & S_IFMT, file_types);
	put("|0");
	put_number(status.stx_mode & 07777, 8, 0);
	put(", stx_size=");
	put_number(status.stx_size, 10, 0);
	put(", ...}");
}

/* Prints argument @at by its letter. @result: of the call, if it has returned. */
static void put_argument(const struct tracee *tracee, char letter, unsigned at, int64_t result)
{
	uint32_t value = tracee->arguments[at], following = at < 5 ? tracee->arguments[at + 1] : 0;
	pid_t pid = tracee->pid;

	/* After an error there is nothing where the kernel would have written. */
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

/* Prints arguments up to the first that only the return of the call will tell, or all of them. */
static void put_arguments(struct tracee *tracee, int returned, int64_t result)
{
	const char *letters = tracee->number < COUNT(call_arguments) ? call_arguments[tracee->number] : 0;
	char guess[7] = "";

	if (!letters) {
		/* As many as are not 0. */
		int n = 6;
		while (n > 0 && !tracee->arguments[n - 1]) n--;
		memset(guess, 'x', n);
		letters = guess;
	}
	/* Without these flags open has no mode. */
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

static void put_call_name(unsigned number)
{
	const char *name = NAME(call_names, number);
	if (name) put(name);
	else put("syscall_"), put_hex(number);
}

/* Ends the line that waits for another tracee's call to return, and begins one of @tracee. */
static void begin_line(struct tracee *tracee)
{
	if (open_tracee && open_tracee != tracee) {
		put(" <unfinished ...>\n");
		open_tracee->open_line = 0;
		open_tracee = 0;
	}
	if (follow && (tracee_count > 1 || tracee->pid != command)) {
		put("[pid ");
		put_number(tracee->pid, 10, 5);
		put("] ");
	}
}

static void end_line(void)
{
	put("\n");
	flush();
}

static void enter_call(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
	tracee->in_call = 1;
	tracee->number = info->entry.nr;
	for (int i = 0; i < 6; i++) tracee->arguments[i] = info->entry.args[i];
	tracee->printed = 0;
	if (tracee->pid == command && tracee->number == __NR_execve) command_started = 1;
	int listed = tracee->number < COUNT(filter) && filter[tracee->number];
	tracee->shown = command_started && (!filtered || listed != filter_excludes);
	if (!tracee->shown || summary) return;
	begin_line(tracee);
	put_call_name(tracee->number);
	put("(");
	put_arguments(tracee, 0, 0);
	tracee->open_line = 1;
	open_tracee = tracee;
	flush();
}

static void put_result(const struct tracee *tracee, int64_t result)
{
	put(") = ");
	if (result < 0) {
		const char *name = NAME(error_names, -result);
		if (name) {
			put("-1 ");
			put(name);
			put(" (");
			put(strerror(-result));
			put(")");
		} else {
			put("? ");
			put_value(-result, restarts);
		}
		return;
	}
	switch (tracee->number) {
	case __NR_brk: case __NR_mmap2: case __NR_mremap: put_hex(result); break;
	case __NR_umask: if (result) put("0"); put_number(result, 8, 0); break;
	default: put_signed((int32_t)result);
	}
}

static void leave_call(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
	int64_t result = info->exit.rval;
	if (!tracee->in_call) return;
	tracee->in_call = 0;
	if (!tracee->shown) return;
	unsigned number = tracee->number < COUNT(call_names) ? tracee->number : COUNT(call_names);
	counts[number].calls++;
	counts[number].errors += info->exit.is_error;
	if (summary) return;
	if (!tracee->open_line) {
		begin_line(tracee);
		put("<... ");
		put_call_name(tracee->number);
		put(" resumed>");
	}
	put_arguments(tracee, 1, info->exit.is_error ? result : (int32_t)result < 0 ? 0 : result);
	put_result(tracee, result);
	end_line();
	tracee->open_line = 0;
	open_tracee = 0;
}

static void report_signal(struct tracee *tracee, int signal)
{
	siginfo_t info;
	if (summary || !command_started || ptrace(PTRACE_GETSIGINFO, tracee->pid, 0, &info) < 0) return;
	begin_line(tracee);
	put("--- ");
	put_signal(signal);
	put(" ");
	put_siginfo(&info);
	put(" ---");
	end_line();
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static struct tracee *find_tracee(pid_t pid)
{
	struct tracee *tracee = tracees;
	while (tracee && tracee->pid != pid) tracee = tracee->next;
	if (tracee) return tracee;
	tracee = calloc(1, sizeof *tracee);
	if (!tracee) fail("out of memory", 0);
	tracee->pid = pid;
	tracee->next = tracees;
	tracees = tracee;
	tracee_count++;
	return tracee;
}

static void forget_tracee(struct tracee *tracee)
{
	struct tracee **link = &tracees;
	while (*link != tracee) link = &(*link)->next;
	*link = tracee->next;
	if (open_tracee == tracee) open_tracee = 0;
	tracee_count--;
	free(tracee);
}

static void report_end(struct tracee *tracee, int status)
{
	if (!summary && command_started) {
		if (tracee->in_call && tracee->shown) {
			if (!tracee->open_line) {
				begin_line(tracee);
				put("<... ");
				put_call_name(tracee->number);
				put(" resumed>");
			}
			put(") = ?");
			end_line();
			open_tracee = 0;
		}
		begin_line(tracee);
		put("+++ ");
		if (WIFEXITED(status)) {
			put("exited with ");
			put_number(WEXITSTATUS(status), 10, 0);
		} else {
			put("killed by ");
			put_signal(WTERMSIG(status));
		}
		put(" +++");
		end_line();
	}
	forget_tracee(tracee);
}

/* A tracee has stopped; the request and the signal with which it goes on. */
static long handle_stop(struct tracee *tracee, int status, int *signal)
{
	int event = status >> 16, number = WSTOPSIG(status);
	struct __ptrace_syscall_info info;
	unsigned long message;

	*signal = 0;
	if (number == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY) enter_call(tracee, &info);
			else if (info.op == PTRACE_SYSCALL_INFO_EXIT) leave_call(tracee, &info);
		}
		return PTRACE_SYSCALL;
	}
	if (event == PTRACE_EVENT_STOP) {
		if (number == SIGTRAP) return PTRACE_SYSCALL;
		if (!summary && command_started) {
			begin_line(tracee);
			put("--- stopped by ");
			put_signal(number);
			put(" ---");
			end_line();
		}
		return PTRACE_LISTEN;
	}
	if (event == PTRACE_EVENT_EXEC) {
		/* The others of the process are gone; a thread that is not the first has become it. */
		if (ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &message) == 0 && (pid_t)message != tracee->pid) {
			struct tracee *former = find_tracee(message);
			pid_t pid = tracee->pid;
			former->open_line = former->open_line && open_tracee == former;
			forget_tracee(tracee);
			former->pid = pid;
		}
		return PTRACE_SYSCALL;
	}
	if (!event) {
		report_signal(tracee, number);
		*signal = number;
	}
	return PTRACE_SYSCALL;
}

static void handle(pid_t pid, int status, int *command_status)
{
	struct tracee *tracee = find_tracee(pid);
	int signal;

	if (!WIFSTOPPED(status)) {
		if (pid == command) *command_status = status;
		report_end(tracee, status);
		return;
	}
	long request = handle_stop(tracee, status, &signal);
	/* It may have been killed meanwhile, which the next wait tells. */
	ptrace(request, pid, 0, (void *)(intptr_t)signal);
}

/* Until all are gone, or a signal ends us; the wait status of the command. */
static int trace(void)
{
	int status, command_status = 0;
	pid_t pid;

	for (;;) {
		while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) handle(pid, status, &command_status);
		if (!tracees || pid < 0) return command_status;
		int number = sigwaitinfo(&awaited, 0);
		if (number > 0 && number != SIGCHLD) {
			interrupted = number;
			return command_status;
		}
	}
}

static void print_summary(void)
{
	put("    calls    errors syscall\n--------- --------- ----------------\n");
	unsigned calls = 0, errors = 0;
	for (;;) {
		unsigned most = 0;
		for (unsigned i = 1; i < COUNT(counts); i++)
			if (counts[i].calls > counts[most].calls) most = i;
		if (!counts[most].calls) break;
		put_number(counts[most].calls, 10, 9);
		put(" ");
		if (counts[most].errors) put_number(counts[most].errors, 10, 9);
		else put("         ");
		put(" ");
		put_call_name(most);
		put("\n");
		calls += counts[most].calls;
		errors += counts[most].errors;
		counts[most].calls = 0;
	}
	put("--------- --------- ----------------\n");
	put_number(calls, 10, 9);
	put(" ");
	put_number(errors, 10, 9);
	put(" total\n");
	flush();
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

static long options(void)
{
	return PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC |
	       (follow ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE : 0);
}

struct start {
	const char *path;
	char **arguments;
	int gate[2];
};

/* In the child, which shares our memory until it executes the command: errno and the like are not its own. */
static int run_command(void *argument)
{
	struct start *start = argument;
	char c;
	syscall(SYS_close, start->gate[1]);
	long n;
	while ((n = syscall(SYS_read, start->gate[0], &c, 1)) < 0) {
	}
	/* The tracer is gone. */
	if (n == 0) syscall(SYS_exit_group, 127);
	syscall(SYS_execve, start->path, start->arguments, environ);
	syscall(SYS_exit_group, 127);
	return 0;
}

/* The file of a command, as a shell finds it. */
static const char *find_command(const char *name)
{
	static char path[4096];
	const char *folder = getenv("PATH");
	size_t length = strlen(name);

	if (strchr(name, '/')) return access(name, X_OK) == 0 ? name : 0;
	while (folder && *folder) {
		size_t n = strcspn(folder, ":");
		if (n + length + 2 <= sizeof path) {
			memcpy(path, folder, n);
			path[n] = '/';
			memcpy(path + n + 1, name, length + 1);
			struct stat status;
			if (access(path, X_OK) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode)) return path;
		}
		folder += n;
		folder += *folder == ':';
	}
	errno = ENOENT;
	return 0;
}

static void start_command(char **arguments)
{
	static char stack[16384] __attribute__((__aligned__(16)));
	static struct start start;
	int status;

	start.arguments = arguments;
	start.path = find_command(*arguments);
	if (!start.path) fail(*arguments, strerror(errno));
	if (pipe2(start.gate, O_CLOEXEC) < 0) fail("pipe", strerror(errno));
	command = clone(run_command, stack + sizeof stack, CLONE_VM | SIGCHLD, &start);
	if (command < 0) fail("clone", strerror(errno));
	if (ptrace(PTRACE_SEIZE, command, 0, options()) < 0 || ptrace(PTRACE_INTERRUPT, command, 0, 0) < 0)
		fail("ptrace", strerror(errno));
	find_tracee(command);
	while (waitpid(command, &status, __WALL) < 0 && errno == EINTR) {
	}
	/* From here on it stops at its calls; what it does before the command is not shown. */
	ptrace(PTRACE_SYSCALL, command, 0, 0);
	close(start.gate[0]);
	write(start.gate[1], "", 1);
	close(start.gate[1]);
}

static void attach(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);
	if (*end || pid <= 0) fail(text, "not a process");
	if (ptrace(PTRACE_SEIZE, pid, 0, options()) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		fail(text, strerror(errno));
	find_tracee(pid);
	command_started = 1;
}

static void set_filter(char *text)
{
	if (strncmp(text, "trace=", 6) == 0) text += 6;
	if (*text == '!') filter_excludes = 1, text++;
	filtered = 1;
	for (char *name = strtok(text, ","); name; name = strtok(0, ",")) {
		unsigned i = 0;
		while (i < COUNT(call_names) && !(call_names[i] && strcmp(call_names[i], name) == 0)) i++;
		if (i == COUNT(call_names)) fail(name, "no such system call");
		filter[i] = 1;
	}
}

int main(int argc, char **argv)
{
	const char *file = 0, *process = 0;
	int option;

	while ((option = getopt(argc, argv, "+fce:o:p:")) != -1) {
		switch (option) {
		case 'f': follow = 1; break;
		case 'c': summary = 1; break;
		case 'e': set_filter(optarg); break;
		case 'o': file = optarg; break;
		case 'p': process = optarg; break;
		default: return 1;
		}
	}
	if (!process == (optind == argc))
		fail("usage: strace [-f] [-c] [-o FILE] [-e [trace=][!]NAME,...] {-p PID | COMMAND [ARGUMENT...]}", 0);
	if (file) {
		output = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (output < 0) fail(file, strerror(errno));
	}
	if (process) attach(process);
	else start_command(argv + optind);
	/* Not before: the command would inherit it. */
	static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	signal(SIGCHLD, SIG_DFL);
	sigaddset(&awaited, SIGCHLD);
	for (unsigned i = 0; i < COUNT(fatal); i++) {
		struct sigaction former;
		sigaction(fatal[i], 0, &former);
		if (former.sa_handler != SIG_IGN) sigaddset(&awaited, fatal[i]);
	}
	sigprocmask(SIG_BLOCK, &awaited, 0);
	int status = trace();
	if (open_tracee) put(" <detached ...>\n"), flush();
	if (summary) print_summary();
	if (interrupted) {
		/* Who is traced goes on untraced when we end. */
		if (command) kill(command, interrupted);
		return 128 + interrupted;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
