/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "imap/session/internal.h"

/* How the store's refusals look to a mail client (codes: RFC 5530). */
static const struct refusal {
    enum err err;
    const char *code;
    const char *text;
} refusals[] = {
    {ERR_NOTFOUND, "NONEXISTENT", "There is no such mailbox"},
    {ERR_EXISTS, "ALREADYEXISTS", "There is such a mailbox already"},
    {ERR_FULL, "LIMIT", "There is no room left"},
    {ERR_QUOTA, "OVERQUOTA", "There is no room left in your mailbox"},
    {ERR_TOOBIG, "LIMIT", "A limit is exceeded"},
    {ERR_MALFORMED, "CANNOT", "This is not possible"},
    {ERR_INVALID, "CANNOT", "This is not possible"},
    {ERR_UNSUPPORTED, "CANNOT", "This is not possible"},
    {ERR_DENIED, "NOPERM", "This is not allowed"},
    {ERR_CONFLICT, "INUSE", "Somebody else is changing this, try again"},
    {ERR_UNKNOWN, "UNAVAILABLE",
     "It is not known whether this was done, look before trying again"},
    {ERR_TIMEOUT, "UNAVAILABLE", "The mail store does not answer, try again later"},
    {ERR_UNAVAILABLE, "UNAVAILABLE", "The mail store is not available, try again later"},
    {ERR_NOTLEADER, "UNAVAILABLE", "The mail store is not available, try again later"},
    {ERR_BUSY, "UNAVAILABLE", "The mail store is busy, try again later"},
    {ERR_CANCELLED, "UNAVAILABLE", "This was not done, try again later"},
    {ERR_CLOSED, "UNAVAILABLE", "The mail store is not available, try again later"},
    {ERR_IO, "UNAVAILABLE", "The mail store is not available, try again later"},
};

void imap_say(struct imap_session *session, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(len >= 0 && (size_t)len < sizeof(text));
    buffer_add(&session->output, bytes_from(text, (size_t)len));
}

/* " AUTH=PLAIN AUTH=LOGIN" */
static const char *mechanisms(struct imap_session *session)
{
    struct bytes rest = bytes_of(session->config->mechanisms);
    const char *text = "";

    while (rest.len > 0) {
        struct bytes name = bytes_take_word(&rest);
        text = arena_printf(&session->command_arena, "%s AUTH=%.*s", text, BYTES_ARG(name));
    }
    return text;
}

const char *imap_capabilities(struct imap_session *session)
{
    static const char always[] = "IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE";

    if (session->state == IMAP_STATE_GREETED)
        return arena_printf(&session->command_arena, "%s%s%s", always,
                            !session->has_tls && session->can_tls ? " STARTTLS" : "",
                            session->has_tls ? mechanisms(session) : " LOGINDISABLED");
    return arena_printf(&session->command_arena,
                        "%s CHILDREN CREATE-SPECIAL-USE ESEARCH LIST-EXTENDED LIST-STATUS MOVE"
                        " NAMESPACE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE SEARCHRES"
                        " SPECIAL-USE STATUS=SIZE UIDPLUS UNSELECT"
                        " APPENDLIMIT=%" PRIu64,
                        always, session->config->append_size_max);
}

void imap_finish_now(struct imap_session *session)
{
    struct bytes final = session->running->final;

    buffer_add(&session->output, final);
    imap_session_rest(session);
}

static bool may_tell_news(const struct imap_session *session)
{
    const struct imap_running *running = session->running;
    unsigned flags = running->command->flags;

    if (session->state != IMAP_STATE_SELECTED || flags & IMAP_NO_UPDATES)
        return false;
    return !(flags & IMAP_KEEP_NUMBERS) || running->by_uid;
}

void imap_finish(struct imap_session *session, const char *status, const char *code,
                 const char *text)
{
    struct imap_running *running = session->running;

    CHECK(running != NULL && running->final.at == NULL);
    running->final = bytes_of(arena_printf(
        &session->command_arena, "%.*s %s %s%s%s%s\r\n", BYTES_ARG(running->tag), status,
        code != NULL ? "[" : "", code != NULL ? code : "", code != NULL ? "] " : "", text));
    session->step = NULL;
    if (may_tell_news(session) && imap_sync_needed(session))
        imap_sync_start(session, false, imap_finish_now);
    else
        imap_finish_now(session);
}

void imap_finish_ok(struct imap_session *session, const char *text)
{
    session->bad_count = 0;
    imap_finish(session, "OK", NULL, text);
}

void imap_finish_err(struct imap_session *session, enum err err)
{
    session->bad_count = 0;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].err == err) {
            imap_finish(session, "NO", refusals[i].code, refusals[i].text);
            return;
        }
    }
    imap_finish(session, "NO", "SERVERBUG", "This should not have happened");
}

void imap_finish_bad(struct imap_session *session, const char *problem)
{
    imap_finish(session, "BAD", NULL, problem);
    imap_count_bad(session);
}

static void count_bad(struct imap_session *session, bool is_breach)
{
    if (session->state == IMAP_STATE_CLOSED)
        return;
    session->bad_count++;
    bool too_many = session->bad_count >= IMAP_BAD_MAX;
    if (is_breach || too_many)
        imap_session_event(session, IMAP_EVENT_BREACH, BYTES("bad command"));
    if (too_many)
        imap_session_bye(session, "Too many bad commands");
}

void imap_count_bad(struct imap_session *session)
{
    count_bad(session, session->state == IMAP_STATE_GREETED);
}

void imap_count_vain(struct imap_session *session)
{
    count_bad(session, false);
}
