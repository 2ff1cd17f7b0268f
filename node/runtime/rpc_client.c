/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <nng/nng.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "node/runtime/nng_tls.h"
#include "node/runtime/rpc_calls.h"
#include "node/runtime/rpc_link.h"
#include "node/runtime/stream_opener.h"

enum {
    DIAL_FIRST_MS = 20,
    DIAL_MAX_MS = 500,
    /*
     * A connection to another node that has answered nothing since a call was sent, for at
     * least this long, is taken for dead when that call's time is over: TCP alone would notice
     * after a quarter of an hour.
     */
    SILENCE_MS = 2000,
};

struct rpc_client {
    struct loop *loop;
    struct rpc_hub *hub;
    struct stream_opener *dialer;
    uint64_t redial_ms; /* the pause before the next time */
    struct rpc_link *link;
    bool up; /* the link was opened */
    uint64_t connects;
    struct rpc_calls calls;
    unsigned running; /* calls that were sent over this link */
    unsigned parallel_max;
    struct loop_timer *timer;
    uint64_t timer_ms;   /* when it fires; UINT64_MAX: not set */
    uint64_t unheard_ms; /* since when a call waits with nothing heard; 0: none */
    bool is_tls;
    uint64_t node_id; /* that the peer must be; 0: any that verifies, or ipc */
    bool calling_back;
    bool freed;
    void (*connected)(void *context, bool up);
    void *context;
};

static void start_waiting(struct rpc_client *client)
{
    while (client->up && client->running < client->parallel_max) {
        struct rpc_pending *call = rpc_calls_next_waiting(&client->calls);
        if (call == NULL)
            return;
        call->sent = true;
        if (client->unheard_ms == 0)
            client->unheard_ms = clock_monotonic_ms();
        call->started_ms = clock_monotonic_ms();
        client->running++;
        rpc_link_write(client->link, rpc_calls_ticket(call), call->body);
        if (call->secret)
            rpc_link_wipe_sent(client->link);
    }
}

/* Out of the set, without a word. A reply that still comes belongs to no call. */
static void drop(struct rpc_client *client, struct rpc_pending *call)
{
    client->running -= call->sent;
    rpc_calls_drop(&client->calls, call);
}

static void finish(struct rpc_client *client, struct rpc_pending *call, enum err err,
                   struct bytes reply)
{
    rpc_done *done = call->done;
    void *context = call->context;

    drop(client, call);
    done(context, err, reply);
}

static void on_time(void *context);

static void arm(struct rpc_client *client)
{
    struct rpc_pending *call = rpc_calls_earliest(&client->calls);

    if (client->freed || call == NULL || call->deadline_ms >= client->timer_ms)
        return;
    loop_timer_stop(&client->timer);
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t delay_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 0;
    client->timer_ms = call->deadline_ms;
    client->timer = loop_timer_start(client->loop, delay_ms, 0, on_time, client);
}

static void expire(struct rpc_client *client, struct rpc_pending *call, uint64_t now_ms)
{
    bool silent = client->is_tls && client->up && call->sent && client->unheard_ms != 0 &&
                  now_ms - client->unheard_ms >= SILENCE_MS;

    if (silent) {
        log_warn(NULL, "rpc connection is silent, connecting again",
                 LOG_FIELDS(LOG_U64("node", client->node_id)));
        rpc_link_close(client->link);
        client->unheard_ms = 0; /* once is enough */
    }
    metric_add(METRIC_RPC_TIMEOUTS, 1);
    finish(client, call, ERR_TIMEOUT, BYTES(""));
}

static void free_rest(void *context)
{
    struct rpc_client *client = context;

    rpc_calls_fini(&client->calls);
    free(client);
}

static void on_time(void *context)
{
    struct rpc_client *client = context;
    struct rpc_pending *call;
    uint64_t now_ms = clock_monotonic_ms();

    client->timer = NULL; /* it fires once */
    client->timer_ms = UINT64_MAX;
    client->calling_back = true;
    while (!client->freed && (call = rpc_calls_earliest(&client->calls)) != NULL &&
           call->deadline_ms <= now_ms) {
        if (call->refused != ERR_OK)
            finish(client, call, call->refused, BYTES(""));
        else
            expire(client, call, now_ms);
    }
    client->calling_back = false;
    if (client->freed) {
        rpc_hub_free(client->hub, free_rest);
        return;
    }
    start_waiting(client);
    arm(client);
}

static void dial_later(struct rpc_client *client)
{
    stream_opener_go(client->dialer, client->redial_ms);
    client->redial_ms =
        client->redial_ms * 2 < DIAL_MAX_MS ? client->redial_ms * 2 : DIAL_MAX_MS;
}

static void on_dialed(void *context, struct stream *stream, int result)
{
    struct rpc_client *client = context;

    (void)result;
    if (stream == NULL)
        dial_later(client);
    else
        client->link = rpc_link_new(client->hub, stream);
}

static bool on_opened(void *context, struct rpc_link *link)
{
    struct rpc_client *client = context;
    uint64_t node_id = rpc_link_peer(link)->node_id;

    if (client->is_tls &&
        (node_id == 0 || (client->node_id != 0 && node_id != client->node_id)))
        return false;
    client->up = true;
    client->connects++;
    client->unheard_ms = 0;
    client->redial_ms = DIAL_FIRST_MS;
    if (client->connected != NULL)
        client->connected(client->context, true);
    start_waiting(client);
    return true;
}

