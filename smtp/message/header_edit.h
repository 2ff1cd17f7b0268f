/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_HEADER_EDIT_H
#define SMTP_MESSAGE_HEADER_EDIT_H

#include "node/base/buffer.h"
#include "node/mail/summary.h"

/*
 * Edits the header of a message as it passes by, and collects what policy has to know of it.
 *
 * Text goes in through feed(), cut anywhere, and comes out edited; lines end with CRLF. The
 * header ends at the first empty line and nowhere else, as for node/mail's scanner: what a
 * mailbox shows as a header is what was looked at here. Every field passes byte for byte or not
 * at all. Behind the header all text passes unchanged (over() tells, so that a driver may leave
 * the editor out).
 *
 * Linear time. Memory: one field of those in the table of header_edit.c at a time, and the
 * facts; all bounded by the limits below.
 */

/* Which fields are left out, whoever wrote them. */
enum smtp_header_drop {
    SMTP_DROP_RETURN_PATH = 1 << 0, /* the host of final delivery writes it (RFC 5321 4.4) */
    SMTP_DROP_BCC = 1 << 1,         /* Bcc, Resent-Bcc */
    SMTP_DROP_RESULTS = 1 << 2,  /* Authentication-Results in one of our names (RFC 8601 5) */
    SMTP_DROP_VERDICTS = 1 << 3, /* Received-SPF, X-Spam-*, X-Virus-*, X-Postraft-* */
    SMTP_DROP_LIST = 1 << 4, /* List-* of RFC 2369, 2919 and 8058; Precedence, Return-Receipt */

    SMTP_DROP_ON_RECEPTION = SMTP_DROP_RETURN_PATH | SMTP_DROP_RESULTS | SMTP_DROP_VERDICTS,
    SMTP_DROP_ON_SUBMISSION = SMTP_DROP_ON_RECEPTION | SMTP_DROP_BCC,
    SMTP_DROP_FOR_LIST = SMTP_DROP_ON_SUBMISSION | SMTP_DROP_LIST,
};

/* All borrowed, and outliving the editor. */
struct smtp_header_edit_config {
    unsigned drop; /* enum smtp_header_drop, joined */
    /* With SMTP_DROP_RESULTS: every name that a node of ours signs results with. A field whose
     * name cannot be read goes too. */
    const struct bytes *authserv_ids;
    size_t authserv_id_count;
    /* And every name at or below this one, for the nodes whose names are not known here; empty:
     * none. */
    struct bytes authserv_domain;
    struct bytes prepend; /* whole fields (smtp_fields_valid(), CHECKed), above all others */
    struct bytes append;  /* likewise, at the end of the header */
    /* Values of the fields that are appended when the message has none (RFC 6409 section 8);
     * empty: nothing is added. smtp_text_clean(), CHECKed. */
    struct bytes date;
    struct bytes message_id; /* with its angle brackets */
    size_t size_max;         /* of the header that comes in; 0: SMTP_EDIT_HEADER_SIZE_MAX */
    unsigned lines_max;      /* 0: SMTP_EDIT_HEADER_LINES_MAX */
};

enum {
    SMTP_EDIT_HEADER_SIZE_MAX = 256 * 1024,
    SMTP_EDIT_HEADER_LINES_MAX = 5000,
    SMTP_EDIT_NAME_SIZE_MAX = 998,         /* of a field's name with white space behind it */
    SMTP_EDIT_FIELD_SIZE_MAX = 64 * 1024,  /* of a field whose content is looked at */
    SMTP_EDIT_VALUE_SIZE_MAX = 4 * 1024,   /* of a value that is kept; the rest is cut off */
    SMTP_EDIT_RESULTS_SIZE_MAX = 4 * 1024, /* of an Authentication-Results, up to its name */
    SMTP_EDIT_DELIVERED_TO_MAX = 64,
    SMTP_EDIT_FROM_COUNT_MAX =
        100, /* addresses in From, in Sender: a submission's are looked up */
    SMTP_EDIT_LINE_SIZE_MAX = 998, /* without CRLF; longer ones pass, with a fault */
};

/* What is wrong with a header. The editor refuses nothing itself; what to refuse depends on
 * whose mail it is. */
