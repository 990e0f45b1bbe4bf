/* A disk that fails on request: preloaded into a process, it counts what is done to the disk below one folder.

   Operation number `at` is killed, refused, or done by half; every operation can be written to a log for replay.
   Linux only. The system is called directly, so that nothing here depends on what the C library does. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, KILLED, TORN, REFUSED, SHORT, FULL };

static char folder[4096];
static size_t folder_length; /* 0: not watching */
static long counted, fault_at, budget = -1, hit;
static int fault, refusal, links_refused, log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void faulty_disk_watch(const char *path, int log_to)
{
    snprintf(folder, sizeof folder, "%s", path);
    counted = fault_at = hit = fault = 0;
    budget = -1;
    log_file = log_to;
    folder_length = strlen(folder);
}

void faulty_disk_fail(long at, int kind, int number) { fault_at = at; fault = kind; refusal = number; }
void faulty_disk_budget(long bytes) { budget = bytes; }
void faulty_disk_refuse_links(void) { links_refused = 1; }
void faulty_disk_stop(void) { folder_length = 0; }
long faulty_disk_counted(void) { return counted; }
long faulty_disk_hit(void) { return hit; }

static int is_inside(const char *path)
{
    return folder_length && !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

static int path_of(int descriptor, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
    path[length > 0 ? length : 0] = 0;
    return length > 0;
}

static void whole_path(int at, const char *name, char *path)
{
    char base[4096];
    if (name[0] == '/') {
        snprintf(path, 4096, "%s", name);
    } else if (at == AT_FDCWD ? getcwd(base, sizeof base) != NULL : path_of(at, base)) {
        int ignored = snprintf(path, 4096, "%s/%s", base, name);
        (void)ignored;
    } else {
        path[0] = 0;
    }
}

static void put(const void *bytes, size_t length)
{
    while (length) {
        long done = syscall(SYS_write, log_file, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= done;
    }
}

static void record(const char *what, const char *path, const char *second, long offset, const void *data, size_t length)
{
    char head[128];
    if (log_file < 0) return;
    int size = snprintf(head, sizeof head, "%s %ld %ld %zu %zu %zu\n", what, counted, offset, strlen(path), strlen(second), length);
    put(head, size);
    put(path, strlen(path));
    put(second, strlen(second));
    put(data, length);
}

void faulty_disk_note(const char *text)
{
    pthread_mutex_lock(&lock);
    record("note", text, "", counted, "", 0);
    pthread_mutex_unlock(&lock);
}

/* Count an operation: 0 to go on, a number of `errno` to refuse it, -1 to do half of it, -2 to do half and die. */
static int trouble(int is_write, size_t length)
{
    if (++counted != fault_at || fault == NOTHING) return 0;
    hit = counted;
    switch (fault) {
    case KILLED: kill(getpid(), SIGKILL); pause(); return 0;
    case TORN: if (is_write && length > 1) return -2; kill(getpid(), SIGKILL); pause(); return 0;
    case SHORT: return is_write && length > 1 ? -1 : 0;
    case FULL: budget = is_write ? (long)length / 2 : 0; return 0;
    default: return refusal;
    }
}

/* Bytes that a file takes: one that was made long before it was written (as safetensors does) takes none yet. */
static long room_of(const struct stat *facts)
{
    long blocks = (long)facts->st_blocks * 512;
    return blocks < facts->st_size ? blocks : facts->st_size;
}

static long freed_by_losing(const char *path)
{
    struct stat facts;
    return !lstat(path, &facts) && S_ISREG(facts.st_mode) && facts.st_nlink == 1 ? room_of(&facts) : 0;
}

static void give_back(long bytes) { if (budget >= 0) budget += bytes; }

/* -- contents ------------------------------------------------------------------------------------------------------ */

static ssize_t written(int file, const void *data, size_t length, long offset, const char *path)
{
    struct stat facts;
    int flags = fcntl(file, F_GETFL), positioned = offset >= 0;
    if (fstat(file, &facts) || !S_ISREG(facts.st_mode)) return syscall(SYS_write, file, data, length);
    int problem = trouble(1, length);
    if (problem > 0) { errno = problem; return -1; }
    if (problem < 0) length /= 2;
    if (!positioned) offset = flags & O_APPEND ? facts.st_size : lseek(file, 0, SEEK_CUR);
    long growth = offset + (long)length - room_of(&facts);
    if (budget >= 0 && growth > budget) {
        long allowed = (long)length - (growth - budget);
        if (allowed <= 0) { hit = counted; errno = ENOSPC; return -1; }
        length = allowed;
        growth = budget;
    }
    long done = positioned ? syscall(SYS_pwrite64, file, data, length, offset) : syscall(SYS_write, file, data, length);
    if (done > 0) {
        if (budget >= 0 && growth > 0) budget -= growth;
        record("write", path, "", offset, data, done);
    }
    if (problem == -2) { kill(getpid(), SIGKILL); pause(); }
    return done;
}

#define WATCHED_FILE(file, plain)                                     \
    char path[4096];                                                  \
    if (!folder_length || (file) == log_file || !path_of(file, path) || !is_inside(path)) return plain; \
    pthread_mutex_lock(&lock)

#define RETURN(value) do { __typeof__(value) result_ = (value); int number_ = errno; \
    pthread_mutex_unlock(&lock); errno = number_; return result_; } while (0)

ssize_t write(int file, const void *data, size_t length)
{
    WATCHED_FILE(file, syscall(SYS_write, file, data, length));
    RETURN(written(file, data, length, -1, path));
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset)
{
    WATCHED_FILE(file, syscall(SYS_pwrite64, file, data, length, offset));
    RETURN(written(file, data, length, offset, path));
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset) { return pwrite64(file, data, length, offset); }

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    WATCHED_FILE(file, syscall(SYS_writev, file, pieces, count));
    for (int number = 0; number < count; number++) /* a part of it is a legal answer */
        if (pieces[number].iov_len) RETURN(written(file, pieces[number].iov_base, pieces[number].iov_len, -1, path));
    RETURN((ssize_t)0);
}

