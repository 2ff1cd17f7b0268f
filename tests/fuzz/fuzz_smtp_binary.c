/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/text.h"
#include "smtp/message/binary_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct smtp_convert_report play(struct bytes text, size_t step, struct buffer *output)
{
    struct smtp_convert *convert = smtp_convert_new();

    while (text.len > 0) {
        struct bytes piece = bytes_from(text.at, step < text.len ? step : text.len);
        smtp_convert_feed(convert, piece, output);
        text = bytes_skip(text, piece.len);
    }
    struct smtp_convert_report report = smtp_convert_finish(convert, output);
    smtp_convert_free(&convert);
    return report;
}

static bool scan(struct bytes text, struct arena *arena, struct mail_summary *summary)
{
    struct mail_scanner *scanner = mail_scanner_new();

    mail_scanner_feed(scanner, text);
    mail_scanner_finish(scanner, arena, summary);
    mail_scanner_free(&scanner);
    return !summary->truncated;
}

static void decode(struct bytes text, const struct mail_part *part, struct buffer *decoded)
{
    struct bytes body = bytes_skip(text, (size_t)part->body_at);

    body.len = (size_t)part->body_len;
    buffer_clear(decoded);
    mail_decode_transfer(part->encoding, body, decoded);
}

/* Every leaf has the content that it had. */
static void compare(struct bytes before, const struct mail_part *old, struct bytes after,
                    const struct mail_part *new)
{
    struct buffer was = BUFFER_EMPTY;
    struct buffer is = BUFFER_EMPTY;

    for (; old != NULL; old = old->next, new = new->next) {
        CHECK(new != NULL &&bytes_equal(old->type, new->type));
        CHECK(bytes_equal(old->subtype, new->subtype));
        if (old->children != NULL) {
            compare(before, old->children, after, new->children);
            continue;
        }
        CHECK(new->children == NULL);
        if (bytes_equal(old->type, BYTES("MULTIPART")))
            continue;
        decode(before, old, &was);
        decode(after, new, &is);
        CHECK(bytes_equal(buffer_bytes(&was), buffer_bytes(&is)));
    }
    CHECK(new == NULL);
    buffer_fini(&was);
    buffer_fini(&is);
}

static void check_lines(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        CHECK(text.at[i] != '\0');
        CHECK((text.at[i] == '\n') == (i > 0 && text.at[i - 1] == '\r'));
    }
}

/* A byte that chooses the size of the pieces, the message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = BUFFER_EMPTY;
    struct buffer pieces = BUFFER_EMPTY;
    struct mail_summary before;
    struct mail_summary after;
    struct arena arena;

    if (size == 0)
        return 0;
    arena_init(&arena);
    struct bytes text = bytes_from(data + 1, size - 1);
    struct smtp_convert_report report = play(text, SIZE_MAX, &whole);
    struct smtp_convert_report again = play(text, 1 + data[0] % 16, &pieces);
    struct bytes output = buffer_bytes(&whole);
    CHECK(bytes_equal(output, buffer_bytes(&pieces)));
    CHECK(report.converted == again.converted && report.is_binary == again.is_binary &&
          report.is_stray == again.is_stray && report.is_8bit == again.is_8bit);
    CHECK(report.converted > 0 || bytes_equal(output, text));
    if (!report.is_binary) {
        check_lines(output);
        buffer_clear(&pieces);
        again = play(output, SIZE_MAX, &pieces);
        CHECK(again.converted == 0 && bytes_equal(buffer_bytes(&pieces), output));
    }
    if (scan(text, &arena, &before) && scan(output, &arena, &after))
        compare(text, before.root, output, after.root);
    buffer_fini(&whole);
    buffer_fini(&pieces);
    arena_fini(&arena);
    return 0;
}
