/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/relay/client_limits.h"
#include "unit/relay/client_lab.h"

/* Servers that flood, speak out of turn, or say nothing; and how long each is waited for. */

static const struct smtp_client_recipient one[] = {{.address = BYTES_INIT("b@y.test")}};
static const struct smtp_client_message message = {
    .sender = BYTES_INIT("a@x.test"), .recipients = one, .recipient_count = 1};

static const struct lab_setup by_hand = {
    .config = {.hello = "us.test"},
    .messages = &message,
    .message_count = 1,
    .flags = LAB_BY_HAND,
};
static const struct lab_setup idle = {
    .config = {.hello = "us.test"},
    .messages = &message,
    .message_count = 1,
    .flags = LAB_IDLE,
};

/* What the server says is fed by hand; what the client has sent is forgotten. */
static void begin(struct lab *lab, const struct lab_setup *setup)
{
    lab_begin(lab, setup);
    buffer_clear(&lab->to_client);
}

static const char *sent(struct lab *lab)
{
    buffer_add_byte(&lab->to_server, '\0');
    buffer_truncate(&lab->to_server, buffer_len(&lab->to_server) - 1);
    return (const char *)buffer_bytes(&lab->to_server).at;
}

static void assert_ended(struct lab *lab, enum smtp_client_end end)
{
    assert_true(lab->closed);
    if (lab->end != end)
        fail_msg("%s", smtp_client_end_name(lab->end));
    lab_fini(lab);
}

/* ---- floods ---- */

static void feed_repeated(struct lab *lab, char byte, size_t count, size_t piece)
{
    char pieces[64];

    memset(pieces, byte, sizeof(pieces));
    assert_true(piece <= sizeof(pieces));
    while (count > 0 && !lab->closed) {
        size_t len = count < piece ? count : piece;
        smtp_client_feed(lab->client, bytes_from(pieces, len));
        count -= len;
    }
}

static void test_long_lines(void **state)
{
    struct lab lab;

    (void)state;
    for (size_t piece = 1; piece <= 64; piece += 9)
        for (size_t over = 0; over < 2; over++) {
            begin(&lab, &idle);
            lab_feed(&lab, "220 ");
            feed_repeated(&lab, 'x', SMTP_CLIENT_LINE_SIZE_MAX - 6 + over, piece);
            lab_feed(&lab, "\r\n");
            if (over == 0) {
                assert_string_equal(sent(&lab), "EHLO us.test\r\n");
                lab_fini(&lab);
            } else {
                assert_ended(&lab, SMTP_CLIENT_END_FLOOD);
            }
        }
    begin(&lab, &idle);
    feed_repeated(&lab, '2', 1000000, 64);
    assert_ended(&lab, SMTP_CLIENT_END_FLOOD);
}

static void test_many_lines(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, &idle);
    for (unsigned i = 0; i < SMTP_CLIENT_LINES_MAX; i++)
        lab_feed(&lab, "220-x\r\n");
    assert_false(lab.closed);
    lab_feed(&lab, "220 x\r\n");
    assert_ended(&lab, SMTP_CLIENT_END_FLOOD);
    begin(&lab, &idle);
    lab_feed(&lab, "220 x\r\n");
    for (unsigned i = 1; i < SMTP_CLIENT_LINES_MAX; i++)
        lab_feed(&lab, i == SMTP_CLIENT_EXTENSIONS_MAX + 1   ? "250-DSN\r\n"
                       : i == SMTP_CLIENT_EXTENSIONS_MAX + 2 ? "250-PIPELINING\r\n"
                                                             : "250-X\r\n");
    lab_feed(&lab, "250 X\r\n");
    assert_true(smtp_client_is_ready(lab.client));
    assert_true(smtp_client_offers(lab.client)->dsn);
    assert_false(smtp_client_offers(lab.client)->pipelining);
    lab_fini(&lab);
}

/* ---- out of turn ---- */

