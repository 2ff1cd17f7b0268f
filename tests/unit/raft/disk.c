/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/raft/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"

enum { FILES_MAX = 4096, FDS_MAX = 1024, NAME_MAX_HERE = 32, SECTOR = 512 };

int __real_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *name, int flags, ...);
int __real_close(int fd);
int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __real_unlinkat(int folder, const char *name, int flags);
ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __real_pread(int fd, void *bytes, size_t len, off_t at);
int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int folder, const char *name, int flags, ...);
int __wrap_close(int fd);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at);

/* A file that was made in the watched folder; a name says nothing about what was flushed. */
struct file {
    char name[NAME_MAX_HERE];    /* now; empty: none */
    char flushed[NAME_MAX_HERE]; /* as the folder was flushed */
    uint8_t *bytes;              /* as they were flushed */
    size_t len;
};

static struct {
    pthread_mutex_t lock;
    char path[200];
    disk_flushing *flushing;
    void *context;
    int folder; /* -1: not open */
    struct file files[FILES_MAX];
    unsigned count;
    unsigned of_fd[FDS_MAX]; /* a file's number plus one */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .folder = -1};

static struct {
    pthread_mutex_t lock;
    struct disk_faults faults;
    unsigned open_files;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Threads of the log that looks at a lost disk must not wait for whoever holds the lock. */
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

void disk_lock(void)
{
    pthread_mutex_lock(&disk.lock);
}

void disk_unlock(void)
{
    pthread_mutex_unlock(&disk.lock);
}

void disk_watch(const char *folder, disk_flushing *flushing, void *context)
{
    disk_unwatch();
    pthread_mutex_lock(&table);
    snprintf(disk.path, sizeof(disk.path), "%s", folder);
    disk.flushing = flushing;
    disk.context = context;
    pthread_mutex_unlock(&table);
}

void disk_unwatch(void)
{
    pthread_mutex_lock(&table);
    for (unsigned i = 0; i < disk.count; i++)
        free(disk.files[i].bytes);
    memset(disk.files, 0, sizeof(disk.files[0]) * disk.count);
    memset(disk.of_fd, 0, sizeof(disk.of_fd));
    disk.count = 0;
    disk.folder = -1;
    disk.path[0] = 0;
    pthread_mutex_unlock(&table);
}

static bool is_watched(int fd)
{
    pthread_mutex_lock(&table);
    bool watched = fd >= 0 && fd < FDS_MAX && (fd == disk.folder || disk.of_fd[fd] != 0);
    pthread_mutex_unlock(&table);
    return watched;
}

/* ---- names ---- */

static struct file *named(const char *name)
{
    for (unsigned i = 0; i < disk.count; i++)
        if (strcmp(disk.files[i].name, name) == 0)
            return &disk.files[i];
    return NULL;
}

static void counted(int fd)
{
    pthread_mutex_lock(&fault.lock);
    fault.open_files += fd >= 0;
    pthread_mutex_unlock(&fault.lock);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    int fd = __real_open(path, flags, mode);
    counted(fd);
    pthread_mutex_lock(&table);
    if (fd >= 0 && disk.path[0] != 0 && strcmp(path, disk.path) == 0)
        disk.folder = fd;
    pthread_mutex_unlock(&table);
    return fd;
}

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
    va_end(list);
    bool watched = is_watched(folder);
    if (watched)
        disk_lock();
    int fd = __real_openat(folder, name, flags, mode);
    counted(fd);
    if (watched && fd >= 0) {
        struct file *file = named(name);
        CHECK(fd < FDS_MAX && disk.count < FILES_MAX);
        /* One that is cut to nothing is as good as a new one: nobody needs what was there. */
        if (file == NULL || (flags & O_TRUNC) != 0) {
            if (file != NULL)
                file->name[0] = 0;
            file = &disk.files[disk.count++];
            snprintf(file->name, sizeof(file->name), "%s", name);
        }
        pthread_mutex_lock(&table);
        disk.of_fd[fd] = (unsigned)(file - disk.files) + 1;
        pthread_mutex_unlock(&table);
    }
    if (watched)
        disk_unlock();
    return fd;
}

int __wrap_close(int fd)
{
    pthread_mutex_lock(&table);
    if (fd >= 0 && fd < FDS_MAX)
        disk.of_fd[fd] = 0;
    if (fd == disk.folder)
        disk.folder = -1;
    pthread_mutex_unlock(&table);
    pthread_mutex_lock(&fault.lock);
    fault.open_files--;
    pthread_mutex_unlock(&fault.lock);
    return __real_close(fd);
}

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    bool watched = is_watched(from_folder);

    if (watched)
        disk_lock();
    int code = __real_renameat(from_folder, from, to_folder, to);
    if (watched && code == 0) {
        struct file *file = named(from);
        struct file *there = named(to);
        if (there != NULL)
            there->name[0] = 0;
        snprintf(file->name, sizeof(file->name), "%s", to);
    }
    if (watched)
        disk_unlock();
    return code;
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    bool watched = is_watched(folder);

    if (watched)
        disk_lock();
    int code = __real_unlinkat(folder, name, flags);
    struct file *file = watched && code == 0 ? named(name) : NULL;
    if (file != NULL)
        file->name[0] = 0;
    if (watched)
        disk_unlock();
    return code;
}

/* ---- flushes ---- */

static void content_read(const struct file *file, uint8_t **bytes, size_t *len)
{
    char path[300];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s", disk.path, file->name);
    int fd = __real_open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && fstat(fd, &status) == 0);
    *len = (size_t)status.st_size;
    *bytes = malloc(*len + 1);
    CHECK(*bytes != NULL);
    CHECK(__real_pread(fd, *bytes, *len, 0) == (ssize_t)*len);
    __real_close(fd);
}

