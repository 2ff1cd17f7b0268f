/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sender_domains.h"

#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/sender_findings.h"
#include "storage/service/limits.h"
#include "storage/service/sender_domain_similar.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)
#define CHECKING PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING
#define GOOD PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD

/* A row being written. */
struct telling {
    struct service_call *call;
    Pr__SenderDomain row;
    Pr__SenderDomain *rows[1];
    Pr__SenderDomainPut put;
    Pr__Command command;
    struct read_job job;
    Pr__SenderDomain *found;
};

static void answer(struct service_call *call, Pr__SenderDomain *domain, bool first)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__SenderDomainAnswer found = PR__SENDER_DOMAIN_ANSWER__INIT;

    found.domain = domain;
    found.first = first;
    reply.answer_case = PR__REPLY__ANSWER_SENDER_DOMAIN;
    reply.sender_domain = &found;
    call_reply(call, &reply);
}

static Pr__SenderDomain *find(struct service_call *call, const char *name)
{
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__SenderDomain *row = sender_domain(txn, bytes_of(name), &call->call_arena);

    db_abort(&txn);
    return row;
}

/* A verdict is looked at again when it is old: what was wrong may have been mended, and a good
 * domain may have come onto lists. */
static bool is_old(const Pr__SenderDomain *row, uint64_t now_ms)
{
    uint64_t keeps_ms = row->verdict == GOOD && row->n_findings == 0 ? SENDER_DOMAIN_GOOD_MS
                                                                     : SENDER_DOMAIN_OLD_MS;

    return row->verdict != CHECKING && !row->settled && now_ms > row->judged_ms + keeps_ms;
}

/* ---- a row is written ---- */

static void reread_work(struct read_job *job, struct db_txn *txn)
{
    struct telling *telling = job->context;
    Pr__SenderDomain *row =
        sender_domain(txn, bytes_of(telling->row.name), &telling->call->call_arena);

    telling->found = row;
}

static void reread_done(struct read_job *job, enum err err, uint64_t index)
{
    struct telling *telling = job->context;

    (void)index;
    if (err == ERR_OK && telling->found == NULL)
        err = ERR_LIMIT; /* so many have been put down that this one was not */
    if (err != ERR_OK)
        call_fail(telling->call, err, NULL);
    else
        answer(telling->call, telling->found, is_old(telling->found, clock_wall_ms()));
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct telling *telling = context;
    struct service_call *call = telling->call;

    if (err != ERR_OK || outcome->err != ERR_OK) {
        call_outcome(call, err, outcome);
        return;
    }
    if (outcome->id != 0 || telling->row.verdict != CHECKING) {
        answer(call, &telling->row, outcome->id != 0);
        return;
    }
    /* Not put down as a new one: somebody else has, or nobody may. */
    telling->job = (struct read_job){
        .service = call->service,
        .group = DIRECTORY_GROUP,
        .seen_index = index,
        .deadline_ms = call->deadline_ms,
        .work = reread_work,
        .done = reread_done,
        .context = telling,
    };
    read_start(&telling->job);
}

static struct telling *telling_new(struct service_call *call, const Pr__SenderDomain *row)
{
    struct telling *telling = arena_alloc(&call->call_arena, sizeof(*telling));

    memset(telling, 0, sizeof(*telling));
    telling->call = call;
    telling->row = *row;
    telling->rows[0] = &telling->row;
    pr__sender_domain_put__init(&telling->put);
    telling->put.domains = telling->rows;
    telling->put.n_domains = 1;
    pr__command__init(&telling->command);
    telling->command.call_case = PR__COMMAND__CALL_SENDER_DOMAIN_PUT;
    telling->command.sender_domain_put = &telling->put;
    return telling;
}

static void telling_write(struct telling *telling)
{
    struct service_call *call = telling->call;

    write_start(call->service, DIRECTORY_GROUP, &telling->command, call->deadline_ms,
                on_written, telling);
}

/* ---- a verdict ---- */

/* What the front end found goes along with what only a store can know: whom it looks like. The
 * verdict is that of the cluster's settings; others weigh the findings themselves. */
