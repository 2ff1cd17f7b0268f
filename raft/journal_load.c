/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening: the batches of all segments in their order. A segment that has a successor ends with
 * a seal; in the last one, the first place where no whole batch lies is the end. Only the last
 * batch can be torn, since each was flushed before the next was written: so if a whole one
 * lies behind that place, the log is damaged, and nobody may go on as if what is missing had
 * never been promised.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/log.h"
#include "raft/coding.h"
#include "raft/journal_internal.h"

/* Of all groups, that lay in segments which are gone when an older segment began. */
#define MISSING_MAX (UINT64_C(1) << 26)

struct loading {
    struct journal *journal;
    struct journal_segment *segment;
    bool last;       /* nothing behind the segment has batches */
    bool sealed;     /* the segment */
    bool any;        /* a batch has been read */
    bool named;      /* the segment's first batch says which older ones there are */
    uint64_t newest; /* the last one that was: where it begins in its segment, */
    uint64_t newest_size;
    struct buffer at; /* head and table of a batch */
    uint64_t missing; /* entries that the segment's first batch says there are, */
    uint64_t most;    /* and how many can be */
    enum err err;     /* something could not be read: nobody knows what lies there */
};

static enum err malformed(const struct loading *loading, const char *what)
{
    log_error(NULL, "log: damaged",
              LOG_FIELDS(LOG_U64("segment", loading->segment->number),
                         LOG_U64("offset", loading->segment->used), LOG_TEXT("what", what)));
    return ERR_MALFORMED;
}

/* ---- batches ---- */

static bool bytes_read(struct loading *loading, uint64_t offset, uint8_t *bytes, size_t len)
{
    bool got = journal_read_at(loading->segment->fd, offset, bytes, len);

    if (!got)
        loading->err =
            journal_complain("log: a segment cannot be read", loading->segment->number, EIO);
    return got;
}

/* Head and table of a whole one at `offset` go to loading->at. */
static bool batch_read(struct loading *loading, uint64_t offset,
                       struct journal_batch_head *head)
{
    const struct journal_segment *segment = loading->segment;
    uint8_t *at;

    if (offset + JOURNAL_BATCH_HEAD_SIZE > segment->size)
        return false;
    buffer_truncate(&loading->at, 0);
    at = buffer_reserve(&loading->at, JOURNAL_BATCH_HEAD_SIZE);
    if (!bytes_read(loading, offset, at, JOURNAL_BATCH_HEAD_SIZE) ||
        !journal_batch_head_read(at, segment->number, head) ||
        offset + journal_batch_head_size(head) > segment->size)
        return false;
    buffer_added(&loading->at, JOURNAL_BATCH_HEAD_SIZE);
    at = buffer_reserve(&loading->at, head->table_len);
    if (!bytes_read(loading, offset + JOURNAL_BATCH_HEAD_SIZE, at, head->table_len))
        return false;
    buffer_added(&loading->at, head->table_len);
    return journal_batch_check(buffer_bytes(&loading->at), loading->journal->salt);
}

static bool data_whole(struct loading *loading, uint64_t offset,
                       const struct journal_batch_head *head)
{
    struct bytes table = bytes_skip(buffer_bytes(&loading->at), JOURNAL_BATCH_HEAD_SIZE);
    uint8_t *data = malloc((size_t)head->data_len + 1);
    struct bytes rest = bytes_from(data, head->data_len);
    bool whole = true;

    CHECK(data != NULL);
    whole = bytes_read(loading, offset + JOURNAL_BATCH_HEAD_SIZE + head->table_len, data,
                       head->data_len);
    while (whole && table.len > 0) {
        struct journal_record record;
        whole = journal_record_read(&table, &record) == ERR_OK;
        for (unsigned i = 0; whole && i < record.count; i++) {
            struct log_position entry = journal_record_position(&record, i, 0, 0);
            whole = entry.len <= rest.len &&
                    journal_data_check(bytes_from(rest.at, entry.len),
                                       loading->journal->salt) == entry.check;
            rest = bytes_skip(rest, entry.len);
        }
    }
    free(data);
    return whole;
}

