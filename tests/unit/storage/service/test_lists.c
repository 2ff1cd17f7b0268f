/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "storage/service/scopes_usage.h"
#include "storage/service/sending_tenants.h"

/*
 * Lists of tenants and domains, and what these hold: two groups, of which the second may be
 * silent. The directory holds `total` tenants or domains, with ids from 1.
 */
enum { TOTAL = 450 };

static struct service service;
static struct service_call call;
static Pr__Request request;
static unsigned format;
static enum err fresh; /* of reads that ask the majority */
static enum err local;
static bool silent;
static unsigned usage_count; /* scopes that the groups were asked about */
static uint64_t usage_last;
static Pr__Reply *heard;
static struct arena heard_arena;

uint64_t clock_monotonic_ms(void)
{
    return 1000;
}

unsigned service_format(struct service *self, uint32_t group)
{
    assert_ptr_equal(self, &service);
    assert_int_equal(group, DIRECTORY_GROUP);
    return format;
}

void read_start(struct read_job *job)
{
    enum err err = job->fresh ? fresh : local;

    if (err == ERR_OK)
        job->work(job, NULL);
    job->done(job, err, 1);
}

static void hear(struct bytes packed)
{
    ProtobufCAllocator allocator = arena_allocator(&heard_arena);

    assert_null(heard);
    heard = pr__reply__unpack(&allocator, packed.len, packed.at);
}

void call_reply_packed(struct service_call *ended, struct bytes reply)
{
    assert_ptr_equal(ended, &call);
    hear(reply);
}

void call_reply(struct service_call *ended, Pr__Reply *reply)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&reply->base, &packed);
    call_reply_packed(ended, buffer_bytes(&packed));
    buffer_fini(&packed);
}

void call_fail(struct service_call *ended, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    (void)text;
    reply.err = err;
    call_reply(ended, &reply);
}

void write_call(struct service_call *asked, uint32_t group, Pr__Command *command)
{
    (void)asked;
    (void)group;
    (void)command;
    fail();
}

bool operator_domain(struct service_call *asked, const char *typed, struct bytes *domain)
{
    (void)asked;
    *domain = bytes_of(typed);
    return true;
}

bool directory_tenants(struct db_txn *txn, struct bytes after, unsigned limit,
                       struct arena *arena, Pr__TenantRecord ***tenants, size_t *count)
{
    (void)txn;
    (void)after;
    *count = limit < TOTAL ? limit : TOTAL;
    *tenants = arena_alloc(arena, *count * sizeof(**tenants));
    for (size_t i = 0; i < *count; i++) {
        (*tenants)[i] = arena_alloc(arena, sizeof(***tenants));
        pr__tenant_record__init((*tenants)[i]);
        (*tenants)[i]->id = i + 1;
    }
    return limit < TOTAL;
}

Pr__TenantRecord *directory_tenant(struct db_txn *txn, struct bytes name, struct arena *arena)
{
    Pr__TenantRecord *tenant = arena_alloc(arena, sizeof(*tenant));

    (void)txn;
    pr__tenant_record__init(tenant);
    return bytes_equal(name, BYTES("acme")) ? tenant : NULL;
}

bool directory_domains(struct db_txn *txn, struct bytes tenant, struct bytes after,
                       unsigned limit, struct arena *arena, Pr__DomainRecord ***domains,
                       size_t *count)
{
    (void)txn;
    (void)tenant;
    (void)after;
    *count = limit < TOTAL ? limit : TOTAL;
    *domains = arena_alloc(arena, *count * sizeof(**domains));
    for (size_t i = 0; i < *count; i++) {
        (*domains)[i] = arena_alloc(arena, sizeof(***domains));
        pr__domain_record__init((*domains)[i]);
        (*domains)[i]->id = i + 1;
    }
    return limit < TOTAL;
}

Pr__AccountQuota *sending_tenant_total(struct db_txn *txn, uint64_t tenant_id,
                                       struct arena *arena)
{
    Pr__AccountQuota *total = arena_alloc(arena, sizeof(*total));

    (void)txn;
    pr__account_quota__init(total);
    total->messages = 7 * tenant_id;
    return total;
}

void scopes_usage_start(struct service_call *asked, Pr__ScopeKind kind, uint64_t *ids,
                        size_t count, scopes_usage_done *done)
{
    static uint32_t silent_groups[] = {2};
    Pr__ScopeUsage **usages = arena_alloc(&asked->call_arena, count * sizeof(*usages));

    assert_int_equal(kind, request.call_case != PR__REQUEST__CALL_TENANT_LIST
                               ? PR__SCOPE_KIND__SCOPE_DOMAIN
                           : request.tenant_list->with_sending ? PR__SCOPE_KIND__SCOPE_SENDING
                                                               : PR__SCOPE_KIND__SCOPE_TENANT);
    for (size_t i = 0; i < count; i++) {
        usages[i] = arena_alloc(&asked->call_arena, sizeof(**usages));
        pr__scope_usage__init(usages[i]);
        usages[i]->bytes = 100 * ids[i];
    }
    usage_count = (unsigned)count;
    usage_last = count > 0 ? ids[count - 1] : 0;
    done(asked, usages, silent_groups, silent ? 1 : 0);
}

