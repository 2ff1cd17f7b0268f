/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/envelope.h"

/* As absolute times, which count from MAIL. */
static void copy_times(const struct smtp_envelope *envelope, uint64_t mail_ms,
                       Pr__Envelope *copy)
{
    const struct smtp_deliver_by *by = &envelope->deliver_by;

    if (envelope->hold_for_s != 0)
        copy->hold_until_ms = mail_ms + (uint64_t)envelope->hold_for_s * 1000;
    else if (envelope->hold_until_s > 0)
        copy->hold_until_ms = (uint64_t)envelope->hold_until_s * 1000;
    if (!by->given)
        return;
    int64_t by_ms = (int64_t)mail_ms + (int64_t)by->seconds * 1000;
    copy->deliver_by_ms = by_ms > 0 ? (uint64_t)by_ms : 1;
    copy->by_mode =
        by->returns ? PR__ENVELOPE__BY_MODE__BY_RETURN : PR__ENVELOPE__BY_MODE__BY_NOTIFY;
    copy->by_trace = by->traced;
}

Pr__Envelope *envelope_of_queue(struct arena *arena, const struct smtp_envelope *envelope,
                                uint64_t mail_ms)
{
    static const Pr__Envelope__Ret returns[] = {
        [SMTP_RETURN_UNSAID] = PR__ENVELOPE__RET__RET_NONE,
        [SMTP_RETURN_FULL] = PR__ENVELOPE__RET__RET_FULL,
        [SMTP_RETURN_HEADERS] = PR__ENVELOPE__RET__RET_HDRS,
    };
    Pr__Envelope *copy = arena_alloc(arena, sizeof(*copy));

    pr__envelope__init(copy);
    copy->sender = arena_string(arena, envelope->sender);
    copy->envid = arena_string(arena, envelope->envelope_id);
    copy->ret = returns[envelope->dsn_return];
    copy->body_8bit = envelope->body_8bit;
    copy->utf8 = envelope->utf8;
    copy->require_tls = envelope->requiretls;
    if (envelope->requiretls) /* RFC 8689 section 5 */
        copy->ret = PR__ENVELOPE__RET__RET_HDRS;
    copy_times(envelope, mail_ms, copy);
    return copy;
}
