/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_IMAP_CONVERSATIONS_H
#define TESTS_UNIT_IMAP_CONVERSATIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a client sends and what it is told, behind the greeting. Lines with '!' are events that
 * others cause: "!deliver 1" (to mailbox 1, INBOX), "!expunge UID", "!seen UID", "!fail ERR"
 * (the next call), "!later N" (not the next N calls), "!page N" (messages in one answer). INBOX
 * holds UIDs 1 (seen), 2 and 3 (deleted).
 */
struct conversation {
    const char *name;
    const char *input;
    const char *want;
    bool in_clear;
};

extern const struct conversation conversations[];
extern const size_t conversation_count;

#endif
