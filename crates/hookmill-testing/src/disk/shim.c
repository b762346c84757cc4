/* Stands between a process and its files: notes every change below one directory in one log, in the order in which
 * they were made, with the acknowledgements between them, and lets chosen calls fail. Loaded with LD_PRELOAD.
 *
 *   DISK_DIR    the directory; files ending in -shm are mapped memory, which SQLite rebuilds, and are left out
 *   DISK_ACKS   a file outside of it: what is written there is noted as an acknowledgement; may be left out
 *   DISK_LOG    where to note; nothing is noted without
 *   DISK_WHILE  a file: calls fail, and are counted, only while it is there; may be left out
 *   DISK_FAULT  "call how errno first count": call is write, sync, truncate or shm (a write to the -shm file), counted
 *               from 1; how is
 *                 fail   the calls first .. first + count - 1 fail with errno
 *                 torn   the call `first` writes half, the `count` after it fail
 *                 short  those calls write half of what they were given, and say so
 *                 slow   those calls take errno milliseconds longer
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FDS 1024
#define NAME 64

enum kind { NONE, DATA, SHM, DIRECTORY, ACKS };
enum call { WRITE, SYNC, TRUNCATE, SHM_WRITE, CALLS };

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *acks, *during;
static size_t dir_len;
static int log_fd = -1;
static uint64_t syncs;
static struct { enum kind kind; char name[NAME]; } files[FDS];
static struct { int call, how, error; long first, count, seen[CALLS]; } fault = { .call = -1 };

__attribute__((constructor)) static void begin(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    dir = getenv("DISK_DIR");
    acks = getenv("DISK_ACKS");
    during = getenv("DISK_WHILE");
    const char *log = getenv("DISK_LOG"), *what = getenv("DISK_FAULT");
    if (!dir) return;
    dir_len = strlen(dir);
    if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    char call[16], how[16];
    if (what && sscanf(what, "%15s %15s %d %ld %ld", call, how, &fault.error, &fault.first, &fault.count) == 5) {
        const char *calls[] = { "write", "sync", "truncate", "shm" };
        for (int at = 0; at < CALLS; at++)
            if (!strcmp(call, calls[at])) fault.call = at;
        fault.how = how[0] == 's' ? how[1] : how[0];
    }
}

/* Which of our files a path is; its name inside the directory. */
static enum kind kind_of(const char *path, const char **name) {
    *name = "";
    if (!dir || !path) return NONE;
    if (acks && !strcmp(path, acks)) return ACKS;
    if (strncmp(path, dir, dir_len)) return NONE;
    if (!path[dir_len]) return DIRECTORY;
    if (path[dir_len] != '/' || strlen(path + dir_len + 1) >= NAME) return NONE;
    *name = path + dir_len + 1;
    size_t len = strlen(*name);
    return len > 4 && !strcmp(*name + len - 4, "-shm") ? SHM : DATA;
}

static enum kind kind_of_fd(int fd) { return fd >= 0 && fd < FDS ? files[fd].kind : NONE; }

/* One record: kind, length of the name, name, a number, length of the data, data. The lock is held. */
static void note(char kind, const char *name, uint64_t number, const void *data, uint32_t len) {
    if (log_fd < 0) return;
    size_t name_len = strlen(name), size = 2 + name_len + 8 + 4 + len;
    char *record = malloc(size), *at = record;
    *at++ = kind;
    *at++ = (char)name_len;
    at = mempcpy(at, name, name_len);
    at = mempcpy(at, &number, 8);
    at = mempcpy(at, &len, 4);
    memcpy(at, data, len);
    if (real_write(log_fd, record, size) != (ssize_t)size) abort();
    free(record);
}

/* What is to happen to this call: 0 nothing, else 'f' fail, 'h' short, 'l' slow. The lock is held. */
static int struck(enum call call) {
    if (fault.call != (int)call || (during && access(during, F_OK))) return 0;
    long seen = ++fault.seen[call] - fault.first;
    if (fault.how == 't') {
        if (seen == 0) return 'h';
        if (seen < 1 || seen > fault.count) return 0;
        note('E', "", 0, "", 0);
        return 'f';
    }
    if (seen < 0 || seen >= fault.count) return 0;
    note('E', "", 0, "", 0);
    return fault.how;
}

