/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_LINES_H
#define SMTP_RECEIVE_LINES_H

#include "node/base/arena.h"
#include "smtp/receive/visitor.h"

/*
 * What the log says of a connection, at level info. Lines of one connection have the same
 * `conn`, also those of policy.
 *
 *   sender refused, recipient refused, message refused
 *       conn, peer, user, sender, recipient, code, status, reason. LINES_REFUSED_MAX of a
 *       connection, or of each client that a proxy names in it; who guesses names fills no log.
 *   further refusals
 *       conn, peer, count: how many there were beyond that, when it ends.
 */
enum {
    LINES_REFUSED_MAX = 20,
    /* Recipients that are named in the line of a message, and bytes of them. */
    LINES_RECIPIENTS_MAX = 5,
    LINES_RECIPIENTS_SIZE_MAX = 512,
};

/* As struct smtp_connection wants it; the context is a visitor. */
void lines_refused(void *context, const struct smtp_refused *refused);
/* The connection ends, or goes on for another client. */
void lines_end(struct visitor *visitor);

/* "ann@here.test bob@here.test", and " ..." where there are more. */
struct bytes lines_recipients(const struct smtp_envelope *envelope, struct arena *arena);

#endif
