/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection to a host of a route: the addresses of the plan one after the other until a
 * host is ready, then jobs one after the other until there are none.
 */
#include "smtp/relay/conversation.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/dial.h"

enum {
    IDLE_MS = 5000,  /* a connection waits so long for another message */
    CLOSE_MS = 5000, /* and so long for the host's goodbye */
};

static void dial_next(struct conversation *talk);

static void set_reason(struct conversation *talk, const char *status, const char *reason)
{
    snprintf(talk->status, sizeof(talk->status), "%s", status);
    snprintf(talk->reason, sizeof(talk->reason), "%s", reason);
}

static const struct route_step *step_now(const struct conversation *talk)
{
    return &talk->plan.steps[talk->step];
}

static const struct route_host *host_now(const struct conversation *talk)
{
    return &talk->route->hosts[step_now(talk)->host];
}

static void conversation_free(struct conversation *talk)
{
    struct site *site = talk->site;
    bool talked = talk->talked;

    CHECK(talk->job == NULL && talk->conn == NULL && talk->client == NULL);
    site_conversation_gone(site, &talk->node, talked);
    route_release(&talk->route);
    free(talk);
}

/* The connection is gone. */
static void over(struct conversation *talk)
{
    if (talk->talked || talk->stopping) {
        conversation_free(talk);
    } else {
        if (!talk->again)
            talk->step++;
        talk->again = false;
        dial_next(talk);
    }
}

/* ---- the engine asks ---- */

static void engine_write(void *context, struct bytes bytes)
{
    struct conversation *talk = context;

    if (talk->conn != NULL)
        conn_write(talk->conn, bytes);
}

static void engine_wait(void *context, uint32_t limit_ms)
{
    struct conversation *talk = context;

    talk->deadline_ms = limit_ms == 0 ? 0 : clock_monotonic_ms() + limit_ms;
}

static bool uses_dane(const struct route_host *host)
{
    return host->tlsa == ROUTE_TLSA_SECURE;
}

static void engine_start_tls(void *context)
{
    struct conversation *talk = context;
    const struct route_host *host = host_now(talk);
    const char *names[] = {uses_dane(host) ? host->tlsa_base : host->name, talk->route->domain};
    struct tls_tlsa records[ROUTE_TLSA_MAX];
    struct tls_expect expect = {
        /* Who has proven its name by a web certificate may get mail that requires TLS, where
         * the way to the name was proven too (RFC 8689 section 4.2.1). */
        .rule = talk->route->secure && !host->literal ? TLS_RULE_WEB : TLS_RULE_NONE,
        .lenient = true,
        .host = host->literal ? "" : names[0],
        .names = names,
        .names_count = uses_dane(host) ? 2 : 1,
    };
    enum err err;

    for (unsigned i = 0; i < host->tlsa_count && i < ROUTE_TLSA_MAX; i++)
        records[i] = (struct tls_tlsa){
            host->tlsa_records[i].tlsa.usage, host->tlsa_records[i].tlsa.selector,
            host->tlsa_records[i].tlsa.matching, host->tlsa_records[i].tlsa.data};
    if (uses_dane(host)) {
        bool usable = tls_tlsa_usable(records, host->tlsa_count) > 0;
        expect.rule = usable ? TLS_RULE_DANE : TLS_RULE_NONE;
        expect.lenient = false;
        expect.records = records;
        expect.records_count = host->tlsa_count;
    }
    talk->tls_begun = true;
    if (talk->conn == NULL ||
        (err = conn_start_tls_client(talk->conn, talk->relay->config.tls, &expect)) != ERR_OK)
        smtp_client_lost(talk->client, "TLS cannot be started");
}

static void engine_ready(void *context)
{
    struct conversation *talk = context;

    talk->deadline_ms = 0;
    if (!talk->talked) {
        talk->talked = true;
        site_talks(talk->site);
    }
    conversation_next(talk);
}

