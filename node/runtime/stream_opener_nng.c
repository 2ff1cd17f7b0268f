/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/stream_kind.h"

struct nng_opener {
    struct stream_opener base;
    nng_stream_listener *listener; /* or: */
    nng_stream_dialer *dialer;
    nng_aio *aio;
    struct stream_event ended;
    struct stream_timer patience; /* with a dial */
};

static void op_begin(struct stream_opener *base)
{
    struct nng_opener *opener = (struct nng_opener *)base;

    if (opener->listener != NULL)
        nng_stream_listener_accept(opener->listener, opener->aio);
    else
        nng_stream_dialer_dial(opener->dialer, opener->aio);
    if (base->dial_ms_max > 0)
        stream_timer_start(&opener->patience, base->dial_ms_max);
}

static void took_too_long(void *context)
{
    struct nng_opener *opener = context;
    nng_aio_abort(opener->aio, NNG_ETIMEDOUT);
}

/* nng's thread. */
static void on_ended(void *argument)
{
    struct nng_opener *opener = argument;
    stream_queue_put(opener->base.queue, &opener->ended);
}

static nng_stream *brought(const struct nng_opener *opener)
{
    return nng_aio_result(opener->aio) == 0 ? nng_aio_get_output(opener->aio, 0) : NULL;
}

static void ended(void *about)
{
    struct nng_opener *opener = about;
    nng_stream *nng = brought(opener);

    stream_timer_stop(&opener->patience);
    stream_opener_ended(&opener->base,
                        nng != NULL ? stream_nng_new(opener->base.queue, nng) : NULL,
                        nng_aio_result(opener->aio));
}

static int op_mode(struct stream_opener *base, unsigned mode)
{
    (void)base;
    (void)mode;
    return NNG_ENOTSUP; /* there is no file */
}

static int op_listen(struct stream_opener *base)
{
    return nng_stream_listener_listen(((struct nng_opener *)base)->listener);
}

static void op_free(struct stream_opener *base)
{
    struct nng_opener *opener = (struct nng_opener *)base;

    stream_timer_fini(&opener->patience);
    if (opener->listener != NULL)
        nng_stream_listener_close(opener->listener);
    if (opener->dialer != NULL)
        nng_stream_dialer_close(opener->dialer);
    nng_aio_stop(opener->aio);
    stream_queue_remove(base->queue, &opener->ended);
    if (opener->listener != NULL)
        nng_stream_listener_free(opener->listener);
    if (opener->dialer != NULL)
        nng_stream_dialer_free(opener->dialer);
    /* Opened, and not looked at any more. */
    nng_stream *nng = base->busy ? brought(opener) : NULL;
    if (nng != NULL) {
        nng_stream_close(nng);
        nng_stream_free(nng);
    }
    nng_aio_free(opener->aio);
    free(opener);
}

static const struct stream_opener_kind kind = {op_begin, op_mode, op_listen, op_free};

static int listener_alloc(struct nng_opener *opener, const struct stream_opener_task *task)
{
    int result = nng_stream_listener_alloc(&opener->listener, task->where);

    if (result == 0 && task->tls != NULL)
        result = nng_stream_listener_set_ptr(opener->listener, NNG_OPT_TLS_CONFIG, task->tls);
    if (result == 0 && task->tls != NULL)
        result = nng_stream_listener_set_bool(opener->listener, NNG_OPT_TCP_NODELAY, true);
    return result;
}

static int dialer_alloc(struct nng_opener *opener, const struct stream_opener_task *task)
{
    int result = nng_stream_dialer_alloc(&opener->dialer, task->where);

    if (result == 0 && task->tls != NULL)
        result = nng_stream_dialer_set_ptr(opener->dialer, NNG_OPT_TLS_CONFIG, task->tls);
    if (result == 0 && task->tls != NULL)
        result = nng_stream_dialer_set_bool(opener->dialer, NNG_OPT_TCP_NODELAY, true);
    return result;
}

int stream_opener_nng_new(const struct stream_opener_task *task, struct stream_opener **out)
{
    struct nng_opener *opener = calloc(1, sizeof(*opener));

    CHECK(opener != NULL);
    stream_opener_init(&opener->base, &kind, task);
    opener->ended = (struct stream_event){.happened = ended, .about = opener};
    CHECK(nng_aio_alloc(&opener->aio, on_ended, opener) == 0);
    stream_timer_init(&opener->patience, task->queue, took_too_long, opener);
    *out = &opener->base;
    int result = task->listens ? listener_alloc(opener, task) : dialer_alloc(opener, task);
    if (result != 0)
        stream_opener_free(out);
    return result;
}
