/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The committing thread's work: a write of any groups as one batch. */
#include <errno.h>
#include <unistd.h>

#include "node/runtime/metrics.h"
#include "raft/journal_internal.h"

static struct journal_segment *current(const struct journal *journal)
{
    return journal->segments[journal->segment_count - 1];
}

static enum err batch_put(struct journal *journal, struct journal_batch *batch)
{
    struct journal_segment *segment = current(journal);
    struct journal_place place = {
        .segment = segment->number,
        .at = segment->used,
        .number = journal->next_batch,
        .previous = journal->previous,
    };

    CHECK(segment->used + journal_batch_size(batch) <= segment->size);
    uint64_t check = journal_batch_end(batch, &place, journal->salt);
    struct bytes table = buffer_bytes(&batch->table);
    enum err err = journal_write_at(segment->fd, segment->used, table);
    if (err == ERR_OK)
        err = journal_write_at(segment->fd, segment->used + table.len,
                               buffer_bytes(&batch->data));
    if (err == ERR_OK && fdatasync(segment->fd) != 0)
        err = journal_complain("log: flush failed", segment->number, errno);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&journal->lock);
    segment->used += journal_batch_size(batch);
    pthread_mutex_unlock(&journal->lock);
    journal->next_batch++;
    journal->previous = check;
    return ERR_OK;
}

/* What the file of a segment must have behind its last batch. */
static uint64_t seal_size(void)
{
    return JOURNAL_BATCH_HEAD_SIZE + JOURNAL_SEAL_SIZE;
}

/*
 * Flushed by itself, as any other batch: an end that cannot be read is then always that of the
 * last one.
 */
enum err journal_segment_begin(struct journal *journal, struct journal_segment *segment,
                               uint64_t needed)
{
    enum err err = ERR_OK;

    journal_batch_clear(&journal->own);
    journal_clean_name(journal, &journal->own);
    for (unsigned i = 0; i < journal->groups.count; i++) {
        const struct log_state *state = &journal->groups.items[i]->state;
        journal_batch_state(&journal->own, JOURNAL_CHECKPOINT, state, state->last_index, 0);
    }
    uint64_t size =
        JOURNAL_SEGMENT_HEAD_SIZE + journal_batch_size(&journal->own) + needed + seal_size();
    if (size > segment->size)
        err = journal_segment_grow(journal, segment, size);
    if (err != ERR_OK)
        return err;
    err = batch_put(journal, &journal->own);
    if (err == ERR_OK)
        journal_clean_segments(journal);
    return err;
}

static enum err segment_next(struct journal *journal, uint64_t needed)
{
    struct journal_segment *segment = NULL;
    enum err err;

    pthread_mutex_lock(&journal->lock);
    err = journal_ahead_take(journal, &segment);
    pthread_mutex_unlock(&journal->lock);
    if (err != ERR_OK)
        return err;
    journal_batch_clear(&journal->own);
    journal_batch_seal(&journal->own);
    err = batch_put(journal, &journal->own);
    pthread_mutex_lock(&journal->lock);
    journal_segment_add(journal, segment);
    pthread_mutex_unlock(&journal->lock);
    if (err == ERR_OK)
        err = journal_segment_begin(journal, segment, needed);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&journal->lock);
    journal_ahead_go(journal);
    pthread_mutex_unlock(&journal->lock);
    return ERR_OK;
}

static void write_check(const struct log_write *write, const struct log_index *index)
{
    uint64_t first = index != NULL ? index->state.first_index : 1;
    uint64_t last = index != NULL ? index->state.last_index : 0;

    CHECK(index != NULL || write->create);
    CHECK((!write->drop && !write->reset) || write->from == 0);
    if (write->from != 0)
        CHECK(write->count > 0 && write->from >= first && write->from <= last + 1);
    if (write->trim_before != 0 && !write->reset)
        CHECK(write->trim_before > first && write->trim_before <= last &&
              (write->from == 0 || write->trim_before <= write->from));
}

static void write_add(struct journal *journal, const struct log_write *write)
{
    const struct log_index *index = log_groups_find(&journal->groups, write->group);
    const struct log_state empty = {.group = write->group, .first_index = 1};
    struct log_state after = log_state_after(index != NULL ? &index->state : &empty, write);

    write_check(write, index);
    if (write->create || write->set_term || write->trim_before != 0 || write->drop)
        journal_batch_state(&journal->batch, JOURNAL_STATE, &after, 0,
                            write->reset ? JOURNAL_FLAG_RESET : 0);
    if (write->from != 0)
        journal_batch_entries(&journal->batch, JOURNAL_ENTRIES, write->group, write->from,
                              write->entries, write->count, journal->salt);
}

/* Entries first..last of the group are not live any more. */
static void live_less(struct journal *journal, const struct log_index *index, uint64_t first,
                      uint64_t last)
{
    for (uint64_t at = first; at <= last; at++) {
        const struct log_position *position = log_index_at(index, at);
        journal_segment_find(journal, position->sequence)->live -=
            position->len + JOURNAL_ENTRY_SIZE;
    }
}

static void write_index(struct journal *journal, const struct log_write *write,
                        const struct log_position *positions)
{
    const struct log_index *index = log_groups_find(&journal->groups, write->group);

    if (index != NULL) {
        const struct log_state *state = &index->state;
        if (write->drop || write->reset)
            live_less(journal, index, state->first_index, state->last_index);
        else if (write->trim_before != 0)
            live_less(journal, index, state->first_index, write->trim_before - 1);
        if (write->from != 0)
            live_less(journal, index, write->from, state->last_index);
    }
    for (unsigned i = 0; write->from != 0 && i < write->count; i++)
        current(journal)->live += positions[i].len + JOURNAL_ENTRY_SIZE;
    log_groups_write(&journal->groups, write, positions);
    metric_add(METRIC_RAFT_ENTRIES_WRITTEN, write->count);
}

static enum err batch_write(struct journal *journal)
{
    uint64_t size = journal_batch_size(&journal->batch);
    const struct journal_segment *segment = current(journal);

    if (segment->used + size + seal_size() > segment->size) {
        enum err err = segment_next(journal, size);
        if (err != ERR_OK)
            return err;
    }
    return batch_put(journal, &journal->batch);
}

enum err journal_commit(struct journal *journal, const struct log_write *writes, unsigned count)
{
    journal_batch_clear(&journal->batch);
    /* In front of the writes: what these drop has not moved afterwards. */
    journal_clean_add(journal, count > 0 ? CLEAN_WITH_WRITE : CLEAN_ALONE);
    for (unsigned i = 0; i < count; i++)
        write_add(journal, &writes[i]);
    if (journal_batch_is_empty(&journal->batch))
        return ERR_OK;
    enum err err = batch_write(journal);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&journal->lock);
    journal_clean_done(journal);
    const struct log_position *positions = journal->batch.positions + journal->moved;
    for (unsigned i = 0; i < count; i++) {
        write_index(journal, &writes[i], positions);
        positions += writes[i].from != 0 ? writes[i].count : 0;
    }
    pthread_mutex_unlock(&journal->lock);
    metric_add(METRIC_RAFT_LOG_COMMITS, 1);
    return ERR_OK;
}
