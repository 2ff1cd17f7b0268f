/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "smtp/receive/copies.h"
#include "smtp/receive/envelope.h"
#include "smtp/receive/lines.h"
#include "smtp/receive/room.h"
#include "smtp/receive/visitor.h"
#include "smtp/receive/wording.h"
#include "smtp/submit/sent_too_much.h"
#include "storage/schema/address.h"

/*
 * A message from BEGIN to its outcome. Once its last byte is there it no longer depends on the
 * connection: whoever sent it may have left without waiting for the reply, so the rest of the
 * checks, the uploads and the delivery go on, and the outcome is logged. The store's session of
 * a submission lives as long. Before its last byte it goes with the connection; what was
 * uploaded of it is taken back.
 */
struct message {
    struct receive *receive;
    struct visitor *visitor; /* NULL: the connection is gone */
    struct message *next;
    struct message **self;
    struct request_id id;
    char trace_id[REQUEST_ID_TEXT_SIZE];
    struct copies copies;
    uint64_t room_bytes; /* put down for it, see room.h */
    bool no_room;        /* thrown away for it; what still comes is not kept */
    uint64_t dropped_size;
    unsigned finishing; /* writers that have not ended yet */
    enum err finish_err;
    Pr__Body *bodies[COPIES_MAX];
    uint64_t ticket; /* the session's, of the commit; 0 before */
    uint64_t call;   /* the store client's, of the delivery; 0 before and after */
    uint64_t began_ms;
    uint64_t commit_ms; /* when it was asked for */

    /* Copies, for a log line after the connection has gone. */
    struct arena message_arena;
    struct bytes sender;
    struct bytes peer;
    struct bytes user; /* who is logged in */
    struct bytes recipients;
    uint64_t conn_id;
    unsigned recipient_count;
    Pr__Envelope *envelope; /* for recipients on other hosts */
    uint64_t session;       /* the store's, of a submission; 0 */
    struct login *login;    /* whose that is, once the connection has gone */
    struct rights *rights;  /* whether From is the sender's own */
    /* Mail from the world: what is known of the domain in From. */
    struct policy_from *from;
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
                        LOG_TEXT("result", result), LOG_U64("size", message_size(message)),
                        LOG_BYTES("sender", message->sender),
                        LOG_U64("recipients", message->recipient_count),
                        LOG_BYTES("peer", message->peer),
                        LOG_U64("ms", clock_monotonic_ms() - message->began_ms),
                        LOG_U64("conn", message->conn_id), LOG_BYTES("user", message->user),
                        LOG_BYTES("to", message->recipients)));
    if (message->visitor != NULL)
        message->visitor->message = NULL;
    *message->self = message->next;
    if (message->next != NULL)
        message->next->self = message->self;
    receive->message_count--;
    store_cancel(receive->config.store, message->call);
    rights_cancel(&message->rights);
    policy_from_cancel(&message->from);
    copies_fini(&message->copies); /* takes uploads back, while there is a session */
    login_free(&message->login);
    room_leave(receive, &message->room_bytes);
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

/* Editors and writers for each wording. All of a message goes to one group. */
static void open_copies(struct message *message, const struct smtp_envelope *envelope)
{
    struct copies *copies = &message->copies;
    const struct receive *receive = message->receive;

    for (unsigned i = 0; i < copies->count; i++) {
        struct copy *copy = &copies->at[i];
        wording_open(copy, message->visitor, envelope, message->trace_id,
                     &message->message_arena);
        copy->writer =
            body_writer_new(receive->config.store, message->session, copies->home_account_id,
                            receive->config.times->upload_ms);
        if (message->session == 0 && copies->home_account_id == 0)
            body_writer_to_group(copy->writer, copies->group);
        body_writer_on_drained(copy->writer, on_drained, message);
    }
}

struct message *message_begin(struct visitor *visitor)
{
    struct receive *receive = visitor->receive;
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);

    if (receive->message_count >= receive->config.messages_max || room_is_over(receive))
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
    guard_tell(visitor->guard, FIREWALL_MESSAGE, 0, 0);
    request_id_format(&message->id, message->trace_id);
    arena_init(&message->message_arena);
    message->sender = arena_copy(&message->message_arena, envelope->sender);
    message->peer = arena_copy(&message->message_arena, bytes_of(visitor_peer(visitor)));
    message->conn_id = conn_id(visitor->conn);
    message->recipients = lines_recipients(envelope, &message->message_arena);
    message->envelope = envelope_of_queue(&message->message_arena, envelope, visitor->mail_ms);
    copies_sort(&message->copies, &message->message_arena, envelope, &visitor->destinations);
    if (visitor->login != NULL) {
        message->session = login_session(visitor->login);
        message->user = arena_copy(&message->message_arena, login_address(visitor->login));
    }
    open_copies(message, envelope);
    return message;
}

const char *message_trace_id(const struct message *message)
{
    return message->trace_id;
}

