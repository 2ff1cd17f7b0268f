/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "node/base/check.h"
#include "smtp/protocol/session_state.h"
#include "smtp/protocol/xtext.h"

/*
 * XCLIENT: a proxy that is trusted says for whom it speaks. Afterwards the session is as new,
 * and greets that client.
 */
static bool is_name(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 127)
            return false;
    return text.len > 0 && text.len <= SMTP_HELO_SIZE_MAX;
}

static bool is_address(struct bytes text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr bytes;
    bool ipv6 = bytes_start_nocase(text, BYTES("IPV6:"));

    if (ipv6)
        text = bytes_skip(text, 5);
    if (text.len >= sizeof(address))
        return false;
    memcpy(address, text.at, text.len);
    address[text.len] = '\0';
    return inet_pton(ipv6 ? AF_INET6 : AF_INET, address, &bytes) == 1;
}

static bool is_port(struct bytes text)
{
    uint64_t port;
    return bytes_to_u64(text, &port) && port > 0 && port <= UINT16_MAX;
}

static bool is_protocol(struct bytes text)
{
    return bytes_equal_nocase(text, BYTES("SMTP")) || bytes_equal_nocase(text, BYTES("ESMTP"));
}

static bool is_login(struct bytes text)
{
    return text.len > 0 && text.len <= SMTP_LOGIN_SIZE_MAX;
}

static const struct {
    struct bytes name;
    bool (*valid)(struct bytes text);
} attributes[SMTP_XCLIENT_COUNT] = {
    [SMTP_XCLIENT_NAME] = {BYTES_INIT("NAME"), is_name},
    [SMTP_XCLIENT_ADDR] = {BYTES_INIT("ADDR"), is_address},
    [SMTP_XCLIENT_PORT] = {BYTES_INIT("PORT"), is_port},
    [SMTP_XCLIENT_PROTO] = {BYTES_INIT("PROTO"), is_protocol},
    [SMTP_XCLIENT_HELO] = {BYTES_INIT("HELO"), smtp_helo_valid},
    [SMTP_XCLIENT_LOGIN] = {BYTES_INIT("LOGIN"), is_login},
    [SMTP_XCLIENT_DESTADDR] = {BYTES_INIT("DESTADDR"), is_address},
    [SMTP_XCLIENT_DESTPORT] = {BYTES_INIT("DESTPORT"), is_port},
    [SMTP_XCLIENT_REVERSE_NAME] = {BYTES_INIT("REVERSE_NAME"), is_name},
};

void smtp_xclient_write(const struct smtp_session *session, struct buffer *line)
{
    (void)session;
    for (unsigned i = 0; i < SMTP_XCLIENT_COUNT; i++)
        buffer_printf(line, " %.*s", BYTES_ARG(attributes[i].name));
}

static bool take_value(struct smtp_session *session, unsigned attribute, struct bytes text)
{
    struct smtp_xclient_value *value = &session->xclient[attribute];

    if (value->said != SMTP_XCLIENT_UNSAID ||
        !smtp_xtext_decode(text, &session->transaction_arena, &value->text))
        return false;
    if (bytes_equal_nocase(value->text, BYTES("[UNAVAILABLE]")))
        value->said = SMTP_XCLIENT_UNAVAILABLE;
    else if (bytes_equal_nocase(value->text, BYTES("[TEMPUNAVAIL]")))
        value->said = SMTP_XCLIENT_TEMPORARY;
    else
        value->said = SMTP_XCLIENT_SAID;
    if (value->said != SMTP_XCLIENT_SAID)
        value->text = BYTES("");
    return value->said != SMTP_XCLIENT_SAID || attributes[attribute].valid(value->text);
}

static bool take_attribute(struct smtp_session *session, struct bytes word)
{
    size_t equals = bytes_find(word, '=');
    struct bytes name = {word.at, equals};

    for (unsigned i = 0; i < SMTP_XCLIENT_COUNT; i++)
        if (equals < word.len && bytes_equal_nocase(name, attributes[i].name))
            return take_value(session, i, bytes_skip(word, equals + 1));
    return false;
}

void smtp_command_xclient(struct smtp_session *session, struct bytes args)
{
    bool fine = bytes_trim(args).len > 0;

    if (!session->xclient_allowed) {
        smtp_session_reply(session, SMTP_REPLY_XCLIENT_DENIED);
        return;
    }
    /* What it says lives as long as a transaction, of which there is none. */
    smtp_session_forget_transaction(session);
    memset(session->xclient, 0, sizeof(session->xclient));
    while (fine && args.len > 0) {
        struct bytes word = bytes_take_word(&args);
        fine = word.len == 0 || take_attribute(session, word);
    }
    if (fine)
        smtp_session_ask(session, SMTP_STATE_XCLIENT);
    else
        smtp_session_reply(session, SMTP_REPLY_XCLIENT_SYNTAX);
}

void smtp_xclient_refused(struct smtp_session *session, const struct smtp_verdict *verdict)
{
    bool ready = session->helo[0] != '\0';

    smtp_session_move(session, ready ? SMTP_STATE_READY : SMTP_STATE_CONNECTED);
    smtp_session_say(session, verdict);
}

const struct smtp_xclient_value *smtp_session_xclient(const struct smtp_session *session,
                                                      enum smtp_xclient attribute)
{
    CHECK(attribute < SMTP_XCLIENT_COUNT);
    return &session->xclient[attribute];
}

void smtp_session_xclient_taken(struct smtp_session *session, uint64_t ticket,
                                uint64_t account_id, struct bytes login)
{
    if (!smtp_session_takes_answer(session, SMTP_STATE_XCLIENT, ticket))
        return;
    struct buffer copy = BUFFER_EMPTY; /* it may be what XCLIENT has said */
    CHECK(login.len <= SMTP_LOGIN_SIZE_MAX);
    buffer_add(&copy, login);
    smtp_session_restart(session, SMTP_STATE_GREET);
    memset(session->xclient, 0, sizeof(session->xclient));
    if (buffer_len(&copy) > 0)
        smtp_session_set_account(session, account_id, buffer_bytes(&copy));
    buffer_fini(&copy);
    smtp_session_welcome(session);
}