/* Copies inside the kernel cannot be logged: refused, so that the caller reads and writes. */
ssize_t sendfile64(int to, int from, off64_t *offset, size_t length)
{
    char path[4096];
    if (path_of(to, path) && is_inside(path)) { errno = EINVAL; return -1; }
    return syscall(SYS_sendfile, to, from, offset, length);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) { return sendfile64(to, from, offset, length); }

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *place, size_t length, unsigned flags)
{
    char path[4096];
    if (path_of(to, path) && is_inside(path)) { errno = EXDEV; return -1; }
    return syscall(SYS_copy_file_range, from, start, to, place, length, flags);
}

static int synced(int file, const char *path, int number)
{
    int problem = trouble(0, 0);
    if (problem > 0) { errno = problem; return -1; }
    (void)number, (void)file; /* no power is cut here: the log says what would have been safe */
    record("fsync", path, "", 0, "", 0);
    return 0;
}

int fsync(int file)
{
    WATCHED_FILE(file, syscall(SYS_fsync, file));
    RETURN(synced(file, path, SYS_fsync));
}

int fdatasync(int file)
{
    WATCHED_FILE(file, syscall(SYS_fdatasync, file));
    RETURN(synced(file, path, SYS_fdatasync));
}

static int cut(int file, const char *path, long size)
{
    struct stat facts;
    int problem = trouble(0, 0);
    if (problem > 0) { errno = problem; return -1; }
    fstat(file, &facts);
    int done = syscall(SYS_ftruncate, file, size);
    if (!done) {
        if (size < room_of(&facts)) give_back(room_of(&facts) - size);
        record("truncate", path, "", size, "", 0);
    }
    return done;
}