static void test_early(void **state)
{
    static const struct {
        const char *input;
        enum smtp_client_end end;
        const char *sent;
    } cases[] = {
        /* in one piece with the reply before: before its command had left */
        {"220 hi\r\n250 mx.test\r\n", SMTP_CLIENT_END_OUT_OF_TURN, ""},
        {"220 hi\r\n220 hi again\r\n", SMTP_CLIENT_END_OUT_OF_TURN, ""},
        {"220 hi\r\n421 No\r\n", SMTP_CLIENT_END_SERVICE_CLOSED, ""},
        {"220 hi\r\n5", SMTP_CLIENT_END_COUNT, "EHLO us.test\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        begin(&lab, &idle);
        lab_feed(&lab, cases[i].input);
        if (cases[i].end == SMTP_CLIENT_END_COUNT) {
            assert_string_equal(sent(&lab), cases[i].sent);
            lab_feed(&lab, "50 x\r\n"); /* begun before EHLO had left */
            assert_ended(&lab, SMTP_CLIENT_END_OUT_OF_TURN);
            continue;
        }
        assert_int_equal(buffer_len(&lab.to_server), 0);
        assert_ended(&lab, cases[i].end);
    }
}

static void test_between_messages(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, &idle);
    lab_feed(&lab, "220 hi\r\n");
    lab_feed(&lab, "250 mx.test\r\n");
    assert_true(smtp_client_is_ready(lab.client));
    lab_feed(&lab, "421 4.4.2 You are slow\r\n");
    assert_string_equal(lab.end_verdict.text, "421 4.4.2 You are slow");
    assert_int_equal(lab.end_verdict.phase, SMTP_CLIENT_PHASE_IDLE);
    assert_ended(&lab, SMTP_CLIENT_END_SERVICE_CLOSED);
    begin(&lab, &idle);
    lab_feed(&lab, "220 hi\r\n");
    lab_feed(&lab, "250 mx.test\r\n");
    lab_feed(&lab, "250 Taken, of course\r\n");
    assert_ended(&lab, SMTP_CLIENT_END_OUT_OF_TURN);
}

static void up_to_body(struct lab *lab, const char *extensions, const char *more)
{
    begin(lab, &by_hand);
    lab_feed(lab, "220 hi\r\n");
    lab_feed(lab, extensions);
    lab_feed(lab, more);
    assert_non_null(strstr((const char *)buffer_bytes(&lab->transcript).at, "<body>"));
    buffer_clear(&lab->to_server);
    smtp_client_let_finish(lab->client, true);
    smtp_client_body_add(lab->client, BYTES("some\r\n"));
}

#define FLIGHT "250-mx\r\n250 PIPELINING\r\n", "250 a\r\n250 b\r\n354 c\r\n"
#define CHUNKS "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n", "250 a\r\n250 b\r\n"

/* The message is not there yet; whatever the server says, it has not taken it. */
static void test_within_the_body(void **state)
{
    static const struct {
        const char *input;
        enum smtp_client_end end;
        enum smtp_client_result result;
        unsigned code;
    } cases[] = {
        {"250 2.0.0 Taken\r\n", SMTP_CLIENT_END_OUT_OF_TURN, SMTP_CLIENT_DEFERRED, 0},
        {"354 Go\r\n", SMTP_CLIENT_END_OUT_OF_TURN, SMTP_CLIENT_DEFERRED, 0},
        {"552 5.3.4 Large\r\n", SMTP_CLIENT_END_OUT_OF_TURN, SMTP_CLIENT_FAILED, 552},
        {"452 4.3.1 Full\r\n", SMTP_CLIENT_END_OUT_OF_TURN, SMTP_CLIENT_DEFERRED, 452},
        {"421 4.3.2 Bye\r\n", SMTP_CLIENT_END_SERVICE_CLOSED, SMTP_CLIENT_DEFERRED, 421},
        {"hm\r\n", SMTP_CLIENT_END_PROTOCOL, SMTP_CLIENT_DEFERRED, 0},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab lab;
        if (i % 2 == 0)
            up_to_body(&lab, FLIGHT);
        else
            up_to_body(&lab, CHUNKS);
        lab_feed(&lab, cases[i / 2].input);
        assert_int_equal(lab.last.result, cases[i / 2].result);
        assert_int_equal(lab.last.code, cases[i / 2].code);
        assert_int_equal(lab.last.phase, SMTP_CLIENT_PHASE_DATA);
        assert_string_equal(sent(&lab), i % 2 == 0 ? "some\r\n" : "");
        assert_ended(&lab, cases[i / 2].end);
    }
}