static void engine_closed(void *context, enum smtp_client_end end,
                          const struct smtp_client_verdict *verdict)
{
    struct conversation *talk = context;
    const struct smtp_client_verdict said = *verdict; /* the client's own */

    smtp_client_free(&talk->client);
    talk->idle = false;
    talk->deadline_ms = talk->conn != NULL ? clock_monotonic_ms() + CLOSE_MS : 0;
    if (!talk->talked) {
        /* What a host says of itself is not for good: another one may be better. */
        set_reason(talk,
                   said.status[0] == '5' || said.status[0] == '\0'
                       ? (talk->tls_begun ? "4.7.5" : "4.3.2")
                       : said.status,
                   said.text);
        log_debug(NULL, "a host is not ready for mail",
                  LOG_FIELDS(LOG_TEXT("remote", talk->remote),
                             LOG_TEXT("end", smtp_client_end_name(end)),
                             LOG_TEXT("reason", talk->reason)));
    }
    conversation_job_closed(talk, &said);
    if (talk->conn != NULL)
        conn_close(talk->conn);
}

static const struct smtp_client_calls engine_calls = {
    .write = engine_write,
    .start_tls = engine_start_tls,
    .wait = engine_wait,
    .ready = engine_ready,
    .recipient = conversation_recipient,
    .body_wanted = conversation_body_wanted,
    .done = conversation_done,
    .closed = engine_closed,
};

/* ---- the connection ---- */

static void *conn_open(void *context, struct conn *conn)
{
    struct conversation *talk = context;
    const struct route_host *host = host_now(talk);
    struct address source;

    if (conn_local(conn, &source, NULL))
        address_text(&source, talk->source);
    talk->dial = NULL;
    talk->conn = conn;
    talk->tls_begun = false;
    talk->config = (struct smtp_client_config){
        .hello = talk->relay->config.hostname,
        .tls = uses_dane(host)                                        ? SMTP_CLIENT_TLS_REQUIRED
               : tls_is_broken(talk->relay, &step_now(talk)->address) ? SMTP_CLIENT_TLS_NEVER
                                                                      : SMTP_CLIENT_TLS_OFFERED,
    };
    talk->client = smtp_client_new(&talk->config, &engine_calls, talk);
    return talk;
}

static size_t conn_feed(void *session, struct bytes input)
{
    struct conversation *talk = session;

    if (talk->client != NULL)
        smtp_client_feed(talk->client, input);
    return input.len;
}

static void conn_tls_started(void *session)
{
    struct conversation *talk = session;
    enum tls_verified verified = conn_tls_verified(talk->conn);

    if (talk->client != NULL)
        smtp_client_tls_started(talk->client,
                                verified == TLS_VERIFIED_DANE ||
                                    (verified == TLS_VERIFIED_WEB && talk->route->secure));
}

/* Times are the engine's. */
static void conn_idle(void *session)
{
    (void)session;
}

static void conn_writable(void *session)
{
    conversation_body_go_on(session);
}

static void conn_closed(void *session)
{
    struct conversation *talk = session;
    const char *more = "";
    enum tls_failure failure = conn_tls_failure(talk->conn, &more);
    char why[128] = "the connection was lost";

    talk->conn = NULL;
    if (failure != TLS_FAILURE_NONE && talk->tls_begun && !talk->talked) {
        snprintf(why, sizeof(why), "%s%s%s", tls_failure_text(failure),
                 *more != '\0' ? ": " : "", more);
        /* Against who only listens, the clear is as good as a broken TLS. */
        if (!uses_dane(host_now(talk))) {
            tls_broke(talk->relay, &step_now(talk)->address);
            talk->again = true;
        }
    }
    if (talk->client != NULL)
        smtp_client_lost(talk->client, why);
    over(talk);
}

static const struct conn_protocol protocol = {
    .open = conn_open,
    .feed = conn_feed,
    .tls_started = conn_tls_started,
    .idle = conn_idle,
    .writable = conn_writable,
    .closed = conn_closed,
};

/* ---- dialling ---- */

static void dial_failed(void *context, enum err err, const char *reason)
{
    struct conversation *talk = context;

    talk->dial = NULL;
    set_reason(talk, err == ERR_INVALID || err == ERR_DENIED ? "4.3.5" : "4.4.1", reason);
    talk->step++;
    if (talk->stopping)
        conversation_free(talk);
    else
        dial_next(talk);
}

