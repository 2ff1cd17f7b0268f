/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages in several wordings: lists, forwards, aliases; what each recipient gets, and what is
 * refused for its content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "smtp/message/mime_walk.h"
#include "smtp/receive/destination.h"
#include "storage/schema/entry.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/server.h"

static Pr__DeliverCall *delivered(unsigned number, struct arena *arena)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    struct bytes packed = buffer_bytes(&fake_store.deliveries[number].packed);
    Pr__Request *request = pr__request__unpack(&allocator, packed.len, packed.at);

    assert_non_null(request);
    return request->deliver;
}

static bool has(const struct buffer *text, const char *part)
{
    struct bytes all = buffer_bytes(text);

    for (size_t i = 0; i + strlen(part) <= all.len; i++)
        if (memcmp(all.at + i, part, strlen(part)) == 0)
            return true;
    return false;
}

static int enter(const struct server *server)
{
    int fd = client_open(server);

    client_expect(fd, "220 mx.test");
    client_say(fd, "EHLO client.test\r\n", "250 ");
    return fd;
}

/* Everybody once in each wording, whatever was named twice; all in one call. */
static void test_list_and_forward(void **state)
{
    struct server *server = *state;
    struct arena arena;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<list@here.test> NOTIFY=NEVER\r\n"
               "RCPT TO:<forward@here.test>\r\nRCPT TO:<y@here.test>\r\n"
               "RCPT TO:<y@here.test>\r\nRCPT TO:<list@here.test>\r\nDATA\r\n",
               "354 ");
    client_say(fd, "List-Id: <other>\r\nPrecedence: bulk\r\n" MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);

    assert_int_equal(fake_store.delivery_count, 1);
    const struct fake_delivery *delivery = &fake_store.deliveries[0];
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_parts, 2);
    assert_int_equal(call->queue_account_id, 0);

    /* the list's */
    assert_int_equal(call->n_account_ids, 2);
    assert_int_equal(call->account_ids[0], 1);
    assert_int_equal(call->account_ids[1], 2);
    assert_int_equal(call->n_queue, 1);
    assert_string_equal(call->queue[0]->address, "far@else.test");
    assert_string_equal(call->queue[0]->sender, "list-bounces@here.test");
    assert_int_equal(call->queue[0]->notify, 0); /* said of the list, not of its members */
    assert_true(has(&delivery->body, "Return-Path: <list-bounces@here.test>\r\n"));
    assert_true(has(&delivery->body, "\r\nList-Id: Staff <list.here.test>\r\n"));
    assert_true(has(&delivery->body, "\r\nList-Post: <mailto:list@here.test>\r\n"));
    assert_true(has(&delivery->body, "\r\nList-Owner: <mailto:list-owner@here.test>\r\n"));
    assert_true(has(&delivery->body, "\r\nPrecedence: list\r\n"));
    assert_false(has(&delivery->body, "other"));
    assert_false(has(&delivery->body, "bulk"));

    /* as it came */
    assert_int_equal(call->parts[0]->n_account_ids, 1);
    assert_int_equal(call->parts[0]->account_ids[0], 1);
    assert_int_equal(call->parts[0]->n_queue, 0);
    assert_true(has(&delivery->part_bodies[0], "Return-Path: <x@a.test>\r\n"));
    assert_true(has(&delivery->part_bodies[0], "\r\nList-Id: <other>\r\n"));
    assert_false(has(&delivery->part_bodies[0], "Delivered-To"));

    /* the forward's */
    assert_int_equal(call->parts[1]->n_account_ids, 0);
    assert_int_equal(call->parts[1]->n_queue, 1);
    assert_string_equal(call->parts[1]->queue[0]->address, "away@else.test");
    assert_string_equal(call->parts[1]->queue[0]->sender, "SRS0=x@here.test");
    assert_int_equal(call->parts[1]->queue_account_id, 9);
    assert_true(has(&delivery->part_bodies[1], "Delivered-To: forward@here.test\r\n"));
    arena_fini(&arena);
}

/* Each forward is put down to the account whose it is, also two behind one address; the null
 * sender's are marked as any other. */
