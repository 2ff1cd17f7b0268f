/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_HANDOVER_FOLLOW_H
#define STORAGE_SERVICE_HANDOVER_FOLLOW_H

#include "storage/service/service.h"

/*
 * A hand-over whose group does not take it: an account in it has moved since the message was
 * accepted. First that group is made sure never to take it; then each recipient gets the
 * message where they are now, under an id that follows from the delivery's and the account's,
 * so that it comes once however often this is begun.
 */

/* `done` comes once, from the loop: ERR_OK when everybody has it, or is gone. `entries` (the
 * blocks of a large body, then the Deliver) are borrowed until then. */
typedef void handover_follow_done(void *context, enum err err);
void handover_follow(struct service *service, uint32_t group, const struct bytes *entries,
                     size_t entry_count, handover_follow_done *done, void *context);

#endif