enum smtp_header_fault_bit {
    SMTP_FAULT_TOO_LARGE = 1 << 0, /* size_max or lines_max. The rest passes unread, and nothing
                                      was appended: a submission has to be refused */
    SMTP_FAULT_NO_FIELD = 1 << 1,  /* a line that is no field and continues none */
    SMTP_FAULT_FIELD_TOO_LARGE =
        1 << 2, /* a From, Sender or Reply-To over the limit, or with more
                   addresses than are read, or may be in From or Sender */
    SMTP_FAULT_NO_FROM = 1 << 3,
    SMTP_FAULT_TWO_FROM = 1 << 4, /* fields */
    SMTP_FAULT_NO_SENDER =
        1 << 5,                   /* several addresses in From and no Sender (RFC 5322 3.6.2) */
    SMTP_FAULT_BAD_FROM = 1 << 6, /* a From without any address; with one that has no domain
                                     or no local part; or with an @ that belongs to no
                                     address here and may be read as one elsewhere */
    SMTP_FAULT_REPEATED = 1 << 7, /* another field that may come once only (RFC 5322 3.6) */
    SMTP_FAULT_8BIT = 1 << 8,     /* a byte over 127: needs SMTPUTF8 (RFC 6531) */
    SMTP_FAULT_NOT_UTF8 = 1 << 9, /* and it is not even UTF-8 */
    SMTP_FAULT_LONG_LINE = 1 << 10, /* over SMTP_EDIT_LINE_SIZE_MAX */
    SMTP_FAULT_CONTROL = 1 << 11,   /* NUL, a CR or LF on its own, another C0 control but tab */
    SMTP_FAULT_UNENDED = 1 << 12,   /* no empty line; the fields were appended at the end */
    SMTP_FAULT_BAD_SENDER = 1 << 13, /* what makes a From bad, in a Sender */
};

enum smtp_header_count {
    SMTP_COUNT_FROM,
    SMTP_COUNT_SENDER,
    SMTP_COUNT_REPLY_TO,
    SMTP_COUNT_TO,
    SMTP_COUNT_CC,
    SMTP_COUNT_BCC,
    SMTP_COUNT_DATE,
    SMTP_COUNT_MESSAGE_ID,
    SMTP_COUNT_IN_REPLY_TO,
    SMTP_COUNT_REFERENCES,
    SMTP_COUNT_SUBJECT,
    SMTP_COUNT_CONTENT_TYPE,
    SMTP_COUNT_CONTENT_ENCODING,
    SMTP_COUNT_RECEIVED,
    SMTP_COUNT_DELIVERED_TO,
    SMTP_COUNT_OWN_RESULTS, /* Authentication-Results in our name */
    SMTP_COUNT_OWN_ARC,     /* ARC-Authentication-Results in our name: only ARC can tell */
    SMTP_COUNT_DKIM,        /* DKIM-Signature */
    SMTP_COUNTS,
};

/*
 * What the header said, whether or not it was left out. Text is unfolded, without CR, LF and
 * NUL, of the first such field, cut at SMTP_EDIT_VALUE_SIZE_MAX; {NULL, 0} where there was
 * none. Addresses are those of all fields of the name, groups and all, undecoded.
 */
struct smtp_header_facts {
    unsigned faults; /* enum smtp_header_fault_bit, joined */
    unsigned counts[SMTP_COUNTS];
    unsigned dropped; /* fields left out */
    struct mail_address_list from;
    struct mail_address_list sender;
    struct mail_address_list reply_to;
    struct bytes date;
    struct bytes message_id;
    struct bytes subject;
    struct bytes list_id;
    struct bytes list_unsubscribe;
    struct bytes list_unsubscribe_post;
    struct bytes auto_submitted;
    struct bytes precedence;
    struct bytes mime_version;
    struct bytes content_type;
    struct bytes content_encoding;
    /* smtp_delivered_to_hash() of the first SMTP_EDIT_DELIVERED_TO_MAX Delivered-To fields. */
    uint64_t delivered_to[SMTP_EDIT_DELIVERED_TO_MAX];
    unsigned delivered_to_count;
};

struct smtp_header_edit;

struct smtp_header_edit *smtp_header_edit_new(const struct smtp_header_edit_config *config);
void smtp_header_edit_free(struct smtp_header_edit **edit);

/* Appends to `output`. */
void smtp_header_edit_feed(struct smtp_header_edit *edit, struct bytes text,
                           struct buffer *output);

/* The header has ended: feed() only copies. */
bool smtp_header_edit_over(const struct smtp_header_edit *edit);

/* The message has ended; appends what is still held or missing. Call once, in any case. */
void smtp_header_edit_finish(struct smtp_header_edit *edit, struct buffer *output);

/* Complete once the header is over or the message has ended; live as long as the editor. */
const struct smtp_header_facts *smtp_header_edit_facts(const struct smtp_header_edit *edit);

/* Of an address as Delivered-To has it; without case, white space around it and brackets. */
uint64_t smtp_delivered_to_hash(struct bytes address);

/* The names of the faults, for a log line: "no from, two date"; valid until the arena goes. */
struct bytes smtp_header_faults_text(unsigned faults, struct arena *arena);

#endif