static int opened(int fd, const char *path, int flags, int existed) {
    const char *name;
    enum kind kind = kind_of(path, &name);
    if (fd < 0 || fd >= FDS) return fd;
    files[fd].kind = kind;
    strcpy(files[fd].name, name);
    if (kind == DATA && !existed) note('C', name, 0, "", 0);
    if (kind == DATA && existed && (flags & O_TRUNC)) note('T', name, 0, "", 0);
    return fd;
}

int open(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (!real_open) begin();
    const char *name;
    if (kind_of(path, &name) == NONE) return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = access(path, F_OK) == 0;
    int fd = opened(real_open(path, flags, mode), path, flags, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return open(path, flags, mode);
}

int close(int fd) {
    if (!real_close) begin();
    if (fd >= 0 && fd < FDS) files[fd].kind = NONE;
    return real_close(fd);
}

static ssize_t put(int fd, const void *data, size_t len, off_t at, int positioned) {
    enum kind kind = kind_of_fd(fd);
    if (kind != DATA && kind != SHM && kind != ACKS)
        return positioned ? real_pwrite(fd, data, len, at) : real_write(fd, data, len);
    pthread_mutex_lock(&lock);
    int how = kind == ACKS ? 0 : struck(kind == SHM ? SHM_WRITE : WRITE);
    ssize_t done = -1;
    if (how == 'f') {
        errno = fault.error;
    } else {
        if (how == 'h' && len > 1) len /= 2;
        if (!positioned) at = lseek(fd, 0, SEEK_CUR);
        done = positioned ? real_pwrite(fd, data, len, at) : real_write(fd, data, len);
        if (done > 0 && kind != SHM)
            note(kind == ACKS ? 'A' : 'W', files[fd].name, (uint64_t)at, data, (uint32_t)done);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t len) {
    if (!real_write) begin();
    return put(fd, data, len, 0, 0);
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return put(fd, data, len, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return put(fd, data, len, at, 1); }

int ftruncate(int fd, off_t len) {
    if (kind_of_fd(fd) != DATA) return real_ftruncate(fd, len);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (struck(TRUNCATE) == 'f') {
        errno = fault.error;
    } else {
        done = real_ftruncate(fd, len);
        if (!done) note('T', files[fd].name, (uint64_t)len, "", 0);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int ftruncate64(int fd, off_t len) { return ftruncate(fd, len); }

/* A sync covers what was written before it began, and counts once it has ended; others may write meanwhile. */
static int sync_with(int (*real)(int), int fd) {
    enum kind kind = kind_of_fd(fd);
    if (kind != DATA && kind != DIRECTORY) return real(fd);
    pthread_mutex_lock(&lock);
    int how = struck(SYNC);
    uint64_t number = ++syncs | (uint64_t)getpid() << 32;
    note('S', files[fd].name, number, "", 0);
    pthread_mutex_unlock(&lock);
    if (how == 'l') {
        struct timespec longer = { fault.error / 1000, fault.error % 1000 * 1000000L };
        nanosleep(&longer, NULL);
    }
    int done = how == 'f' ? -1 : real(fd);
    int error = how == 'f' ? fault.error : errno;
    pthread_mutex_lock(&lock);
    note(done ? 'x' : 's', files[fd].name, number, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fsync(int fd) { return sync_with(real_fsync, fd); }
int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }

int unlink(const char *path) {
    const char *name;
    enum kind kind = kind_of(path, &name);
    pthread_mutex_lock(&lock);
    int done = real_unlink(path), error = errno;
    if (!done && kind == DATA) note('U', name, 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int rename(const char *from, const char *to) {
    const char *name, *new_name;
    enum kind kind = kind_of(from, &name);
    pthread_mutex_lock(&lock);
    int done = real_rename(from, to), error = errno;
    if (!done && kind == DATA && kind_of(to, &new_name) == DATA)
        note('R', name, 0, new_name, (uint32_t)strlen(new_name));
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
