/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_LIMITS_H
#define IMAP_PROTOCOL_LIMITS_H

#include "node/mail/summary.h"
#include "storage/schema/flags.h"

/* Everything that a client can make larger. What is past a limit is answered with BAD or NO
 * [LIMIT] or [TOOBIG], before memory is taken for it. Bytes, where no unit is named. */
enum {
    IMAP_COMMAND_SIZE_MAX = 64 * 1024, /* lines and literals, but APPEND's message */
    IMAP_AUTH_SIZE_MAX = 12 * 1024,    /* of one message of AUTHENTICATE, as base64: tokens */
    IMAP_COMMAND_SIZE_MAX_LOGIN = IMAP_AUTH_SIZE_MAX + 256, /* the same before login */
    IMAP_LITERALS_MAX = 100,                                /* a command */
    IMAP_DISCARD_SIZE_MAX =
        64 * 1024 * 1024, /* of a refused "{n+}"; beyond it the client goes */
    IMAP_TAG_SIZE_MAX = 64,
    IMAP_RANGES_MAX = 16 * 1024, /* of one sequence set, before merging */
    IMAP_FETCH_ITEMS_MAX = 64,
    IMAP_SECTION_DEPTH_MAX = MAIL_PART_DEPTH_MAX,
    IMAP_HEADER_NAMES_MAX = 200, /* of one HEADER.FIELDS */
    IMAP_SEARCH_KEYS_MAX = 250,  /* the store takes 256 and adds none */
    IMAP_SEARCH_DEPTH_MAX = 14,  /* the store takes 16 */
    IMAP_FLAGS_MAX = KEYWORD_COUNT_MAX + 8,
    IMAP_PATTERNS_MAX = 32, /* of one LIST */
    IMAP_PATTERN_SIZE_MAX = 1000,
    IMAP_ID_PAIRS_MAX = 30, /* RFC 2971 section 3.3 */
    IMAP_ENABLE_MAX = 30,
    IMAP_BAD_MAX = 10,          /* bad commands in a row; then BYE */
    IMAP_LOGIN_DELAY_MS = 2000, /* before the answer to a failed login */
};

#endif
