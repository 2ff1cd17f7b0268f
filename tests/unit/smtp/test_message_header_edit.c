/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "smtp/message/header_edit.h"

#define TRACE "Return-Path: <a@b>\r\nReceived: from x\r\n by y\r\n"
#define LIST "List-Id: <new.example>\r\nPrecedence: list\r\n"

static const struct bytes own_names[] = {BYTES_INIT("mx1.us.example"),
                                         BYTES_INIT("us.example")};

enum profile { NOTHING, RECEPTION, SUBMISSION, TO_LIST, SMALL };

static const struct smtp_header_edit_config profiles[] = {
    [NOTHING] = {.authserv_ids = own_names, .authserv_id_count = 2},
    [RECEPTION] = {.drop = SMTP_DROP_ON_RECEPTION,
                   .authserv_ids = own_names,
                   .authserv_id_count = 2,
                   .authserv_domain = BYTES_INIT("all.example"),
                   .prepend = BYTES_INIT(TRACE)},
    [SUBMISSION] = {.drop = SMTP_DROP_ON_SUBMISSION,
                    .date = BYTES_INIT("Sun, 22 Nov 2026 08:00:00 +0000"),
                    .message_id = BYTES_INIT("<1@us.example>")},
    [SMALL] = {.drop = SMTP_DROP_ON_SUBMISSION,
               .authserv_ids = own_names,
               .authserv_id_count = 2,
               .date = BYTES_INIT("x"),
               .size_max = 40,
               .lines_max = 3},
    [TO_LIST] = {.drop = SMTP_DROP_FOR_LIST, .append = BYTES_INIT(LIST)},
};

#define ADDED "Date: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@us.example>\r\n"
#define KEPT "From: a@b\r\nDate: d\r\nMessage-ID: <m>\r\n"
#define HAS_8BIT SMTP_FAULT_8BIT

