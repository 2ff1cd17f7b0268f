/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/stream_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 256, SMALL_BUFFER = 4608 };

static void run_queue(void *context)
{
    struct stream_lab *lab = context;
    stream_queue_run(&lab->queue, &lab->ended);
}

static void ring(void *context)
{
    struct stream_lab *lab = context;
    loop_post(lab->loop, run_queue, lab);
}

struct stream_lab *stream_lab_new(const char *name)
{
    struct stream_lab *lab = calloc(1, sizeof(*lab));

    assert_non_null(lab);
    lab->loop = loop_new();
    lab->peer = -1;
    snprintf(lab->path, sizeof(lab->path), "/tmp/test-stream-%s-%d", name, (int)getpid());
    snprintf(lab->url, sizeof(lab->url), "ipc://%s", lab->path);
    unlink(lab->path);
    stream_queue_init(&lab->queue, ring, lab);
    stream_queue_use_loop(&lab->queue, lab->loop);
    return lab;
}

void stream_lab_free(struct stream_lab *lab)
{
    stream_free(&lab->stream);
    stream_free(&lab->opened);
    stream_opener_free(&lab->opener);
    if (lab->peer >= 0)
        close(lab->peer);
    stream_queue_fini(&lab->queue);
    loop_free(&lab->loop);
    unlink(lab->path);
    free(lab);
}

static struct sockaddr_un address_of(const struct stream_lab *lab)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", lab->path);
    return address;
}

int stream_lab_listen(const struct stream_lab *lab, int backlog)
{
    struct sockaddr_un address = address_of(lab);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int stream_lab_connect(const struct stream_lab *lab)
{
    struct sockaddr_un address = address_of(lab);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void on_opened(void *context, struct stream *stream, int result)
{
    struct stream_lab *lab = context;

    assert_int_equal(lab->inside, 0);
    assert_true((stream == NULL) == (result != 0));
    stream_free(&lab->opened);
    lab->opened = stream;
    lab->result = result;
    lab->opened_count += stream != NULL;
    lab->failed_count += stream == NULL;
}

static void go(struct stream_lab *lab)
{
    lab->inside++;
    stream_opener_go(lab->opener, 0);
    lab->inside--;
}

void stream_lab_listener(struct stream_lab *lab, unsigned mode)
{
    assert_int_equal(
        stream_listener_new(&lab->queue, lab->url, NULL, on_opened, lab, &lab->opener), 0);
    assert_int_equal(stream_opener_mode(lab->opener, mode), 0);
    assert_int_equal(stream_opener_listen(lab->opener), 0);
    go(lab);
}

void stream_lab_dialer(struct stream_lab *lab)
{
    assert_int_equal(
        stream_dialer_new(&lab->queue, lab->url, NULL, on_opened, lab, &lab->opener), 0);
    go(lab);
}

static void told(struct stream_lab *lab, unsigned *count, unsigned free_in)
{
    assert_int_equal(lab->inside, 0);
    ++*count;
    if (lab->free_in == free_in)
        stream_free(&lab->stream);
}

static void on_received(void *context, size_t len)
{
    struct stream_lab *lab = context;
    lab->received_len = len;
    told(lab, &lab->received, FREE_RECEIVED);
}

static void on_sent(void *context)
{
    struct stream_lab *lab = context;
    told(lab, &lab->sent, FREE_SENT);
}

static void on_lost(void *context)
{
    struct stream_lab *lab = context;
    assert_true(stream_closed(lab->stream));
    told(lab, &lab->lost, FREE_LOST);
}

static const struct stream_calls calls = {on_received, on_sent, on_lost};

static bool is_opened(void *context)
{
    return ((struct stream_lab *)context)->opened != NULL;
}

void stream_lab_pair(struct stream_lab *lab)
{
    stream_lab_listener(lab, 0600);
    lab->peer = stream_lab_connect(lab);
    run_until(lab->loop, is_opened, lab);
    lab->stream = lab->opened;
    lab->opened = NULL;
    stream_start(lab->stream, &calls, lab);
}

void stream_lab_receive(struct stream_lab *lab, uint8_t *at, size_t room, size_t least)
{
    lab->inside++;
    stream_receive(lab->stream, at, room, least);
    lab->inside--;
}

bool stream_lab_send(struct stream_lab *lab, const struct bytes *pieces, unsigned count)
{
    lab->inside++;
    bool all = stream_send(lab->stream, pieces, count);
    lab->inside--;
    return all;
}

void stream_lab_small_buffers(void)
{
    const int size = SMALL_BUFFER / 2; /* the kernel doubles it */

    for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

struct turns {
    struct loop *loop;
    unsigned count;
};

static void on_turn(void *context)
{
    ((struct turns *)context)->count++;
}

static void on_time(void *context)
{
    loop_stop(((struct turns *)context)->loop);
}

unsigned stream_lab_turns(struct stream_lab *lab, uint64_t time_ms)
{
    struct turns turns = {.loop = lab->loop};
    struct loop_hook *hook = loop_on_turn(lab->loop, on_turn, &turns);

    loop_timer_start(lab->loop, time_ms, 0, on_time, &turns);
    loop_run(lab->loop);
    loop_hook_remove(&hook);
    return turns.count;
}
