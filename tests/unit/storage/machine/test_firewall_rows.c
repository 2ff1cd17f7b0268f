/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the firewall, and domains that mail came from, in the directory. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/directory_firewall.h"
#include "storage/machine/directory_sender_domains.h"
#include "storage/query/addresses_list.h"
#include "storage/query/settings.h"
#include "tests/unit/storage/directory_lab.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

#define ALLOW PR__FIREWALL_ACTION__FIREWALL_ALLOW
#define DENY PR__FIREWALL_ACTION__FIREWALL_DENY
#define BAN PR__FIREWALL_ACTION__FIREWALL_BAN
#define EXEMPT PR__FIREWALL_ACTION__FIREWALL_EXEMPT

static int setup(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

static Pr__FirewallEntry *entry(const char *net, Pr__FirewallAction action, uint64_t until_ms)
{
    Pr__FirewallEntry *made = arena_alloc(&lab->arena, sizeof(*made));

    pr__firewall_entry__init(made);
    made->net = arena_string(&lab->arena, bytes_of(net));
    made->action = action;
    made->since_ms = lab->now_ms;
    made->until_ms = until_ms;
    made->reason = arena_string(&lab->arena, BYTES("because"));
    return made;
}

static Pr__Outcome *put(const char *net, Pr__FirewallAction action, uint64_t until_ms)
{
    Pr__FirewallEntry *entries[] = {entry(net, action, until_ms)};

    return RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = 1, .entries = entries);
}

static Pr__Outcome *gone(const char *net, bool only_bans)
{
    return RUN(FirewallRemove, firewall_remove, FIREWALL_REMOVE, LIST(nets, net),
               .only_bans = only_bans);
}

static uint64_t version(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t found = firewall_version(txn);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return found;
}

/* The nets that are there, with blanks in between; each page has `limit`. */
static const char *nets(unsigned limit, bool bans)
{
    struct db_txn *txn = db_read_begin(lab->db);
    char *text = arena_string(&lab->arena, BYTES(""));
    struct bytes after = BYTES("");
    bool more = true;

    while (more) {
        Pr__FirewallEntry **found;
        size_t count;
        assert_int_equal(firewall_entries(txn, after, limit, bans, &lab->arena, &found, &count,
                                          &after, &more),
                         ERR_OK);
        for (size_t i = 0; i < count; i++)
            text = arena_printf(&lab->arena, "%s%s%c%s", text, text[0] != '\0' ? " " : "",
                                "+-!="[found[i]->action], found[i] -> net);
        assert_true(count == limit || !more);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    return text;
}

static const char *about(const char *net, unsigned skip, unsigned limit)
{
    struct db_txn *txn = db_read_begin(lab->db);
    char *text = arena_string(&lab->arena, BYTES(""));
    Pr__FirewallEntry **found;
    size_t count;
    bool more;

    assert_int_equal(firewall_entries_about(txn, bytes_of(net), skip, limit, &lab->arena,
                                            &found, &count, &more),
                     ERR_OK);
    for (size_t i = 0; i < count; i++)
        text = arena_printf(&lab->arena, "%s%s%s", text, i > 0 ? " " : "", found[i]->net);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return more ? arena_printf(&lab->arena, "%s ...", text) : text;
}

static void test_put_and_removed(void **state)
{
    uint64_t before = version();

    (void)state;
    WANT(OK, put("192.0.2.0/24", DENY, 0));
    assert_true(lab->events.firewall_changed);
    assert_int_equal(version(), before + 1);
    WANT(OK, put("2001:db8::/32", BAN, lab->now_ms + 1000));
    WANT(OK, put("AS64500", ALLOW, 0));
    WANT(OK, put("192.0.2.7", EXEMPT, 0));
    assert_string_equal(nets(10, false), "-192.0.2.0/24 =192.0.2.7 !2001:db8::/32 +AS64500");
    assert_string_equal(nets(1, false), nets(10, false));
    assert_string_equal(nets(10, true), "!2001:db8::/32");
    /* The same net in other words. */
    WANT(OK, put("2001:DB8:0::/32", BAN, lab->now_ms + 5000));
    assert_string_equal(nets(10, true), "!2001:db8::/32");
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, 4);
    WANT(NOTFOUND, gone("192.0.2.0/24", true));
    WANT(OK, gone("192.0.2.0/24", false));
    WANT(NOTFOUND, gone("192.0.2.0/24", false));
    WANT(OK, gone("2001:db8::/32", true));
    assert_string_equal(nets(10, false), "=192.0.2.7 +AS64500");
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, 2);
}