static const struct row {
    const char *name;
    enum profile profile;
    unsigned faults;
    const char *input;
    const char *want;
} rows[] = {
    {"nothing to do", NOTHING, 0, "From: a@b\r\n\r\nBcc: c\r\n", "From: a@b\r\n\r\nBcc: c\r\n"},
    {"trace on top", RECEPTION, 0, "From: a@b\r\n\r\nx\r\n", TRACE "From: a@b\r\n\r\nx\r\n"},
    {"empty message", RECEPTION, SMTP_FAULT_NO_FROM | SMTP_FAULT_UNENDED, "", TRACE},
    {"no header", RECEPTION, SMTP_FAULT_NO_FROM, "\r\nFrom: a@b\r\n",
     TRACE "\r\nFrom: a@b\r\n"},

    {"bcc", SUBMISSION, 0,
     KEPT
     "Bcc: x@y,\r\n z@y\r\nTo: c@d\r\nBCC : q@y\r\nResent-bcc:\r\n\tr@y\r\n\r\nBcc: body\r\n",
     KEPT "To: c@d\r\n\r\nBcc: body\r\n"},
    {"bcc at the end", SUBMISSION, 0, KEPT "bcc: x@y\r\n \r\n z\r\n\r\n", KEPT "\r\n"},
    {"names that begin alike", SUBMISSION, 0,
     KEPT "Bccx: 1\r\nX-Bcc: 2\r\nBc: 3\r\nB: 4\r\n\r\n",
     KEPT "Bccx: 1\r\nX-Bcc: 2\r\nBc: 3\r\nB: 4\r\n\r\n"},
    {"missing fields", SUBMISSION, 0, "From: a@b\r\n\r\nx", "From: a@b\r\n" ADDED "\r\nx"},
    {"missing fields behind a dropped one", SUBMISSION, 0, "From: a@b\r\nBcc: c\r\n\r\n",
     "From: a@b\r\n" ADDED "\r\n"},
    {"missing fields, no body", SUBMISSION, SMTP_FAULT_UNENDED, "From: a@b\r\n",
     "From: a@b\r\n" ADDED},
    {"missing fields, cut line", SUBMISSION, SMTP_FAULT_UNENDED, "Subject: a\r\nFrom: a@b",
     "Subject: a\r\nFrom: a@b\r\n" ADDED},
    {"missing fields, cut line left out", SUBMISSION, SMTP_FAULT_UNENDED,
     "From: a@b\r\nBcc: a@b", "From: a@b\r\n" ADDED},
    {"missing fields behind a bare lf", SUBMISSION, SMTP_FAULT_UNENDED | SMTP_FAULT_CONTROL,
     "From: a@b\r\nX: y\n", "From: a@b\r\nX: y\n\r\n" ADDED},
    {"date is there", SUBMISSION, 0, "From: a@b\r\ndate:x\r\n\r\n",
     "From: a@b\r\ndate:x\r\nMessage-ID: <1@us.example>\r\n\r\n"},
    {"trace of others in a submission", SUBMISSION, 0,
     KEPT "Return-Path: <x>\r\nX-Spam-Status: No\r\nX-POSTRAFT-Tenant: 1\r\n\r\n", KEPT "\r\n"},

    {"return path", RECEPTION, 0, "return-path: <x>\r\n y\r\nFrom: a@b\r\n\r\n",
     TRACE "From: a@b\r\n\r\n"},
    {"verdicts of others", RECEPTION, 0,
     "From: a@b\r\nReceived-SPF: pass\r\nX-Spam-Flag: NO\r\nX-Spam: 1\r\nX-Virus-Scanned: y\r\n"
     "X-Postraft-Verdict: good\r\n\r\n",
     TRACE "From: a@b\r\nX-Spam: 1\r\n\r\n"},
    {"results in our name", RECEPTION, 0,
     "From: a@b\r\nAuthentication-Results: mx1.us.example; spf=pass\r\n"
     "Authentication-Results: mx.other.example; spf=pass\r\n"
     "Authentication-results : us.example 1; dkim=pass\r\n\r\n",
     TRACE "From: a@b\r\nAuthentication-Results: mx.other.example; spf=pass\r\n\r\n"},
    {"results in the name of another node", RECEPTION, 0,
     "Authentication-Results: mx7.All.example.; x\r\nAuthentication-Results: all.example\r\n"
     "From: a@b\r\nAuthentication-Results: small.example\r\n\r\n",
     TRACE "From: a@b\r\nAuthentication-Results: small.example\r\n\r\n"},
    {"results in our name, hidden", RECEPTION, 0,
     "From: a@b\r\nAuthentication-Results:\r\n (not ; us (nested \\) )\r\n "
     ")\r\n\tUS.Example\r\n"
     " ; spf=pass\r\n"
     "Authentication-Results: \"us\\.example\"; spf=pass\r\n"
     "Authentication-Results: us.example.; spf=pass\r\n"
     "Authentication-Results: us.example:25; spf=pass\r\n"
     "Authentication-Results: us.example(c)1; spf=pass\r\n"
     "Authentication-Results: us.example\r\n"
     "Authentication-Results:us.example;none\r\n\r\n",
     TRACE "From: a@b\r\n\r\n"},
    {"results in no name", RECEPTION, 0,
     "From: a@b\r\nAuthentication-Results: ; spf=pass\r\nAuthentication-Results: "
     "(us.example\r\n"
     "Authentication-Results: \"us.example\r\nAuthentication-Results:\r\n\r\n",
     TRACE "From: a@b\r\n\r\n"},
    {"results of others", RECEPTION, 0,
     "From: a@b\r\nAuthentication-Results: (us.example) other.example; x=us.example\r\n"
     "Authentication-Results: xus.example; spf=pass\r\n"
     "Authentication-Results: us.example.org; spf=pass\r\n"
     "Authentication-Results: other.example;\r\n us.example; spf=pass\r\n\r\n",
     TRACE "From: a@b\r\nAuthentication-Results: (us.example) other.example; x=us.example\r\n"
           "Authentication-Results: xus.example; spf=pass\r\n"
           "Authentication-Results: us.example.org; spf=pass\r\n"
           "Authentication-Results: other.example;\r\n us.example; spf=pass\r\n\r\n"},
    {"results are kept when nobody asks", NOTHING, 0,
     "From: a@b\r\nAuthentication-Results: us.example; none\r\n\r\n",
     "From: a@b\r\nAuthentication-Results: us.example; none\r\n\r\n"},
    {"results without an end", RECEPTION, SMTP_FAULT_UNENDED,
     "From: a@b\r\nAuthentication-Results: us.exam",
     TRACE "From: a@b\r\nAuthentication-Results: us.exam"},

    {"list", TO_LIST, 0,
     "From: a@b\r\nList-Id: <old>\r\nlist-unsubscribe: <x>,\r\n <y>\r\nList-Post: NO\r\n"
     "List-Unsubscribe-Post: z\r\nPrecedence: bulk\r\nList-Archive: <x>\r\nBcc: q\r\n"
     "List-Software: s\r\nReturn-Receipt-To: a@b\r\n\r\nx",
     "From: a@b\r\nList-Software: s\r\n" LIST "\r\nx"},

    {"no from", NOTHING, SMTP_FAULT_NO_FROM, "To: a@b\r\n\r\n", "To: a@b\r\n\r\n"},
    {"two from", NOTHING, SMTP_FAULT_TWO_FROM | SMTP_FAULT_NO_SENDER,
     "From: a@b\r\nFrom : c@d\r\n\r\n", "From: a@b\r\nFrom : c@d\r\n\r\n"},
    {"two in from", NOTHING, SMTP_FAULT_NO_SENDER, "From: a@b, x <c@d>\r\n\r\n",
     "From: a@b, x <c@d>\r\n\r\n"},
    {"two in from with a sender", NOTHING, 0, "From: a@b, x <c@d>\r\nSender: a@b\r\n\r\n",
     "From: a@b, x <c@d>\r\nSender: a@b\r\n\r\n"},
    {"two in a group", NOTHING, SMTP_FAULT_NO_SENDER, "From: g: a@b, c@d;\r\n\r\n",
     "From: g: a@b, c@d;\r\n\r\n"},
    {"one in a group", NOTHING, 0, "From: g: a@b;\r\n\r\n", "From: g: a@b;\r\n\r\n"},
    {"nobody in from", NOTHING, SMTP_FAULT_BAD_FROM, "From:\r\n\r\n", "From:\r\n\r\n"},
    {"nobody in a group", NOTHING, SMTP_FAULT_BAD_FROM, "From: g:;\r\n\r\n",
     "From: g:;\r\n\r\n"},
    {"no domain in from", NOTHING, SMTP_FAULT_BAD_FROM, "From: anna\r\n\r\n",
     "From: anna\r\n\r\n"},
    {"a name like an address", NOTHING, SMTP_FAULT_BAD_FROM, "From: a@b <c@d>\r\n\r\n",
     "From: a@b <c@d>\r\n\r\n"},
    {"a second pair of brackets", NOTHING, SMTP_FAULT_BAD_FROM, "From: <a@b> <c@d>\r\n\r\n",
     "From: <a@b> <c@d>\r\n\r\n"},
    {"a name like an address, quoted", NOTHING, 0, "From: \"a@b\" <c@d> (e@f)\r\n\r\n",
     "From: \"a@b\" <c@d> (e@f)\r\n\r\n"},
    {"two dates", NOTHING, SMTP_FAULT_REPEATED, "From: a@b\r\nDate: 1\r\nDate: 2\r\n\r\n",
     "From: a@b\r\nDate: 1\r\nDate: 2\r\n\r\n"},
    {"two of what may be two", NOTHING, 0,
     "From: a@b\r\nReceived: 1\r\nReceived: 2\r\nComments: 1\r\nComments: 1\r\n\r\n",
     "From: a@b\r\nReceived: 1\r\nReceived: 2\r\nComments: 1\r\nComments: 1\r\n\r\n"},

    {"no colon", NOTHING, SMTP_FAULT_NO_FIELD, "From: a@b\r\nHello\r\n x\r\nBcc: y\r\n\r\n",
     "From: a@b\r\nHello\r\n x\r\nBcc: y\r\n\r\n"},
    {"a header goes on behind what is none", SUBMISSION, SMTP_FAULT_NO_FIELD,
     KEPT "Hello\r\nBcc: y\r\n\r\n", KEPT "Hello\r\n\r\n"},
    {"mbox", NOTHING, SMTP_FAULT_NO_FIELD, "From a@b Sun 08:00:00\r\nFrom: a@b\r\n\r\n",
     "From a@b Sun 08:00:00\r\nFrom: a@b\r\n\r\n"},
    {"folded start", NOTHING, SMTP_FAULT_NO_FIELD | SMTP_FAULT_NO_FROM, " From: a@b\r\n\r\n",
     " From: a@b\r\n\r\n"},
    {"no name", NOTHING, SMTP_FAULT_NO_FIELD, "From: a@b\r\n: x\r\n\r\n",
     "From: a@b\r\n: x\r\n\r\n"},
    {"space in a name", NOTHING, SMTP_FAULT_NO_FIELD, "From: a@b\r\nB cc: x\r\n\r\n",
     "From: a@b\r\nB cc: x\r\n\r\n"},
    {"8 bit in a name", NOTHING, SMTP_FAULT_NO_FIELD | HAS_8BIT,
     "From: a@b\r\n\xC3\xA4: x\r\n\r\n", "From: a@b\r\n\xC3\xA4: x\r\n\r\n"},
    {"8 bit", NOTHING, HAS_8BIT, "From: a@b\r\nSubject: \xC3\xA4\r\n\r\n\xFF",
     "From: a@b\r\nSubject: \xC3\xA4\r\n\r\n\xFF"},
    {"latin 1", NOTHING, HAS_8BIT | SMTP_FAULT_NOT_UTF8, "From: a@b\r\nSubject: \xE4x\r\n\r\n",
     "From: a@b\r\nSubject: \xE4x\r\n\r\n"},
    {"half a character", NOTHING, HAS_8BIT | SMTP_FAULT_NOT_UTF8,
     "From: a@b\r\nSubject: \xE2\x82\r\n\r\n", "From: a@b\r\nSubject: \xE2\x82\r\n\r\n"},
    {"surrogate", NOTHING, HAS_8BIT | SMTP_FAULT_NOT_UTF8,
     "From: a@b\r\nSubject: \xED\xA0\x80\r\n\r\n",
     "From: a@b\r\nSubject: \xED\xA0\x80\r\n\r\n"},
    {"at the limit of size", SMALL, 0,
     "From: a@b\r\nDate: 1234567890123456789\r\n\r\nBcc: x\r\n",
     "From: a@b\r\nDate: 1234567890123456789\r\n\r\nBcc: x\r\n"},
    {"over the limit of size", SMALL, SMTP_FAULT_TOO_LARGE,
     "From: a@b\r\nDate: 12345678901234567890\r\n\r\nBcc: x\r\n",
     "From: a@b\r\nDate: 12345678901234567890\r\n\r\nBcc: x\r\n"},
    {"over it in a name", SMALL, SMTP_FAULT_TOO_LARGE | SMTP_FAULT_NO_FROM,
     "Bcc: x\r\nBcc-1234567890123456789012345678901234567890",
     "Bcc-1234567890123456789012345678901234567890"},
    {"over it in results of others", SMALL, SMTP_FAULT_TOO_LARGE | SMTP_FAULT_NO_FROM,
     "Authentication-Results: other.example; 1\r\n\r\n",
     "Authentication-Results: other.example; 1\r\n\r\n"},
    {"over it in our results", SMALL, SMTP_FAULT_TOO_LARGE | SMTP_FAULT_NO_FROM,
     "Authentication-Results: us.example; 12345\r\n\r\n", "5\r\n\r\n"},
    {"over it in a name in results", SMALL, SMTP_FAULT_TOO_LARGE | SMTP_FAULT_NO_FROM,
     "Authentication-Results:       other.example\r\n\r\n", "ple\r\n\r\n"},
    {"over the limit of lines", SMALL, SMTP_FAULT_TOO_LARGE,
     "From: a@b\r\nA: b\r\nC: d\r\nE: f\r\nBcc: x\r\n\r\n",
     "From: a@b\r\nA: b\r\nC: d\r\nE: f\r\nBcc: x\r\n\r\n"},
    {"bare lf", NOTHING, SMTP_FAULT_CONTROL, "From: a@b\r\nSubject: x\nBcc: y\r\n\r\n",
     "From: a@b\r\nSubject: x\nBcc: y\r\n\r\n"},
    {"bare lf pair is no end", SUBMISSION, SMTP_FAULT_CONTROL,
     KEPT "X: x\n\nBcc: y\r\nBcc: z\r\n\r\n", KEPT "X: x\n\nBcc: y\r\n\r\n"},
    {"bare cr", NOTHING, SMTP_FAULT_CONTROL, "From: a@b\r\nSubject: x\ry\r\n\r\n",
     "From: a@b\r\nSubject: x\ry\r\n\r\n"},
    {"bare cr at a start", NOTHING, SMTP_FAULT_CONTROL | SMTP_FAULT_NO_FIELD,
     "From: a@b\r\n\r:x\r\n\r\r\n\r\n", "From: a@b\r\n\r:x\r\n\r\r\n\r\n"},
    {"cr behind which the text ends", NOTHING,
     SMTP_FAULT_CONTROL | SMTP_FAULT_NO_FIELD | SMTP_FAULT_UNENDED, "From: a@b\r\n\r",
     "From: a@b\r\n\r"},
};