static void judge_work(struct read_job *job, struct db_txn *txn)
{
    struct telling *telling = job->context;
    struct arena *arena = &telling->call->call_arena;
    Pr__SenderDomain *row = &telling->row;
    const Pr__SenderDomain *known = sender_domain(txn, bytes_of(row->name), arena);
    struct settings settings;
    struct sender_sum sum;

    settings_load(txn, (struct settings_place){0}, arena, &settings);
    Pr__SenderFinding **findings =
        arena_alloc(arena, (row->n_findings + 1) * sizeof(*findings));
    for (size_t i = 0; i < row->n_findings; i++)
        findings[i] = row->findings[i];
    struct bytes similar = sender_domain_similar(txn, &settings, bytes_of(row->name), arena);
    if (similar.len > 0) {
        Pr__SenderFinding *finding = arena_alloc(arena, sizeof(*finding));
        pr__sender_finding__init(finding);
        finding->kind = PR__SENDER_FINDING_KIND__SENDER_SIMILAR;
        finding->detail = arena_string(arena, similar);
        findings[row->n_findings++] = finding;
    }
    row->findings = findings;
    sender_findings_judge(&settings, findings, row->n_findings, &sum);
    row->verdict = sum.verdict;
    row->reason = arena_string(arena, bytes_of(sum.words));
    telling->put.force = known != NULL && is_old(known, clock_wall_ms());
}

static void judge_done(struct read_job *job, enum err err, uint64_t index)
{
    struct telling *telling = job->context;

    (void)index;
    if (err != ERR_OK)
        call_fail(telling->call, err, NULL);
    else
        telling_write(telling);
}

static void take_verdict(struct service_call *call)
{
    Pr__SenderDomainAsk *asked = call->request->sender_domain_ask;

    if (asked->verdict->n_findings >= SENDER_FINDINGS_MAX) {
        call_fail(call, ERR_TOOBIG, NULL);
        return;
    }
    asked->verdict->name = asked->name;
    asked->verdict->settled = false; /* is said by operators only */
    struct telling *telling = telling_new(call, asked->verdict);
    telling->job = (struct read_job){
        .service = call->service,
        .group = DIRECTORY_GROUP,
        .deadline_ms = call->deadline_ms,
        .work = judge_work,
        .done = judge_done,
        .context = telling,
    };
    read_start(&telling->job);
}

/* ---- a question ---- */

/* Mail for it is here; nobody has to check that. */
static bool is_own(struct service_call *call, const char *name)
{
    struct db_txn *txn = service_directory_begin(call->service);
    bool own = directory_domain(txn, bytes_of(name), &call->call_arena) != NULL;

    db_abort(&txn);
    return own;
}

/* As far as this copy knows; the command that puts it down says so for sure. */
static bool day_is_full(struct service_call *call, uint64_t day_max, uint64_t now_ms)
{
    struct db_txn *txn = service_directory_begin(call->service);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &call->call_arena);
    bool full = day_max != 0 && cluster != NULL &&
                cluster->sender_domains_day == now_ms / DAY_MS &&
                cluster->sender_domains_new >= day_max;

    db_abort(&txn);
    return full;
}

static void put_down(struct service_call *call, uint64_t now_ms)
{
    const Pr__SenderDomainAsk *asked = call->request->sender_domain_ask;
    Pr__SenderDomain fresh = PR__SENDER_DOMAIN__INIT;

    fresh.name = asked->name;
    fresh.verdict = CHECKING;
    fresh.first_ms = now_ms;
    fresh.seen_ms = now_ms;
    if (is_own(call, asked->name)) {
        fresh.verdict = GOOD;
        answer(call, &fresh, false);
        return;
    }
    struct telling *telling = telling_new(call, &fresh);
    telling->put.day_max = asked->day_max;
    telling_write(telling);
}

void sender_domain_ask_call(struct service_call *call)
{
    const Pr__SenderDomainAsk *asked = call->request->sender_domain_ask;
    uint64_t now_ms = clock_wall_ms();

    if (service_format(call->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return;
    }
    if (asked->verdict != NULL) {
        take_verdict(call);
        return;
    }
    Pr__SenderDomain *row = find(call, asked->name);
    if (row != NULL && (!asked->ask || now_ms < row->seen_ms + SENDER_DOMAIN_SEEN_MS))
        answer(call, row, asked->ask && is_old(row, now_ms));
    else if (row == NULL && !asked->ask)
        call_fail(call, ERR_NOTFOUND, NULL);
    else if (row == NULL && day_is_full(call, asked->day_max, now_ms))
        call_fail(call, ERR_LIMIT, NULL);
    else
        put_down(call, now_ms);
}
