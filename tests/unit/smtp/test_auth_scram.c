/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCRAM as clients speak it: libgsasl's messages through the engine's AUTH to the mechanism as
 * the store has it, and every way in which such an exchange does not go to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/mail/text.h"
#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"
#include "unit/storage/auth/auth_lab.h"
#include "unit/storage/auth/scram_client.h"

struct talk {
    struct smtp_session *session;
    struct auth_lab lab;
    struct auth_exchange *exchange;
    struct scram_client client;
    struct buffer said;      /* by the server, since it was last looked at */
    struct buffer challenge; /* the newest, decoded */
    bool closed;
};

static struct smtp_config config;

/* What the store makes of a message of the client. */
static void answer(struct talk *talk, const struct smtp_action *action)
{
    struct smtp_auth_answer answer = {.result = SMTP_AUTH_REFUSED};
    enum auth_next next;

    if (action->initial) {
        auth_exchange_free(&talk->exchange);
        talk->exchange = auth_lab_new(&talk->lab, AUTH_SCRAM_SHA_256);
    }
    if (action->initial && !action->has_response)
        next = auth_exchange_begin(talk->exchange);
    else
        next = auth_lab_step(&talk->lab, talk->exchange, action->bytes);
    if (next == AUTH_CONTINUE) {
        answer.result = SMTP_AUTH_CONTINUE;
        answer.bytes = auth_exchange_challenge(talk->exchange);
    } else if (next == AUTH_DONE) {
        answer.result = SMTP_AUTH_DONE;
        answer.account_id = 1;
        answer.login = auth_exchange_result(talk->exchange)->identity;
    } else if (auth_exchange_refusal(talk->exchange) == AUTH_REFUSAL_MALFORMED) {
        answer.result = SMTP_AUTH_MALFORMED;
    }
    smtp_session_authenticated(talk->session, action->ticket, &answer);
}

static void perform(struct talk *talk)
{
    struct smtp_action action;

    while (smtp_session_next(talk->session, &action)) {
        if (action.want == SMTP_WANT_AUTH)
            answer(talk, &action);
        else if (action.want == SMTP_WANT_WRITE)
            buffer_add(&talk->said, action.bytes);
        else if (action.want == SMTP_WANT_CLOSE)
            talk->closed = true;
    }
}

static void put(struct talk *talk, struct bytes input)
{
    perform(talk);
    while (input.len > 0 && !talk->closed) {
        size_t used = smtp_session_feed(talk->session, input);
        input = bytes_skip(input, used);
        perform(talk);
        assert_true(used > 0 || talk->closed);
    }
}

/* The last line that came. */
static void expect(struct talk *talk, const char *want)
{
    struct bytes said = buffer_bytes(&talk->said);
    size_t at = said.len;

    assert_true(said.len > 2);
    for (at -= 2; at > 0 && said.at[at - 1] != '\n';)
        at--;
    struct bytes line = bytes_from(said.at + at, said.len - at - 2);
    if (!bytes_start_nocase(line, bytes_of(want)))
        fail_msg("not \"%s\": %.*s", want, BYTES_ARG(line));
    buffer_clear(&talk->challenge);
    if (bytes_start_nocase(line, BYTES("334 ")))
        assert_true(mail_base64_decode(bytes_skip(line, 4), &talk->challenge));
    buffer_clear(&talk->said);
}

static void say(struct talk *talk, const char *line, const char *want)
{
    put(talk, bytes_of(line));
    expect(talk, want);
}

/* `before` and the message in base64, as a line. */
static void send_message(struct talk *talk, const char *before, struct bytes message,
                         const char *want)
{
    struct buffer line = BUFFER_EMPTY;

    buffer_add_string(&line, before);
    mail_base64_encode(message, &line);
    buffer_add_string(&line, "\r\n");
    put(talk, buffer_bytes(&line));
    expect(talk, want);
    buffer_fini(&line);
}

static void begin(struct talk *talk)
{
    static const struct smtp_connection with_tls = {.tls = true};

    *talk = (struct talk){.closed = false};
    config = play_config;
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "SCRAM-SHA-256";
    config.auth_failures_max = 3;
    config.errors_max = 20;
    auth_lab_init(&talk->lab);
    talk->client =
        (struct scram_client){.gs2 = "n,,", .name = LAB_NAME, .password = LAB_PASSWORD};
    talk->session = smtp_session_new(&config, &with_tls);
    say(talk, "EHLO a\r\n", "250 ");
}

static void end(struct talk *talk)
{
    smtp_session_free(&talk->session);
    auth_exchange_free(&talk->exchange);
    auth_lab_fini(&talk->lab);
    buffer_fini(&talk->said);
    buffer_fini(&talk->challenge);
}