struct outcome {
    struct buffer output;
    struct smtp_header_edit *edit;
    const struct smtp_header_facts *facts;
};

static void outcome_fini(struct outcome *outcome)
{
    smtp_header_edit_free(&outcome->edit);
    buffer_fini(&outcome->output);
}

/* In pieces: up to `cut`, and then of `step` bytes each. Every piece is a copy of its own. */
static struct outcome play(const struct smtp_header_edit_config *config, struct bytes input,
                           size_t cut, size_t step)
{
    struct outcome outcome = {BUFFER_EMPTY, smtp_header_edit_new(config), NULL};

    for (size_t at = 0, len = cut; at < input.len; at += len, len = step) {
        len = len < input.len - at ? len : input.len - at;
        uint8_t *piece = malloc(len + (len == 0));
        memcpy(piece, input.at + at, len);
        smtp_header_edit_feed(outcome.edit, bytes_from(piece, len), &outcome.output);
        free(piece);
    }
    smtp_header_edit_finish(outcome.edit, &outcome.output);
    outcome.facts = smtp_header_edit_facts(outcome.edit);
    return outcome;
}

static void check(const struct row *row, size_t cut, size_t step)
{
    struct outcome outcome = play(&profiles[row->profile], bytes_of(row->input), cut, step);
    struct bytes output = buffer_bytes(&outcome.output);
    struct arena arena;

    arena_init(&arena);
    if (!bytes_equal(output, bytes_of(row->want)) || outcome.facts->faults != row->faults) {
        print_error("%s (cut at %zu): %.*s\nand not %s\n", row->name, cut, BYTES_ARG(output),
                    row->want);
        print_error("faults: %.*s\nand not: %.*s\n",
                    BYTES_ARG(smtp_header_faults_text(outcome.facts->faults, &arena)),
                    BYTES_ARG(smtp_header_faults_text(row->faults, &arena)));
        fail();
    }
    arena_fini(&arena);
    outcome_fini(&outcome);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].input);
        check(&rows[i], len, len + 1);
        check(&rows[i], 1, 1);
        for (size_t cut = 1; cut < len; cut++)
            check(&rows[i], cut, len);
    }
}

