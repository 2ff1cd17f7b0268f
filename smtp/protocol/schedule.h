/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_SCHEDULE_H
#define SMTP_PROTOCOL_SCHEDULE_H

#include "smtp/protocol/session.h"

/* When a message is to leave, and until when it has to be there: the values of FUTURERELEASE
 * (RFC 4865) and DELIVERBY (RFC 2852). All return false for what is malformed. */
enum { SMTP_DATE_TIME_SIZE = 24 }; /* with its NUL */

/* RFC 3339 section 5.6, to the second: "2026-11-22T08:00:00Z". Years 1970 to 9999. */
bool smtp_date_time_parse(struct bytes text, int64_t *seconds);
void smtp_date_time_format(int64_t seconds, char text[SMTP_DATE_TIME_SIZE]);

/* One to nine digits, not all zero. */
bool smtp_interval_parse(struct bytes text, uint32_t *seconds);

/* "by-time;by-mode": "120;R", "-5;NT". To return at a time that is over is nonsense. */
bool smtp_deliver_by_parse(struct bytes text, struct smtp_deliver_by *deliver_by);

#endif
