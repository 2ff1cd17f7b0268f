/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a pass is, over restarts: a file of its own. (A row of the table `local` would be
 * taken for the mark of a copy by the release before, which may be put back.)
 */
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/service/identity.h"
#include "storage/service/scrubs_internal.h"

#define NOTE_FILE "scrub"
#define NOTE_TITLE "postraft scrub 1"

enum { NOTE_EVERY_MS = 60 * 1000 };

static void note_fill(struct scrubs *scrubs)
{
    const Pr__StorageCheckAnswer *counts = &scrubs->counts;
    Pr__ScrubNote *note = &scrubs->note;

    pr__scrub_note__init(note);
    note->begun_ms = scrubs->begun_wall_ms;
    note->ended_ms = scrubs->ended_wall_ms;
    note->group = scrubs->group_at < scrubs->group_count ? scrubs->groups[scrubs->group_at]
                                                         : REPLICATOR_GROUPS_MAX;
    note->blob = scrubs->scrub != NULL ? scrub_done(scrubs->scrub) : scrubs->from;
    note->groups = counts->groups;
    note->groups_done = counts->groups_done;
    note->bodies = counts->bodies;
    note->bytes = counts->bytes;
    note->damaged = counts->damaged;
    note->repaired = counts->repaired;
    note->lost = counts->lost;
}

/* In any thread: the note does not change meanwhile. */
static void note_write(void *context)
{
    const struct scrubs *scrubs = context;
    struct buffer packed = BUFFER_EMPTY;
    struct arena text_arena;
    const char *problem = "";

    arena_init(&text_arena);
    message_pack(&scrubs->note.base, &packed);
    if (identity_file_write(scrubs->service->config->folder, NOTE_FILE, NOTE_TITLE,
                            buffer_bytes(&packed), &text_arena, &problem) != ERR_OK)
        log_warn(NULL, "how far the bodies have been compared could not be noted",
                 LOG_FIELDS(LOG_TEXT("why", problem)));
    buffer_fini(&packed);
    arena_fini(&text_arena);
}

void scrub_note_save(struct scrubs *scrubs)
{
    note_fill(scrubs);
    note_write(scrubs);
}

bool scrub_note_start(struct scrubs *scrubs, void (*done)(void *context))
{
    uint64_t now_ms = clock_monotonic_ms();

    if (scrubs->noted_ms != 0 && now_ms - scrubs->noted_ms < NOTE_EVERY_MS)
        return false;
    scrubs->noted_ms = now_ms;
    note_fill(scrubs);
    pool_jobs_run(scrubs->jobs, note_write, done, scrubs);
    return true;
}

bool scrub_note_read(const struct service *service, Pr__ScrubNote *note)
{
    struct arena note_arena;
    struct bytes content;
    const char *problem = NULL;
    const Pr__ScrubNote *found = NULL;

    arena_init(&note_arena);
    ProtobufCAllocator allocator = arena_allocator(&note_arena);
    if (identity_file_read(service->config->folder, NOTE_FILE, NOTE_TITLE, &note_arena,
                           &content, &problem) == ERR_OK)
        found = pr__scrub_note__unpack(&allocator, content.len, content.at);
    if (found != NULL)
        *note = *found; /* numbers alone */
    arena_fini(&note_arena);
    return found != NULL;
}

void scrub_note_counts(struct scrubs *scrubs, const Pr__ScrubNote *note)
{
    scrubs->begun_wall_ms = note->begun_ms;
    scrubs->ended_wall_ms = note->ended_ms;
    scrubs->counts.groups = note->groups;
    scrubs->counts.groups_done = note->groups_done;
    scrubs->counts.bodies = note->bodies;
    scrubs->counts.bytes = note->bytes;
    scrubs->counts.damaged = note->damaged;
    scrubs->counts.repaired = note->repaired;
    scrubs->counts.lost = note->lost;
}

void scrub_note_resume(struct scrubs *scrubs, const Pr__ScrubNote *note)
{
    scrub_note_counts(scrubs, note);
    scrubs->counts.groups = scrubs->group_count;
    while (scrubs->group_at < scrubs->group_count &&
           scrubs->groups[scrubs->group_at] < note->group)
        scrubs->group_at++;
    if (scrubs->group_at < scrubs->group_count &&
        scrubs->groups[scrubs->group_at] == note->group)
        scrubs->from = note->blob;
}
