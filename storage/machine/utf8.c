/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/utf8.h"

/* Rows by first byte: how many follow, and the least character of that length. */
static const struct form {
    uint8_t first;
    uint8_t last;
    uint8_t mask;
    uint8_t more;
    uint32_t least;
} forms[] = {
    {0x00, 0x7f, 0x7f, 0, 0},
    {0xc2, 0xdf, 0x1f, 1, 0x80},
    {0xe0, 0xef, 0x0f, 2, 0x800},
    {0xf0, 0xf4, 0x07, 3, 0x10000},
};

static const struct form *form_of(uint8_t byte)
{
    for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        if (byte >= forms[i].first && byte <= forms[i].last)
            return &forms[i];
    return NULL;
}

bool utf8_next(struct bytes *text, uint32_t *character)
{
    const struct form *form = text->len > 0 ? form_of(text->at[0]) : NULL;
    uint32_t value;

    if (form == NULL || text->len <= form->more)
        return false;
    value = text->at[0] & form->mask;
    for (unsigned i = 1; i <= form->more; i++) {
        if ((text->at[i] & 0xc0) != 0x80)
            return false;
        value = value << 6 | (text->at[i] & 0x3f);
    }
    if (value < form->least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return false;
    *character = value;
    *text = bytes_skip(*text, 1u + form->more);
    return true;
}

bool utf8_valid(struct bytes text)
{
    uint32_t character;

    while (text.len > 0)
        if (!utf8_next(&text, &character))
            return false;
    return true;
}