/* ---- into the index ---- */

static enum err state_load(struct loading *loading, const struct journal_record *record)
{
    struct log_groups *groups = &loading->journal->groups;
    struct log_index *index = log_groups_find(groups, record->group);
    struct log_state state = record->state;

    if (index == NULL)
        index = log_groups_add(groups, &state);
    if (state.dropped || (record->flags & JOURNAL_FLAG_RESET) != 0)
        log_index_reset(index, state.first_index);
    if (record->kind == JOURNAL_CHECKPOINT) {
        if (record->last_index + 1 < state.first_index)
            return malformed(loading, "a group that ends before it begins");
        /* What begins behind is of an earlier life of the group, whose end lay in a segment
         * that is gone. */
        if (index->state.last_index < state.first_index ||
            index->state.first_index > state.first_index)
            log_index_reset(index, state.first_index);
        log_index_truncate(index, record->last_index + 1);
        log_index_trim(index, state.first_index);
        uint64_t there = index->state.last_index;
        if (record->last_index > there) {
            if (record->last_index - there > loading->most - loading->missing)
                return malformed(loading, "more entries than there can be");
            loading->missing += record->last_index - there;
        }
        /* What lay in segments that are gone has moved, and comes later. */
        while (index->state.last_index < record->last_index)
            log_index_append(index, &(struct log_position){0});
    } else {
        if (state.first_index > index->state.last_index + 1)
            return malformed(loading, "a group that begins behind its end");
        log_index_trim(index, state.first_index);
    }
    state.last_index = index->state.last_index;
    log_index_state(index, &state);
    return ERR_OK;
}

static enum err entries_load(struct loading *loading, const struct journal_record *record,
                             uint64_t *offset)
{
    struct log_index *index = log_groups_find(&loading->journal->groups, record->group);
    bool moved = record->kind == JOURNAL_MOVED;

    if (index == NULL)
        return malformed(loading, "entries of an unknown group");
    if (record->first < index->state.first_index ||
        record->first > index->state.last_index + 1 ||
        (moved && record->first + record->count - 1 > index->state.last_index))
        return malformed(loading, "entries without those before");
    if (!moved)
        log_index_truncate(index, record->first);
    for (unsigned i = 0; i < record->count; i++) {
        struct log_position position =
            journal_record_position(record, i, loading->segment->number, *offset);
        if (moved)
            log_index_set(index, record->first + i, &position);
        else
            log_index_append(index, &position);
        *offset += position.len;
    }
    return ERR_OK;
}

/* The newest segment knows which ones there must be. */
static enum err segments_named(struct loading *loading, const struct journal_record *record)
{
    loading->named = true;
    for (size_t at = 0; loading->last && at < record->heads.len; at += sizeof(uint64_t))
        if (journal_segment_find(loading->journal, get_le64(record->heads.at + at)) == NULL)
            return malformed(loading, "a segment is missing");
    return ERR_OK;
}

static enum err batch_load(struct loading *loading, const struct journal_batch_head *head)
{
    struct bytes table = bytes_skip(buffer_bytes(&loading->at), JOURNAL_BATCH_HEAD_SIZE);
    uint64_t begin = loading->segment->used + JOURNAL_BATCH_HEAD_SIZE + head->table_len;
    uint64_t offset = begin;
    uint32_t records = 0;
    enum err err = ERR_OK;

    for (; table.len > 0 && err == ERR_OK; records++) {
        struct journal_record record;
        if (journal_record_read(&table, &record) != ERR_OK)
            return malformed(loading, "a record that cannot be read");
        if (record.kind == JOURNAL_SEAL)
            loading->sealed = true;
        else if (record.kind == JOURNAL_SEGMENTS)
            err = segments_named(loading, &record);
        else if (record.kind == JOURNAL_STATE || record.kind == JOURNAL_CHECKPOINT)
            err = state_load(loading, &record);
        else
            err = entries_load(loading, &record, &offset);
    }
    if (err == ERR_OK && (records != head->records || offset - begin != head->data_len))
        err = malformed(loading, "a batch of another size than its records");
    return err;
}

