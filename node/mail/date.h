/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_DATE_H
#define NODE_MAIL_DATE_H

#include "node/base/bytes.h"

/* Seconds since 1970-01-01 UTC, and the offset from UTC in minutes (east positive) that it was
 * written with. */
struct mail_date {
    int64_t seconds;
    int zone_minutes;
};

enum { MAIL_DATE_TEXT_SIZE = 40 }; /* room for every form below, with its NUL */

/* RFC 5322 section 3.3 with the obsolete forms of section 4.3. Returns false when it is no
 * date. */
bool mail_date_parse(struct bytes text, struct mail_date *date);

/* "Sat, 21 Nov 2026 21:09:30 +0100" */
void mail_date_format(struct mail_date date, char text[MAIL_DATE_TEXT_SIZE]);

/* IMAP date-time, "21-Nov-2026 21:09:30 +0100" (RFC 3501 section 9), day with a leading space
 * or zero. */
bool mail_date_parse_imap(struct bytes text, struct mail_date *date);
void mail_date_format_imap(struct mail_date date, char text[MAIL_DATE_TEXT_SIZE]);

/* IMAP date, "1-Nov-2026": the number of days since 1970-01-01. */
bool mail_date_parse_imap_day(struct bytes text, int64_t *days);

#endif
