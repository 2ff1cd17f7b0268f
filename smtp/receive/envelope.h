/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_ENVELOPE_H
#define SMTP_RECEIVE_ENVELOPE_H

#include "node/base/arena.h"
#include "smtp/protocol/session.h"
#include "store.pb-c.h"

/*
 * What its sender said of a message, as it lies in the queue: to hosts that it goes on to, and
 * of the time that it is held. `mail_ms`: when MAIL was said, by the wall clock, from which
 * HOLDFOR and BY count; ignored without them. Nothing of the envelope is kept but in `arena`.
 */
Pr__Envelope *envelope_of_queue(struct arena *arena, const struct smtp_envelope *envelope,
                                uint64_t mail_ms);

#endif
