/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "storage/schema/flags.h"
#include "tests/unit/imap/fake_store.h"

/* Bodies of many blocks, clients that do not read, sessions that do nothing. */
enum { BODY_BLOCKS = 12, PIECE = 4096 };

static struct bytes large_body(struct arena *arena)
{
    size_t len = BODY_BLOCKS * (size_t)BODY_BLOCK_SIZE + 777;
    uint8_t *body = arena_alloc(arena, len);
    static const char header[] = "Subject: large\r\n\r\n";
    uint32_t seed = 7;

    memcpy(body, header, sizeof(header) - 1);
    for (size_t i = sizeof(header) - 1; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        body[i] = (uint8_t)('a' + (seed >> 24) % 26);
    }
    return bytes_from(body, len);
}

static void begin(struct fake_driver *driver, struct bytes *body)
{
    fake_driver_init(driver, true);
    *body = large_body(&driver->store.arena);
    fake_store_deliver(&driver->store, 1, *body, FLAG_SEEN);
    fake_driver_feed(driver, BYTES("a LOGIN ann@example.org secret\r\nb SELECT INBOX\r\n"));
    buffer_clear(&driver->seen);
    buffer_clear(&driver->calls);
}

static void assert_calls(struct fake_driver *driver, const char *want)
{
    buffer_add_byte(&driver->calls, '\0');
    assert_string_equal((const char *)buffer_bytes(&driver->calls).at, want);
    buffer_clear(&driver->calls);
}

static void test_whole_body(void **state)
{
    struct fake_driver driver;
    struct bytes body;
    char start[100];

    (void)state;
    begin(&driver, &body);
    fake_driver_feed(&driver, BYTES("c FETCH 1 BODY[]\r\n"));
    snprintf(start, sizeof(start), "* 1 FETCH (BODY[] {%zu}\r\n", body.len);
    struct bytes seen = buffer_bytes(&driver.seen);
    assert_true(bytes_start_nocase(seen, bytes_of(start)));
    seen = bytes_skip(seen, strlen(start));
    assert_true(seen.len > body.len);
    assert_true(bytes_equal(bytes_from(seen.at, body.len), body));
    assert_true(bytes_equal(bytes_skip(seen, body.len), BYTES(")\r\nc OK Done\r\n")));
    /* Never much more than one piece of output. */
    assert_true(driver.memory_max < 200 * 1024);
    assert_true(driver.write_max <= 64 * 1024);
    fake_driver_fini(&driver);
}

static void test_partial_reads_only_its_block(void **state)
{
    struct fake_driver driver;
    struct bytes body;
    char command[100];
    size_t at = 5 * (size_t)BODY_BLOCK_SIZE - 10;

    (void)state;
    begin(&driver, &body);
    snprintf(command, sizeof(command), "c FETCH 1 BODY.PEEK[]<%zu.5>\r\n", at);
    fake_driver_feed(&driver, bytes_of(command));
    assert_calls(&driver, "fetch body_read ");
    /* Over the edge of a block: the two that it lies in. */
    snprintf(command, sizeof(command), "d FETCH 1 BODY.PEEK[]<%zu.20>\r\n", at);
    buffer_clear(&driver.seen);
    fake_driver_feed(&driver, bytes_of(command));
    assert_calls(&driver, "fetch body_read body_read ");
    struct bytes seen = buffer_bytes(&driver.seen);
    seen = bytes_skip(seen, bytes_find(seen, '\n') + 1);
    assert_true(bytes_equal(bytes_from(seen.at, 20), bytes_from(body.at + at, 20)));
    /* A header lies in the first block, and nothing is read of the summary alone. */
    fake_driver_feed(&driver, BYTES("e FETCH 1 BODY.PEEK[HEADER]\r\n"));
    assert_calls(&driver, "fetch body_read ");
    fake_driver_feed(&driver, BYTES("f FETCH 1 (ENVELOPE BODYSTRUCTURE)\r\n"));
    assert_calls(&driver, "fetch ");
    fake_driver_fini(&driver);
}

/* Only as much is read from the store as the client takes. */
static void test_nothing_is_read_ahead_of_the_client(void **state)
{
    struct fake_driver driver;
    struct bytes body;
    struct imap_action action;
    size_t written = 0;
    unsigned blocks = 0;

    (void)state;
    begin(&driver, &body);
    struct bytes command = BYTES("c FETCH 1 BODY.PEEK[]\r\n");
    assert_int_equal(imap_session_feed(driver.session, command), command.len);
    while (imap_session_next(driver.session, &action)) {
        if (action.want == IMAP_WANT_WRITE) {
            written += action.bytes.len;
            /* What has been asked for is at most a block ahead of what was written. */
            assert_true(blocks * (size_t)BODY_BLOCK_SIZE <=
                        written + 2 * (size_t)BODY_BLOCK_SIZE);
            continue;
        }
        struct arena arena;
        arena_init(&arena);
        assert_int_equal(action.want, IMAP_WANT_CALL);
        blocks += action.request->call_case == PR__REQUEST__CALL_BODY_READ;
        imap_session_answered(driver.session, action.ticket, ERR_OK,
                              fake_store_answer(&driver.store, action.request, &arena));
        arena_fini(&arena);
    }
    assert_int_equal(blocks, BODY_BLOCKS + 1);
    assert_true(written > body.len);
    fake_driver_fini(&driver);
}

