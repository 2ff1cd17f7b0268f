/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may send as whom: of submission, its account's rights. */
#include "smtp/receive/visitor.h"

const struct smtp_refusal visitor_log_in_again = {
    421, "4.7.0", "Your log-in is no longer known here, connect and log in again", true};

static const struct smtp_refusal barred = {550, "5.7.1", "This account may not send mail",
                                           false};
static const struct smtp_refusal not_yours = {553, "5.7.1",
                                              "Sender address does not belong to you", false};
static const struct smtp_refusal not_known_now = {451, "4.3.0", "Sender cannot be checked now",
                                                  false};

static void on_rights(void *context, enum err err, struct bytes address)
{
    struct visitor *visitor = context;
    struct smtp_session *session = visitor->session;
    uint64_t ticket = visitor->sender_ticket;

    (void)address;
    visitor->rights = NULL;
    if (err == ERR_OK)
        smtp_session_allowed(session, ticket);
    else if (err == ERR_DENIED || err == ERR_INVALID)
        smtp_session_refused(session, ticket, &not_yours);
    else if (err == ERR_NOSESSION)
        smtp_session_refused(session, ticket, &visitor_log_in_again);
    else
        smtp_session_refused(session, ticket, &not_known_now);
    visitor_continue(visitor);
}

void sender_ask(struct visitor *visitor, const struct smtp_action *action)
{
    const struct receive_config *config = &visitor->receive->config;

    /* It may have taken the last word of its log-in since, of which nobody is told. */
    conn_hold_secrets(visitor->conn, false);
    visitor->mail_ms = clock_wall_ms();
    if (!login_may_send(visitor->login)) {
        smtp_session_refused(visitor->session, action->ticket, &barred);
        return;
    }
    /* Notices about mail (RFC 8098) have no sender; whose they are says From. */
    if (action->bytes.len == 0) {
        smtp_session_allowed(visitor->session, action->ticket);
        return;
    }
    visitor->sender_ticket = action->ticket;
    visitor->rights =
        rights_ask_sender(config->store, login_session(visitor->login), action->bytes,
                          config->times->lookup_ms, on_rights, visitor);
}
