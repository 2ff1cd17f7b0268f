/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What operators see of aliases, lists and domains: pages, filters, and what changes between
 * two pages. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/query/addresses_list.h"
#include "storage/service/address_lists.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

enum { OPERATOR = 3, HUNG_S = 20 };

static struct lab the_lab;
static struct lab *const lab = &the_lab;

/* Of names itself its own test knows. */
bool operator_domain(struct service_call *call, const char *typed, struct bytes *folded)
{
    char *lower = arena_string(&call->call_arena, bytes_of(typed));

    for (char *at = lower; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    if (lower[0] == '!' || lower[0] == '<') {
        call_fail(call, ERR_INVALID, "that is no name");
        return false;
    }
    *folded = bytes_of(lower);
    return true;
}

bool operator_address(struct service_call *call, const char *typed, struct bytes *folded)
{
    return operator_domain(call, typed, folded);
}

static char *text(const char *source)
{
    return arena_string(&lab->arena, bytes_of(source));
}

static const Pr__AliasListAnswer *page(const char *domain, const char *after, unsigned limit,
                                       bool lists)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_ALIAS_LIST);

    request->alias_list =
        CALL(AliasList, alias_list, .domain = text(domain), .after = text(after),
             .limit = limit, .lists = lists, .address = text(""));
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, alias_list_call), ERR_OK);
    assert_int_equal(heard.reply->answer_case, PR__REPLY__ANSWER_ALIAS_LIST);
    return heard.reply->alias_list;
}

static const Pr__AliasListAnswer *one(const char *address, bool lists)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_ALIAS_LIST);

    request->alias_list = CALL(AliasList, alias_list, .domain = text(""), .after = text(""),
                               .lists = lists, .address = text(address));
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, alias_list_call), ERR_OK);
    return heard.reply->alias_list;
}

/* All pages, "a@x b@x ...", and how many there were. */
static const char *all(const char *domain, unsigned limit, bool lists, unsigned *pages)
{
    struct buffer names = BUFFER_EMPTY;
    const char *after = "";
    const Pr__AliasListAnswer *answer;

    *pages = 0;
    do {
        answer = page(domain, after, limit, lists);
        assert_true(answer->n_aliases <= limit);
        assert_true(answer->n_aliases > 0 || !answer->more);
        for (size_t i = 0; i < answer->n_aliases; i++)
            buffer_printf(&names, "%s ", answer->aliases[i]->address);
        if (answer->n_aliases > 0)
            after = answer->aliases[answer->n_aliases - 1]->address;
        ++*pages;
    } while (answer->more);
    const char *copy = arena_string(&lab->arena, buffer_bytes(&names));
    buffer_fini(&names);
    return copy;
}

static void add(const char *address)
{
    WANT(OK, directory_lab_alias(lab, address, "ann@acme.example"));
}

static void drop(const char *address)
{
    WANT(OK, RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = text(address)));
}

/* Aliases a to e, lists k to m of acme.example; z of sub.example, a of bar.example. */
static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    world_begin(lab);
    heard = (struct calls_heard){0, NULL};
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    for (char letter = 'a'; letter <= 'e'; letter++)
        add(arena_printf(&lab->arena, "%c@acme.example", letter));
    for (char letter = 'k'; letter <= 'm'; letter++)
        WANT(OK, directory_lab_list(lab, arena_printf(&lab->arena, "%c@acme.example", letter),
                                    "ann@acme.example", "ann@acme.example"));
    add("z@sub.example");
    WANT(OK, directory_lab_alias(lab, "a@bar.example", "x@far.example"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_end();
    lab_close(lab);
    return 0;
}

#define ACME "a@acme.example b@acme.example c@acme.example d@acme.example e@acme.example "
#define LISTS "k@acme.example l@acme.example m@acme.example "

static void test_pages(void **state)
{
    unsigned pages;

    (void)state;
    for (unsigned limit = 1; limit <= 8; limit++) {
        assert_string_equal(all("acme.example", limit, false, &pages), ACME);
        assert_true(pages >= (5 + limit - 1) / limit);
        assert_true(pages <= 5 / limit + 1);
        assert_string_equal(all("acme.example", limit, true, &pages), LISTS);
        assert_string_equal(all("", limit, false, &pages), ACME "a@bar.example z@sub.example ");
    }
    const Pr__AliasListAnswer *whole = page("", "", 0, false);
    assert_int_equal(whole->n_aliases, 7);
    assert_false(whole->more);
    assert_string_equal(whole->aliases[0]->targets[0], "ann@acme.example");
}

static void test_filters(void **state)
{
    unsigned pages;

    (void)state;
    assert_string_equal(all("SUB.example", 5, false, &pages), "z@sub.example ");
    assert_string_equal(all("sub.example", 5, true, &pages), "");
    assert_string_equal(all("acme.exampl", 5, false, &pages), "");
    assert_string_equal(all("none.example", 5, false, &pages), "");
    assert_int_equal(one("A@acme.example", false)->n_aliases, 1);
    assert_string_equal(heard.reply->alias_list->aliases[0]->address, "a@acme.example");
    assert_int_equal(one("a@acme.example", true)->n_aliases, 0);
    assert_int_equal(one("k@acme.example", true)->n_aliases, 1);
    assert_int_equal(one("k@acme.example", false)->n_aliases, 0);
    assert_int_equal(one("ann@acme.example", false)->n_aliases, 0);
    /* Behind an address of another domain there are none of that one. */
    assert_int_equal(page("bar.example", "z@sub.example", 5, false)->n_aliases, 0);
    Pr__Request *request = calls_request(PR__REQUEST__CALL_ALIAS_LIST);
    request->alias_list = CALL(AliasList, alias_list, .domain = text("!"), .after = text(""),
                               .address = text(""));
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, alias_list_call), ERR_INVALID);
}

