/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_SENDER_DOMAINS_H
#define STORAGE_MACHINE_DIRECTORY_SENDER_DOMAINS_H

#include <stdint.h>

/* What the cluster knows of domains that mail came from, from format 4 on. */
enum {
    SENDER_DOMAINS_MAX = 1000000,
    SENDER_DOMAINS_COMMAND_MAX = 1000,
    SENDER_DOMAIN_REASON_SIZE_MAX = 256,
    SENDER_DOMAIN_FINDINGS_MAX = 16,
};
/* One that was not seen for so long is forgotten. */
#define SENDER_DOMAIN_KEPT_MS ((uint64_t)365 * 24 * 60 * 60 * 1000)

#endif
