/* Preloaded into a command (LD_PRELOAD): writes into the file that RECORDED_FILES names, in their order, what is flushed to disk and what is given a name, a line
 * each: "sync <path>", "name <from> <to>". With NO_HARD_LINKS set, link fails as on a file system that has none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))

static void record(const char *what, const char *one, const char *other)
{
	const char *path = getenv("RECORDED_FILES");
	FILE *file;

	if (path == NULL || (file = fopen(path, "a")) == NULL)
		return;
	fprintf(file, "%s %s%s%s\n", what, one, *other ? " " : "", other);
	fclose(file);
}

int fsync(int fd)
{
	int failed = REAL(fsync)(fd);
	char link[64], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (!failed && length >= 0) {
		path[length] = 0;
		record("sync", path, "");
	}
	return failed;
}

int rename(const char *from, const char *to)
{
	int failed = REAL(rename)(from, to);

	if (!failed)
		record("name", from, to);
	return failed;
}

int link(const char *from, const char *to)
{
	int failed;

	if (getenv("NO_HARD_LINKS") != NULL) {
		errno = EPERM;
		return -1;
	}
	failed = REAL(link)(from, to);
	if (!failed)
		record("name", from, to);
	return failed;
}
