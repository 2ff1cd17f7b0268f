/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/smtp_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/service/mail_read.h"
#include "storage/service/promises.h"
#include "storage/service/relay_calls.h"
#include "storage/service/scopes.h"
#include "storage/service/sending.h"
#include "storage/service/sessions.h"
#include "storage/service/smtp_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;
uint64_t smtp_lab_ann;
uint64_t smtp_lab_bob;
uint64_t smtp_lab_carl;
uint64_t smtp_lab_session;
bool smtp_lab_fresh;

/* Nothing is limited here but accounts. */
Pr__AccountScopes *scopes_of_command(struct service *service, struct db_txn *directory,
                                     uint32_t group, uint64_t account_id, struct arena *arena)
{
    (void)service;
    (void)directory;
    (void)group;
    (void)account_id;
    (void)arena;
    return NULL;
}

/* What a relay asks is answered; accounts are not asked how full they are. */
void mail_read_start(struct service *service, const struct mail_read *read,
                     mail_read_done *done, void *context)
{
    struct db_txn *txn = service_directory_begin(service);
    struct buffer packed = BUFFER_EMPTY;
    Pr__Reply reply = PR__REPLY__INIT;

    smtp_lab_fresh = read->fresh;
    enum err err = relay_read(txn, read->account.group, read->request, &lab->arena, &reply);
    if (err == ERR_UNSUPPORTED) {
        done(context, ERR_UNAVAILABLE, bytes_from(NULL, 0), 0);
    } else {
        if (err != ERR_OK) {
            pr__reply__init(&reply);
            reply.err = err;
        }
        message_pack(&reply.base, &packed);
        done(context, ERR_OK, buffer_bytes(&packed), lab->index);
        buffer_fini(&packed);
    }
    db_abort(&txn);
}

/* No limit; what goes to other hosts by the call's own part counts. */
Pr__SendingLimits *sending_limits(struct service *service, uint64_t account_id,
                                  const Pr__DeliverCall *asked, struct arena *arena)
{
    Pr__SendingLimits *limits = arena_alloc(arena, sizeof(*limits));

    (void)service;
    pr__sending_limits__init(limits);
    limits->account_id = account_id;
    limits->recipients = (uint32_t)asked->n_queue;
    return limits;
}

uint64_t smtp_lab_account(const char *address)
{
    WANT(OK, directory_lab_account(lab, address));
    return directory_lab_account_of(lab, address)->id;
}

void smtp_lab_set(Pr__SettingScope scope, const char *of, const char *name, const char *value)
{
    WANT(OK, directory_lab_set(lab, scope, of, name, value));
}

int smtp_lab_begin(void **state)
{
    (void)state;
    CHECK(sodium_init() >= 0);
    directory_lab_open(lab, FORMAT_ADDRESSES);
    for (uint32_t group = 1; group <= DIRECTORY_LAB_GROUPS; group++)
        lab_apply(lab, group,
                  LAB_COMMAND(format_raise, FORMAT_RAISE,
                              CALL(FormatRaise, format_raise, .format = FORMAT_ADDRESSES)));
    WANT(OK, directory_lab_role(lab));
    smtp_lab_ann = smtp_lab_account("ann@acme.example");
    smtp_lab_bob = smtp_lab_account("bob@acme.example");
    smtp_lab_carl = smtp_lab_account("carl@bar.example");
    smtp_lab_set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "on");
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("sales@acme.example"),
                 LIST(targets, "ann@acme.example", "bob@acme.example", "x@far.example")));
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("all@bar.example"),
                 LIST(targets, "y@far.example")));
    world_begin(lab);
    heard = (struct calls_heard){0, NULL};
    world.service.sessions = sessions_new();
    world.service.promises = promises_new();
    smtp_lab_session = session_open(world.service.sessions, HERE, smtp_lab_ann,
                                    directory_lab_account_of(lab, "ann@acme.example")->group,
                                    "ann@acme.example")
                           ->id;
    return 0;
}

int smtp_lab_end(void **state)
{
    (void)state;
    promises_free(&world.service.promises);
    sessions_free(&world.service.sessions);
    world_end();
    lab_close(lab);
    return 0;
}

/* ---- a front end ---- */

