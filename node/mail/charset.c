/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/text.h"
#include "node/mail/utf8.h"

static const struct bytes replacement = BYTES_INIT("\xEF\xBF\xBD");

/* windows-1252 where it differs from Unicode: 0x80 to 0x9F. 0: nothing is there. */
static const uint16_t latin_high[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

/* ASCII as it is; of the rest what `with_latin` says, U+FFFD or windows-1252. */
static void add_single_bytes(struct buffer *utf8, struct bytes text, bool with_latin)
{
    while (text.len > 0) {
        size_t ascii = utf8_ascii_prefix(text);
        buffer_add(utf8, bytes_from(text.at, ascii));
        text = bytes_skip(text, ascii);
        if (text.len == 0)
            return;
        uint32_t code_point = text.at[0];
        if (with_latin && code_point < 0xA0)
            code_point = latin_high[code_point - 0x80];
        if (!with_latin || code_point == 0)
            buffer_add(utf8, replacement);
        else
            utf8_add_code_point(utf8, code_point);
        text = bytes_skip(text, 1);
    }
}

/*
 * What no sequence of the charset explains is replaced byte by byte. The output is bounded by
 * the input: no charset of the table makes more than a few characters out of a byte.
 */
static void add_by_iconv(struct buffer *utf8, iconv_t converter, struct bytes text)
{
    enum { STEP = 4096 };
    char *in = (char *)(uintptr_t)text.at; /* iconv does not write to its input */
    size_t in_left = text.len;
    bool is_flushed = false;

    while (!is_flushed) {
        char *out = (char *)buffer_reserve(utf8, STEP);
        size_t out_left = STEP;
        is_flushed = in_left == 0;
        size_t result = is_flushed ? iconv(converter, NULL, NULL, &out, &out_left)
                                   : iconv(converter, &in, &in_left, &out, &out_left);
        int error = errno;
        buffer_added(utf8, STEP - out_left);
        if (result == (size_t)-1 && error != E2BIG) {
            buffer_add(utf8, replacement);
            in += in_left > 0;
            in_left -= in_left > 0;
        }
    }
}

void mail_decode_charset(struct bytes charset, struct bytes text, struct buffer *utf8)
{
    const char *iconv_name;
    enum charset_kind kind = charset_find(charset, &iconv_name);

    if (kind == CHARSET_UTF8) {
        utf8_add_clean(utf8, text);
        return;
    }
    if (kind == CHARSET_ICONV && text.len > 0) {
        iconv_t converter = iconv_open("UTF-8", iconv_name);
        /* Surrogates that a converter lets through are cleaned away behind it. */
        if (converter != (iconv_t)-1) {
            struct buffer raw = BUFFER_EMPTY;
            add_by_iconv(&raw, converter, text);
            iconv_close(converter);
            utf8_add_clean(utf8, buffer_bytes(&raw));
            buffer_fini(&raw);
            return;
        }
    }
    add_single_bytes(utf8, text, kind == CHARSET_LATIN);
}

struct mail_charsets {
    size_t count;
    iconv_t converters[];
};

struct mail_charsets *mail_charsets_open(void)
{
    struct mail_charsets *charsets =
        malloc(sizeof(*charsets) + charset_count() * sizeof(charsets->converters[0]));

    CHECK(charsets != NULL);
    charsets->count = 0;
    for (size_t i = 0; i < charset_count(); i++) {
        const char *name = charset_iconv_name(i);
        iconv_t converter = name != NULL ? iconv_open("UTF-8", name) : (iconv_t)-1;
        if (converter != (iconv_t)-1)
            charsets->converters[charsets->count++] = converter;
    }
    return charsets;
}

void mail_charsets_close(struct mail_charsets **charsets)
{
    if (*charsets == NULL)
        return;
    for (size_t i = 0; i < (*charsets)->count; i++)
        iconv_close((*charsets)->converters[i]);
    free(*charsets);
    *charsets = NULL;
}
