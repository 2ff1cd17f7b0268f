/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/imap/conversations.h"
#include "tests/unit/imap/fake_store.h"

static const char hello[] = "From: Bob <bob@example.net>\r\nTo: ann@example.org\r\n"
                            "Subject: Hello\r\nDate: Fri, 20 Nov 2026 08:00:00 +0100\r\n"
                            "Message-ID: <1@example.net>\r\n\r\nHi Ann,\r\nall well?\r\n";
static const char parts[] =
    "From: Carl <carl@example.net>\r\nSubject: Parts\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\none\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inside\r\n\r\ntwo\r\n"
    "--b--\r\n";
static const char minimal[] = "Subject: 3\r\n\r\n";

static void fill(struct fake_store *store)
{
    fake_store_deliver(store, 1, bytes_of(hello), FLAG_SEEN);
    fake_store_deliver(store, 1, bytes_of(parts), 0);
    fake_store_deliver(store, 1, bytes_of(minimal), FLAG_DELETED);
}

/* Lines that begin with '!' are what happens elsewhere. */
static void happen(struct fake_driver *driver, const char *line)
{
    unsigned number = 0;
    unsigned other = 0;

    if (sscanf(line, "!deliver %u", &number) == 1) {
        fake_store_deliver(&driver->store, number, bytes_of(minimal), 0);
    } else if (sscanf(line, "!expunge %u", &number) == 1) {
        fake_store_expunge(&driver->store, 1, number);
    } else if (sscanf(line, "!seen %u", &number) == 1) {
        fake_store_set_flags(&driver->store, 1, number, FLAG_SEEN);
    } else if (sscanf(line, "!fail %u", &number) == 1) {
        driver->store.fail = (enum err)number;
        return;
    } else if (sscanf(line, "!lost %u", &number) == 1) {
        driver->store.lost = (enum err)number;
        return;
    } else if (sscanf(line, "!later %u", &number) == 1) {
        driver->store.fail_after = number;
        return;
    } else if (sscanf(line, "!quota %u %u", &number, &other) == 2) {
        driver->store.quota = arena_alloc(&driver->store.arena, sizeof(*driver->store.quota));
        pr__account_quota__init(driver->store.quota);
        driver->store.quota->bytes = number;
        driver->store.quota->messages = other;
        return;
    } else if (bytes_start_nocase(bytes_of(line), BYTES("!forget"))) {
        fake_store_forget_login(&driver->store);
        return;
    } else if (sscanf(line, "!turn away %u", &number) == 1) {
        driver->verdict = (struct imap_verdict){.code = "LIMIT", .text = "Too much"};
        driver->judged = (enum imap_attempt)number;
        return;
    } else if (sscanf(line, "!slow %u", &number) == 1) {
        driver->verdict = (struct imap_verdict){.delay_ms = 5000};
        driver->judged = (enum imap_attempt)number;
        return;
    } else if (sscanf(line, "!page %u", &number) == 1) {
        driver->store.page = number;
        return;
    } else {
        fail_msg("what is \"%s\"?", line);
    }
    imap_session_changed(driver->session, driver->store.modseq);
    fake_driver_pump(driver);
}

/* The client's bytes of `input`, cut in two at `cut`. */
static void play(struct fake_driver *driver, const char *input, size_t cut)
{
    size_t at = 0;
    size_t len = strlen(input);

    while (at < len) {
        if (input[at] == '!' && (at == 0 || input[at - 1] == '\n')) {
            happen(driver, input + at);
            at += bytes_find(bytes_of(input + at), '\n') + 1;
            continue;
        }
        const char *event = strstr(input + at, "\n!");
        size_t end = event != NULL ? (size_t)(event - input) + 1 : len;
        if (cut > at && cut < end)
            end = cut;
        fake_driver_feed(driver, bytes_from(input + at, end - at));
        at = end;
    }
    fake_driver_pump(driver);
}

static char *transcript(const struct conversation *conversation, size_t cut)
{
    struct fake_driver driver;

    fake_driver_init(&driver, !conversation->in_clear);
    fill(&driver.store);
    play(&driver, conversation->input, cut);
    assert_false(driver.call_without_login);
    buffer_add_byte(&driver.seen, '\0');
    char *text = strdup((const char *)buffer_bytes(&driver.seen).at);
    fake_driver_fini(&driver);
    return text;
}

static void check(const struct conversation *conversation, size_t cut)
{
    char *seen = transcript(conversation, cut);
    const char *greeting_end = strstr(seen, "\r\n");

    assert_non_null(greeting_end);
    if (strcmp(greeting_end + 2, conversation->want) != 0)
        print_error("%s, cut at %zu, says:\n%s\n", conversation->name, cut, greeting_end + 2);
    assert_string_equal(greeting_end + 2, conversation->want);
    free(seen);
}

static const struct conversation *const tables[] = {
    conversations_access,
    conversations_login,
    conversations_mailbox,
    conversations_message,
};

static void test_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct conversation *row = tables[i]; row->name != NULL; row++)
            for (size_t cut = 0; cut < strlen(row->input); cut++)
                check(row, cut);
}

static void play_bytes(struct fake_driver *driver, const char *input)
{
    for (const char *at = input; *at != '\0';) {
        if (*at == '!' && (at == input || at[-1] == '\n')) {
            happen(driver, at);
            at += bytes_find(bytes_of(at), '\n') + 1;
        } else {
            fake_driver_feed(driver, bytes_from(at++, 1));
        }
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct conversation *row = tables[i]; row->name != NULL; row++) {
            struct fake_driver driver;
            fake_driver_init(&driver, !row->in_clear);
            fill(&driver.store);
            play_bytes(&driver, row->input);
            buffer_add_byte(&driver.seen, '\0');
            const char *seen = (const char *)buffer_bytes(&driver.seen).at;
            assert_string_equal(strstr(seen, "\r\n") + 2, row->want);
            fake_driver_fini(&driver);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_every_cut),
        cmocka_unit_test(test_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
