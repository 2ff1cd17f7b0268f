/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Submission over real sockets with TLS: who may send what, and what reaches the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/runtime/conn.h"
#include "storage/schema/entry.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

enum { WAIT_S = 20 };

struct client {
    int fd;
    SSL *ssl;
    char seen[16 * 1024];
};

static void expect(struct client *client, const char *want)
{
    size_t len = 0;

    for (;;) {
        int got =
            SSL_read(client->ssl, client->seen + len, (int)(sizeof(client->seen) - 1 - len));
        if (got <= 0 && want[0] == '\0')
            return;
        if (got <= 0)
            fail_msg("no \"%s\", but: %.*s", want, (int)len, client->seen);
        len += (size_t)got;
        client->seen[len] = '\0';
        if (want[0] == '\0' || client->seen[len - 1] != '\n')
            continue;
        client->seen[len - 2] = '\0';
        const char *last = strrchr(client->seen, '\n');
        last = last != NULL ? last + 1 : client->seen;
        if (strncmp(last, want, strlen(want)) == 0)
            return;
        client->seen[len - 2] = '\r';
    }
}

static void put(struct client *client, const char *text)
{
    assert_int_equal(SSL_write(client->ssl, text, (int)strlen(text)), (int)strlen(text));
}

static void say(struct client *client, const char *text, const char *want)
{
    put(client, text);
    expect(client, want);
}

static void enter(struct client *client, const struct server *server)
{
    struct timeval limit = {.tv_sec = WAIT_S};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    client->fd = client_open(server);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    assert_int_equal(SSL_connect(client->ssl), 1);
    expect(client, "220 mx.test");
    say(client, "EHLO client.test\r\n", "250 ");
}

static void leave(struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
}

static const char *plain(const char *password)
{
    static char line[200];
    char message[100];
    unsigned char coded[150];
    int len = snprintf(message, sizeof(message), "%cann@here.test%c%s", 0, 0, password);

    EVP_EncodeBlock(coded, (const unsigned char *)message, len);
    snprintf(line, sizeof(line), "AUTH PLAIN %s\r\n", coded);
    return line;
}

static void begin(struct server *server)
{
    server->service = SMTP_SERVICE_SUBMISSION;
    server->implicit = true;
    server_start(server, 10);
}

#define FROM_ANN "From: Ann <ann@here.test>\r\nSubject: s\r\n\r\ntext\r\n.\r\n"
#define TO_Y "MAIL FROM:<ann@here.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"

static Pr__Request *delivered(unsigned number, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    struct bytes packed = buffer_bytes(&fake_store.deliveries[number].packed);
    Pr__Request *request = pr__request__unpack(&allocator, packed.len, packed.at);

    assert_non_null(request);
    return request;
}

static bool has(const struct buffer *text, const char *part)
{
    struct bytes all = buffer_bytes(text);

    for (size_t i = 0; i + strlen(part) <= all.len; i++)
        if (memcmp(all.at + i, part, strlen(part)) == 0)
            return true;
    return false;
}

/* Until it is so, for a while. */
static void wait_for(bool (*is_so)(bool delivered), bool delivered)
{
    for (unsigned i = 0; !is_so(delivered); i++) {
        assert_true(i < WAIT_S * 1000);
        poll(NULL, 0, 1);
    }
}

static bool nobody_is_here(bool delivered)
{
    (void)delivered;
    return conn_count() == 0;
}

static bool all_is_over(bool delivered)
{
    return fake_store.logouts > 0 && (fake_store.delivery_count > 0 || !delivered);
}

static void test_whole(void **state)
{
    struct server *server = *state;
    struct client client;
    struct arena arena;

    begin(server);
    server_run(server);
    enter(&client, server);
    say(&client, plain("right"), "235 ");
    say(&client, "MAIL FROM:<ann@here.test> RET=HDRS ENVID=abc\r\n", "250 ");
    say(&client, "RCPT TO:<y@here.test>\r\n", "250 ");
    say(&client, "RCPT TO:<far@else.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Far@else.test\r\n",
        "250 ");
    say(&client, "DATA\r\n", "354 ");
    say(&client, "Bcc: secret@else.test\r\n" FROM_ANN, "250 2.0.0");
    say(&client, "QUIT\r\n", "221 ");
    leave(&client);
    server_stop(server);

    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.logouts, 1);
    assert_string_equal(fake_store.login_peer, "127.0.0.1");
    arena_init(&arena);
    const Pr__Request *request = delivered(0, &arena);
    const Pr__DeliverCall *call = request->deliver;
    assert_int_equal(request->session, FAKE_SESSION);
    assert_int_equal(call->n_account_ids, 1);
    assert_int_equal(call->account_ids[0], 1);
    assert_int_equal(call->counted_recipients, 1);
    assert_int_equal(call->n_parts, 0);
    assert_int_equal(call->n_queue, 1);
    assert_string_equal(call->queue[0]->address, "far@else.test");
    assert_string_equal(call->queue[0]->orcpt, "rfc822;Far@else.test");
    assert_string_equal(call->queue[0]->sender, "");
    assert_int_equal(call->queue[0]->notify, 2 | 8);
    assert_string_equal(call->envelope->sender, "ann@here.test");
    assert_string_equal(call->envelope->envid, "abc");
    assert_int_equal(call->envelope->ret, PR__ENVELOPE__RET__RET_HDRS);
    arena_fini(&arena);
    const struct buffer *body = &fake_store.deliveries[0].body;
    assert_true(has(body, "Received: from client.test ([127.0.0.1])\r\n"));
    assert_true(has(body, "\r\nDate: "));
    assert_true(has(body, "\r\nMessage-ID: <"));
    assert_false(has(body, "secret@else.test"));
    assert_true(has(body, "\r\n\r\ntext\r\n"));
}

