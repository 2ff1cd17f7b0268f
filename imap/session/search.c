/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>

#include "imap/session/internal.h"

/* SEARCH (RFC 3501 section 6.4.4), ESEARCH (RFC 4731) and "$" (RFC 5182). The store finds, a
 * bounded work at a time; here the results are gathered as ranges, and told. */
enum {
    SAVED_RANGES_MAX = 64 * 1024,
};

struct search {
    struct imap_ranges found; /* UIDs */
    size_t room;
    Pr__Search call;
    size_t at;       /* the range that is being told */
    uint32_t number; /* the next number to tell of it; 0: not begun */
};

static void ask(struct imap_session *session);

/* UIDs that the client was not told of are left out, and gaps with them. */
static void keep(struct imap_session *session, struct search *search, uint32_t first,
                 uint32_t last)
{
    const struct imap_view *view = &session->selected.view;
    uint32_t lowest = imap_view_number_upto(view, first - 1) + 1;
    uint32_t highest = imap_view_number_upto(view, last);

    while (lowest <= highest) {
        uint32_t end = imap_view_run_end(view, lowest);
        end = end < highest ? end : highest;
        struct imap_range run = {imap_view_uid(view, lowest), imap_view_uid(view, end)};
        if (search->found.count == 0 ||
            run.first > search->found.at[search->found.count - 1].last)
            imap_ranges_add(&search->found, &search->room, run, &session->command_arena);
        lowest = end + 1;
    }
}

static struct imap_ranges to_numbers(struct imap_session *session, const struct search *search)
{
    struct imap_ranges numbers = {NULL, 0};
    size_t room = 0;

    if (session->running->by_uid)
        return search->found;
    for (size_t i = 0; i < search->found.count; i++) {
        struct imap_range range = {
            imap_view_number(&session->selected.view, search->found.at[i].first),
            imap_view_number(&session->selected.view, search->found.at[i].last)};
        imap_ranges_add(&numbers, &room, range, &session->command_arena);
    }
    return numbers;
}

/* SEARCH: each number by itself, so it may be long. */
static bool tell_numbers(struct imap_session *session)
{
    struct search *search = session->running->work;

    while (buffer_len(&session->output) < IMAP_OUTPUT_CHUNK) {
        if (search->at == search->found.count) {
            imap_say(session, "\r\n");
            session->step = NULL;
            imap_finish_ok(session, "Done");
            return true;
        }
        const struct imap_range *range = &search->found.at[search->at];
        if (search->number == 0)
            search->number = range->first;
        imap_say(session, " %u", search->number);
        if (search->number == range->last) {
            search->number = 0;
            search->at++;
        } else {
            search->number++;
        }
    }
    return true;
}

static void tell_extended(struct imap_session *session)
{
    const struct imap_running *running = session->running;
    const struct search *search = running->work;
    const struct imap_ranges *found = &search->found;
    unsigned returns = running->arguments.search.returns;

    imap_say(session, "* ESEARCH (TAG \"%.*s\")%s", BYTES_ARG(running->tag),
             running->by_uid ? " UID" : "");
    if (found->count > 0 && returns & IMAP_RETURN_MIN)
        imap_say(session, " MIN %u", found->at[0].first);
    if (found->count > 0 && returns & IMAP_RETURN_MAX)
        imap_say(session, " MAX %u", found->at[found->count - 1].last);
    if (found->count > 0 && returns & IMAP_RETURN_ALL) {
        imap_say(session, " ALL ");
        imap_ranges_write(found, &session->output);
    }
    if (returns & IMAP_RETURN_COUNT)
        imap_say(session, " COUNT %" PRIu64, imap_ranges_total(found));
    imap_say(session, "\r\n");
}

static void forget_saved(struct imap_session *session)
{
    free(session->saved);
    session->saved = NULL;
    session->saved_count = 0;
}

/* What "$" is from here on; with MIN or MAX alone it is those (RFC 5182 section 2.4). */
static bool save(struct imap_session *session, const struct search *search, unsigned returns)
{
    struct imap_ranges kept = search->found;
    struct imap_range ends[2];
    bool only_ends = returns & (IMAP_RETURN_MIN | IMAP_RETURN_MAX) &&
                     !(returns & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT));

    forget_saved(session);
    if (only_ends && kept.count > 0) {
        uint32_t least = kept.at[0].first;
        uint32_t most = kept.at[kept.count - 1].last;
        kept = (struct imap_ranges){ends, 0};
        if (returns & IMAP_RETURN_MIN)
            ends[kept.count++] = (struct imap_range){least, least};
        if (returns & IMAP_RETURN_MAX)
            ends[kept.count++] = (struct imap_range){most, most};
        imap_ranges_normalise(&kept);
    }
    if (kept.count > SAVED_RANGES_MAX)
        return false;
    if (kept.count > 0) {
        session->saved = malloc(kept.count * sizeof(session->saved[0]));
        CHECK(session->saved != NULL);
        memcpy(session->saved, kept.at, kept.count * sizeof(session->saved[0]));
        session->saved_count = kept.count;
    }
    return true;
}

static void tell(struct imap_session *session)
{
    struct search *search = session->running->work;
    const struct imap_search *asked = &session->running->arguments.search;

    if (asked->returns & IMAP_RETURN_SAVE && !save(session, search, asked->returns)) {
        imap_finish(session, "NO", "NOTSAVED", "The result is too large");
        return;
    }
    search->found = to_numbers(session, search);
    if (!asked->is_extended) {
        imap_say(session, "* SEARCH");
        session->step = tell_numbers;
        return;
    }
    if (asked->returns != IMAP_RETURN_SAVE)
        tell_extended(session);
    imap_finish_ok(session, "Done");
}

static void answered(struct imap_session *session, enum err err, const Pr__Reply *reply)
{
    struct search *search = session->running->work;

    if (err == ERR_OK && reply->answer_case != PR__REPLY__ANSWER_SEARCH)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        if (session->running->arguments.search.returns & IMAP_RETURN_SAVE)
            forget_saved(session);
        imap_finish_err(session, err);
        return;
    }
    for (size_t i = 0; i < reply->search->n_uids; i++) {
        const Pr__UidRange *range = reply->search->uids[i];
        if (range->first > 0 && range->first <= range->last)
            keep(session, search, range->first, range->last);
    }
    if (reply->search->next_uid > search->call.from_uid) {
        search->call.from_uid = reply->search->next_uid;
        ask(session);
    } else {
        tell(session);
    }
}

static void ask(struct imap_session *session)
{
    struct search *search = session->running->work;
    Pr__Request *request = imap_request_new(session, PR__REQUEST__CALL_SEARCH);

    request->search = &search->call;
    imap_session_call(session, request, false, answered);
}

void imap_run_search(struct imap_session *session)
{
    const struct imap_search *asked = &session->running->arguments.search;
    struct search *search = imap_alloc(session, sizeof(*search));

    session->running->work = search;
    pr__search__init(&search->call);
    search->call.mailbox_id = session->selected.id;
    search->call.key = asked->key;
    for (const struct imap_search_set *set = asked->sets; set != NULL; set = set->next) {
        struct imap_ranges uids = imap_resolve_numbers(session, &set->sequence, set->by_uid);
        set->key->uids = imap_ranges_to(&session->command_arena, &uids);
        set->key->n_uids = uids.count;
    }
    if (imap_view_count(&session->selected.view) == 0)
        tell(session);
    else
        ask(session);
}
