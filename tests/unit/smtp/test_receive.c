/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

/* Messages over real sockets: what reaches the store, and what the client is told. */
static void test_delivery(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<Y@Here.test>\r\nRCPT TO:<no@here.test>\r\n"
               "RCPT TO:<z@here.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<a@else.test>\r\n"
               "RCPT TO:<down@here.test>\r\nDATA\r\n",
               "354 ");
    client_say(fd, MESSAGE, "250 2.0.0 OK id=");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0 OK id=");
    client_say(fd, "QUIT\r\n", "221 ");
    client_expect(fd, "");
    close(fd);
    server_stop(server);

    assert_int_equal(fake_store.delivery_count, 2);
    const struct fake_delivery *first = &fake_store.deliveries[0];
    assert_int_equal(first->account_count, 2);
    assert_int_equal(first->accounts[0], 1);
    assert_int_equal(first->accounts[1], 2);
    assert_in_range(fake_store.deadline_ms, 1, server->times.commit_ms);
    struct bytes body = buffer_bytes(&fake_store.deliveries[1].body);
    char head[400];
    int len = snprintf(head, sizeof(head),
                       "Return-Path: <x@a.test>\r\n"
                       "Received: from client.test ([127.0.0.1])\r\n"
                       "\tby mx.test with ESMTP id %s\r\n"
                       "\tfor <y@here.test>;\r\n\t",
                       fake_store.deliveries[1].trace_id);
    assert_true(body.len > (size_t)len);
    assert_memory_equal(body.at, head, (size_t)len);
    struct bytes rest = bytes_skip(body, (size_t)len);
    rest = bytes_skip(rest, bytes_find(rest, '\n') + 1);
    assert_true(bytes_equal(rest, BYTES("Subject: s\r\n\r\nhello\r\n.dot\r\n")));
}

static void test_recipients(void **state)
{
    static const char *const cases[][2] = {
        {"RCPT TO:<Y@here.test>\r\n", "250 2.1.5"},
        {"RCPT TO:<Postmaster>\r\n", "250 2.1.5"},
        {"RCPT TO:<info@mx.test>\r\n", "550 5.7.1"},
        {"RCPT TO:<abuse@else.test>\r\n", "550 5.7.1"},
        {"RCPT TO:<no@here.test>\r\n", "550 5.1.1"},
        {"RCPT TO:<y@else.test>\r\n", "550 5.7.1"},
        {"RCPT TO:<y@[127.0.0.1]>\r\n", "550 5.7.1"},
        {"RCPT TO:<down@here.test>\r\n", "451 4.4.3"},
        {"RCPT TO:<full@here.test>\r\n", "452 4.2.2"},
        {"RCPT TO:<over@here.test>\r\n", "552 5.2.2"},
        {"RSET\r\n", "250 "},
        {"MAIL FROM:<s@there.test> SIZE=1001\r\n", "250 "},
        {"RCPT TO:<full@here.test>\r\n", "452 4.2.2"},
        {"RSET\r\n", "250 "},
        {"MAIL FROM:<s@there.test> SIZE=1000\r\n", "250 "},
        {"RCPT TO:<full@here.test>\r\n", "250 2.1.5"},
    };
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, "MAIL FROM:<s@there.test>\r\n", "250 ");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        client_say(fd, cases[i][0], cases[i][1]);
    close(fd);
    server_stop(server);
}

