/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments go when nothing in them is live, and the next segment has said so: without that word
 * a file that is missing could not be told from one that went, and what it has replaced would
 * seem to be live in older ones. A group that is seldom written to would keep its
 * segment for ever, so when there is more in the files than twice what is live, the oldest
 * segment's live entries are written once more, at the end.
 */
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/frame.h"
#include "raft/journal_internal.h"

enum { SLACK_SEGMENTS = 4 };

void journal_cleaner_fini(struct journal_cleaner *cleaner)
{
    free(cleaner->moving);
    *cleaner = (struct journal_cleaner){0};
}

static bool is_worth_it(const struct journal *journal)
{
    uint64_t used = 0;
    uint64_t live = 0;

    for (unsigned i = 0; i < journal->segment_count; i++) {
        used += journal->segments[i]->live > 0 ? journal->segments[i]->used : 0;
        live += journal->segments[i]->live;
    }
    return used > 2 * live + SLACK_SEGMENTS * journal->segments[0]->size;
}

static void moving_add(struct journal_cleaner *cleaner, uint32_t group, uint64_t index)
{
    if (cleaner->count == cleaner->room) {
        cleaner->room = cleaner->room > 0 ? cleaner->room * 2 : 1024;
        cleaner->moving = realloc(cleaner->moving, cleaner->room * sizeof(*cleaner->moving));
        CHECK(cleaner->moving != NULL);
    }
    cleaner->moving[cleaner->count++] = (struct journal_moving){group, index};
}

static void begin(struct journal *journal)
{
    struct journal_cleaner *cleaner = &journal->cleaner;
    unsigned oldest = 0;

    while (oldest + 1 < journal->segment_count &&
           (journal->segments[oldest]->damaged || journal->segments[oldest]->live == 0))
        oldest++;
    if (oldest + 1 >= journal->segment_count || !is_worth_it(journal))
        return;
    cleaner->segment = journal->segments[oldest]->number;
    cleaner->count = 0;
    cleaner->next = 0;
    for (unsigned i = 0; i < journal->groups.count; i++) {
        const struct log_index *index = journal->groups.items[i];
        for (uint64_t at = index->state.first_index; at <= index->state.last_index; at++)
            if (log_index_at(index, at)->sequence == cleaner->segment)
                moving_add(cleaner, index->state.group, at);
    }
}

/* What it was when the cleaner looked, and still is. */
static const struct log_position *still_there(const struct journal *journal,
                                              const struct journal_moving *moving)
{
    const struct log_index *index = log_groups_find(&journal->groups, moving->group);
    const struct log_position *position =
        index != NULL ? log_index_at(index, moving->index) : NULL;

    return position != NULL && position->sequence == journal->cleaner.segment ? position : NULL;
}

static bool entry_move(struct journal *journal, struct journal_segment *segment,
                       const struct journal_moving *moving, const struct log_position *position)
{
    struct entry entry = {.term = position->term, .type = position->type};
    uint8_t *data = malloc((size_t)position->len + 1);
    bool whole;

    CHECK(data != NULL);
    entry.data = bytes_from(data, position->len);
    whole = journal_read_at(segment->fd, position->offset, data, position->len) &&
            journal_data_check(entry.data, journal->salt) == position->check;
    if (whole)
        journal_batch_entries(&journal->batch, JOURNAL_MOVED, moving->group, moving->index,
                              &entry, 1, journal->salt);
    free(data);
    return whole;
}

bool journal_clean_add(struct journal *journal, size_t bytes_max)
{
    struct journal_cleaner *cleaner = &journal->cleaner;
    struct journal_segment *segment;

    journal->moved = 0;
    if (cleaner->segment == 0)
        begin(journal);
    segment = journal_segment_find(journal, cleaner->segment);
    while (segment != NULL && cleaner->next < cleaner->count &&
           buffer_len(&journal->batch.data) < bytes_max) {
        const struct journal_moving *moving = &cleaner->moving[cleaner->next];
        const struct log_position *position = still_there(journal, moving);

        if (position != NULL && !entry_move(journal, segment, moving, position)) {
            log_error(
                NULL, "log: an entry is damaged",
                LOG_FIELDS(LOG_U64("group", moving->group), LOG_U64("index", moving->index)));
            segment->damaged = true;
            cleaner->next = cleaner->count;
            break;
        }
        cleaner->next++;
    }
    if (segment == NULL || cleaner->next == cleaner->count)
        cleaner->segment = 0;
    journal->moved = journal->batch.position_count;
    return journal->moved > 0;
}

/* The batch has them in the order in which they were added. */
void journal_clean_done(struct journal *journal)
{
    struct bytes table =
        bytes_skip(buffer_bytes(&journal->batch.table), JOURNAL_BATCH_HEAD_SIZE);
    struct journal_segment *to = journal->segments[journal->segment_count - 1];

    for (size_t i = 0; i < journal->moved; i++) {
        struct journal_record record;
        struct log_index *index;

        CHECK(journal_record_read(&table, &record) == ERR_OK && record.count == 1);
        index = log_groups_find(&journal->groups, record.group);
        const struct log_position *before = log_index_at(index, record.first);
        uint64_t size = before->len + JOURNAL_ENTRY_SIZE;
        journal_segment_find(journal, before->sequence)->live -= size;
        to->live += size;
        log_index_set(index, record.first, &journal->batch.positions[i]);
    }
}

void journal_clean_name(struct journal *journal, struct journal_batch *batch)
{
    uint64_t *numbers = calloc(journal->segment_count, sizeof(*numbers));
    unsigned count = 0;

    CHECK(numbers != NULL);
    pthread_mutex_lock(&journal->lock);
    for (unsigned i = 0; i + 1 < journal->segment_count; i++) {
        struct journal_segment *segment = journal->segments[i];
        segment->unneeded = segment->live == 0 && segment->readers == 0;
        if (!segment->unneeded)
            numbers[count++] = segment->number;
    }
    pthread_mutex_unlock(&journal->lock);
    journal_batch_segments(batch, numbers, count);
    free(numbers);
}

/* Nobody has begun to read there meanwhile: no entry lies there. */
void journal_clean_segments(struct journal *journal)
{
    unsigned kept = 0;

    pthread_mutex_lock(&journal->lock);
    for (unsigned i = 0; i < journal->segment_count; i++) {
        struct journal_segment *segment = journal->segments[i];
        if (segment->unneeded)
            journal_ahead_give(journal, segment);
        else
            journal->segments[kept++] = segment;
    }
    journal->segment_count = kept;
    pthread_mutex_unlock(&journal->lock);
}
