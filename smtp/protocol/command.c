/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/utf8.h"
#include "smtp/protocol/session_state.h"

enum {
    PIPELINED = 1 << 0, /* may be taken while look-ups are under way */
    SYNC = 1 << 1,      /* the client has to wait for the reply (RFC 2920 section 3.1) */
    BARE = 1 << 2,      /* takes no arguments */
    FRAMING = 1 << 3,   /* bytes follow that are no commands: to refuse it out of hand ends the
                           connection */
    MESSAGE = 1 << 4,   /* a message follows if it is taken */
};

/*
 * A client that does not wait for 354 (RFC 2920 section 3.1) sends its message whatever it
 * hears, and who wrote the message would have written our next commands. What is there before
 * the refusal is no answer to it, and ends the connection. What comes later may be one: then
 * anything but a command does, and no message begins with one.
 */
void smtp_command_data_refused(struct smtp_session *session)
{
    if (session->state == SMTP_STATE_CLOSED)
        return;
    session->data_refused = true;
    if (session->data_early && session->config->data_sync_enforced)
        smtp_session_close(session, SMTP_REPLY_DATA_SYNC);
}

static void command_data(struct smtp_session *session, struct bytes args)
{
    (void)args;
    if (session->envelope.body_binary) {
        smtp_session_reply(session, SMTP_REPLY_BINARY_DATA);
        smtp_command_data_refused(session);
        return;
    }
    session->trace_id[0] = '\0';
    smtp_session_ask(session, SMTP_STATE_BEGIN);
}

static void command_rset(struct smtp_session *session, struct bytes args)
{
    (void)args;
    smtp_session_abandon(session);
    if (session->state != SMTP_STATE_CONNECTED)
        smtp_session_move(session, SMTP_STATE_READY);
    smtp_session_reply(session, SMTP_REPLY_OK);
}

static void command_noop(struct smtp_session *session, struct bytes args)
{
    (void)args;
    smtp_session_reply(session, SMTP_REPLY_OK);
}

static void command_quit(struct smtp_session *session, struct bytes args)
{
    (void)args;
    smtp_session_reply(session, SMTP_REPLY_BYE);
}

/* "VRFY name [SMTPUTF8]" (RFC 6531 section 3.7.4.2). Nobody is told who is here. */
static void command_vrfy(struct smtp_session *session, struct bytes args)
{
    struct bytes last = args;
    bool ascii = utf8_ascii_prefix(args) == args.len;
    enum smtp_reply reply = SMTP_REPLY_VRFY;

    while (bytes_find(last, ' ') < last.len)
        bytes_take_word(&last);
    if (bytes_trim(args).len == 0)
        reply = SMTP_REPLY_VRFY_SYNTAX;
    else if (!ascii &&
             !(session->config->smtputf8 && bytes_equal_nocase(last, BYTES("SMTPUTF8"))))
        reply = SMTP_REPLY_UTF8_NEEDED;
    smtp_session_reply(session, reply);
}

static void command_help(struct smtp_session *session, struct bytes args)
{
    (void)args;
    smtp_session_reply(session, SMTP_REPLY_HELP);
}

static void command_starttls(struct smtp_session *session, struct bytes args)
{
    (void)args;
    if (session->tls) {
        smtp_session_reply(session, SMTP_REPLY_TLS_ACTIVE);
    } else if (!session->config->starttls) {
        smtp_session_reply(session, SMTP_REPLY_NOT_OFFERED);
    } else {
        smtp_session_reply(session, SMTP_REPLY_TLS_GO);
        session->start_tls_pending = true;
        smtp_session_move(session, SMTP_STATE_TLS);
    }
}

/* A browser or a proxy that was made to speak to us: its next lines are not to be obeyed. */
static void command_http(struct smtp_session *session, struct bytes args)
{
    (void)args;
    smtp_session_reply(session, SMTP_REPLY_NOT_SMTP);
}

#define IN(state) SMTP_IN(SMTP_STATE_##state)
#define ANY (IN(CONNECTED) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(CHUNKS))
#define FOR(service) (1U << SMTP_SERVICE_##service)
#define ALL (FOR(MX) | FOR(SUBMISSION) | FOR(LMTP))
#define SMTP (FOR(MX) | FOR(SUBMISSION))
#define SIZE_MAX_PLAIN SMTP_COMMAND_SIZE_MAX
#define SIZE_MAX_LONG SMTP_COMMAND_PARAMETERS_SIZE_MAX

