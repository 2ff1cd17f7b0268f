/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream_opener.h"

#include "node/base/check.h"
#include "node/runtime/stream_kind.h"

static void begin(void *context)
{
    struct stream_opener *opener = context;

    opener->busy = true;
    opener->kind->begin(opener);
}

void stream_opener_init(struct stream_opener *opener, const struct stream_opener_kind *kind,
                        const struct stream_opener_task *task)
{
    opener->kind = kind;
    opener->queue = task->queue;
    opener->opened = task->opened;
    opener->context = task->context;
    stream_timer_init(&opener->pause, task->queue, begin, opener);
}

void stream_opener_ended(struct stream_opener *opener, struct stream *stream, int result)
{
    opener->busy = false;
    opener->opened(opener->context, stream, result);
}

static int opener_new(struct stream_opener_task task, struct stream_opener **opener)
{
    static const char local[] = "ipc://";

    *opener = NULL;
    if (strncmp(task.where, local, sizeof(local) - 1) != 0)
        return stream_opener_nng_new(&task, opener);
    task.where += sizeof(local) - 1;
    return stream_opener_local_new(&task, opener);
}

int stream_listener_new(struct stream_queue *queue, const char *url, nng_tls_config *tls,
                        stream_opened *opened, void *context, struct stream_opener **opener)
{
    return opener_new((struct stream_opener_task){queue, url, tls, opened, context, true},
                      opener);
}

int stream_dialer_new(struct stream_queue *queue, const char *url, nng_tls_config *tls,
                      stream_opened *opened, void *context, struct stream_opener **opener)
{
    return opener_new((struct stream_opener_task){queue, url, tls, opened, context, false},
                      opener);
}

int stream_opener_mode(struct stream_opener *opener, unsigned mode)
{
    return opener->kind->mode(opener, mode);
}

int stream_opener_listen(struct stream_opener *opener)
{
    return opener->kind->listen(opener);
}

void stream_opener_time_out(struct stream_opener *opener, uint64_t dial_ms_max)
{
    opener->dial_ms_max = dial_ms_max;
}

void stream_opener_go(struct stream_opener *opener, uint64_t pause_ms)
{
    CHECK(!opener->busy);
    stream_timer_stop(&opener->pause);
    if (pause_ms > 0)
        stream_timer_start(&opener->pause, pause_ms);
    else
        begin(opener);
}

bool stream_opener_pauses(const struct stream_opener *opener)
{
    return opener->pause.running;
}

void stream_opener_free(struct stream_opener **pointer)
{
    struct stream_opener *opener = *pointer;

    if (opener == NULL)
        return;
    *pointer = NULL;
    stream_timer_fini(&opener->pause);
    opener->kind->free(opener);
}
