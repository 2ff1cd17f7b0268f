/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What front ends ask of senders' domains, and operators; and whom a name looks like. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/addresses_list.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "storage/service/sender_domain_calls.h"
#include "storage/service/sender_domain_similar.h"
#include "storage/service/sender_domains.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

#define KIND(name) PR__SENDER_FINDING_KIND__SENDER_##name
#define VERDICT(name) PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_##name
#define CLUSTER PR__SETTING_SCOPE__SETTING_CLUSTER
#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

static struct lab lab_memory;
static struct lab *const lab = &lab_memory;

static struct {
    unsigned count;
    enum err err;
    bool first;
    Pr__SenderDomainVerdict verdict;
    size_t findings;
    char reason[256];
    char listed[300]; /* "a.example b.example " */
} heard;

static void ended(struct service_call *call)
{
    heard.count++;
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    heard.err = (enum err)reply->err;
    if (reply->answer_case == PR__REPLY__ANSWER_SENDER_DOMAIN) {
        const Pr__SenderDomain *domain = reply->sender_domain->domain;
        heard.first = reply->sender_domain->first;
        heard.verdict = domain->verdict;
        heard.findings = domain->n_findings;
        snprintf(heard.reason, sizeof(heard.reason), "%s", domain->reason);
    }
    ended(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    (void)text;
    heard.err = err;
    ended(call);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    call_fail(call, err != ERR_OK ? err : (enum err)outcome->err, NULL);
}

/* What operators' calls stand on. */
bool operator_domain(struct service_call *call, const char *text, struct bytes *domain)
{
    if (strchr(text, '.') == NULL) {
        call_fail(call, ERR_INVALID, "no domain");
        return false;
    }
    *domain = bytes_of(text);
    return true;
}

unsigned listing_limit(uint32_t asked)
{
    return asked != 0 ? asked : 100;
}

void listing_call(struct service_call *call, listing_fill *fill)
{
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__Reply reply = PR__REPLY__INIT;

    fill(call->request, txn, &call->call_arena, &reply);
    heard.listed[0] = '\0';
    for (size_t i = 0; i < reply.sender_domain_list->n_domains; i++) {
        size_t used = strlen(heard.listed);
        snprintf(heard.listed + used, sizeof(heard.listed) - used, "%s ",
                 reply.sender_domain_list->domains[i]->name);
    }
    db_abort(&txn);
    call_reply(call, &reply);
}

static void on_put(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    (void)index;
    call_outcome(context, err, outcome);
}

void write_call(struct service_call *call, uint32_t group, Pr__Command *command)
{
    write_start(call->service, group, command, call->deadline_ms, on_put, call);
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    world_begin(lab);
    memset(&heard, 0, sizeof(heard));
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_end();
    lab_close(lab);
    return 0;
}

static struct service_call *call_new(void)
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    *call =
        (struct service_call){.service = &world.service, .deadline_ms = world.now_ms + 10000};
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    return call;
}

static void run(unsigned before)
{
    world_run(world.now_ms + 1);
    assert_int_equal(heard.count, before + 1);
}

/* Mail of it has come. */
static void ask(const char *name, bool put_down, uint64_t day_max)
{
    struct service_call *call = call_new();
    Pr__SenderDomainAsk *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    unsigned before = heard.count;

    pr__sender_domain_ask__init(asked);
    asked->name = arena_string(&call->call_arena, bytes_of(name));
    asked->ask = put_down;
    asked->day_max = day_max;
    call->request->sender_domain_ask = asked;
    sender_domain_ask_call(call);
    run(before);
}

