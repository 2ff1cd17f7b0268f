/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/state_serve.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "storage/schema/entry.h"
#include "storage/service/pool_jobs.h"
#include "storage/transfer/source.h"

enum { SILENCE_LOOK_MS = 5000 };

/*
 * While `busy` a pool thread has `source`, `question` and `answer`; all else belongs to the
 * loop. A session that is to end while it is busy ends when the thread is done.
 */
struct state_session {
    struct state_session *next;
    struct state_sessions *owner;
    uint64_t id; /* random */
    uint64_t node_id;
    uint32_t group;
    uint64_t heard_ms;
    bool busy;
    bool ending;
    struct rpc_request *rpc; /* waits for the pool thread; NULL: nobody does */
    struct transfer_source_config config;
    struct buffer tables;
    struct transfer_source *source;
    uint64_t step;          /* the last one answered */
    struct buffer question; /* empty: the source is to be opened */
    struct buffer answer;   /* packed */
    enum err err;
};

struct state_sessions {
    struct service *service;
    struct state_session *first;
    unsigned count; /* with those that are ending */
    struct pool_jobs *jobs;
    struct loop_timer *silence;
};

static void reply_err(struct rpc_request *rpc, enum err err)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;
    struct buffer packed = BUFFER_EMPTY;

    reply.err = err;
    message_pack(&reply.base, &packed);
    rpc_reply(rpc, buffer_bytes(&packed));
    buffer_fini(&packed);
}

/* ---- the end of a session ---- */

static void session_forget(struct state_session *session)
{
    struct state_sessions *sessions = session->owner;

    for (struct state_session **link = &sessions->first; *link != NULL; link = &(*link)->next) {
        if (*link == session) {
            *link = session->next;
            break;
        }
    }
    sessions->count--;
    buffer_fini(&session->tables);
    buffer_fini(&session->question);
    buffer_fini(&session->answer);
    free(session);
}

/* It waits for the writer. */
static void end_in_pool(void *context)
{
    struct state_session *session = context;

    transfer_source_free(&session->source);
}

static void on_ended(void *context)
{
    session_forget(context);
}

static void session_end(struct state_session *session)
{
    struct transfer_source_progress progress = {0};

    session->ending = true;
    if (session->busy)
        return;
    session->busy = true;
    if (session->source != NULL) {
        transfer_source_progress(session->source, &progress);
        log_info(NULL, "a copy of a group's state was given",
                 LOG_FIELDS(LOG_U64("group", session->group), LOG_U64("to", session->node_id),
                            LOG_U64("bytes", progress.bytes), LOG_U64("rows", progress.rows),
                            LOG_U64("read_longest_ms", progress.read_longest_ms)));
        metric_raise(METRIC_STATE_COPY_READ_LONGEST, progress.read_longest_ms);
    }
    pool_jobs_run(session->owner->jobs, end_in_pool, on_ended, session);
}

static void on_silence_look(void *context)
{
    struct state_sessions *sessions = context;
    uint64_t now_ms = clock_monotonic_ms();
    struct state_session *next;

    for (struct state_session *session = sessions->first; session != NULL; session = next) {
        next = session->next;
        if (!session->busy && now_ms - session->heard_ms >= STATE_SESSION_SILENT_MS)
            session_end(session);
    }
}

/* ---- steps ---- */

static void answer_in_pool(struct state_session *session)
{
    struct buffer answer = BUFFER_EMPTY;
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    session->err =
        transfer_source_answer(session->source, buffer_bytes(&session->question), &answer);
    reply.err = session->err;
    if (session->err == ERR_OK)
        reply.state_answer = field_of_bytes(buffer_bytes(&answer));
    buffer_clear(&session->answer);
    message_pack(&reply.base, &session->answer);
    buffer_fini(&answer);
}

static void open_in_pool(struct state_session *session)
{
    Pr__PeerReply reply = PR__PEER_REPLY__INIT;

    session->config.tables = buffer_bytes(&session->tables);
    session->err = transfer_source_new(&session->config, &session->source);
    reply.err = session->err;
    reply.state_session = session->id;
    message_pack(&reply.base, &session->answer);
}

static void in_pool(void *context)
{
    struct state_session *session = context;

    if (session->source == NULL)
        open_in_pool(session);
    else
        answer_in_pool(session);
}

static void on_answered(void *context)
{
    struct state_session *session = context;

    session->busy = false;
    session->heard_ms = clock_monotonic_ms();
    if (session->rpc != NULL)
        rpc_reply(session->rpc, buffer_bytes(&session->answer));
    session->rpc = NULL;
    if (session->err != ERR_OK)
        log_warn(NULL, "a copy of a group's state ends before the end",
                 LOG_FIELDS(LOG_U64("group", session->group), LOG_U64("to", session->node_id),
                            LOG_TEXT("error", err_text(session->err))));
    if (session->err != ERR_OK || session->ending)
        session_end(session);
}

