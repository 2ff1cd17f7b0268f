/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a domain's name looks like. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/sender_domain_likeness.h"

static bool like(const char *domain, const char *other, enum likeness_how how)
{
    struct likeness *likeness = likeness_new(bytes_of(domain));

    assert_non_null(likeness);
    bool is_like = likeness_with(likeness, bytes_of(other), how);
    likeness_free(&likeness);
    return is_like;
}

static void test_likeness(void **state)
{
    static const struct {
        const char *domain;
        const char *other;
        bool looks;
        bool near;
    } rows[] = {
        {"paypa1.com", "paypal.com", true, true},
        {"paypa1.co.uk", "www.paypal.com", true, true},
        {"xn--pypal-4ve.com", "paypal.com", true, true}, /* Cyrillic a */
        {"xn--80ak6aa92e.com", "apple.com", true, true}, /* Cyrillic altogether */
        {"arnazon.com", "amazon.com", true, true},       /* rn for m */
        {"g00gle.org", "google.com", true, true},
        {"vvestbank.example", "westbank.example", true, true},
        {"paypal.com", "paypal.com", false, false},
        {"paypal.net", "paypal.com", false, false}, /* the same label */
        {"paypall.com", "paypal.com", false, true}, /* one more */
        {"payal.com", "paypal.com", false, true},   /* one less */
        {"papyal.com", "paypal.com", false, true},  /* changed over */
        {"paybal.com", "paypal.com", false, true},
        {"paybals.com", "paypal.com", false, false}, /* two are too many here */
        {"deutschbanc.example", "deutschebank.example", false, true},
        {"paypal-login.com", "paypal.com", false, true},
        {"my-paypa1-login.com", "paypal.com", false, true},
        {"paypalogin.com", "paypal.com", false, false},
        {"bank-x.com", "bank.com", false, false}, /* too short for a part */
        {"ebay.com", "bay.com", false, false},    /* too short altogether */
        {"abd.de", "abc.de", false, false},
        {"0815.de", "o8l5.de", true, true},
        {"acme.com", "emca.com", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (like(rows[i].domain, rows[i].other, LIKENESS_LOOKS) != rows[i].looks ||
            like(rows[i].domain, rows[i].other, LIKENESS_NEAR) != rows[i].near)
            fail_msg("%s and %s", rows[i].domain, rows[i].other);
    }
    assert_null(likeness_new(BYTES("")));
    struct likeness *likeness = likeness_new(BYTES("acme.co.uk"));
    assert_true(likeness_same(likeness, BYTES("acme.co.uk")));
    assert_true(likeness_same(likeness, BYTES("mail.acme.co.uk")));
    assert_false(likeness_same(likeness, BYTES("badacme.co.uk")));
    assert_false(likeness_same(likeness, BYTES("co.uk")));
    likeness_free(&likeness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_likeness)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
