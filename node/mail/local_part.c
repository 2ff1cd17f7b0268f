/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <utf8proc.h>

#include "node/base/check.h"
#include "node/mail/idn.h"
#include "node/mail/unicode.h"
#include "node/mail/utf8.h"

enum { ZERO_WIDTH_NON_JOINER = 0x200C, VIRAMA_CLASS = 9 };

static const utf8proc_property_t *property(uint32_t code_point)
{
    return utf8proc_get_property((utf8proc_int32_t)code_point);
}

/*
 * Close to RFC 5892 appendix A.1 and A.2: a joiner is spelling behind a virama, and the
 * non-joiner also between Arabic letters. Elsewhere it makes two addresses look like one.
 */
static bool joiner_belongs(uint32_t code_point, uint32_t before, struct bytes rest)
{
    if (before != 0 && property(before)->combining_class == VIRAMA_CLASS)
        return true;
    return code_point == ZERO_WIDTH_NON_JOINER && before != 0 && rest.len > 0 &&
           property(before)->bidi_class == UTF8PROC_BIDI_CLASS_AL &&
           property(unicode_take(&rest))->bidi_class == UTF8PROC_BIDI_CLASS_AL;
}

static bool character_allowed(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point >= ' ' && code_point != 0x7F;
    switch (property(code_point)->category) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return !unicode_is_unseen(code_point);
    }
}

static bool local_allowed(struct bytes local)
{
    uint32_t before = 0; /* but for marks, so that a vowel sign hides no letter */

    while (local.len > 0) {
        if (utf8_sequence(local) == 0)
            return false;
        uint32_t code_point = unicode_take(&local);
        if (unicode_is_joiner(code_point)) {
            if (local.len > 0 && utf8_sequence(local) == 0)
                return false;
            if (!joiner_belongs(code_point, before, local))
                return false;
        } else if (!character_allowed(code_point)) {
            return false;
        }
        if (property(code_point)->bidi_class != UTF8PROC_BIDI_CLASS_NSM ||
            property(code_point)->combining_class == VIRAMA_CLASS)
            before = code_point;
    }
    return true;
}

/* Each piece between '.' and '+' is shown as a word of its own, as labels are. */
static bool local_order_is_clear(struct bytes local)
{
    if (!unicode_has_rtl(local))
        return true;
    while (local.len > 0) {
        struct bytes piece = bytes_from(local.at, bytes_find(local, '.'));
        piece.len = bytes_find(piece, '+');
        if (!unicode_bidi_rule_holds(piece))
            return false;
        local = bytes_skip(local, piece.len + 1);
    }
    return true;
}

static struct bytes map_unicode(struct bytes text, struct arena *arena)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t len = utf8proc_map(text.at, (utf8proc_ssize_t)text.len, &mapped, options);

    CHECK(len >= 0); /* well-formed and small: only memory can lack */
    struct bytes copy = arena_copy(arena, bytes_from(mapped, (size_t)len));
    free(mapped);
    return copy;
}

static struct bytes lower_copy(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = byte_lower(text.at[i]);
    return bytes_from(copy, text.len);
}

/* Composing can take away what made a character belong, such as the virama before a joiner. */
static bool stays_folded(struct bytes folded, struct arena *arena)
{
    return local_allowed(folded) && bytes_equal(map_unicode(folded, arena), folded);
}

enum err mail_local_fold(struct bytes local, struct arena *arena, struct bytes *folded)
{
    if (local.len > MAIL_LOCAL_UTF8_SIZE_MAX)
        return ERR_TOOBIG;
    if (!local_allowed(local))
        return ERR_MALFORMED;
    bool is_ascii = utf8_ascii_prefix(local) == local.len;
    *folded = is_ascii ? lower_copy(arena, local) : map_unicode(local, arena);
    if (folded->len > MAIL_LOCAL_SIZE_MAX)
        return ERR_TOOBIG;
    if (!is_ascii && !stays_folded(*folded, arena))
        return ERR_MALFORMED;
    return local_order_is_clear(*folded) ? ERR_OK : ERR_MALFORMED;
}
