/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_PROTOCOL_XTEXT_H
#define SMTP_PROTOCOL_XTEXT_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/*
 * Values of parameters that may hold what a command line may not. Both return false for what is
 * malformed, and for a control character under any disguise: what comes out may stand in a
 * header or a log. The result lives in `arena`.
 */

/* RFC 3461 section 4: "+2B" is a plus. The result is printable ASCII and spaces. */
bool smtp_xtext_decode(struct bytes text, struct arena *arena, struct bytes *decoded);

/* The address of type utf-8 (RFC 6533 section 3): "\x{E9}" is a character. `utf8_allowed`: so
 * is UTF-8 itself. The result is UTF-8. */
bool smtp_unitext_decode(struct bytes text, bool utf8_allowed, struct arena *arena,
                         struct bytes *decoded);

#endif
