/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_MIME_FIELD_H
#define SMTP_MESSAGE_MIME_FIELD_H

#include "node/mail/summary.h"

/* What the header of an entity says of its structure, read as node/mail's scanner does. */

/* The types that are meant where none is given. */
void mime_part_defaults(struct mail_part *part, bool in_digest);

/* A message inside that is not encoded. */
bool mime_part_is_message(const struct mail_part *part);

/* Of a multipart: borrowed from `part`, empty where no boundary can be looked for. Adds to
 * `faults` (enum smtp_mime_fault_bit). */
struct bytes mime_part_boundary(const struct mail_part *part, unsigned *faults);

/* SMTP_MIME_TOO_MANY_PARAMETERS, or 0. */
unsigned mime_header_faults(struct bytes header);

#endif