/* The one that a page ended with is gone, so is one ahead; others have come on both sides. */
static void test_change_between(void **state)
{
    (void)state;
    const Pr__AliasListAnswer *first = page("acme.example", "", 2, false);
    assert_string_equal(first->aliases[1]->address, "b@acme.example");
    assert_true(first->more);
    drop("b@acme.example");
    drop("c@acme.example");
    add("aa@acme.example");
    add("dd@acme.example");
    const Pr__AliasListAnswer *second = page("acme.example", "b@acme.example", 2, false);
    assert_int_equal(second->n_aliases, 2);
    assert_string_equal(second->aliases[0]->address, "d@acme.example");
    assert_string_equal(second->aliases[1]->address, "dd@acme.example");
    assert_true(second->more);
    drop("e@acme.example");
    assert_int_equal(page("acme.example", "dd@acme.example", 2, false)->n_aliases, 0);
    assert_false(heard.reply->alias_list->more);
}

static void put(struct db_txn *txn, const char *local, struct bytes row)
{
    struct key key;

    db_put(txn, TABLE_ALIAS,
           key_address(&key, DIRECTORY_GROUP, bytes_of(local), BYTES("acme.example")), row);
}

/* A list behind more aliases than one look goes over: no page is empty but the last. */
static void test_many_others(void **state)
{
    struct db_txn *txn = db_write_begin(lab->db);
    char local[20];
    char address[40];
    unsigned pages;

    (void)state;
    for (unsigned i = 0; i <= ALIASES_LOOKS_MAX; i++) {
        struct buffer row = BUFFER_EMPTY;
        snprintf(local, sizeof(local), "f%05u", i);
        snprintf(address, sizeof(address), "%s@acme.example", local);
        message_pack(&CALL(AliasRecord, alias_record, .address = address)->base, &row);
        put(txn, local, buffer_bytes(&row));
        buffer_fini(&row);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_string_equal(all("", 2, true, &pages), LISTS);
    assert_int_equal(page("acme.example", "", 100000, false)->n_aliases, OPERATOR_LIST_MAX);
    assert_true(heard.reply->alias_list->more);
}

/* A row that cannot be read is an error of the node, not the end, and not for ever. */
static void test_unreadable(void **state)
{
    struct db_txn *txn = db_write_begin(lab->db);
    Pr__Request *request = calls_request(PR__REQUEST__CALL_ALIAS_LIST);

    (void)state;
    put(txn, "b", BYTES("\xff\xff\xff"));
    assert_int_equal(db_commit(&txn), ERR_OK);
    request->alias_list = CALL(AliasList, alias_list, .domain = text(""), .limit = 10,
                               .after = text("a@acme.example"), .address = text(""));
    alarm(HUNG_S);
    assert_int_not_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, alias_list_call), ERR_OK);
    alarm(0);
}

/* Without a majority it is what this node last knew, and says so. */
static void test_stale(void **state)
{
    (void)state;
    assert_string_equal(page("", "", 0, false) != NULL ? heard.reply->text : "", "");
    world.reads_fail = true;
    assert_int_equal(page("acme.example", "", 0, false)->n_aliases, 5);
    assert_non_null(strstr(heard.reply->text, "no majority"));
}

static enum err show(const char *name)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_DOMAIN_SHOW);

    request->domain_show = CALL(DomainShow, domain_show, .name = text(name));
    return calls_ask(ROLE_OPERATOR, OPERATOR, request, domain_show_call);
}

static void test_domain(void **state)
{
    (void)state;
    assert_int_equal(show("ACME.example"), ERR_OK);
    assert_string_equal(heard.reply->domain_show->domain->tenant, "acme");
    assert_int_equal(heard.reply->domain_show->domain->aliases, 8);
    assert_int_equal(show("none.example"), ERR_NOTFOUND);
    assert_non_null(strstr(heard.reply->text, "none.example"));
    assert_int_equal(show("!"), ERR_INVALID);
}

static const Pr__AddressExplainAnswer *explain(const char *address, const char *sender)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_ADDRESS_EXPLAIN);

    request->address_explain =
        CALL(AddressExplain, address_explain, .address = text(address), .sender = text(sender));
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, address_explain_call), ERR_OK);
    return heard.reply->address_explain;
}

static void test_explain(void **state)
{
    const Pr__AddressExplainAnswer *answer = explain("B@acme.example", "");

    (void)state;
    assert_int_equal(answer->err, ERR_OK);
    assert_int_equal(answer->resolved->n_targets, 1);
    assert_true(answer->n_steps > 0);
    answer = explain("nobody@acme.example", "<>");
    assert_int_equal(answer->err, ERR_NOTFOUND);
    answer = explain("b@acme.example", "<>");
    assert_int_equal(answer->err, ERR_OK);
    answer = explain("b@acme.example", "Somebody@far.example");
    assert_int_equal(answer->err, ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pages),       TEST(test_filters),    TEST(test_change_between),
        TEST(test_many_others), TEST(test_unreadable), TEST(test_stale),
        TEST(test_domain),      TEST(test_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
