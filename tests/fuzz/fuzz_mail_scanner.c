/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes scan(struct bytes message, size_t piece, struct arena *arena,
                         struct mail_summary *summary)
{
    struct mail_scanner *scanner = mail_scanner_new();

    while (message.len > 0) {
        size_t len = message.len < piece ? message.len : piece;
        mail_scanner_feed(scanner, bytes_from(message.at, len));
        message = bytes_skip(message, len);
    }
    mail_scanner_finish(scanner, arena, summary);
    mail_scanner_free(&scanner);
    return mail_summary_encode(summary, arena);
}

/* Parts follow each other inside the body of their parent. Lines are at most what fits. */
static size_t check_parts(const struct mail_part *part, uint64_t at, uint64_t end)
{
    size_t count = 0;

    for (; part != NULL; part = part->next) {
        CHECK(part->header_at >= at);
        CHECK(part->body_at == part->header_at + part->header_len);
        CHECK(part->body_at + part->body_len <= end);
        CHECK(part->lines <= part->body_len / 2 + 1);
        CHECK((part->envelope != NULL) <= (part->children != NULL));
        at = part->body_at + part->body_len;
        count += 1 + check_parts(part->children, part->body_at, at);
    }
    return count;
}

static void check_text(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.at[i] != '\r' && text.at[i] != '\n' && text.at[i] != '\0');
}

/* The first byte chooses the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = bytes_skip(bytes_from(data, size), 1);
    size_t piece = size > 0 ? data[0] % 64U + 1 : 1;
    struct mail_summary whole;
    struct mail_summary pieces;
    struct mail_summary decoded;
    struct arena arena;

    arena_init(&arena);
    struct bytes want = scan(message, SIZE_MAX, &arena, &whole);
    CHECK(want.len <= MAIL_SUMMARY_SIZE_MAX);
    CHECK(bytes_equal(want, scan(message, piece, &arena, &pieces)));
    CHECK(whole.size == message.len);
    CHECK(check_parts(whole.root, 0, message.len) <= MAIL_PART_COUNT_MAX);
    check_text(whole.envelope.subject);
    check_text(whole.preview);
    for (size_t i = 0; i < whole.envelope.to.count; i++) {
        check_text(whole.envelope.to.at[i].name);
        check_text(whole.envelope.to.at[i].local);
        check_text(whole.envelope.to.at[i].domain);
    }
    CHECK(mail_summary_decode(want, &arena, &decoded));
    CHECK(bytes_equal(want, mail_summary_encode(&decoded, &arena)));
    arena_fini(&arena);
    return 0;
}