/* What ends a transaction, and with what. */
static void test_refusals(void **state)
{
    static const struct {
        const char *envelope; /* up to DATA, or where it ends */
        const char *want;
        const char *text;
        const char *outcome;
    } cases[] = {
        {"MAIL FROM:<bob@here.test>\r\n", "553 5.7.1", NULL, NULL},
        {"MAIL FROM:<team@here.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n", "354 ",
         "From: bob@here.test\r\n\r\n.\r\n", "550 5.7.1"},
        {TO_Y, "354 ",
         "From: ann@here.test, bob@here.test\r\nSender: ann@here.test\r\n\r\n.\r\n",
         "550 5.7.1"},
        {TO_Y, "354 ", "Subject: s\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: ann@here.test\r\nFrom: ann@here.test\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: nobody\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: all:;\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: ann@here.test, team@here.test\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "no field\r\nFrom: ann@here.test\r\n\r\n.\r\n", "554 5.6.0"},
        {"MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n", "354 ",
         "From: bob@here.test\r\n\r\n.\r\n", "550 5.7.1"},
        {"MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n", "354 ", FROM_ANN, "250 2.0.0"},
    };
    struct server *server = *state;
    struct client client;

    begin(server);
    server_run(server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enter(&client, server);
        say(&client, plain("right"), "235 ");
        say(&client, cases[i].envelope, cases[i].want);
        if (cases[i].text != NULL)
            say(&client, cases[i].text, cases[i].outcome);
        say(&client, "NOOP\r\n", "250 ");
        leave(&client);
    }
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.logouts, fake_store.logins);
}

static void test_log_in(void **state)
{
    struct server *server = *state;
    struct client client;

    begin(server);
    server_run(server);
    enter(&client, server);
    say(&client, "MAIL FROM:<ann@here.test>\r\n", "530 ");
    say(&client, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6");
    say(&client, "YW5uQGhlcmUudGVzdA==\r\n", "334 UGFzc3dvcmQ6");
    say(&client, "d3Jvbmc=\r\n", "535 5.7.8");
    say(&client, "AUTH LOGIN\r\n", "334 ");
    say(&client, "*\r\n", "501 ");
    say(&client, "AUTH LOGIN YW5uQGhlcmUudGVzdA==\r\n", "334 ");
    say(&client, "YW5uQGhlcmUudGVzdA==\r\n", "334 ");
    say(&client, "cmlnaHQ=\r\n", "235 ");
    say(&client, TO_Y, "354 ");
    say(&client, FROM_ANN, "250 2.0.0");
    leave(&client);
    enter(&client, server);
    say(&client, plain("wrong"), "535 5.7.8");
    say(&client, plain("wrong"), "535 5.7.8");
    say(&client, plain("wrong"), "421 ");
    leave(&client);
    server_stop(server);
    assert_int_equal(fake_store.logins, 1);
    assert_int_equal(fake_store.logouts, 1);
}

static void test_log_in_trouble(void **state)
{
    static const struct {
        enum err err;
        const char *want;
    } cases[] = {
        {ERR_UNAVAILABLE, "454 4.7.0"}, {ERR_BUSY, "454 4.7.0"},   {ERR_INVALID, "501 5.5.2"},
        {ERR_MALFORMED, "501 5.5.2"},   {ERR_DENIED, "535 5.7.8"}, {ERR_OK, "235 "},
    };
    struct server *server = *state;
    struct client client;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(server);
        fake_store.login_err = cases[i].err;
        server_run(server);
        enter(&client, server);
        say(&client, plain("right"), cases[i].want);
        leave(&client);
        server_stop(server);
    }
}

