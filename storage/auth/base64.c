/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/auth/base64.h"

#include <sodium.h>

bool auth_base64_decode(enum auth_base64 form, struct bytes text, uint8_t *room, size_t size,
                        size_t *len)
{
    int variant = form == AUTH_BASE64 ? sodium_base64_VARIANT_ORIGINAL
                                      : sodium_base64_VARIANT_URLSAFE_NO_PADDING;

    /* libsodium takes a byte of 0xaf for "/" where char is signed, and so on. */
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 0x80)
            return false;
    return text.len > 0 && sodium_base642bin(room, size, (const char *)text.at, text.len, NULL,
                                             len, NULL, variant) == 0;
}
