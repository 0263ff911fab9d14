// SPDX-License-Identifier: MIT
// Runs those applets of BusyBox that need root's rights when a user runs them.
// This is the only set-user-ID program of the image.
//
// BusyBox itself is not set-user-ID. Otherwise each command of a user, the
// shell first of all, would begin with root's rights, and the user could not
// use /proc/PID and ptrace on it. BusyBox checks in /etc/busybox.conf who may
// run which of these applets.
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char busybox[] = "/bin/busybox";

/*
 * The links to this program in initramfs/files.list. Under any other name
 * BusyBox would drop the rights, but this program does not even start it.
 */
static const char *const applets[] = {
	"crontab", "login", "mount", "passwd", "ping", "ping6", "su", "traceroute", "traceroute6", "vlock", "wall",
};

/* Does not use stdio, which would be most of this program. */
static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

int main(int count, char **words)
{
	const char *name = count > 0 ? words[0] : "";
	const char *slash = strrchr(name, '/');
	if (slash) name = slash + 1;
	/* The name of a login shell begins with a dash. */
	if (name[0] == '-') name++;
	for (size_t i = 0; i < sizeof applets / sizeof *applets; i++)
		if (strcmp(name, applets[i]) == 0) {
			execv(busybox, words);
			int error = errno;
			say(busybox);
			say(": ");
			say(strerror(error));
			say("\n");
			return 126;
		}
	say("busybox-suid: only links to it run: su, passwd and others\n");
	return 127;
}
