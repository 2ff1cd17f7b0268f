/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/stream_opener.h"

#include <nng/transport/ipc/ipc.h>
#include <stdlib.h>

#include "node/base/check.h"

struct stream_opener {
    struct stream_queue *queue;
    nng_stream_listener *listener; /* or: */
    nng_stream_dialer *dialer;
    nng_aio *aio;
    struct stream_event ended;
    bool busy; /* and what it brings was not taken */
    struct stream_timer pause;
    struct stream_timer patience; /* with a dial */
    uint64_t dial_ms_max;         /* 0: any */
    stream_opened *opened;
    void *context;
};

static void begin(void *context)
{
    struct stream_opener *opener = context;

    opener->busy = true;
    if (opener->listener != NULL)
        nng_stream_listener_accept(opener->listener, opener->aio);
    else
        nng_stream_dialer_dial(opener->dialer, opener->aio);
    if (opener->dial_ms_max > 0)
        stream_timer_start(&opener->patience, opener->dial_ms_max);
}

static void took_too_long(void *context)
{
    struct stream_opener *opener = context;
    nng_aio_abort(opener->aio, NNG_ETIMEDOUT);
}

/* nng's thread. */
static void on_ended(void *argument)
{
    struct stream_opener *opener = argument;
    stream_queue_put(opener->queue, &opener->ended);
}

static nng_stream *brought(const struct stream_opener *opener)
{
    return nng_aio_result(opener->aio) == 0 ? nng_aio_get_output(opener->aio, 0) : NULL;
}

static void ended(void *about)
{
    struct stream_opener *opener = about;

    opener->busy = false;
    stream_timer_stop(&opener->patience);
    opener->opened(opener->context, brought(opener), nng_aio_result(opener->aio));
}

static struct stream_opener *opener_new(struct stream_queue *queue, stream_opened *opened,
                                        void *context)
{
    struct stream_opener *opener = calloc(1, sizeof(*opener));

    CHECK(opener != NULL);
    opener->queue = queue;
    opener->opened = opened;
    opener->context = context;
    opener->ended = (struct stream_event){.happened = ended, .about = opener};
    CHECK(nng_aio_alloc(&opener->aio, on_ended, opener) == 0);
    stream_timer_init(&opener->pause, queue, begin, opener);
    stream_timer_init(&opener->patience, queue, took_too_long, opener);
    return opener;
}

int stream_listener_new(struct stream_queue *queue, const char *url, nng_tls_config *tls,
                        stream_opened *opened, void *context, struct stream_opener **out)
{
    struct stream_opener *opener = opener_new(queue, opened, context);
    int result = nng_stream_listener_alloc(&opener->listener, url);

    if (result == 0 && tls != NULL)
        result = nng_stream_listener_set_ptr(opener->listener, NNG_OPT_TLS_CONFIG, tls);
    if (result == 0 && tls != NULL)
        result = nng_stream_listener_set_bool(opener->listener, NNG_OPT_TCP_NODELAY, true);
    if (result != 0)
        stream_opener_free(&opener);
    *out = opener;
    return result;
}

int stream_dialer_new(struct stream_queue *queue, const char *url, nng_tls_config *tls,
                      stream_opened *opened, void *context, struct stream_opener **out)
{
    struct stream_opener *opener = opener_new(queue, opened, context);
    int result = nng_stream_dialer_alloc(&opener->dialer, url);

    if (result == 0 && tls != NULL)
        result = nng_stream_dialer_set_ptr(opener->dialer, NNG_OPT_TLS_CONFIG, tls);
    if (result == 0 && tls != NULL)
        result = nng_stream_dialer_set_bool(opener->dialer, NNG_OPT_TCP_NODELAY, true);
    if (result != 0)
        stream_opener_free(&opener);
    *out = opener;
    return result;
}

int stream_opener_mode(struct stream_opener *opener, unsigned mode)
{
    return nng_stream_listener_set_int(opener->listener, NNG_OPT_IPC_PERMISSIONS, (int)mode);
}

int stream_opener_listen(struct stream_opener *opener)
{
    return nng_stream_listener_listen(opener->listener);
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
    stream_timer_fini(&opener->patience);
    if (opener->listener != NULL)
        nng_stream_listener_close(opener->listener);
    if (opener->dialer != NULL)
        nng_stream_dialer_close(opener->dialer);
    nng_aio_stop(opener->aio);
    stream_queue_remove(opener->queue, &opener->ended);
    if (opener->listener != NULL)
        nng_stream_listener_free(opener->listener);
    if (opener->dialer != NULL)
        nng_stream_dialer_free(opener->dialer);
    /* Opened, and not looked at any more. */
    nng_stream *nng = opener->busy ? brought(opener) : NULL;
    if (nng != NULL) {
        nng_stream_close(nng);
        nng_stream_free(nng);
    }
    nng_aio_free(opener->aio);
    free(opener);
}
