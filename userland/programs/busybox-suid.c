// SPDX-License-Identifier: MIT
// Runs the applets of BusyBox that need root's rights for a user's sake; the only set-user-ID program of the image.
//
// BusyBox itself is not set-user-ID: each command of a user, the shell first of all, would begin as root's, and /proc/PID and
// ptrace of it would stay closed to the user. /etc/busybox.conf says who may run which of these applets, and BusyBox looks.
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char busybox[] = "/bin/busybox";

/* As in initramfs/files.list. BusyBox drops the rights for every other name, but need not be asked. */
static const char *const applets[] = {
	"crontab", "login", "mount", "passwd", "ping", "ping6", "su", "traceroute", "traceroute6", "vlock", "wall",
};

/* Without stdio, which would be most of this program. */
static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

int main(int count, char **words)
{
	const char *name = count > 0 ? words[0] : "";
	const char *slash = strrchr(name, '/');
	if (slash) name = slash + 1;
	/* a login shell's name */
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
