/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_DOMAIN_H
#define NODE_MAIL_DOMAIN_H

#include "node/base/bytes.h"

/* As mail_domain_valid(), with U-labels (RFC 6531) when `utf8_allowed`. */
bool domain_name_valid(struct bytes domain, bool utf8_allowed);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
bool domain_literal_valid(struct bytes literal);

/* The length of the UTF-8 character at the start of `text` that an address may hold, or 0: no
 * C1 control and no line or paragraph separator. */
size_t domain_utf8_character(struct bytes text);

#endif