/* A front end has checked it; `kind` 0: and found nothing. `forged` are words of its own. */
static void tell(const char *name, Pr__SenderFindingKind kind, uint64_t judged_ms)
{
    struct service_call *call = call_new();
    Pr__SenderDomainAsk *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    Pr__SenderDomain row = PR__SENDER_DOMAIN__INIT;
    Pr__SenderFinding finding = PR__SENDER_FINDING__INIT;
    Pr__SenderFinding *findings[] = {&finding};
    unsigned before = heard.count;

    pr__sender_domain_ask__init(asked);
    asked->name = arena_string(&call->call_arena, bytes_of(name));
    asked->verdict = &row;
    row.name = TEXT("other.example"); /* the call's own name counts */
    row.verdict = VERDICT(BAD);       /* and the store weighs it */
    row.reason = TEXT("forged");
    row.settled = true;
    row.judged_ms = judged_ms;
    row.seen_ms = judged_ms;
    finding.kind = kind;
    row.findings = findings;
    row.n_findings = kind != 0;
    call->request->sender_domain_ask = asked;
    sender_domain_ask_call(call);
    run(before);
}

static Pr__SenderDomain *row_of(const char *name)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__SenderDomain *found = sender_domain(txn, bytes_of(name), &lab->arena);

    db_abort(&txn);
    return found;
}

static void test_asking(void **state)
{
    (void)state;
    ask("new.example", false, 10);
    assert_int_equal(heard.err, ERR_NOTFOUND);
    ask("new.example", true, 10);
    assert_int_equal(heard.err, ERR_OK);
    assert_true(heard.first);
    assert_int_equal(heard.verdict, VERDICT(CHECKING));
    ask("new.example", true, 10);
    assert_false(heard.first);
    assert_int_equal(world.writes, 1); /* the second found it */
    tell("new.example", 0, clock_wall_ms());
    assert_int_equal(row_of("new.example")->verdict, VERDICT(GOOD));
    assert_string_equal(row_of("new.example")->reason, "");
    assert_false(row_of("new.example")->settled);
    assert_null(row_of("other.example"));
    ask("new.example", true, 10);
    assert_int_equal(heard.verdict, VERDICT(GOOD));
    assert_false(heard.first);
    /* Mail of one's own domains needs no check. */
    unsigned writes = world.writes;
    ask("acme.example", true, 10);
    assert_int_equal(heard.err, ERR_OK);
    assert_int_equal(heard.verdict, VERDICT(GOOD));
    assert_int_equal(world.writes, writes);
    assert_null(row_of("acme.example"));
}

static void test_verdicts(void **state)
{
    (void)state;
    ask("bare.example", true, 10);
    tell("bare.example", KIND(UNPUBLISHED), clock_wall_ms());
    assert_int_equal(row_of("bare.example")->verdict, VERDICT(SUSPECT));
    assert_string_equal(row_of("bare.example")->reason, "domain has neither SPF nor DMARC");
    /* A second verdict of the same time changes nothing; one behind an old does. */
    tell("bare.example", 0, clock_wall_ms());
    assert_int_equal(row_of("bare.example")->verdict, VERDICT(SUSPECT));
    ask("void.example", true, 10);
    tell("void.example", KIND(ABSENT), clock_wall_ms() - 2 * DAY_MS);
    assert_int_equal(row_of("void.example")->verdict, VERDICT(BAD));
    ask("void.example", true, 10);
    assert_int_equal(heard.verdict, VERDICT(BAD));
    assert_true(heard.first); /* it is old: checked again */
    tell("void.example", 0, clock_wall_ms());
    assert_int_equal(row_of("void.example")->verdict, VERDICT(GOOD));
    ask("fine.example", true, 10);
    tell("fine.example", 0, clock_wall_ms() - 2 * DAY_MS);
    ask("fine.example", true, 10);
    assert_false(heard.first);
    tell("fine.example", 0, clock_wall_ms());
    ask("well.example", true, 10);
    tell("well.example", 0, clock_wall_ms() - 31 * DAY_MS);
    ask("well.example", true, 10);
    assert_true(heard.first);
    /* Settings of the cluster weigh it. */
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "judge.domain_published.weight", "20"));
    ask("poor.example", true, 10);
    tell("poor.example", KIND(UNPUBLISHED), clock_wall_ms());
    assert_int_equal(row_of("poor.example")->verdict, VERDICT(BAD));
}

