/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains that mail came from: what was found, and how many new ones a day has. The rest is in
 * test_firewall_rows.c. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/directory_sender_domains.h"
#include "storage/query/addresses_list.h"
#include "tests/unit/storage/directory_lab.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)
#define CHECKING PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING
#define GOOD PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD
#define SUSPECT PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT

static struct lab lab_memory;
static struct lab *const lab = &lab_memory;

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lab_close(lab);
    return 0;
}

static Pr__SenderDomain *known(const char *name)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__SenderDomain *found = sender_domain(txn, bytes_of(name), &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return found;
}

static Pr__Outcome *put(Pr__SenderDomain *domain, uint64_t day_max, bool force)
{
    Pr__SenderDomain *domains[] = {domain};

    domain->seen_ms = domain->first_ms = lab->now_ms;
    return RUN(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT, .n_domains = 1,
               .domains = domains, .day_max = day_max, .force = force);
}

static Pr__Outcome *fresh(const char *name, uint64_t day_max)
{
    return put(
        CALL(SenderDomain, sender_domain, .name = arena_string(&lab->arena, bytes_of(name))),
        day_max, false);
}

static void test_new_ones_of_a_day(void **state)
{
    (void)state;
    lab->now_ms += DAY_MS - lab->now_ms % DAY_MS;
    assert_int_equal(fresh("warm.example", 0)->id, 1); /* the group's clock is of today */
    assert_int_equal(fresh("a.example", 3)->id, 1);
    assert_int_equal(fresh("b.example", 3)->id, 1);
    Pr__Outcome *outcome = fresh("c.example", 3);
    WANT(OK, outcome);
    assert_int_equal(outcome->id, 0);
    assert_null(known("c.example"));
    assert_int_equal(fresh("a.example", 3)->id, 0); /* it is known: it was seen again */
    assert_int_equal(directory_lab_cluster(lab)->sender_domains, 3);
    assert_int_equal(directory_lab_cluster(lab)->sender_domains_new, 3);
    /* A verdict, and an operator's word, are not put off. */
    assert_int_equal(put(CALL(SenderDomain, sender_domain, .name = TEXT("d.example"),
                              .verdict = GOOD, .settled = true),
                         3, true)
                         ->id,
                     1);
    assert_int_equal(fresh("c.example", 4)->id, 1);
    lab->now_ms += DAY_MS; /* which the group's clock follows at its own speed */
    for (unsigned i = 0; i < 100000 && known("e.example") == NULL; i++) {
        lab->now_ms += 60 * 1000;
        fresh("e.example", 3);
    }
    assert_non_null(known("e.example"));
    assert_int_equal(directory_lab_cluster(lab)->sender_domains_new, 1);
}

static void test_findings(void **state)
{
    Pr__SenderFinding rows[SENDER_DOMAIN_FINDINGS_MAX + 1];
    Pr__SenderFinding *findings[SENDER_DOMAIN_FINDINGS_MAX + 1];
    char listed[] = "bl.example";
    char long_text[SENDER_DOMAIN_REASON_SIZE_MAX + 2];

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (size_t i = 0; i < SENDER_DOMAIN_FINDINGS_MAX + 1; i++) {
        findings[i] = &rows[i];
        pr__sender_finding__init(findings[i]);
        findings[i]->detail = listed;
        findings[i]->kind = PR__SENDER_FINDING_KIND__SENDER_LISTED;
        findings[i]->answer = 5;
    }
    fresh("a.example", 0);
    WANT(OK,
         put(CALL(SenderDomain, sender_domain, .name = TEXT("a.example"), .verdict = SUSPECT,
                  .findings = findings, .n_findings = SENDER_DOMAIN_FINDINGS_MAX),
             0, false));
    assert_int_equal(known("a.example")->n_findings, SENDER_DOMAIN_FINDINGS_MAX);
    assert_string_equal(known("a.example")->findings[3]->detail, "bl.example");
    assert_int_equal(known("a.example")->findings[3]->answer, 5);
    /* Judged anew, nothing of the old verdict stays. */
    WANT(OK, put(CALL(SenderDomain, sender_domain, .name = TEXT("a.example"), .verdict = GOOD,
                      .settled = true),
                 0, true));
    assert_int_equal(known("a.example")->n_findings, 0);
    assert_true(known("a.example")->settled);
    WANT(TOOBIG,
         put(CALL(SenderDomain, sender_domain, .name = TEXT("b.example"), .verdict = SUSPECT,
                  .findings = findings, .n_findings = SENDER_DOMAIN_FINDINGS_MAX + 1),
             0, false));
    findings[0]->detail = long_text;
    WANT(INVALID, put(CALL(SenderDomain, sender_domain, .name = TEXT("b.example"),
                           .verdict = SUSPECT, .findings = findings, .n_findings = 1),
                      0, false));
    findings[0]->detail = TEXT("two\nlines");
    WANT(INVALID, put(CALL(SenderDomain, sender_domain, .name = TEXT("b.example"),
                           .verdict = SUSPECT, .findings = findings, .n_findings = 1),
                      0, false));
    assert_null(known("b.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_ones_of_a_day, begin, end),
        cmocka_unit_test_setup_teardown(test_findings, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
