/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_IDN_H
#define NODE_MAIL_IDN_H

#include "node/mail/path.h"

/*
 * Internationalised domains and addresses (RFC 5890, RFC 6531), in the one form that is stored
 * and looked up, and the one that is shown. Pure.
 */

enum {
    /* Of a domain in UTF-8 before it is converted: its 253 bytes of A-labels never have more.
     */
    MAIL_DOMAIN_UTF8_SIZE_MAX = 1024,
    /* Of a local part before it is folded. */
    MAIL_LOCAL_UTF8_SIZE_MAX = 256,
};

/*
 * U-labels, A-labels and ASCII in any mixture to A-labels in lower case: UTS 46, not
 * transitional, valid in IDNA 2008 (RFC 5891 to 5893, the Bidi rule among them). Characters
 * that nobody sees (controls, zero width, directions, variation selectors) are refused before
 * the mapping of UTS 46 would drop them. A final dot is not taken. ERR_MALFORMED, ERR_TOOBIG.
 * `ascii` lives in `arena` and is a mail_domain_valid().
 */
MUST_CHECK enum err mail_domain_to_ascii(struct bytes domain, struct arena *arena,
                                         struct bytes *ascii);

/* For showing: each A-label that decodes, and encodes to itself again, as its U-label. Anything
 * else stays as it is, in lower case. */
struct bytes mail_domain_to_unicode(struct bytes domain, struct arena *arena);

/*
 * The form under which an address is looked up: the domain in A-labels (a literal in lower
 * case), the local part in lower case; one that is not ASCII in NFC with Unicode's full case
 * folding. The limits of RFC 5321 hold for the result as well. Refused (ERR_MALFORMED): invalid
 * UTF-8, control characters, characters that nobody sees, the joiners U+200C and U+200D outside
 * of a script that needs them, private and unassigned code points, spaces beyond ASCII, and
 * pieces (between '.' and '+') that break the Bidi rule of RFC 5893. ERR_TOOBIG. Folding what
 * is folded changes nothing. Unicode's tables differ between library versions, so this is done
 * before something is written to the log, never while it is applied.
 */
MUST_CHECK enum err mail_address_fold(const struct mail_path *path, struct arena *arena,
                                      struct mail_path *folded);

/* "a@b" as users type it and messages have it, internationalised or not, in that form. */
MUST_CHECK enum err mail_address_read(struct bytes text, struct arena *arena,
                                      struct mail_path *folded);

/* The local part alone. */
MUST_CHECK enum err mail_local_fold(struct bytes local, struct arena *arena,
                                    struct bytes *folded);

/* Whether a path needs SMTPUTF8 to be sent: a byte over 127 in it. */
bool mail_path_is_utf8(const struct mail_path *path);

#endif