static int set_up(void **state)
{
    (void)state;
    format = FORMAT_NEWEST;
    fresh = local = ERR_OK;
    silent = false;
    usage_count = 0;
    usage_last = 0;
    heard = NULL;
    arena_init(&heard_arena);
    arena_init(&call.call_arena);
    pr__request__init(&request);
    call.service = &service;
    call.request = &request;
    call.deadline_ms = 20000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&heard_arena);
    arena_fini(&call.call_arena);
    return 0;
}

static void ask_tenants(bool with_usage)
{
    Pr__TenantList list = PR__TENANT_LIST__INIT;

    list.with_usage = with_usage;
    request.call_case = PR__REQUEST__CALL_TENANT_LIST;
    request.tenant_list = &list;
    heard = NULL;
    tenant_list_call(&call);
    assert_non_null(heard);
}

static void ask_domains_of(const char *tenant)
{
    Pr__DomainList list = PR__DOMAIN_LIST__INIT;
    char typed[80];

    snprintf(typed, sizeof(typed), "%s", tenant);
    list.tenant = typed;
    list.with_usage = true;
    request.call_case = PR__REQUEST__CALL_DOMAIN_LIST;
    request.domain_list = &list;
    heard = NULL;
    domain_list_call(&call);
    assert_non_null(heard);
}

static void ask_domains(void)
{
    ask_domains_of("");
}

static void a_list_says_when_it_may_be_old(void **state)
{
    (void)state;
    ask_tenants(false);
    assert_int_equal(heard->err, ERR_OK);
    assert_string_equal(heard->text, "");
    assert_int_equal(heard->tenant_list->n_tenants, TOTAL);
    assert_int_equal(heard->tenant_list->n_usages, 0);
    fresh = ERR_UNAVAILABLE;
    ask_tenants(false);
    assert_int_equal(heard->err, ERR_OK);
    assert_non_null(strstr(heard->text, "no majority"));
    local = ERR_UNAVAILABLE;
    ask_tenants(false);
    assert_int_equal(heard->err, ERR_UNAVAILABLE);
    assert_int_equal(listing_limit(0), OPERATOR_LIST_DEFAULT);
    assert_int_equal(listing_limit(7), 7);
    assert_int_equal(listing_limit(UINT32_MAX), OPERATOR_LIST_MAX);
}

static void what_is_held_comes_side_by_side(void **state)
{
    (void)state;
    ask_tenants(true);
    assert_int_equal(heard->tenant_list->n_tenants, SCOPES_USAGE_PAGE);
    assert_true(heard->tenant_list->more);
    assert_int_equal(heard->tenant_list->n_usages, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->tenant_list->usages[6]->bytes, 700);
    assert_string_equal(heard->text, "");
    assert_int_equal(usage_last, SCOPES_USAGE_PAGE);
    silent = true;
    ask_domains();
    assert_int_equal(heard->domain_list->n_usages, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->domain_list->usages[2]->bytes, 300);
    assert_int_equal(heard->domain_list->n_silent_groups, 1);
    assert_non_null(strstr(heard->text, "not counted: 2"));
    fresh = ERR_UNAVAILABLE; /* both are told */
    ask_domains();
    assert_non_null(strstr(heard->text, "no majority"));
    assert_non_null(strstr(heard->text, "not counted: 2"));
}

static void below_the_format_nobody_is_asked(void **state)
{
    (void)state;
    format = FORMAT_SCOPES - 1;
    ask_domains();
    assert_int_equal(heard->err, ERR_OK);
    assert_int_equal(heard->domain_list->n_domains, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->domain_list->n_usages, 0);
    assert_int_equal(usage_count, 0);
}

/* No list of nothing for a slip of the fingers. */
static void there_is_no_such_tenant(void **state)
{
    (void)state;
    ask_domains_of("Acme");
    assert_int_equal(heard->err, ERR_OK);
    assert_int_equal(heard->domain_list->n_domains, SCOPES_USAGE_PAGE);
    ask_domains_of("nope");
    assert_int_equal(heard->err, ERR_NOTFOUND);
    assert_string_equal(heard->text, "there is no tenant nope");
    ask_domains_of("no pe");
    assert_int_equal(heard->err, ERR_INVALID);
    format = FORMAT_SCOPES - 1; /* nothing is counted */
    fresh = ERR_UNAVAILABLE;
    ask_domains_of("nope");
    assert_int_equal(heard->err, ERR_NOTFOUND);
    assert_non_null(strstr(heard->text, "no majority"));
    assert_non_null(strstr(heard->text, "there is no tenant nope"));
}

/* What tenants send, and may: from the format on that counts it. */
static void sendings_come_with_their_limits(void **state)
{
    Pr__TenantList list = PR__TENANT_LIST__INIT;

    (void)state;
    list.with_sending = list.with_usage = true;
    request.call_case = PR__REQUEST__CALL_TENANT_LIST;
    request.tenant_list = &list;
    tenant_list_call(&call);
    assert_int_equal(heard->tenant_list->n_tenants, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->tenant_list->n_usages, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->tenant_list->n_sendings, SCOPES_USAGE_PAGE);
    assert_int_equal(heard->tenant_list->usages[2]->bytes, 300);
    assert_int_equal(heard->tenant_list->sendings[2]->messages, 21);
    format = FORMAT_SCOPES;
    heard = NULL;
    tenant_list_call(&call);
    assert_int_equal(heard->tenant_list->n_usages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_says_when_it_may_be_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_held_comes_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(below_the_format_nobody_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_no_such_tenant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sendings_come_with_their_limits, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
