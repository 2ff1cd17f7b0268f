/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/client_limits.h"
#include "smtp/relay/client_state.h"

/* States, what comes in, and the calls to the driver. How it ends is in client_end.c. */

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS };

const uint32_t smtp_client_times[SMTP_CLIENT_TIME_COUNT] = {
    [SMTP_CLIENT_TIME_NONE] = 0,
    [SMTP_CLIENT_TIME_GREETING] = 5 * MINUTE_MS,
    [SMTP_CLIENT_TIME_HELLO] = 5 * MINUTE_MS,
    [SMTP_CLIENT_TIME_TLS] = 1 * MINUTE_MS,
    [SMTP_CLIENT_TIME_MAIL] = 5 * MINUTE_MS,
    [SMTP_CLIENT_TIME_RCPT] = 5 * MINUTE_MS,
    [SMTP_CLIENT_TIME_DATA] = 2 * MINUTE_MS,
    [SMTP_CLIENT_TIME_BLOCK] = 3 * MINUTE_MS,
    [SMTP_CLIENT_TIME_FINAL] = 10 * MINUTE_MS,
    [SMTP_CLIENT_TIME_RESET] = 1 * MINUTE_MS,
    [SMTP_CLIENT_TIME_QUIT] = 10 * SECOND_MS,
};

#define TO(state) (1U << SMTP_CLIENT_##state)

/* What each state is, in a row: its moves (any may close), what a complete reply does in it
 * (none: nobody waits for one), the phase of its troubles, and how long it lasts. */
static const struct {
    unsigned moves;
    void (*reply)(struct smtp_client *client);
    enum smtp_client_phase phase;
    enum smtp_client_time time;
} states[SMTP_CLIENT_STATE_COUNT] = {
    [SMTP_CLIENT_GREETING] = {TO(EHLO), smtp_client_on_greeting, SMTP_CLIENT_PHASE_GREETING,
                              SMTP_CLIENT_TIME_GREETING},
    [SMTP_CLIENT_EHLO] = {TO(HELO) | TO(STARTTLS) | TO(READY) | TO(QUIT), smtp_client_on_ehlo,
                          SMTP_CLIENT_PHASE_HELLO, SMTP_CLIENT_TIME_HELLO},
    [SMTP_CLIENT_HELO] = {TO(READY) | TO(QUIT), smtp_client_on_helo, SMTP_CLIENT_PHASE_HELLO,
                          SMTP_CLIENT_TIME_HELLO},
    [SMTP_CLIENT_STARTTLS] = {TO(TLS) | TO(READY) | TO(QUIT), smtp_client_on_starttls,
                              SMTP_CLIENT_PHASE_TLS, SMTP_CLIENT_TIME_HELLO},
    [SMTP_CLIENT_TLS] = {TO(EHLO), NULL, SMTP_CLIENT_PHASE_TLS, SMTP_CLIENT_TIME_TLS},
    [SMTP_CLIENT_READY] = {TO(ENVELOPE) | TO(READY) | TO(QUIT), NULL, SMTP_CLIENT_PHASE_IDLE,
                           SMTP_CLIENT_TIME_NONE},
    [SMTP_CLIENT_ENVELOPE] = {TO(BODY) | TO(EMPTY) | TO(RESET), smtp_client_on_envelope,
                              SMTP_CLIENT_PHASE_MAIL, SMTP_CLIENT_TIME_MAIL},
    [SMTP_CLIENT_BODY] = {TO(FINAL) | TO(DRAIN) | TO(RESET), smtp_client_on_chunk,
                          SMTP_CLIENT_PHASE_DATA, SMTP_CLIENT_TIME_BLOCK},
    [SMTP_CLIENT_FINAL] = {TO(READY) | TO(RESET) | TO(QUIT), smtp_client_on_final,
                           SMTP_CLIENT_PHASE_FINAL, SMTP_CLIENT_TIME_FINAL},
    [SMTP_CLIENT_EMPTY] = {TO(RESET), smtp_client_on_empty, SMTP_CLIENT_PHASE_IDLE,
                           SMTP_CLIENT_TIME_FINAL},
    [SMTP_CLIENT_DRAIN] = {TO(RESET), smtp_client_on_chunk, SMTP_CLIENT_PHASE_IDLE,
                           SMTP_CLIENT_TIME_BLOCK},
    [SMTP_CLIENT_RESET] = {TO(READY) | TO(QUIT), smtp_client_on_reset, SMTP_CLIENT_PHASE_IDLE,
                           SMTP_CLIENT_TIME_RESET},
    [SMTP_CLIENT_QUIT] = {0, NULL, SMTP_CLIENT_PHASE_IDLE, SMTP_CLIENT_TIME_QUIT},
    [SMTP_CLIENT_CLOSED] = {0, NULL, SMTP_CLIENT_PHASE_IDLE, SMTP_CLIENT_TIME_NONE},
};

