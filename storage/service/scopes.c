/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/scopes.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/query/scopes.h"
#include "storage/service/limits.h"
#include "storage/service/scopes_plan.h"
#include "storage/service/sending_tenants.h"

/* A write that waits for room. */
struct waiter {
    struct waiter *next;
    struct scopes_amount need;
    uint64_t short_ms; /* since when it is known that there is not enough; 0: it is not */
    uint64_t deadline_ms;
    scopes_done *done;
    void *context;
};

/* A group and a scope, as long as somebody waits. */
struct ask {
    struct ask *next;
    struct ask **self;
    struct scopes *scopes;
    uint32_t group;
    Pr__ScopeShare share; /* as the last refusal, or the group, told it */
    struct waiter *waiters;
    unsigned short_count;       /* of the waiters */
    struct scopes_amount asked; /* what would be granted in all, if there were as much */
    bool scarce;                /* there was not */
    bool under_way;             /* a command */
    struct loop_timer *timer;
    char *text; /* why there is no room */
    uint64_t
        closed_ms; /* until then who needs `closed_need` is refused unasked; 0: it is not */
    struct scopes_amount closed_need;
    bool again; /* it was closed until now: who needs as much does not wait for others anew */
};

struct scopes {
    struct service *service;
    struct ask *first;
    unsigned short_count; /* waiters of all */
};

struct scopes *scopes_new(struct service *service)
{
    struct scopes *scopes = calloc(1, sizeof(*scopes));

    CHECK(scopes != NULL);
    scopes->service = service;
    return scopes;
}

static void ask_free(struct ask *ask)
{
    loop_timer_stop(&ask->timer);
    *ask->self = ask->next;
    if (ask->next != NULL)
        ask->next->self = ask->self;
    ask->scopes->short_count -= ask->short_count;
    free(ask->text);
    free(ask);
}

static void waiters_end(struct waiter *waiters, enum err err, const char *text)
{
    while (waiters != NULL) {
        struct waiter *waiter = waiters;
        waiters = waiter->next;
        waiter->done(waiter->context, err, text);
        free(waiter);
    }
}

static void ask_end(struct ask *ask, enum err err)
{
    struct waiter *waiters = ask->waiters;

    ask->waiters = NULL;
    ask_free(ask);
    waiters_end(waiters, err, NULL);
}

void scopes_free(struct scopes **scopes)
{
    struct scopes *closing = *scopes;

    if (closing == NULL)
        return;
    *scopes = NULL;
    while (closing->first != NULL) {
        CHECK(!closing->first->under_way);
        ask_end(closing->first, ERR_UNAVAILABLE);
    }
    free(closing);
}

/* ---- commands ---- */

static uint64_t deadline(void)
{
    return clock_monotonic_ms() + SCOPES_ASK_MS;
}

void scopes_grant(struct service *service, uint32_t group, const Pr__ScopeShare *share,
                  write_done *done, void *context)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeShare copy = *share; /* packing takes no const */

    grant.share = &copy;
    command.call_case = PR__COMMAND__CALL_SCOPE_GRANT;
    command.scope_grant = &grant;
    write_start(service, group, &command, deadline(), done, context);
}

void scopes_ask_send(struct service *service, Pr__ScopeAsk *ask, write_done *done,
                     void *context)
{
    Pr__Command command = PR__COMMAND__INIT;
    struct arena arena;

    arena_init(&arena);
    if (ask->share->kind == PR__SCOPE_KIND__SCOPE_SENDING) {
        struct db_txn *txn = service_directory_begin(service);
        sending_tenant_ask(txn, ask, &arena);
        db_abort(&txn);
    }
    command.call_case = PR__COMMAND__CALL_SCOPE_ASK;
    command.scope_ask = ask;
    write_start(service, DIRECTORY_GROUP, &command, deadline(), done, context);
    arena_fini(&arena);
}

/* ---- a question and its answer ---- */

static void share_keep(struct ask *ask, const Pr__ScopeShare *share)
{
    ask->share = *share;
    ask->share.base = (ProtobufCMessage)PROTOBUF_C_MESSAGE_INIT(&pr__scope_share__descriptor);
}

static void ask_start(struct ask *ask);

static void on_pause(void *context);

static void pause_start(struct ask *ask, uint64_t delay_ms)
{
    ask->timer = loop_timer_start(ask->scopes->service->loop, delay_ms, 0, on_pause, ask);
}

/* Who holds out for more than was there a moment ago. */
static bool is_closed(const struct ask *ask)
{
    if (ask->closed_ms <= clock_monotonic_ms())
        return false;
    for (const struct waiter *at = ask->waiters; at != NULL; at = at->next)
        if (at->need.bytes < ask->closed_need.bytes ||
            at->need.messages < ask->closed_need.messages)
            return false;
    return true;
}

static enum err refusal_of(const struct ask *ask)
{
    return ask->share.kind == PR__SCOPE_KIND__SCOPE_SENDING ? ERR_LIMIT : ERR_QUOTA;
}

