/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/write.h"

#include "imap/protocol/cursor.h"
#include "imap/protocol/mailbox_name.h"

enum { QUOTED_SIZE_MAX = 2048 }; /* what is longer is easier for a client as a literal */

static bool can_be_quoted(struct bytes text)
{
    if (text.len > QUOTED_SIZE_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == 0 || text.at[i] > 126)
            return false;
    return true;
}

static void write_literal(struct buffer *out, struct bytes text)
{
    size_t nuls = 0;

    for (size_t i = 0; i < text.len; i++)
        nuls += text.at[i] == 0;
    buffer_printf(out, "{%zu}\r\n", text.len - nuls);
    if (nuls == 0) {
        buffer_add(out, text);
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != 0)
            buffer_add_byte(out, text.at[i]);
}

void imap_write_string(struct buffer *out, struct bytes text)
{
    if (!can_be_quoted(text)) {
        write_literal(out, text);
        return;
    }
    buffer_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buffer_add_byte(out, '\\');
        buffer_add_byte(out, text.at[i]);
    }
    buffer_add_byte(out, '"');
}

void imap_write_nstring(struct buffer *out, struct bytes text)
{
    if (text.at == NULL)
        buffer_add_string(out, "NIL");
    else
        imap_write_string(out, text);
}

void imap_write_astring(struct buffer *out, struct bytes text)
{
    if (imap_is_atom(text) && !bytes_equal_nocase(text, BYTES("NIL")))
        buffer_add(out, text);
    else
        imap_write_string(out, text);
}

void imap_write_mailbox(struct buffer *out, struct bytes utf8)
{
    struct buffer text = BUFFER_EMPTY;

    imap_utf7_encode(utf8, &text);
    imap_write_astring(out, buffer_bytes(&text));
    buffer_fini(&text);
}
