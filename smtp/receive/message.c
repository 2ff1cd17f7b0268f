/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "smtp/protocol/trace.h"
#include "smtp/receive/visitor.h"
#include "storage/client/body_writer.h"

/*
 * A message from BEGIN to its outcome. Once its last byte is there it no longer depends on the
 * connection: the store's answer is waited for and logged even when the client has gone, since
 * the message may well be delivered.
 */
struct message {
    struct receive *receive;
    struct visitor *visitor; /* NULL: the connection is gone */
    struct message *next;
    struct message **self;
    struct request_id id;
    char trace_id[REQUEST_ID_TEXT_SIZE];
    struct body_writer *writer;
    uint64_t ticket; /* the session's, of the commit; 0 before */
    uint64_t call;   /* the store client's, of the delivery; 0 before and after */
    uint64_t began_ms;
    uint64_t commit_ms; /* when it was asked for */

    /* Copies, for a log line after the connection has gone. */
    struct arena message_arena;
    struct bytes sender;
    struct bytes peer;
    unsigned recipient_count;
    uint64_t *account_ids; /* each once, in the order of RCPT */
    size_t account_count;
};

/* Frees it; `result` is for the log. */
static void message_end(struct message *message, const char *result, unsigned code)
{
    struct receive *receive = message->receive;

    metric_add(code < 400   ? METRIC_SMTP_MESSAGES_ACCEPTED
               : code < 500 ? METRIC_SMTP_MESSAGES_DEFERRED
                            : METRIC_SMTP_MESSAGES_REFUSED,
               1);
    log_info(NULL, "message",
             LOG_FIELDS(LOG_TEXT("trace", message->trace_id), LOG_U64("code", code),
                        LOG_TEXT("result", result),
                        LOG_U64("size", body_writer_size(message->writer)),
                        LOG_BYTES("sender", message->sender),
                        LOG_U64("recipients", message->recipient_count),
                        LOG_BYTES("peer", message->peer),
                        LOG_U64("ms", clock_monotonic_ms() - message->began_ms)));
    if (message->visitor != NULL)
        message->visitor->message = NULL;
    *message->self = message->next;
    if (message->next != NULL)
        message->next->self = message->self;
    receive->message_count--;
    store_cancel(receive->config.store, message->call);
    body_writer_free(&message->writer);
    arena_fini(&message->message_arena);
    free(message);
    receive_left(receive);
}

static void on_drained(void *context)
{
    struct message *message = context;

    if (message->visitor != NULL)
        conn_resume(message->visitor->conn);
}

static void copy_accounts(struct message *message, const struct smtp_envelope *envelope)
{
    message->account_ids = arena_alloc(
        &message->message_arena, envelope->recipient_count * sizeof(*message->account_ids));
    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        uint64_t id = envelope->recipients[i].account_id;
        size_t at = 0;
        while (at < message->account_count && message->account_ids[at] != id)
            at++;
        if (at == message->account_count)
            message->account_ids[message->account_count++] = id;
    }
}

static void add_trace(struct message *message, const struct smtp_envelope *envelope)
{
    struct conn *conn = message->visitor->conn;
    struct buffer header = BUFFER_EMPTY;
    const struct smtp_trace trace = {
        .envelope = envelope,
        .hostname = message->receive->config.hostname,
        .peer_address = conn_peer_address(conn),
        .tls_text = conn_tls_text(conn),
        .trace_id = message->trace_id,
        .seconds = (int64_t)(clock_wall_ms() / 1000),
    };

    smtp_trace_write(&trace, &header);
    body_writer_add(message->writer, buffer_bytes(&header));
    buffer_fini(&header);
}

