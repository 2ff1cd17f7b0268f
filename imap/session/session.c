/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/session.h"

#include <stdlib.h>

#include "imap/session/internal.h"
#include "storage/schema/entry.h"

/* Where each state may go. */
static const unsigned moves[IMAP_STATE_COUNT] = {
    [IMAP_STATE_OPENED] = IMAP_IN(IMAP_STATE_GREETED) | IMAP_IN(IMAP_STATE_CLOSED),
    [IMAP_STATE_GREETED] = IMAP_IN(IMAP_STATE_LOGGED_IN) | IMAP_IN(IMAP_STATE_CLOSED),
    [IMAP_STATE_LOGGED_IN] = IMAP_IN(IMAP_STATE_SELECTED) | IMAP_IN(IMAP_STATE_CLOSED),
    [IMAP_STATE_SELECTED] = IMAP_IN(IMAP_STATE_LOGGED_IN) | IMAP_IN(IMAP_STATE_CLOSED),
    [IMAP_STATE_CLOSED] = 0,
};

void imap_session_move(struct imap_session *session, enum imap_state next)
{
    CHECK(moves[session->state] & IMAP_IN(next));
    session->state = next;
}

struct imap_session *imap_session_new(const struct imap_session_config *config, void *owner,
                                      const char *peer_address, bool has_tls, bool can_tls)
{
    struct imap_session *session = calloc(1, sizeof(*session));

    CHECK(session != NULL && config->login_failures_max > 0);
    session->config = config;
    session->owner = owner;
    session->peer_address = peer_address;
    session->has_tls = has_tls;
    session->can_tls = can_tls;
    imap_reader_init(&session->reader, IMAP_COMMAND_SIZE_MAX_LOGIN);
    session->reader.wipes = true; /* up to the end of the command that logs in */
    arena_init(&session->command_arena);
    imap_view_init(&session->selected.view);
    return session;
}

void imap_session_greet(struct imap_session *session)
{
    if (session->state == IMAP_STATE_CLOSED)
        return;
    imap_session_move(session, IMAP_STATE_GREETED);
    imap_say(session, "* OK [CAPABILITY %s] %.255s ready\r\n", imap_capabilities(session),
             session->config->hostname);
    arena_fini(&session->command_arena);
}

static void release(struct imap_session *session)
{
    if (session->running != NULL && session->running->cleanup != NULL)
        session->running->cleanup(session);
    session->running = NULL;
    session->sync = NULL;
    session->expunging = NULL;
    session->step = NULL;
    session->request = NULL;
    if (session->reader.wipes)
        arena_wipe(&session->command_arena);
    else
        arena_fini(&session->command_arena);
    session->reader.wipes = session->store_id == 0;
}

void imap_session_free(struct imap_session **session)
{
    if (*session == NULL)
        return;
    release(*session);
    imap_deselect(*session);
    imap_reader_fini(&(*session)->reader);
    buffer_fini(&(*session)->output);
    free((*session)->idle_tag);
    free(*session);
    *session = NULL;
}

void imap_session_rest(struct imap_session *session)
{
    release(session);
    session->answered = NULL;
    session->ticket = 0;
    session->delay_ms = 0;
    session->logs_in = false;
}

void *imap_alloc(struct imap_session *session, size_t size)
{
    return arena_alloc(&session->command_arena, size);
}

void imap_session_event(struct imap_session *session, enum imap_event event, struct bytes text)
{
    if (session->config->on_event != NULL)
        session->config->on_event(session->owner, event, text);
}

Pr__Request *imap_request_new(struct imap_session *session, Pr__Request__CallCase call)
{
    Pr__Request *request = imap_alloc(session, sizeof(*request));

    pr__request__init(request);
    request->call_case = call;
    request->session = session->store_id;
    return request;
}

void imap_session_call(struct imap_session *session, Pr__Request *request, bool is_write,
                       imap_answered *answered)
{
    CHECK(session->request == NULL && session->ticket == 0);
    session->request = request;
    session->write_wanted = is_write;
    session->answered = answered;
    session->ticket = ++session->last_ticket;
}

static enum err error_of(enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK)
        return err;
    if (reply->err == ERR_OK && reply->outcome != NULL)
        return (enum err)reply->outcome->err;
    return (enum err)reply->err;
}

void imap_session_answered(struct imap_session *session, uint64_t ticket, enum err err,
                           const Pr__Reply *reply)
{
    imap_answered *answered = session->answered;

    if (session->state == IMAP_STATE_CLOSED || answered == NULL || ticket != session->ticket)
        return;
    session->answered = NULL;
    session->ticket = 0;
    if (session->write_wanted && (err == ERR_TIMEOUT || err == ERR_CLOSED)) {
        /*
         * Our own store is gone or hangs, and may have passed the change on before: neither OK
         * nor NO would be true. The client looks at what is there when it comes back.
         */
        imap_session_bye(session, "[UNAVAILABLE] It is not known whether the last command was "
                                  "carried out, look before trying again");
        return;
    }
    err = error_of(err, reply);
    if (err == ERR_NOSESSION && session->store_id != 0)
        imap_session_bye(session, "[UNAVAILABLE] The session has ended, log in again");
    else
        answered(session, err, reply);
}

void imap_session_delayed(struct imap_session *session, uint64_t ticket)
{
    if (session->state == IMAP_STATE_CLOSED || session->answered != NULL || ticket == 0 ||
        ticket != session->ticket)
        return;
    session->ticket = 0;
    session->delayed(session);
}

