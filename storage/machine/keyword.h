/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_KEYWORD_H
#define STORAGE_MACHINE_KEYWORD_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * Flags and keywords of commands. A keyword gets a number in its mailbox when it is first used
 * and keeps it; case does not matter (RFC 3501 section 2.3.2). Rows are (mailbox, number ->
 * name).
 */
enum { INTERNAL_ZONE_MAX = 24 * 60 };

struct keyword_set {
    uint64_t known;      /* bits of keywords that the mailbox has */
    struct bytes *added; /* names that it gets */
    unsigned added_count;
};

/* All keywords of a mailbox in order of their numbers. The names live in `arena`. */
void keyword_list(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
                  unsigned count, struct arena *arena, struct bytes **names);

/* Refuses bad names and, with `make`, more than there is room for; without, unknown ones are
 * left out. */
enum err keyword_check(struct apply *apply, const struct account *account,
                       const struct mailbox *mailbox, char **names, size_t count, bool make,
                       struct keyword_set *set);
/* Gives the new ones numbers. Returns the bits of all. The caller stores the mailbox. */
uint64_t keyword_make(struct apply *apply, const struct account *account,
                      struct mailbox *mailbox, const struct keyword_set *set);

/* Only system flags. */
enum err flags_check(struct apply *apply, uint64_t flags);

/* The account and mailbox that a command names; refuses when they are not there. */
enum err account_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                         struct account *account, struct mailbox *mailbox);

#endif
