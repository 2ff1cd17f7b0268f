/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients that go away at each point of an exchange: what was complete is delivered, what was
 * not is taken back, and nobody stays logged in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "node/base/arena.h"
#include "node/runtime/conn.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

/* More than a block, and not so much that it is not read while one is on its way. */
enum { LARGE = 300 * 1000 };

static bool nobody_is_here(void)
{
    return conn_count() == 0;
}

static bool all_is_over(void)
{
    return fake_store.logouts > 0 && fake_store.uploads == 0;
}

/* ---- before a message ---- */

static void test_before_a_message(void **state)
{
    static const struct {
        const char *line;
        const char *want; /* NULL: the store is asked, and has not answered yet */
    } steps[] = {
        {NULL, NULL},
        {"MAIL FROM:<ann@here.test>\r\n", NULL},
        {"RCPT TO:<y@here.test>\r\n", NULL},
        {"DATA\r\n", "354 "},
    };
    struct server *server = *state;
    struct submit_client client;

    for (unsigned last = 0; last < 4; last++) {
        submit_begin(server);
        fake_store.hold_logins = last == 0;
        fake_store.hold_rights = last == 1;
        fake_store.hold_lookups = last == 2;
        server_run(server);
        submit_enter(&client, server);
        submit_put(&client, submit_plain("right"));
        if (last > 0)
            submit_expect(&client, "235 ");
        for (unsigned i = 1; i <= last; i++) {
            submit_put(&client, steps[i].line);
            if (i < last || steps[i].want != NULL)
                submit_expect(&client, i < 3 ? "250 " : "354 ");
        }
        if (last < 3)
            store_wait_held(1);
        submit_leave(&client);
        submit_wait(nobody_is_here);
        store_release(server);
        submit_wait(all_is_over);
        server_stop(server);
        assert_int_equal(fake_store.logins, 1);
        assert_int_equal(fake_store.logouts, 1);
        assert_int_equal(fake_store.delivery_count, 0);
    }
}

/* ---- within a message, and behind it ---- */

enum point { POINT_TEXT, POINT_FROM, POINT_UPLOAD, POINT_DELIVER, POINT_COUNT };

/* What becomes of it: the store agrees, or says no at that point. */
static enum point denied_at;
static bool denied;

static bool deny(const Pr__Request *request, Pr__Reply *reply, enum err *err)
{
    static Pr__MaySendAnswer answer;
    static protobuf_c_boolean no;
    static const Pr__Request__CallCase calls[POINT_COUNT] = {
        [POINT_TEXT] = PR__REQUEST__CALL_UPLOAD,
        [POINT_FROM] = PR__REQUEST__CALL_MAY_SEND,
        [POINT_UPLOAD] = PR__REQUEST__CALL_UPLOAD,
        [POINT_DELIVER] = PR__REQUEST__CALL_DELIVER,
    };

    if (!denied || request->call_case != calls[denied_at])
        return false;
    *err = ERR_OK;
    reply->err = ERR_UNAVAILABLE;
    if (denied_at != POINT_FROM)
        return true;
    pr__may_send_answer__init(&answer);
    answer.allowed = &no;
    answer.n_allowed = 1;
    reply->err = ERR_OK;
    reply->answer_case = PR__REPLY__ANSWER_MAY_SEND;
    reply->may_send = &answer;
    return true;
}

static void hold_rights(void *context)
{
    (void)context;
    fake_store.hold_rights = true;
}

static void deny_now(void *context)
{
    (void)context;
    denied = true;
    fake_store_release(NULL);
}

static void add_text(struct buffer *text)
{
    buffer_add_string(text, "From: ann@here.test\r\n\r\n");
    for (unsigned i = 0; buffer_len(text) < LARGE; i++)
        buffer_printf(text, "%08x%08x line %u\r\n", i * 2654435761U, i * 40503U, i);
}

static void leave_at(struct server *server, enum point point, bool says_no)
{
    struct submit_client client;
    struct buffer text = BUFFER_EMPTY;

    add_text(&text);
    if (point != POINT_TEXT)
        buffer_add_string(&text, ".\r\n");
    buffer_add_byte(&text, '\0');
    denied = false;
    denied_at = point;
    submit_begin(server);
    fake_store.answers = deny;
    fake_store.hold_uploads = point == POINT_UPLOAD || point == POINT_TEXT;
    fake_store.hold_deliveries = point == POINT_DELIVER;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, TO_Y, "354 ");
    if (point == POINT_FROM)
        loop_post(server->loop, hold_rights, NULL);
    submit_put(&client, (const char *)buffer_bytes(&text).at);
    store_wait_held(1);
    submit_leave(&client);
    submit_wait(nobody_is_here);
    if (says_no)
        loop_post(server->loop, deny_now, NULL);
    else
        store_release(server);
    submit_wait(all_is_over);
    server_stop(server);
    buffer_fini(&text);
    assert_int_equal(fake_store.logins, 1);
    assert_int_equal(fake_store.logouts, 1);
    assert_int_equal(fake_store.delivery_count, point != POINT_TEXT && !says_no);
    assert_int_equal(fake_store.uploads, 0);
}

static void test_of_a_message(void **state)
{
    for (unsigned point = 0; point < POINT_COUNT; point++) {
        leave_at(*state, (enum point)point, false);
        leave_at(*state, (enum point)point, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_before_a_message),
        SERVER_TEST(test_of_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
