/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_CHARSET_H
#define NODE_MAIL_CHARSET_H

#include <stddef.h>

#include "node/base/bytes.h"

/* How a charset is read. The three that nearly all mail uses need no iconv, which loads files
 * for each other one. */
enum charset_kind { CHARSET_ASCII, CHARSET_UTF8, CHARSET_LATIN, CHARSET_ICONV };

/*
 * The charset that mail means by `name` (a language behind "*" is passed over). `iconv_name` is
 * set for CHARSET_ICONV. Only names of the table ever reach iconv. Unknown: CHARSET_ASCII.
 */
enum charset_kind charset_find(struct bytes name, const char **iconv_name);

/* The iconv names of the table, some of them several times, NULL for what needs none. */
size_t charset_count(void);
const char *charset_iconv_name(size_t index);

#endif
