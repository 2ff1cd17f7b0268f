/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_SUBMIT_SENT_TOO_MUCH_H
#define SMTP_SUBMIT_SENT_TOO_MUCH_H

#include "smtp/protocol/reply.h"
#include "types.pb-c.h"

/* What a client is told when the store has refused with LIMIT: who has sent too much, the
 * account or all of its tenant's, and from when on more may be sent. Never for good. */
struct sent_too_much {
    struct smtp_refusal refusal; /* points to `text` */
    char text[128];
};
/* `outcome` may be NULL: nothing is known. */
const struct smtp_refusal *sent_too_much(const Pr__Outcome *outcome,
                                         struct sent_too_much *words);

#endif
