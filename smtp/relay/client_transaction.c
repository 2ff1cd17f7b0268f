/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/client_limits.h"
#include "smtp/relay/client_state.h"

/* One message up to its body: what can be sent at all, MAIL, RCPT and DATA, who is accepted. */

/* ---- what the server has to offer ---- */

static bool needs_utf8(const struct smtp_client_message *message)
{
    return message->utf8 || !smtp_client_is_ascii(message->sender);
}

static bool lacks_tls(const struct smtp_client *client)
{
    return !client->offers.requiretls || !client->tls || !client->tls_verified;
}

/* RFC 2852 section 4: who has to return a message in time must not pass it on to a host that
 * knows nothing of it, or takes no such haste. */
static bool lacks_haste(const struct smtp_client *client,
                        const struct smtp_client_message *message)
{
    const struct smtp_client_offers *offers = &client->offers;

    return message->by_mode == SMTP_CLIENT_BY_RETURN &&
           (!offers->deliver_by || message->by_seconds <= 0 ||
            (uint32_t)message->by_seconds < offers->deliver_by_min_s);
}

static bool is_too_large(const struct smtp_client_offers *offers, uint64_t size)
{
    return offers->size && offers->size_max > 0 && size > offers->size_max;
}

bool smtp_client_takes(const struct smtp_client *client,
                       const struct smtp_client_message *message,
                       struct smtp_client_verdict *refusal)
{
    const struct smtp_client_offers *offers = &client->offers;
    const struct {
        bool lacking;
        const char *status;
        const char *text;
    } needs[] = {
        {needs_utf8(message) && !offers->smtputf8, "5.6.7",
         "The message needs SMTPUTF8, which the server does not offer"},
        {message->sender.len > 0 && !smtp_client_address_fits(message->sender, true), "5.1.7",
         "The sender's address cannot be sent"},
        {message->body_8bit && !offers->eight_bit, "5.6.3",
         "The message needs 8BITMIME, which the server does not offer"},
        {message->require_tls && lacks_tls(client), "5.7.30",
         "REQUIRETLS is needed, and cannot be had with this server"},
        {is_too_large(offers, message->size), "5.3.4",
         "The message is larger than the server takes"},
        {lacks_haste(client, message), "5.4.7",
         "The server cannot deliver, or return, the message in the time that is left"},
    };

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (needs[i].lacking) {
            smtp_client_local_verdict(SMTP_CLIENT_FAILED, SMTP_CLIENT_PHASE_MAIL,
                                      needs[i].status, needs[i].text, refusal);
            return false;
        }
    return true;
}

/* ---- verdicts ---- */

void smtp_client_decide(struct smtp_client *client, unsigned index,
                        const struct smtp_client_verdict *verdict)
{
    struct smtp_client_transaction *transaction = &client->transaction;

    CHECK(transaction->fates[index] != SMTP_CLIENT_DECIDED);
    transaction->accepted_count -= transaction->fates[index] == SMTP_CLIENT_ACCEPTED;
    transaction->fates[index] = SMTP_CLIENT_DECIDED;
    client->calls->recipient(client->context, index, verdict);
}

void smtp_client_decide_rest(struct smtp_client *client,
                             const struct smtp_client_verdict *verdict)
{
    const struct smtp_client_transaction *transaction = &client->transaction;

    for (unsigned i = 0; i < transaction->message->recipient_count; i++)
        if (transaction->fates[i] != SMTP_CLIENT_DECIDED)
            smtp_client_decide(client, i, verdict);
}

void smtp_client_transaction_fini(struct smtp_client_transaction *transaction)
{
    free(transaction->fates);
    free(transaction->asked);
    *transaction = (struct smtp_client_transaction){.message = NULL};
}

/* Nobody is left to be told; the driver may forget the message. */
static void forget_message(struct smtp_client *client)
{
    smtp_client_body_close(client);
    client->transaction.message = NULL;
    client->done_pending = true;
}

void smtp_client_finish(struct smtp_client *client)
{
    forget_message(client);
    smtp_client_become_ready(client);
}

void smtp_client_reset(struct smtp_client *client)
{
    if (client->transaction.message != NULL)
        forget_message(client);
    smtp_client_say(client, "RSET\r\n");
    smtp_client_move(client, SMTP_CLIENT_RESET);
}

void smtp_client_on_reset(struct smtp_client *client)
{
    if (client->reader.code == 250)
        smtp_client_become_ready(client);
    else
        smtp_client_end_reply(client, SMTP_CLIENT_END_RESET_REFUSED);
}

/* ---- commands, one after the other or in one flight (RFC 2920) ---- */

/* Sends what can be sent. DATA waits for the others where a chunk could be sent as well; it is
 * the last of a flight, and the only one that may be refused by being taken. */
static void say_next(struct smtp_client *client)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    unsigned command_count = transaction->asked_count + (transaction->chunked ? 1 : 2);

    while (transaction->sent < command_count &&
           (client->offers.pipelining || transaction->sent == transaction->answered)) {
        unsigned number = transaction->sent++;
        if (number == 0)
            smtp_client_say_mail(client);
        else if (number <= transaction->asked_count)
            smtp_client_say_rcpt(
                client, &transaction->message->recipients[transaction->asked[number - 1]]);
        else
            smtp_client_say(client, "DATA\r\n");
    }
}

