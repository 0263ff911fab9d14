// SPDX-License-Identifier: MIT
// What strace knows of each system call: its name, the form of its arguments,
// and whether to show it.
#include <asm/unistd.h>
#include <string.h>
#include "strace.h"

/* build.sh makes this list from the header: names by number. */
static const char *const names[] = {
#include "syscall-names.h"
};
const unsigned call_count = COUNT(names);

_Static_assert(COUNT(names) <= CALLS, "CALLS is too small");

/*
 * The arguments of system calls, a letter each:
 *   d u x m   number: signed, unsigned, hexadecimal, octal
 *   l         number of 64 bits in two arguments
 *   p         pointer
 *   D         directory: descriptor or AT_FDCWD
 *   s         string
 *   v V       strings up to NULL; only their number
 *   b         bytes that the kernel reads (their number follows)
 *   r         bytes that the kernel writes (their number is the result)
 *   i I       the same in a struct iovec array (its length follows)
 *   t T       struct timespec that the kernel reads; that it writes
 *   P         two descriptors that the kernel writes
 *   N         siginfo of a child that the kernel writes
 *   S         struct statx that the kernel writes
 *   g G       signal; struct sigaction that the kernel reads
 *   k K       signal set that the kernel reads; that it writes
 *   h         how the signal set is applied
 *   others    sets of flags and lists of values (arguments.c)
 * strace prints what the kernel writes (r I T P N S K) when the call returns.
 */
static const char *const forms[COUNT(names)] = {
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

static unsigned char filter[COUNT(names)];
static int filtered, filter_excludes;

const char *call_name(unsigned number)
{
	return NAME(names, number);
}

const char *call_form(unsigned number)
{
	return NAME(forms, number);
}

int is_call_shown(unsigned number)
{
	int listed = number < COUNT(filter) && filter[number];
	return !filtered || listed != filter_excludes;
}

void set_filter(char *text)
{
	if (strncmp(text, "trace=", 6) == 0) text += 6;
	if (*text == '!') filter_excludes = 1, text++;
	filtered = 1;
	for (char *name = strtok(text, ","); name; name = strtok(0, ",")) {
		unsigned i = 0;
		while (i < COUNT(names) && !(names[i] && strcmp(names[i], name) == 0)) i++;
		if (i == COUNT(names)) fail(name, "no such system call");
		filter[i] = 1;
	}
}
