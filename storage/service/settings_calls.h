/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SETTINGS_CALLS_H
#define STORAGE_SERVICE_SETTINGS_CALLS_H

#include "storage/service/service.h"

/*
 * Front ends keep what they need of the directory's settings, and of the firewall's list, and
 * wait here for changes: a call is answered when the version is another one than theirs.
 */
struct version_waits;

enum {
    /* Beyond: ERR_BUSY, upon which front ends pause; an answer without news would be asked for
     * again at once. */
    VERSION_WAITS_MAX = 4096,
    VERSION_WAITS_CONNECTION_MAX = 32,
    VERSION_LOOK_MS = 250,
};

struct version_waits *version_waits_new(struct service *service);
/* Those that wait are answered with ERR_CLOSED. */
void version_waits_free(struct version_waits **waits);
/* Nobody hears what those of the connection wait for. */
void version_waits_connection_closed(struct version_waits *waits, uint32_t connection);

/* `answer` ends the call; comes when the version, as `version` reads it, is not `known` any
 * more, or at the deadline. May come from within. */
void version_wait(struct service_call *call, uint64_t (*version)(struct db_txn *txn),
                  uint64_t known, void (*answer)(struct service_call *call));

void settings_read_call(struct service_call *call);
/* operators' */
void setting_put_call(struct service_call *call);
void setting_list_call(struct service_call *call);

#endif
