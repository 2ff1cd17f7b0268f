/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/*
 * News of the selected mailbox: one call asks for what happened since the last time, and the
 * answer is told in the order that keeps message numbers right for the client: what is gone,
 * how many there are, what changed.
 */
struct changed {
    uint32_t uid;
    uint64_t flags;
};

struct imap_sync {
    void (*done)(struct imap_session *session);
    bool more;       /* this answer was not all, or something came meanwhile */
    uint64_t wanted; /* told_modseq when it was asked */
    struct imap_ranges vanished;
    struct imap_ranges added;
    struct changed *changed;
    size_t changed_count;
    size_t at;
};

bool imap_sync_needed(const struct imap_session *session)
{
    return session->selected.told_modseq > session->selected.synced_modseq;
}

void imap_sync_want(struct imap_session *session, uint64_t modseq)
{
    if (modseq > session->selected.told_modseq)
        session->selected.told_modseq = modseq;
}

void imap_own_change(struct imap_session *session, const Pr__Outcome *outcome)
{
    struct imap_selected *selected = &session->selected;
    uint64_t count = 0;

    if (outcome == NULL)
        return;
    for (size_t i = 0; i < outcome->n_uids; i++)
        count += outcome->uids[i]->last - outcome->uids[i]->first + 1;
    /* Each message has got one of its own, and nobody came in between. */
    if (count == 0 || outcome->modseq < count)
        return;
    if (selected->own_count == IMAP_OWN_CHANGES_MAX) {
        selected->own_count--;
        memmove(selected->own_changes, selected->own_changes + 1,
                selected->own_count * sizeof(selected->own_changes[0]));
    }
    selected->own_changes[selected->own_count++] =
        (struct imap_own_change){outcome->modseq - count + 1, outcome->modseq};
}

static bool is_own_change(const struct imap_selected *selected, uint64_t modseq)
{
    for (unsigned i = 0; i < selected->own_count; i++)
        if (modseq >= selected->own_changes[i].first && modseq <= selected->own_changes[i].last)
            return true;
    return false;
}

static void finish(struct imap_session *session)
{
    void (*done)(struct imap_session * session) = session->sync->done;

    bool more = session->sync->more;

    session->sync = NULL;
    session->step = NULL;
    if (more)
        imap_sync_start(session, false, done);
    else
        done(session);
}

static bool tell_changes(struct imap_session *session)
{
    struct imap_sync *sync = session->sync;

    for (; sync->at < sync->changed_count; sync->at++) {
        const struct changed *changed = &sync->changed[sync->at];
        uint32_t number = imap_view_number(&session->selected.view, changed->uid);
        if (buffer_len(&session->output) >= IMAP_OUTPUT_CHUNK)
            return true;
        if (number == 0)
            continue;
        imap_say(session, "* %u FETCH (UID %u FLAGS ", number, changed->uid);
        imap_flags_write(changed->flags, &session->selected.keywords, &session->output);
        imap_say(session, ")\r\n");
    }
    finish(session);
    return true;
}

static void tell_rest(struct imap_session *session)
{
    struct imap_sync *sync = session->sync;
    struct imap_view *view = &session->selected.view;
    bool grown = false;

    for (size_t i = 0; i < sync->added.count; i++)
        grown |= imap_view_add(view, sync->added.at[i].first, sync->added.at[i].last);
    if (grown)
        imap_say(session, "* %u EXISTS\r\n", imap_view_count(view));
    session->step = tell_changes;
}

static void keep_messages(struct imap_session *session, const Pr__ChangesAnswer *answer)
{
    struct imap_sync *sync = session->sync;
    size_t room = 0;

    sync->changed = imap_alloc(session, answer->n_messages * sizeof(sync->changed[0]));
    for (size_t i = 0; i < answer->n_messages; i++) {
        const Pr__MessageInfo *message = answer->messages[i];
        bool in_order =
            sync->added.count == 0 || message->uid > sync->added.at[sync->added.count - 1].last;
        if (message->uid > session->selected.view.last_uid) {
            struct imap_range one = {message->uid, message->uid};
            if (in_order)
                imap_ranges_add(&sync->added, &room, one, &session->command_arena);
        } else if (!is_own_change(&session->selected, message->modseq)) {
            sync->changed[sync->changed_count++] =
                (struct changed){message->uid, message->flags};
        }
    }
}

static void changes_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct imap_sync *sync = session->sync;
    struct imap_selected *selected = &session->selected;

    if (err == ERR_NOTFOUND ||
        (err == ERR_OK && reply->changes != NULL && reply->changes->info != NULL &&
         !reply->changes->info->exists)) {
        imap_session_bye(session, "The selected mailbox was deleted");
        return;
    }
    /* Without an answer nothing is told, and it is asked again at the next occasion. */
    if (err != ERR_OK || reply->answer_case != PR__REPLY__ANSWER_CHANGES ||
        reply->changes->info == NULL) {
        finish(session);
        return;
    }
    const Pr__ChangesAnswer *answer = reply->changes;
    imap_keywords_learn(session, answer->keywords, answer->n_keywords);
    keep_messages(session, answer);
    sync->vanished = imap_ranges_from(session, answer->vanished, answer->n_vanished);
    imap_ranges_normalise(&sync->vanished);
    bool grown = answer->info->highest_modseq > selected->synced_modseq;
    if (grown)
        selected->synced_modseq = answer->info->highest_modseq;
    /* News of what is newer than the answer may have been faster than it. */
    sync->more = (answer->more && grown) || selected->told_modseq > sync->wanted;
    if (!sync->more) {
        selected->told_modseq = selected->synced_modseq;
        selected->own_count = 0;
    }
    imap_expunging_start(session, sync->vanished, tell_rest);
}

void imap_sync_start(struct imap_session *session, bool fresh,
                     void (*done)(struct imap_session *session))
{
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_CHANGES);

    session->sync = imap_alloc(session, sizeof(*session->sync));
    session->sync->done = done;
    session->sync->wanted = session->selected.told_modseq;
    request->changes = imap_alloc(session, sizeof(*request->changes));
    pr__changes__init(request->changes);
    request->changes->mailbox_id = session->selected.id;
    request->changes->since_modseq = session->selected.synced_modseq;
    request->changes->fresh = fresh;
    imap_session_call(session, request, false, changes_answered);
}
