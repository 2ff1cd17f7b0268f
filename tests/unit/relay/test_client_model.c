/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/relay/client_limits.h"
#include "unit/relay/client_lab.h"

/* What arrives is what was sent: random messages, extensions, cuts and refusals, against the
 * server of the laboratory, which reads by the book. */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned below(uint64_t *state, unsigned limit)
{
    return (unsigned)(next_random(state) >> 20) % limit;
}

/* Mostly what is dangerous: dots and line ends. Some are as long as two chunks. */
static void make_body(uint64_t *state, struct buffer *body)
{
    static const char *const pieces[] = {"\r\n", ".", "\r\n.\r\n", "..", "x", "\r\n..", "QUIT"};
    size_t len = below(state, 4) == 0 ? below(state, 200000) : below(state, 100);
    unsigned dull = below(state, 2) * 400;

    buffer_clear(body);
    while (buffer_len(body) < len) {
        buffer_add_string(body, pieces[below(state, sizeof(pieces) / sizeof(pieces[0]))]);
        for (unsigned i = dull > 0 ? below(state, dull) : 0; i > 0; i--)
            buffer_add_byte(body, 'y');
    }
}

enum { RECIPIENTS = 20, RUNS = 600 };

struct run {
    struct smtp_client_recipient recipients[RECIPIENTS];
    char addresses[RECIPIENTS][32];
    struct lab_rule rules[RECIPIENTS + 1];
    bool refused[RECIPIENTS];
    unsigned refused_count;
};

static void make_recipients(uint64_t *state, struct run *run,
                            struct smtp_client_message *message)
{
    unsigned rule = 0;

    *run = (struct run){.refused_count = 0};
    message->recipients = run->recipients;
    message->recipient_count = 1 + below(state, RECIPIENTS);
    for (unsigned i = 0; i < message->recipient_count; i++) {
        snprintf(run->addresses[i], sizeof(run->addresses[i]), "RCPT TO:<u%u@y.test>", i);
        run->recipients[i].address =
            bytes_from(run->addresses[i] + 9, strlen(run->addresses[i]) - 10);
        if (below(state, 4) > 0)
            continue;
        run->rules[rule++] = (struct lab_rule){run->addresses[i], "550 5.1.1 No\r\n", 0};
        run->refused[i] = true;
        run->refused_count++;
    }
}

static void check_received(const struct lab *lab, const struct run *run,
                           const struct smtp_client_message *message, struct bytes body)
{
    struct buffer want = BUFFER_EMPTY;
    const struct lab_received *received = &lab->received[0];

    assert_int_equal(lab->received_count, 1);
    assert_string_equal(received->mail, "MAIL FROM:<a@x.test>");
    for (unsigned i = 0; i < message->recipient_count; i++)
        if (!run->refused[i])
            buffer_printf(&want, "%s\n", run->addresses[i]);
    buffer_add_byte(&want, '\0');
    assert_string_equal(received->recipients, (const char *)buffer_bytes(&want).at);
    buffer_clear(&want);
    buffer_add(&want, body);
    if (body.len > 0 && body.at[body.len - 1] != '\n')
        buffer_add_string(&want, "\r\n");
    assert_true(bytes_equal(buffer_bytes(&want), buffer_bytes(&received->body)));
    buffer_fini(&want);
}

static void test_arrives_as_sent(void **state)
{
    static const char *const extensions[] = {"", "PIPELINING\n", "PIPELINING\nCHUNKING\n"};
    uint64_t random = 0x9e3779b97f4a7c15;
    struct buffer body = BUFFER_EMPTY;
    unsigned delivered = 0;

    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        struct smtp_client_message message = {.sender = BYTES_INIT("a@x.test")};
        struct run run;
        struct lab lab;
        make_body(&random, &body);
        make_recipients(&random, &run, &message);
        const struct lab_setup setup = {
            .config = {.hello = "us.test"},
            .extensions = extensions[below(&random, 3)],
            .rules = run.rules,
            .messages = &message,
            .message_count = 1,
            .body = buffer_bytes(&body),
            .body_piece = buffer_len(&body) < 1000 ? below(&random, 9) : below(&random, 90000),
            .flags = below(&random, 2) * LAB_LATE_LEAVE | below(&random, 2) * LAB_NESTED_BODY,
        };
        lab_play(&lab, &setup, below(&random, 3) == 0 ? SIZE_MAX : below(&random, 400));
        assert_int_equal(lab.end, SMTP_CLIENT_END_QUIT);
        assert_int_equal(lab.verdict_count, message.recipient_count);
        if (run.refused_count < message.recipient_count) {
            check_received(&lab, &run, &message, setup.body);
            delivered++;
        } else {
            assert_int_equal(lab.received_count, 0);
        }
        lab_fini(&lab);
    }
    assert_true(delivered > RUNS / 2);
    buffer_fini(&body);
}

