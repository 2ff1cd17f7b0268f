/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "storage/machine/local.h"
#include "storage/service/operator.h"
#include "storage/service/scrubs_internal.h"

enum {
    STEP_BYTES = 2 * 1024 * 1024,
    FIRST_MS = 60 * 60 * 1000, /* a process that has just started has other things to do */
    DAY_MS = 24 * 60 * 60 * 1000,
};

static void on_timer(void *context);

static void scrubs_after(struct scrubs *scrubs, uint64_t delay_ms)
{
    loop_timer_stop(&scrubs->timer);
    scrubs->timer = loop_timer_start(scrubs->service->loop, delay_ms, 0, on_timer, scrubs);
}

/* ---- a pass ---- */

static void on_noted(void *context)
{
    struct scrubs *scrubs = context;

    scrubs->busy = false;
    scrubs_after(scrubs, scrubs->hurried ? 0 : scrubs->pause_ms);
}

/* `resumed`: one that an earlier process did not end; NULL: a new one. */
static void pass_begin(struct scrubs *scrubs, const Pr__ScrubNote *resumed)
{
    scrubs->counts = (Pr__StorageCheckAnswer)PR__STORAGE_CHECK_ANSWER__INIT;
    scrubs->running = true;
    scrubs->begun_wall_ms = clock_wall_ms();
    scrubs->ended_wall_ms = 0;
    scrubs->group_at = 0;
    scrubs->from = 0;
    scrubs->group_count =
        replicator_groups(scrubs->service->replicator, scrubs->groups, REPLICATOR_GROUPS_MAX);
    scrubs->counts.groups = scrubs->group_count;
    if (resumed != NULL)
        scrub_note_resume(scrubs, resumed);
    log_info(NULL, "bodies are compared with their digests",
             LOG_FIELDS(LOG_U64("groups", scrubs->group_count),
                        LOG_U64("done", scrubs->group_at), LOG_U64("body", scrubs->from)));
    scrubs_after(scrubs, 0);
}

static void pass_end(struct scrubs *scrubs)
{
    const Pr__StorageCheckAnswer *counts = &scrubs->counts;
    uint64_t days = scrubs->service->config->scrub_days;
    uint64_t took_ms;

    scrubs->running = scrubs->hurried = false;
    scrubs->ended_wall_ms = clock_wall_ms();
    took_ms = scrubs->ended_wall_ms > scrubs->begun_wall_ms
                  ? scrubs->ended_wall_ms - scrubs->begun_wall_ms
                  : 0;
    log_info(NULL, "bodies were compared with their digests",
             LOG_FIELDS(LOG_U64("bodies", counts->bodies), LOG_U64("bytes", counts->bytes),
                        LOG_U64("damaged", counts->damaged),
                        LOG_U64("repaired", counts->repaired), LOG_U64("lost", counts->lost),
                        LOG_U64("took_ms", took_ms)));
    if (days > 0)
        scrubs_after(scrubs, took_ms < days * DAY_MS ? days * DAY_MS - took_ms : 0);
    scrub_note_save(scrubs);
}

/* ---- steps ---- */

static void in_pool(void *context)
{
    struct scrubs *scrubs = context;
    uint32_t group = scrubs->groups[scrubs->group_at];
    struct db_txn *txn = db_read_begin(service_db(scrubs->service, group));

    /* A state that is being copied is somebody else's business. */
    scrubs->state = local_partial(txn, group, NULL)
                        ? SCRUB_END
                        : scrub_step(scrubs->scrub, txn, STEP_BYTES);
    scrubs->err = db_error(txn);
    db_abort(&txn);
}

static void step_end(struct scrubs *scrubs, uint64_t bytes);

static void on_stepped(void *context)
{
    struct scrubs *scrubs = context;
    struct scrub_counts now;
    uint64_t bytes;

    scrubs->busy = false;
    scrub_counts(scrubs->scrub, &now);
    bytes = now.bytes - scrubs->seen.bytes;
    metric_add(METRIC_SCRUB_BYTES, bytes);
    scrubs->counts.bytes += bytes;
    scrubs->counts.bodies += now.blobs - scrubs->seen.blobs;
    scrubs->seen = now;
    if (scrubs->err == ERR_OK && scrubs->state == SCRUB_BAD) {
        scrubs->busy = true;
        scrubs->blob = scrub_blob(scrubs->scrub);
        scrubs->counts.damaged++;
        metric_add(METRIC_SCRUB_DAMAGED, 1);
        scrub_repair_start(scrubs);
        return;
    }
    if (scrubs->err != ERR_OK || scrubs->state == SCRUB_END) {
        scrubs->from = scrub_done(scrubs->scrub);
        scrub_free(&scrubs->scrub);
        scrubs->busy = true;
        rows_compare_start(scrubs, scrubs->groups[scrubs->group_at]);
        return;
    }
    step_end(scrubs, bytes);
}

void scrubs_rows_done(struct scrubs *scrubs)
{
    scrubs->group_at++;
    scrubs->from = 0;
    scrubs->counts.groups_done++;
    step_end(scrubs, 0);
}

static void step_end(struct scrubs *scrubs, uint64_t bytes)
{
    scrubs->pause_ms =
        scrubs->hurried ? 0 : bytes / 1000 / scrubs->service->config->scrub_rate_mb;
    scrubs->busy = scrub_note_start(scrubs, on_noted);
    if (!scrubs->busy)
        scrubs_after(scrubs, scrubs->pause_ms);
}

void scrubs_go_on(struct scrubs *scrubs)
{
    scrubs->busy = false;
    scrubs_after(scrubs, 0);
}

