/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_FLAGS_H
#define STORAGE_SCHEMA_FLAGS_H

#include <stdint.h>

/* Numbers that lie in log entries and records. Never renumbered. */

/* System flags (RFC 3501 section 2.3.2); bit KEYWORD_FIRST_BIT + n is the mailbox's keyword n.
 */
enum message_flag {
    FLAG_SEEN = 1 << 0,
    FLAG_ANSWERED = 1 << 1,
    FLAG_FLAGGED = 1 << 2,
    FLAG_DELETED = 1 << 3,
    FLAG_DRAFT = 1 << 4,
    FLAGS_SYSTEM = 31,
};

enum {
    KEYWORD_FIRST_BIT = 8,
    KEYWORD_COUNT_MAX = 56,      /* a mailbox */
    KEYWORD_SIZE_MAX = 64,       /* bytes */
    MAILBOX_NAME_SIZE_MAX = 400, /* bytes of UTF-8; LMDB keys end at 511 */
    MAILBOX_DEPTH_MAX = 20,
    MAILBOX_COUNT_MAX = 10000, /* an account */
};

/* RFC 6154; INBOX is no special use but is marked for the machine's own sake. */
enum special_use {
    SPECIAL_NONE = 0,
    SPECIAL_INBOX = 1,
    SPECIAL_DRAFTS = 2,
    SPECIAL_SENT = 3,
    SPECIAL_JUNK = 4,
    SPECIAL_TRASH = 5,
    SPECIAL_ARCHIVE = 6,
};

enum {
    COMMAND_FORMAT = 1,           /* first byte of a log entry */
    BODY_BLOCK_SIZE = 192 * 1024, /* plain bytes; its zstd frame always fits into an entry */
    BODY_FRAME_SIZE_MAX = 200 * 1024, /* of one compressed block */
    BODY_BLOCKS_INLINE_MAX = 1,       /* more are uploaded */
    BODY_BLOCKS_MAX = 8192,           /* 1.5 GiB */
    REQUEST_ID_SIZE = 16,
    DELIVER_RECIPIENTS_MAX = 1000,
};

#endif
