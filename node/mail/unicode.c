/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/unicode.h"

#include <utf8proc.h>

#include "node/base/check.h"
#include "node/mail/utf8.h"

enum { ZERO_WIDTH_NON_JOINER = 0x200C, ZERO_WIDTH_JOINER = 0x200D };

#define CLASS(name) (1U << UTF8PROC_BIDI_CLASS_##name)
#define CLASSES_RTL (CLASS(R) | CLASS(AL) | CLASS(AN))
#define CLASSES_BOTH                                                                           \
    (CLASS(EN) | CLASS(ES) | CLASS(CS) | CLASS(ET) | CLASS(ON) | CLASS(BN) | CLASS(NSM))

uint32_t unicode_code_point(struct bytes text, size_t len)
{
    static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t code_point = text.at[0] & masks[len];

    for (size_t i = 1; i < len; i++)
        code_point = code_point << 6 | (text.at[i] & 0x3F);
    return code_point;
}

uint32_t unicode_take(struct bytes *text)
{
    size_t len = utf8_sequence(*text);

    CHECK(len > 0);
    uint32_t code_point = unicode_code_point(*text, len);
    *text = bytes_skip(*text, len);
    return code_point;
}

static const utf8proc_property_t *property(uint32_t code_point)
{
    return utf8proc_get_property((utf8proc_int32_t)code_point);
}

static unsigned class_of(uint32_t code_point)
{
    return 1U << property(code_point)->bidi_class;
}

bool unicode_is_unseen(uint32_t code_point)
{
    return property(code_point)->ignorable;
}

bool unicode_is_joiner(uint32_t code_point)
{
    return code_point == ZERO_WIDTH_NON_JOINER || code_point == ZERO_WIDTH_JOINER;
}

bool unicode_has_rtl(struct bytes text)
{
    while (text.len > 0)
        if ((class_of(unicode_take(&text)) & CLASSES_RTL) != 0)
            return true;
    return false;
}

bool unicode_bidi_rule_holds(struct bytes label)
{
    unsigned first = 0;
    unsigned seen = 0;
    unsigned last = 0; /* but for marks */

    while (label.len > 0) {
        unsigned class = class_of(unicode_take(&label));
        if (first == 0)
            first = class;
        if (class != CLASS(NSM))
            last = class;
        seen |= class;
    }
    if (first == 0)
        return true;
    if (first == CLASS(L))
        return (seen & ~(CLASS(L) | CLASSES_BOTH)) == 0 && (last & (CLASS(L) | CLASS(EN))) != 0;
    if ((first & (CLASS(R) | CLASS(AL))) == 0)
        return false;
    bool mixes_numbers = (seen & CLASS(EN)) != 0 && (seen & CLASS(AN)) != 0;
    return (seen & ~(CLASSES_RTL | CLASSES_BOTH)) == 0 && !mixes_numbers &&
           (last & (CLASSES_RTL | CLASS(EN))) != 0;
}
