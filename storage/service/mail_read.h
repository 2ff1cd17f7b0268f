/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_MAIL_READ_H
#define STORAGE_SERVICE_MAIL_READ_H

#include "storage/service/service.h"

/*
 * One question about an account's mail, answered by a replica of its group: here, or on another
 * node. `done` gets a packed Pr__Reply (err inside), valid during the call, and the index that
 * the answer has seen; or ERR_UNAVAILABLE; or ERR_MOVED: the account is not in that group, or,
 * asked for something fresh, about to leave it (route.h).
 */
typedef void mail_read_done(void *context, enum err err, struct bytes reply, uint64_t index);

struct mail_read {
    struct query_account account;
    uint64_t seen_index;
    bool fresh;
    uint64_t deadline_ms;
    const Pr__Request *request; /* borrowed until `done` */
};

void mail_read_start(struct service *service, const struct mail_read *read,
                     mail_read_done *done, void *context);

/* Only from a replica here: what another node is answered with. */
void mail_read_local(struct service *service, const struct mail_read *read,
                     mail_read_done *done, void *context);

#endif
