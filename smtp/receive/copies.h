/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_COPIES_H
#define SMTP_RECEIVE_COPIES_H

#include "smtp/message/binary_convert.h"
#include "smtp/message/header_edit.h"
#include "smtp/message/mime_guard.h"
#include "smtp/protocol/session.h"
#include "smtp/receive/destination.h"
#include "storage/client/body_writer.h"

/*
 * A message in the wordings that its recipients get: as it came, as each list among the
 * recipients words it (List-* fields, bounces to its owner), and as each address that forwards
 * it to another host marks it (Delivered-To, so that a loop is seen), for each account whose
 * forward it is. All are written at the same time, and delivered together or not at all.
 * Recipients who would need more wordings are refused at RCPT (destination.h).
 */
enum { COPIES_MAX = 1 + DESTINATION_WORDINGS_MAX };

struct copy {
    struct bytes list;    /* empty: no list's */
    struct bytes forward; /* the address that forwards; empty: none */
    uint64_t forward_account_id;
    const struct destination *destination;
    uint64_t *account_ids;
    size_t account_count;
    Pr__QueueRecipient **queue;
    size_t queue_count;
    struct buffer prepend;
    struct buffer append;
    struct smtp_header_edit *edit;
    struct body_writer *writer;
};

struct copies {
    struct arena *arena; /* of the message */
    struct copy at[COPIES_MAX];
    unsigned count;
    size_t targets;         /* recipients there can be at most */
    bool held;              /* for a time: accounts here wait in the queue too */
    uint64_t *promised_ids; /* accounts behind addresses that stand for several */
    size_t promised_count;
    struct smtp_mime_guard *guard;
    struct smtp_convert *convert; /* NULL: it is no binary message */
    struct buffer converted;
    struct buffer edited;
    struct smtp_mime_report mime;          /* after copies_finish() */
    struct smtp_convert_report conversion; /* likewise */
    uint64_t home_account_id;              /* whose group takes the message; 0: `group` */
    uint32_t group;
};

/* The recipients of the envelope, sorted into wordings, and of whom its sender is told that the
 * message has arrived (RFC 3461). Nothing of the envelope is kept but in `arena`. */
void copies_sort(struct copies *copies, struct arena *arena,
                 const struct smtp_envelope *envelope, const struct destinations *destinations);

/* Ends editors and writers; frees. */
void copies_fini(struct copies *copies);

/* Text of the message for all wordings. */
void copies_add(struct copies *copies, struct bytes text);
/* The message has ended: what the editors still hold goes out. */
void copies_finish(struct copies *copies);
bool copies_full(const struct copies *copies);

/* The header says that it has been forwarded by one of these addresses before. */
bool copies_loop(const struct copies *copies);

/* What the header says; complete after copies_finish(). */
const struct smtp_header_facts *copies_facts(const struct copies *copies);

#endif
