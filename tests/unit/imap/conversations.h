/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_IMAP_CONVERSATIONS_H
#define TESTS_UNIT_IMAP_CONVERSATIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a client sends and what it is told, behind the greeting. Lines with '!' are events that
 * others cause: "!deliver 1" (to mailbox 1, INBOX), "!expunge UID", "!seen UID", "!fail ERR"
 * (the next call), "!lost ERR" (the next call's answer on its way), "!quota BYTES MESSAGES",
 * "!later N" (not the next N calls), "!page N" (messages in one answer), "!forget" (the store
 * does not know the exchange any more), "!turn away N" and "!slow N" (the firewall, at the next
 * attempt of that kind: 0 tries, 1 right, 2 wrong). INBOX holds UIDs 1
 * (seen), 2 and 3 (deleted).
 */
struct conversation {
    const char *name;
    const char *input;
    const char *want;
    bool in_clear;
};

/* Each ends with an empty row. */
extern const struct conversation conversations_access[];
extern const struct conversation conversations_login[];
extern const struct conversation conversations_mailbox[];
extern const struct conversation conversations_message[];

/* Beginnings that many have, and what is said to them. */
#define LOGIN "a LOGIN ann@example.org secret\r\n"
#define SELECT LOGIN "b SELECT INBOX\r\n"
#define CAPABILITIES                                                                           \
    "IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE CHILDREN CREATE-SPECIAL-USE ESEARCH "           \
    "LIST-EXTENDED LIST-STATUS MOVE NAMESPACE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE "      \
    "SEARCHRES SPECIAL-USE STATUS=SIZE UIDPLUS UNSELECT APPENDLIMIT=1000000"
#define MECHANISMS                                                                             \
    "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1-PLUS AUTH=SCRAM-SHA-1 "       \
    "AUTH=PLAIN AUTH=LOGIN AUTH=OAUTHBEARER"
#define LOGGED_IN "a OK [CAPABILITY " CAPABILITIES "] Logged in\r\n"
#define SELECTED                                                                               \
    LOGGED_IN                                                                                  \
    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"                              \
    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags that "    \
    "can be changed\r\n"                                                                       \
    "* 3 EXISTS\r\n* 0 RECENT\r\n"                                                             \
    "* OK [UIDVALIDITY 1001] UIDs are valid\r\n"                                               \
    "* OK [UIDNEXT 4] The next UID\r\n"                                                        \
    "b OK [READ-WRITE] Selected\r\n"

#endif