/* An outage of the checks, or names that are made up, must not stop all first mail. */
static void test_the_day(void **state)
{
    (void)state;
    ask("a.example", true, 2);
    ask("b.example", true, 2);
    unsigned writes = world.writes;
    ask("c.example", true, 2);
    assert_int_equal(heard.err, ERR_LIMIT);
    assert_null(row_of("c.example"));
    if (world.writes > writes) /* the group's clock may be of another day than ours */
        assert_int_equal(world.writes, writes + 1);
    ask("a.example", true, 2);
    assert_int_equal(heard.err, ERR_OK);
    ask("c.example", true, 0);
    assert_true(heard.first);
}

/* Another node puts it down between our look and our command. */
static enum world_fate overtaken(struct service_world *of, uint32_t group,
                                 const Pr__Command *command)
{
    Pr__SenderDomain *domains[] = {
        CALL(SenderDomain, sender_domain, .name = TEXT("race.example"), .verdict = VERDICT(BAD),
             .seen_ms = lab->now_ms, .first_ms = lab->now_ms, .judged_ms = clock_wall_ms())};

    (void)group;
    (void)command;
    of->fate = NULL;
    WANT(OK, RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
                 .domains = domains));
    return WORLD_APPLIED;
}

static void test_races(void **state)
{
    (void)state;
    world.fate = overtaken;
    ask("race.example", true, 10);
    assert_int_equal(heard.err, ERR_OK);
    assert_false(heard.first);
    assert_int_equal(heard.verdict, VERDICT(BAD));
}

/* Another node puts down the last one of the day meanwhile: ours is not, and is told so. */
static enum world_fate full(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    Pr__SenderDomain *domains[] = {CALL(SenderDomain, sender_domain,
                                        .name = TEXT("last.example"), .seen_ms = lab->now_ms,
                                        .first_ms = lab->now_ms)};

    (void)group;
    (void)command;
    of->fate = NULL;
    WANT(OK, RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
                 .domains = domains));
    return WORLD_APPLIED;
}

static void test_the_last_of_the_day(void **state)
{
    (void)state;
    world.fate = full;
    ask("late.example", true, 1);
    assert_int_equal(world.writes, 1);
    assert_int_equal(heard.err, ERR_LIMIT);
    assert_null(row_of("late.example"));
}

/* However long ago it was said. */
static void test_settled_for_good(void **state)
{
    Pr__SenderDomain *domains[] = {CALL(SenderDomain, sender_domain,
                                        .name = TEXT("old.example"), .verdict = VERDICT(BAD),
                                        .settled = true, .seen_ms = clock_wall_ms(),
                                        .judged_ms = clock_wall_ms() - 60 * DAY_MS)};

    (void)state;
    WANT(OK, RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
                 .domains = domains));
    ask("old.example", true, 10);
    assert_int_equal(heard.verdict, VERDICT(BAD));
    assert_false(heard.first);
    tell("old.example", 0, clock_wall_ms());
    assert_int_equal(row_of("old.example")->verdict, VERDICT(BAD));
}

static void operator_puts(const char *name, Pr__SenderDomainVerdict verdict)
{
    struct service_call *call = call_new();
    Pr__SenderDomainPut *put = arena_alloc(&call->call_arena, sizeof(*put));
    Pr__SenderDomain *row = arena_alloc(&call->call_arena, sizeof(*row));
    unsigned before = heard.count;

    pr__sender_domain_put__init(put);
    pr__sender_domain__init(row);
    row->name = arena_string(&call->call_arena, bytes_of(name));
    row->verdict = verdict;
    put->domains = arena_alloc(&call->call_arena, sizeof(*put->domains));
    put->domains[0] = row;
    put->n_domains = 1;
    call->request->sender_domain_put = put;
    sender_domain_put_call(call);
    if (heard.count == before)
        run(before);
}

static void operator_lists(const char *name, const char *after, uint32_t limit)
{
    struct service_call *call = call_new();
    Pr__SenderDomainList *list = arena_alloc(&call->call_arena, sizeof(*list));

    pr__sender_domain_list__init(list);
    list->name = arena_string(&call->call_arena, bytes_of(name));
    list->after = arena_string(&call->call_arena, bytes_of(after));
    list->limit = limit;
    call->request->sender_domain_list = list;
    sender_domain_list_call(call);
}

