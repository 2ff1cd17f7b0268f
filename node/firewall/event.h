/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_EVENT_H
#define NODE_FIREWALL_EVENT_H

#include <stdint.h>

/* Whose port it is. Bits, for scopes. They lie in the directory: add at the end only. */
enum firewall_service {
    FIREWALL_SMTP = 1,       /* port 25 */
    FIREWALL_SUBMISSION = 2, /* 465 and 587 */
    FIREWALL_IMAP = 4,       /* and POP3, ManageSieve */
    FIREWALL_HTTP = 8,
};
#define FIREWALL_LOGINS (FIREWALL_SUBMISSION | FIREWALL_IMAP | FIREWALL_HTTP)
#define FIREWALL_ALL_SERVICES (FIREWALL_SMTP | FIREWALL_LOGINS)

/*
 * What a front end tells. The numbers travel between nodes: add at the end only. "account" and
 * "secret" say what else the event carries (digest.h).
 */
enum firewall_event {
    FIREWALL_COMMAND = 1,           /* any command line */
    FIREWALL_MESSAGE = 2,           /* a message begins: MAIL was taken */
    FIREWALL_RECIPIENT = 3,         /* RCPT named somebody who exists */
    FIREWALL_RECIPIENT_UNKNOWN = 4, /* RCPT named nobody here */
    FIREWALL_NULL_SENDER =
        5,              /* after one of both, in a message from <>; account: the recipient's */
    FIREWALL_LOGIN = 6, /* succeeded; account */
    FIREWALL_LOGIN_FAILED = 7,   /* account (of an unknown name too); secret, or 0 */
    FIREWALL_PROTOCOL_ERROR = 8, /* a command that no client of good will sends */
    FIREWALL_EARLY_TALK = 9,     /* bytes before the greeting, or before their turn */
    FIREWALL_FLOOD = 10, /* made by firewall.h itself: a local rule banned the address */
    FIREWALL_EVENT_COUNT
};

#endif