struct message *message_begin(struct visitor *visitor)
{
    struct receive *receive = visitor->receive;
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);

    if (receive->message_count >= receive->config.messages_max)
        return NULL;
    struct message *message = calloc(1, sizeof(*message));
    CHECK(message != NULL);
    *message = (struct message){
        .receive = receive,
        .visitor = visitor,
        .next = receive->messages,
        .self = &receive->messages,
        .id = store_request_id(),
        .began_ms = clock_monotonic_ms(),
        .recipient_count = envelope->recipient_count,
    };
    if (message->next != NULL)
        message->next->self = &message->next;
    receive->messages = message;
    receive->message_count++;
    request_id_format(&message->id, message->trace_id);
    arena_init(&message->message_arena);
    message->sender = arena_copy(&message->message_arena, envelope->sender);
    message->peer =
        arena_copy(&message->message_arena, bytes_of(conn_peer_address(visitor->conn)));
    copy_accounts(message, envelope);
    message->writer = body_writer_new(receive->config.store, 0, message->account_ids[0],
                                      receive->config.times->upload_ms);
    body_writer_on_drained(message->writer, on_drained, message);
    add_trace(message, envelope);
    return message;
}

const char *message_trace_id(const struct message *message)
{
    return message->trace_id;
}

void message_add(struct message *message, struct bytes bytes)
{
    body_writer_add(message->writer, bytes);
}

bool message_full(const struct message *message)
{
    return body_writer_full(message->writer);
}

uint64_t message_size(const struct message *message)
{
    return body_writer_size(message->writer);
}

uint64_t message_began_ms(const struct message *message)
{
    return message->began_ms;
}

static void message_done(struct message *message, enum err result)
{
    struct visitor *visitor = message->visitor;
    uint64_t ticket = message->ticket;

    message_end(message, err_name(result), smtp_reply_code(smtp_reply_of_commit(result)));
    if (visitor == NULL)
        return;
    smtp_session_committed(visitor->session, ticket, result);
    visitor_continue(visitor);
}

static void on_delivered(void *context, enum err err, const Pr__Reply *reply)
{
    struct message *message = context;

    message->call = 0;
    if (err == ERR_OK)
        /* Without a majority nobody knows for long; a 451 promises nothing. */
        err = reply->err == ERR_UNKNOWN ? ERR_UNAVAILABLE : (enum err)reply->err;
    else
        err =
            ERR_UNKNOWN; /* our own store is gone, and may have passed the message on before */
    if (err == ERR_OK)
        body_writer_used(message->writer);
    message_done(message, err);
}

static void on_finished(void *context, enum err err, Pr__Body *body)
{
    struct message *message = context;
    unsigned commit_ms = message->receive->config.times->commit_ms;
    uint64_t spent_ms = clock_monotonic_ms() - message->commit_ms;
    Pr__DeliverCall call = PR__DELIVER_CALL__INIT;
    Pr__Request request = PR__REQUEST__INIT;

    if (err == ERR_OK && spent_ms >= commit_ms)
        err = ERR_TIMEOUT;
    if (err != ERR_OK) {
        message_done(message, err);
        return;
    }
    call.body = body;
    call.account_ids = message->account_ids;
    call.n_account_ids = message->account_count;
    request.request_id.data = message->id.bytes;
    request.request_id.len = REQUEST_ID_SIZE;
    request.call_case = PR__REQUEST__CALL_DELIVER;
    request.deliver = &call;
    message->call = store_call(message->receive->config.store, &request,
                               (unsigned)(commit_ms - spent_ms), on_delivered, message);
}

void message_commit(struct message *message, uint64_t ticket)
{
    message->ticket = ticket;
    message->commit_ms = clock_monotonic_ms();
    body_writer_finish(message->writer, on_finished, message);
}

void message_abort(struct message *message, enum smtp_reply refusal)
{
    message_end(message, "aborted", smtp_reply_code(refusal));
}

void message_leave(struct message *message)
{
    bool complete = message->ticket != 0;

    message->visitor->message = NULL;
    message->visitor = NULL;
    if (!complete)
        message_end(message, "connection lost", smtp_reply_code(SMTP_REPLY_TIMED_OUT));
}

void message_give_up(struct message *message)
{
    message_end(message, err_name(ERR_CANCELLED), smtp_reply_code(SMTP_REPLY_GOING_DOWN));
}

struct message *message_next(const struct message *message)
{
    return message->next;
}