/* A pass that an earlier process has begun, and is not so old that it says nothing. */
static bool resumable(const struct scrubs *scrubs, Pr__ScrubNote *note)
{
    uint64_t now_ms = clock_wall_ms();

    return scrubs->ended_wall_ms == 0 && scrub_note_read(scrubs->service, note) &&
           note->ended_ms == 0 && note->begun_ms <= now_ms &&
           now_ms - note->begun_ms < 2 * scrubs->service->config->scrub_days * (uint64_t)DAY_MS;
}

static void on_timer(void *context)
{
    struct scrubs *scrubs = context;
    Pr__ScrubNote note;

    scrubs->timer = NULL;
    if (!scrubs->running) {
        pass_begin(scrubs, resumable(scrubs, &note) ? &note : NULL);
        return;
    }
    if (scrubs->group_at == scrubs->group_count) {
        pass_end(scrubs);
        return;
    }
    if (scrubs->scrub == NULL) {
        scrubs->scrub = scrub_new(scrubs->groups[scrubs->group_at], scrubs->from);
        scrubs->seen = (struct scrub_counts){0};
    }
    scrubs->busy = true;
    pool_jobs_run(scrubs->jobs, in_pool, on_stepped, scrubs);
}

/* ---- from outside ---- */

static void add_differences(const struct scrubs *scrubs, struct arena *arena,
                            Pr__StorageCheckAnswer *answer)
{
    answer->differences =
        arena_alloc(arena, SCRUBS_DIFFERENCES_MAX * sizeof(*answer->differences));
    for (unsigned i = 0; i < scrubs->difference_count; i++) {
        Pr__RowDifference *row = arena_alloc(arena, sizeof(*row));
        pr__row_difference__init(row);
        row->group = scrubs->differences[i].group;
        row->table = arena_string(arena, bytes_of(db_table_name(scrubs->differences[i].table)));
        row->node_id = scrubs->differences[i].node_id;
        row->minority_node_id = scrubs->differences[i].minority_node_id;
        answer->differences[answer->n_differences++] = row;
    }
}

static const char *nothing_to_repair(const struct scrubs *scrubs)
{
    if (scrubs->difference_count == 0)
        return "no rows here differ from another replica's, as far as was looked: run "
               "`postraft storage check` first";
    return "this node is not the one that is alone: `postraft storage check --status` names "
           "it, "
           "and the repair is run there. Where nobody is named nobody can know who is right";
}

void storage_check_call(struct service_call *call)
{
    struct scrubs *scrubs = call->service->scrubs;
    Pr__Reply reply = PR__REPLY__INIT;

    unsigned repairing = 0;
    if (call->request->storage_check->repair && (repairing = rows_repair(scrubs)) == 0) {
        call_fail(call, ERR_INVALID, nothing_to_repair(scrubs));
        return;
    }
    if (call->request->storage_check->start) {
        scrubs->hurried = true;
        if (!scrubs->running)
            pass_begin(scrubs, NULL);
        else if (!scrubs->busy)
            scrubs_after(scrubs, 0);
    }
    Pr__StorageCheckAnswer answer = scrubs->counts;
    add_differences(scrubs, &call->call_arena, &answer);
    answer.repairing = repairing;
    answer.running = scrubs->running;
    answer.begun_ms = scrubs->begun_wall_ms;
    answer.ended_ms = scrubs->ended_wall_ms;
    reply.answer_case = PR__REPLY__ANSWER_STORAGE_CHECK;
    reply.storage_check = &answer;
    call_reply(call, &reply);
}

/* When the first pass of this process is due: one that has ended counts, whoever did it. */
static uint64_t first_ms(struct scrubs *scrubs)
{
    uint64_t days_ms = scrubs->service->config->scrub_days * (uint64_t)DAY_MS;
    uint64_t now_ms = clock_wall_ms();
    Pr__ScrubNote note;

    if (!scrub_note_read(scrubs->service, &note))
        return FIRST_MS;
    scrub_note_counts(scrubs, &note);
    if (note.ended_ms == 0 || note.begun_ms > now_ms ||
        now_ms - note.begun_ms + FIRST_MS >= days_ms)
        return FIRST_MS;
    return days_ms - (now_ms - note.begun_ms);
}

struct scrubs *scrubs_new(struct service *service)
{
    struct scrubs *scrubs = calloc(1, sizeof(*scrubs));

    CHECK(scrubs != NULL);
    scrubs->service = service;
    scrubs->jobs = pool_jobs_new(service->loop);
    scrubs->counts = (Pr__StorageCheckAnswer)PR__STORAGE_CHECK_ANSWER__INIT;
    scrubs->groups = calloc(REPLICATOR_GROUPS_MAX, sizeof(*scrubs->groups));
    CHECK(scrubs->groups != NULL);
    uint64_t after_ms = first_ms(scrubs);
    if (service->config->scrub_days > 0)
        scrubs_after(scrubs, after_ms);
    return scrubs;
}

void scrubs_free(struct scrubs **scrubs)
{
    struct scrubs *ending = *scrubs;

    if (ending == NULL)
        return;
    *scrubs = NULL;
    loop_timer_stop(&ending->timer);
    pool_jobs_end(&ending->jobs);
    if (ending->running)
        scrub_note_save(ending);
    scrub_free(&ending->scrub);
    rows_compare_free(&ending->rows);
    scrub_repair_free(&ending->repair);
    buffer_fini(&ending->packed);
    free(ending->groups);
    free(ending);
}