/* A reply that has begun before the end of the message is no answer to it. */
static void test_before_the_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct lab lab;
        if (i == 0)
            up_to_body(&lab, FLIGHT);
        else
            up_to_body(&lab, CHUNKS);
        lab_feed(&lab, "25");
        smtp_client_body_end(lab.client);
        assert_true(lab.closed);
        assert_int_equal(lab.last.result, SMTP_CLIENT_DEFERRED);
        assert_string_equal(sent(&lab), i == 0 ? "some\r\n" : "");
        assert_ended(&lab, SMTP_CLIENT_END_OUT_OF_TURN);
    }
}

/* What the driver does late, when all is over, changes nothing. */
static void test_late_body(void **state)
{
    struct lab lab;

    (void)state;
    up_to_body(&lab, CHUNKS);
    for (unsigned i = 0; i < SMTP_CLIENT_CHUNK_SIZE; i++)
        smtp_client_body_add(lab.client, BYTES("\r\n"));
    lab_feed(&lab, "552 5.3.4 Large\r\n");
    assert_int_equal(lab.done_count, 1);
    assert_int_equal(lab.last.result, SMTP_CLIENT_FAILED);
    buffer_clear(&lab.to_server);
    smtp_client_body_add(lab.client, BYTES("more\r\n"));
    smtp_client_body_failed(lab.client);
    smtp_client_body_end(lab.client);
    smtp_client_let_finish(lab.client, true);
    assert_int_equal(buffer_len(&lab.to_server), 0);
    lab_feed(&lab, "503 5.5.1 Failed\r\n");
    assert_string_equal(sent(&lab), "RSET\r\n");
    lab_feed(&lab, "250 Ok\r\n");
    assert_string_equal(sent(&lab), "RSET\r\nQUIT\r\n");
    lab_feed(&lab, "221 Bye\r\n");
    assert_ended(&lab, SMTP_CLIENT_END_QUIT);
}

/* A chunk is refused while the last one is under way: the last word is not the verdict. */
static void test_refused_chunk_behind_the_end(void **state)
{
    static const char *const lasts[] = {"250 2.0.0 Taken\r\n", "503 5.5.1 Failed\r\n", NULL};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct lab lab;
        up_to_body(&lab, CHUNKS);
        for (unsigned n = 0; n < SMTP_CLIENT_CHUNK_SIZE; n++)
            smtp_client_body_add(lab.client, BYTES("\r\n"));
        smtp_client_body_end(lab.client);
        lab_feed(&lab, "250 2.0.0 First\r\n452 4.3.1 Full\r\n");
        assert_int_equal(lab.verdict_count, 0);
        if (lasts[i] != NULL)
            lab_feed(&lab, lasts[i]);
        else
            smtp_client_lost(lab.client, "reset");
        assert_int_equal(lab.verdict_count, 1);
        assert_int_equal(lab.last.result, SMTP_CLIENT_DEFERRED);
        assert_string_equal(lab.last.text, "452 4.3.1 Full");
        lab_fini(&lab);
    }
}

/* ---- time ---- */

static void assert_waits(const struct lab *lab, enum smtp_client_time time)
{
    assert_int_equal(lab->wait_ms, smtp_client_times[time]);
}