static const struct command {
    struct bytes verb;
    unsigned services; /* that offer it; elsewhere it is a 502 */
    unsigned allowed;  /* states it may arrive in; elsewhere it is a 503 */
    size_t size_max;   /* of the line, CRLF included */
    unsigned flags;
    void (*run)(struct smtp_session *session, struct bytes args);
} commands[] = {
    {BYTES_INIT("EHLO"), SMTP, ANY, SIZE_MAX_PLAIN, SYNC, smtp_command_ehlo},
    {BYTES_INIT("LHLO"), FOR(LMTP), ANY, SIZE_MAX_PLAIN, SYNC, smtp_command_ehlo},
    {BYTES_INIT("HELO"), SMTP, ANY, SIZE_MAX_PLAIN, SYNC, smtp_command_helo},
    {BYTES_INIT("MAIL"), ALL, IN(READY), SIZE_MAX_LONG, 0, smtp_command_mail},
    {BYTES_INIT("RCPT"), ALL, IN(MAIL) | IN(RCPT), SIZE_MAX_LONG, PIPELINED, smtp_command_rcpt},
    {BYTES_INIT("DATA"), ALL, IN(RCPT), SIZE_MAX_PLAIN, SYNC | BARE | MESSAGE, command_data},
    {BYTES_INIT("RSET"), ALL, ANY, SIZE_MAX_PLAIN, BARE, command_rset},
    {BYTES_INIT("NOOP"), ALL, ANY, SIZE_MAX_PLAIN, 0, command_noop},
    {BYTES_INIT("QUIT"), ALL, ANY, SIZE_MAX_PLAIN, BARE, command_quit},
    {BYTES_INIT("VRFY"), ALL, ANY, SIZE_MAX_PLAIN, 0, command_vrfy},
    {BYTES_INIT("HELP"), ALL, ANY, SIZE_MAX_PLAIN, 0, command_help},
    {BYTES_INIT("STARTTLS"), ALL, IN(READY), SIZE_MAX_PLAIN, BARE, command_starttls},
    {BYTES_INIT("BDAT"), ALL, ANY, SIZE_MAX_PLAIN, FRAMING, smtp_command_bdat},
    {BYTES_INIT("XCLIENT"), ALL, IN(CONNECTED) | IN(READY), SIZE_MAX_LONG, SYNC,
     smtp_command_xclient},
    {BYTES_INIT("EXPN"), 0, ANY, SIZE_MAX_PLAIN, 0, NULL},
    {BYTES_INIT("ETRN"), 0, ANY, SIZE_MAX_PLAIN, 0, NULL},
    {BYTES_INIT("TURN"), 0, ANY, SIZE_MAX_PLAIN, 0, NULL},
    {BYTES_INIT("AUTH"), FOR(SUBMISSION), IN(READY), SMTP_AUTH_LINE_SIZE_MAX, 0,
     smtp_command_auth},
    {BYTES_INIT("GET"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("POST"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("PUT"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("HEAD"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("DELETE"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("OPTIONS"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("CONNECT"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("PATCH"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
    {BYTES_INIT("TRACE"), ALL, ANY, SIZE_MAX_LONG, 0, command_http},
};

static const struct command *find(struct bytes line)
{
    struct bytes verb = bytes_take_word(&line);

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (bytes_equal_nocase(verb, commands[i].verb))
            return &commands[i];
    return NULL;
}

enum smtp_reply smtp_command_bad_sequence(const struct smtp_session *session)
{
    bool lmtp = session->config->service == SMTP_SERVICE_LMTP;

    switch (session->state) {
    case SMTP_STATE_CONNECTED:
        return lmtp ? SMTP_REPLY_LHLO_FIRST : SMTP_REPLY_HELO_FIRST;
    case SMTP_STATE_READY:
        return SMTP_REPLY_MAIL_FIRST;
    case SMTP_STATE_CHUNKS:
        return SMTP_REPLY_CHUNKS_ONLY;
    default:
        /* RFC 2033 section 4.2 has 503 for both. */
        return session->recipients_refused > 0 && !lmtp ? SMTP_REPLY_NO_VALID_RCPT
                                                        : SMTP_REPLY_RCPT_FIRST;
    }
}

static enum smtp_reply bad_sequence(const struct smtp_session *session,
                                    const struct command *command)
{
    /* MAIL, AUTH, STARTTLS and XCLIENT come too late, everything else too early. */
    bool late = (command->allowed & IN(READY)) && !(command->allowed & IN(MAIL));
    bool in_transaction = (IN(MAIL) | IN(RCPT)) & SMTP_IN(session->state);

    return late && in_transaction ? SMTP_REPLY_IN_TRANSACTION
                                  : smtp_command_bad_sequence(session);
}

/* No command: is it a typing error, or does the other end not speak SMTP at all? */
static enum smtp_reply unknown(struct bytes line)
{
    struct bytes verb = bytes_take_word(&line);
    bool header = verb.len > 0 && verb.at[verb.len - 1] == ':';
    bool binary = verb.len > 0 && verb.at[0] > 126;

    return header || binary ? SMTP_REPLY_NOT_SMTP : SMTP_REPLY_UNKNOWN;
}

static bool has_controls(struct bytes line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] < ' ' || line.at[i] == 127)
            return true;
    return false;
}

/*
 * Only CR LF ends a line. A client that sends anything else does not agree with us on what its
 * commands are; often it is a program that was tricked into speaking to us.
 */
bool smtp_command_take_cr(struct bytes *line)
{
    bool fine = bytes_find(*line, '\r') + 1 == line->len;
    line->len -= fine;
    return fine;
}

/* What is wrong with the command, or OK. */
static enum smtp_reply judge(const struct smtp_session *session, const struct command *command,
                             struct bytes line, bool early)
{
    struct bytes args = line;

    bytes_take_word(&args);
    if (has_controls(line))
        return SMTP_REPLY_LINE_CONTROL;
    if (command == NULL)
        return unknown(line);
    if (line.len + 2 > command->size_max)
        return SMTP_REPLY_LINE_TOO_LONG;
    if (!(command->services & 1U << session->config->service))
        return SMTP_REPLY_NOT_OFFERED;
    if (early && (command->flags & SYNC) && session->config->sync_enforced)
        return SMTP_REPLY_SYNC;
    if (!(command->allowed & SMTP_IN(session->state)))
        return bad_sequence(session, command);
    if ((command->flags & BARE) && bytes_trim(args).len > 0)
        return SMTP_REPLY_NO_ARGUMENTS;
    return SMTP_REPLY_OK;
}

/* Whether the line has the form of a command that is offered here. */
static bool is_command(const struct smtp_session *session, const struct command *command,
                       struct bytes line)
{
    struct bytes args = line;

    bytes_take_word(&args);
    return command != NULL && !has_controls(line) && line.len + 2 <= command->size_max &&
           (command->services & 1U << session->config->service) &&
           !((command->flags & BARE) && bytes_trim(args).len > 0);
}

bool smtp_command_must_wait(const struct smtp_session *session, struct bytes line)
{
    if (!smtp_command_take_cr(&line))
        return true;
    const struct command *command = find(line);
    return command == NULL || !(command->flags & PIPELINED) || smtp_recipient_full(session) ||
           judge(session, command, line, false) != SMTP_REPLY_OK;
}

void smtp_command_run(struct smtp_session *session, struct bytes line, bool early)
{
    if (!smtp_command_take_cr(&line)) {
        smtp_session_reply(session, SMTP_REPLY_LINE_BARE);
        return;
    }
    const struct command *command = find(line);
    if (session->data_refused && !is_command(session, command, line)) {
        smtp_session_reply(session, SMTP_REPLY_DATA_SYNC);
        return;
    }
    enum smtp_reply reply = judge(session, command, line, early);
    bool framing = command != NULL && (command->flags & FRAMING);
    bool message = command != NULL && (command->flags & MESSAGE);
    if (!framing)
        session->chunks_failed = false;
    if (message)
        session->data_early = early;
    if (reply != SMTP_REPLY_OK) {
        smtp_session_reply(session, framing ? SMTP_REPLY_CHUNK_SYNTAX : reply);
        if (message)
            smtp_command_data_refused(session);
        return;
    }
    session->data_refused = false;
    bytes_take_word(&line);
    command->run(session, line);
}