static void bans_put(unsigned count)
{
    Pr__FirewallEntry **many = arena_alloc(&lab->arena, count * sizeof(*many));

    for (unsigned i = 0; i < count; i++)
        many[i] = entry(arena_printf(&lab->arena, "10.0.%u.%u", i / 256, i % 256), BAN, 0);
    WANT(OK, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = count, .entries = many));
}

/* What has expired counts for nothing also where no sweep has been yet. */
static void test_an_expired_allow_gives_way(void **state)
{
    Pr__Outcome *outcome;

    (void)state;
    bans_put(FIREWALL_COMMAND_MAX);
    WANT(OK, put("192.0.2.7", ALLOW, lab->now_ms + 1000));
    lab->now_ms += 1000;
    outcome = put("192.0.2.7", BAN, 0);
    WANT(OK, outcome);
    assert_int_equal(outcome->id, 1);
    assert_string_equal(about("192.0.2.7", 0, 10), "192.0.2.7");
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, FIREWALL_COMMAND_MAX + 1);
}

static void test_bans_give_way(void **state)
{
    uint64_t before;
    Pr__Outcome *outcome;

    (void)state;
    WANT(OK, put("192.0.2.7", ALLOW, lab->now_ms + 1000));
    WANT(OK, put("192.0.2.8", DENY, 0));
    before = version();
    outcome = put("192.0.2.7", BAN, 0);
    WANT(OK, outcome);
    assert_int_equal(outcome->id, 0);
    WANT(OK, put("192.0.2.7", EXEMPT, 0));
    WANT(OK, put("192.0.2.8", BAN, 0));
    assert_int_equal(version(), before);
    assert_string_equal(nets(10, false), "+192.0.2.7 -192.0.2.8");
    /* What an operator said for a time does not count after it. */
    lab->now_ms += 1000;
    WANT(OK, put("192.0.2.7", BAN, 0));
    assert_string_equal(nets(10, false), "!192.0.2.7 -192.0.2.8");
    WANT(OK, put("192.0.2.7", DENY, 0));
    assert_string_equal(nets(10, false), "-192.0.2.7 -192.0.2.8");
}

static void test_what_is_no_entry(void **state)
{
    static const char *const wrong[] = {
        "",           "192.0.2.1/24", "192.0.2",          "AS0",           "AS", "as64500",
        "192.0.2.1/", "192.0.2.1/33", "::ffff:192.0.2.1", "2001:db8::1/32"};
    Pr__FirewallEntry *two[2];
    Pr__FirewallEntry **many =
        arena_alloc(&lab->arena, (FIREWALL_COMMAND_MAX + 1) * sizeof(*many));
    char *reason = arena_alloc(&lab->arena, FIREWALL_REASON_SIZE_MAX + 2);

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        WANT(INVALID, put(wrong[i], DENY, 0));
        WANT(INVALID, gone(wrong[i], false));
    }
    WANT(INVALID, put("192.0.2.1", (Pr__FirewallAction)4, 0));
    two[0] = entry("192.0.2.1", DENY, 0);
    two[1] = entry("192.0.2.2", DENY, 0);
    memset(reason, 'r', FIREWALL_REASON_SIZE_MAX + 1);
    two[1]->reason = reason;
    WANT(INVALID, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = 2, .entries = two));
    assert_string_equal(nets(10, false), "");
    reason[FIREWALL_REASON_SIZE_MAX] = '\0';
    WANT(OK, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = 2, .entries = two));
    for (unsigned i = 0; i <= FIREWALL_COMMAND_MAX; i++)
        many[i] = entry(arena_printf(&lab->arena, "10.0.%u.%u", i / 256, i % 256), BAN, 0);
    WANT(TOOBIG, RUN(FirewallPut, firewall_put, FIREWALL_PUT,
                     .n_entries = FIREWALL_COMMAND_MAX + 1, .entries = many));
    WANT(OK, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = FIREWALL_COMMAND_MAX,
                 .entries = many));
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, FIREWALL_COMMAND_MAX + 2);
}