static void test_times(void **state)
{
    struct lab lab;

    (void)state;
    assert_int_equal(smtp_client_times[SMTP_CLIENT_TIME_RCPT], 300000);
    assert_int_equal(smtp_client_times[SMTP_CLIENT_TIME_FINAL], 600000);
    begin(&lab, &by_hand);
    assert_waits(&lab, SMTP_CLIENT_TIME_GREETING);
    lab_feed(&lab, "220 hi\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_HELLO);
    lab_feed(&lab, "250 mx\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_MAIL);
    lab_feed(&lab, "250 ok\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_RCPT);
    lab.wait_ms = 1;
    lab_feed(&lab, "25");
    lab_feed(&lab, "0-ok\r\n");
    assert_int_equal(lab.wait_ms, 1); /* who trickles is given no more time */
    lab_feed(&lab, "250 ok\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_DATA);
    lab_feed(&lab, "354 ok\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_BLOCK);
    lab.wait_ms = 1;
    smtp_client_body_add(lab.client, BYTES("x\r\n"));
    assert_waits(&lab, SMTP_CLIENT_TIME_BLOCK);
    smtp_client_body_end(lab.client);
    assert_waits(&lab, SMTP_CLIENT_TIME_NONE);
    assert_true(smtp_client_is_held(lab.client));
    smtp_client_timed_out(lab.client);
    smtp_client_let_finish(lab.client, true);
    assert_false(smtp_client_is_held(lab.client));
    assert_waits(&lab, SMTP_CLIENT_TIME_FINAL);
    lab_feed(&lab, "450 4.2.0 no\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_RESET);
    lab_feed(&lab, "250 ok\r\n");
    assert_waits(&lab, SMTP_CLIENT_TIME_QUIT);
    smtp_client_timed_out(lab.client);
    assert_ended(&lab, SMTP_CLIENT_END_QUIT);
}

static void test_own_times(void **state)
{
    static const uint32_t times[SMTP_CLIENT_TIME_COUNT] = {[SMTP_CLIENT_TIME_HELLO] = 7};
    struct lab_setup setup = idle;
    struct lab lab;

    (void)state;
    begin(&lab, &setup);
    setup.config.times = times;
    lab_feed(&lab, "220 hi\r\n");
    assert_int_equal(lab.wait_ms, 7);
    lab_fini(&lab);
}

/* Asked for while something is under way, QUIT follows it; while nothing is, at once. */
static void test_quit(void **state)
{
    struct lab lab;

    (void)state;
    begin(&lab, &idle);
    smtp_client_quit(lab.client);
    lab_feed(&lab, "220 hi\r\n");
    lab_feed(&lab, "250 mx\r\n");
    assert_string_equal(sent(&lab), "EHLO us.test\r\nQUIT\r\n");
    lab_feed(&lab, "500 what\r\n");
    assert_ended(&lab, SMTP_CLIENT_END_QUIT);
    begin(&lab, &idle);
    lab_feed(&lab, "220 hi\r\n");
    lab_feed(&lab, "250 mx\r\n");
    buffer_clear(&lab.to_server);
    smtp_client_quit(lab.client);
    assert_string_equal(sent(&lab), "QUIT\r\n");
    smtp_client_lost(lab.client, "reset");
    assert_ended(&lab, SMTP_CLIENT_END_QUIT);
    up_to_body(&lab, FLIGHT);
    smtp_client_quit(lab.client);
    smtp_client_body_end(lab.client);
    assert_string_equal(sent(&lab), "some\r\n.\r\n");
    lab_feed(&lab, "250 ok\r\n");
    assert_int_equal(lab.last.result, SMTP_CLIENT_DELIVERED);
    assert_string_equal(sent(&lab), "some\r\n.\r\nQUIT\r\n");
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_between_messages),
        cmocka_unit_test(test_within_the_body),
        cmocka_unit_test(test_before_the_end),
        cmocka_unit_test(test_late_body),
        cmocka_unit_test(test_refused_chunk_behind_the_end),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_own_times),
        cmocka_unit_test(test_quit),
    };

    return cmocka_run_group_tests_name("smtp/relay/client: abuse", tests, NULL, NULL);
}
