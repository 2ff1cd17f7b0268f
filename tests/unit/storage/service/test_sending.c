/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an account may submit by its class and age, and as whom. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/scopes.h"
#include "storage/query/settings.h"
#include "storage/service/sending.h"
#include "storage/service/sending_tenants.h"
#include "storage/service/sessions.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

enum { ANN = 7 /* connection */ };

static struct lab the_lab;
static struct lab *const lab = &the_lab;
static uint64_t ann;
static struct session *session;

static struct {
    enum err err;
    unsigned allowed; /* a bit for each address */
} answer;

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    answer.err = (enum err)reply->err;
    answer.allowed = 0;
    for (size_t i = 0; reply->may_send != NULL && i < reply->may_send->n_allowed; i++)
        answer.allowed |= (unsigned)(reply->may_send->allowed[i] != 0) << i;
    arena_fini(&call->call_arena);
    free(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    (void)text;
    reply.err = err;
    call_reply(call, &reply);
}

static void ask(size_t count, const char *const *addresses)
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    *call = (struct service_call){.service = &world.service, .session = session};
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    Pr__MaySend *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    pr__may_send__init(asked);
    asked->addresses = arena_alloc(&call->call_arena, count * sizeof(*asked->addresses));
    for (size_t i = 0; i < count; i++)
        asked->addresses[i] = arena_string(&call->call_arena, bytes_of(addresses[i]));
    asked->n_addresses = count;
    call->request->may_send = asked;
    may_send_call(call);
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, directory_lab_account(lab, "bob@acme.example"));
    ann = directory_lab_account_of(lab, "ann@acme.example")->id;
    world_begin(lab);
    world.service.sessions = sessions_new();
    session = session_open(world.service.sessions, ANN, ann, 1, "ann@acme.example");
    return 0;
}

static int end(void **state)
{
    (void)state;
    sessions_free(&world.service.sessions);
    world_end();
    lab_close(lab);
    return 0;
}

static const Pr__DeliverCall none = PR__DELIVER_CALL__INIT;

static void want(uint32_t hour, uint32_t day)
{
    const Pr__SendingLimits *limits = sending_limits(&world.service, ann, &none, &lab->arena);

    assert_non_null(limits);
    assert_int_equal(limits->account_id, ann);
    assert_int_equal(limits->recipients, 0);
    assert_int_equal(limits->hour_max, hour);
    assert_int_equal(limits->day_max, day);
}

static void set(Pr__SettingScope scope, const char *of, const char *name, const char *value)
{
    WANT(OK, directory_lab_set(lab, scope, of, name, value));
}

static void test_classes(void **state)
{
    (void)state;
    want(50, 200);
    world_run(world.now_ms + 7 * DAY_MS - 1);
    want(50, 200);
    world_run(world.now_ms + 1);
    want(300, 2000);
    set(PR__SETTING_SCOPE__SETTING_TENANT, "acme", "sending.normal_day", "77");
    want(300, 77);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "mass");
    want(0, 5000);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "new");
    want(50, 200);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "custom");
    want(300, 2000);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.hour", "5");
    want(5, 2000);
    assert_null(sending_limits(&world.service, ann + 100, &none, &lab->arena));
}

/* Who is written to in a message. */
static struct {
    Pr__DeliverCall call;
    Pr__DeliverCallPart part;
    Pr__DeliverCallPart *parts[1];
    Pr__QueueRecipient out[64];
    Pr__QueueRecipient *queue[64];
    uint64_t accounts[8];
} message;

static void message_begin(void)
{
    memset(&message, 0, sizeof(message));
    pr__deliver_call__init(&message.call);
    pr__deliver_call_part__init(&message.part);
    message.call.queue = message.queue;
    message.call.account_ids = message.accounts;
    message.parts[0] = &message.part;
    message.call.parts = message.parts;
}

/* The next so many on other hosts, which it leaves for with that sender. */
static void message_out(unsigned count, const char *sender)
{
    for (unsigned i = 0; i < count; i++) {
        Pr__QueueRecipient *recipient = &message.out[message.call.n_queue];
        pr__queue_recipient__init(recipient);
        recipient->sender = arena_string(&lab->arena, bytes_of(sender));
        message.queue[message.call.n_queue++] = recipient;
    }
}

static void message_to(const char *address)
{
    message.accounts[message.call.n_account_ids++] = directory_lab_account_of(lab, address)->id;
}

static void want_counted(uint32_t account, uint32_t tenant)
{
    const Pr__SendingLimits *limits =
        sending_limits(&world.service, ann, &message.call, &lab->arena);

    assert_int_equal(limits->recipients, account);
    assert_int_equal(limits->tenant_recipients, tenant);
}