static void flushed(int fd)
{
    pthread_mutex_lock(&table);
    unsigned number = disk.of_fd[fd];
    pthread_mutex_unlock(&table);
    if (number == 0) {
        for (unsigned i = 0; i < disk.count; i++)
            memcpy(disk.files[i].flushed, disk.files[i].name, NAME_MAX_HERE);
        return;
    }
    struct file *file = &disk.files[number - 1];
    if (file->name[0] == 0)
        return;
    free(file->bytes);
    content_read(file, &file->bytes, &file->len);
}

static bool fails(unsigned *count, unsigned at)
{
    struct disk_faults *faults = &fault.faults;

    pthread_mutex_lock(&fault.lock);
    ++*count;
    bool failing = at != 0 && (*count == at || (*count > at && !faults->once));
    if (failing)
        errno = faults->code;
    pthread_mutex_unlock(&fault.lock);
    return failing;
}

static int flush(int fd)
{
    if (fails(&fault.faults.flushes, fault.faults.flush_fails_at))
        return -1;
    if (!is_watched(fd))
        return 0;
    disk_lock();
    disk.flushing(disk.context);
    flushed(fd);
    disk_unlock();
    return 0;
}

int __wrap_fsync(int fd)
{
    return flush(fd);
}

int __wrap_fdatasync(int fd)
{
    return flush(fd);
}

/* ---- what is left ---- */

static uint64_t chance(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* `bytes`, the new ones, become a mixture with the old. */
static void mix(enum disk_loss loss, uint64_t *seed, const struct file *file, uint8_t *bytes,
                size_t len)
{
    size_t changed = 0;
    size_t kept = 0;
    size_t at;

    for (at = 0; at + SECTOR <= len && at + SECTOR <= file->len; at += SECTOR)
        changed += memcmp(bytes + at, file->bytes + at, SECTOR) != 0;
    size_t first = changed > 0 ? chance(seed) % (changed + 1) : 0;
    for (at = 0; at + SECTOR <= len && at + SECTOR <= file->len; at += SECTOR) {
        if (memcmp(bytes + at, file->bytes + at, SECTOR) == 0)
            continue;
        bool is_new = (loss == DISK_FIRST && kept < first) ||
                      (loss == DISK_LAST && kept >= first) ||
                      (loss == DISK_RANDOM && chance(seed) % 2 == 0);
        kept++;
        if (!is_new)
            memcpy(bytes + at, file->bytes + at, SECTOR);
    }
}

static void file_lose(enum disk_loss loss, uint64_t *seed, const struct file *file,
                      const char *path)
{
    uint8_t *bytes = NULL;
    size_t len = 0;

    if (file->name[0] != 0)
        content_read(file, &bytes, &len);
    bool is_new = bytes != NULL && (loss == DISK_ALL_NEW || loss == DISK_NAMES_OLD);
    if (!is_new && bytes != NULL && loss != DISK_ALL_OLD)
        mix(loss, seed, file, bytes, len);
    const uint8_t *content = bytes;
    if (bytes == NULL || loss == DISK_ALL_OLD) {
        content = file->bytes;
        len = file->len;
    } else if (!is_new && file->len < len && chance(seed) % 2 == 0) {
        len = file->len; /* it did not become longer */
    }
    int fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && __real_pwrite(fd, content, len, 0) == (ssize_t)len);
    __real_close(fd);
    free(bytes);
}

void disk_lose(enum disk_loss loss, uint64_t seed, const char *to)
{
    for (unsigned i = 0; i < disk.count; i++) {
        const struct file *file = &disk.files[i];
        bool old = loss == DISK_ALL_OLD || loss == DISK_NAMES_OLD ||
                   (loss != DISK_ALL_NEW && chance(&seed) % 2 == 0);
        const char *name = old ? file->flushed : file->name;
        char path[300];
        /* Two of one name: the newer one is there. */
        for (unsigned j = i + 1; j < disk.count && name[0] != 0; j++)
            if (strcmp(disk.files[j].name, name) == 0 && strcmp(file->name, name) != 0)
                name = "";
        if (name[0] == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", to, name);
        file_lose(loss, &seed, file, path);
    }
}

/* ---- faults ---- */

void disk_faults_set(const struct disk_faults *faults)
{
    pthread_mutex_lock(&fault.lock);
    fault.faults = *faults;
    pthread_mutex_unlock(&fault.lock);
}

struct disk_faults disk_faults_get(void)
{
    pthread_mutex_lock(&fault.lock);
    struct disk_faults faults = fault.faults;
    faults.open_files = fault.open_files;
    pthread_mutex_unlock(&fault.lock);
    return faults;
}

/* Whether what lies behind the file's end still has room. */
static bool has_room(int fd, size_t len, off_t at)
{
    struct stat status;
    bool room = true;

    CHECK(fstat(fd, &status) == 0);
    uint64_t end = (uint64_t)at + len;
    uint64_t longer = end > (uint64_t)status.st_size ? end - (uint64_t)status.st_size : 0;
    pthread_mutex_lock(&fault.lock);
    if (fault.faults.room_is_limit) {
        room = longer <= fault.faults.room;
        if (room)
            fault.faults.room -= longer;
    }
    pthread_mutex_unlock(&fault.lock);
    errno = room ? errno : ENOSPC;
    return room;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (fails(&fault.faults.writes, fault.faults.write_fails_at) || !has_room(fd, len, at))
        return -1;
    if (fault.faults.short_writes && len > 1)
        len = len / 2;
    return __real_pwrite(fd, bytes, len, at);
}

ssize_t __wrap_pread(int fd, void *bytes, size_t len, off_t at)
{
    if (fails(&fault.faults.reads, fault.faults.read_fails_at))
        return -1;
    return __real_pread(fd, bytes, len, at);
}