/* What it has in memory is given back now; the client hears of it at the end. */
static void drop_for_room(struct message *message)
{
    message->dropped_size = message_size(message);
    message->no_room = true;
    copies_fini(&message->copies);
    room_leave(message->receive, &message->room_bytes);
}

void message_add(struct message *message, struct bytes bytes)
{
    if (message->no_room)
        return;
    uint64_t need = room_of_message(message->copies.count, message_size(message) + bytes.len);
    if (need > message->room_bytes && !room_raise(message->receive, &message->room_bytes, need))
        drop_for_room(message);
    else
        copies_add(&message->copies, bytes);
}

bool message_full(const struct message *message)
{
    return copies_full(&message->copies);
}

uint64_t message_size(const struct message *message)
{
    return message->no_room ? message->dropped_size
                            : body_writer_size(message->copies.at[0].writer);
}

uint64_t message_began_ms(const struct message *message)
{
    return message->began_ms;
}

/* Words of our own, where an error says too little. */
static const struct smtp_refusal *refusal_of(enum err result)
{
    return result == ERR_NOSESSION ? &visitor_log_in_again : NULL;
}

static void message_refuse(struct message *message, const struct smtp_refusal *refusal)
{
    struct visitor *visitor = message->visitor;
    uint64_t ticket = message->ticket;

    message_end(message, refusal->text, refusal->code);
    if (visitor == NULL)
        return;
    smtp_session_refused(visitor->session, ticket, refusal);
    visitor_continue(visitor);
}

static void message_done(struct message *message, enum err result)
{
    struct visitor *visitor = message->visitor;
    uint64_t ticket = message->ticket;

    if (refusal_of(result) != NULL) {
        message_refuse(message, refusal_of(result));
        return;
    }

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
    if (err == ERR_OK && reply->err == ERR_LIMIT) {
        struct sent_too_much words;
        message_refuse(message, sent_too_much(reply->outcome, &words));
        return;
    }
    if (err == ERR_OK)
        /* Without a majority nobody knows for long; a 451 promises nothing. */
        err = reply->err == ERR_UNKNOWN ? ERR_UNAVAILABLE : (enum err)reply->err;
    else
        err =
            ERR_UNKNOWN; /* our own store is gone, and may have passed the message on before */
    for (unsigned i = 0; i < message->copies.count && err == ERR_OK; i++)
        body_writer_used(message->copies.at[i].writer);
    message_done(message, err);
}

static Pr__DeliverCallPart *make_part(struct message *message, unsigned number)
{
    const struct copy *copy = &message->copies.at[number];
    Pr__DeliverCallPart *part = arena_alloc(&message->message_arena, sizeof(*part));

    pr__deliver_call_part__init(part);
    part->body = message->bodies[number];
    part->account_ids = copy->account_ids;
    part->n_account_ids = copy->account_count;
    part->queue = copy->queue;
    part->n_queue = copy->queue_count;
    part->queue_account_id = copy->forward_account_id;
    return part;
}

static void deliver(struct message *message, unsigned left_ms)
{
    const struct copy *first = &message->copies.at[0];
    Pr__DeliverCallPart *parts[COPIES_MAX];
    Pr__DeliverCall call = PR__DELIVER_CALL__INIT;
    Pr__Request request = PR__REQUEST__INIT;

    call.body = message->bodies[0];
    call.account_ids = first->account_ids;
    call.n_account_ids = first->account_count;
    call.queue = first->queue;
    call.n_queue = first->queue_count;
    call.envelope = message->envelope;
    call.group = message->copies.group;
    call.queue_account_id = first->forward_account_id;
    call.promised_ids = message->copies.promised_ids;
    call.n_promised_ids = message->copies.promised_count;
    call.parts = parts;
    call.n_parts = message->copies.count - 1;
    for (unsigned i = 1; i < message->copies.count; i++)
        parts[i - 1] = make_part(message, i);
    request.session = message->session;
    request.request_id.data = message->id.bytes;
    request.request_id.len = REQUEST_ID_SIZE;
    request.call_case = PR__REQUEST__CALL_DELIVER;
    request.deliver = &call;
    message->call =
        store_call(message->receive->config.store, &request, left_ms, on_delivered, message);
}

/* One wording, whose writer has ended. */
struct finish {
    struct message *message;
    unsigned number;
};

static void on_finished(void *context, enum err err, Pr__Body *body)
{
    const struct finish *finish = context;
    struct message *message = finish->message;
    unsigned commit_ms = message->receive->config.times->commit_ms;
    uint64_t spent_ms = clock_monotonic_ms() - message->commit_ms;

    message->bodies[finish->number] = body;
    if (message->finish_err == ERR_OK)
        message->finish_err = err;
    if (--message->finishing > 0)
        return;
    if (message->finish_err == ERR_OK && spent_ms >= commit_ms)
        message->finish_err = ERR_TIMEOUT;
    if (message->finish_err != ERR_OK)
        message_done(message, message->finish_err);
    else
        deliver(message, (unsigned)(commit_ms - spent_ms));
}

