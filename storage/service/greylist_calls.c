/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/greylist_calls.h"

#include <sodium.h>

#include "storage/machine/greylist.h"
#include "storage/query/directory.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"

struct asking {
    struct service_call *call;
    uint32_t group;
    uint8_t key[GREYLIST_KEY_SIZE];
    struct read_job job;
    struct greylist_view view;
    Pr__Command command;
    Pr__GreylistSeen seen;
};

static void answer(struct service_call *call, bool passed, uint64_t first_ms)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__GreylistAnswer found = PR__GREYLIST_ANSWER__INIT;

    found.passed = passed;
    found.first_ms = first_ms;
    reply.answer_case = PR__REPLY__ANSWER_GREYLIST;
    reply.greylist = &found;
    call_reply(call, &reply);
}

static void on_seen(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct asking *asking = context;

    (void)index;
    if (err == ERR_OK && (outcome->err == ERR_OK || outcome->err == ERR_BUSY))
        answer(asking->call, outcome->err == ERR_OK, outcome->id);
    else
        call_outcome(asking->call, err, outcome);
}

static void tell(struct asking *asking)
{
    struct service_call *call = asking->call;
    const Pr__GreylistAsk *asked = call->request->greylist_ask;

    if (service_format(call->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return;
    }
    pr__command__init(&asking->command);
    pr__greylist_seen__init(&asking->seen);
    asking->seen.key = (ProtobufCBinaryData){sizeof(asking->key), asking->key};
    asking->seen.wait_ms = asked->wait_ms;
    asking->seen.keep_ms = asked->keep_ms;
    asking->seen.passed_keep_ms = asked->passed_keep_ms;
    asking->command.call_case = PR__COMMAND__CALL_GREYLIST_SEEN;
    asking->command.greylist_seen = &asking->seen;
    write_start(call->service, asking->group, &asking->command, call->deadline_ms, on_seen,
                asking);
}

static void look(struct read_job *job, struct db_txn *txn)
{
    struct asking *asking = job->context;

    query_greylist(txn, asking->group, bytes_from(asking->key, sizeof(asking->key)),
                   &asking->view);
}

static void looked(struct read_job *job, enum err err, uint64_t index)
{
    struct asking *asking = job->context;

    (void)index;
    if (err == ERR_OK && asking->view.known && asking->view.passed && !asking->view.refresh)
        answer(asking->call, true, asking->view.first_ms);
    else
        tell(asking);
}

/* Nobody outside can choose a key that another one has. */
static void key_of(const Pr__ClusterRecord *cluster, ProtobufCBinaryData asked,
                   uint8_t key[GREYLIST_KEY_SIZE])
{
    const ProtobufCBinaryData secret =
        cluster != NULL ? cluster->auth_key : (ProtobufCBinaryData){0, NULL};
    size_t len = secret.len <= crypto_generichash_KEYBYTES_MAX ? secret.len : 0;

    crypto_generichash(key, GREYLIST_KEY_SIZE, asked.data, asked.len,
                       len >= crypto_generichash_KEYBYTES_MIN ? secret.data : NULL,
                       len >= crypto_generichash_KEYBYTES_MIN ? len : 0);
}

static bool find_group(struct asking *asking)
{
    struct service_call *call = asking->call;
    const Pr__GreylistAsk *asked = call->request->greylist_ask;
    struct db_txn *txn = service_directory_begin(call->service);
    struct bytes address;
    bool found;

    asking->group = asked->group;
    if (asked->account_id != 0)
        found = directory_account_by_id(txn, asked->account_id, &call->call_arena, &address,
                                        &asking->group);
    else
        found = asking->group != DIRECTORY_GROUP &&
                directory_group(txn, asking->group, &call->call_arena) != NULL;
    if (found)
        key_of(directory_cluster(txn, &call->call_arena), asked->key, asking->key);
    db_abort(&txn);
    return found;
}

void greylist_ask_call(struct service_call *call)
{
    struct asking *asking = arena_alloc(&call->call_arena, sizeof(*asking));

    asking->call = call;
    if (call->request->greylist_ask->key.len != GREYLIST_KEY_SIZE) {
        call_fail(call, ERR_INVALID, "a key has 16 bytes");
        return;
    }
    if (!find_group(asking)) {
        call_fail(call, ERR_NOTFOUND, NULL);
        return;
    }
    if (!read_is_local(call->service, asking->group)) {
        tell(asking);
        return;
    }
    asking->job = (struct read_job){
        .service = call->service,
        .group = asking->group,
        .deadline_ms = call->deadline_ms,
        .work = look,
        .done = looked,
        .context = asking,
    };
    read_start(&asking->job);
}
