/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sender_domains.h"

#include "storage/query/addresses_list.h"
#include "storage/service/limits.h"

#define CHECKING PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING
#define GOOD PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD

/* A row being written. */
struct telling {
    struct service_call *call;
    Pr__SenderDomain row;
    Pr__SenderDomain *rows[1];
    Pr__SenderDomainPut put;
    Pr__Command command;
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

static bool is_old(const Pr__SenderDomain *row, uint64_t now_ms)
{
    return row->verdict != CHECKING && row->verdict != GOOD &&
           now_ms > row->judged_ms + SENDER_DOMAIN_OLD_MS;
}

static void on_written(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct telling *telling = context;
    struct service_call *call = telling->call;

    (void)index;
    if (err != ERR_OK || outcome->err != ERR_OK) {
        call_outcome(call, err, outcome);
        return;
    }
    /* Somebody else may have put it down meanwhile, and this copy have it by now. */
    Pr__SenderDomain *row = outcome->id == 0 ? find(call, telling->row.name) : NULL;
    answer(call, row != NULL ? row : &telling->row, outcome->id != 0);
}

static void write_row(struct service_call *call, const Pr__SenderDomain *row, bool force)
{
    struct telling *telling = arena_alloc(&call->call_arena, sizeof(*telling));

    telling->call = call;
    telling->row = *row;
    telling->rows[0] = &telling->row;
    pr__sender_domain_put__init(&telling->put);
    telling->put.domains = telling->rows;
    telling->put.n_domains = 1;
    telling->put.force = force;
    pr__command__init(&telling->command);
    telling->command.call_case = PR__COMMAND__CALL_SENDER_DOMAIN_PUT;
    telling->command.sender_domain_put = &telling->put;
    write_start(call->service, DIRECTORY_GROUP, &telling->command, call->deadline_ms,
                on_written, telling);
}

static void take_verdict(struct service_call *call, uint64_t now_ms)
{
    Pr__SenderDomainAsk *asked = call->request->sender_domain_ask;
    Pr__SenderDomain *row = find(call, asked->name);

    asked->verdict->name = asked->name;
    write_row(call, asked->verdict, row != NULL && is_old(row, now_ms));
}

void sender_domain_ask_call(struct service_call *call)
{
    const Pr__SenderDomainAsk *asked = call->request->sender_domain_ask;
    uint64_t now_ms = clock_wall_ms();
    Pr__SenderDomain fresh = PR__SENDER_DOMAIN__INIT;

    if (service_format(call->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return;
    }
    if (asked->verdict != NULL) {
        take_verdict(call, now_ms);
        return;
    }
    Pr__SenderDomain *row = find(call, asked->name);
    if (row != NULL && (!asked->ask || now_ms < row->seen_ms + SENDER_DOMAIN_SEEN_MS)) {
        answer(call, row, asked->ask && is_old(row, now_ms));
        return;
    }
    if (row == NULL && !asked->ask) {
        call_fail(call, ERR_NOTFOUND, NULL);
        return;
    }
    fresh.name = asked->name;
    fresh.verdict = CHECKING;
    fresh.first_ms = now_ms;
    fresh.seen_ms = now_ms;
    write_row(call, &fresh, false);
}
