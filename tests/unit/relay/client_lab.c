/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/check.h"
#include "unit/relay/client_lab.h"
#include "unit/relay/client_server.h"

static const char *const results[] = {"DELIVERED", "DEFERRED", "FAILED", "UNKNOWN"};
static const char *const phases[] = {"CONNECT", "GREETING", "HELLO", "TLS", "MAIL",
                                     "RCPT",    "DATA",     "FINAL", "IDLE"};

/* ---- the driver ---- */

static void on_write(void *context, struct bytes bytes)
{
    struct lab *lab = context;

    assert_false(lab->closed);
    assert_true(bytes.len > 0);
    buffer_add(&lab->to_server, bytes);
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != '\r' || i + 1 == bytes.len || bytes.at[i + 1] != '\n')
            buffer_add_byte(&lab->transcript, bytes.at[i]);
}

static void on_start_tls(void *context)
{
    struct lab *lab = context;

    buffer_add_string(&lab->transcript, "<tls>\n");
    lab->tls_wanted = true;
}

static void on_wait(void *context, uint32_t limit_ms)
{
    struct lab *lab = context;

    assert_false(lab->closed);
    lab->wait_ms = limit_ms;
}

static void on_ready(void *context)
{
    struct lab *lab = context;

    buffer_add_string(&lab->transcript, "<ready>\n");
    assert_false(lab->under_way);
    assert_true(smtp_client_is_ready(lab->client));
    if (lab->setup->flags & LAB_IDLE)
        return;
    if (lab->sent == lab->setup->message_count) {
        smtp_client_quit(lab->client);
        return;
    }
    memset(lab->verdicts, 0, sizeof(lab->verdicts));
    lab->under_way = true;
    smtp_client_send(lab->client, &lab->setup->messages[lab->sent++]);
    if (lab->setup->flags & LAB_EARLY_LEAVE)
        smtp_client_let_finish(lab->client, true);
}

static void on_recipient(void *context, unsigned index,
                         const struct smtp_client_verdict *verdict)
{
    struct lab *lab = context;

    assert_true(lab->under_way);
    assert_true(index < lab->setup->messages[lab->sent - 1].recipient_count);
    assert_int_equal(lab->verdicts[index]++, 0);
    lab->verdict_count++;
    lab->last = *verdict;
    buffer_printf(&lab->transcript, "<%u %s %s %u %s%s \"%s\">\n", index,
                  results[verdict->result], phases[verdict->phase], verdict->code,
                  verdict->status, verdict->too_many ? " many" : "", verdict->text);
}

static void give_body(struct lab *lab)
{
    struct bytes rest = lab->setup->body;
    unsigned flags = lab->setup->flags;

    lab->body_wanted = false;
    if (!(flags & (LAB_LATE_LEAVE | LAB_NO_LEAVE | LAB_EARLY_LEAVE)))
        smtp_client_let_finish(lab->client, true);
    while (rest.len > 0 && !lab->closed) {
        size_t piece = lab->setup->body_piece > 0 && lab->setup->body_piece < rest.len
                           ? lab->setup->body_piece
                           : rest.len;
        smtp_client_body_add(lab->client, bytes_from(rest.at, piece));
        rest = bytes_skip(rest, piece);
    }
    if (lab->closed)
        return;
    if (flags & LAB_BODY_FAILS) {
        smtp_client_body_failed(lab->client);
        return;
    }
    smtp_client_body_end(lab->client);
    if (flags & LAB_LATE_LEAVE && !lab->closed)
        smtp_client_let_finish(lab->client, true);
}

static void on_body_wanted(void *context)
{
    struct lab *lab = context;

    buffer_add_string(&lab->transcript, "<body>\n");
    if (lab->setup->flags & LAB_NESTED_BODY)
        give_body(lab);
    else if (!(lab->setup->flags & LAB_BY_HAND))
        lab->body_wanted = true;
}

static void on_done(void *context)
{
    struct lab *lab = context;

    buffer_add_string(&lab->transcript, "<done>\n");
    assert_true(lab->under_way);
    for (unsigned i = 0; i < lab->setup->messages[lab->sent - 1].recipient_count; i++)
        assert_int_equal(lab->verdicts[i], 1);
    lab->under_way = false;
    lab->body_wanted = false;
    lab->done_count++;
}