static void session_run(struct state_session *session, struct rpc_request *rpc)
{
    session->busy = true;
    session->rpc = rpc;
    pool_jobs_run(session->owner->jobs, in_pool, on_answered, session);
}

/* ---- calls ---- */

static struct state_session *session_of(struct state_sessions *sessions, uint64_t node_id,
                                        uint64_t id)
{
    for (struct state_session *session = sessions->first; session != NULL;
         session = session->next)
        if (session->id == id && session->node_id == node_id && !session->ending)
            return session;
    return NULL;
}

static enum err open_check(struct service *service, const Pr__StateOpen *open)
{
    struct replicator_status status;

    if (open->seed.len != TRANSFER_SEED_SIZE)
        return ERR_MALFORMED;
    if (!replicator_status(service->replicator, open->group, &status) ||
        service_state(service, open->group) != MACHINE_WHOLE ||
        status.applied_index < open->index)
        return ERR_UNAVAILABLE;
    return service->state_sessions->count < STATE_SESSIONS_MAX ? ERR_OK : ERR_BUSY;
}

static void serve_open(struct service *service, struct rpc_request *rpc, uint64_t node_id,
                       const Pr__StateOpen *open)
{
    struct state_sessions *sessions = service->state_sessions;
    struct state_session *session;
    enum err err;

    /* A node has one copy of a group under way: it has forgotten an older one. */
    for (session = sessions->first; session != NULL; session = session->next)
        if (session->node_id == node_id && session->group == open->group && !session->ending)
            session_end(session);
    err = open_check(service, open);
    if (err != ERR_OK) {
        reply_err(rpc, err);
        return;
    }
    session = calloc(1, sizeof(*session));
    CHECK(session != NULL);
    session->owner = sessions;
    session->node_id = node_id;
    session->group = open->group;
    randombytes_buf(&session->id, sizeof(session->id));
    session->config = (struct transfer_source_config){
        .db = service_db(service, open->group),
        .group = open->group,
        .now_ms = clock_monotonic_ms,
    };
    memcpy(session->config.seed, open->seed.data, TRANSFER_SEED_SIZE);
    buffer_add(&session->tables, bytes_of_field(open->tables));
    session->next = sessions->first;
    sessions->first = session;
    sessions->count++;
    session_run(session, rpc);
}

static void serve_read(struct service *service, struct rpc_request *rpc, uint64_t node_id,
                       const Pr__StateRead *read)
{
    struct state_session *session = session_of(service->state_sessions, node_id, read->session);

    if (session == NULL) {
        reply_err(rpc, ERR_NOSESSION);
        return;
    }
    session->heard_ms = clock_monotonic_ms();
    if (session->busy) {
        reply_err(rpc, ERR_BUSY);
    } else if (read->step == session->step && read->step > 0) {
        rpc_reply(rpc, buffer_bytes(&session->answer));
    } else if (read->step != session->step + 1) {
        reply_err(rpc, ERR_INVALID);
    } else {
        session->step++;
        buffer_clear(&session->question);
        buffer_add(&session->question, bytes_of_field(read->question));
        session_run(session, rpc);
    }
}

void state_serve(struct service *service, struct rpc_request *rpc, uint64_t node_id,
                 const Pr__PeerRequest *request)
{
    struct state_session *session;

    switch (request->call_case) {
    case PR__PEER_REQUEST__CALL_STATE_OPEN:
        serve_open(service, rpc, node_id, request->state_open);
        return;
    case PR__PEER_REQUEST__CALL_STATE_READ:
        serve_read(service, rpc, node_id, request->state_read);
        return;
    default:
        session = session_of(service->state_sessions, node_id, request->state_close->session);
        if (session != NULL)
            session_end(session);
        reply_err(rpc, session != NULL ? ERR_OK : ERR_NOSESSION);
    }
}

/* ---- life ---- */

struct state_sessions *state_sessions_new(struct service *service)
{
    struct state_sessions *sessions = calloc(1, sizeof(*sessions));

    CHECK(sessions != NULL);
    sessions->service = service;
    sessions->jobs = pool_jobs_new(service->loop);
    sessions->silence = loop_timer_start(service->loop, SILENCE_LOOK_MS, SILENCE_LOOK_MS,
                                         on_silence_look, sessions);
    return sessions;
}

void state_sessions_free(struct state_sessions **sessions)
{
    struct state_sessions *ending = *sessions;

    if (ending == NULL)
        return;
    *sessions = NULL;
    loop_timer_stop(&ending->silence);
    pool_jobs_end(&ending->jobs);
    while (ending->first != NULL) {
        struct state_session *session = ending->first;
        if (session->rpc != NULL)
            reply_err(session->rpc, ERR_CLOSED); /* the server is gone: this frees it */
        transfer_source_free(&session->source);
        session_forget(session);
    }
    free(ending);
}
