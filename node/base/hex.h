/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_HEX_H
#define NODE_BASE_HEX_H

#include "node/base/bytes.h"

/* Lower-case hexadecimal of `bytes` and a NUL; `text` has room for 2 * len + 1. */
void hex_encode(struct bytes bytes, char *text);

/* Exactly `len` bytes from 2 * len digits. Returns false, with `bytes` undefined, for anything
 * else. */
bool hex_decode(struct bytes text, uint8_t *bytes, size_t len);

#endif
