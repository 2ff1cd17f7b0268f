/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "smtp/protocol/session_state.h"

/* Lines of commands may hold passwords: no copy of one stays in memory that is given back. */

void smtp_secret_add(struct buffer *buffer, struct bytes bytes)
{
    if (buffer->size - buffer->end < bytes.len) {
        struct buffer grown = BUFFER_EMPTY;
        buffer_reserve(&grown, 2 * (buffer_len(buffer) + bytes.len));
        buffer_add(&grown, buffer_bytes(buffer));
        smtp_secret_fini(buffer);
        *buffer = grown;
    }
    buffer_add(buffer, bytes);
}

void smtp_secret_fini(struct buffer *buffer)
{
    if (buffer->memory != NULL)
        explicit_bzero(buffer->memory, buffer->size);
    buffer_fini(buffer);
}