/* So many commands, and what has expired is gone, wherever it lies. */
static void test_expired_go_step_by_step(void **state)
{
    enum { BANS = 1000 };
    Pr__FirewallEntry **many = arena_alloc(&lab->arena, BANS * sizeof(*many));
    uint64_t before;

    (void)state;
    for (unsigned i = 0; i < BANS; i++)
        many[i] = entry(arena_printf(&lab->arena, "10.0.%u.%u", i / 256, i % 256), BAN,
                        i % 2 == 0 ? lab->now_ms + 1000 : 0);
    WANT(OK, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = BANS, .entries = many));
    lab->now_ms += 1000;
    for (unsigned i = 0; i < 40; i++)
        WANT(OK, put("192.0.2.1", DENY, 0));
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, BANS / 2 + 1);
    directory_lab_recount(lab);
    /* A version goes up also when all that a command did was to take some away. */
    for (unsigned i = 0; i < BANS; i += 2)
        many[i]->until_ms = lab->now_ms + 10;
    WANT(OK, RUN(FirewallPut, firewall_put, FIREWALL_PUT, .n_entries = BANS, .entries = many));
    lab->now_ms += 10;
    before = version();
    for (unsigned i = 0; i < 40; i++)
        WANT(OK, put("192.0.2.1", BAN, 0));
    assert_int_equal(directory_lab_cluster(lab)->firewall_entries, BANS / 2 + 1);
    assert_true(version() > before && version() < before + 40);
}

static void test_those_that_meet_a_net(void **state)
{
    static const char *const all[] = {
        "0.0.0.0/0",   "10.0.0.0/8",  "10.1.0.0/16", "10.1.2.0/24",   "10.1.2.3",    "10.1.2.4",
        "10.1.3.0/24", "10.2.0.0/16", "::/0",        "2001:db8::/32", "2001:db8::1", "AS64500"};

    (void)state;
    for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
        WANT(OK, put(all[i], DENY, 0));
    assert_string_equal(about("10.1.2.3", 0, 10),
                        "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3");
    assert_string_equal(about("10.1.0.0/16", 0, 10),
                        "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 10.1.2.0/24 10.1.2.3 10.1.2.4 "
                        "10.1.3.0/24");
    assert_string_equal(about("10.1.0.0/17", 2, 3), "10.1.0.0/16 10.1.2.0/24 10.1.2.3 ...");
    assert_string_equal(about("10.1.0.0/17", 5, 2), "10.1.2.4 10.1.3.0/24");
    assert_string_equal(about("2001:db8::7", 0, 10), "::/0 2001:db8::/32");
    assert_string_equal(about("::/0", 0, 10), "::/0 2001:db8::/32 2001:db8::1");
    assert_string_equal(about("AS64500", 0, 10), "AS64500");
    assert_string_equal(about("AS64501", 0, 10), "");
}

/* ---- domains that mail came from ---- */

#define CHECKING PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING
#define GOOD PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD
#define BAD PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD

