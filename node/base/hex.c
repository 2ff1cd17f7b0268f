/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/hex.h"

void hex_encode(struct bytes bytes, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        *text++ = digits[bytes.at[i] >> 4];
        *text++ = digits[bytes.at[i] & 15];
    }
    *text = '\0';
}

static int digit(uint8_t byte)
{
    byte = byte_lower(byte);
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

bool hex_decode(struct bytes text, uint8_t *bytes, size_t len)
{
    if (text.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit(text.at[2 * i]);
        int low = digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

bool bytes_to_u64(struct bytes text, uint64_t *number)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 20)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned next = (unsigned)text.at[i] - '0';
        if (next > 9 || value > (UINT64_MAX - next) / 10)
            return false;
        value = value * 10 + next;
    }
    *number = value;
    return true;
}
