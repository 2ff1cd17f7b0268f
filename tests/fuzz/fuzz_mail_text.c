/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/date.h"
#include "node/mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written apart from the library: the length by the first byte, the least code point of it. */
static void check_utf8(struct bytes text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    while (text.len > 0) {
        uint8_t first = text.at[0];
        size_t len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        uint32_t code = len == 1 ? first : first & (0x7FU >> len);
        CHECK(first < 0x80 || (first >= 0xC0 && first < 0xF8));
        CHECK(len <= text.len);
        for (size_t i = 1; i < len; i++) {
            CHECK(text.at[i] >> 6 == 2);
            code = code << 6 | (text.at[i] & 0x3F);
        }
        CHECK(code >= least[len] && code <= 0x10FFFF && code >> 11 != 0x1B);
        text = bytes_skip(text, len);
    }
}

static void check_fields(struct bytes input, struct arena *arena)
{
    struct mail_field field;
    struct bytes at = input;
    size_t len = 0;

    while (mail_field_next(&at, &field)) {
        CHECK(field.whole.at == input.at + len && field.whole.len > field.name.len);
        len += field.whole.len;
        CHECK(at.at == input.at + len);
        struct bytes text = mail_unfold(arena, field.value);
        CHECK(bytes_find(text, '\r') == text.len && bytes_find(text, '\n') == text.len);
    }
}

static void check_dates(struct bytes input)
{
    char text[MAIL_DATE_TEXT_SIZE];
    struct mail_date date;
    struct mail_date again;
    int64_t days;

    if (mail_date_parse(input, &date)) {
        mail_date_format(date, text);
        CHECK(mail_date_parse(bytes_of(text), &again));
        CHECK(again.zone_minutes == date.zone_minutes);
    }
    if (mail_date_parse_imap(input, &date)) {
        mail_date_format_imap(date, text);
        CHECK(mail_date_parse_imap(bytes_of(text), &again));
        CHECK(again.zone_minutes == date.zone_minutes);
    }
    mail_date_parse_imap_day(input, &days);
}

static void check_base64(struct bytes input, struct buffer *text, struct buffer *bytes)
{
    buffer_clear(text);
    buffer_clear(bytes);
    mail_base64_encode(input, text);
    CHECK(mail_base64_decode(buffer_bytes(text), bytes));
    CHECK(bytes_equal(buffer_bytes(bytes), input));
    buffer_clear(bytes);
    if (mail_base64_decode(input, bytes)) {
        buffer_clear(text);
        mail_base64_encode(buffer_bytes(bytes), text);
        CHECK(bytes_equal(buffer_bytes(text), input));
    }
}

/* The first line names a charset, the rest is text of every kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_from(data, size);
    struct bytes charset = bytes_from(data, bytes_find(input, '\n'));
    struct bytes text = bytes_skip(input, charset.len + 1);
    struct buffer out = BUFFER_EMPTY;
    struct buffer scratch = BUFFER_EMPTY;
    struct arena arena;

    arena_init(&arena);
    check_utf8(mail_decode_words(&arena, text));
    mail_decode_charset(charset, text, &out);
    check_utf8(buffer_bytes(&out));
    check_utf8(mail_fold(&arena, text));
    static const char *const encodings[] = {"base64", "quoted-printable", "8bit"};
    for (size_t i = 0; i < 3; i++) {
        buffer_clear(&out);
        mail_decode_transfer(bytes_of(encodings[i]), text, &out);
        CHECK(buffer_len(&out) <= text.len);
    }
    check_fields(text, &arena);
    check_dates(text);
    check_base64(text, &out, &scratch);
    buffer_fini(&out);
    buffer_fini(&scratch);
    arena_fini(&arena);
    return 0;
}
