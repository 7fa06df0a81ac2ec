/* Preloaded into a relay (LD_PRELOAD): writes into the file that RECORDED_LOG names, in their order and with their data, everything by which the process changes
 * what is below the folder that RECORDED_FOLDER names (the path that the kernel gives it), every flush of it, and what is said of it over sockets. A power cut at
 * any moment can be made of that afterwards: see recorded-writes.ts, where the records are read.
 *
 * One lock orders them. What changes a file is recorded when it is done, in the same hold of the lock; a flush, and a write that is one, when it begins and when
 * it has ended, for others go on meanwhile; what is said, before it is. So nothing is said in the log before what it relies on, unless that is so in the relay.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))

enum kind {
	MADE = 1,	/* path; inode; detail 1: a folder */
	WRITTEN,	/* inode; offset; bytes */
	SIZED,		/* inode; offset: the new size */
	RENAMED,	/* path, zero, path */
	REMOVED,	/* path */
	LINKED,		/* path, zero, path */
	FLUSHING,	/* inode; detail: number of this flush */
	FLUSHED,	/* detail: the same number; offset 1: it failed */
	WRITING,	/* the same for a write that is a flush of what it writes: inode; offset; detail; bytes */
	MAPPED,		/* inode: what is written into it from now on is not recorded */
	SAID,		/* bytes */
};

struct head {
	uint32_t kind, path;
	uint64_t inode, offset, detail, bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_length;
static int log_file = -1;
static uint64_t flushes;
static useconds_t longer;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("RECORDED_LOG"), *flush = getenv("RECORDED_FLUSH_MICROSECONDS");
	int file;

	folder = getenv("RECORDED_FOLDER");
	if (path == NULL || folder == NULL)
		return;
	folder_length = strlen(folder);
	flushes = (uint64_t)getpid() << 32;
	longer = flush == NULL ? 0 : atoi(flush);
	file = REAL(open64)(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	/* Out of the way of whoever counts descriptors. */
	log_file = fcntl(file, F_DUPFD_CLOEXEC, 900);
	REAL(close)(file);
}

/* To be called with the lock held. */
static void record(struct head head, const char *path, const struct iovec *parts, int count)
{
	struct iovec all[2 + IOV_MAX];
	int used = 2, saved = errno;
	size_t left = head.bytes;

	head.path = path == NULL ? 0 : head.path ? head.path : strlen(path);
	all[0] = (struct iovec){ &head, sizeof(head) };
	all[1] = (struct iovec){ (void *)path, head.path };
	for (int i = 0; i < count && left > 0 && used < IOV_MAX; i++) {
		size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
		all[used++] = (struct iovec){ parts[i].iov_base, length };
		left -= length;
	}
	if (left > 0 || REAL(writev)(log_file, all, used) < (ssize_t)(sizeof(head) + head.path + head.bytes))
		abort();
	errno = saved;
}

/* The path of a file below the folder, in `path`, beginning with a slash; NULL when it is elsewhere. */
static const char *below(const char *path)
{
	if (log_file < 0 || strncmp(path, folder, folder_length) || (path[folder_length] && path[folder_length] != '/'))
		return NULL;
	return path + folder_length;
}

static const char *named(int at, const char *name, char *path)
{
	char link[64] = "/proc/self/cwd";
	ssize_t length = 0;

	if (log_file < 0)
		return NULL;
	if (name[0] != '/') {
		if (at != AT_FDCWD)
			snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		length = readlink(link, path, PATH_MAX - 1);
		if (length < 0)
			return NULL;
		path[length++] = '/';
	}
	snprintf(path + length, PATH_MAX - length, "%s", name);
	length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		path[--length] = 0;
	return below(path);
}

/* Whether this is a file or a folder below the folder; its inode then. */
static int is_ours(int fd, uint64_t *inode)
{
	char link[64], path[PATH_MAX];
	struct stat64 stat;
	ssize_t length;

	if (log_file < 0 || fstat64(fd, &stat) || !(S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode)))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return 0;
	path[length] = 0;
	*inode = stat.st_ino;
	return below(path) != NULL;
}

static int is_flushing(int fd)
{
	return (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) != 0;
}

