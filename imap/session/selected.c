/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/session/internal.h"

void imap_deselect(struct imap_session *session)
{
    struct imap_selected *selected = &session->selected;

    imap_view_fini(&selected->view);
    imap_keywords_fini(&selected->keywords);
    *selected = (struct imap_selected){.id = 0};
    free(session->saved);
    session->saved = NULL;
    session->saved_count = 0;
    if (session->state == IMAP_STATE_SELECTED)
        imap_session_move(session, IMAP_STATE_LOGGED_IN);
}

void imap_flags_say(struct imap_session *session)
{
    const struct imap_selected *selected = &session->selected;
    static const struct imap_keywords none;

    imap_say(session, "* FLAGS ");
    imap_known_flags_write(&selected->keywords, false, &session->output);
    imap_say(session, "\r\n* OK [PERMANENTFLAGS ");
    if (selected->read_only)
        imap_flags_write(0, &none, &session->output);
    else
        imap_known_flags_write(&selected->keywords,
                               selected->keywords.count < KEYWORD_COUNT_MAX, &session->output);
    imap_say(session, "] Flags that can be changed\r\n");
}

void imap_keywords_learn(struct imap_session *session, char *const *names, size_t count)
{
    struct imap_keywords *keywords = &session->selected.keywords;

    /* They only ever become more; an answer without them says nothing. */
    if (count == 0 || imap_keywords_equal(keywords, names, count))
        return;
    imap_keywords_set(keywords, names, count);
    imap_flags_say(session);
}

struct imap_ranges imap_ranges_from(struct imap_session *session, Pr__UidRange *const *from,
                                    size_t count)
{
    struct imap_ranges ranges = {imap_alloc(session, count * sizeof(ranges.at[0])), 0};

    for (size_t i = 0; i < count; i++)
        if (from[i]->first > 0 && from[i]->first <= from[i]->last)
            ranges.at[ranges.count++] = (struct imap_range){from[i]->first, from[i]->last};
    return ranges;
}

Pr__UidRange **imap_ranges_to(struct arena *arena, const struct imap_ranges *ranges)
{
    Pr__UidRange **list = arena_alloc(arena, ranges->count * sizeof(list[0]));
    Pr__UidRange *rows = arena_alloc(arena, ranges->count * sizeof(rows[0]));

    for (size_t i = 0; i < ranges->count; i++) {
        pr__uid_range__init(&rows[i]);
        rows[i].first = ranges->at[i].first;
        rows[i].last = ranges->at[i].last;
        list[i] = &rows[i];
    }
    return list;
}

/* UIDs behind the last that the client was told of are not there for it yet. */
static struct imap_ranges clip(struct imap_ranges ranges, uint32_t last)
{
    while (ranges.count > 0 && ranges.at[ranges.count - 1].first > last)
        ranges.count--;
    if (ranges.count > 0 && ranges.at[ranges.count - 1].last > last)
        ranges.at[ranges.count - 1].last = last;
    return ranges;
}

static void numbers_to_uids(const struct imap_view *view, struct imap_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        struct imap_range *range = &ranges->at[i];
        range->first = imap_view_uid(view, range->first);
        range->last = imap_view_uid(view, range->last);
    }
}

struct imap_ranges imap_resolve_numbers(struct imap_session *session,
                                        const struct imap_sequence *sequence, bool by_uid)
{
    const struct imap_view *view = &session->selected.view;
    uint32_t count = imap_view_count(view);
    struct imap_ranges ranges = {NULL, 0};

    if (sequence->is_saved) {
        ranges.at = imap_alloc(session, session->saved_count * sizeof(ranges.at[0]));
        ranges.count = session->saved_count;
        if (ranges.count > 0)
            memcpy(ranges.at, session->saved, ranges.count * sizeof(ranges.at[0]));
        return ranges;
    }
    if (count == 0)
        return ranges;
    uint32_t last = by_uid ? imap_view_uid(view, count) : count;
    ranges = clip(imap_sequence_resolve(sequence, last, &session->command_arena), last);
    if (!by_uid)
        numbers_to_uids(view, &ranges);
    return ranges;
}

bool imap_resolve(struct imap_session *session, const struct imap_sequence *sequence,
                  bool by_uid, struct imap_ranges *uids)
{
    uint32_t count = imap_view_count(&session->selected.view);

    if (!by_uid && !sequence->is_saved &&
        (imap_sequence_highest(sequence) > count ||
         (count == 0 && imap_sequence_has_star(sequence)))) {
        imap_finish_bad(session, "There is no message with such a number");
        return false;
    }
    *uids = imap_resolve_numbers(session, sequence, by_uid);
    return true;
}

char **imap_keyword_list(struct imap_session *session, const struct imap_flags *flags)
{
    char **list = imap_alloc(session, flags->keyword_count * sizeof(list[0]));

    for (size_t i = 0; i < flags->keyword_count; i++)
        list[i] = arena_string(&session->command_arena, flags->keywords[i]);
    return list;
}