static void assert_text(struct bytes text, const char *want)
{
    if (!bytes_equal(text, bytes_of(want)))
        print_error("\"%.*s\", not \"%s\"\n", BYTES_ARG(text), want);
    assert_true(bytes_equal(text, bytes_of(want)));
}

static void test_facts(void **state)
{
    static const char input[] =
        "Received: a\r\nReceived: b\r\n"
        "Delivered-To: <Anna@A.example>\r\nDelivered-To:\r\n bob@a.example \r\n"
        "From: \"A, B\" <a@b>, g: c@d, \"e f\"@g;\r\nSender: s@b\r\n"
        "Reply-To: r@b\r\nReply-To: q@b\r\n"
        "Subject: =?utf-8?q?x?=\r\n  y\r\nSubject: second\r\n"
        "Message-ID: <m@x>\r\nDate: today\r\n"
        "List-Id: l (x)\r\nList-Unsubscribe: <u>\r\nList-Unsubscribe-Post: p\r\n"
        "Auto-Submitted: auto-replied\r\nPrecedence: bulk\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain;\r\n\tcharset=x\r\nContent-Transfer-Encoding: 8bit\r\n"
        "DKIM-Signature: 1\r\nTo: t@u\r\nCc: t@u\r\nBcc: t@u\r\n"
        "Authentication-Results: us.example; x=y\r\n"
        "ARC-Authentication-Results: i=1; us.example; x=y\r\n"
        "ARC-Authentication-Results: i=2; other.example; x=y\r\n\r\n";
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct outcome outcome = play(&profiles[RECEPTION], bytes_of(input), step, step);
        const struct smtp_header_facts *facts = outcome.facts;
        assert_true(smtp_header_edit_over(outcome.edit));
        assert_int_equal(facts->faults, SMTP_FAULT_REPEATED);
        assert_int_equal(facts->from.count, 5); /* the ends of the group too */
        assert_text(facts->from.at[0].name, "A, B");
        assert_text(facts->from.at[0].local, "a");
        assert_int_equal(facts->from.at[1].group, MAIL_ADDRESS_GROUP_START);
        assert_text(facts->from.at[3].local, "e f");
        assert_text(facts->from.at[3].domain, "g");
        assert_int_equal(facts->sender.count, 1);
        assert_int_equal(facts->reply_to.count, 2);
        assert_text(facts->subject, "=?utf-8?q?x?=  y");
        assert_text(facts->message_id, "<m@x>");
        assert_text(facts->date, "today");
        assert_text(facts->list_id, "l (x)");
        assert_text(facts->list_unsubscribe, "<u>");
        assert_text(facts->list_unsubscribe_post, "p");
        assert_text(facts->auto_submitted, "auto-replied");
        assert_text(facts->precedence, "bulk");
        assert_text(facts->mime_version, "1.0");
        assert_text(facts->content_type, "text/plain;\tcharset=x");
        assert_text(facts->content_encoding, "8bit");
        static const unsigned counts[SMTP_COUNTS] = {
            [SMTP_COUNT_FROM] = 1,        [SMTP_COUNT_SENDER] = 1,
            [SMTP_COUNT_REPLY_TO] = 2,    [SMTP_COUNT_TO] = 1,
            [SMTP_COUNT_CC] = 1,          [SMTP_COUNT_BCC] = 1,
            [SMTP_COUNT_DATE] = 1,        [SMTP_COUNT_MESSAGE_ID] = 1,
            [SMTP_COUNT_SUBJECT] = 2,     [SMTP_COUNT_CONTENT_TYPE] = 1,
            [SMTP_COUNT_RECEIVED] = 2,    [SMTP_COUNT_DELIVERED_TO] = 2,
            [SMTP_COUNT_OWN_RESULTS] = 1, [SMTP_COUNT_OWN_ARC] = 1,
            [SMTP_COUNT_DKIM] = 1,        [SMTP_COUNT_CONTENT_ENCODING] = 1,
        };
        assert_memory_equal(facts->counts, counts, sizeof(counts));
        assert_int_equal(facts->dropped, 1);
        assert_int_equal(facts->delivered_to_count, 2);
        assert_int_equal(facts->delivered_to[0],
                         smtp_delivered_to_hash(BYTES("anna@a.example")));
        assert_int_equal(facts->delivered_to[1],
                         smtp_delivered_to_hash(BYTES("BOB@a.example")));
        assert_int_not_equal(facts->delivered_to[0], facts->delivered_to[1]);
        outcome_fini(&outcome);
    }
}

