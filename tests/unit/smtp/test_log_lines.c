/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the log says of refusals and of messages: an operator has to be able to tell why a
 * message bounced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "smtp/policy/verdict.h"
#include "smtp/receive/lines.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

static FILE *written;
static int kept;
static char text[256 * 1024];

static void capture(void)
{
    written = tmpfile();
    assert_non_null(written);
    kept = dup(STDERR_FILENO);
    assert_true(dup2(fileno(written), STDERR_FILENO) >= 0);
}

/* Also after a test has failed. */
static int release(void **state)
{
    if (written != NULL) {
        rewind(written);
        text[fread(text, 1, sizeof(text) - 1, written)] = '\0';
        dup2(kept, STDERR_FILENO);
        close(kept);
        fclose(written);
        written = NULL;
    }
    return state != NULL ? server_tear_down(state) : 0;
}

static unsigned count(const char *part)
{
    unsigned found = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

static void has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no %s in: %s", part, text);
}

static void test_refused_recipients(void **state)
{
    struct server *server = *state;

    server_start(server, 1);
    server_run(server);
    capture();
    int other = client_at_data(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, "MAIL FROM:x\r\n", "553 ");
    client_say(fd, "MAIL FROM:<s@there.test> SIZE=99999999999\r\n", "552 ");
    client_say(fd, "MAIL FROM:<s@there.test>\r\n", "250 ");
    client_say(fd,
               "RCPT TO:<No@here.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<a@else.test>\r\n"
               "RCPT TO:<full@here.test>\r\nRCPT TO:<b b@here.test>\r\n",
               "553 ");
    client_say(fd, "DATA\r\n", "452 ");
    client_say(fd, "MAIL FROM:<>\r\nRCPT TO:<down@here.test>\r\n", "451 ");
    client_say(other, MESSAGE, "250 ");
    close(fd);
    close(other);
    server_stop(server);
    release(NULL);

    has("event=\"sender refused\" ");
    has(" sender=x recipient=\"\" code=553 status=5.1.7 "
        "reason=\"Sender address is malformed\"\n");
    has(" sender=s@there.test recipient=\"\" code=552 status=5.3.4 "
        "reason=\"Message is larger than SIZE allows\"\n");
    has(" peer=127.0.0.1 user=\"\" sender=s@there.test recipient=no@here.test code=550 "
        "status=5.1.1 reason=\"No such user here\"\n");
    has(" recipient=a@else.test code=550 status=5.7.1 reason=\"Relaying denied\"\n");
    has(" recipient=full@here.test code=452 status=4.2.2 ");
    has(" recipient=\"b b@here.test\" code=553 status=5.1.3 ");
    has(" sender=\"\" recipient=down@here.test code=451 status=4.4.3 ");
    assert_int_equal(count("event=\"sender refused\""), 2);
    assert_int_equal(count("event=\"recipient refused\" conn="), 5);
    assert_int_equal(count("event=\"message refused\""), 1);
    has(" sender=s@there.test recipient=\"\" code=452 status=4.3.1 ");
    assert_int_equal(count("further refusals"), 0);
}

/* 450 is no error of a client, and costs it nothing; so it may come often. */
static void test_refusals_are_bounded(void **state)
{
    enum { MORE = 7 };
    struct server *server = *state;
    char line[80];

    server_start(server, 10);
    server_run(server);
    capture();
    int fd = client_open(server);
    client_expect(fd, "220 ");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, "MAIL FROM:<s@there.test>\r\n", "250 ");
    for (unsigned i = 0; i < LINES_REFUSED_MAX + MORE; i++)
        client_say(fd, "RCPT TO:<full@here.test>\r\n", "452 ");
    close(fd);
    server_stop(server);
    release(NULL);

    assert_int_equal(count("event=\"recipient refused\""), LINES_REFUSED_MAX);
    assert_int_equal(count("event=\"further refusals\""), 1);
    snprintf(line, sizeof(line), " count=%u\n", MORE);
    has(line);
}

/* The value of the first field of that name behind the event. */
static void value_of(const char *event, const char *name, char *value, size_t size)
{
    const char *at = strstr(text, event);

    assert_non_null(at);
    at = strstr(at, name);
    assert_non_null(at);
    at += strlen(name);
    snprintf(value, size, "%.*s", (int)strcspn(at, " \n"), at);
}

static void test_messages(void **state)
{
    struct server *server = *state;
    struct submit_client client;
    char conn[2][24];

    submit_begin(server);
    server_run(server);
    capture();
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<bob@here.test>\r\n", "553 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\nRCPT TO:<Z@here.test>\r\n", "250 ");
    submit_say(&client, "RCPT TO:<y@here.test>\r\nDATA\r\n", "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    submit_leave(&client);
    server_stop(server);
    release(NULL);

    has(" user=ann@here.test sender=bob@here.test recipient=\"\" code=553 status=5.7.1 ");
    has("event=message ");
    has(" sender=ann@here.test recipients=2 ");
    has(" user=ann@here.test to=\"Z@here.test y@here.test\"\n");
    value_of("event=message ", " conn=", conn[0], sizeof(conn[0]));
    value_of("event=\"sender refused\"", " conn=", conn[1], sizeof(conn[1]));
    assert_string_equal(conn[0], conn[1]);
}

/* The first few; what is left out shows. */
static void test_many_recipients(void **state)
{
    static char large[LINES_RECIPIENTS_SIZE_MAX];
    struct smtp_recipient recipients[LINES_RECIPIENTS_MAX + 1];
    struct smtp_envelope envelope = {.recipients = recipients};
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (unsigned i = 0; i <= LINES_RECIPIENTS_MAX; i++)
        recipients[i].path = BYTES("a@b");
    assert_int_equal(lines_recipients(&envelope, &arena).len, 0);
    envelope.recipient_count = LINES_RECIPIENTS_MAX;
    assert_true(bytes_equal(lines_recipients(&envelope, &arena), BYTES("a@b a@b a@b a@b a@b")));
    envelope.recipient_count = LINES_RECIPIENTS_MAX + 1;
    assert_true(
        bytes_equal(lines_recipients(&envelope, &arena), BYTES("a@b a@b a@b a@b a@b ...")));
    memset(large, 'x', sizeof(large));
    recipients[1].path = bytes_from(large, sizeof(large));
    assert_true(bytes_equal(lines_recipients(&envelope, &arena), BYTES("a@b ...")));
    arena_fini(&arena);
}

/* As settings say it. */
static void test_scores(void **state)
{
    static const struct {
        int64_t score;
        const char *text;
    } cases[] = {{1450, "14.50"}, {5, "0.05"}, {-250, "-2.50"}, {-5, "-0.05"}, {0, "0.00"}};
    char score[VERDICT_SCORE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        verdict_score(cases[i].score, score);
        assert_string_equal(score, cases[i].text);
    }
}

#define LINES_TEST(name) cmocka_unit_test_setup_teardown(name, server_set_up, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINES_TEST(test_refused_recipients), LINES_TEST(test_refusals_are_bounded),
        LINES_TEST(test_messages),           cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