int ftruncate64(int file, off64_t size)
{
    WATCHED_FILE(file, syscall(SYS_ftruncate, file, size));
    RETURN(cut(file, path, size));
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

/* -- names --------------------------------------------------------------------------------------------------------- */

static int opened(int at, const char *name, int flags, mode_t mode, const char *path)
{
    struct stat facts;
    int exists = !stat(path, &facts), makes = (flags & O_CREAT) && !exists;
    int empties = (flags & O_TRUNC) && exists && S_ISREG(facts.st_mode);
    if (!makes && !empties) return syscall(SYS_openat, at, name, flags, mode);
    int problem = trouble(0, 0);
    if (!problem && makes && budget == 0) { hit = counted; problem = ENOSPC; }
    if (problem > 0) { errno = problem; return -1; }
    int file = syscall(SYS_openat, at, name, flags, mode);
    if (file >= 0) {
        if (empties) give_back(room_of(&facts));
        record(makes ? "create" : "truncate", path, "", 0, "", 0);
    }
    return file;
}

int openat64(int at, const char *name, int flags, ...)
{
    va_list rest;
    char path[4096];
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!folder_length || !(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, at, name, flags, mode);
    whole_path(at, name, path);
    if (!is_inside(path)) return syscall(SYS_openat, at, name, flags, mode);
    pthread_mutex_lock(&lock);
    RETURN(opened(at, name, flags, mode, path));
}

#define MODE_OF(flags)                                    \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    mode_t mode = (flags) & O_CREAT ? va_arg(rest, mode_t) : 0; \
    va_end(rest)

int openat(int at, const char *name, int flags, ...) { MODE_OF(flags); return openat64(at, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE_OF(flags); return openat64(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int open(const char *name, int flags, ...) { MODE_OF(flags); return openat64(AT_FDCWD, name, flags, mode); }

static int renamed(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    char path[4096], second[4096];
    if (folder_length) {
        whole_path(at, from, path);
        whole_path(to_at, to, second);
    }
    if (!folder_length || !is_inside(second)) return syscall(SYS_renameat2, at, from, to_at, to, flags);
    pthread_mutex_lock(&lock);
    int problem = trouble(0, 0);
    if (problem > 0) { errno = problem; RETURN(-1); }
    long freed = freed_by_losing(second);
    int done = syscall(SYS_renameat2, at, from, to_at, to, flags);
    if (!done) {
        give_back(freed);
        record("rename", path, second, 0, "", 0);
    }
    RETURN(done);
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int at, const char *from, int to_at, const char *to) { return renamed(at, from, to_at, to, 0); }
int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    return renamed(at, from, to_at, to, flags);
}

int linkat(int at, const char *from, int to_at, const char *to, int flags)
{
    char path[4096], second[4096];
    if (folder_length) {
        whole_path(at, from, path);
        whole_path(to_at, to, second);
    }
    if (!folder_length || !is_inside(second)) return syscall(SYS_linkat, at, from, to_at, to, flags);
    pthread_mutex_lock(&lock);
    int problem = trouble(0, 0);
    if (!problem && links_refused) problem = EPERM;
    if (problem > 0) { errno = problem; RETURN(-1); }
    int done = syscall(SYS_linkat, at, from, to_at, to, flags);
    if (!done) record("link", path, second, 0, "", 0);
    RETURN(done);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *name, int flags)
{
    char path[4096];
    if (folder_length) whole_path(at, name, path);
    if (!folder_length || !is_inside(path)) return syscall(SYS_unlinkat, at, name, flags);
    pthread_mutex_lock(&lock);
    if (access(path, F_OK)) RETURN((int)syscall(SYS_unlinkat, at, name, flags)); /* nothing there: changes nothing */
    int problem = trouble(0, 0);
    if (problem > 0) { errno = problem; RETURN(-1); }
    long freed = freed_by_losing(path);
    int done = syscall(SYS_unlinkat, at, name, flags);
    if (!done) {
        give_back(freed);
        record(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path, "", 0, "", 0);
    }
    RETURN(done);
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int at, const char *name, mode_t mode)
{
    char path[4096];
    if (folder_length) whole_path(at, name, path);
    if (!folder_length || !is_inside(path) || !access(path, F_OK)) return syscall(SYS_mkdirat, at, name, mode);
    pthread_mutex_lock(&lock);
    int problem = trouble(0, 0);
    if (!problem && budget == 0) { hit = counted; problem = ENOSPC; }
    if (problem > 0) { errno = problem; RETURN(-1); }
    int done = syscall(SYS_mkdirat, at, name, mode);
    if (!done) record("mkdir", path, "", 0, "", 0);
    RETURN(done);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