static void on_pause(void *context)
{
    struct ask *ask = context;

    ask->timer = NULL;
    if (is_closed(ask)) {
        struct waiter *waiters = ask->waiters;
        char *text = strdup(ask->text != NULL ? ask->text : "");
        CHECK(text != NULL);
        ask->waiters = NULL;
        pause_start(ask, ask->closed_ms - clock_monotonic_ms());
        waiters_end(waiters, refusal_of(ask), text);
        free(text);
    } else if (ask->waiters == NULL && ask->closed_ms != 0) {
        ask->again = true;
        ask->closed_ms = 0;
        pause_start(ask, SCOPES_CLOSED_KEPT_MS);
    } else if (ask->waiters == NULL) {
        ask_free(ask);
    } else {
        ask->again |= ask->closed_ms != 0;
        ask->closed_ms = 0;
        ask_start(ask);
    }
}

/* A tenant that has sent all it may goes on trying: the directory is not asked each time. Who
 * waits for no less than was refused just now waits no longer: others have had their time. */
static bool close_for_now(struct ask *ask, struct waiter **refused)
{
    struct scopes_amount least;

    if (*refused == NULL || ask->text == NULL ||
        ask->share.kind != PR__SCOPE_KIND__SCOPE_SENDING)
        return false;
    least = (*refused)->need;
    for (const struct waiter *at = *refused; at != NULL; at = at->next) {
        if (at->need.bytes < least.bytes)
            least.bytes = at->need.bytes;
        if (at->need.messages < least.messages)
            least.messages = at->need.messages;
    }
    for (const struct waiter *at = ask->waiters; at != NULL; at = at->next)
        if (at->need.bytes < least.bytes || at->need.messages < least.messages)
            return false;
    ask->scopes->short_count -= ask->short_count;
    ask->short_count = 0;
    while (ask->waiters != NULL) {
        struct waiter *waiter = ask->waiters;
        ask->waiters = waiter->next;
        waiter->next = *refused;
        *refused = waiter;
    }
    ask->closed_ms = clock_monotonic_ms() + SCOPES_CLOSED_MS;
    ask->closed_need = least;
    pause_start(ask, SCOPES_CLOSED_MS);
    return true;
}

static bool may_wait(const struct ask *ask)
{
    return ask->short_count < SCOPES_SHORT_MAX &&
           ask->scopes->short_count < SCOPES_SHORT_TOTAL_MAX;
}

/* Where a waiter goes now; NULL: it waits on. */
static struct waiter **waiter_sort(struct ask *ask, struct waiter *waiter,
                                   struct waiter **content, struct waiter **refused,
                                   struct waiter **late)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (scopes_plan_fits(&ask->share, waiter->need))
        return content;
    if (!ask->scarce)
        return now_ms >= waiter->deadline_ms ? late : NULL;
    if (now_ms >= waiter->deadline_ms ||
        (ask->again && waiter->need.bytes >= ask->closed_need.bytes &&
         waiter->need.messages >= ask->closed_need.messages) ||
        (waiter->short_ms != 0 && now_ms - waiter->short_ms >= SCOPES_WAIT_MS))
        return refused;
    if (waiter->short_ms == 0) {
        if (!may_wait(ask))
            return refused;
        waiter->short_ms = now_ms;
        ask->short_count++;
        ask->scopes->short_count++;
    }
    return NULL;
}

/* Takes those out of the list for whom there is room now, and those whose time is up. */
static void waiters_sort(struct ask *ask, struct waiter **content, struct waiter **refused,
                         struct waiter **late)
{
    struct waiter **at = &ask->waiters;

    while (*at != NULL) {
        struct waiter *waiter = *at;
        struct waiter **to = waiter_sort(ask, waiter, content, refused, late);
        if (to == NULL) {
            at = &waiter->next;
            continue;
        }
        if (waiter->short_ms != 0) {
            ask->short_count--;
            ask->scopes->short_count--;
        }
        *at = waiter->next;
        waiter->next = *to;
        *to = waiter;
    }
}

/* The directory has answered, and the group, if there was something to tell it. */
static void ask_answered(struct ask *ask)
{
    struct waiter *content = NULL;
    struct waiter *refused = NULL;
    struct waiter *late = NULL;
    enum err refusal = refusal_of(ask);
    char *text = NULL;

    if (ask->text != NULL) {
        text = strdup(ask->text);
        CHECK(text != NULL);
    }
    waiters_sort(ask, &content, &refused, &late);
    if (!close_for_now(ask, &refused)) {
        if (ask->waiters == NULL)
            ask_free(ask);
        else
            pause_start(ask, ask->scarce ? SCOPES_AGAIN_MS : 0);
    }
    /* Last: they may ask again. */
    waiters_end(content, ERR_OK, NULL);
    waiters_end(refused, refusal, text);
    waiters_end(late, ERR_UNAVAILABLE, NULL);
    free(text);
}

static void on_granted(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct ask *ask = context;

    (void)index;
    ask->under_way = false;
    if (err != ERR_OK || outcome->err != ERR_OK || outcome->share == NULL) {
        ask_end(ask, ERR_UNAVAILABLE);
        return;
    }
    uint64_t used_bytes = ask->share.used_bytes;
    uint64_t used_messages = ask->share.used_messages;
    share_keep(ask, outcome->share);
    /* Of the refusal, with accounts that are yet to be counted. */
    if (ask->share.used_bytes < used_bytes)
        ask->share.used_bytes = used_bytes;
    if (ask->share.used_messages < used_messages)
        ask->share.used_messages = used_messages;
    ask_answered(ask);
}