static void test_what_counts(void **state)
{
    (void)state;
    WANT(OK, directory_lab_account(lab, "cid@bar.example"));
    WANT(OK, directory_lab_list(lab, "news@acme.example", "x@far.example", "ann@acme.example"));
    WANT(OK, directory_lab_list(lab, "more@bar.example", "x@far.example", "cid@bar.example"));
    WANT(OK, directory_lab_alias(lab, "team@acme.example", "x@far.example"));
    message_begin();
    want_counted(0, 0);
    message_to("bob@acme.example"); /* of the same tenant */
    want_counted(0, 0);
    message_to("cid@bar.example");
    want_counted(1, 1);
    message_out(1, ""); /* held, as good as delivered now */
    message.out[0].account_id = directory_lab_account_of(lab, "bob@acme.example")->id;
    message.out[0].sender = TEXT("x@far.example");
    want_counted(1, 1);
    message.out[0].account_id = message.accounts[1];
    want_counted(2, 2);
    message.out[0].account_id = 0;
    message.out[0].tell = true; /* only told of */
    want_counted(1, 1);
    message.call.n_queue = 0;
    message_out(2, ""); /* named by the sender, or by an alias of its own */
    want_counted(3, 3);
    message_out(3, "SRS0=abcd=ef=acme.example=ann@bar.example"); /* a forward */
    want_counted(6, 6);
    message_out(20, "news-bounces@acme.example");
    want_counted(7, 26);
    message_out(10, "more-bounces@bar.example");
    want_counted(8, 36);
    message_out(2, "team-bounces@acme.example"); /* no list */
    message_out(2, "none-bounces@acme.example");
    message_out(1, "-bounces@acme.example");
    want_counted(13, 41);
    /* The members of a list that is reached twice, in other words. */
    message.part.queue = message.queue + 6;
    message.part.n_queue = 4;
    message.part.account_ids = message.accounts;
    message.part.n_account_ids = 2;
    message.call.n_parts = 1;
    want_counted(14, 46);
}

static uint64_t tenant_limit(void)
{
    return sending_limits(&world.service, ann, &none, &lab->arena)->tenant_limit;
}

static Pr__AccountQuota *total_of(uint64_t tenant_id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AccountQuota *total = sending_tenant_total(txn, tenant_id, &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return total;
}

/* What the directory hears of the settings. */
static void test_tenants(void **state)
{
    Pr__ScopeAsk ask = PR__SCOPE_ASK__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    uint64_t tenant_id;
    struct db_txn *txn;

    (void)state;
    tenant_id = sending_limits(&world.service, ann, &none, &lab->arena)->tenant_id;
    assert_int_equal(tenant_limit(), 1); /* not known yet */
    assert_int_equal(total_of(tenant_id)->messages, 2000);
    assert_int_equal(total_of(tenant_id)->bytes, 20000);
    set(PR__SETTING_SCOPE__SETTING_TENANT, "acme", "sending.tenant_hour", "0");
    assert_int_equal(tenant_limit(), 1);
    set(PR__SETTING_SCOPE__SETTING_CLUSTER, "", "sending.tenant_day", "0");
    assert_int_equal(tenant_limit(), 0);
    set(PR__SETTING_SCOPE__SETTING_TENANT, "acme", "sending.tenant_hour", "7");
    assert_int_equal(total_of(tenant_id)->messages, 7);
    assert_int_equal(total_of(tenant_id + 1)->messages, 2000); /* another's */

    share.kind = PR__SCOPE_KIND__SCOPE_SENDING;
    share.scope_id = tenant_id;
    share.limit = share.group = 1;
    ask.share = &share;
    ask.want_messages = 3;
    txn = db_read_begin(lab->db);
    sending_tenant_ask(txn, &ask, &lab->arena);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_string_equal(ask.name, "acme");
    assert_int_equal(ask.total->messages, 7);
    WANT(OK, lab_apply(lab, 0, LAB_COMMAND(scope_ask, SCOPE_ASK, &ask)));
    assert_int_equal(tenant_limit(), 1);
    txn = db_read_begin(lab->db);
    const struct scopes_place place = {PR__SCOPE_KIND__SCOPE_SENDING, tenant_id};
    Pr__ScopeRecord *record = scopes_record(txn, place, &lab->arena);
    assert_int_equal(record->settings_version, settings_version(txn));
    assert_false(sending_tenant_changed(txn, record, ask.total));
    assert_int_equal(db_commit(&txn), ERR_OK);
    set(PR__SETTING_SCOPE__SETTING_TENANT, "acme", "sending.tenant_hour", "9");
    txn = db_read_begin(lab->db);
    assert_true(
        sending_tenant_changed(txn, record, sending_tenant_total(txn, tenant_id, &lab->arena)));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void test_rights(void **state)
{
    static const char *const addresses[] = {"ann@acme.example", "bob@acme.example",
                                            "sales@acme.example", "x@far.example",
                                            "ann+tag@acme.example"};
    static const char *many[1001];

    (void)state;
    ask(5, addresses);
    assert_int_equal(answer.err, ERR_OK);
    assert_int_equal(answer.allowed & 0xF, 1);
    WANT(OK, directory_lab_alias(lab, "sales@acme.example", "ann@acme.example"));
    ask(4, addresses);
    assert_int_equal(answer.allowed, 1 | 4);
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("ann@acme.example"), .bars_set = PR__ACCOUNT_BAR__BAR_SEND));
    ask(4, addresses);
    assert_int_equal(answer.err, ERR_OK);
    assert_int_equal(answer.allowed, 0);
    ask(0, NULL);
    assert_int_equal(answer.err, ERR_OK);
    for (size_t i = 0; i < 1001; i++)
        many[i] = addresses[0];
    ask(1001, many);
    assert_int_equal(answer.err, ERR_TOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes, begin, end),
        cmocka_unit_test_setup_teardown(test_what_counts, begin, end),
        cmocka_unit_test_setup_teardown(test_tenants, begin, end),
        cmocka_unit_test_setup_teardown(test_rights, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