/* NULL: none of this family. */
static const struct address *source_of(const struct relay *relay, bool v4)
{
    for (unsigned i = 0; i < relay->config.source_count; i++)
        if (address_is_v4(&relay->config.sources[i]) == v4)
            return &relay->config.sources[i];
    return NULL;
}

static bool has_source(const struct relay *relay, bool v4)
{
    return relay->config.source_count == 0 || source_of(relay, v4) != NULL;
}

static void dial_next(struct conversation *talk)
{
    struct dial_config config = {
        .limits = &talk->relay->conn_limits,
        .protocol = &protocol,
        .context = talk,
        .failed = dial_failed,
    };
    char address[ADDRESS_TEXT_SIZE];

    if (talk->step >= talk->plan.count) {
        site_failed(talk->site, talk->status, talk->reason, talk->remote);
        conversation_free(talk);
        return;
    }
    const struct route_step *step = step_now(talk);
    address_text(&step->address, address);
    snprintf(talk->remote, sizeof(talk->remote), "%s [%s]", host_now(talk)->name, address);
    config.target = step->address;
    config.port = step->port;
    config.source = source_of(talk->relay, address_is_v4(&step->address));
    talk->dial = dial_start(talk->relay->loop, &config);
}

void conversation_new(struct site *site)
{
    struct conversation *talk = calloc(1, sizeof(*talk));
    struct route_wish wish = {
        .without_v4 = !has_source(site->relay, true),
        .without_v6 = !has_source(site->relay, false),
        .v4_first = site->relay->config.v4_first,
    };

    CHECK(talk != NULL);
    talk->site = site;
    talk->relay = site->relay;
    talk->route = route_hold(site->route);
    store_random(&wish.seed, sizeof(wish.seed));
    route_plan(talk->route, &wish, &talk->plan);
    set_reason(talk, "4.4.1", "no address of the host can be reached from here");
    list_init(&talk->node);
    list_append(&site->conversations, &talk->node);
    dial_next(talk);
}

/* ---- time ---- */

bool conversation_wake(struct list *node)
{
    struct conversation *talk = LIST_ENTRY(node, struct conversation, node);

    if (!talk->idle)
        return false;
    talk->idle = false;
    conversation_next(talk);
    return true;
}

void conversation_idle(struct conversation *talk)
{
    talk->idle = true;
    talk->deadline_ms = clock_monotonic_ms() + IDLE_MS;
}

void conversation_tick(struct list *node, uint64_t now_ms)
{
    struct conversation *talk = LIST_ENTRY(node, struct conversation, node);

    if (talk->deadline_ms == 0 || now_ms < talk->deadline_ms) {
        if (talk->client != NULL && talk->job != NULL)
            conversation_finish(talk);
        return;
    }
    talk->deadline_ms = 0;
    if (talk->client == NULL) {
        if (talk->conn != NULL)
            conn_close(talk->conn);
    } else if (talk->idle) {
        talk->idle = false;
        smtp_client_quit(talk->client);
    } else {
        smtp_client_timed_out(talk->client);
    }
}

void conversation_stop(struct list *node)
{
    struct conversation *talk = LIST_ENTRY(node, struct conversation, node);

    talk->stopping = true;
    if (talk->dial != NULL) {
        dial_cancel(&talk->dial);
        conversation_free(talk);
    } else if (talk->idle) {
        talk->idle = false;
        smtp_client_quit(talk->client);
    } else if (talk->client != NULL && !talk->talked) {
        smtp_client_lost(talk->client, "this relay is stopping");
    }
}

void conversation_cut(struct list *node)
{
    struct conversation *talk = LIST_ENTRY(node, struct conversation, node);

    talk->stopping = true;
    if (talk->dial != NULL) {
        dial_cancel(&talk->dial);
        conversation_free(talk);
    } else if (talk->client != NULL) {
        smtp_client_lost(talk->client, "this relay is stopping");
    }
}
