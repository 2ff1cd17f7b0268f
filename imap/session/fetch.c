/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/fetch.h"

static bool step(struct imap_session *session);

static void cleanup(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    arena_fini(&fetch->page_arena);
    arena_fini(&fetch->message_arena);
    buffer_fini(&fetch->header);
    buffer_fini(&fetch->plain);
}

static void finish(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    session->bad_count = 0;
    if (fetch->failed)
        imap_finish(session, "NO", "UNAVAILABLE", "Some of it could not be read, try again");
    else
        imap_finish_ok(session, fetch->text);
}

/* What is left of the wanted UIDs. */
static struct imap_ranges rest_of(const struct imap_fetch *fetch)
{
    struct imap_ranges rest = fetch->uids;

    while (rest.count > 0 && rest.at[0].last < fetch->next_uid) {
        rest.at++;
        rest.count--;
    }
    if (rest.count > 0 && rest.at[0].first < fetch->next_uid)
        rest.at[0].first = fetch->next_uid;
    return rest;
}

static void keep_page(struct imap_session *session, const Pr__FetchAnswer *answer)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    arena_fini(&fetch->page_arena);
    fetch->messages =
        arena_alloc(&fetch->page_arena, answer->n_messages * sizeof(fetch->messages[0]));
    fetch->count = 0;
    fetch->at = 0;
    for (size_t i = 0; i < answer->n_messages; i++) {
        const Pr__MessageInfo *message = answer->messages[i];
        struct imap_fetched *kept = &fetch->messages[fetch->count];
        if (imap_view_number(&session->selected.view, message->uid) == 0)
            continue;
        *kept = (struct imap_fetched){
            .uid = message->uid,
            .flags = message->flags,
            .internal_s = message->internal_s,
            .internal_zone = message->internal_zone,
            .size = message->size,
        };
        if (message->summary.len > 0)
            kept->summary = arena_copy(&fetch->page_arena,
                                       bytes_from(message->summary.data, message->summary.len));
        if (message->n_blocks == 1)
            kept->block = arena_copy(&fetch->page_arena, bytes_from(message->blocks[0].data,
                                                                    message->blocks[0].len));
        fetch->count++;
    }
}

static void seen_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    /* Whoever reads a message gets it, even while its flag cannot be set. */
    if (err == ERR_OK) {
        imap_own_change(session, reply->outcome);
        for (size_t i = 0; i < fetch->count; i++) {
            if (fetch->messages[i].flags & FLAG_SEEN)
                continue;
            fetch->messages[i].flags |= FLAG_SEEN;
            fetch->messages[i].flags_changed = true;
        }
    }
    session->step = step;
}

/* False: all of the page are seen already. */
static bool mark_seen(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    struct imap_ranges unseen = {NULL, 0};
    size_t room = 0;

    for (size_t i = 0; i < fetch->count; i++) {
        struct imap_range one = {fetch->messages[i].uid, fetch->messages[i].uid};
        if (!(fetch->messages[i].flags & FLAG_SEEN))
            imap_ranges_add(&unseen, &room, one, &fetch->page_arena);
    }
    if (unseen.count == 0)
        return false;
    Pr__Request *request = arena_alloc(&fetch->page_arena, sizeof(*request));
    Pr__FlagsChange *call = arena_alloc(&fetch->page_arena, sizeof(*call));
    pr__request__init(request);
    pr__flags_change__init(call);
    request->session = session->store_id;
    request->call_case = PR__REQUEST__CALL_FLAGS_CHANGE;
    request->flags_change = call;
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&fetch->page_arena, &unseen);
    call->n_uids = unseen.count;
    call->mode = PR__FLAGS_CHANGE__MODE__ADD;
    call->flags = FLAG_SEEN;
    session->step = NULL;
    imap_session_call(session, request, true, seen_answered);
    return true;
}

static void page_answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    if (err == ERR_OK && reply->answer_case != PR__REPLY__ANSWER_FETCH)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        imap_finish_err(session, err);
        return;
    }
    const Pr__FetchAnswer *answer = reply->fetch;
    imap_keywords_learn(session, answer->keywords, answer->n_keywords);
    keep_page(session, answer);
    /* Never back: a store that says so would be asked for ever. */
    fetch->next_uid = answer->next_uid > fetch->next_uid ? answer->next_uid : 0;
    if (fetch->items->marks_seen && !session->selected.read_only && mark_seen(session))
        return;
    session->step = step;
}

static void ask_page(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);
    struct imap_ranges rest = rest_of(fetch);

    if (rest.count == 0) {
        finish(session);
        return;
    }
    arena_fini(&fetch->page_arena);
    Pr__Request *request = arena_alloc(&fetch->page_arena, sizeof(*request));
    Pr__Fetch *call = arena_alloc(&fetch->page_arena, sizeof(*call));
    pr__request__init(request);
    pr__fetch__init(call);
    request->session = session->store_id;
    request->call_case = PR__REQUEST__CALL_FETCH;
    request->fetch = call;
    call->mailbox_id = session->selected.id;
    call->uids = imap_ranges_to(&fetch->page_arena, &rest);
    call->n_uids = rest.count;
    call->with_summary = fetch->items->needs_summary;
    call->with_body = fetch->items->needs_body;
    call->bytes_max = IMAP_FETCH_PAGE_BYTES;
    session->step = NULL;
    imap_session_call(session, request, false, page_answered);
}

static bool step(struct imap_session *session)
{
    struct imap_fetch *fetch = imap_fetch_of(session);

    while (fetch->at < fetch->count) {
        if (buffer_len(&session->output) >= IMAP_OUTPUT_CHUNK)
            return true;
        switch (imap_fetch_write_message(session)) {
        case IMAP_PROGRESS_DONE:
            fetch->at++;
            break;
        case IMAP_PROGRESS_MORE:
            return true;
        case IMAP_PROGRESS_WAIT:
            return false;
        }
    }
    if (fetch->next_uid != 0)
        ask_page(session);
    else
        finish(session);
    return true;
}

void imap_fetch_start(struct imap_session *session, struct imap_ranges uids,
                      const struct imap_fetch_items *items, const char *text)
{
    struct imap_fetch *fetch = imap_alloc(session, sizeof(*fetch));

    *fetch = (struct imap_fetch){.uids = uids, .items = items, .text = text, .next_uid = 1};
    arena_init(&fetch->page_arena);
    arena_init(&fetch->message_arena);
    session->running->work = fetch;
    session->running->cleanup = cleanup;
    ask_page(session);
}

void imap_run_fetch(struct imap_session *session)
{
    const struct imap_arguments *arguments = &session->running->arguments;
    struct imap_ranges uids;

    if (!imap_resolve(session, &arguments->fetch.sequence, session->running->by_uid, &uids))
        return;
    imap_fetch_start(session, uids, &arguments->fetch.items, "Done");
}
