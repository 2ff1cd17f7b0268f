/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/path.h"
#include "smtp/protocol/session_state.h"
#include "storage/schema/address.h"

/* MAIL and RCPT, with their parameters (RFC 5321 sections 3.3 and 4.1.2). */

static enum smtp_reply take_size(struct smtp_session *session, struct bytes value)
{
    uint64_t size;

    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return SMTP_REPLY_PARAMETER_SYNTAX;
    if (value.len == 0)
        return SMTP_REPLY_PARAMETER_SYNTAX;
    /* Digits alone, but no number: larger than any. */
    if (!bytes_to_u64(value, &size) || size > session->config->message_size_max)
        return SMTP_REPLY_SIZE_DECLARED;
    session->envelope.size = size;
    return SMTP_REPLY_OK;
}

static enum smtp_reply take_body(struct smtp_session *session, struct bytes value)
{
    struct smtp_envelope *envelope = &session->envelope;

    envelope->body_8bit = bytes_equal_nocase(value, BYTES("8BITMIME"));
    envelope->body_binary =
        session->config->binarymime && bytes_equal_nocase(value, BYTES("BINARYMIME"));
    if (envelope->body_8bit || envelope->body_binary ||
        bytes_equal_nocase(value, BYTES("7BIT")))
        return SMTP_REPLY_OK;
    return SMTP_REPLY_PARAMETER_SYNTAX;
}

static const struct parameter {
    struct bytes name;
    enum smtp_reply (*take)(struct smtp_session *session, struct bytes value);
} mail_parameters[] = {
    {BYTES_INIT("SIZE"), take_size},
    {BYTES_INIT("BODY"), take_body},
};

/* One "NAME=VALUE" of MAIL; `seen` has a bit for each row of the table. */
static enum smtp_reply take_parameter(struct smtp_session *session, struct bytes word,
                                      unsigned *seen)
{
    size_t equals = bytes_find(word, '=');
    struct bytes name = {word.at, equals};

    for (size_t i = 0; i < sizeof(mail_parameters) / sizeof(mail_parameters[0]); i++) {
        if (!bytes_equal_nocase(name, mail_parameters[i].name))
            continue;
        if (*seen & 1U << i)
            return SMTP_REPLY_PARAMETER_SYNTAX;
        *seen |= 1U << i;
        return mail_parameters[i].take(session, bytes_skip(word, equals + 1));
    }
    return SMTP_REPLY_PARAMETER_UNKNOWN;
}

/* "FROM:" or "TO:", and the spaces behind it that many programs put there. */
static bool take_keyword(struct bytes *args, struct bytes keyword)
{
    if (!bytes_start_nocase(*args, keyword))
        return false;
    *args = bytes_skip(*args, keyword.len);
    while (args->len > 0 && args->at[0] == ' ')
        *args = bytes_skip(*args, 1);
    return true;
}

/* What stands behind the address: nothing, or a space and parameters. */
static bool take_separator(struct bytes *args)
{
    bool fine = args->len == 0 || args->at[0] == ' ';
    *args = bytes_trim(*args);
    return fine;
}

static enum smtp_reply take_mail(struct smtp_session *session, struct bytes args)
{
    struct mail_path path;
    unsigned seen = 0;

    if (!take_keyword(&args, BYTES("FROM:")))
        return SMTP_REPLY_MAIL_SYNTAX;
    if (mail_path_parse(&args, true, false, &session->transaction_arena, &path) != ERR_OK)
        return SMTP_REPLY_SENDER_SYNTAX;
    if (!take_separator(&args))
        return SMTP_REPLY_MAIL_SYNTAX;
    while (args.len > 0) {
        struct bytes word = bytes_take_word(&args);
        enum smtp_reply reply = SMTP_REPLY_PARAMETER_UNKNOWN;
        if (word.len == 0)
            continue;
        if (session->envelope.extended)
            reply = take_parameter(session, word, &seen);
        if (reply != SMTP_REPLY_OK)
            return reply;
    }
    session->envelope.sender = mail_path_format(&session->transaction_arena, &path);
    return SMTP_REPLY_SENDER_OK;
}

void smtp_command_mail(struct smtp_session *session, struct bytes args)
{
    enum smtp_reply reply = take_mail(session, args);

    if (reply == SMTP_REPLY_SENDER_OK)
        smtp_session_move(session, SMTP_STATE_MAIL);
    else
        smtp_session_forget_transaction(session);
    smtp_session_reply(session, reply);
}

/* The reply, or OK with the recipient, in `arena`. */
static enum smtp_reply take_rcpt(struct smtp_session *session, struct bytes args,
                                 struct arena *arena, struct smtp_recipient *recipient)
{
    struct mail_path path;

    if (!take_keyword(&args, BYTES("TO:")))
        return SMTP_REPLY_RCPT_SYNTAX;
    if (mail_path_parse(&args, false, false, arena, &path) != ERR_OK)
        return SMTP_REPLY_ADDRESS_SYNTAX;
    if (!take_separator(&args))
        return SMTP_REPLY_RCPT_SYNTAX;
    if (args.len > 0)
        return SMTP_REPLY_PARAMETER_UNKNOWN;
    /* Those refused count as well: each took memory of the transaction. */
    if (session->envelope.recipient_count >= session->config->recipients_max ||
        session->recipients_refused >= SMTP_RCPT_REFUSED_MAX)
        return SMTP_REPLY_RCPT_TOO_MANY;
    /* RFC 5321 section 4.5.1: "postmaster" without a domain is the one of this host. */
    if (path.domain.len == 0) {
        if (!bytes_equal_nocase(path.local, BYTES("postmaster")))
            return SMTP_REPLY_ADDRESS_SYNTAX;
        path.domain = bytes_of(session->config->hostname);
    }
    recipient->address = address_fold(arena, path.local, path.domain);
    recipient->path = mail_path_format(arena, &path);
    return SMTP_REPLY_OK;
}

void smtp_command_rcpt(struct smtp_session *session, struct bytes args)
{
    struct arena command_arena;
    struct smtp_recipient recipient = {.account_id = 0};

    arena_init(&command_arena);
    enum smtp_reply reply = take_rcpt(session, args, &command_arena, &recipient);
    if (reply == SMTP_REPLY_OK)
        smtp_recipient_look_up(session, &recipient);
    else
        smtp_recipient_refuse(session, reply);
    arena_fini(&command_arena);
}
