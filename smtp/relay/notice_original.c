/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/arena.h"
#include "node/mail/text.h"
#include "smtp/relay/notice_internal.h"

/* What comes back of the message: its header, or, where it can be had and carried as it stands,
 * all of it (RFC 3461 section 6.2, RFC 6522 section 3, RFC 6533 sections 4.2 and 4.3). */

/* The fields that are whole: up to the first empty line; of one that was cut, without the field
 * that the cut may have hit. */
static struct bytes whole_fields(const struct notice *notice)
{
    struct bytes header = notice->header;
    bool is_cut = !notice->header_whole;
    size_t field = 0; /* the start of the last one */
    size_t line = 0;

    if (header.len > NOTICE_HEADER_SIZE_MAX) {
        header.len = NOTICE_HEADER_SIZE_MAX;
        is_cut = true;
    }
    while (line < header.len) {
        struct bytes rest = bytes_skip(header, line);
        size_t len = bytes_find(rest, '\n');
        if (len == 0 || (len == 1 && rest.at[0] == '\r' && len < rest.len))
            return bytes_from(header.at, line);
        if (rest.at[0] != ' ' && rest.at[0] != '\t')
            field = line;
        line += len + 1;
    }
    /* One field that is longer than all that there is: better its start than nothing. */
    return is_cut && field > 0 ? bytes_from(header.at, field) : header;
}

static void add_line_end(struct buffer *text)
{
    struct bytes so_far = buffer_bytes(text);

    if (so_far.len > 0 && so_far.at[so_far.len - 1] != '\n')
        buffer_add_string(text, "\r\n");
}

/* The whole message, if it can stand in a notice. */
static bool add_whole(const struct notice *notice, struct bytes header, bool utf8_passes,
                      struct notice_part *part)
{
    bool ascii = notice_is_ascii(header);
    bool global = !ascii && notice->utf8 && notice_is_utf8(header);

    if (!notice->header_whole || !notice->body_whole ||
        header.len + 2 + notice->body.len > NOTICE_BODY_SIZE_MAX ||
        !notice_wants_body(notice->ret, notice_has(notice, NOTICE_FAILED),
                           header.len + 2 + notice->body.len))
        return false;
    if ((!ascii && !global) || !notice_is_plain(header) || !notice_is_plain(notice->body))
        return false;
    struct buffer text = BUFFER_EMPTY;
    buffer_add(&text, header);
    add_line_end(&text);
    buffer_add_string(&text, "\r\n");
    buffer_add(&text, notice->body);
    add_line_end(&text);
    part->description = "Original message";
    part->type = global ? "message/global" : "message/rfc822";
    part->encoding = notice_is_ascii(buffer_bytes(&text)) ? NOTICE_7BIT : NOTICE_8BIT;
    if (global && !utf8_passes) { /* message/rfc822 may have no encoding, message/global may */
        part->encoding = NOTICE_QUOTED;
        notice_quoted_add(&part->content, buffer_bytes(&text));
    } else {
        buffer_add(&part->content, buffer_bytes(&text));
    }
    buffer_fini(&text);
    return true;
}

void notice_original_make(const struct notice *notice, bool utf8_passes,
                          struct notice_part *part)
{
    struct bytes header = whole_fields(notice);

    if (header.len == 0 || add_whole(notice, header, utf8_passes, part))
        return;
    bool plain = notice_is_plain(header);
    bool ascii = notice_is_ascii(header);
    bool global = !ascii && notice->utf8 && notice_is_utf8(header);
    part->description = "Original message's header";
    /* RFC 6522 section 4: a header that is no ASCII may be quoted in text/rfc822-headers. */
    part->type = global ? "message/global-headers" : "text/rfc822-headers";
    if (plain && ascii)
        part->encoding = NOTICE_7BIT;
    else
        part->encoding = plain && global && utf8_passes ? NOTICE_8BIT : NOTICE_QUOTED;
    if (part->encoding == NOTICE_QUOTED)
        notice_quoted_add(&part->content, header);
    else
        buffer_add(&part->content, header);
    add_line_end(&part->content);
}

/* "<a@b>": what may stand in In-Reply-To. */
static bool is_message_id(struct bytes id)
{
    if (id.len < 3 || id.len > NOTICE_ADDRESS_SIZE_MAX || id.at[0] != '<' ||
        bytes_find(id, '>') != id.len - 1)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.at[i] <= ' ' || id.at[i] >= 127 || (i > 0 && id.at[i] == '<'))
            return false;
    return true;
}

void notice_original_id(const struct notice *notice, struct buffer *id)
{
    struct bytes rest = whole_fields(notice);
    struct mail_field field;
    struct arena field_arena;

    buffer_clear(id);
    arena_init(&field_arena);
    while (mail_field_next(&rest, &field)) {
        if (!bytes_equal_nocase(bytes_trim(field.name), BYTES("Message-ID")))
            continue;
        struct bytes value = mail_unfold(&field_arena, field.value);
        if (is_message_id(value))
            buffer_add(id, value);
        break;
    }
    arena_fini(&field_arena);
}
