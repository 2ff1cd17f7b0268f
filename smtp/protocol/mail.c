/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/path.h"
#include "node/mail/utf8.h"
#include "smtp/protocol/session_state.h"
#include "storage/schema/address.h"

/* MAIL and RCPT, with their parameters (RFC 5321 sections 3.3 and 4.1.2). */

/* Without SMTPUTF8 an address is ASCII (RFC 6531 section 3.2). */
static bool is_ascii(const struct mail_path *path)
{
    return utf8_ascii_prefix(path->local) == path->local.len &&
           utf8_ascii_prefix(path->domain) == path->domain.len;
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

/* What stands in the command, for the log: the address in brackets, or else all of it. */
static struct bytes written(struct bytes args, struct bytes keyword)
{
    take_keyword(&args, keyword);
    size_t end = bytes_find(args, '>');
    if (args.len == 0 || args.at[0] != '<' || end == args.len)
        return args;
    return bytes_from(args.at + 1, end - 1);
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
    struct arena *arena = &session->transaction_arena;
    struct mail_path path;

    if (!take_keyword(&args, BYTES("FROM:")))
        return SMTP_REPLY_MAIL_SYNTAX;
    if (mail_path_parse(&args, true, true, arena, &path) != ERR_OK)
        return SMTP_REPLY_SENDER_SYNTAX;
    if (!take_separator(&args))
        return SMTP_REPLY_MAIL_SYNTAX;
    enum smtp_reply reply = smtp_parameters_mail(session, args);
    if (reply != SMTP_REPLY_OK)
        return reply;
    if (!session->envelope.utf8 && !is_ascii(&path))
        return SMTP_REPLY_UTF8_NEEDED;
    session->envelope.sender = mail_path_format(arena, &path);
    return SMTP_REPLY_SENDER_OK;
}

/* Whether anybody may send at this point, whoever it is. */
static enum smtp_reply judge_session(const struct smtp_session *session)
{
    if (session->config->tls_required && !session->tls)
        return SMTP_REPLY_TLS_FIRST;
    if (session->config->service == SMTP_SERVICE_SUBMISSION && !session->authenticated)
        return SMTP_REPLY_AUTH_FIRST;
    if (session->config->mails_max > 0 && session->mails >= session->config->mails_max)
        return SMTP_REPLY_MAILS_MAX;
    return SMTP_REPLY_SENDER_OK;
}

void smtp_command_mail(struct smtp_session *session, struct bytes args)
{
    enum smtp_reply reply = judge_session(session);

    if (reply == SMTP_REPLY_SENDER_OK)
        reply = take_mail(session, args);
    session->mails += reply == SMTP_REPLY_SENDER_OK;
    if (reply != SMTP_REPLY_SENDER_OK) {
        const struct smtp_verdict verdict = {.reply = reply};
        smtp_session_forget_transaction(session);
        smtp_refusal_tell(session, SMTP_REFUSED_SENDER, written(args, BYTES("FROM:")),
                          &verdict);
    } else if (session->config->ask_sender) {
        smtp_session_ask(session, SMTP_STATE_SENDER);
        return;
    } else {
        smtp_session_move(session, SMTP_STATE_MAIL);
    }
    smtp_session_reply(session, reply);
}

/* The reply, or OK with the recipient, in `arena`. */
static enum smtp_reply take_rcpt(struct smtp_session *session, struct bytes args,
                                 struct arena *arena, struct smtp_recipient *recipient)
{
    struct mail_path path;

    if (!take_keyword(&args, BYTES("TO:")))
        return SMTP_REPLY_RCPT_SYNTAX;
    if (mail_path_parse(&args, false, true, arena, &path) != ERR_OK)
        return SMTP_REPLY_ADDRESS_SYNTAX;
    if (!take_separator(&args))
        return SMTP_REPLY_RCPT_SYNTAX;
    enum smtp_reply reply = smtp_parameters_rcpt(session, args, arena, recipient);
    if (reply != SMTP_REPLY_OK)
        return reply;
    if (!session->envelope.utf8 && !is_ascii(&path))
        return SMTP_REPLY_UTF8_NEEDED;
    /* Those refused count as well: each took memory of the transaction. */
    if (session->envelope.recipient_count >= smtp_recipient_limit(session) ||
        session->recipients_refused >= SMTP_RCPT_REFUSED_MAX)
        return smtp_recipient_limit(session) < session->config->recipients_max
                   ? SMTP_REPLY_RCPT_ONE
                   : SMTP_REPLY_RCPT_TOO_MANY;
    /* RFC 5321 section 4.5.1: "postmaster" without a domain is the one of this host, whose name
     * need not be a domain of ours: so it is looked up as it is. */
    if (path.domain.len == 0) {
        if (!bytes_equal_nocase(path.local, BYTES("postmaster")))
            return SMTP_REPLY_ADDRESS_SYNTAX;
        path.domain = bytes_of(session->config->hostname);
        recipient->address = BYTES("postmaster");
    } else {
        recipient->address = address_fold(arena, path.local, path.domain);
    }
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
        smtp_recipient_refuse(session, reply, written(args, BYTES("TO:")));
    arena_fini(&command_arena);
}
