/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(const struct mail_part *part, uint64_t size, size_t depth)
{
    CHECK(depth <= MAIL_PART_DEPTH_MAX || part == NULL);
    for (; part != NULL; part = part->next) {
        CHECK(part->header_at <= size && part->header_len <= size - part->header_at);
        CHECK(part->body_at <= size && part->body_len <= size - part->body_at);
        CHECK((part->envelope != NULL) <= (part->children != NULL));
        CHECK(part->parameter_count <= MAIL_PARAMETER_COUNT_MAX);
        check_parts(part->children, size, depth + 1);
    }
}

/* What is read is within the limits, and is read the same again when it is written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_summary summary;
    struct mail_summary again;
    struct arena arena;

    arena_init(&arena);
    if (mail_summary_decode(bytes_from(data, size), &arena, &summary)) {
        check_parts(summary.root, summary.size, 1);
        uint32_t numbers[3] = {1, 2, 1};
        for (size_t count = 0; count <= 3; count++)
            mail_part_find(&summary, numbers, count);
        struct bytes first = mail_summary_encode(&summary, &arena);
        CHECK(mail_summary_decode(first, &arena, &again));
        CHECK(bytes_equal(first, mail_summary_encode(&again, &arena)));
    }
    arena_fini(&arena);
    return 0;
}
