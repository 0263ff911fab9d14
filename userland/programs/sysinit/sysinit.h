/* SPDX-License-Identifier: MIT */
/* What the files of sysinit share. */
#ifndef SYSINIT_H
#define SYSINIT_H

#include <stddef.h>

/*
 * Says what failed. The rest goes on, because a shell in half a system is
 * better than none.
 */
void complain(const char *what);

/*
 * Reads the first line of a file into @text, without its newline. @text is ""
 * if the file cannot be read.
 */
void read_line(const char *path, char *text, size_t size);

enum existing {
	/* A file that is there already stays, with a complaint. */
	KEEP,
	REPLACE,
};

/*
 * Moves what is in the folder @from to the folder @to. A file system was
 * mounted on @path, and hides what the machine's owner has put there before the
 * boot (--put of the command line, files of the API). @existing says what
 * becomes of a file, not a folder, that is there already.
 */
void move_entries(int from, int to, const char *path, enum existing existing);

/* link_disks() makes these. */
#define DISK_BY_NAME "/dev/disk/by-id/virtio-"

/*
 * Names the disks as udev does: /dev/disk/by-id/virtio-NAME is a link to the
 * device whose serial number is NAME. Nothing is done where there are none.
 */
void link_disks(void);

enum { DEVICE_NAME = 80 };
/* The device that such a link names: df and mount show this. */
void device_of(const char *link, char device[DEVICE_NAME]);

/* home.c */
void mount_home(void);
/*
 * Mounts the disk "home" at @where. Returns -1 if there is none, or if it
 * cannot be used, which is said then.
 */
int mount_upper_disk(const char *where);
/*
 * The machine's owner has made the disk "home" larger, to so many bytes: makes
 * its file system as large, where it is mounted. Returns an exit status.
 */
int grow_home(const char *size);

/* network.c */
void bring_network_up(void);

/* root.c */
int start_root(void);

#endif
