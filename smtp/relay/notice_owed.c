/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/notice.h"

enum {
    SAID_ANY = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY, /* not NEVER */
};

static const struct rule {
    unsigned wanted; /* SMTP_NOTIFY_* one of which has to be there */
    bool unsaid;     /* owed where NOTIFY was not given */
    enum notice_action action;
} rules[] = {
    /* RFC 3461 sections 5.2.6 and 5.2.5. */
    [NOTICE_EVENT_FAILED] = {SMTP_NOTIFY_FAILURE, true, NOTICE_FAILED},
    [NOTICE_EVENT_DELAYED] = {SMTP_NOTIFY_DELAY, true, NOTICE_DELAYED},
    /* Sections 5.2.1, 5.2.2, 5.2.3, 5.2.7. */
    [NOTICE_EVENT_TAKEN] = {0, false, NOTICE_RELAYED},
    [NOTICE_EVENT_RELAYED] = {SMTP_NOTIFY_SUCCESS, false, NOTICE_RELAYED},
    [NOTICE_EVENT_DELIVERED] = {SMTP_NOTIFY_SUCCESS, false, NOTICE_DELIVERED},
    [NOTICE_EVENT_EXPANDED] = {SMTP_NOTIFY_SUCCESS, false, NOTICE_EXPANDED},
    /* RFC 2852 section 4.1.4: unless NEVER was said. */
    [NOTICE_EVENT_BY_LOST] = {SAID_ANY, true, NOTICE_RELAYED},
    [NOTICE_EVENT_BY_TRACED] = {SAID_ANY, true, NOTICE_RELAYED},
};

bool notice_owed(unsigned notify, enum notice_event event, bool null_sender,
                 enum notice_action *action)
{
    const struct rule *rule = &rules[event];

    if (null_sender || (notify & SMTP_NOTIFY_NEVER) != 0)
        return false;
    if (notify == 0 ? !rule->unsaid : (notify & rule->wanted) == 0)
        return false;
    *action = rule->action;
    return true;
}

bool notice_sender_deaf(struct bytes sender)
{
    return sender.len == 0 || bytes_start_nocase(sender, BYTES("mailer-daemon@")) ||
           bytes_equal_nocase(sender, BYTES("mailer-daemon"));
}

bool notice_wants_body(enum smtp_return ret, bool has_failed, uint64_t size)
{
    return ret == SMTP_RETURN_FULL && has_failed && size <= NOTICE_BODY_SIZE_MAX;
}
