/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/lines.h"

#include "node/base/log.h"

static const char *const events[] = {
    [SMTP_REFUSED_SENDER] = "sender refused",
    [SMTP_REFUSED_RECIPIENT] = "recipient refused",
    [SMTP_REFUSED_MESSAGE] = "message refused",
};

/* "5.1.1": there is none in replies where RFC 2034 section 4 wants none. */
static bool is_status(struct bytes word)
{
    return word.len >= 5 && word.at[0] >= '4' && word.at[0] <= '5' && word.at[1] == '.';
}

/* "550 5.1.1 No such user here" */
static void take_apart(struct bytes line, struct bytes *code, struct bytes *status,
                       struct bytes *reason)
{
    while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    *code = bytes_take_word(&line);
    *reason = bytes_trim(line);
    *status = bytes_take_word(&line);
    if (is_status(*status))
        *reason = bytes_trim(line);
    else
        *status = BYTES("");
}

static struct bytes user_of(const struct visitor *visitor)
{
    return visitor->login != NULL ? login_address(visitor->login) : BYTES("");
}

void lines_refused(void *context, const struct smtp_refused *refused)
{
    struct visitor *visitor = context;
    bool of_sender = refused->what == SMTP_REFUSED_SENDER;
    struct bytes code;
    struct bytes status;
    struct bytes reason;

    if (++visitor->refusals > LINES_REFUSED_MAX)
        return;
    take_apart(refused->line, &code, &status, &reason);
    log_info(
        NULL, events[refused->what],
        LOG_FIELDS(
            LOG_U64("conn", conn_id(visitor->conn)), LOG_TEXT("peer", visitor_peer(visitor)),
            LOG_BYTES("user", user_of(visitor)),
            LOG_BYTES("sender", of_sender ? refused->address
                                          : smtp_session_envelope(visitor->session)->sender),
            LOG_BYTES("recipient", of_sender ? BYTES("") : refused->address),
            LOG_BYTES("code", code), LOG_BYTES("status", status), LOG_BYTES("reason", reason)));
}

void lines_end(struct visitor *visitor)
{
    if (visitor->refusals > LINES_REFUSED_MAX)
        log_info(NULL, "further refusals",
                 LOG_FIELDS(LOG_U64("conn", conn_id(visitor->conn)),
                            LOG_TEXT("peer", visitor_peer(visitor)),
                            LOG_U64("count", visitor->refusals - LINES_REFUSED_MAX)));
    visitor->refusals = 0;
}

struct bytes lines_recipients(const struct smtp_envelope *envelope, struct arena *arena)
{
    struct bytes text = BYTES("");

    for (unsigned i = 0; i < envelope->recipient_count; i++) {
        struct bytes path = envelope->recipients[i].path;
        if (i == LINES_RECIPIENTS_MAX || text.len + path.len > LINES_RECIPIENTS_SIZE_MAX)
            return bytes_of(arena_printf(arena, "%.*s ...", BYTES_ARG(text)));
        text = bytes_of(arena_printf(arena, "%.*s%s%.*s", BYTES_ARG(text), i > 0 ? " " : "",
                                     BYTES_ARG(path)));
    }
    return text;
}