static void on_closed(void *context, enum smtp_client_end end,
                      const struct smtp_client_verdict *verdict)
{
    struct lab *lab = context;

    assert_false(lab->closed);
    assert_false(lab->under_way);
    buffer_printf(&lab->transcript, "<closed %s %s %u %s \"%s\">\n", smtp_client_end_name(end),
                  phases[verdict->phase], verdict->code, verdict->status, verdict->text);
    lab->closed = true;
    lab->end = end;
    lab->end_verdict = *verdict;
    smtp_client_free(&lab->client);
}

static const struct smtp_client_calls calls = {
    .write = on_write,
    .start_tls = on_start_tls,
    .wait = on_wait,
    .ready = on_ready,
    .recipient = on_recipient,
    .body_wanted = on_body_wanted,
    .done = on_done,
    .closed = on_closed,
};

/* ---- both ---- */

void lab_begin(struct lab *lab, const struct lab_setup *setup)
{
    *lab = (struct lab){.setup = setup};
    lab->client = smtp_client_new(&setup->config, &calls, lab);
    assert_int_equal(lab->wait_ms, smtp_client_times[SMTP_CLIENT_TIME_GREETING]);
    lab_server_greet(lab);
}

void lab_fini(struct lab *lab)
{
    smtp_client_free(&lab->client);
    buffer_fini(&lab->transcript);
    buffer_fini(&lab->to_server);
    buffer_fini(&lab->to_client);
    for (unsigned i = 0; i < LAB_RECEIVED_MAX; i++) {
        free(lab->received[i].mail);
        free(lab->received[i].recipients);
        buffer_fini(&lab->received[i].body);
    }
}

void lab_feed(struct lab *lab, const char *bytes)
{
    if (!lab->closed)
        smtp_client_feed(lab->client, bytes_of(bytes));
}

/* What the driver does of its own when nothing comes in. Returns false for nothing. */
static bool act(struct lab *lab)
{
    const char *trouble = lab->trouble;

    lab->trouble = NULL;
    if (lab->closed)
        return false;
    if (trouble != NULL && strcmp(trouble, LAB_LOST) == 0)
        smtp_client_lost(lab->client, "Connection reset");
    else if (trouble != NULL)
        smtp_client_timed_out(lab->client);
    else if (lab->tls_wanted && lab->setup->flags & LAB_TLS_FAILS)
        smtp_client_lost(lab->client, "Handshake failed");
    else if (lab->tls_wanted)
        smtp_client_tls_started(lab->client, !(lab->setup->flags & LAB_UNVERIFIED));
    else if (lab->body_wanted)
        give_body(lab);
    else if (smtp_client_is_held(lab->client))
        smtp_client_lost(lab->client, "Lease ended");
    else
        return false;
    lab->in_tls = lab->in_tls || lab->tls_wanted;
    lab->tls_wanted = false;
    return true;
}

void lab_play(struct lab *lab, const struct lab_setup *setup, size_t cut)
{
    size_t fed = 0;

    lab_begin(lab, setup);
    do {
        while (!lab->closed && (lab_server_turn(lab), buffer_len(&lab->to_client) > 0)) {
            size_t len = buffer_len(&lab->to_client);
            if (cut == 0)
                len = 1;
            else if (fed < cut && fed + len > cut)
                len = cut - fed;
            struct buffer piece = BUFFER_EMPTY;
            buffer_add(&piece, bytes_from(buffer_bytes(&lab->to_client).at, len));
            buffer_drop(&lab->to_client, len);
            smtp_client_feed(lab->client, buffer_bytes(&piece));
            buffer_fini(&piece);
            fed += len;
        }
    } while (act(lab));
    lab_server_turn(lab);
    buffer_add_byte(&lab->transcript, '\0');
}

void lab_expect(const char *name, const struct lab_setup *setup, const char *want)
{
    enum { CUTS_MAX = 100000 };
    struct lab lab;
    size_t cut = SIZE_MAX;
    size_t total = 0;

    for (;;) {
        lab_play(&lab, setup, cut);
        const char *got = (const char *)buffer_bytes(&lab.transcript).at;
        if (strcmp(got, want) != 0)
            fail_msg("%s, cut at %zu:\n%s\n-- wanted:\n%s", name, cut, got, want);
        if (cut == SIZE_MAX)
            total = lab.said;
        lab_fini(&lab);
        cut = cut == SIZE_MAX ? 0 : cut + 1;
        if (cut > total || cut > CUTS_MAX)
            return;
    }
}
