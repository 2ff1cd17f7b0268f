/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/schedule.h"
#include "smtp/protocol/session_state.h"

/* The start of a session: HELO, EHLO, and the extensions that EHLO announces. */

bool smtp_helo_valid(struct bytes name)
{
    /*
     * The name goes into the Received header and the log, so its characters are checked; that
     * it is true is no concern of syntax. Underscores are no part of host names, but of many
     * senders'.
     */
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._:[]";

    for (size_t i = 0; i < name.len; i++)
        if (memchr(allowed, name.at[i], sizeof(allowed) - 1) == NULL)
            return false;
    return name.len > 0 && name.len <= SMTP_HELO_SIZE_MAX;
}

static bool begin_session(struct smtp_session *session, struct bytes args, bool extended)
{
    args = bytes_trim(args);
    if (!smtp_helo_valid(args)) {
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

bool smtp_dsn_offered(const struct smtp_session *session)
{
    return session->config->dsn;
}

bool smtp_utf8_offered(const struct smtp_session *session)
{
    return session->config->smtputf8;
}

static void write_size(const struct smtp_session *session, struct buffer *line)
{
    buffer_printf(line, " %llu", (unsigned long long)session->config->message_size_max);
}

bool smtp_hold_offered(const struct smtp_session *session)
{
    return session->config->service == SMTP_SERVICE_SUBMISSION &&
           session->config->hold_max_s > 0;
}

bool smtp_deliver_by_offered(const struct smtp_session *session)
{
    return session->config->service == SMTP_SERVICE_SUBMISSION && session->config->deliver_by;
}

static bool auth_offered(const struct smtp_session *session)
{
    return smtp_auth_offered(session)[0] != '\0';
}

static void write_auth(const struct smtp_session *session, struct buffer *line)
{
    buffer_printf(line, " %s", smtp_auth_offered(session));
}

bool smtp_requiretls_offered(const struct smtp_session *session)
{
    return session->config->requiretls && session->tls;
}

static bool limits_offered(const struct smtp_session *session)
{
    return session->config->limits_announced;
}

/* A value has at most six digits (RFC 9422 section 3). */
static unsigned limit_value(unsigned limit)
{
    enum { VALUE_MAX = 999999 };
    return limit < VALUE_MAX ? limit : VALUE_MAX;
}

static void write_limits(const struct smtp_session *session, struct buffer *line)
{
    const struct smtp_config *config = session->config;

    if (config->mails_max > 0)
        buffer_printf(line, " MAILMAX=%u", limit_value(config->mails_max));
    buffer_printf(line, " RCPTMAX=%u", limit_value(config->recipients_max));
    if (config->recipient_domains_max > 0)
        buffer_printf(line, " RCPTDOMAINMAX=%u", limit_value(config->recipient_domains_max));
}

static bool xclient_offered(const struct smtp_session *session)
{
    return session->xclient_allowed;
}

/* RFC 4865 section 3: how many seconds from now, and what time that is. The connection's begin
 * stands for now, which promises a little less than is granted. */
static void write_hold(const struct smtp_session *session, struct buffer *line)
{
    char until[SMTP_DATE_TIME_SIZE];

    smtp_date_time_format(session->now_s + session->config->hold_max_s, until);
    buffer_printf(line, " %u %s", session->config->hold_max_s, until);
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
    {"DSN", smtp_dsn_offered, NULL},
    {"SMTPUTF8", smtp_utf8_offered, NULL},
    {"REQUIRETLS", smtp_requiretls_offered, NULL},
    {"LIMITS", limits_offered, write_limits},
    {"FUTURERELEASE", smtp_hold_offered, write_hold},
    {"DELIVERBY", smtp_deliver_by_offered, NULL},
    {"XCLIENT", xclient_offered, smtp_xclient_write},

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