/* The CRLF that ends a field is not in its value: a backslash in front of it escapes nothing.
 */
static void test_last_crlf(void **state)
{
    (void)state;
    for (size_t step = 1; step < 12; step++) {
        struct outcome outcome =
            play(&profiles[NOTHING], BYTES("From: \"x\\\r\nSubject: \\\r\n\r\n"), step, step);
        assert_int_equal(outcome.facts->from.count, 1);
        assert_text(outcome.facts->from.at[0].local, "x\\");
        assert_text(outcome.facts->subject, "\\");
        outcome_fini(&outcome);
    }
}

static void add_repeated(struct buffer *text, const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_add_string(text, piece);
}

/* Plays `input` whole and in pieces, and compares. */
static unsigned faults_of(const struct smtp_header_edit_config *config, struct bytes input,
                          size_t *output_size)
{
    struct outcome whole = play(config, input, input.len, input.len);
    unsigned faults = whole.facts->faults;

    for (size_t step = 997; step < 5000; step += 1001) {
        struct outcome pieces = play(config, input, step, step);
        assert_int_equal(pieces.facts->faults, faults);
        assert_true(bytes_equal(buffer_bytes(&pieces.output), buffer_bytes(&whole.output)));
        outcome_fini(&pieces);
    }
    if (output_size != NULL)
        *output_size = buffer_len(&whole.output);
    outcome_fini(&whole);
    return faults;
}

