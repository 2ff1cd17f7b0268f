/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "node/mail/unicode.h"
#include "node/mail/utf8.h"
#include "smtp/relay/client_limits.h"
#include "smtp/relay/client_state.h"

/* MAIL and RCPT with their parameters. */

bool smtp_client_is_ascii(struct bytes text)
{
    return utf8_ascii_prefix(text) == text.len;
}

/*
 * An address that can stand between < and > and ends there. It comes from the queue, which
 * others have written: a CR LF in it would be a command of its own.
 */
bool smtp_client_address_fits(struct bytes address, bool utf8)
{
    bool quoted = false;
    bool escaped = false;

    if (address.len == 0 || address.len > SMTP_CLIENT_ADDRESS_SIZE_MAX)
        return false;
    while (address.len > 0) {
        uint8_t byte = address.at[0];
        size_t len = utf8_sequence(address);
        if (len == 0 || byte < ' ' || byte == 0x7F || (len > 1 && !utf8))
            return false;
        if (!quoted && (byte == ' ' || byte == '<' || byte == '>'))
            return false;
        if (!escaped && byte == '"')
            quoted = !quoted;
        escaped = quoted && !escaped && byte == '\\';
        address = bytes_skip(address, len);
    }
    return !quoted;
}

/* ---- values ---- */

/* RFC 3461 section 4. */
static void add_xtext(struct buffer *output, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        if (byte > ' ' && byte < 0x7F && byte != '+' && byte != '=')
            buffer_add_byte(output, byte);
        else
            buffer_printf(output, "+%02X", byte);
    }
}

/* RFC 6533 section 3, utf-8-addr-xtext: it may stand where SMTPUTF8 is not offered too. */
static void add_unitext(struct buffer *output, struct bytes text)
{
    while (text.len > 0) {
        uint8_t byte = text.at[0];
        bool plain = byte > ' ' && byte < 0x7F && byte != '+' && byte != '=' && byte != '\\';
        if (plain) {
            buffer_add_byte(output, byte);
            text = bytes_skip(text, 1);
        } else {
            buffer_printf(output, "\\x{%02X}", (unsigned)unicode_take(&text));
        }
    }
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return true;
}

static bool is_utf8(struct bytes text)
{
    while (text.len > 0) {
        size_t len = utf8_sequence(text);
        if (len == 0 || text.at[0] < ' ' || text.at[0] == 0x7F)
            return false;
        text = bytes_skip(text, len);
    }
    return true;
}

static bool is_atom(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = byte_lower(text.at[i]);
        if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-'))
            return false;
    }
    return text.len > 0;
}

/* A value that cannot be said as it is would say something else: it is left out. */
static void add_orcpt(struct buffer *output, struct bytes orcpt)
{
    struct buffer value = BUFFER_EMPTY;
    struct bytes type = {orcpt.at, bytes_find(orcpt, ';')};
    struct bytes address = bytes_skip(orcpt, type.len + 1);
    bool unicode = bytes_equal_nocase(type, BYTES("utf-8"));

    if (!is_atom(type) || address.len == 0 || address.len > SMTP_CLIENT_ORCPT_SIZE_MAX ||
        !(unicode ? is_utf8(address) : is_printable(address)))
        return;
    if (unicode)
        add_unitext(&value, address);
    else
        add_xtext(&value, address);
    if (type.len + 1 + buffer_len(&value) <= SMTP_CLIENT_ORCPT_SIZE_MAX)
        buffer_printf(output, " ORCPT=%.*s;%.*s", BYTES_ARG(type),
                      BYTES_ARG(buffer_bytes(&value)));
    buffer_fini(&value);
}

static void add_envid(struct buffer *output, struct bytes envid)
{
    struct buffer value = BUFFER_EMPTY;

    if (envid.len == 0 || envid.len > SMTP_CLIENT_ENVID_SIZE_MAX || !is_printable(envid))
        return;
    add_xtext(&value, envid);
    if (buffer_len(&value) <= SMTP_CLIENT_ENVID_SIZE_MAX)
        buffer_printf(output, " ENVID=%.*s", BYTES_ARG(buffer_bytes(&value)));
    buffer_fini(&value);
}

static void add_notify(struct buffer *output, unsigned notify)
{
    static const char *const names[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    const char *before = " NOTIFY=";

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(notify & 1U << i))
            continue;
        buffer_printf(output, "%s%s", before, names[i]);
        before = ",";
        if (i == 0) /* NEVER stands alone */
            return;
    }
}

/* ---- commands ---- */

static void add_deliver_by(struct buffer *output, const struct smtp_client_message *message)
{
    int32_t seconds = message->by_seconds;

    if (seconds > SMTP_CLIENT_BY_SECONDS_MAX)
        seconds = SMTP_CLIENT_BY_SECONDS_MAX;
    if (seconds < -SMTP_CLIENT_BY_SECONDS_MAX)
        seconds = -SMTP_CLIENT_BY_SECONDS_MAX;
    buffer_printf(output, " BY=%ld;%s%s", (long)seconds,
                  message->by_mode == SMTP_CLIENT_BY_RETURN ? "R" : "N",
                  message->by_traced ? "T" : "");
}

void smtp_client_say_mail(struct smtp_client *client)
{
    const struct smtp_client_message *message = client->transaction.message;
    const struct smtp_client_offers *offers = &client->offers;
    struct buffer *output = &client->output;

    client->mails++;
    buffer_printf(output, "MAIL FROM:<%.*s>", BYTES_ARG(message->sender));
    if (offers->size && message->size > 0)
        buffer_printf(output, " SIZE=%llu", (unsigned long long)message->size);
    if (message->body_8bit)
        buffer_add_string(output, " BODY=8BITMIME");
    if (client->transaction.utf8)
        buffer_add_string(output, " SMTPUTF8");
    if (offers->dsn && message->dsn_return != SMTP_CLIENT_RETURN_UNSAID)
        buffer_add_string(output, message->dsn_return == SMTP_CLIENT_RETURN_FULL ? " RET=FULL"
                                                                                 : " RET=HDRS");
    if (offers->dsn)
        add_envid(output, message->envid);
    if (message->require_tls)
        buffer_add_string(output, " REQUIRETLS");
    if (offers->deliver_by && message->by_mode != SMTP_CLIENT_BY_NONE)
        add_deliver_by(output, message);
    buffer_add_string(output, "\r\n");
}

void smtp_client_say_rcpt(struct smtp_client *client,
                          const struct smtp_client_recipient *recipient)
{
    struct buffer *output = &client->output;

    buffer_printf(output, "RCPT TO:<%.*s>", BYTES_ARG(recipient->address));
    if (client->offers.dsn) {
        add_notify(output, recipient->notify);
        add_orcpt(output, recipient->orcpt);
    }
    buffer_add_string(output, "\r\n");
}
