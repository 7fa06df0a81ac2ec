/* Preloaded into a relay (LD_PRELOAD): makes writes to the store's file fail from the moment on in which the file that FAILING_WRITES names is there. It says
 * which ones, and how: "meta 5" (those of the meta pages, with errno 5), "grow 28" (those at the end of the file), "short 28" (those too; all others but the
 * meta pages' write half of what they are given), "sync 5" (fdatasync and the like).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define META_BYTES (2 * 8192)

enum failing { NOTHING, META, GROW, SHORT, SYNC };

static enum failing failing(int fd, int *error)
{
	const char *trigger = getenv("FAILING_WRITES");
	char link[64], path[PATH_MAX], what[16] = "";
	FILE *file;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (trigger == NULL || length < 0)
		return NOTHING;
	path[length] = 0;
	if (strstr(path, "/data.mdb") == NULL || (file = fopen(trigger, "r")) == NULL)
		return NOTHING;
	if (fscanf(file, "%15s %d", what, error) != 2)
		what[0] = 0;
	fclose(file);
	return !strcmp(what, "meta") ? META : !strcmp(what, "grow") ? GROW : !strcmp(what, "short") ? SHORT
		: !strcmp(what, "sync") ? SYNC : NOTHING;
}

/* How much may be written: all, a part, or none, which is an error. */
static ssize_t allowed(int fd, ssize_t bytes, off_t offset)
{
	int error = EIO;
	enum failing which = failing(fd, &error);

	if (which == NOTHING || which == SYNC || (which == META) != (offset < META_BYTES))
		return bytes;
	if (which != META && offset < lseek(fd, 0, SEEK_END))
		return which == SHORT ? bytes / 2 : bytes;
	errno = error;
	return -1;
}

#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))

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

static int sync_fails(int fd)
{
	int error = EIO;

	if (failing(fd, &error) != SYNC)
		return 0;
	errno = error;
	return 1;
}

int fdatasync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	return sync_fails(fd) ? -1 : REAL(fsync)(fd);
}
