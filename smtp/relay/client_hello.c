/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/client_limits.h"
#include "smtp/relay/client_state.h"

/* Greeting, EHLO and what it offers, STARTTLS. */

/* ---- extensions ---- */

/* A number of at most ten digits; 0 for anything else, which is as good as not said. */
static uint32_t read_number(struct bytes text)
{
    enum { DIGITS_MAX = 10 };
    uint64_t number;

    if (text.len > DIGITS_MAX || !bytes_to_u64(text, &number) || number > UINT32_MAX)
        return 0;
    return (uint32_t)number;
}

static void learn_size(struct smtp_client_offers *offers, struct bytes value)
{
    offers->size = true;
    if (!bytes_to_u64(bytes_trim(value), &offers->size_max))
        offers->size_max = 0;
}

static void learn_deliver_by(struct smtp_client_offers *offers, struct bytes value)
{
    offers->deliver_by = true;
    value = bytes_trim(value);
    value.len = bytes_find(value, ',');
    offers->deliver_by_min_s = read_number(value);
}

static void learn_limits(struct smtp_client_offers *offers, struct bytes value)
{
    const struct {
        struct bytes name;
        uint32_t *number;
    } limits[] = {
        {BYTES("MAILMAX="), &offers->mails_max},
        {BYTES("RCPTMAX="), &offers->recipients_max},
        {BYTES("RCPTDOMAINMAX="), &offers->recipient_domains_max},
    };

    while (value.len > 0) {
        struct bytes word = bytes_take_word(&value);
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
            if (bytes_start_nocase(word, limits[i].name))
                *limits[i].number = read_number(bytes_skip(word, limits[i].name.len));
    }
}

#define FLAG(member) offsetof(struct smtp_client_offers, member)

static const struct {
    struct bytes keyword;
    size_t flag; /* where `learn` is NULL */
    void (*learn)(struct smtp_client_offers *offers, struct bytes value);
} extensions[] = {
    {BYTES_INIT("PIPELINING"), FLAG(pipelining), NULL},
    {BYTES_INIT("8BITMIME"), FLAG(eight_bit), NULL},
    {BYTES_INIT("SMTPUTF8"), FLAG(smtputf8), NULL},
    {BYTES_INIT("CHUNKING"), FLAG(chunking), NULL},
    {BYTES_INIT("DSN"), FLAG(dsn), NULL},
    {BYTES_INIT("ENHANCEDSTATUSCODES"), FLAG(enhanced_status), NULL},
    {BYTES_INIT("STARTTLS"), FLAG(starttls), NULL},
    {BYTES_INIT("REQUIRETLS"), FLAG(requiretls), NULL},
    {BYTES_INIT("SIZE"), 0, learn_size},
    {BYTES_INIT("DELIVERBY"), 0, learn_deliver_by},
    {BYTES_INIT("LIMITS"), 0, learn_limits},
};

void smtp_client_learn(struct smtp_client *client, struct bytes line)
{
    if (client->reader.code != 250 || client->extension_count++ >= SMTP_CLIENT_EXTENSIONS_MAX)
        return;
    struct bytes value = bytes_trim(line);
    struct bytes keyword = bytes_take_word(&value);
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (!bytes_equal_nocase(keyword, extensions[i].keyword))
            continue;
        if (extensions[i].learn != NULL)
            extensions[i].learn(&client->offers, value);
        else
            *(bool *)((char *)&client->offers + extensions[i].flag) = true;
    }
}

/* ---- replies ---- */

/* Refused for good or for now: not of use, and told so in order. */
static void give_up(struct smtp_client *client, enum smtp_client_end end)
{
    smtp_client_end_reply(client, end);
    smtp_client_say(client, "QUIT\r\n");
}

void smtp_client_on_greeting(struct smtp_client *client)
{
    if (client->reader.code == 220) {
        buffer_printf(&client->output, "EHLO %s\r\n", client->config->hello);
        smtp_client_move(client, SMTP_CLIENT_EHLO);
    } else if (client->reader.code >= 400) {
        give_up(client, SMTP_CLIENT_END_GREETING_REFUSED);
    } else {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
    }
}

static void miss_tls(struct smtp_client *client)
{
    smtp_client_end_local(client, SMTP_CLIENT_END_TLS_MISSING, "4.7.10",
                          "TLS is required, and the server does not offer it");
    smtp_client_say(client, "QUIT\r\n");
}

/* EHLO or HELO was taken. */
static void greeted(struct smtp_client *client)
{
    bool wanted = !client->tls && client->config->tls != SMTP_CLIENT_TLS_NEVER;

    if (wanted && client->offers.starttls) {
        smtp_client_say(client, "STARTTLS\r\n");
        smtp_client_move(client, SMTP_CLIENT_STARTTLS);
    } else if (wanted && client->config->tls == SMTP_CLIENT_TLS_REQUIRED) {
        miss_tls(client);
    } else {
        smtp_client_become_ready(client);
    }
}

void smtp_client_on_ehlo(struct smtp_client *client)
{
    if (client->reader.code == 250) {
        if (client->reader.lines > 1)
            smtp_client_learn(client, client->reader.line);
        client->offers.extended = true;
        greeted(client);
    } else if (client->reader.code >= 500) {
        client->offers = (struct smtp_client_offers){.extended = false};
        buffer_printf(&client->output, "HELO %s\r\n", client->config->hello);
        smtp_client_move(client, SMTP_CLIENT_HELO);
    } else if (client->reader.code >= 400) {
        give_up(client, SMTP_CLIENT_END_HELLO_REFUSED);
    } else {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
    }
}

void smtp_client_on_helo(struct smtp_client *client)
{
    if (client->reader.code == 250)
        greeted(client);
    else if (client->reader.code >= 400)
        give_up(client, SMTP_CLIENT_END_HELLO_REFUSED);
    else
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
}

void smtp_client_on_starttls(struct smtp_client *client)
{
    if (client->reader.code == 220) {
        /* All that was said in the clear is forgotten (RFC 3207 section 4.2). */
        client->offers = (struct smtp_client_offers){.extended = false};
        client->extension_count = 0;
        client->start_tls_pending = true;
        smtp_client_move(client, SMTP_CLIENT_TLS);
    } else if (client->reader.code < 400) {
        smtp_client_end_reply(client, SMTP_CLIENT_END_PROTOCOL);
    } else if (client->config->tls == SMTP_CLIENT_TLS_REQUIRED) {
        give_up(client, SMTP_CLIENT_END_TLS_REFUSED);
    } else {
        smtp_client_become_ready(client);
    }
}