static int opened(int (*open)(const char *, int, ...), const char *name, int flags, mode_t mode)
{
	char full[PATH_MAX];
	const char *path = flags & (O_CREAT | O_TRUNC) ? named(AT_FDCWD, name, full) : NULL;
	struct stat64 stat;
	int was, fd;

	if (path == NULL)
		return open(name, flags, mode);
	pthread_mutex_lock(&lock);
	was = lstat64(name, &stat) == 0;
	fd = open(name, flags, mode);
	if (fd >= 0 && !was && fstat64(fd, &stat) == 0)
		record((struct head){ .kind = MADE, .inode = stat.st_ino }, path, NULL, 0);
	else if (fd >= 0 && was && (flags & O_TRUNC))
		record((struct head){ .kind = SIZED, .inode = stat.st_ino }, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return fd;
}

#define MODE mode_t mode = 0; if (flags & O_CREAT) { va_list list; va_start(list, flags); mode = va_arg(list, int); va_end(list); }

int open(const char *name, int flags, ...)
{
	MODE
	return opened(REAL(open), name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
	MODE
	return opened(REAL(open64), name, flags | O_LARGEFILE, mode);
}

static ssize_t written(int fd, const struct iovec *parts, int count, off64_t at)
{
	uint64_t inode;
	struct head head;
	size_t bytes = 0;
	ssize_t done;
	int flushing;

#define WRITE() (at < 0 ? REAL(writev)(fd, parts, count) : REAL(pwritev64)(fd, parts, count, at))
	if (!is_ours(fd, &inode))
		return WRITE();
	for (int i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	flushing = is_flushing(fd);
	pthread_mutex_lock(&lock);
	head = (struct head){ .inode = inode, .offset = at, .bytes = bytes };
	if (at < 0)
		head.offset = lseek64(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
	if (flushing) {
		head.kind = WRITING;
		head.detail = ++flushes;
		record(head, NULL, parts, count);
		pthread_mutex_unlock(&lock);
		done = WRITE();
		usleep(longer);
		pthread_mutex_lock(&lock);
		record((struct head){ .kind = FLUSHED, .detail = head.detail, .offset = done != (ssize_t)bytes }, NULL, NULL, 0);
	} else {
		done = WRITE();
		head.kind = WRITTEN;
		head.bytes = done;
		if (done > 0)
			record(head, NULL, parts, count);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

/* Frames of a relay are not masked. */
static void saying(int fd, const struct iovec *parts, int count)
{
	struct head head = { .kind = SAID };
	struct stat64 stat;
	int is_answer = 0;

	if (log_file < 0 || fstat64(fd, &stat) || !S_ISSOCK(stat.st_mode))
		return;
	for (int i = 0; i < count; i++) {
		is_answer |= memmem(parts[i].iov_base, parts[i].iov_len, "[\"OK\"", 5) != NULL;
		head.bytes += parts[i].iov_len;
	}
	if (!is_answer)
		return;
	pthread_mutex_lock(&lock);
	record(head, NULL, parts, count);
	pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
	struct iovec part = { (void *)data, bytes };
	uint64_t inode;

	saying(fd, &part, 1);
	return is_ours(fd, &inode) ? written(fd, &part, 1, -1) : REAL(write)(fd, data, bytes);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	saying(fd, parts, count);
	return written(fd, parts, count, -1);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
	return written(fd, &(struct iovec){ (void *)data, bytes }, 1, at);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
	return written(fd, &(struct iovec){ (void *)data, bytes }, 1, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	return written(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
	return written(fd, parts, count, at);
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
	saying(fd, &(struct iovec){ (void *)data, bytes }, 1);
	return REAL(send)(fd, data, bytes, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	saying(fd, message->msg_iov, message->msg_iovlen);
	return REAL(sendmsg)(fd, message, flags);
}

static int sized(int fd, off64_t size, int failed)
{
	uint64_t inode;

	if (!failed && is_ours(fd, &inode))
		record((struct head){ .kind = SIZED, .inode = inode, .offset = size }, NULL, NULL, 0);
	return failed;
}

#define LOCKED(work) ({ pthread_mutex_lock(&lock); typeof(work) locked = work; pthread_mutex_unlock(&lock); locked; })

int ftruncate(int fd, off_t size)
{
	return LOCKED(sized(fd, size, REAL(ftruncate)(fd, size)));
}

int ftruncate64(int fd, off64_t size)
{
	return LOCKED(sized(fd, size, REAL(ftruncate64)(fd, size)));
}

static int grown(int fd, int mode, off64_t end, int failed)
{
	struct stat64 stat;

	/* Zeros that are nowhere are there already; holes are made by nobody here. */
	if (failed || mode != 0 || fstat64(fd, &stat))
		return failed;
	return sized(fd, end > stat.st_size ? end : stat.st_size, 0);
}

int fallocate64(int fd, int mode, off64_t at, off64_t bytes)
{
	return LOCKED(grown(fd, mode, at + bytes, REAL(fallocate64)(fd, mode, at, bytes)));
}

int fallocate(int fd, int mode, off_t at, off_t bytes)
{
	return LOCKED(grown(fd, mode, at + bytes, REAL(fallocate)(fd, mode, at, bytes)));
}

int posix_fallocate64(int fd, off64_t at, off64_t bytes)
{
	return LOCKED(grown(fd, 0, at + bytes, REAL(posix_fallocate64)(fd, at, bytes)));
}

static int flushed(int (*flush)(int), int fd)
{
	uint64_t inode, number;
	int failed;

	if (!is_ours(fd, &inode))
		return flush(fd);
	pthread_mutex_lock(&lock);
	number = ++flushes;
	record((struct head){ .kind = FLUSHING, .inode = inode, .detail = number }, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	failed = flush(fd);
	usleep(longer);
	pthread_mutex_lock(&lock);
	record((struct head){ .kind = FLUSHED, .detail = number, .offset = failed != 0 }, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return failed;
}

int fsync(int fd)
{
	return flushed(REAL(fsync), fd);
}

int fdatasync(int fd)
{
	return flushed(REAL(fdatasync), fd);
}

static int changed_at(int at, enum kind kind, const char *name, const char *other, int failed)
{
	char full[PATH_MAX], second[PATH_MAX], both[2 * PATH_MAX];
	const char *path = failed ? NULL : named(at, name, full), *to = other && !failed ? named(at, other, second) : "";
	struct head head = { .kind = kind };
	struct stat64 stat;

	if (path == NULL || to == NULL)
		return failed;
	if (kind == MADE && lstat64(name, &stat) == 0) {
		head.inode = stat.st_ino;
		head.detail = S_ISDIR(stat.st_mode);
	}
	head.path = snprintf(both, sizeof(both), "%s", path);
	if (other)
		head.path += 1 + snprintf(both + head.path + 1, sizeof(both) - head.path - 1, "%s", to);
	record(head, both, NULL, 0);
	return failed;
}

static int changed(enum kind kind, const char *name, const char *other, int failed)
{
	return changed_at(AT_FDCWD, kind, name, other, failed);
}

int mkdir(const char *name, mode_t mode)
{
	return LOCKED(changed(MADE, name, NULL, REAL(mkdir)(name, mode)));
}

int rename(const char *from, const char *to)
{
	return LOCKED(changed(RENAMED, from, to, REAL(rename)(from, to)));
}

int link(const char *from, const char *to)
{
	return LOCKED(changed(LINKED, from, to, REAL(link)(from, to)));
}

int unlink(const char *name)
{
	return LOCKED(changed(REMOVED, name, NULL, REAL(unlink)(name)));
}

int remove(const char *name)
{
	return LOCKED(changed(REMOVED, name, NULL, REAL(remove)(name)));
}

int unlinkat(int at, const char *name, int flags)
{
	return LOCKED(changed_at(at, REMOVED, name, NULL, REAL(unlinkat)(at, name, flags)));
}

int rmdir(const char *name)
{
	return LOCKED(changed(REMOVED, name, NULL, REAL(rmdir)(name)));
}

/* A socket has a name in its folder too. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int failed = REAL(bind)(fd, address, length);
	char path[PATH_MAX] = "";

	if (!failed && address->sa_family == AF_UNIX) {
		memcpy(path, ((const struct sockaddr_un *)address)->sun_path, length - offsetof(struct sockaddr_un, sun_path));
		if (path[0])
			LOCKED(changed(MADE, path, NULL, 0));
	}
	return failed;
}

void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off64_t at)
{
	void *map = REAL(mmap64)(address, bytes, protection, flags, fd, at);
	uint64_t inode;

	if (fd >= 0 && map != MAP_FAILED && (flags & MAP_SHARED) && (protection & PROT_WRITE) && is_ours(fd, &inode))
		LOCKED((record((struct head){ .kind = MAPPED, .inode = inode }, NULL, NULL, 0), 0));
	return map;
}
