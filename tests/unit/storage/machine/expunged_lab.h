/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One account of one group that keeps what is expunged. Included by tests, once in each. */
#ifndef TESTS_UNIT_STORAGE_MACHINE_EXPUNGED_LAB_H
#define TESTS_UNIT_STORAGE_MACHINE_EXPUNGED_LAB_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/flags.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 7, INBOX = 1 };

static const struct query_account account = {.group = GROUP, .account_id = ACCOUNT};

static inline void format_raise(struct lab *lab)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    raise.format = FORMAT_DEPTH;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err, ERR_OK);
}

static inline int setup(void **state)
{
    static struct lab lab;

    lab_open(&lab);
    format_raise(&lab);
    *state = &lab;
    return 0;
}

static inline int teardown(void **state)
{
    lab_invariants(*state, GROUP);
    lab_close(*state);
    return 0;
}

static inline void flag(struct lab *lab, uint32_t mailbox_id, uint32_t first, uint32_t last,
                        uint64_t flags)
{
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    char *keywords[] = {arena_string(&lab->arena, BYTES("work"))};

    change.account_id = ACCOUNT;
    change.mailbox_id = mailbox_id;
    change.uids = lab_ranges(lab, 1, (uint32_t[]){first, last});
    change.n_uids = 1;
    change.mode = PR__FLAGS_CHANGE__MODE__ADD;
    change.flags = flags;
    change.keywords = keywords;
    change.n_keywords = 1;
    assert_int_equal(
        lab_apply(lab, GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change))->err, ERR_OK);
}

static inline Pr__Outcome *expunge(struct lab *lab, uint32_t first, uint32_t last, bool keep)
{
    Pr__Expunge call = PR__EXPUNGE__INIT;
    Pr__Outcome *outcome;

    flag(lab, INBOX, first, last, FLAG_DELETED | FLAG_SEEN);
    call.account_id = ACCOUNT;
    call.mailbox_id = INBOX;
    call.keep = keep;
    outcome = lab_apply(lab, GROUP, LAB_COMMAND(expunge, EXPUNGE, &call));
    assert_int_equal(outcome->err, ERR_OK);
    return outcome;
}

#endif
