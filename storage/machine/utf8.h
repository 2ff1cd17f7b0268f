/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_UTF8_H
#define STORAGE_MACHINE_UTF8_H

#include "node/base/bytes.h"

/*
 * Takes one character off the front of `text`. Returns false for bytes that are no UTF-8 (RFC
 * 3629: shortest forms, no surrogates, up to U+10FFFF) and at the end. Independent of any
 * library's tables, so that all versions of replicas agree.
 */
bool utf8_next(struct bytes *text, uint32_t *character);
bool utf8_valid(struct bytes text);

#endif
