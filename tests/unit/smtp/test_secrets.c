/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "unit/smtp/play.h"

/*
 * Passwords do not stay in memory that the engine gives back: every block is looked into when
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

static void converse(const struct smtp_config *config, struct bytes input, size_t step)
{
    static const struct smtp_connection with_tls = {.tls = true};
    struct smtp_session *session = smtp_session_new(config, &with_tls);
    const struct smtp_auth_answer answer = {.result = SMTP_AUTH_REFUSED};
    const struct smtp_auth_answer more = {.result = SMTP_AUTH_CONTINUE};
    struct smtp_action action;

    for (size_t used = 0; used < input.len;) {
        size_t len = input.len - used < step ? input.len - used : step;
        used += smtp_session_feed(session, bytes_from(input.at + used, len));
        while (smtp_session_next(session, &action))
            if (action.want == SMTP_WANT_AUTH)
                smtp_session_authenticated(session, action.ticket,
                                           action.has_response ? &answer : &more);
            else if (action.want == SMTP_WANT_RESOLVE)
                smtp_session_resolved(session, action.ticket, ERR_OK, 1);
    }
    smtp_session_free(&session);
}

static void test_passwords_are_wiped(void **state)
{
    static const struct bytes inputs[] = {
        BYTES_INIT("EHLO a\r\nAUTH PLAIN " PLAIN_BASE64 "\r\nNOOP\r\n"),
        BYTES_INIT("EHLO a\r\nAUTH PLAIN\r\n" PLAIN_BASE64 "\r\nNOOP\r\n"),
        BYTES_INIT("EHLO a\r\nAUTH PLAIN\r\n" SECRET_BASE64 "x\r\nNOOP\r\n"), /* no base64 */
        BYTES_INIT("EHLO a\r\nAUTH PLAIN " PLAIN_BASE64), /* the connection ends here */
        BYTES_INIT("EHLO a\r\nAUTH PLAIN\r\n" PLAIN_BASE64),
        BYTES_INIT("EHLO a\r\nAUTH PLAIN " PLAIN_BASE64 " x\r\n"),
        BYTES_INIT("AUTH PLAIN " PLAIN_BASE64 "\r\n"), /* too early */
        BYTES_INIT("EHLO a\r\nAUTH NONE " PLAIN_BASE64 "\r\n" PLAIN_BASE64 "\r\n"),
    };
    struct smtp_config config = play_config;

    (void)state;
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        for (size_t step = 1; step < 100; step++) {
            found = 0;
            looking = true;
            converse(&config, inputs[i], step);
            looking = false;
            if (found > 0)
                print_error("input %zu, step %zu\n", i, step);
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
