/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/reply.h"

#include "node/base/check.h"

static const struct row {
    unsigned code;
    unsigned flags;
    const char *enhanced;
    const char *text;
} rows[] = {
#define ROW(name, code, enhanced, text, flags)                                                 \
    [SMTP_REPLY_##name] = {(code), (flags), (enhanced), (text)},
    SMTP_REPLIES(ROW)
#undef ROW
};

void smtp_reply_write(enum smtp_reply reply, const char *trace, struct buffer *output)
{
    CHECK(reply < SMTP_REPLY_COUNT);
    const struct row *row = &rows[reply];
    bool traced = (row->flags & SMTP_REPLY_TRACED) != 0 && trace[0] != '\0';

    buffer_printf(output, "%u %s%s%s%s%s\r\n", row->code, row->enhanced,
                  row->enhanced[0] != '\0' ? " " : "", row->text, traced ? " id=" : "",
                  traced ? trace : "");
}

unsigned smtp_reply_code(enum smtp_reply reply)
{
    CHECK(reply < SMTP_REPLY_COUNT);
    return rows[reply].code;
}

unsigned smtp_reply_flags(enum smtp_reply reply)
{
    CHECK(reply < SMTP_REPLY_COUNT);
    return rows[reply].flags;
}

enum smtp_reply smtp_reply_of_commit(enum err result)
{
    switch (result) {
    case ERR_OK:
        return SMTP_REPLY_ACCEPTED;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_NOTLEADER:
    case ERR_CANCELLED:
        return SMTP_REPLY_STORE_UNREACHED;
    case ERR_QUOTA:
        /* For now, also where the policy is to refuse for good: at the retry RCPT refuses whose
         * mailbox is full, and the others get the message. */
        return SMTP_REPLY_MAILBOX_FULL;
    case ERR_FULL:
    case ERR_BUSY:
        return SMTP_REPLY_STORE_FULL;
    default:
        /* Nothing that the store may say is the sender's fault: it tries again, and what has
         * changed in between (an account removed) is then refused at RCPT. */
        return SMTP_REPLY_STORE_FAILED;
    }
}

enum smtp_reply smtp_reply_of_lookup(enum err result)
{
    switch (result) {
    case ERR_OK:
        return SMTP_REPLY_RCPT_OK;
    case ERR_NOTFOUND:
        return SMTP_REPLY_RCPT_UNKNOWN;
    case ERR_DENIED:
        return SMTP_REPLY_RCPT_FOREIGN;
    case ERR_QUOTA:
        return SMTP_REPLY_RCPT_FULL;
    case ERR_FULL:
        return SMTP_REPLY_RCPT_FULL_NOW;
    default:
        return SMTP_REPLY_RCPT_LATER;
    }
}
