// SPDX-License-Identifier: MIT
// execve of every file in the folder "bad" next to this program must give ENOEXEC.
#include <dirent.h>
#include <libgen.h>
#include <unistd.h>
#include "check.h"

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(int argc, char **argv)
{
	char folder[256], path[512];
	struct dirent **entries;
	snprintf(path, sizeof path, "%s", argv[0]);
	snprintf(folder, sizeof folder, "%s/bad", dirname(path));
	int count = scandir(folder, &entries, visible, by_name);
	CHECK(count > 0);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		fflush(stdout);
		execve(path, (char *[]){ path, NULL }, environ);
		printf("%s: %s\n", entries[i]->d_name, strerror(errno));
	}
	return failures != 0;
}