/* ---- segments ---- */

/* Whether a whole batch that is newer than the last lies behind the end. */
static bool newer_behind(struct loading *loading)
{
    struct journal_segment *segment = loading->segment;
    uint64_t left = segment->size - segment->used;
    uint8_t *bytes = malloc(left + 8);
    bool found = false;

    CHECK(bytes != NULL);
    if (bytes_read(loading, segment->used, bytes, left)) {
        for (uint64_t at = 8; at + JOURNAL_BATCH_HEAD_SIZE <= left && !found; at += 8) {
            struct journal_batch_head head;
            found = journal_batch_head_read(bytes + at, segment->number, &head) &&
                    head.number > loading->journal->next_batch &&
                    batch_read(loading, segment->used + at, &head);
        }
    }
    free(bytes);
    return found;
}

static bool follows(const struct loading *loading, const struct journal_batch_head *head,
                    bool first)
{
    const struct journal *journal = loading->journal;

    if (!loading->any)
        return true;
    if (!first || journal_segment_find(journal, loading->segment->number - 1) != NULL)
        return head->number == journal->next_batch && head->previous == journal->previous;
    return head->number >= journal->next_batch; /* a segment between has gone */
}

static enum err segment_load(struct loading *loading)
{
    struct journal *journal = loading->journal;
    struct journal_segment *segment = loading->segment;
    struct journal_batch_head head;
    enum err err = ERR_OK;
    bool first = true;

    loading->sealed = false;
    loading->missing = 0;
    loading->most = 0;
    for (unsigned i = 0; i < journal->segment_count; i++)
        loading->most += journal->segments[i]->size / JOURNAL_ENTRY_SIZE;
    /* When the newest one began, none of those had gone that had a live entry. */
    if (!loading->last && loading->most < MISSING_MAX)
        loading->most = MISSING_MAX;
    loading->named = segment->number == 1;
    for (; !loading->sealed && err == ERR_OK; first = false) {
        if (!batch_read(loading, segment->used, &head) || !follows(loading, &head, first) ||
            (loading->last && !data_whole(loading, segment->used, &head)))
            break;
        err = batch_load(loading, &head);
        if (err == ERR_OK && !loading->named)
            err = malformed(loading, "a segment that does not name the older ones");
        loading->newest = segment->used;
        loading->newest_size = journal_batch_head_size(&head);
        segment->used += journal_batch_head_size(&head);
        journal->next_batch = head.number + 1;
        journal->previous = head.check;
        loading->any = true;
    }
    if (err == ERR_OK)
        err = loading->err;
    if (err == ERR_OK && !loading->last && !loading->sealed)
        err = malformed(loading, "a segment without its end");
    if (err == ERR_OK && loading->last && !loading->sealed && newer_behind(loading))
        err = malformed(loading, "a batch before the last");
    return err == ERR_OK ? loading->err : err;
}

/* Whether the first batch of a segment is there. */
static bool has_batches(struct loading *loading, struct journal_segment *segment)
{
    struct journal_batch_head head;

    loading->segment = segment;
    return batch_read(loading, segment->used, &head);
}

/*
 * The newest batch may lie in the page cache alone: the process before was killed while it
 * waited for the flush, or the flush failed, and then no other would write these pages. It is
 * written once more, and flushed, before anybody counts on it; so are the names.
 */
static enum err newest_flush(const struct loading *loading,
                             const struct journal_segment *segment)
{
    uint8_t *bytes = malloc(loading->newest_size + 1);
    enum err err = ERR_OK;

    CHECK(bytes != NULL);
    if (!journal_read_at(segment->fd, loading->newest, bytes, loading->newest_size))
        err = journal_complain("log: a batch cannot be read", segment->number, EIO);
    if (err == ERR_OK)
        err = journal_write_at(segment->fd, loading->newest,
                               bytes_from(bytes, loading->newest_size));
    free(bytes);
    if (err == ERR_OK &&
        (fdatasync(segment->fd) != 0 || fsync(loading->journal->folder_fd) != 0))
        err = journal_complain("log: flush failed", segment->number, errno);
    return err;
}

