/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/protocol/session_state.h"

/*
 * The recipients of a transaction. Several may be looked up at a time, so that a pipelined
 * group of RCPT costs one round trip to the directory; the replies are written in the order of
 * the commands whatever the order of the answers.
 */
static struct smtp_lookup *lookup_at(struct smtp_session *session, unsigned position)
{
    return &session->lookups[(session->lookup_first + position) % SMTP_LOOKUPS_MAX];
}

static struct smtp_lookup *lookup_add(struct smtp_session *session)
{
    CHECK(session->lookup_count < SMTP_LOOKUPS_MAX);
    if (session->lookups == NULL)
        session->lookups = arena_alloc(&session->transaction_arena,
                                       SMTP_LOOKUPS_MAX * sizeof(*session->lookups));
    struct smtp_lookup *lookup = lookup_at(session, session->lookup_count++);
    *lookup = (struct smtp_lookup){.ticket = 0};
    return lookup;
}

static void accept(struct smtp_session *session, const struct smtp_recipient *recipient)
{
    struct smtp_envelope *envelope = &session->envelope;

    if (envelope->recipient_count == session->recipients_room) {
        unsigned room = session->recipients_room == 0 ? 4 : session->recipients_room * 4;
        struct smtp_recipient *grown =
            arena_alloc(&session->transaction_arena, room * sizeof(*grown));
        if (envelope->recipient_count > 0)
            memcpy(grown, session->recipients, envelope->recipient_count * sizeof(*grown));
        session->recipients = grown;
        session->recipients_room = room;
        envelope->recipients = grown;
    }
    session->recipients[envelope->recipient_count++] = *recipient;
    smtp_session_move(session, SMTP_STATE_RCPT);
}

static void note_refused(struct smtp_session *session, const struct smtp_lookup *lookup)
{
    session->recipients_refused++;
    smtp_refusal_tell(session, SMTP_REFUSED_RECIPIENT, lookup->recipient.address,
                      &lookup->verdict);
}

/* Writes the replies that are known, up to the first that is not. */
static void settle(struct smtp_session *session)
{
    while (session->lookup_count > 0 && lookup_at(session, 0)->ticket == 0) {
        struct smtp_lookup lookup = *lookup_at(session, 0);
        session->lookup_first = (session->lookup_first + 1) % SMTP_LOOKUPS_MAX;
        session->lookup_count--;
        if (lookup.verdict.line.len == 0 && lookup.verdict.reply == SMTP_REPLY_RCPT_OK)
            accept(session, &lookup.recipient);
        else
            note_refused(session, &lookup);
        smtp_session_say(session, &lookup.verdict);
        if (session->state == SMTP_STATE_CLOSED)
            return;
    }
    if (session->lookup_count == 0)
        smtp_session_run_held(session);
}

unsigned smtp_recipient_limit(const struct smtp_session *session)
{
    /* A bounce goes to one sender. One message that "bounces" to many is a flood. */
    bool one = session->config->null_sender_single && session->envelope.sender.len == 0;

    return one ? 1 : session->config->recipients_max;
}

/* Whether there is room for one more is known only when those under way are answered. */
bool smtp_recipient_full(const struct smtp_session *session)
{
    unsigned count = session->lookup_count;

    return count == SMTP_LOOKUPS_MAX ||
           (count > 0 &&
            (session->envelope.recipient_count + count >= smtp_recipient_limit(session) ||
             session->recipients_refused + count >= SMTP_RCPT_REFUSED_MAX));
}

void smtp_recipient_look_up(struct smtp_session *session,
                            const struct smtp_recipient *recipient)
{
    struct smtp_lookup *lookup = lookup_add(session);

    struct arena *arena = &session->transaction_arena;

    lookup->ticket = smtp_session_ticket(session);
    lookup->recipient = (struct smtp_recipient){
        .address = arena_copy(arena, recipient->address),
        .path = arena_copy(arena, recipient->path),
        .notify = recipient->notify,
    };
    if (recipient->original_type.len == 0)
        return;
    lookup->recipient.original_type = arena_copy(arena, recipient->original_type);
    lookup->recipient.original_address = arena_copy(arena, recipient->original_address);
}

void smtp_recipient_refuse(struct smtp_session *session, enum smtp_reply reply,
                           struct bytes address)
{
    struct smtp_lookup *lookup = lookup_add(session);

    lookup->verdict.reply = reply;
    lookup->recipient.address = address;
    /* Only behind others does it have to wait, of which there are never many. */
    if (session->lookup_count > 1 && session->refused != NULL)
        lookup->recipient.address = arena_copy(&session->transaction_arena, address);
    settle(session);
}

bool smtp_recipient_next(struct smtp_session *session, struct smtp_action *action)
{
    for (unsigned i = 0; i < session->lookup_count; i++) {
        struct smtp_lookup *lookup = lookup_at(session, i);
        if (lookup->ticket == 0 || lookup->handed_out)
            continue;
        lookup->handed_out = true;
        *action = (struct smtp_action){
            .want = SMTP_WANT_RESOLVE,
            .bytes = lookup->recipient.address,
            .ticket = lookup->ticket,
        };
        return true;
    }
    return false;
}

bool smtp_recipient_answer(struct smtp_session *session, uint64_t ticket,
                           const struct smtp_verdict *verdict, uint64_t account_id)
{
    for (unsigned i = 0; i < session->lookup_count; i++) {
        struct smtp_lookup *lookup = lookup_at(session, i);
        if (!lookup->handed_out || lookup->ticket != ticket)
            continue;
        lookup->handed_out = false;
        lookup->ticket = 0;
        lookup->verdict = *verdict;
        lookup->verdict.line = arena_copy(&session->transaction_arena, verdict->line);
        lookup->recipient.account_id = account_id;
        settle(session);
        return true;
    }
    return false;
}

void smtp_session_resolved(struct smtp_session *session, uint64_t ticket, enum err result,
                           uint64_t account_id)
{
    const struct smtp_verdict verdict = {.reply = smtp_reply_of_lookup(result)};

    smtp_session_drop_lent(session);
    smtp_recipient_answer(session, ticket, &verdict, account_id);
}