/* ---- what a state means ---- */

/* The command whose reply comes next, within an envelope. */
static bool is_at_mail(const struct smtp_client_transaction *transaction)
{
    return transaction->answered == 0;
}

static bool is_at_data(const struct smtp_client_transaction *transaction)
{
    return transaction->answered > transaction->asked_count;
}

enum smtp_client_phase smtp_client_phase(const struct smtp_client *client)
{
    if (client->state != SMTP_CLIENT_ENVELOPE || is_at_mail(&client->transaction))
        return states[client->state].phase;
    return is_at_data(&client->transaction) ? SMTP_CLIENT_PHASE_DATA : SMTP_CLIENT_PHASE_RCPT;
}

static enum smtp_client_time current_time(const struct smtp_client *client)
{
    if (smtp_client_is_held(client))
        return SMTP_CLIENT_TIME_NONE;
    if (client->state != SMTP_CLIENT_ENVELOPE || is_at_mail(&client->transaction))
        return states[client->state].time;
    return is_at_data(&client->transaction) ? SMTP_CLIENT_TIME_DATA : SMTP_CLIENT_TIME_RCPT;
}

bool smtp_client_awaits(const struct smtp_client *client)
{
    if (client->state == SMTP_CLIENT_BODY)
        return client->body.chunks_answered < client->body.chunks_sent;
    return states[client->state].reply != NULL || client->state == SMTP_CLIENT_QUIT;
}

bool smtp_client_is_ready(const struct smtp_client *client)
{
    return client->state == SMTP_CLIENT_READY && client->transaction.message == NULL &&
           !client->done_pending;
}

const struct smtp_client_offers *smtp_client_offers(const struct smtp_client *client)
{
    return &client->offers;
}

void smtp_client_move(struct smtp_client *client, enum smtp_client_state state)
{
    CHECK(state == SMTP_CLIENT_CLOSED || states[client->state].moves & 1U << state);
    client->state = state;
    client->wait_pending = true;
}

void smtp_client_say(struct smtp_client *client, const char *line)
{
    buffer_add_string(&client->output, line);
}

/* ---- what comes in ---- */

static void take_reply(struct smtp_client *client)
{
    unsigned code = client->reader.code;

    client->wait_pending = true;
    if (client->state == SMTP_CLIENT_QUIT)
        smtp_client_end_quit(client);
    else if (code == 421)
        smtp_client_end_reply(client, client->state == SMTP_CLIENT_GREETING
                                          ? SMTP_CLIENT_END_GREETING_REFUSED
                                          : SMTP_CLIENT_END_SERVICE_CLOSED);
    else if (client->early)
        smtp_client_end_reply(client, SMTP_CLIENT_END_OUT_OF_TURN);
    else if (code == 221)
        smtp_client_end_reply(client, SMTP_CLIENT_END_SERVICE_CLOSED);
    else
        states[client->state].reply(client);
}

static void take_event(struct smtp_client *client, enum smtp_client_reply_event event)
{
    switch (event) {
    case SMTP_CLIENT_REPLY_MORE:
        break;
    case SMTP_CLIENT_REPLY_LINE:
        if (client->state == SMTP_CLIENT_EHLO && client->reader.lines > 1)
            smtp_client_learn(client, client->reader.line);
        break;
    case SMTP_CLIENT_REPLY_COMPLETE:
        take_reply(client);
        break;
    case SMTP_CLIENT_REPLY_MALFORMED:
        smtp_client_end_trouble(client, SMTP_CLIENT_END_PROTOCOL, "4.5.0",
                                "The server's reply is malformed");
        break;
    case SMTP_CLIENT_REPLY_FLOOD:
        smtp_client_end_trouble(client, SMTP_CLIENT_END_FLOOD, "4.5.0",
                                "The server's reply is too long");
        break;
    }
}

void smtp_client_feed(struct smtp_client *client, struct bytes input)
{
    CHECK(!client->settling);
    while (input.len > 0 && client->state != SMTP_CLIENT_CLOSED) {
        if (client->state == SMTP_CLIENT_TLS) {
            smtp_client_end_local(client, SMTP_CLIENT_END_TLS_INJECTED, "4.7.0",
                                  "The server spoke on behind its reply to STARTTLS");
            break;
        }
        /* A reply that was there before its command left is an answer to nothing. */
        if (!smtp_client_reply_reader_is_within(&client->reader))
            client->early = !smtp_client_awaits(client) || buffer_len(&client->output) > 0;
        take_event(client, smtp_client_reply_read(&client->reader, &input));
    }
    smtp_client_settle(client);
}

