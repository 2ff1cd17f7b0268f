/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_FIREWALL_H
#define STORAGE_MACHINE_DIRECTORY_FIREWALL_H

#include "storage/machine/directory_rows.h"
#include "storage/schema/net.h"

/* Who is let in, and who is not, from format 4 on. */
enum {
    FIREWALL_ENTRIES_MAX = 1000000,
    FIREWALL_COMMAND_MAX = 1000, /* entries, or nets, in one command */
    FIREWALL_REASON_SIZE_MAX = 256,
};

/* The table's key of a net. */
struct bytes firewall_key(struct key *key, const struct net *net);

#endif
