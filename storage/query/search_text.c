/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of messages: headers and bodies, decoded and folded. */
#include "node/mail/text.h"
#include "storage/query/body_reader.h"
#include "storage/query/search.h"

enum {
    BODY_LOOKED_AT_MAX = 16 * 1024 * 1024, /* from the start of a message */
    WINDOW_SIZE = 1024 * 1024,             /* of a part that is decoded at once */
    OVERLAP_SIZE = 64 * 1024,              /* of the folded window before */
};

bool search_contains(struct bytes text, struct bytes needle)
{
    if (needle.len == 0)
        return true;
    return text.len >= needle.len && memmem(text.at, text.len, needle.at, needle.len) != NULL;
}

const struct mail_summary *search_summary(struct search_message *message)
{
    struct key key;
    struct bytes row;

    if (!message->summary_loaded) {
        message->summary_loaded = true;
        message->summary_good =
            db_get(message->txn, TABLE_SUMMARY,
                   key_number(&key, message->group, message->record.blob), &row) == ERR_OK &&
            mail_summary_decode(row, &message->message_arena, &message->summary);
        message->work += row.len;
    }
    return message->summary_good ? &message->summary : NULL;
}

static bool read_plain(struct search_message *message, uint64_t at, size_t len,
                       struct buffer *plain)
{
    return body_reader_read(message->reader, message->txn, message->group, message->record.blob,
                            at, len, plain, &message->work);
}

static bool field_contains(struct search_message *message, const struct mail_field *field,
                           bool with_name, struct bytes text)
{
    struct arena *arena = &message->message_arena;
    struct bytes value = mail_decode_words(arena, mail_unfold(arena, field->value));

    if (with_name && search_contains(mail_fold(arena, field->name), text))
        return true;
    return search_contains(mail_fold(arena, value), text);
}

bool search_header(struct search_message *message, const char *name, struct bytes text)
{
    const struct mail_summary *summary = search_summary(message);
    size_t len = MAIL_HEADER_SIZE_MAX;
    struct buffer plain = BUFFER_EMPTY;
    struct bytes rest;
    struct mail_field field;
    bool found = false;

    if (summary != NULL && summary->root != NULL && summary->root->header_len < len)
        len = (size_t)summary->root->header_len;
    read_plain(message, 0, len, &plain);
    rest = buffer_bytes(&plain);
    while (!found && mail_field_next(&rest, &field)) {
        if (name != NULL && !bytes_equal_nocase(field.name, bytes_of(name)))
            continue;
        found = text.len == 0 || field_contains(message, &field, name == NULL, text);
    }
    buffer_fini(&plain);
    return found;
}

/*
 * US-ASCII, which is also the default, is read as UTF-8: the same for whoever keeps to it, and
 * what most mean who do not.
 */
static struct bytes charset_of(const struct mail_part *part)
{
    struct bytes charset = BYTES("us-ascii");

    for (size_t i = 0; i < part->parameter_count; i++)
        if (bytes_equal_nocase(part->parameters[i].name, BYTES("charset")))
            charset = part->parameters[i].value;
    return bytes_equal_nocase(charset, BYTES("us-ascii")) ? BYTES("utf-8") : charset;
}

/* How much of the window can be decoded alone: whole lines, where there are any. */
static size_t window_cut(struct bytes window)
{
    size_t len = window.len;

    while (len > 0 && window.at[len - 1] != '\n')
        len--;
    return len > 0 ? len : window.len;
}

/* Decodes and folds a window behind what `folded` keeps of the one before, and looks. */
static bool window_contains(const struct mail_part *part, struct bytes window,
                            struct buffer *folded, struct bytes text)
{
    struct arena window_arena;
    struct buffer decoded = BUFFER_EMPTY;
    struct buffer utf8 = BUFFER_EMPTY;
    bool found;

    arena_init(&window_arena);
    mail_decode_transfer(part->encoding, window, &decoded);
    mail_decode_charset(charset_of(part), buffer_bytes(&decoded), &utf8);
    buffer_add(folded, mail_fold(&window_arena, buffer_bytes(&utf8)));
    found = search_contains(buffer_bytes(folded), text);
    if (buffer_len(folded) > OVERLAP_SIZE)
        buffer_drop(folded, buffer_len(folded) - OVERLAP_SIZE);
    buffer_fini(&decoded);
    buffer_fini(&utf8);
    arena_fini(&window_arena);
    return found;
}

static bool part_contains(struct search_message *message, const struct mail_part *part,
                          struct bytes text)
{
    uint64_t at = part->body_at;
    uint64_t end;
    struct buffer folded = BUFFER_EMPTY;
    struct buffer plain = BUFFER_EMPTY;
    bool found = false;

    if (at >= BODY_LOOKED_AT_MAX)
        return false;
    end = part->body_len < BODY_LOOKED_AT_MAX - at ? at + part->body_len : BODY_LOOKED_AT_MAX;
    while (!found && at < end) {
        size_t want = end - at < WINDOW_SIZE ? (size_t)(end - at) : WINDOW_SIZE;
        struct bytes window;

        buffer_clear(&plain);
        if (!read_plain(message, at, want, &plain) || buffer_len(&plain) == 0)
            break;
        window = buffer_bytes(&plain);
        if (at + window.len < end)
            window.len = window_cut(window);
        found = window_contains(part, window, &folded, text);
        at += window.len;
    }
    buffer_fini(&folded);
    buffer_fini(&plain);
    return found;
}

/* All parts, without recursion: the way down is kept, its depth has a bound. */
bool search_body(struct search_message *message, struct bytes text)
{
    const struct mail_summary *summary = search_summary(message);
    const struct mail_part *above[MAIL_PART_DEPTH_MAX + 1];
    const struct mail_part *part = summary != NULL ? summary->root : NULL;
    unsigned depth = 0;

    if (text.len == 0)
        return true;
    while (part != NULL) {
        if (part->children == NULL && bytes_equal_nocase(part->type, BYTES("TEXT")) &&
            part_contains(message, part, text))
            return true;
        if (part->children != NULL && depth <= MAIL_PART_DEPTH_MAX) {
            above[depth++] = part;
            part = part->children;
            continue;
        }
        while (part->next == NULL && depth > 0)
            part = above[--depth];
        part = part->next;
    }
    return false;
}
