/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/idn.h"
#include "node/mail/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_domain(struct bytes domain, struct arena *arena)
{
    struct bytes ascii;
    struct bytes again;

    struct bytes shown = mail_domain_to_unicode(domain, arena);
    if (mail_domain_to_ascii(domain, arena, &ascii) != ERR_OK)
        return;
    CHECK(mail_domain_valid(ascii));
    CHECK(mail_domain_to_ascii(ascii, arena, &again) == ERR_OK && bytes_equal(again, ascii));
    CHECK(mail_domain_to_ascii(shown, arena, &again) == ERR_OK && bytes_equal(again, ascii));
}

static void check_local(struct bytes local, struct arena *arena)
{
    struct bytes folded;
    struct bytes again;

    if (mail_local_fold(local, arena, &folded) != ERR_OK)
        return;
    CHECK(folded.len <= MAIL_LOCAL_SIZE_MAX);
    for (struct bytes rest = folded; rest.len > 0;) {
        size_t len = utf8_sequence(rest);
        CHECK(len > 0 && rest.at[0] >= ' ' && rest.at[0] != 127);
        CHECK(rest.at[0] < 'A' || rest.at[0] > 'Z');
        rest = bytes_skip(rest, len);
    }
    CHECK(mail_local_fold(folded, arena, &again) == ERR_OK && bytes_equal(again, folded));
}

/* "local@domain"; without an @ the whole is both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_from(data, size);
    struct bytes local = bytes_from(data, bytes_find(text, '@'));
    struct bytes domain = local.len < size ? bytes_skip(text, local.len + 1) : text;
    struct arena arena;

    arena_init(&arena);
    check_domain(domain, &arena);
    check_local(local, &arena);
    arena_fini(&arena);
    return 0;
}