void smtp_client_tls_started(struct smtp_client *client, bool verified)
{
    if (client->state == SMTP_CLIENT_CLOSED)
        return;
    CHECK(client->state == SMTP_CLIENT_TLS);
    client->tls = true;
    client->tls_verified = verified;
    buffer_printf(&client->output, "EHLO %s\r\n", client->config->hello);
    smtp_client_move(client, SMTP_CLIENT_EHLO);
    smtp_client_settle(client);
}

static const char *const awaited[SMTP_CLIENT_PHASE_IDLE + 1] = {
    [SMTP_CLIENT_PHASE_CONNECT] = "a connection",
    [SMTP_CLIENT_PHASE_GREETING] = "the greeting",
    [SMTP_CLIENT_PHASE_HELLO] = "the reply to EHLO",
    [SMTP_CLIENT_PHASE_TLS] = "TLS",
    [SMTP_CLIENT_PHASE_MAIL] = "the reply to MAIL",
    [SMTP_CLIENT_PHASE_RCPT] = "the reply to RCPT",
    [SMTP_CLIENT_PHASE_DATA] = "the message to leave",
    [SMTP_CLIENT_PHASE_FINAL] = "the reply to the message",
    [SMTP_CLIENT_PHASE_IDLE] = "a reply",
};

void smtp_client_timed_out(struct smtp_client *client)
{
    enum { TEXT_SIZE = 80 };
    char text[TEXT_SIZE];

    if (current_time(client) == SMTP_CLIENT_TIME_NONE)
        return;
    snprintf(text, sizeof(text), "Timed out while waiting for %s",
             awaited[smtp_client_phase(client)]);
    smtp_client_end_trouble(client, SMTP_CLIENT_END_TIMED_OUT, "4.4.2", text);
    smtp_client_settle(client);
}

void smtp_client_lost(struct smtp_client *client, const char *why)
{
    if (client->state == SMTP_CLIENT_CLOSED)
        return;
    smtp_client_end_trouble(client, SMTP_CLIENT_END_LOST, "4.4.2", why);
    smtp_client_settle(client);
}

/* ---- what goes out ---- */

static bool take_flag(bool *flag)
{
    bool was = *flag;

    *flag = false;
    return was;
}

/* Returns false when there is nothing to tell. */
static bool tell_event(struct smtp_client *client)
{
    if (take_flag(&client->start_tls_pending))
        client->calls->start_tls(client->context);
    else if (take_flag(&client->body_wanted_pending))
        client->calls->body_wanted(client->context);
    else if (take_flag(&client->done_pending))
        client->calls->done(client->context);
    else if (take_flag(&client->ready_pending))
        client->calls->ready(client->context);
    else
        return false;
    return true;
}

static void flush(struct smtp_client *client)
{
    if (buffer_len(&client->output) == 0)
        return;
    client->calls->write(client->context, buffer_bytes(&client->output));
    buffer_clear(&client->output);
}

void smtp_client_settle(struct smtp_client *client)
{
    if (client->settling) {
        flush(client); /* so that a body never gathers here */
        return;
    }
    client->settling = true;
    do {
        flush(client);
        if (client->state != SMTP_CLIENT_CLOSED && take_flag(&client->wait_pending)) {
            const uint32_t *times =
                client->config->times != NULL ? client->config->times : smtp_client_times;
            client->calls->wait(client->context, times[current_time(client)]);
        }
    } while (tell_event(client) || buffer_len(&client->output) > 0);
    client->settling = false;
    if (take_flag(&client->closed_pending))
        client->calls->closed(client->context, client->end, &client->end_verdict);
}

struct smtp_client *smtp_client_new(const struct smtp_client_config *config,
                                    const struct smtp_client_calls *calls, void *context)
{
    struct smtp_client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL);
    CHECK(strlen(config->hello) <= SMTP_CLIENT_HELLO_SIZE_MAX);
    client->config = config;
    client->calls = calls;
    client->context = context;
    client->wait_pending = true;
    smtp_client_reply_reader_init(&client->reader);
    smtp_client_settle(client);
    return client;
}

void smtp_client_free(struct smtp_client **client)
{
    if (*client == NULL)
        return;
    smtp_client_reply_reader_fini(&(*client)->reader);
    buffer_fini(&(*client)->output);
    buffer_fini(&(*client)->body.chunk);
    smtp_client_transaction_fini(&(*client)->transaction);
    free(*client);
    *client = NULL;
}
