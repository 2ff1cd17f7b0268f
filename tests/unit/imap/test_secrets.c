/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "tests/unit/imap/fake_store.h"

/*
 * Passwords do not stay in memory that the session gives back: every block is looked into when
 * it is freed (the linker puts __wrap_free in the place of free).
 */
#define SECRET "Correct-Horse-Battery-Staple"
#define SECRET_BASE64 "Q29ycmVjdC1Ib3JzZS1CYXR0ZXJ5LVN0YXBsZQ=="
#define PLAIN_BASE64 "AHkAQ29ycmVjdC1Ib3JzZS1CYXR0ZXJ5LVN0YXBsZQ=="

void __real_free(void *memory);
void __wrap_free(void *memory);

/* volatile: the compiler knows that free() looks at neither. */
static volatile bool looking;
static volatile unsigned found;

/* Of base64, any eight letters of the middle give some of the secret away. */
void __wrap_free(void *memory)
{
    if (looking && memory != NULL) {
        size_t size = malloc_usable_size(memory);
        found += memmem(memory, size, "Horse-Ba", 8) != NULL;
        found += memmem(memory, size, "1Ib3JzZS", 8) != NULL;
    }
    __real_free(memory);
}

/* What the server does with a call, without a store behind it. */
static void answer(struct imap_session *session, const struct imap_action *action, bool right)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__AuthStepAnswer step = PR__AUTH_STEP_ANSWER__INIT;
    char address[] = "ann@example.org";

    CHECK(action->request->call_case == PR__REQUEST__CALL_AUTH_STEP);
    bool goes_on = !action->request->auth_step->initial;
    step.exchange = goes_on;
    step.session = !goes_on && right ? 77 : 0;
    if (step.session != 0)
        step.address = address;
    reply.answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    reply.auth_step = &step;
    reply.err = right || goes_on ? ERR_OK : ERR_DENIED;
    imap_session_answered(session, action->ticket, ERR_OK, &reply);
}

static void converse(struct bytes input, size_t piece, bool right)
{
    static const struct imap_session_config config = {
        .hostname = "imap.test", .login_failures_max = 3, .mechanisms = "PLAIN LOGIN"};
    struct imap_session *session = imap_session_new(&config, NULL, "192.0.2.1", true, false);
    struct imap_action action;

    imap_session_greet(session);
    for (size_t used = 0; used < input.len;) {
        size_t len = input.len - used < piece ? input.len - used : piece;
        used += imap_session_feed(session, bytes_from(input.at + used, len));
        while (imap_session_next(session, &action))
            if (action.want == IMAP_WANT_CALL)
                answer(session, &action, right);
            else if (action.want == IMAP_WANT_DELAY)
                imap_session_delayed(session, action.ticket);
    }
    imap_session_free(&session);
}

static void test_passwords_are_wiped(void **state)
{
    static const struct bytes inputs[] = {
        BYTES_INIT("a LOGIN ann " SECRET "\r\nb NOOP\r\n"),
        BYTES_INIT("a LOGIN ann \"" SECRET "\"\r\nb NOOP\r\n"),
        BYTES_INIT("a LOGIN ann {28+}\r\n" SECRET "\r\nb NOOP\r\n"),
        BYTES_INIT("a LOGIN ann " SECRET " x\r\nb NOOP\r\n"), /* no command */
        BYTES_INIT("a LOGIN ann " SECRET),                    /* the connection ends here */
        BYTES_INIT("a AUTHENTICATE PLAIN " PLAIN_BASE64 "\r\nb NOOP\r\n"),
        BYTES_INIT("a AUTHENTICATE PLAIN\r\n" PLAIN_BASE64 "\r\nb NOOP\r\n"),
        BYTES_INIT("a AUTHENTICATE LOGIN\r\n" SECRET_BASE64 "\r\nb NOOP\r\n"),
        BYTES_INIT("a AUTHENTICATE PLAIN\r\n" SECRET_BASE64 "x\r\nb NOOP\r\n"), /* no base64 */
        BYTES_INIT("a AUTHENTICATE PLAIN\r\n" PLAIN_BASE64),
        BYTES_INIT("a AUTHENTICATE NONE " PLAIN_BASE64 "\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        for (size_t piece = 1; piece < 100; piece++)
            for (int right = 0; right < 2; right++) {
                found = 0;
                looking = true;
                converse(inputs[i], piece, right);
                looking = false;
                if (found > 0)
                    print_error("input %zu, in pieces of %zu\n", i, piece);
                assert_int_equal(found, 0);
            }
}

/* That blocks are looked into at all. */
static void test_the_test(void **state)
{
    char *volatile memory = malloc(100);

    (void)state;
    assert_non_null(memory);
    memcpy(memory, SECRET, sizeof(SECRET));
    found = 0;
    looking = true;
    free(memory);
    looking = false;
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwords_are_wiped),
        cmocka_unit_test(test_the_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
