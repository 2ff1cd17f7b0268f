/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Submission over real sockets with TLS: who may send what, and what reaches the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/arena.h"
#include "storage/schema/entry.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

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

static void test_whole(void **state)
{
    struct server *server = *state;
    struct submit_client client;
    struct arena arena;

    submit_begin(server);
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<ann@here.test> RET=HDRS ENVID=abc\r\n", "250 ");
    submit_say(&client, "RCPT TO:<y@here.test>\r\n", "250 ");
    submit_say(&client,
               "RCPT TO:<far@else.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Far@else.test\r\n",
               "250 ");
    submit_say(&client, "DATA\r\n", "354 ");
    submit_say(&client, "Bcc: secret@else.test\r\n" FROM_ANN, "250 2.0.0");
    submit_say(&client, "QUIT\r\n", "221 ");
    submit_leave(&client);
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
        {TO_Y, "354 ", "From: ann@here.test\r\nSender: bob@here.test\r\n\r\n.\r\n",
         "550 5.7.1"},
        {TO_Y, "354 ", "From: ann@here.test\r\nSender: Bob\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: all:;\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "From: ann@here.test, team@here.test\r\n\r\n.\r\n", "554 5.6.0"},
        {TO_Y, "354 ", "no field\r\nFrom: ann@here.test\r\n\r\n.\r\n", "554 5.6.0"},
        {"MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n", "354 ",
         "From: bob@here.test\r\n\r\n.\r\n", "550 5.7.1"},
        {"MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n", "354 ", FROM_ANN, "250 2.0.0"},
    };
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    server_run(server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        submit_enter(&client, server);
        submit_say(&client, submit_plain("right"), "235 ");
        submit_say(&client, cases[i].envelope, cases[i].want);
        if (cases[i].text != NULL)
            submit_say(&client, cases[i].text, cases[i].outcome);
        submit_say(&client, "NOOP\r\n", "250 ");
        submit_leave(&client);
    }
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.logouts, fake_store.logins);
}

static void test_log_in(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\n", "530 ");
    submit_say(&client, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6");
    submit_say(&client, "YW5uQGhlcmUudGVzdA==\r\n", "334 UGFzc3dvcmQ6");
    submit_say(&client, "d3Jvbmc=\r\n", "535 5.7.8");
    submit_say(&client, "AUTH LOGIN\r\n", "334 ");
    submit_say(&client, "*\r\n", "501 ");
    submit_say(&client, "AUTH LOGIN YW5uQGhlcmUudGVzdA==\r\n", "334 ");
    submit_say(&client, "YW5uQGhlcmUudGVzdA==\r\n", "334 ");
    submit_say(&client, "cmlnaHQ=\r\n", "235 ");
    submit_say(&client, TO_Y, "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    submit_leave(&client);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("wrong"), "535 5.7.8");
    submit_say(&client, submit_plain("wrong"), "535 5.7.8");
    submit_say(&client, submit_plain("wrong"), "421 ");
    submit_leave(&client);
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
    struct submit_client client;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        submit_begin(server);
        fake_store.login_err = cases[i].err;
        server_run(server);
        submit_enter(&client, server);
        submit_say(&client, submit_plain("right"), cases[i].want);
        submit_leave(&client);
        server_stop(server);
    }
}

static void test_barred(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    fake_store.barred = true;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\n", "550 5.7.1");
    submit_say(&client, "MAIL FROM:<>\r\n", "550 5.7.1");
    submit_leave(&client);
    server_stop(server);
}

static void test_client_is_hidden(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    fake_store.hide_client = true;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, TO_Y, "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    submit_leave(&client);
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
    struct submit_client client;

    for (size_t lost = 0; lost < 4; lost++) {
        if (lost == 2)
            continue; /* DATA asks nobody */
        submit_begin(server);
        server_run(server);
        submit_enter(&client, server);
        submit_say(&client, submit_plain("right"), "235 ");
        for (size_t i = 0; i < lost; i++)
            submit_say(&client, parts[i], wants[i]);
        loop_post(server->loop, lose_session, NULL);
        submit_say(&client, parts[lost], "421 4.7.0");
        submit_expect(&client, "");
        submit_leave(&client);
        server_stop(server);
        assert_int_equal(fake_store.delivery_count, 0);
    }
}

/* Notices tell users to write to postmaster of the host: that is not another host's. */
static void test_postmaster_of_the_host(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\nRCPT TO:<postmaster@mx.test>\r\nDATA\r\n",
               "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    submit_leave(&client);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    assert_int_equal(fake_store.deliveries[0].account_count, 1);
    assert_int_equal(fake_store.deliveries[0].accounts[0], 5);
}

/* A client that does not wait for 354 cannot be made to speak its message to us. */
static void test_message_behind_a_refusal(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client,
               "MAIL FROM:<ann@here.test>\r\nRCPT TO:<no@here.test>\r\nDATA\r\n"
               "RSET\r\n" TO_Y FROM_ANN,
               "554 5.5.0");
    submit_expect(&client, "");
    submit_leave(&client);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 0);
}

static void test_limits(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    fake_store.reply_err = ERR_LIMIT;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\nRCPT TO:<a@else.test>\r\n", "250 ");
    submit_say(&client, "RCPT TO:<b@else.test>\r\nRCPT TO:<c@else.test>\r\n", "250 2.1.5");
    submit_say(&client, "RCPT TO:<d@else.test>\r\n", "452 4.5.3");
    submit_say(&client, "RSET\r\n", "250 ");
    submit_say(&client, TO_Y, "354 ");
    submit_say(&client, FROM_ANN, "452 4.2.1");
    submit_say(&client, "NOOP\r\n", "250 ");
    submit_leave(&client);
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_whole),
        SERVER_TEST(test_refusals),
        SERVER_TEST(test_log_in),
        SERVER_TEST(test_log_in_trouble),
        SERVER_TEST(test_barred),
        SERVER_TEST(test_client_is_hidden),
        SERVER_TEST(test_session_lost),
        SERVER_TEST(test_limits),
        SERVER_TEST(test_postmaster_of_the_host),
        SERVER_TEST(test_message_behind_a_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
