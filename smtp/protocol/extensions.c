/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/session_state.h"

/* The start of a session: HELO, EHLO, and the extensions that EHLO announces. */

static bool begin_session(struct smtp_session *session, struct bytes args, bool extended)
{
    /*
     * The name goes into the Received header and the log, so its characters are checked; that
     * it is true is no concern of syntax. Underscores are no part of host names, but of many
     * senders'.
     */
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._:[]";
    args = bytes_trim(args);
    bool fine = args.len > 0 && args.len <= SMTP_HELO_SIZE_MAX;
    for (size_t i = 0; fine && i < args.len; i++)
        fine = memchr(allowed, args.at[i], sizeof(allowed) - 1) != NULL;
    if (!fine) {
        smtp_session_reply(session, SMTP_REPLY_HELO_SYNTAX);
        return false;
    }
    smtp_session_abandon(session);
    memcpy(session->helo, args.at, args.len);
    session->helo[args.len] = '\0';
    session->envelope.helo = bytes_of(session->helo);
    session->envelope.extended = extended;
    smtp_session_move(session, SMTP_STATE_READY);
    return true;
}

static bool always(const struct smtp_session *session)
{
    (void)session;
    return true;
}

static bool tls_offered(const struct smtp_session *session)
{
    return session->config->starttls && !session->tls;
}

static bool binary_offered(const struct smtp_session *session)
{
    return session->config->binarymime;
}

static bool dsn_offered(const struct smtp_session *session)
{
    return session->config->dsn;
}

static bool utf8_offered(const struct smtp_session *session)
{
    return session->config->smtputf8;
}

static void write_size(const struct smtp_session *session, struct buffer *line)
{
    buffer_printf(line, " %llu", (unsigned long long)session->config->message_size_max);
}

static bool auth_offered(const struct smtp_session *session)
{
    return smtp_auth_offered(session)[0] != '\0';
}

static void write_auth(const struct smtp_session *session, struct buffer *line)
{
    buffer_printf(line, " %s", smtp_auth_offered(session));
}

/* In the order in which they are written. */
static const struct extension {
    const char *keyword;
    bool (*offered)(const struct smtp_session *session);
    /* Appends " value"; NULL: there is none. */
    void (*write)(const struct smtp_session *session, struct buffer *line);
} extensions[] = {
    {"PIPELINING", always, NULL},
    {"SIZE", always, write_size},
    {"STARTTLS", tls_offered, NULL},
    {"AUTH", auth_offered, write_auth},
    {"ENHANCEDSTATUSCODES", always, NULL},
    {"8BITMIME", always, NULL},
    {"CHUNKING", always, NULL},
    {"BINARYMIME", binary_offered, NULL},
    {"DSN", dsn_offered, NULL},
    {"SMTPUTF8", utf8_offered, NULL},

};

void smtp_command_helo(struct smtp_session *session, struct bytes args)
{
    if (begin_session(session, args, false))
        buffer_printf(&session->output, "250 %s\r\n", session->config->hostname);
}

void smtp_command_ehlo(struct smtp_session *session, struct bytes args)
{
    struct buffer *output = &session->output;
    const struct extension *last = NULL;

    if (!begin_session(session, args, true))
        return;
    buffer_printf(output, "250-%s\r\n", session->config->hostname);
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (extensions[i].offered(session))
            last = &extensions[i];
    for (const struct extension *at = extensions; at <= last; at++) {
        if (!at->offered(session))
            continue;
        buffer_printf(output, "250%c%s", at < last ? '-' : ' ', at->keyword);
        if (at->write != NULL)
            at->write(session, output);
        buffer_add_string(output, "\r\n");
    }
}
