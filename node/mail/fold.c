/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <utf8proc.h>

#include "node/base/check.h"
#include "node/mail/text.h"
#include "node/mail/utf8.h"

static struct bytes fold_ascii(struct arena *arena, struct bytes text)
{
    uint8_t *folded = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        folded[i] = byte_lower(text.at[i]);
    return bytes_from(folded, text.len);
}

/*
 * Marks are dropped before they are sorted, so that a long run of them costs no quadratic time.
 */
struct bytes mail_fold(struct arena *arena, struct bytes utf8)
{
    const utf8proc_option_t options =
        UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK;
    struct buffer clean = BUFFER_EMPTY;
    utf8proc_uint8_t *mapped = NULL;

    if (utf8_ascii_prefix(utf8) == utf8.len)
        return fold_ascii(arena, utf8);
    utf8_add_clean(&clean, utf8);
    struct bytes text = buffer_bytes(&clean);
    utf8proc_ssize_t len = utf8proc_map(text.at, (utf8proc_ssize_t)text.len, &mapped, options);
    CHECK(len >= 0); /* well-formed and far from the largest size: only memory can lack */
    struct bytes folded = arena_copy(arena, bytes_from(mapped, (size_t)len));
    free(mapped);
    buffer_fini(&clean);
    return folded;
}
