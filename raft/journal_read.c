/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries for members that are behind, and for starting. */
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/frame.h"
#include "raft/journal_internal.h"

/* Where an entry lies, and its segment, which is held while it is read. */
struct found {
    struct log_position position;
    struct journal_segment *segment;
};

static unsigned positions_take(struct journal *journal, uint32_t group, uint64_t first,
                               unsigned count, size_t bytes_max, struct found *found)
{
    unsigned got = 0;
    size_t bytes = 0;

    pthread_mutex_lock(&journal->lock);
    const struct log_index *index = log_groups_find(&journal->groups, group);
    while (index != NULL && got < count && (got == 0 || bytes < bytes_max)) {
        const struct log_position *position = log_index_at(index, first + got);
        if (position == NULL)
            break;
        found[got].position = *position;
        found[got].segment = journal_segment_find(journal, position->sequence);
        found[got].segment->readers++;
        bytes += position->len;
        got++;
    }
    pthread_mutex_unlock(&journal->lock);
    return got;
}

static void positions_give_back(struct journal *journal, const struct found *found,
                                unsigned count)
{
    pthread_mutex_lock(&journal->lock);
    for (unsigned i = 0; i < count; i++)
        found[i].segment->readers--;
    pthread_mutex_unlock(&journal->lock);
}

/* How many entries from `found` on lie one behind the other. */
static unsigned run_of(const struct found *found, unsigned count, size_t *bytes)
{
    unsigned run = 1;

    *bytes = found->position.len;
    while (run < count && found[run].segment == found->segment &&
           found[run].position.offset == (uint64_t)found->position.offset + *bytes)
        *bytes += found[run++].position.len;
    return run;
}

static unsigned run_check(const struct journal *journal, const struct found *found,
                          unsigned count, struct frame *frame, size_t used,
                          struct entry *entries)
{
    for (unsigned i = 0; i < count; i++) {
        const struct log_position *position = &found[i].position;
        struct bytes data = bytes_from(frame_memory(frame) + used, position->len);

        if (journal_data_check(data, journal->salt) != position->check) {
            log_error(NULL, "log: an entry is damaged",
                      LOG_FIELDS(LOG_U64("segment", found[i].segment->number),
                                 LOG_U64("offset", position->offset)));
            return i;
        }
        entries[i] = (struct entry){
            .term = position->term, .type = position->type, .data = data, .owner = frame};
        used += position->len;
    }
    return count;
}

/* All in one frame. Returns how many of them could be read. */
static unsigned data_read(const struct journal *journal, const struct found *found,
                          unsigned count, struct entry *entries)
{
    size_t bytes = 0;
    size_t used = 0;
    unsigned got = 0;

    for (unsigned i = 0; i < count; i++)
        bytes += found[i].position.len;
    struct frame *frame = frame_new(bytes);
    while (got < count) {
        size_t len;
        unsigned run = run_of(found + got, count - got, &len);
        if (!journal_read_at(found[got].segment->fd, found[got].position.offset,
                             frame_memory(frame) + used, len)) {
            log_error(NULL, "log: an entry cannot be read",
                      LOG_FIELDS(LOG_U64("segment", found[got].segment->number),
                                 LOG_U64("offset", found[got].position.offset)));
            break;
        }
        unsigned whole = run_check(journal, found + got, run, frame, used, entries + got);
        got += whole;
        used += len;
        if (whole < run)
            break;
    }
    for (unsigned i = 0; i < got; i++)
        frame_ref(frame);
    frame_unref(frame);
    return got;
}

unsigned journal_read(struct journal *journal, uint32_t group, uint64_t first, unsigned count,
                      size_t bytes_max, bool changes_only, struct entry *entries)
{
    struct found *found = calloc((size_t)count + 1, sizeof(*found));
    unsigned got;

    CHECK(found != NULL);
    count = positions_take(journal, group, first, count, bytes_max, found);
    if (!changes_only) {
        got = data_read(journal, found, count, entries);
    } else {
        for (got = 0; got < count; got++) {
            entries[got] = (struct entry){.term = found[got].position.term,
                                          .type = found[got].position.type};
            if (entries[got].type == ENTRY_CHANGE &&
                data_read(journal, &found[got], 1, &entries[got]) == 0)
                break;
        }
    }
    positions_give_back(journal, found, count);
    free(found);
    return got;
}