/* Row 12 of the list of attacks. */
static void test_limits(void **state)
{
    const struct smtp_header_edit_config *config = &profiles[NOTHING];
    struct smtp_header_edit_config small = {.size_max = 100, .lines_max = 3};
    struct buffer text = BUFFER_EMPTY;
    size_t size;
    (void)state;

    add_repeated(&text, "X: y\r\n", 100000); /* lines */
    assert_true(faults_of(config, buffer_bytes(&text), &size) & SMTP_FAULT_TOO_LARGE);
    assert_int_equal(size, buffer_len(&text));
    buffer_clear(&text);
    buffer_add_string(&text, "To: "); /* addresses, in few lines */
    add_repeated(&text, "a@b, ", 100000);
    buffer_add_string(&text, "\r\nFrom: a@b\r\n\r\nbody");
    assert_true(faults_of(config, buffer_bytes(&text), &size) & SMTP_FAULT_TOO_LARGE);
    assert_int_equal(size, buffer_len(&text));
    buffer_clear(&text);
    add_repeated(&text, "x", 1000000); /* a name without an end */
    assert_true(faults_of(config, buffer_bytes(&text), NULL) & SMTP_FAULT_TOO_LARGE);
    buffer_clear(&text);
    buffer_add_string(&text, "From: ");
    add_repeated(&text, "a@b, ", 2100);
    buffer_add_string(&text, "\r\nSender: a@b\r\n\r\n");
    assert_int_equal(faults_of(config, buffer_bytes(&text), &size),
                     SMTP_FAULT_FIELD_TOO_LARGE | SMTP_FAULT_BAD_FROM | SMTP_FAULT_LONG_LINE);
    assert_int_equal(size, buffer_len(&text));
    for (size_t more = 0; more < 2; more++) {
        buffer_clear(&text);
        buffer_add_string(&text, "From: ");
        add_repeated(&text, "a@b,\r\n ", SMTP_EDIT_FROM_COUNT_MAX - 1 + more);
        buffer_add_string(&text, "a@b\r\nTo: ");
        add_repeated(&text, "a@b,\r\n ", SMTP_EDIT_FROM_COUNT_MAX); /* as many as one likes */
        buffer_add_string(&text, "a@b\r\nSender: a@b\r\n\r\n");
        assert_int_equal(faults_of(config, buffer_bytes(&text), NULL),
                         more ? SMTP_FAULT_FIELD_TOO_LARGE : 0);
    }
    buffer_clear(&text);
    buffer_add_string(&text, "From: a@b");
    add_repeated(&text, "(", SMTP_EDIT_FIELD_SIZE_MAX);
    buffer_add_string(&text, "\r\n\r\n");
    assert_int_equal(faults_of(config, buffer_bytes(&text), NULL),
                     SMTP_FAULT_FIELD_TOO_LARGE | SMTP_FAULT_LONG_LINE);
    buffer_clear(&text); /* more than a name and a colon, but that is what it is */
    buffer_add_string(&text, "From");
    add_repeated(&text, " ", 2000);
    buffer_add_string(&text, ": a@b\r\n\r\n");
    assert_int_equal(faults_of(config, buffer_bytes(&text), NULL), SMTP_FAULT_LONG_LINE);
    buffer_clear(&text);
    buffer_add_string(&text, "From: a@b\r\nX: y\r\n\r\n");
    assert_int_equal(faults_of(&small, buffer_bytes(&text), NULL), 0);
    small.size_max = buffer_len(&text);
    assert_int_equal(faults_of(&small, buffer_bytes(&text), NULL), 0);
    small.size_max--;
    assert_true(faults_of(&small, buffer_bytes(&text), NULL) & SMTP_FAULT_TOO_LARGE);
    small = (struct smtp_header_edit_config){.lines_max = 1};
    assert_true(faults_of(&small, buffer_bytes(&text), NULL) & SMTP_FAULT_TOO_LARGE);
    buffer_fini(&text);
}

