/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "imap/session/internal.h"

/*
 * APPEND (RFC 3501 section 6.3.11, RFC 4315). The mailbox is looked up before the client is
 * told to go on, so that no message travels for nothing; then the message is handed on piece by
 * piece and never lies here.
 */
struct append {
    size_t text_len; /* of the command up to the message */
    bool has_nul;
    bool begun; /* BODY_BEGIN was asked for */
    uint32_t mailbox_id;
    Pr__Append call;
};

static void drop(struct imap_session *session)
{
    const struct append *append = session->running->work;

    session->running->reads = false;
    if (append->begun)
        session->body_wanted = IMAP_IN(IMAP_WANT_BODY_DROP);
}

static void refuse(struct imap_session *session, const char *code, const char *text)
{
    imap_refuse_literal(session);
    if (session->state != IMAP_STATE_CLOSED)
        imap_finish(session, "NO", code, text);
}

void imap_append_piece(struct imap_session *session, struct bytes piece)
{
    struct append *append = session->running->work;

    append->has_nul |= memchr(piece.at, '\0', piece.len) != NULL;
    session->piece = piece;
    session->body_wanted |= IMAP_IN(IMAP_WANT_BODY_DATA);
}

static void broken(struct imap_session *session, const char *problem)
{
    drop(session);
    imap_finish_bad(session, problem);
}

static void line(struct imap_session *session, struct bytes text)
{
    const struct append *append = session->running->work;

    if (text.len != append->text_len) {
        broken(session, "Wrong arguments: only one message at a time");
        return;
    }
    if (append->has_nul) {
        drop(session);
        imap_finish(session, "NO", "CANNOT", "The message has a NUL byte");
        return;
    }
    session->running->reads = false;
    session->body_wanted |= IMAP_IN(IMAP_WANT_BODY_END);
}

static void found(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct imap_running *running = session->running;
    struct append *append = running->work;

    if (err == ERR_OK && (reply->answer_case != PR__REPLY__ANSWER_MAILBOX_OPEN ||
                          reply->mailbox_open->info == NULL))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_refuse_literal(session);
        if (session->state != IMAP_STATE_CLOSED)
            imap_target_missing(session, err);
        return;
    }
    append->mailbox_id = reply->mailbox_open->info->id;
    append->begun = true;
    session->body_wanted = IMAP_IN(IMAP_WANT_BODY_BEGIN);
    running->reads = true;
    running->on_line = line;
    running->on_broken = broken;
    if (imap_reader_literal_waits(&session->reader))
        imap_say(session, "+ OK\r\n");
    imap_reader_stream(&session->reader);
}

void imap_run_append(struct imap_session *session)
{
    uint64_t size = imap_reader_literal_size(&session->reader);
    struct append *append = imap_alloc(session, sizeof(*append));

    session->running->work = append;
    append->text_len = imap_reader_text(&session->reader).len;
    if (size > session->config->append_size_max)
        refuse(session, "TOOBIG", "The message is too large");
    else if (size == 0)
        refuse(session, "CANNOT", "The message is empty");
    else
        imap_target_find(session, session->running->arguments.append.name, found);
}

static void appended(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    const struct append *append = session->running->work;

    if (err == ERR_OK && (reply->outcome == NULL || reply->outcome->n_uids != 1))
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        drop(session);
        imap_target_missing(session, err);
        return;
    }
    session->body_wanted = IMAP_IN(IMAP_WANT_BODY_USED);
    if (session->state == IMAP_STATE_SELECTED && session->selected.id == append->mailbox_id)
        imap_sync_want(session, reply->outcome->modseq);
    session->bad_count = 0;
    imap_finish(session, "OK",
                arena_printf(&session->command_arena, "APPENDUID %u %u",
                             reply->outcome->uid_validity, reply->outcome->uids[0]->first),
                "Done");
}

void imap_session_body_finished(struct imap_session *session, enum err err, Pr__Body *body,
                                int64_t wall_s)
{
    if (session->running == NULL || session->running->on_line != line)
        return;
    if (err != ERR_OK) {
        drop(session);
        imap_finish_err(session, err);
        return;
    }
    struct append *append = session->running->work;
    const struct imap_arguments *arguments = &session->running->arguments;
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_APPEND);
    Pr__Append *call = &append->call;

    pr__append__init(call);
    call->mailbox_id = append->mailbox_id;
    call->body = body;
    call->flags = arguments->append.flags.system;
    call->keywords = imap_keyword_list(session, &arguments->append.flags);
    call->n_keywords = arguments->append.flags.keyword_count;
    call->internal_s = arguments->append.has_date ? arguments->append.date.seconds : wall_s;
    call->internal_zone = arguments->append.has_date ? arguments->append.date.zone_minutes : 0;
    request->append = call;
    imap_session_call(session, request, true, appended);
}
