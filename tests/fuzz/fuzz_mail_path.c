/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_no_control(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.at[i] >= ' ' && text.at[i] != 127);
}

/* The first byte holds the flags. A path that is read has the same parts after it was written.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_skip(bytes_from(data, size), 1);
    bool utf8 = size > 0 && (data[0] & 2) != 0;
    struct bytes text = input;
    struct mail_path path;
    struct mail_path again;
    struct arena arena;

    arena_init(&arena);
    if (mail_path_parse(&text, size > 0 && (data[0] & 1) != 0, utf8, &arena, &path) == ERR_OK) {
        CHECK(text.len < input.len && text.at[-1] == '>');
        CHECK(path.local.len <= MAIL_LOCAL_SIZE_MAX && path.domain.len <= MAIL_DOMAIN_SIZE_MAX);
        check_no_control(path.local);
        check_no_control(path.domain);
        struct bytes form = mail_path_format(&arena, &path);
        char *brackets = arena_printf(&arena, "<%.*s>", BYTES_ARG(form));
        struct bytes written = bytes_of(brackets);
        /* Quoting may lengthen the local part past the limit of the whole. */
        if (written.len <= MAIL_PATH_SIZE_MAX) {
            CHECK(mail_path_parse(&written, path.is_null, utf8, &arena, &again) == ERR_OK);
            CHECK(written.len == 0 && path.is_null == again.is_null);
            CHECK(bytes_equal(path.local, again.local));
            CHECK(bytes_equal(path.domain, again.domain));
        }
    } else {
        CHECK(text.len == input.len);
    }
    if (mail_address_parse(input, &arena, &path) == ERR_OK)
        CHECK(path.domain.len > 0 && !path.is_null);
    arena_fini(&arena);
    return 0;
}
