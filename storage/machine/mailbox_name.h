/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_MAILBOX_NAME_H
#define STORAGE_MACHINE_MAILBOX_NAME_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/*
 * Names of mailboxes: UTF-8, levels separated by '/'. A first level that is INBOX in any case
 * is INBOX (RFC 3501 section 5.1).
 */

/* The name as it lies in the table: with INBOX in capitals. */
struct bytes mailbox_name_normal(struct arena *arena, struct bytes name);

/* NULL, or what is wrong with it: no empty level, no control characters, no more than
 * MAILBOX_NAME_SIZE_MAX bytes and MAILBOX_DEPTH_MAX levels. */
const char *mailbox_name_wrong(struct bytes name);

/* Whether `name` lies below `parent`. */
bool mailbox_name_below(struct bytes name, struct bytes parent);
/* The name of the level above; empty at the top. */
struct bytes mailbox_name_parent(struct bytes name);

#endif
