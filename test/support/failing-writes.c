/* Preloaded into a relay (LD_PRELOAD): makes its disk fail from the moment on in which the file that FAILING_WRITES names is there. It says how, with what errno, and
 * how many times (always, where nothing is said): "meta 5" (writes of the meta pages of the store's file), "grow 28" (those at its end), "spare 28" (of those the large ones, by which
 * it is made longer beforehand), "short 28" (those too; all
 * others but the meta pages' write half of what they are given); of all files below the folder that FAILING_FOLDER names, or of the store's file where it names
 * none, "write 5" (all writes), "read 5" (all reads, but through the map there are none), "sync 5" (fdatasync and the like), "slow 2000" (those take so many
 * milliseconds longer).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define META_BYTES (2 * 8192)
#define SPARE_BYTES (1 << 20)

enum failing { NOTHING, META, GROW, SPARE, SHORT, SYNC, WRITE, READ, SLOW };
static const char *const NAMES[] = { "", "meta", "grow", "spare", "short", "sync", "write", "read", "slow" };

#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))

/* What the trigger says, if it speaks of this file. */
static enum failing failing(int fd, int *error, int *times)
{
	const char *trigger = getenv("FAILING_WRITES"), *folder = getenv("FAILING_FOLDER");
	char link[64], path[PATH_MAX], what[16] = "";
	enum failing which = SLOW;
	ssize_t length;
	FILE *file;

	if (trigger == NULL || access(trigger, F_OK))
		return NOTHING;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return NOTHING;
	path[length] = 0;
	if (folder != NULL ? strncmp(path, folder, strlen(folder)) != 0 : strstr(path, "/data.mdb") == NULL)
		return NOTHING;
	if ((file = fopen(trigger, "r")) == NULL)
		return NOTHING;
	*times = INT_MAX;
	if (fscanf(file, "%15s %d %d", what, error, times) < 2)
		what[0] = 0;
	fclose(file);
	while (which != NOTHING && strcmp(what, NAMES[which]))
		which--;
	/* What is said of places is said of those in the store's file. */
	return which >= META && which <= SHORT && strstr(path, "/data.mdb") == NULL ? NOTHING : which;
}

static int fails(enum failing which, int fd)
{
	static int failed;
	int error = EIO, times;

	if (failing(fd, &error, &times) != which || __sync_fetch_and_add(&failed, 1) >= times)
		return 0;
	errno = error;
	return 1;
}

/* How much may be written: all, a part, or none, which is an error. */
static ssize_t allowed(int fd, ssize_t bytes, off_t offset)
{
	int error = EIO, times;
	enum failing which = failing(fd, &error, &times);
	struct stat64 stat;

	if (which == WRITE)
		return fails(WRITE, fd) ? -1 : bytes;
	if (which == NOTHING || which > SHORT || (which == META) != (offset < META_BYTES))
		return bytes;
	if (which == SPARE && bytes < SPARE_BYTES)
		return bytes;
	if (which != META && fstat64(fd, &stat) == 0 && offset < stat.st_size)
		return which == SHORT ? bytes / 2 : bytes;
	errno = error;
	return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	ssize_t length = allowed(fd, bytes, offset);
	return length < 0 ? -1 : REAL(pwrite)(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	ssize_t length = allowed(fd, bytes, offset);
	return length < 0 ? -1 : REAL(pwrite64)(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t length = offset < 0 ? (ssize_t)bytes : allowed(fd, bytes, offset);
	return length < 0 ? -1 : REAL(write)(fd, data, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t bytes = 0, length;

	for (int i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	if (offset < 0)
		return REAL(writev)(fd, parts, count);
	length = allowed(fd, bytes, offset);
	if (length == bytes)
		return REAL(writev)(fd, parts, count);
	return length < 0 ? -1 : REAL(writev)(fd, parts, 1);
}

ssize_t read(int fd, void *data, size_t bytes)
{
	return fails(READ, fd) ? -1 : REAL(read)(fd, data, bytes);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
	return fails(READ, fd) ? -1 : REAL(pread)(fd, data, bytes, offset);
}

ssize_t pread64(int fd, void *data, size_t bytes, off64_t offset)
{
	return fails(READ, fd) ? -1 : REAL(pread64)(fd, data, bytes, offset);
}

static int sync_fails(int fd)
{
	int milliseconds = 0, times;

	if (failing(fd, &milliseconds, &times) == SLOW)
		usleep(milliseconds * 1000);
	return fails(SYNC, fd);
}

int fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fsync)(fd);
}