void imap_session_delay(struct imap_session *session, unsigned delay_ms,
                        void (*delayed)(struct imap_session *session))
{
    CHECK(session->ticket == 0 && delay_ms > 0);
    session->ticket = ++session->last_ticket;
    session->delay_ms = delay_ms;
    session->delayed = delayed;
}

void imap_session_bye(struct imap_session *session, const char *reason)
{
    if (session->state == IMAP_STATE_CLOSED)
        return;
    /* In the middle of a literal a BYE would be taken for data; there is only the end then. */
    bool in_literal = session->running != NULL && session->running->in_literal;
    if (!in_literal)
        imap_say(session, "* BYE %s\r\n", reason);
    imap_session_rest(session);
    imap_session_move(session, IMAP_STATE_CLOSED);
    session->close_wanted = true;
    session->tls_wanted = false;
    session->body_wanted = 0;
    session->is_idling = false;
}

static const enum imap_want body_wants[] = {
    IMAP_WANT_BODY_BEGIN, IMAP_WANT_BODY_DATA, IMAP_WANT_BODY_END,
    IMAP_WANT_BODY_DROP,  IMAP_WANT_BODY_USED,
};

static bool next_body(struct imap_session *session, struct imap_action *action)
{
    for (size_t i = 0; i < sizeof(body_wants) / sizeof(body_wants[0]); i++) {
        if (!(session->body_wanted & IMAP_IN(body_wants[i])))
            continue;
        session->body_wanted &= ~IMAP_IN(body_wants[i]);
        action->want = body_wants[i];
        if (action->want == IMAP_WANT_BODY_DATA)
            action->bytes = session->piece;
        return true;
    }
    return false;
}

static bool next_request(struct imap_session *session, struct imap_action *action)
{
    if (session->request == NULL)
        return false;
    action->want = IMAP_WANT_CALL;
    action->request = session->request;
    action->is_write = session->write_wanted;
    action->deadline_ms =
        session->write_wanted ? IMAP_WRITE_DEADLINE_MS : IMAP_READ_DEADLINE_MS;
    if (session->request->call_case == PR__REQUEST__CALL_AUTH_STEP)
        action->deadline_ms = IMAP_LOGIN_DEADLINE_MS;
    action->ticket = session->ticket;
    session->request = NULL;
    return true;
}

static bool next_output(struct imap_session *session, struct imap_action *action)
{
    size_t len = buffer_len(&session->output);

    if (len == 0)
        return false;
    session->output_lent = len < IMAP_OUTPUT_CHUNK ? len : IMAP_OUTPUT_CHUNK;
    action->want = IMAP_WANT_WRITE;
    action->bytes = bytes_from(buffer_bytes(&session->output).at, session->output_lent);
    return true;
}

static bool next_rest(struct imap_session *session, struct imap_action *action)
{
    if (session->tls_wanted) {
        session->tls_wanted = false;
        session->tls_waits = true;
        action->want = IMAP_WANT_START_TLS;
        return true;
    }
    if (session->delay_ms > 0) {
        action->want = IMAP_WANT_DELAY;
        action->delay_ms = session->delay_ms;
        action->ticket = session->ticket;
        session->delay_ms = 0;
        return true;
    }
    if (session->close_wanted) {
        session->close_wanted = false;
        action->want = IMAP_WANT_CLOSE;
        return true;
    }
    return false;
}

static void drop_lent(struct imap_session *session)
{
    buffer_drop(&session->output, session->output_lent);
    session->output_lent = 0;
    if (buffer_len(&session->output) == 0)
        buffer_release(&session->output);
}

bool imap_session_next(struct imap_session *session, struct imap_action *action)
{
    *action = (struct imap_action){.want = IMAP_WANT_WRITE};
    drop_lent(session);
    for (;;) {
        if (next_request(session, action) || next_body(session, action))
            return true;
        if (buffer_len(&session->output) >= IMAP_OUTPUT_CHUNK)
            return next_output(session, action);
        if (session->step != NULL && session->step(session))
            continue;
        if (session->request != NULL || session->body_wanted != 0)
            continue;
        return next_output(session, action) || next_rest(session, action);
    }
}

void imap_session_tls_started(struct imap_session *session)
{
    /* Nothing that was said in the clear counts any more (RFC 3501 section 6.2.1). */
    session->tls_waits = false;
    session->has_tls = true;
    session->can_tls = false;
    session->bad_count = 0;
    imap_reader_reset(&session->reader);
}

void imap_session_changed(struct imap_session *session, uint64_t highest_modseq)
{
    if (session->state != IMAP_STATE_SELECTED)
        return;
    imap_sync_want(session, highest_modseq);
    if (!imap_sync_needed(session))
        return;
    if (session->is_idling && session->sync == NULL)
        imap_idle_news(session);
}

bool imap_session_logs_in(const struct imap_session *session)
{
    return session->logs_in;
}

uint64_t imap_session_store_id(const struct imap_session *session)
{
    return session->store_id;
}

size_t imap_session_memory(const struct imap_session *session)
{
    return sizeof(*session) + session->reader.text.size + session->output.size +
           session->selected.view.room * sizeof(struct imap_view_range) +
           (session->idle_tag != NULL ? strlen(session->idle_tag) + 1 : 0) +
           (session->command_arena.newest != NULL ? 4096 : 0);
}