static const struct fake_delivery *deliver_to(struct server *server, const char *rcpt,
                                              bool (*answers)(const Pr__Request *request,
                                                              Pr__Reply *reply, enum err *err))
{
    server_start(server, 10);
    fake_store.answers = answers;
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    client_say(fd, "MAIL FROM:<s@there.test>\r\n", "250 2.1.0");
    client_say(fd, rcpt, "250 2.1.5");
    client_say(fd, "DATA\r\n", "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    return &fake_store.deliveries[0];
}

/* The host's name is a domain of ours. */
static bool host_is_ours(const Pr__Request *request, Pr__Reply *reply, enum err *err)
{
    static Pr__ResolveAnswer answer;

    if (request->call_case != PR__REQUEST__CALL_RESOLVE ||
        strcmp(request->resolve->address, "postmaster@mx.test") != 0)
        return false;
    pr__resolve_answer__init(&answer);
    answer.domain_local = true;
    answer.account_id = 9;
    reply->answer_case = PR__REPLY__ANSWER_RESOLVE;
    reply->resolve = &answer;
    *err = ERR_OK;
    return true;
}

/* RFC 5321 section 4.5.1: also when the host's name is no domain of ours. */
static void test_roles_of_the_host(void **state)
{
    static const struct {
        const char *rcpt;
        bool (*answers)(const Pr__Request *request, Pr__Reply *reply, enum err *err);
        uint64_t account;
    } cases[] = {
        {"RCPT TO:<Postmaster@MX.test>\r\n", NULL, 5},
        {"RCPT TO:<abuse@mx.test>\r\n", NULL, 4},
        {"RCPT TO:<postmaster@mx.test>\r\n", host_is_ours, 9},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(deliver_to(*state, cases[i].rcpt, cases[i].answers)->accounts[0],
                         cases[i].account);
}

static void test_replies_to_store_errors(void **state)
{
    static const struct {
        enum err call_err;
        enum err reply_err;
        const char *want;
    } cases[] = {
        {ERR_OK, ERR_UNAVAILABLE, "451 4.3.2"},
        {ERR_OK, ERR_FULL, "452 4.3.1"},
        {ERR_OK, ERR_BUSY, "452 4.3.1"},
        {ERR_OK, ERR_QUOTA, "452 4.2.2"},
        {ERR_OK, ERR_NOTFOUND, "451 4.3.0"},
        {ERR_TIMEOUT, ERR_OK, ""},
        {ERR_CLOSED, ERR_OK, ""},
        {ERR_OK, ERR_UNKNOWN, "451 4.3.2"}, /* no majority: nobody knows for long */
        {ERR_OK, ERR_OK, "250 2.0.0"},
    };
    struct server *server = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        server_start(server, 10);
        fake_store.call_err = cases[i].call_err;
        fake_store.reply_err = cases[i].reply_err;
        server_run(server);
        int fd = client_at_data(server);
        client_say(fd, MESSAGE, cases[i].want); /* "": unknown, the connection ends */
        if (cases[i].want[0] != '\0')
            client_say(fd, "NOOP\r\n", "250 ");
        close(fd);
        server_stop(server);
        assert_int_equal(fake_store.delivery_count, cases[i].want[0] == '2');
    }
}

static struct buffer large_message(size_t size)
{
    struct buffer text = BUFFER_EMPTY;

    buffer_add(&text, BYTES("Subject: large\r\n\r\n"));
    for (unsigned i = 0; buffer_len(&text) < size; i++)
        buffer_printf(&text, "%08x%08x line %u\r\n", i * 2654435761U, i * 40503U, i);
    return text;
}

/* The store takes no blocks: the server stops reading, and goes on when it does. */
static void test_large_message_waits_for_the_store(void **state)
{
    struct server *server = *state;
    struct buffer text = large_message(12 * 1000 * 1000);
    struct bytes rest = buffer_bytes(&text);

    server_start(server, 10);
    fake_store.hold_uploads = true;
    server_run(server);
    int fd = client_at_data(server);
    bool stuck = false;
    while (rest.len > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        if (!stuck && poll(&poll_fd, 1, 300) == 0) {
            stuck = true;
            store_release(server);
        }
        ssize_t sent = send(fd, rest.at, rest.len, MSG_NOSIGNAL | (stuck ? 0 : MSG_DONTWAIT));
        if (sent < 0 && errno == EAGAIN)
            continue;
        assert_true(sent > 0);
        rest = bytes_skip(rest, (size_t)sent);
    }
    assert_true(stuck);
    client_say(fd, ".\r\n", "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    struct bytes body = buffer_bytes(&fake_store.deliveries[0].body);
    struct bytes want = buffer_bytes(&text);
    assert_true(body.len > want.len);
    assert_true(bytes_equal(bytes_skip(body, body.len - want.len), want));
    assert_int_equal(fake_store.aborts, 0);
    buffer_fini(&text);
}

static void test_refused_message_is_taken_back(void **state)
{
    struct server *server = *state;
    struct buffer text = large_message(1000 * 1000);

    server_start(server, 10);
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, buffer_bytes(&text));
    client_say(fd, "bare\nLF\r\n.\r\n", "550 5.6.0");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.aborts, 1);
    buffer_fini(&text);
}

