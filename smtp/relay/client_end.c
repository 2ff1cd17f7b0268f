/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "smtp/relay/client_state.h"

/* Between two messages, and the ends of a connection. */

#define SMTP_CLIENT_END_NAME(name) [SMTP_CLIENT_END_##name] = #name
const char *smtp_client_end_name(enum smtp_client_end end)
{
    static const char *const names[SMTP_CLIENT_END_COUNT] = {
        SMTP_CLIENT_END_NAME(QUIT),
        SMTP_CLIENT_END_NAME(MAILS_MAX),
        SMTP_CLIENT_END_NAME(GREETING_REFUSED),
        SMTP_CLIENT_END_NAME(HELLO_REFUSED),
        SMTP_CLIENT_END_NAME(TLS_MISSING),
        SMTP_CLIENT_END_NAME(TLS_REFUSED),
        SMTP_CLIENT_END_NAME(TLS_INJECTED),
        SMTP_CLIENT_END_NAME(SERVICE_CLOSED),
        SMTP_CLIENT_END_NAME(RESET_REFUSED),
        SMTP_CLIENT_END_NAME(PROTOCOL),
        SMTP_CLIENT_END_NAME(FLOOD),
        SMTP_CLIENT_END_NAME(OUT_OF_TURN),
        SMTP_CLIENT_END_NAME(TIMED_OUT),
        SMTP_CLIENT_END_NAME(LOST),
        SMTP_CLIENT_END_NAME(BODY_FAILED),
    };

    CHECK(end < SMTP_CLIENT_END_COUNT);
    return names[end];
}

static void say_quit(struct smtp_client *client, enum smtp_client_end end)
{
    client->end = end;
    smtp_client_say(client, "QUIT\r\n");
    smtp_client_move(client, SMTP_CLIENT_QUIT);
}

void smtp_client_become_ready(struct smtp_client *client)
{
    if (client->quitting) {
        say_quit(client, SMTP_CLIENT_END_QUIT);
    } else if (client->offers.mails_max > 0 && client->mails >= client->offers.mails_max) {
        say_quit(client, SMTP_CLIENT_END_MAILS_MAX);
    } else {
        smtp_client_move(client, SMTP_CLIENT_READY);
        client->ready_pending = true;
    }
}

void smtp_client_end(struct smtp_client *client, enum smtp_client_end end,
                     const struct smtp_client_verdict *verdict, bool answered)
{
    bool final = client->state == SMTP_CLIENT_FINAL;
    struct smtp_client_verdict rest = *verdict;

    if (client->state == SMTP_CLIENT_CLOSED)
        return;
    client->end = end;
    client->end_verdict = *verdict;
    if (final && client->body.refused)
        rest = client->body.refusal;
    else if (final && !answered)
        rest.result = SMTP_CLIENT_UNKNOWN;
    smtp_client_body_close(client);
    smtp_client_move(client, SMTP_CLIENT_CLOSED);
    buffer_clear(&client->output);
    client->start_tls_pending = false;
    client->ready_pending = false;
    client->closed_pending = true;
    if (client->transaction.message != NULL) {
        smtp_client_decide_rest(client, &rest);
        client->transaction.message = NULL;
        client->done_pending = true;
    }
}

void smtp_client_end_local(struct smtp_client *client, enum smtp_client_end end,
                           const char *status, const char *text)
{
    struct smtp_client_verdict verdict;

    smtp_client_local_verdict(SMTP_CLIENT_DEFERRED, smtp_client_phase(client), status, text,
                              &verdict);
    smtp_client_end(client, end, &verdict, false);
}

void smtp_client_end_reply(struct smtp_client *client, enum smtp_client_end end)
{
    struct smtp_client_verdict verdict;
    struct smtp_client_verdict said;

    smtp_client_reply_verdict(&client->reader, smtp_client_phase(client), &said);
    if (said.code >= 400) {
        smtp_client_end(client, end, &said, end == SMTP_CLIENT_END_SERVICE_CLOSED);
        return;
    }
    smtp_client_local_verdict(SMTP_CLIENT_DEFERRED, said.phase, "4.5.0",
                              "Unexpected reply:", &verdict);
    smtp_client_local_verdict_add(&verdict, said.text);
    smtp_client_end(client, end, &verdict, false);
}

void smtp_client_end_quit(struct smtp_client *client)
{
    smtp_client_end_local(client, client->end, "2.0.0", "");
}

void smtp_client_end_trouble(struct smtp_client *client, enum smtp_client_end end,
                             const char *status, const char *text)
{
    if (client->state == SMTP_CLIENT_QUIT)
        smtp_client_end_quit(client);
    else
        smtp_client_end_local(client, end, status, text);
}

void smtp_client_quit(struct smtp_client *client)
{
    client->quitting = true;
    if (smtp_client_is_ready(client)) {
        client->ready_pending = false;
        say_quit(client, SMTP_CLIENT_END_QUIT);
    }
    smtp_client_settle(client);
}
