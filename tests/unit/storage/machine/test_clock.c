/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A proposer's clock that jumps: what became of requests is remembered all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/machine/apply.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 3, ACCOUNT = 7, HOUR_MS = 60 * 60 * 1000, COMMANDS = 200 };

static int setup(void **state)
{
    static struct lab lab;
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    lab_open(&lab);
    raise.format = FORMAT_SCOPES;
    lab_apply(&lab, GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise));
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_close(*state);
    return 0;
}

static Pr__Command *delivery(struct lab *lab)
{
    Pr__Command *command = arena_alloc(&lab->arena, sizeof(*command));
    Pr__Deliver *deliver = arena_alloc(&lab->arena, sizeof(*deliver));
    Pr__Recipient *recipient = arena_alloc(&lab->arena, sizeof(*recipient));

    pr__command__init(command);
    pr__deliver__init(deliver);
    pr__recipient__init(recipient);
    recipient->account_id = ACCOUNT;
    deliver->body = lab_body(lab, BYTES("text"), 4);
    deliver->recipients = arena_alloc(&lab->arena, sizeof(recipient));
    deliver->recipients[0] = recipient;
    deliver->n_recipients = 1;
    command->call_case = PR__COMMAND__CALL_DELIVER;
    command->deliver = deliver;
    command->request_id = lab_id(lab);
    return command;
}

/* Deliveries of others, which is when what is old is forgotten. */
static void others(struct lab *lab, unsigned count, uint64_t step_ms)
{
    for (unsigned i = 0; i < count; i++) {
        lab->now_ms += step_ms;
        assert_int_equal(lab_apply(lab, GROUP, delivery(lab))->err, ERR_OK);
    }
}

static bool is_remembered(struct lab *lab, Pr__Command *command, const Pr__Outcome *first)
{
    const Pr__Outcome *again = lab_apply(lab, GROUP, command);

    assert_int_equal(again->err, ERR_OK);
    return again->uids[0]->first == first->uids[0]->first;
}

static void a_jump_of_a_clock_forgets_nothing(void **state)
{
    struct lab *lab = *state;
    Pr__Command *command;
    Pr__Outcome *first;

    others(lab, 10, 1000);
    command = delivery(lab);
    first = lab_apply(lab, GROUP, command);
    lab->now_ms += 26 * (uint64_t)HOUR_MS;
    others(lab, COMMANDS, 10);
    assert_true(is_remembered(lab, command, first));
    /* Right clocks and the wrong one by turns, and another one that is wrong by years. */
    for (unsigned i = 0; i < COMMANDS; i++) {
        lab->now_ms -= 26 * (uint64_t)HOUR_MS;
        others(lab, 1, 10);
        lab->now_ms += 26 * (uint64_t)HOUR_MS;
        others(lab, 1, 10);
    }
    lab->now_ms += 9000 * (uint64_t)HOUR_MS;
    others(lab, COMMANDS, 10);
    assert_true(is_remembered(lab, command, first));
}

static void what_is_old_is_forgotten(void **state)
{
    struct lab *lab = *state;
    Pr__Command *command = delivery(lab);
    Pr__Outcome *first = lab_apply(lab, GROUP, command);

    others(lab, 23, HOUR_MS);
    assert_true(is_remembered(lab, command, first));
    others(lab, 3, HOUR_MS);
    assert_false(is_remembered(lab, command, first));
}

/* A quiet day is made up for. */
static void a_quiet_time_is_made_up_for(void **state)
{
    struct lab *lab = *state;
    Pr__Command *command;
    Pr__Outcome *first;

    others(lab, 1, 1000);
    others(lab, 1, 24 * (uint64_t)HOUR_MS);
    others(lab, 24 * 60, HOUR_MS / 60);
    command = delivery(lab);
    first = lab_apply(lab, GROUP, command);
    others(lab, 25 * 60, HOUR_MS / 60);
    assert_false(is_remembered(lab, command, first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_jump_of_a_clock_forgets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_old_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quiet_time_is_made_up_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