static void test_barred(void **state)
{
    struct server *server = *state;
    struct client client;

    begin(server);
    fake_store.barred = true;
    server_run(server);
    enter(&client, server);
    say(&client, plain("right"), "235 ");
    say(&client, "MAIL FROM:<ann@here.test>\r\n", "550 5.7.1");
    say(&client, "MAIL FROM:<>\r\n", "550 5.7.1");
    leave(&client);
    server_stop(server);
}

static void test_client_is_hidden(void **state)
{
    struct server *server = *state;
    struct client client;

    begin(server);
    fake_store.hide_client = true;
    server_run(server);
    enter(&client, server);
    say(&client, plain("right"), "235 ");
    say(&client, TO_Y, "354 ");
    say(&client, FROM_ANN, "250 2.0.0");
    leave(&client);
    server_stop(server);
    const struct buffer *body = &fake_store.deliveries[0].body;
    assert_true(has(body, "Received: by mx.test"));
    assert_false(has(body, "127.0.0.1"));
    assert_false(has(body, "client.test"));
}

static void lose_session(void *context)
{
    (void)context;
    fake_store.session_lost = true;
}

/* The store has forgotten the session: before MAIL, RCPT, the dot. */
static void test_session_lost(void **state)
{
    static const char *const parts[] = {"MAIL FROM:<ann@here.test>\r\n",
                                        "RCPT TO:<y@here.test>\r\n", "DATA\r\n", FROM_ANN};
    static const char *const wants[] = {"250 ", "250 ", "354 ", "250 "};
    struct server *server = *state;
    struct client client;

    for (size_t lost = 0; lost < 4; lost++) {
        if (lost == 2)
            continue; /* DATA asks nobody */
        begin(server);
        server_run(server);
        enter(&client, server);
        say(&client, plain("right"), "235 ");
        for (size_t i = 0; i < lost; i++)
            say(&client, parts[i], wants[i]);
        loop_post(server->loop, lose_session, NULL);
        say(&client, parts[lost], "451 4.7.0");
        expect(&client, "");
        leave(&client);
        server_stop(server);
        assert_int_equal(fake_store.delivery_count, 0);
    }
}

static void test_limits(void **state)
{
    struct server *server = *state;
    struct client client;

    begin(server);
    fake_store.reply_err = ERR_LIMIT;
    server_run(server);
    enter(&client, server);
    say(&client, plain("right"), "235 ");
    say(&client, "MAIL FROM:<ann@here.test>\r\nRCPT TO:<a@else.test>\r\n", "250 ");
    say(&client, "RCPT TO:<b@else.test>\r\nRCPT TO:<c@else.test>\r\n", "250 2.1.5");
    say(&client, "RCPT TO:<d@else.test>\r\n", "452 4.5.3");
    say(&client, "RSET\r\n", "250 ");
    say(&client, TO_Y, "354 ");
    say(&client, FROM_ANN, "452 4.2.1");
    say(&client, "NOOP\r\n", "250 ");
    leave(&client);
    server_stop(server);
}

/* The client leaves while the store works on a step; whatever the store says then, nobody stays
 * logged in, and nothing is left behind. */
static void test_client_leaves(void **state)
{
    struct server *server = *state;
    struct client client;

    for (unsigned step = 0; step < 5; step++) {
        begin(server);
        fake_store.hold_logins = step == 0;
        fake_store.hold_rights = step == 1;
        fake_store.hold_lookups = step == 2;
        fake_store.hold_deliveries = step == 4;
        server_run(server);
        enter(&client, server);
        put(&client, plain("right"));
        if (step > 0)
            expect(&client, "235 ");
        if (step > 0)
            put(&client, "MAIL FROM:<ann@here.test>\r\n");
        if (step > 1)
            say(&client, "RCPT TO:<y@here.test>\r\n", step == 2 ? "250 " : "250 2.1.5");
        if (step == 3)
            say(&client, "DATA\r\n", "354 ");
        if (step == 4) {
            say(&client, "DATA\r\n", "354 ");
            put(&client, FROM_ANN);
        }
        if (step != 3)
            store_wait_held(1);
        leave(&client);
        wait_for(nobody_is_here, false);
        store_release(server);
        wait_for(all_is_over, step == 4);
        server_ask_stop(server);
        server_join(server);
        assert_int_equal(fake_store.logins, 1);
        assert_int_equal(fake_store.logouts, 1);
        assert_int_equal(fake_store.delivery_count, step == 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_whole),         SERVER_TEST(test_refusals),
        SERVER_TEST(test_log_in),        SERVER_TEST(test_log_in_trouble),
        SERVER_TEST(test_barred),        SERVER_TEST(test_client_is_hidden),
        SERVER_TEST(test_session_lost),  SERVER_TEST(test_limits),
        SERVER_TEST(test_client_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