/* A body that cannot be read on: never half a message that looks like a whole one. */
static void test_failure_inside_a_literal_closes(void **state)
{
    struct fake_driver driver;
    struct bytes body;

    (void)state;
    begin(&driver, &body);
    driver.store.fail = ERR_UNAVAILABLE;
    driver.store.fail_after = 4;
    fake_driver_feed(&driver, BYTES("c FETCH 1 BODY.PEEK[]\r\n"));
    assert_true(driver.closed);
    struct bytes seen = buffer_bytes(&driver.seen);
    assert_true(seen.len < 4 * (size_t)BODY_BLOCK_SIZE);
    assert_true(bytes_find(seen, '<') == seen.len - strlen("<CLOSE>"));
    fake_driver_fini(&driver);

    /* Before it begins, there is still an answer. */
    begin(&driver, &body);
    driver.store.fail = ERR_UNAVAILABLE;
    driver.store.fail_after = 1;
    fake_driver_feed(&driver, BYTES("c FETCH 1 (BODY.PEEK[] UID)\r\n"));
    seen = buffer_bytes(&driver.seen);
    assert_true(bytes_equal(seen, BYTES("* 1 FETCH (BODY[] NIL UID 1)\r\n"
                                        "c NO [UNAVAILABLE] Some of it could not be read, "
                                        "try again\r\n")));
    fake_driver_fini(&driver);
}

static void test_append_is_handed_on_in_pieces(void **state)
{
    struct fake_driver driver;
    struct bytes body;
    char command[100];

    (void)state;
    begin(&driver, &body);
    driver.config.append_size_max = body.len;
    snprintf(command, sizeof(command), "c APPEND Sent {%zu+}\r\n", body.len);
    fake_driver_feed(&driver, bytes_of(command));
    driver.memory_max = 0;
    for (size_t at = 0; at < body.len; at += PIECE)
        fake_driver_feed(
            &driver, bytes_from(body.at + at, body.len - at < PIECE ? body.len - at : PIECE));
    assert_true(driver.memory_max < 8 * 1024);
    fake_driver_feed(&driver, BYTES("\r\n"));
    assert_true(
        bytes_equal(buffer_bytes(&driver.seen), BYTES("c OK [APPENDUID 1003 1] Done\r\n")));
    assert_true(bytes_equal(driver.store.messages[1].body, body));
    fake_driver_fini(&driver);
}

static void test_idle_session_is_small(void **state)
{
    struct fake_driver driver;
    struct bytes body;

    (void)state;
    begin(&driver, &body);
    fake_driver_feed(&driver, BYTES("c FETCH 1 BODY[]\r\nd SEARCH ALL\r\n"));
    assert_true(imap_session_memory(driver.session) < 1024);
    fake_driver_feed(&driver, BYTES("e IDLE\r\n"));
    assert_true(imap_session_memory(driver.session) < 1024);
    fake_driver_fini(&driver);
}

static void repeat(struct fake_driver *driver, uint8_t byte, size_t count)
{
    uint8_t piece[1000];

    memset(piece, byte, sizeof(piece));
    for (; count > 0; count -= count < sizeof(piece) ? count : sizeof(piece))
        fake_driver_feed(driver,
                         bytes_from(piece, count < sizeof(piece) ? count : sizeof(piece)));
}

/* What is too long is read over, its end is found again, and nothing of it is kept. */
static void test_commands_without_end(void **state)
{
    struct fake_driver driver;
    struct bytes body;

    (void)state;
    begin(&driver, &body);
    driver.memory_max = 0;
    fake_driver_feed(&driver, BYTES("c NOOP "));
    repeat(&driver, '(', 300000);
    fake_driver_feed(&driver, BYTES(" {12+}\r\nx LOGOUT\r\n"));
    fake_driver_feed(&driver, BYTES("..\r\nd SEARCH TEXT {200000+}\r\n"));
    repeat(&driver, '\n', 200000);
    fake_driver_feed(&driver, BYTES(" FROM {3+}\r\n\r\n\r\r\ne NOOP\r\n"));
    assert_true(bytes_equal(buffer_bytes(&driver.seen),
                            BYTES("c BAD The command is too long\r\n"
                                  "d NO [TOOBIG] The command is too long\r\n"
                                  "e OK Done\r\n")));
    assert_true(driver.memory_max < 140 * 1024);
    fake_driver_fini(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_body),
        cmocka_unit_test(test_partial_reads_only_its_block),
        cmocka_unit_test(test_nothing_is_read_ahead_of_the_client),
        cmocka_unit_test(test_failure_inside_a_literal_closes),
        cmocka_unit_test(test_append_is_handed_on_in_pieces),
        cmocka_unit_test(test_idle_session_is_small),
        cmocka_unit_test(test_commands_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