/* As many recipients as there may be, of which every third is refused. */
static void test_thousand_recipients(void **state)
{
    static char lines[SMTP_CLIENT_RECIPIENTS_MAX][40];
    static struct smtp_client_recipient recipients[SMTP_CLIENT_RECIPIENTS_MAX];
    static const char *const extensions[] = {"", "PIPELINING\n", "PIPELINING\nCHUNKING\n"};
    static const struct lab_rule rules[] = {{"RCPT TO:<no", "550 5.1.1 No\r\n", 0}, {0}};
    const struct smtp_client_message message = {.recipients = recipients,
                                                .recipient_count = SMTP_CLIENT_RECIPIENTS_MAX};

    (void)state;
    for (unsigned i = 0; i < SMTP_CLIENT_RECIPIENTS_MAX; i++) {
        snprintf(lines[i], sizeof(lines[i]), "%s%u@y.test", i % 3 == 0 ? "no" : "yes", i);
        recipients[i].address = bytes_of(lines[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct lab_setup setup = {.config = {.hello = "us.test"},
                                        .extensions = extensions[i],
                                        .rules = rules,
                                        .messages = &message,
                                        .message_count = 1,
                                        .body = BYTES("x\r\n")};
        struct lab lab;
        lab_play(&lab, &setup, SIZE_MAX);
        assert_int_equal(lab.end, SMTP_CLIENT_END_QUIT);
        assert_int_equal(lab.verdict_count, SMTP_CLIENT_RECIPIENTS_MAX);
        assert_int_equal(lab.received_count, 1);
        const char *line = lab.received[0].recipients;
        for (unsigned r = 0; r < SMTP_CLIENT_RECIPIENTS_MAX; r++) {
            char want[60];
            snprintf(want, sizeof(want), "RCPT TO:<%.39s>\n", lines[r]);
            if (r % 3 == 0)
                continue;
            assert_memory_equal(line, want, strlen(want));
            line += strlen(want);
        }
        assert_string_equal(line, "");
        lab_fini(&lab);
    }
}

/* Ten messages on one connection, each second one refused somewhere else. */
static void test_many_messages(void **state)
{
    enum { MESSAGES = 10 };
    static const struct smtp_client_recipient one[] = {{.address = BYTES_INIT("b@y.test")}};
    struct smtp_client_message messages[MESSAGES];
    static const struct lab_rule rules[] = {
        {"MAIL", "451 4.3.0 a\r\n", 2},      {"RCPT", "550 5.1.1 b\r\n", 3},
        {"BDAT", "552 5.3.4 c\r\n", 4},      {"LAST", "554 5.6.0 d\r\n", 5},
        {"RCPT", "452 4.5.3 e\r\n", 100000}, {0}};
    struct buffer body = BUFFER_EMPTY;
    struct lab lab;

    (void)state;
    for (unsigned i = 0; i < MESSAGES; i++)
        messages[i] = (struct smtp_client_message){.recipients = one, .recipient_count = 1};
    while (buffer_len(&body) < 3 * SMTP_CLIENT_CHUNK_SIZE)
        buffer_add_string(&body, ".\r\n");
    const struct lab_setup setup = {.config = {.hello = "us.test"},
                                    .extensions = "PIPELINING\nCHUNKING\n",
                                    .rules = rules,
                                    .messages = messages,
                                    .message_count = MESSAGES,
                                    .body = buffer_bytes(&body),
                                    .body_piece = 10000};
    for (size_t cut = 0; cut < 300; cut += 9) {
        lab_play(&lab, &setup, cut * 3);
        assert_int_equal(lab.end, SMTP_CLIENT_END_QUIT);
        assert_int_equal(lab.verdict_count, MESSAGES);
        assert_int_equal(lab.done_count, MESSAGES);
        assert_int_equal(lab.received_count, MESSAGES - 4);
        for (unsigned i = 0; i < lab.received_count; i++)
            assert_true(bytes_equal(buffer_bytes(&lab.received[i].body), buffer_bytes(&body)));
        lab_fini(&lab);
    }
    buffer_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrives_as_sent),
        cmocka_unit_test(test_thousand_recipients),
        cmocka_unit_test(test_many_messages),
    };

    return cmocka_run_group_tests_name("smtp/relay/client: model", tests, NULL, NULL);
}
