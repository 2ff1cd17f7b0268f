/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/loop.h"
#include "node/runtime/stream_kind.h"

struct local_opener {
    struct stream_opener base;
    struct sockaddr_un address;
    bool listens;
    unsigned mode; /* 0: as the umask has it */
    int fd;        /* that listens, or -1 */
    dev_t device;  /* of the file that is ours */
    ino_t inode;
    struct loop_watch *watch; /* while somebody may come, and sometimes longer */
    struct stream_event dialed;
    struct stream *brought;
    int result;
};

static int system_error(void)
{
    return NNG_ESYSERR + errno;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int dial(int fd, const struct sockaddr_un *address)
{
    return connect(fd, (const struct sockaddr *)address, sizeof(*address));
}

/* At once, or not at all: also who finds the listener's queue full is told so. */
static void begin_dial(struct local_opener *opener)
{
    int fd = new_socket();

    opener->result = 0;
    if (fd < 0 || dial(fd, &opener->address) != 0)
        opener->result = system_error();
    if (opener->result == 0)
        opener->brought = stream_local_new(opener->base.queue, fd);
    else if (fd >= 0)
        close(fd);
    stream_queue_put(opener->base.queue, &opener->dialed);
}

static void on_dialed(void *about)
{
    struct local_opener *opener = about;
    struct stream *stream = opener->brought;

    opener->brought = NULL;
    stream_opener_ended(&opener->base, stream, opener->result);
}

/* Somebody waits, or accepting fails: then the owner says when to go on. */
static void on_readable(void *context)
{
    struct local_opener *opener = context;

    if (!opener->base.busy) {
        loop_watch_stop(&opener->watch);
        return;
    }
    int fd = accept4(opener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        stream_opener_ended(&opener->base, stream_local_new(opener->base.queue, fd), 0);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        int result = system_error();
        loop_watch_stop(&opener->watch);
        stream_opener_ended(&opener->base, NULL, result);
    }
}

static void op_begin(struct stream_opener *base)
{
    struct local_opener *opener = (struct local_opener *)base;

    if (!opener->listens)
        begin_dial(opener);
    else if (opener->watch == NULL)
        opener->watch = loop_watch_start(base->queue->loop, opener->fd, on_readable, opener);
}

static int op_mode(struct stream_opener *base, unsigned mode)
{
    ((struct local_opener *)base)->mode = mode;
    return 0;
}

/* A socket that nobody listens on: its process was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = new_socket();
    bool refused = fd >= 0 && dial(fd, address) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

static int take_address(int fd, const struct sockaddr_un *address)
{
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));

    if (result == 0 || errno != EADDRINUSE)
        return result;
    if (!is_stale(address)) {
        errno = EADDRINUSE;
        return -1;
    }
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return -1;
    return bind(fd, (const struct sockaddr *)address, sizeof(*address));
}

/* Until listen() everybody is refused, so nobody comes by a mode that is not the right one. */
static int op_listen(struct stream_opener *base)
{
    struct local_opener *opener = (struct local_opener *)base;
    const char *path = opener->address.sun_path;
    struct stat status;

    CHECK(opener->listens && opener->fd < 0);
    int fd = new_socket();
    if (fd < 0)
        return system_error();
    if (take_address(fd, &opener->address) != 0) {
        int result = system_error();
        close(fd);
        return result;
    }
    opener->fd = fd;
    if (lstat(path, &status) != 0)
        return system_error();
    opener->device = status.st_dev;
    opener->inode = status.st_ino;
    if (opener->mode != 0 && chmod(path, (mode_t)opener->mode) != 0)
        return system_error();
    return listen(fd, SOMAXCONN) == 0 ? 0 : system_error();
}

/* The file, unless it is another's by now. */
static void remove_file(const struct local_opener *opener)
{
    struct stat status;

    if (lstat(opener->address.sun_path, &status) == 0 && status.st_dev == opener->device &&
        status.st_ino == opener->inode)
        unlink(opener->address.sun_path);
}

static void op_free(struct stream_opener *base)
{
    struct local_opener *opener = (struct local_opener *)base;

    stream_queue_remove(base->queue, &opener->dialed);
    stream_free(&opener->brought);
    loop_watch_stop(&opener->watch);
    if (opener->fd >= 0) {
        remove_file(opener);
        close(opener->fd);
    }
    free(opener);
}

static const struct stream_opener_kind kind = {op_begin, op_mode, op_listen, op_free};

int stream_opener_local_new(const struct stream_opener_task *task, struct stream_opener **out)
{
    size_t len = strlen(task->where);
    struct local_opener *opener;

    if (task->queue->loop == NULL || task->tls != NULL)
        return NNG_ENOTSUP;
    if (len == 0)
        return NNG_EADDRINVAL;
    if (len >= sizeof(opener->address.sun_path))
        return NNG_ESYSERR + ENAMETOOLONG;
    opener = calloc(1, sizeof(*opener));
    CHECK(opener != NULL);
    stream_opener_init(&opener->base, &kind, task);
    opener->address.sun_family = AF_UNIX;
    memcpy(opener->address.sun_path, task->where, len + 1);
    opener->listens = task->listens;
    opener->fd = -1;
    opener->dialed = (struct stream_event){.happened = on_dialed, .about = opener};
    *out = &opener->base;
    return 0;
}