static void finish(struct message *message)
{
    message->finishing = message->copies.count;
    for (unsigned i = 0; i < message->copies.count; i++) {
        struct finish *one = arena_alloc(&message->message_arena, sizeof(*one));
        *one = (struct finish){message, i};
        body_writer_finish(message->copies.at[i].writer, on_finished, one);
    }
}

static void on_from_checked(void *context, enum err err, struct bytes address)
{
    static const struct smtp_refusal not_yours = {
        550, "5.7.1", "The address in From or Sender does not belong to you", false};
    struct message *message = context;

    (void)address;
    message->rights = NULL;
    if (err == ERR_OK)
        finish(message);
    else if (err == ERR_DENIED || err == ERR_INVALID)
        message_refuse(message, &not_yours);
    else
        message_done(message, err == ERR_NOSESSION ? err : ERR_UNAVAILABLE);
}

/* NULL, or why a message that was submitted cannot go on. */
static const struct smtp_refusal *submission_fault(const struct smtp_header_facts *facts)
{
    static const struct {
        unsigned faults;
        struct smtp_refusal refusal;
    } rows[] = {
        {SMTP_FAULT_TOO_LARGE | SMTP_FAULT_FIELD_TOO_LARGE,
         {552, "5.3.4", "Message header is too large", false}},
        {SMTP_FAULT_NO_FIELD,
         {554, "5.6.0", "Message header has a line that is no field", false}},
        {SMTP_FAULT_NO_FROM, {554, "5.6.0", "Message has no From field", false}},
        {SMTP_FAULT_TWO_FROM, {554, "5.6.0", "Message has more than one From field", false}},
        {SMTP_FAULT_BAD_FROM, {554, "5.6.0", "From field has no address", false}},
        {SMTP_FAULT_BAD_SENDER, {554, "5.6.0", "Sender field has no address", false}},
        {SMTP_FAULT_NO_SENDER,
         {554, "5.6.0", "From field has several addresses, and there is no Sender", false}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (facts->faults & rows[i].faults)
            return &rows[i].refusal;
    return NULL;
}

/* NULL, or why nobody is to have to read this. */
static const struct smtp_refusal *content_fault(const struct copies *copies)
{
    static const struct smtp_refusal too_large = {552, "5.3.4", "Message header is too large",
                                                  false};
    static const struct smtp_refusal nested = {
        554, "5.6.0", "Message has too many parts, or parts in parts", false};
    static const struct smtp_refusal binary = {
        554, "5.6.1", "Binary content in a signed or malformed message cannot be converted",
        false};
    static const struct smtp_refusal loop = {
        554, "5.4.6", "Message has been forwarded by this address before: a mail loop", false};

    if (copies_facts(copies)->faults & SMTP_FAULT_TOO_LARGE)
        return &too_large;
    if (copies->mime.verdict == SMTP_MIME_EXCESSIVE)
        return &nested;
    if (copies->convert != NULL && copies->conversion.is_binary)
        return &binary;
    return copies_loop(copies) ? &loop : NULL;
}

static void on_from_judged(void *context, const struct smtp_refusal *refusal)
{
    struct message *message = context;

    message->from = NULL;
    if (refusal != NULL)
        message_refuse(message, refusal);
    else
        finish(message);
}

/* Mail from the world: policy has the last word, of the domain in From. */
static void judge_from(struct message *message, const struct smtp_header_facts *facts)
{
    struct policy_client *policy = message->visitor->policy;

    if (policy != NULL)
        message->from = policy_from_try(policy, &facts->from, on_from_judged, message);
    if (message->from == NULL)
        finish(message);
}

void message_commit(struct message *message, uint64_t ticket)
{
    const struct receive_config *config = &message->receive->config;

    message->ticket = ticket;
    message->commit_ms = clock_monotonic_ms();
    if (message->no_room) {
        message_done(message, ERR_BUSY);
        return;
    }
    copies_finish(&message->copies);
    const struct smtp_header_facts *facts = copies_facts(&message->copies);
    const struct smtp_refusal *fault = content_fault(&message->copies);
    if (fault == NULL && message->session != 0)
        fault = submission_fault(facts);
    if (fault != NULL)
        message_refuse(message, fault);
    else if (message->session == 0)
        judge_from(message, facts);
    else
        message->rights =
            rights_ask_authors(config->store, message->session, &facts->from, &facts->sender,
                               config->times->lookup_ms, on_from_checked, message);
}

void message_abort(struct message *message, enum smtp_reply refusal)
{
    message_end(message, "aborted", smtp_reply_code(refusal));
}

void message_leave(struct message *message)
{
    /* Without the client there is no policy to ask, and nobody was told that it is taken. */
    bool complete = message->ticket != 0 && message->from == NULL;

    if (complete) {
        message->login = message->visitor->login;
        message->visitor->login = NULL;
    }
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