static void on_asked(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct ask *ask = context;

    (void)index;
    ask->under_way = false;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    ask->scarce = err == ERR_QUOTA;
    if (err == ERR_OK && outcome->share != NULL) {
        ask->scarce = outcome->share->granted_bytes < ask->asked.bytes ||
                      outcome->share->granted_messages < ask->asked.messages;
        ask->under_way = true;
        scopes_grant(ask->scopes->service, ask->group, outcome->share, on_granted, ask);
    } else if (err == ERR_QUOTA) {
        free(ask->text);
        ask->text = strdup(outcome->text);
        CHECK(ask->text != NULL);
        ask_answered(ask);
    } else {
        ask_end(ask,
                err == ERR_CONFLICT || err == ERR_NOTFOUND ? ERR_CONFLICT : ERR_UNAVAILABLE);
    }
}

static struct scopes_amount chunk_now(struct ask *ask)
{
    struct arena arena;
    struct scopes_amount chunk = {0, 0};
    struct db_txn *txn = service_directory_begin(ask->scopes->service);
    const Pr__ScopeRecord *record;

    arena_init(&arena);
    record =
        scopes_record(txn, (struct scopes_place){ask->share.kind, ask->share.scope_id}, &arena);
    if (record != NULL && record->limit == ask->share.limit)
        chunk = scopes_plan_chunk(record, scopes_groups(txn, &arena));
    db_abort(&txn);
    arena_fini(&arena);
    return chunk;
}

/* Asks for the one who needs least, and for the others, and something more, if there is as
 * much. */
static void ask_start(struct ask *ask)
{
    Pr__ScopeAsk question = PR__SCOPE_ASK__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    struct scopes_amount want = chunk_now(ask);
    const struct waiter *least = ask->waiters;

    for (const struct waiter *at = ask->waiters; at != NULL; at = at->next) {
        want.bytes = scopes_plan_add(want.bytes, at->need.bytes);
        want.messages = scopes_plan_add(want.messages, at->need.messages);
        if (at->need.bytes < least->need.bytes)
            least = at;
    }
    question.share = &share;
    scopes_plan_ask(&ask->share, least->need, want, &question);
    ask->asked.bytes = scopes_plan_add(share.used_bytes, question.want_bytes);
    ask->asked.messages = scopes_plan_add(share.used_messages, question.want_messages);
    ask->under_way = true;
    scopes_ask_send(ask->scopes->service, &question, on_asked, ask);
}

static struct ask *ask_of(struct scopes *scopes, uint32_t group, const Pr__ScopeShare *share)
{
    struct ask *ask = scopes->first;

    while (ask != NULL && (ask->group != group || ask->share.kind != share->kind ||
                           ask->share.scope_id != share->scope_id))
        ask = ask->next;
    if (ask != NULL)
        return ask;
    ask = calloc(1, sizeof(*ask));
    CHECK(ask != NULL);
    ask->scopes = scopes;
    ask->group = group;
    ask->next = scopes->first;
    ask->self = &scopes->first;
    if (ask->next != NULL)
        ask->next->self = &ask->next;
    scopes->first = ask;
    return ask;
}

void scopes_ask(struct service *service, uint32_t group, const Pr__ScopeShare *refusal,
                uint64_t deadline_ms, scopes_done *done, void *context)
{
    struct ask *ask = ask_of(service->scopes, group, refusal);
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    CHECK(waiter != NULL);
    *waiter = (struct waiter){
        .next = ask->waiters,
        .need = {refusal->need_bytes, refusal->need_messages},
        .deadline_ms = deadline_ms,
        .done = done,
        .context = context,
    };
    ask->waiters = waiter;
    share_keep(ask, refusal);
    if (ask->closed_ms != 0 || waiter->next == NULL)
        loop_timer_stop(&ask->timer);
    if (!ask->under_way && ask->timer == NULL) /* asked at the end of this turn */
        pause_start(ask, 0);
}

/* ---- what commands say ---- */

unsigned scopes_groups(struct db_txn *directory, struct arena *arena)
{
    const Pr__ClusterRecord *cluster = directory_cluster(directory, arena);
    Pr__GroupRecord **groups;
    size_t count = 0;

    if (cluster != NULL && cluster->next_group > 1)
        return cluster->next_group - 1;
    directory_groups(directory, arena, &groups, &count);
    return count > 1 ? (unsigned)count - 1 : 1;
}

Pr__AccountScopes *scopes_of_command(struct service *service, struct db_txn *directory,
                                     uint32_t group, uint64_t account_id, struct arena *arena)
{
    if (machine_format(directory, DIRECTORY_GROUP) < FORMAT_SCOPES ||
        (read_is_local(service, group) && service_format(service, group) < FORMAT_SCOPES))
        return NULL;
    return scopes_of_account_id(directory, account_id, arena);
}
