/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_PATH_H
#define NODE_MAIL_PATH_H

#include "node/base/arena.h"
#include "node/base/bytes.h"
#include "node/base/err.h"

/* The envelope address of SMTP (RFC 5321 section 4.1.2), with the limits of section 4.5.3.1. */
enum {
    MAIL_LOCAL_SIZE_MAX = 64,
    MAIL_DOMAIN_SIZE_MAX = 255,
    MAIL_PATH_SIZE_MAX = 256,
};

struct mail_path {
    struct bytes local;  /* unquoted */
    struct bytes domain; /* lower case; an address literal keeps its brackets */
    bool is_null;        /* <> */
};

/*
 * Reads "<a@b>" (a source route is read over) from the start of `text`, and moves `text` behind
 * it. `null_allowed`: "<>" is a path. `utf8_allowed`: RFC 6531. "<postmaster>" without a domain
 * has no domain. ERR_MALFORMED, ERR_TOOBIG. The parts live in `arena`. Iterative; linear in the
 * input.
 */
MUST_CHECK enum err mail_path_parse(struct bytes *text, bool null_allowed, bool utf8_allowed,
                                    struct arena *arena, struct mail_path *path);

/* "a@b" without brackets, the whole of `text`, as operators and users type it. */
MUST_CHECK enum err mail_address_parse(struct bytes text, struct arena *arena,
                                       struct mail_path *path);

/* The same with the addresses of RFC 6531. For looking one up: mail_address_read() (idn.h). */
MUST_CHECK enum err mail_address_parse_utf8(struct bytes text, struct arena *arena,
                                            struct mail_path *path);

/* The form to write: "local@domain", the local part quoted where it must be; "" for the null
 * path. */
struct bytes mail_path_format(struct arena *arena, const struct mail_path *path);

/* Letters, digits, hyphens, dots; labels of 1 to 63; not a number alone at the end. ASCII only.
 */
bool mail_domain_valid(struct bytes domain);

#endif