static void assert_logged_in(const struct talk *talk, bool so)
{
    assert_int_equal(smtp_session_envelope(talk->session)->authenticated, so);
}

static void final(struct talk *talk, const char *want)
{
    struct bytes challenge = buffer_bytes(&talk->challenge);
    send_message(talk, "", scram_client_final(&talk->client, challenge), want);
}

static void log_in(struct talk *talk, bool initial)
{
    if (initial) {
        send_message(talk, "AUTH SCRAM-SHA-256 ", scram_client_first(&talk->client), "334 ");
    } else {
        say(talk, "AUTH SCRAM-SHA-256\r\n", "334");
        assert_int_equal(buffer_len(&talk->challenge), 0);
        send_message(talk, "", scram_client_first(&talk->client), "334 ");
    }
    final(talk, "334 ");
    assert_true(scram_client_believes(&talk->client, buffer_bytes(&talk->challenge)));
    assert_logged_in(talk, false); /* not before it has taken the server's signature */
    say(talk, "\r\n", "235 2.7.0");
    assert_logged_in(talk, true);
    say(talk, "AUTH SCRAM-SHA-256\r\n", "503 5.5.1");
}

static void test_right(void **state)
{
    struct talk talk;

    (void)state;
    for (unsigned initial = 0; initial < 2; initial++) {
        begin(&talk);
        log_in(&talk, initial);
        end(&talk);
    }
}

static void test_wrong(void **state)
{
    struct talk talk;

    (void)state;
    begin(&talk);
    talk.client.password = "wrong";
    for (unsigned i = 0; i < 3; i++) {
        send_message(&talk, "AUTH SCRAM-SHA-256 ", scram_client_first(&talk.client), "334 ");
        final(&talk, i < 2 ? "535 5.7.8" : "421 4.7.0");
        assert_logged_in(&talk, false);
    }
    assert_true(talk.closed);
    end(&talk);
}

/* At each step; the exchange that comes next is as the first. */
static void test_cancelled(void **state)
{
    struct talk talk;

    (void)state;
    for (unsigned step = 0; step < 3; step++) {
        begin(&talk);
        say(&talk, "AUTH SCRAM-SHA-256\r\n", "334");
        if (step > 0)
            send_message(&talk, "", scram_client_first(&talk.client), "334 ");
        if (step > 1)
            final(&talk, "334 ");
        say(&talk, "*\r\n", "501 5.7.0");
        assert_logged_in(&talk, false);
        say(&talk, "MAIL FROM:<x@a.test>\r\n", "530 5.7.0");
        log_in(&talk, step % 2 == 0);
        end(&talk);
    }
}

/* "=" is a response of no bytes, which SCRAM has none of; nothing at all is none yet. */
static void test_empty(void **state)
{
    struct talk talk;

    (void)state;
    begin(&talk);
    say(&talk, "AUTH SCRAM-SHA-256 =\r\n", "501 5.5.2");
    say(&talk, "AUTH SCRAM-SHA-256 \r\n", "334");
    say(&talk, "\r\n", "501 5.5.2");
    send_message(&talk, "AUTH SCRAM-SHA-256 ", scram_client_first(&talk.client), "334 ");
    say(&talk, "\r\n", "501 5.5.2");
    say(&talk, "AUTH SCRAM-SHA-256 =x\r\n", "501 5.5.2");
    log_in(&talk, true);
    end(&talk);
}

/* Longer than a line may be, than a message of SCRAM, and what stands behind the last one. */
static void test_oversize(void **state)
{
    static uint8_t text[SMTP_AUTH_LINE_SIZE_MAX + 3];
    struct talk talk;

    (void)state;
    memset(text, 'A', sizeof(text));
    begin(&talk);
    say(&talk, "AUTH SCRAM-SHA-256\r\n", "334");
    text[sizeof(text) - 2] = '\r';
    text[sizeof(text) - 1] = '\n';
    put(&talk, bytes_from(text, sizeof(text)));
    expect(&talk, "500 5.5.6");
    memset(text, 'A', sizeof(text));
    send_message(&talk, "AUTH SCRAM-SHA-256 ",
                 bytes_from(text, AUTH_SCRAM_MESSAGE_SIZE_MAX + 1), "501 5.5.2");
    send_message(&talk, "AUTH SCRAM-SHA-256 ", scram_client_first(&talk.client), "334 ");
    final(&talk, "334 ");
    say(&talk, "AAAA\r\n", "501 5.5.2");
    assert_logged_in(&talk, false);
    log_in(&talk, false);
    end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),     cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_cancelled), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_oversize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
