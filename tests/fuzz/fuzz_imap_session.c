/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/flags.h"
#include "tests/unit/imap/fake_store.h"

/*
 * A whole session against the store in arrays. The first byte chooses how it begins (in the
 * clear, logged in, selected), and how large the pieces are that arrive; a byte over 0xF0 lets
 * something happen elsewhere. Whatever comes: what the client is told is well formed, each
 * command begun has exactly one tagged reply, no call is made before login, and the session
 * stays small.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SESSION_MEMORY_MAX = 2 * 1024 * 1024, EVENT_BYTE_FIRST = 0xF1, FIREWALL_FIRST = 12 };

static const char message[] =
    "From: Bob <bob@example.net>\r\nSubject: Parts\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: Inside\r\n\r\ntwo\r\n--b--\r\n";

struct watched {
    struct fake_driver driver;
    unsigned begun; /* commands */
};

static void on_event(void *owner, enum imap_event event, struct bytes text)
{
    struct watched *watched = owner;

    (void)text;
    watched->begun += event == IMAP_EVENT_COMMAND;
    watched->driver.logged_in |= event == IMAP_EVENT_LOGIN;
    watched->driver.turned_away += event == IMAP_EVENT_TURNED_AWAY;
}

/* The length of one line of the server with its literals, 0 when it has no end. Its text
 * between literals has neither NUL nor bare CR or LF. */
static size_t line_len(struct bytes text)
{
    size_t at = 0;

    for (;;) {
        size_t start = at;
        while (at < text.len && text.at[at] != '\r') {
            CHECK(text.at[at] != '\n' && text.at[at] != '\0');
            at++;
        }
        if (at + 1 >= text.len)
            return 0;
        CHECK(text.at[at + 1] == '\n');
        size_t digits = at;
        uint64_t literal = 0;
        if (at > start && text.at[at - 1] == '}') {
            digits--;
            while (digits > start && text.at[digits - 1] >= '0' && text.at[digits - 1] <= '9')
                digits--;
        }
        bool is_literal = digits < at && digits > start && text.at[digits - 1] == '{' &&
                          bytes_to_u64(bytes_from(text.at + digits, at - 1 - digits), &literal);
        at += 2;
        if (!is_literal)
            return at;
        for (uint64_t i = 0; i < literal && at + i < text.len; i++)
            CHECK(text.at[at + i] != '\0');
        at += literal;
        if (at > text.len)
            return 0;
    }
}

static bool is_tagged(struct bytes line)
{
    bytes_take_word(&line);
    return bytes_start_nocase(line, BYTES("OK ")) || bytes_start_nocase(line, BYTES("NO ")) ||
           bytes_start_nocase(line, BYTES("BAD "));
}

static void check_output(const struct watched *watched)
{
    struct bytes rest = buffer_bytes(&watched->driver.seen);
    unsigned tagged = 0;

    while (rest.len > 0) {
        size_t len = line_len(rest);
        struct bytes line = {rest.at, len};
        CHECK(len > 0);
        if (line.at[0] != '*' && line.at[0] != '+') {
            CHECK(is_tagged(line));
            tagged++;
        }
        rest = bytes_skip(rest, len);
    }
    /* The last may still be under way, or have lost its connection. */
    CHECK(tagged == watched->begun || tagged + 1 == watched->begun);
}

/* The next wrong or right log-in is too much; or the store forgets the exchange. */
static void guard(struct fake_driver *driver, unsigned what)
{
    if (what == 2) {
        fake_store_forget_login(&driver->store);
        return;
    }
    driver->verdict = (struct imap_verdict){.code = "LIMIT", .text = "Too much"};
    driver->judged = what == 0 ? IMAP_ATTEMPT_WRONG : IMAP_ATTEMPT_RIGHT;
}

static void happen(struct watched *watched, unsigned what)
{
    struct fake_store *store = &watched->driver.store;

    if (what >= FIREWALL_FIRST) {
        guard(&watched->driver, what - FIREWALL_FIRST);
        return;
    }
    if (what % 4 == 0)
        fake_store_deliver(store, 1, bytes_of(message), 0);
    if (what % 4 == 1 && store->message_count > 0) {
        struct fake_message *last = &store->messages[store->message_count - 1];
        if (!last->expunged)
            fake_store_expunge(store, last->mailbox, last->uid);
    }
    if (what % 4 == 2)
        store->fail = what & 4 ? ERR_UNAVAILABLE : ERR_NOTFOUND;
    if (what % 4 == 3)
        store->page = 1 + what / 4;
    imap_session_changed(watched->driver.session, store->modseq);
    fake_driver_pump(&watched->driver);
}

static void begin(struct watched *watched, unsigned how)
{
    fake_driver_init(&watched->driver, how % 8 != 0);
    imap_session_free(&watched->driver.session);
    watched->driver.config.on_event = on_event;
    watched->driver.session = imap_session_new(&watched->driver.config, watched, "192.0.2.1",
                                               how % 8 != 0, how % 8 == 0);
    imap_session_greet(watched->driver.session);
    watched->driver.quiet = true;
    for (unsigned i = 0; i < 3; i++)
        fake_store_deliver(&watched->driver.store, 1, bytes_of(message), i);
    if (how % 8 > 1)
        fake_driver_feed(&watched->driver, BYTES("a LOGIN ann@example.org secret\r\n"));
    if (how % 8 > 2)
        fake_driver_feed(&watched->driver, BYTES("b SELECT INBOX\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct watched watched;
    struct bytes input = {data, size};

    if (size < 1)
        return 0;
    watched = (struct watched){.begun = 0};
    begin(&watched, data[0]);
    size_t step = 1 + (size_t)data[0] / 8 * 7;
    for (input = bytes_skip(input, 1); input.len > 0;) {
        size_t len = 0;
        if (input.at[0] >= EVENT_BYTE_FIRST) {
            happen(&watched, input.at[0] - EVENT_BYTE_FIRST);
            input = bytes_skip(input, 1);
            continue;
        }
        while (len < input.len && len < step && input.at[len] < EVENT_BYTE_FIRST)
            len++;
        fake_driver_feed(&watched.driver, bytes_from(input.at, len));
        input = bytes_skip(input, len);
    }
    check_output(&watched);
    CHECK(!watched.driver.call_without_login);
    CHECK(watched.driver.turned_away == 0 ||
          (watched.driver.closed && !watched.driver.logged_in));
    CHECK(watched.driver.memory_max <= SESSION_MEMORY_MAX);
    fake_driver_fini(&watched.driver);
    return 0;
}
