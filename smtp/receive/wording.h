/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_WORDING_H
#define SMTP_RECEIVE_WORDING_H

#include "smtp/receive/copies.h"
#include "smtp/receive/visitor.h"

/* The editor of one wording of a message: trace fields above it, what its kind leaves out and
 * adds. */
void wording_open(struct copy *copy, const struct visitor *visitor,
                  const struct smtp_envelope *envelope, const char *trace_id,
                  struct arena *message_arena);

#endif
