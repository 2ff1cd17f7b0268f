/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_SUMMARY_FORMAT_H
#define NODE_MAIL_SUMMARY_FORMAT_H

#include <stddef.h>

#include "node/mail/summary.h"

/*
 * The stored form of a summary. A version byte, then fields: a number `tag << 1 | kind`, then
 * for KIND_NUMBER a number, for KIND_BYTES a length and so many bytes. Numbers are
 * little-endian in groups of seven bits. A reader passes over tags that it does not know. Zeros
 * and what is missing are not written. Parts come in the order of the message, each with its
 * depth, not nested in each other. These numbers are on disk: add, never change.
 */
#define SUMMARY_VERSION 1

enum { KIND_NUMBER = 0, KIND_BYTES = 1 };

enum summary_tag {
    SUMMARY_SIZE = 1,
    SUMMARY_SENT = 2, /* zigzag */
    SUMMARY_FLAGS = 3,
    SUMMARY_RECEIVED = 4,
    SUMMARY_PREVIEW = 5,
    SUMMARY_ENVELOPE = 6,
    SUMMARY_PART = 7,
};

enum { FLAG_8BIT = 1, FLAG_TRUNCATED = 2 };

enum address_tag { ADDRESS_GROUP = 1 }; /* and the texts of the table */

enum part_tag {
    PART_DEPTH = 1,
    PART_PARAMETER = 2, /* length of the name, name, value */
    PART_DISPOSITION_PARAMETER = 3,
    PART_ENVELOPE = 4,
};

/* The members that are texts, lists and numbers, as tables, so that both directions agree. */
struct summary_row {
    unsigned tag;
    size_t offset;
};

#define ROW(number, type, member)                                                              \
    {                                                                                          \
        (number), offsetof(struct type, member)                                                \
    }

static const struct summary_row address_texts[] = {
    ROW(2, mail_address, name),
    ROW(3, mail_address, route),
    ROW(4, mail_address, local),
    ROW(5, mail_address, domain),
};
static const struct summary_row envelope_texts[] = {
    ROW(1, mail_envelope, date),
    ROW(2, mail_envelope, subject),
    ROW(3, mail_envelope, in_reply_to),
    ROW(4, mail_envelope, message_id),
};
static const struct summary_row envelope_lists[] = {
    ROW(5, mail_envelope, from), ROW(6, mail_envelope, sender), ROW(7, mail_envelope, reply_to),
    ROW(8, mail_envelope, to),   ROW(9, mail_envelope, cc),     ROW(10, mail_envelope, bcc),
};
static const struct summary_row part_texts[] = {
    ROW(5, mail_part, type),         ROW(6, mail_part, subtype),   ROW(7, mail_part, id),
    ROW(8, mail_part, description),  ROW(9, mail_part, encoding),  ROW(10, mail_part, md5),
    ROW(11, mail_part, disposition), ROW(12, mail_part, language), ROW(13, mail_part, location),
};
static const struct summary_row part_numbers[] = {
    ROW(14, mail_part, header_at), ROW(15, mail_part, header_len), ROW(16, mail_part, body_at),
    ROW(17, mail_part, body_len),  ROW(18, mail_part, lines),
};

#define ROW_COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#endif