/* Their word replaces any verdict, and is not checked away. */
static void test_operators(void **state)
{
    (void)state;
    ask("odd.example", true, 10);
    tell("odd.example", KIND(ABSENT), clock_wall_ms() - 60 * DAY_MS);
    operator_puts("odd.example", VERDICT(GOOD));
    assert_int_equal(heard.err, ERR_OK);
    assert_true(row_of("odd.example")->settled);
    assert_int_equal(row_of("odd.example")->n_findings, 0);
    tell("odd.example", KIND(ABSENT), clock_wall_ms());
    assert_int_equal(row_of("odd.example")->verdict, VERDICT(GOOD));
    operator_puts("odd.example", VERDICT(CHECKING));
    assert_false(row_of("odd.example")->settled);
    tell("odd.example", KIND(ABSENT), clock_wall_ms());
    assert_int_equal(row_of("odd.example")->verdict, VERDICT(BAD));
    operator_puts("nodot", VERDICT(GOOD));
    assert_int_equal(heard.err, ERR_INVALID);
    operator_puts("zoo.example", VERDICT(BAD));
    operator_lists("", "", 1);
    assert_string_equal(heard.listed, "odd.example ");
    operator_lists("", "odd.example", 0);
    assert_string_equal(heard.listed, "zoo.example ");
    operator_lists("zoo.example", "", 0);
    assert_string_equal(heard.listed, "zoo.example ");
    operator_lists("none.example", "", 0);
    assert_string_equal(heard.listed, "");
    operator_lists("nodot", "", 0);
    assert_int_equal(heard.err, ERR_INVALID);
}

static void test_old_formats(void **state)
{
    (void)state;
    world_end();
    lab_close(lab);
    directory_lab_open(lab, FORMAT_SCOPES);
    world_begin(lab);
    ask("new.example", true, 10);
    assert_int_equal(heard.err, ERR_UNSUPPORTED);
    assert_int_equal(world.writes, 0);
}

static const char *similar(const char *domain)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct settings settings;

    settings_init(&settings, &lab->arena);
    settings_put(&settings, SETTINGS_CLUSTER, BYTES("newdomain.protected"),
                 BYTES("westbank.example www.shop.example"));
    struct bytes found = sender_domain_similar(txn, &settings, bytes_of(domain), &lab->arena);
    db_abort(&txn);
    return arena_string(&lab->arena, found);
}

static void test_similar(void **state)
{
    (void)state;
    WANT(OK, directory_lab_domain(lab, "musterhaus.example", "acme"));
    assert_string_equal(similar("rnusterhaus.net"), "musterhaus.example");
    assert_string_equal(similar("musterhous.net"), ""); /* near is for those that are named */
    assert_string_equal(similar("westbanc.net"), "westbank.example");
    assert_string_equal(similar("westbank.example"), "");
    assert_string_equal(similar("musterhaus.example"), "");
    assert_string_equal(similar("fine.example"), "");
    WANT(OK, directory_lab_domain(lab, "mail.rnusterhaus.example", "acme"));
    assert_string_equal(similar("rnusterhaus.example"), ""); /* ours, whatever it looks like */
    /* All of it: a front end's check, and the store's own part of it. */
    ask("rnusterhaus.net", true, 10);
    tell("rnusterhaus.net", 0, clock_wall_ms());
    assert_int_equal(row_of("rnusterhaus.net")->verdict, VERDICT(SUSPECT));
    assert_string_equal(row_of("rnusterhaus.net")->reason,
                        "domain looks like musterhaus.example");
    assert_int_equal(row_of("rnusterhaus.net")->findings[0]->kind, KIND(SIMILAR));
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "newdomain.protect_own", "off"));
    ask("musterh4us.net", true, 10);
    tell("musterh4us.net", 0, clock_wall_ms());
    assert_int_equal(row_of("musterh4us.net")->verdict, VERDICT(GOOD));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_last_of_the_day),
        TEST(test_settled_for_good),
        TEST(test_asking),
        TEST(test_verdicts),
        TEST(test_the_day),
        TEST(test_races),
        TEST(test_operators),
        TEST(test_old_formats),

        TEST(test_similar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
