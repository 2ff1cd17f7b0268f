/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of disk and clock inside a real process, by LD_PRELOAD.
 *
 * What to do stands in a file of 64-bit words that LAB_FAULTS names (struct faults below;
 * lab_disk.py writes it). It is mapped before the program fences itself off, so that a running,
 * sandboxed process sees a change at once, and its counters can be read from outside. Only
 * files on one device are touched: that of the node's data folder.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WALL_LEAST_S = 1000000000 }; /* of 2001: no machine runs for so long */

/* Each word stands alone; `left` counts down the errors and short writes still to be given. */
struct faults {
    _Atomic uint64_t device; /* st_dev; 0: no file is touched */
    _Atomic int64_t
        clock_offset_ms; /* added to the wall clock; the monotonic one is left alone */
    _Atomic uint64_t sync_delay_us;
    _Atomic uint64_t write_delay_us;
    _Atomic uint64_t sync_error;   /* errno, 0: none */
    _Atomic uint64_t write_error;  /* errno, 0: none */
    _Atomic uint64_t short_writes; /* not 0: half of what was asked is written */
    _Atomic uint64_t left;
    _Atomic uint64_t delayed; /* counters: what was done */
    _Atomic uint64_t failed;
    _Atomic uint64_t shortened;
    _Atomic uint64_t moved; /* times told */
};

static struct faults *faults;

__attribute__((constructor)) static void faults_map(void)
{
    const char *path = getenv("LAB_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        faults = mapped;
    close(fd);
}

/* ISO C has no way from an object pointer to a function's; POSIX promises that this one works.
 */
#define NEXT(name)                                                                             \
    static __typeof__(&name) next;                                                             \
    if (next == NULL)                                                                          \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

static bool concerned(int fd)
{
    struct stat status;
    int saved = errno;

    if (faults == NULL || atomic_load(&faults->device) == 0)
        return false;
    bool is = fstat(fd, &status) == 0 && status.st_dev == atomic_load(&faults->device);
    errno = saved;
    return is;
}

static void delay(uint64_t us)
{
    struct timespec wait = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    int saved = errno;

    if (us == 0)
        return;
    atomic_fetch_add(&faults->delayed, 1);
    nanosleep(&wait, NULL);
    errno = saved;
}

/* Takes one of the faults that are left. */
static bool take(void)
{
    uint64_t left = atomic_load(&faults->left);

    while (left > 0)
        if (atomic_compare_exchange_weak(&faults->left, &left, left - 1))
            return true;
    return false;
}

/* True when the call must fail; errno says how. */
static bool fails(uint64_t error)
{
    if (error == 0 || !take())
        return false;
    atomic_fetch_add(&faults->failed, 1);
    errno = (int)error;
    return true;
}

static bool sync_fails(int fd)
{
    if (!concerned(fd))
        return false;
    delay(atomic_load(&faults->sync_delay_us));
    return fails(atomic_load(&faults->sync_error));
}

/* `*len` becomes smaller when the write is to be a short one. */
static bool write_fails(int fd, size_t *len)
{
    if (!concerned(fd))
        return false;
    delay(atomic_load(&faults->write_delay_us));
    if (fails(atomic_load(&faults->write_error)))
        return true;
    if (*len > 1 && atomic_load(&faults->short_writes) != 0 && take()) {
        atomic_fetch_add(&faults->shortened, 1);
        *len /= 2;
    }
    return false;
}

int fsync(int fd)
{
    NEXT(fsync);
    return sync_fails(fd) ? -1 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return sync_fails(fd) ? -1 : next(fd);
}

ssize_t write(int fd, const void *data, size_t len)
{
    NEXT(write);
    return write_fails(fd, &len) ? -1 : next(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    NEXT(pwrite);
    return write_fails(fd, &len) ? -1 : next(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
    return pwrite(fd, data, len, at);
}

/* A short write of several parts: fewer of them. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev);
    size_t some = (size_t)count;
    return write_fails(fd, &some) ? -1 : next(fd, parts, (int)some);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    NEXT(pwritev);
    size_t some = (size_t)count;
    return write_fails(fd, &some) ? -1 : next(fd, parts, (int)some, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

static void move_clock(struct timespec *now)
{
    int64_t offset_ms = faults != NULL ? atomic_load(&faults->clock_offset_ms) : 0;
    int64_t ns = (int64_t)now->tv_nsec + offset_ms % 1000 * 1000000;

    if (offset_ms == 0)
        return;
    atomic_fetch_add(&faults->moved, 1);
    now->tv_sec += (time_t)(offset_ms / 1000);
    if (ns < 0) {
        now->tv_sec--;
        ns += 1000000000;
    } else if (ns >= 1000000000) {
        now->tv_sec++;
        ns -= 1000000000;
    }
    now->tv_nsec = (long)ns;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    NEXT(clock_gettime);
    int result = next(which, now);

    if (result == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        move_clock(now);
    return result;
}

/*
 * Who waits for a time of day waits for that of the moved clock. A time of the monotonic clock,
 * which other condition variables are waited for with, is small and left alone.
 */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    NEXT(pthread_cond_timedwait);
    struct timespec real = *until;

    if (faults != NULL && real.tv_sec > WALL_LEAST_S)
        real.tv_sec -= (time_t)(atomic_load(&faults->clock_offset_ms) / 1000);
    return next(condition, mutex, &real);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec moved;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &moved) != 0)
        return -1;
    now->tv_sec = moved.tv_sec;
    now->tv_usec = moved.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec moved;

    if (clock_gettime(CLOCK_REALTIME, &moved) != 0)
        return -1;
    if (out != NULL)
        *out = moved.tv_sec;
    return moved.tv_sec;
}