const Pr__ResolveAnswer *smtp_lab_resolve(uint32_t connection, uint64_t of, const char *address,
                                          const char *sender)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_RESOLVE);

    request->session = of;
    request->resolve =
        CALL(Resolve, resolve, .address = arena_string(&lab->arena, bytes_of(address)),
             .sender = arena_string(&lab->arena, bytes_of(sender)), .expand = true);
    assert_int_equal(calls_ask(ROLE_SMTP, connection, request, smtp_resolve), ERR_OK);
    return heard.reply->resolve;
}

/* The first on another host. */
const Pr__ResolvedTarget *smtp_lab_remote_of(const Pr__ResolveAnswer *answer)
{
    for (size_t i = 0; i < answer->n_targets; i++)
        if (answer->targets[i]->account_id == 0)
            return answer->targets[i];
    CHECK(false);
}

struct smtp_lab_delivery smtp_lab_delivery(uint64_t of, const char *sender)
{
    struct smtp_lab_delivery made = {calls_request(PR__REQUEST__CALL_DELIVER),
                                     arena_alloc(&lab->arena, sizeof(Pr__DeliverCall))};

    pr__deliver_call__init(made.call);
    made.request->session = of;
    made.request->deliver = made.call;
    calls_identify(made.request);
    made.call->body = lab_body(lab, BYTES("text"), 4);
    made.call->envelope = arena_alloc(&lab->arena, sizeof(Pr__Envelope));
    pr__envelope__init(made.call->envelope);
    made.call->envelope->sender = arena_string(&lab->arena, bytes_of(sender));
    made.call->group = 1;
    made.call->account_ids = arena_alloc(&lab->arena, 8 * sizeof(uint64_t));
    made.call->promised_ids = arena_alloc(&lab->arena, 8 * sizeof(uint64_t));
    made.call->queue = arena_alloc(&lab->arena, 8 * sizeof(*made.call->queue));
    return made;
}

void smtp_lab_to(struct smtp_lab_delivery *made, uint64_t account_id)
{
    made->call->account_ids[made->call->n_account_ids++] = account_id;
}

Pr__QueueRecipient *smtp_lab_out(struct smtp_lab_delivery *made, const char *address,
                                 const char *sender)
{
    Pr__QueueRecipient *recipient = arena_alloc(&lab->arena, sizeof(*recipient));

    pr__queue_recipient__init(recipient);
    recipient->address = arena_string(&lab->arena, bytes_of(address));
    recipient->sender = arena_string(&lab->arena, bytes_of(sender));
    made->call->queue[made->call->n_queue++] = recipient;
    return recipient;
}

enum err smtp_lab_deliver(uint32_t connection, const struct smtp_lab_delivery *made)
{
    return calls_ask(ROLE_SMTP, connection, made->request, smtp_deliver);
}

/* ---- what is there afterwards ---- */

uint64_t smtp_lab_messages(uint64_t account_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t all = 0;

    for (uint32_t group = 1; group <= DIRECTORY_LAB_GROUPS; group++) {
        uint64_t count = 0;
        uint64_t size = 0;
        query_account_usage(txn, (struct query_account){group, account_id}, &count, &size);
        all += count;
    }
    db_abort(&txn);
    return all;
}

uint64_t smtp_lab_queued(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct queue_counts counts;
    uint64_t all = 0;

    for (uint32_t group = 1; group <= DIRECTORY_LAB_GROUPS; group++) {
        query_queue_counts(txn, group, &counts);
        all += counts.messages;
    }
    db_abort(&txn);
    return all;
}

Pr__QueueRecord *smtp_lab_newest(uint32_t group)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__QueueRecord *record = NULL;
    Pr__QueueRecord *next;

    for (uint64_t id = 1; (next = query_queue_record(txn, group, id, &lab->arena)) != NULL;
         id++)
        record = next;
    db_abort(&txn);
    CHECK(record != NULL);
    return record;
}

uint64_t smtp_lab_sent(uint64_t account_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t hour = 0;
    uint64_t day = 0;

    query_sending(txn, directory_lab_account_of(lab, "ann@acme.example")->group, account_id,
                  &hour, &day);
    db_abort(&txn);
    return hour;
}