static void on_closed(void *context, struct rpc_link *link, bool opened)
{
    struct rpc_client *client = context;

    CHECK(link == client->link);
    client->link = NULL;
    client->up = false;
    client->running = 0;
    rpc_calls_unsend(&client->calls);
    dial_later(client);
    if (opened && client->connected != NULL)
        client->connected(client->context, false);
}

static bool on_ready(void *context)
{
    (void)context;
    return true;
}

static void on_message(void *context, struct rpc_link *link, uint64_t number, struct bytes body)
{
    struct rpc_client *client = context;
    struct rpc_pending *call = rpc_calls_find(&client->calls, number);

    (void)link;
    client->unheard_ms = 0;
    if (call == NULL || !call->sent)
        return;
    client->calling_back = true;
    finish(client, call, ERR_OK, body);
    client->calling_back = false;
    if (client->freed) {
        rpc_hub_free(client->hub, free_rest);
        return;
    }
    start_waiting(client);
    arm(client);
}

static const struct rpc_hub_calls calls = {on_opened, on_ready, on_message, on_closed};

static enum err tls_config(const struct rpc_client_config *config, nng_tls_config **tls)
{
    char name[NNG_TLS_NAME_SIZE];

    if (config->credentials == NULL)
        return config->authority_pin != NULL ? nng_tls_pinned(config->authority_pin, tls)
                                             : ERR_MALFORMED;
    enum err err = nng_tls_server_name(config->credentials, config->node_id, name);
    if (err != ERR_OK)
        return err;
    return nng_tls_credentials(config->credentials, NNG_TLS_MODE_CLIENT, false,
                               config->node_id != 0 ? name : NULL, tls);
}

static enum err begin_dialing(struct rpc_client *client, const struct rpc_client_config *config)
{
    nng_tls_config *tls = NULL;

    if (client->is_tls && tls_config(config, &tls) != ERR_OK) {
        log_error(NULL, "rpc credentials are malformed",
                  LOG_FIELDS(LOG_TEXT("url", config->url)));
        return ERR_MALFORMED;
    }
    int result = stream_dialer_new(rpc_hub_queue(client->hub), config->url, tls, on_dialed,
                                   client, &client->dialer);
    if (tls != NULL)
        nng_tls_config_free(tls); /* the dialer holds it */
    if (result == 0) {
        stream_opener_go(client->dialer, 0);
        return ERR_OK;
    }
    log_error(
        NULL, "cannot dial",
        LOG_FIELDS(LOG_TEXT("url", config->url), LOG_TEXT("reason", nng_strerror(result))));
    return ERR_INVALID;
}

enum err rpc_client_new(struct loop *loop, const struct rpc_client_config *config,
                        struct rpc_client **out)
{
    static const char tls_scheme[] = "tls+tcp:";
    struct rpc_client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL && config->parallel_max > 0);
    *out = NULL;
    client->loop = loop;
    client->timer_ms = UINT64_MAX;
    client->redial_ms = DIAL_FIRST_MS;
    client->parallel_max = config->parallel_max;
    client->is_tls = strncmp(config->url, tls_scheme, sizeof(tls_scheme) - 1) == 0;
    client->node_id = config->node_id;
    client->connected = config->connected;
    client->context = config->context;
    client->hub = rpc_hub_new(loop, &calls, client, true);
    enum err err = begin_dialing(client, config);
    if (err == ERR_OK)
        *out = client;
    else
        rpc_client_free(&client);
    return err;
}

void rpc_client_free(struct rpc_client **pointer)
{
    struct rpc_client *client = *pointer;
    struct rpc_pending *call;

    if (client == NULL)
        return;
    *pointer = NULL;
    CHECK(!client->freed);
    client->freed = true;
    loop_timer_stop(&client->timer);
    stream_opener_free(&client->dialer);
    while ((call = rpc_calls_earliest(&client->calls)) != NULL)
        finish(client, call, ERR_CLOSED, BYTES(""));
    if (!client->calling_back)
        rpc_hub_free(client->hub, free_rest);
}

static uint64_t begin_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                           rpc_done *done, void *context, bool secret)
{
    bool refused = body.len > RPC_MESSAGE_SIZE_MAX;
    uint64_t now_ms = clock_monotonic_ms();

    CHECK(!client->freed && deadline_ms <= RPC_DEADLINE_MAX_MS);
    struct rpc_pending *call = refused
                                   ? rpc_calls_add(&client->calls, now_ms, BYTES(""))
                                   : rpc_calls_add(&client->calls, now_ms + deadline_ms, body);
    call->done = done;
    call->context = context;
    call->secret = secret;
    metric_add(METRIC_RPC_CALLS, 1);
    uint64_t ticket = rpc_calls_ticket(call);
    if (refused) {
        call->refused = ERR_TOOBIG;
    } else {
        rpc_calls_wait(&client->calls, call);
        start_waiting(client);
    }
    if (!client->calling_back)
        arm(client);
    return ticket;
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    return begin_call(client, body, deadline_ms, done, context, false);
}

uint64_t rpc_call_secret(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                         rpc_done *done, void *context)
{
    return begin_call(client, body, deadline_ms, done, context, true);
}

void rpc_cancel(struct rpc_client *client, uint64_t ticket)
{
    struct rpc_pending *call = rpc_calls_find(&client->calls, ticket);

    if (call == NULL)
        return;
    drop(client, call);
    if (!client->calling_back)
        start_waiting(client);
}

bool rpc_client_connected(const struct rpc_client *client)
{
    return client->up;
}

uint64_t rpc_client_connects(const struct rpc_client *client)
{
    return client->connects;
}
