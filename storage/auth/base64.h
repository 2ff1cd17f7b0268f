/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_BASE64_H
#define STORAGE_AUTH_BASE64_H

#include "node/base/bytes.h"

/*
 * The one way to write some bytes in base64: padding exactly as it has to be (URL form: none),
 * no bits left over, nothing between. False for anything else, and for more than `size` bytes.
 */
enum auth_base64 { AUTH_BASE64, AUTH_BASE64_URL };
bool auth_base64_decode(enum auth_base64 form, struct bytes text, uint8_t *room, size_t size,
                        size_t *len);

#endif