/* The client goes while the store is asked: what it says is true all the same. */
static void test_client_leaves_during_commit(void **state)
{
    struct server *server = *state;

    server_start(server, 10);
    fake_store.hold_deliveries = true;
    server_run(server);
    int fd = client_at_data(server);
    client_send(fd, BYTES(MESSAGE));
    store_wait_held(1);
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client_send(fd, BYTES("NOOP\r\n"));
    close(fd);
    int other = client_at_data(server);
    store_release(server);
    client_say(other, MESSAGE, "250 2.0.0");
    close(other);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 2);
}

static void test_client_leaves_during_a_look_up(void **state)
{
    struct server *server = *state;
    struct linger hard = {.l_onoff = 1};

    server_start(server, 10);
    fake_store.hold_lookups = true;
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 ");
    client_say(fd, "EHLO a\r\n", "250 ");
    client_say(fd, "MAIL FROM:<s@there.test>\r\n", "250 ");
    client_send(fd, BYTES("RCPT TO:<y@here.test>\r\nRCPT TO:<z@here.test>\r\n"));
    store_wait_held(2);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
    /* The server has seen that it left before another one that came later says something. */
    fd = client_open(server);
    client_expect(fd, "220 ");
    client_say(fd, "EHLO a\r\n", "250 ");
    store_release(server);
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.cancelled, 2);
}

static void test_client_leaves_anywhere(void **state)
{
    static const char talk[] = "EHLO a\r\nMAIL FROM:<s@there.test>\r\nRCPT TO:<y@here.test>\r\n"
                               "RCPT TO:<z@here.test>\r\nNOOP\r\n";
    struct server *server = *state;

    server_start(server, 10);
    server_run(server);
    for (size_t len = 0; len < sizeof(talk); len++) {
        int fd = client_open(server);
        client_send(fd, bytes_from(talk, len));
        close(fd);
    }
    int fd = client_at_data(server);
    client_send(fd, BYTES("half a mess"));
    close(fd);
    fd = client_at_data(server);
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
}

static void test_too_many_messages_at_a_time(void **state)
{
    struct server *server = *state;

    server_start(server, 1);
    server_run(server);
    int first = client_at_data(server);
    int second = client_open(server);
    client_expect(second, "220 ");
    client_say(second, "EHLO a\r\n", "250 ");
    client_say(second, ENVELOPE, "452 4.3.1");
    client_say(first, MESSAGE, "250 2.0.0");
    client_say(second, ENVELOPE, "354 ");
    client_say(second, MESSAGE, "250 2.0.0");
    close(first);
    close(second);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_delivery),
        SERVER_TEST(test_recipients),
        SERVER_TEST(test_roles_of_the_host),
        SERVER_TEST(test_replies_to_store_errors),
        SERVER_TEST(test_large_message_waits_for_the_store),
        SERVER_TEST(test_refused_message_is_taken_back),
        SERVER_TEST(test_client_leaves_during_commit),
        SERVER_TEST(test_client_leaves_during_a_look_up),
        SERVER_TEST(test_client_leaves_anywhere),
        SERVER_TEST(test_too_many_messages_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
