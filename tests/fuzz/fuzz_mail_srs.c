/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DAY = 86400, NOW = 20779 };

/* What was rewritten comes back as it was; through a second forwarder as well. */
static void there_and_back(const struct mail_srs_keys *keys, const struct mail_path *path,
                           struct arena *arena)
{
    struct mail_path first;
    struct mail_path second;
    struct mail_path back;
    const int64_t now = (int64_t)NOW * DAY;

    enum mail_srs result =
        mail_srs_rewrite(keys, now, path, BYTES("one.example"), arena, &first);
    if (result != MAIL_SRS_OK)
        return;
    struct bytes text = mail_path_format(arena, &first);
    struct bytes bracketed = bytes_of(arena_printf(arena, "<%.*s>", BYTES_ARG(text)));
    CHECK(mail_path_parse(&bracketed, false, true, arena, &second) == ERR_OK);
    CHECK(bytes_equal(second.local, first.local));
    CHECK(mail_srs_reverse(keys, now + DAY, 1, first.local, arena, &back) == MAIL_SRS_OK);
    if (first.local.at[3] == '0') {
        CHECK(bytes_equal(back.local, path->local) && bytes_equal(back.domain, path->domain));
        CHECK(mail_srs_reverse(keys, now + 2 * DAY, 1, first.local, arena, &back) ==
              MAIL_SRS_EXPIRED);
    } else if (mail_srs_rewrite(keys, now, &back, BYTES("one.example"), arena, &second) ==
               MAIL_SRS_OK) {
        CHECK(bytes_equal_nocase(second.local, first.local)); /* a domain comes back lower */
    }
    if (mail_srs_rewrite(keys, now, &first, BYTES("two.example"), arena, &second) ==
            MAIL_SRS_OK &&
        first.local.at[3] == '0') {
        CHECK(mail_srs_reverse(keys, now, 1, second.local, arena, &back) == MAIL_SRS_OK);
        CHECK(bytes_equal(back.local, first.local));
    }
}

/* A path in brackets, or a local part that somebody claims to be ours. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes key = BYTES("a key of thirty-two bytes or more");
    const struct mail_srs_keys keys = {&key, 1};
    struct bytes text = bytes_from(data, size);
    struct mail_path path;
    struct arena arena;

    arena_init(&arena);
    if (mail_path_parse(&text, true, true, &arena, &path) == ERR_OK)
        there_and_back(&keys, &path, &arena);
    enum mail_srs result = mail_srs_reverse(&keys, 0, MAIL_SRS_AGE_DAYS_MAX,
                                            bytes_from(data, size), &arena, &path);
    CHECK((result == MAIL_SRS_OK) == (path.domain.len > 0));
    arena_fini(&arena);
    return 0;
}
