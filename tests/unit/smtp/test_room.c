/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What messages under way may come to hold: put down as they grow, and refused beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "smtp/receive/room.h"
#include "smtp/receive/visitor.h"
#include "storage/schema/flags.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

#define BUDGET (UINT64_C(4) << 30) /* more than the test itself has */
#define SHARE (BUDGET / 100 * 75)

static void test_accounts(void **state)
{
    struct receive receive = {.config.memory = memory_budget_new(BUDGET)};
    uint64_t one = 0;
    uint64_t other = 0;

    (void)state;
    /* It grows with the message, up to what blocks on their way take, and with its wordings. */
    assert_true(room_of_message(1, 4000) < 128 * 1024);
    assert_true(room_of_message(1, 100000) > 3 * 100000);
    assert_int_equal(room_of_message(1, 1000000), room_of_message(1, 100000000));
    assert_true(room_of_message(1, 1000000) > 2 * BODY_BLOCK_SIZE + BODY_FRAME_SIZE_MAX);
    assert_int_equal(room_of_message(8, 5000), 8 * room_of_message(1, 5000));

    assert_true(room_raise(&receive, &one, SHARE - 1000));
    assert_false(room_is_over(&receive));
    assert_false(room_raise(&receive, &other, 1001));
    assert_int_equal(other, 0);
    assert_true(room_raise(&receive, &other, 1000));
    assert_true(room_is_over(&receive));
    assert_false(room_raise(&receive, &one, SHARE));
    room_leave(&receive, &one);
    assert_false(room_is_over(&receive));
    room_leave(&receive, &other);
    assert_int_equal(receive.room_bytes, 0);
    memory_budget_free(&receive.config.memory);
    assert_true(room_raise(&receive, &one, UINT64_C(1) << 50)); /* no budget, no limit */
    room_leave(&receive, &one);
}

static void take_all(void *context)
{
    struct server *server = context;
    server->receive->room_bytes += 200 * 1024;
}

static void give_back_some(void *context)
{
    struct server *server = context;
    server->receive->room_bytes -= 200 * 1024;
}

static void give_back(void *context)
{
    struct server *server = context;
    server->receive->room_bytes -= SHARE - 200 * 1024;
}

/* What comes behind the reply comes behind the change. */
static void change(struct server *server, int fd, void (*how)(void *context))
{
    loop_post(server->loop, how, server);
    client_say(fd, "NOOP\r\n", "250 ");
}

/* Others hold nearly all: what is small has room, what grows loses it, and is taken back. */
static void test_refused(void **state)
{
    struct server *server = *state;
    struct buffer text = BUFFER_EMPTY;

    server->memory = memory_budget_new(BUDGET);
    server_start(server, 10);
    server->receive->room_bytes = SHARE - 200 * 1024;
    server_run(server);
    int fd = client_at_data(server);
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, ENVELOPE, "354 ");
    buffer_add_string(&text, "Subject: large\r\n\r\n");
    for (unsigned i = 0; buffer_len(&text) < 900000; i++)
        buffer_printf(&text, "%08x%08x line %u\r\n", i * 2654435761U, i * 40503U, i);
    buffer_add_string(&text, ".\r\n");
    client_send(fd, buffer_bytes(&text));
    client_expect(fd, "452 4.3.1");
    /* Several wordings of a small one take as much. */
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n"
               "RCPT TO:<list@here.test>\r\nRCPT TO:<forward@here.test>\r\nDATA\r\n",
               "354 ");
    client_say(fd, MESSAGE, "452 4.3.1");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    /* Without any room nobody is looked up, and the transaction ends as usual. */
    change(server, fd, take_all);
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n", "452 4.3.1");
    client_say(fd, "RCPT TO:<nobody@here.test>\r\nRCPT TO:<z@here.test>\r\n", "452 4.3.1");
    change(server, fd, give_back_some);
    client_say(fd, "RCPT TO:<z@here.test>\r\nRSET\r\n", "250 2.0.0");
    change(server, fd, give_back);
    client_say(fd, ENVELOPE, "354 ");
    client_send(fd, buffer_bytes(&text));
    client_expect(fd, "250 2.0.0");
    close(fd);
    server_stop(server);
    memory_budget_free(&server->memory);
    buffer_fini(&text);
    assert_int_equal(fake_store.delivery_count, 3);
    assert_int_equal(fake_store.uploads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts),
        SERVER_TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