static void test_forwards_of_accounts(void **state)
{
    static const struct {
        uint64_t account_id;
        const char *address;
        const char *mark;
    } wants[] = {{9, "away@else.test", "Delivered-To: forward@here.test\r\n"},
                 {10, "away@else.test", "Delivered-To: forward1@here.test\r\n"},
                 {21, "one@else.test", "Delivered-To: both@here.test\r\n"},
                 {22, "two@else.test", "Delivered-To: both@here.test\r\n"}};
    struct server *server = *state;
    struct arena arena;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<forward@here.test>\r\n"
               "RCPT TO:<forward1@here.test>\r\nRCPT TO:<both@here.test>\r\nDATA\r\n",
               "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, "MAIL FROM:<>\r\nRCPT TO:<forward2@here.test>\r\nDATA\r\n", "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, "MAIL FROM:<>\r\nRCPT TO:<forward2@here.test>\r\nDATA\r\n", "354 ");
    client_say(fd, "Delivered-To: forward2@here.test\r\n" MESSAGE, "554 5.4.6");
    close(fd);
    server_stop(server);

    assert_int_equal(fake_store.delivery_count, 2);
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_account_ids, 1); /* of both@ */
    assert_int_equal(call->n_queue, 0);
    assert_int_equal(call->n_parts, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(call->parts[i]->queue_account_id, wants[i].account_id);
        assert_int_equal(call->parts[i]->n_queue, 1);
        assert_string_equal(call->parts[i]->queue[0]->address, wants[i].address);
        assert_true(has(&fake_store.deliveries[0].part_bodies[i], wants[i].mark));
    }
    call = delivered(1, &arena);
    assert_int_equal(call->queue_account_id, 11);
    assert_string_equal(call->queue[0]->sender, "");
    assert_true(has(&fake_store.deliveries[1].body, "Delivered-To: forward2@here.test\r\n"));
    arena_fini(&arena);
}

/* Who would need one wording too many is for the next transaction; who needs none more is not.
 */
static void test_wordings_are_bounded(void **state)
{
    struct server *server = *state;
    struct arena arena;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<list@here.test>\r\n", "250 2.1.5");
    for (unsigned i = 1; i < DESTINATION_WORDINGS_MAX; i++) {
        char line[64];
        snprintf(line, sizeof(line), "RCPT TO:<forward%u@here.test>\r\n", i);
        client_say(fd, line, "250 2.1.5");
    }
    client_say(fd, "RCPT TO:<forward@here.test>\r\n", "452 4.5.3");
    client_say(fd, "RCPT TO:<both@here.test>\r\n", "452 4.5.3");
    client_say(fd, "RCPT TO:<forward7@here.test>\r\n", "250 2.1.5");
    client_say(fd, "RCPT TO:<list@here.test>\r\n", "250 2.1.5");
    client_say(fd, "RCPT TO:<y@here.test>\r\n", "250 2.1.5");
    client_say(fd, "DATA\r\n", "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<forward@here.test>\r\n", "250 2.1.5");
    close(fd);
    server_stop(server);
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_parts, DESTINATION_WORDINGS_MAX);
    for (unsigned i = 1; i < DESTINATION_WORDINGS_MAX; i++)
        assert_int_equal(call->parts[i]->n_queue, 1);
    arena_fini(&arena);
}

/* An address that stands for several promises them delivery; one that is itself does not. */
static void test_promises(void **state)
{
    struct server *server = *state;
    struct arena arena;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<pair@here.test>\r\nDATA\r\n", "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<forward@here.test>\r\nDATA\r\n", "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    arena_init(&arena);
    const Pr__DeliverCall *pair = delivered(0, &arena);
    assert_int_equal(pair->n_account_ids, 2);
    assert_int_equal(pair->n_promised_ids, 2);
    assert_int_equal(pair->n_parts, 0);
    assert_int_equal(delivered(1, &arena)->n_promised_ids, 0);
    const Pr__DeliverCall *forward = delivered(2, &arena);
    assert_int_equal(forward->n_account_ids, 0);
    assert_int_equal(forward->group, 6);
    assert_int_equal(forward->queue_account_id, 9);
    arena_fini(&arena);
}

/* What one transaction asked for is not there in the next. */
static void test_transactions_apart(void **state)
{
    struct server *server = *state;
    struct arena arena;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<list@here.test>\r\nRSET\r\n", "250 ");
    client_say(fd, "MAIL FROM:<x@a.test>\r\nRCPT TO:<forward@here.test>\r\nEHLO again.test\r\n",
               "250 ");
    client_say(fd, ENVELOPE, "354 ");
    client_say(fd, MESSAGE, "250 2.0.0");
    close(fd);
    server_stop(server);
    arena_init(&arena);
    const Pr__DeliverCall *call = delivered(0, &arena);
    assert_int_equal(call->n_account_ids, 1);
    assert_int_equal(call->n_queue, 0);
    assert_int_equal(call->n_parts, 0);
    assert_int_equal(call->queue_account_id, 0);
    arena_fini(&arena);
}