static enum err segments_load(struct loading *loading)
{
    struct journal *journal = loading->journal;
    unsigned used = journal->segment_count;
    enum err err = ERR_OK;

    while (used > 1 && !has_batches(loading, journal->segments[used - 1]))
        used--;
    err = loading->err;
    for (unsigned i = 0; i < used && err == ERR_OK; i++) {
        loading->segment = journal->segments[i];
        loading->last = i + 1 == used;
        err = segment_load(loading);
    }
    if (err != ERR_OK)
        return err;
    /* A successor is there before a segment is sealed, and only one; all begin with a batch but
     * the first, and one that was made ahead. */
    if ((!loading->any && journal->segments[0]->number != 1) ||
        journal->segment_count > used + 1 ||
        (journal->segment_count > used &&
         journal->segments[used]->number != journal->segments[used - 1]->number + 1) ||
        (loading->sealed && journal->segment_count == used))
        return malformed(loading, "segments that are missing");
    if (loading->sealed) {
        loading->segment = journal->segments[used];
        if (newer_behind(loading))
            return malformed(loading, "a batch before the last");
        if (loading->err != ERR_OK)
            return loading->err;
    }
    return loading->any ? newest_flush(loading, journal->segments[used - 1]) : ERR_OK;
}

/* Every entry that a group has lies somewhere. */
static enum err positions_check(struct journal *journal)
{
    for (unsigned i = 0; i < journal->groups.count; i++) {
        const struct log_index *index = journal->groups.items[i];
        for (uint64_t at = index->state.first_index; at <= index->state.last_index; at++) {
            const struct log_position *position = log_index_at(index, at);
            struct journal_segment *segment = journal_segment_find(journal, position->sequence);
            if (segment == NULL) {
                log_error(
                    NULL, "log: an entry is missing",
                    LOG_FIELDS(LOG_U64("group", index->state.group), LOG_U64("index", at)));
                return ERR_MALFORMED;
            }
            segment->live += position->len + JOURNAL_ENTRY_SIZE;
        }
    }
    return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* The numbers of the files, ascending; half-made ones go. Returns how many. */
static size_t numbers_list(struct journal *journal, uint64_t **numbers)
{
    size_t count = 0;
    DIR *folder = opendir(journal->config.folder);
    const struct dirent *file;

    *numbers = NULL;
    CHECK(folder != NULL); /* it was opened just before */
    while ((file = readdir(folder)) != NULL) {
        char *end;
        uint64_t number = strtoull(file->d_name, &end, 16);
        if (end - file->d_name != 16 || strcmp(end, ".log") != 0)
            continue;
        *numbers = realloc(*numbers, (count + 1) * sizeof(**numbers));
        CHECK(*numbers != NULL);
        (*numbers)[count++] = number;
    }
    closedir(folder);
    unlinkat(journal->folder_fd, "ahead.tmp", 0);
    if (count > 0)
        qsort(*numbers, count, sizeof(**numbers), by_number);
    return count;
}

static enum err segments_open(struct journal *journal)
{
    uint64_t *numbers;
    size_t count = numbers_list(journal, &numbers);
    enum err err = ERR_OK;

    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct journal_segment *segment = NULL;
        err = journal_segment_open(journal, numbers[i], &segment);
        if (err == ERR_OK)
            journal_segment_add(journal, segment);
    }
    free(numbers);
    return err;
}

enum err journal_load(struct journal *journal, bool *sealed)
{
    struct loading loading = {.journal = journal};
    enum err err = segments_open(journal);

    buffer_init(&loading.at);
    if (err == ERR_OK && journal->segment_count > 0)
        err = segments_load(&loading);
    if (err == ERR_OK)
        err = positions_check(journal);
    buffer_fini(&loading.at);
    *sealed = loading.sealed;
    return err;
}