/* A name behind more comments than are read is as good as ours. */
static void test_long_results(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    size_t size;
    (void)state;
    for (int ours = 0; ours < 2; ours++) {
        buffer_clear(&text);
        buffer_add_string(&text, "From: a@b\r\nAuthentication-Results: ");
        if (!ours)
            buffer_add_string(&text, "other.example ");
        add_repeated(&text, "(c)\r\n ", 1000);
        buffer_add_string(&text, "other.example; x=y\r\nTo: x\r\n\r\n");
        assert_int_equal(faults_of(&profiles[RECEPTION], buffer_bytes(&text), &size), 0);
        size_t want = strlen(TRACE) + buffer_len(&text);
        assert_int_equal(size, ours ? strlen(TRACE "From: a@b\r\nTo: x\r\n\r\n") : want);
    }
    /* The cut falls into the name: it might go on to be ours. */
    buffer_clear(&text);
    buffer_add_string(&text, "From: a@b\r\nAuthentication-Results:");
    add_repeated(&text, " ", SMTP_EDIT_RESULTS_SIZE_MAX - 4);
    buffer_add_string(&text, "other; x=y\r\n\r\n");
    faults_of(&profiles[RECEPTION], buffer_bytes(&text), &size);
    assert_int_equal(size, strlen(TRACE "From: a@b\r\n\r\n"));
    buffer_fini(&text);
}

static void test_long_lines(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    size_t size;
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        buffer_clear(&text);
        buffer_add_string(&text, "From: a@b\r\nX: ");
        add_repeated(&text, "x", SMTP_EDIT_LINE_SIZE_MAX - 3 + extra);
        buffer_add_string(&text, "\r\n\r\n");
        add_repeated(&text, "body", 1000);
        assert_int_equal(faults_of(&profiles[NOTHING], buffer_bytes(&text), &size),
                         extra > 0 ? SMTP_FAULT_LONG_LINE : 0);
        assert_int_equal(size, buffer_len(&text));
    }
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_facts),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_long_results),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_last_crlf),
    };
    return cmocka_run_group_tests_name("smtp/message/header_edit", tests, NULL, NULL);
}