/* The text lies where the store delivers: with the first account of the first wording. */
static void test_home(void **state)
{
    struct server *server = *state;
    struct buffer text = BUFFER_EMPTY;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(
        fd,
        "MAIL FROM:<x@a.test>\r\nRCPT TO:<forward@here.test>\r\nRCPT TO:<z@here.test>\r\n"
        "RCPT TO:<list@here.test>\r\nDATA\r\n",
        "354 ");
    buffer_add_string(&text, "Subject: large\r\n\r\n");
    for (unsigned i = 0; buffer_len(&text) < 2000000; i++)
        buffer_printf(&text, "%08x%08x line %u\r\n", i * 2654435761U, i * 40503U, i);
    buffer_add_string(&text, ".\r\n");
    client_send(fd, buffer_bytes(&text));
    client_expect(fd, "250 2.0.0");
    close(fd);
    server_stop(server);
    const struct fake_delivery *delivery = &fake_store.deliveries[0];
    assert_int_equal(delivery->account_count, 1);
    assert_int_equal(delivery->accounts[0], 2);
    assert_int_equal(delivery->part_count, 2);
    assert_true(buffer_len(&delivery->part_bodies[0]) > 2000000);
    assert_true(buffer_len(&delivery->part_bodies[1]) > 2000000);
    assert_int_equal(fake_store.aborts, 0);
    assert_int_equal(fake_store.strangers, 0);
    buffer_fini(&text);
}

static void test_content_refused(void **state)
{
    struct server *server = *state;
    struct buffer text = BUFFER_EMPTY;

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(
        fd,
        "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<forward@here.test>\r\n"
        "DATA\r\n",
        "354 ");
    client_say(fd, "Delivered-To: FORWARD@here.test\r\n" MESSAGE, "554 5.4.6");
    client_say(fd, ENVELOPE, "354 "); /* to who does not forward it is no loop */
    client_say(fd, "Delivered-To: forward@here.test\r\n" MESSAGE, "250 2.0.0");

    client_say(fd, ENVELOPE, "354 ");
    buffer_add_string(&text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (unsigned i = 0; i < SMTP_MIME_PART_COUNT_MAX + 2; i++)
        buffer_add_string(&text, "--b\r\n\r\n");
    buffer_add_string(&text, "--b--\r\n.\r\n");
    client_send(fd, buffer_bytes(&text));
    client_expect(fd, "554 5.6.0");
    client_say(fd, "NOOP\r\n", "250 ");
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
    buffer_fini(&text);
}

/* Binary content becomes one of lines, in each wording. */
static void test_binary(void **state)
{
    static const char head[] = "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
                               "Content-Transfer-Encoding: binary\r\n\r\n";
    static const char tail[] = {'a', '\n', 'b', 0, 'c', '\r', 'd'};
    struct server *server = *state;
    char command[64];

    server_start(server, 10);
    server_run(server);
    int fd = enter(server);
    client_say(fd,
               "MAIL FROM:<x@a.test> BODY=BINARYMIME\r\nRCPT TO:<y@here.test>\r\n"
               "RCPT TO:<list@here.test>\r\n",
               "250 ");
    snprintf(command, sizeof(command), "BDAT %zu LAST\r\n", strlen(head) + sizeof(tail));
    client_send(fd, bytes_of(command));
    client_send(fd, bytes_of(head));
    client_send(fd, bytes_from(tail, sizeof(tail)));
    client_expect(fd, "250 2.0.0");
    close(fd);
    server_stop(server);
    const struct fake_delivery *delivery = &fake_store.deliveries[0];
    assert_int_equal(delivery->part_count, 1);
    const struct buffer *texts[] = {&delivery->body, &delivery->part_bodies[0]};
    for (unsigned i = 0; i < 2; i++) {
        assert_true(has(texts[i], "Content-Transfer-Encoding: base64\r\n"));
        assert_true(has(texts[i], "\r\n\r\nYQpiAGMNZA==\r\n"));
    }
}

static void test_lmtp(void **state)
{
    struct server *server = *state;

    server->service = SMTP_SERVICE_LMTP;
    server_start(server, 10);
    server_run(server);
    int fd = client_open(server);
    client_expect(fd, "220 mx.test");
    client_say(fd, "LHLO client.test\r\n", "250 ");
    client_say(fd,
               "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<no@here.test>\r\n"
               "RCPT TO:<list@here.test>\r\nDATA\r\n",
               "354 ");
    client_send(fd, BYTES(MESSAGE "QUIT\r\n"));
    char seen[2000];
    size_t len = 0;
    for (ssize_t got = 1; got > 0; len += (size_t)got)
        got = read(fd, seen + len, sizeof(seen) - 1 - len);
    seen[len] = '\0';
    unsigned accepted = 0;
    for (const char *at = seen; (at = strstr(at, "250 2.0.0")) != NULL; at++)
        accepted++;
    assert_int_equal(accepted, 2);
    close(fd);
    server_stop(server);
    assert_int_equal(fake_store.delivery_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_list_and_forward),
        SERVER_TEST(test_forwards_of_accounts),
        SERVER_TEST(test_wordings_are_bounded),
        SERVER_TEST(test_promises),
        SERVER_TEST(test_transactions_apart),
        SERVER_TEST(test_home),
        SERVER_TEST(test_content_refused),
        SERVER_TEST(test_binary),
        SERVER_TEST(test_lmtp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