/* Who is asked for; the others are decided here. */
static void choose_recipients(struct smtp_client *client)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    const struct smtp_client_message *message = transaction->message;
    uint32_t count_max = client->offers.recipients_max;
    struct smtp_client_verdict verdict;

    for (unsigned i = 0; i < message->recipient_count; i++) {
        struct bytes address = message->recipients[i].address;
        if (!smtp_client_address_fits(address, true)) {
            smtp_client_local_verdict(SMTP_CLIENT_FAILED, SMTP_CLIENT_PHASE_RCPT, "5.1.3",
                                      "The recipient's address cannot be sent", &verdict);
        } else if (!smtp_client_is_ascii(address) && !client->offers.smtputf8) {
            smtp_client_local_verdict(
                SMTP_CLIENT_FAILED, SMTP_CLIENT_PHASE_RCPT, "5.6.7",
                "The address needs SMTPUTF8, which the server does not offer", &verdict);
        } else if (count_max > 0 && transaction->asked_count >= count_max) {
            smtp_client_local_verdict(SMTP_CLIENT_DEFERRED, SMTP_CLIENT_PHASE_RCPT, "4.5.3",
                                      "The server takes no more recipients at a time",
                                      &verdict);
            verdict.too_many = true;
        } else {
            transaction->utf8 = transaction->utf8 || !smtp_client_is_ascii(address);
            transaction->asked[transaction->asked_count++] = i;
            continue;
        }
        smtp_client_decide(client, i, &verdict);
    }
}

void smtp_client_send(struct smtp_client *client, const struct smtp_client_message *message)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    struct smtp_client_verdict refusal;

    CHECK(smtp_client_is_ready(client));
    CHECK(message->recipient_count > 0 &&
          message->recipient_count <= SMTP_CLIENT_RECIPIENTS_MAX);
    client->ready_pending = false;
    smtp_client_transaction_fini(transaction);
    transaction->message = message;
    transaction->utf8 = needs_utf8(message);
    transaction->chunked = client->offers.chunking && client->offers.pipelining;
    transaction->fates = calloc(message->recipient_count, sizeof(*transaction->fates));
    transaction->asked = calloc(message->recipient_count, sizeof(*transaction->asked));
    CHECK(transaction->fates != NULL && transaction->asked != NULL);
    if (smtp_client_takes(client, message, &refusal))
        choose_recipients(client);
    else
        smtp_client_decide_rest(client, &refusal);
    if (transaction->asked_count > 0) {
        smtp_client_body_open(client);
        smtp_client_move(client, SMTP_CLIENT_ENVELOPE);
        say_next(client);
    } else {
        smtp_client_finish(client);
    }
    smtp_client_settle(client);
}

/* ---- replies ---- */

static bool is_refusal(const struct smtp_client *client)
{
    return client->reader.code >= 400;
}

static void on_mail(struct smtp_client *client)
{
    struct smtp_client_verdict verdict;

    if (!is_refusal(client))
        return;
    smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_MAIL, &verdict);
    client->transaction.mail_refused = true;
    smtp_client_decide_rest(client, &verdict);
}

/* RFC 5321 section 4.5.3.1.10: 552 was once said for 452 too. */
static void soften_too_many(struct smtp_client_verdict *verdict)
{
    bool said = strcmp(verdict->status + 1, ".5.3") == 0;

    if (!said || (verdict->code != 552 && verdict->code != 452))
        return;
    verdict->too_many = true;
    verdict->result = SMTP_CLIENT_DEFERRED;
    verdict->status[0] = '4';
}

static void on_rcpt(struct smtp_client *client, unsigned index)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    struct smtp_client_verdict verdict;

    if (transaction->fates[index] == SMTP_CLIENT_DECIDED)
        return;
    if (is_refusal(client)) {
        smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_RCPT, &verdict);
        soften_too_many(&verdict);
        smtp_client_decide(client, index, &verdict);
    } else {
        transaction->fates[index] = SMTP_CLIENT_ACCEPTED;
        transaction->accepted_count++;
    }
}

static void on_data(struct smtp_client *client)
{
    struct smtp_client_verdict verdict;

    if (is_refusal(client)) {
        smtp_client_reply_verdict(&client->reader, SMTP_CLIENT_PHASE_DATA, &verdict);
        smtp_client_decide_rest(client, &verdict);
        smtp_client_reset(client);
    } else if (client->transaction.accepted_count > 0) {
        client->body_wanted_pending = true;
        smtp_client_move(client, SMTP_CLIENT_BODY);
    } else {
        /* RFC 2920 section 3.1: for nobody, and it has to be ended. */
        forget_message(client);
        smtp_client_say(client, ".\r\n");
        smtp_client_move(client, SMTP_CLIENT_EMPTY);
    }
}

void smtp_client_on_empty(struct smtp_client *client)
{
    smtp_client_reset(client);
}

/* Replies to all that was sent are there. */
static void go_on(struct smtp_client *client)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    bool over =
        transaction->mail_refused ||
        (transaction->answered > transaction->asked_count && transaction->accepted_count == 0);

    if (over) {
        smtp_client_reset(client);
    } else if (transaction->answered > transaction->asked_count && transaction->chunked) {
        client->body_wanted_pending = true;
        smtp_client_move(client, SMTP_CLIENT_BODY);
    } else {
        say_next(client);
    }
}

void smtp_client_on_envelope(struct smtp_client *client)
{
    struct smtp_client_transaction *transaction = &client->transaction;
    unsigned number = transaction->answered;
    bool is_data = number > transaction->asked_count;
    unsigned class = client->reader.code / 100;

    if (class < 4 && class != (is_data ? 3U : 2U)) {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
        return;
    }
    if (is_data) {
        transaction->answered++;
        on_data(client);
        return;
    }
    if (number == 0)
        on_mail(client);
    else
        on_rcpt(client, transaction->asked[number - 1]);
    transaction->answered++;
    if (transaction->answered == transaction->sent)
        go_on(client);
}