static Pr__Outcome *seen(const char *name, Pr__SenderDomainVerdict verdict, bool force)
{
    Pr__SenderDomain *domains[] = {
        CALL(SenderDomain, sender_domain, .name = arena_string(&lab->arena, bytes_of(name)),
             .verdict = verdict, .seen_ms = lab->now_ms, .first_ms = lab->now_ms,
             .judged_ms = verdict != CHECKING ? lab->now_ms : 0)};

    return RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
               .domains = domains, .force = force);
}

static Pr__SenderDomain *known(const char *name)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__SenderDomain *found = sender_domain(txn, bytes_of(name), &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return found;
}

static void test_a_domain_is_judged_once(void **state)
{
    uint64_t first_ms = lab->now_ms;
    Pr__Outcome *outcome = seen("new.example", CHECKING, false);

    (void)state;
    WANT(OK, outcome);
    assert_int_equal(outcome->id, 1);
    lab->now_ms += 1000;
    assert_int_equal(seen("new.example", CHECKING, false)->id, 0);
    assert_int_equal(known("new.example")->first_ms, first_ms);
    assert_int_equal(known("new.example")->seen_ms, lab->now_ms);
    WANT(OK, seen("new.example", GOOD, false));
    assert_int_equal(known("new.example")->verdict, GOOD);
    assert_int_equal(known("new.example")->judged_ms, lab->now_ms);
    WANT(OK, seen("new.example", BAD, false));
    WANT(OK, seen("new.example", CHECKING, false));
    assert_int_equal(known("new.example")->verdict, GOOD);
    WANT(OK, seen("new.example", BAD, true));
    assert_int_equal(known("new.example")->verdict, BAD);
    assert_int_equal(known("new.example")->first_ms, first_ms);
    WANT(INVALID, seen("example", GOOD, false));
    WANT(INVALID, seen("Upper.example", GOOD, false));
    WANT(INVALID, seen("x.example", (Pr__SenderDomainVerdict)9, false));
    assert_null(known("x.example"));
}

/* A clock that is ahead must not keep one for ever. */
static void test_a_domain_is_forgotten(void **state)
{
    Pr__SenderDomain *ahead[] = {CALL(SenderDomain, sender_domain, .name = TEXT("old.example"),
                                      .seen_ms = UINT64_MAX, .first_ms = UINT64_MAX)};

    (void)state;
    WANT(OK, RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
                 .domains = ahead));
    assert_int_equal(known("old.example")->seen_ms, lab->now_ms);
    /* The group's clock follows a jump at its own speed. */
    for (unsigned i = 0; i < 370; i++) {
        lab->now_ms += (uint64_t)24 * 60 * 60 * 1000;
        for (unsigned k = 0; k < 13; k++)
            WANT(OK, seen("other.example", CHECKING, false));
        if (i < 150)
            assert_non_null(known("old.example"));
    }
    for (unsigned i = 0; i < 10000 && known("old.example") != NULL; i++) {
        lab->now_ms += 60 * 60 * 1000;
        WANT(OK, seen("other.example", CHECKING, false));
    }
    assert_null(known("old.example"));
    assert_non_null(known("other.example"));
    assert_int_equal(directory_lab_cluster(lab)->sender_domains, 1);
}

static void test_pages_of_domains(void **state)
{
    struct db_txn *txn;
    Pr__SenderDomain **found;
    size_t count;

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        WANT(OK, seen(arena_printf(&lab->arena, "d%u.example", i), GOOD, false));
    txn = db_read_begin(lab->db);
    assert_true(sender_domains(txn, BYTES(""), 3, &lab->arena, &found, &count));
    assert_int_equal(count, 3);
    assert_string_equal(found[2]->name, "d2.example");
    assert_false(sender_domains(txn, BYTES("d2.example"), 3, &lab->arena, &found, &count));
    assert_int_equal(count, 2);
    assert_string_equal(found[0]->name, "d3.example");
    assert_int_equal(db_commit(&txn), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bans_give_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_expired_allow_gives_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expired_go_step_by_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_those_that_meet_a_net, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_domain_is_judged_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_domain_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_of_domains, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
