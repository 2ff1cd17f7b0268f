/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/fetch_items.h"

#include "imap/protocol/limits.h"
#include "imap/protocol/write.h"

static const struct simple_item {
    struct bytes name;
    struct imap_fetch_item item;
    bool needs_summary;
    bool needs_body;
} simple_items[] = {
    {BYTES_INIT("FLAGS"), {.kind = IMAP_FETCH_FLAGS}, false, false},
    {BYTES_INIT("UID"), {.kind = IMAP_FETCH_UID}, false, false},
    {BYTES_INIT("INTERNALDATE"), {.kind = IMAP_FETCH_INTERNALDATE}, false, false},
    {BYTES_INIT("RFC822.SIZE"), {.kind = IMAP_FETCH_SIZE}, false, false},
    {BYTES_INIT("ENVELOPE"), {.kind = IMAP_FETCH_ENVELOPE}, true, false},
    {BYTES_INIT("BODYSTRUCTURE"), {.kind = IMAP_FETCH_BODYSTRUCTURE}, true, false},
    {BYTES_INIT("BODY"), {.kind = IMAP_FETCH_BODY}, true, false},
    {BYTES_INIT("RFC822"),
     {.kind = IMAP_FETCH_SECTION,
      .section = IMAP_SECTION_ALL,
      .marks_seen = true,
      .label = BYTES_INIT("RFC822")},
     false,
     true},
    {BYTES_INIT("RFC822.HEADER"),
     {.kind = IMAP_FETCH_SECTION,
      .section = IMAP_SECTION_HEADER,
      .label = BYTES_INIT("RFC822.HEADER")},
     true,
     true},
    {BYTES_INIT("RFC822.TEXT"),
     {.kind = IMAP_FETCH_SECTION,
      .section = IMAP_SECTION_TEXT,
      .marks_seen = true,
      .label = BYTES_INIT("RFC822.TEXT")},
     true,
     true},
};

static const struct macro {
    struct bytes name;
    struct bytes items;
} macros[] = {
    {BYTES_INIT("ALL"), BYTES_INIT("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")},
    {BYTES_INIT("FAST"), BYTES_INIT("(FLAGS INTERNALDATE RFC822.SIZE)")},
    {BYTES_INIT("FULL"), BYTES_INIT("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)")},
};

static const struct section_name {
    struct bytes name;
    enum imap_section section;
    bool has_names;
} section_names[] = {
    {BYTES_INIT("HEADER"), IMAP_SECTION_HEADER, false},
    {BYTES_INIT("TEXT"), IMAP_SECTION_TEXT, false},
    {BYTES_INIT("MIME"), IMAP_SECTION_MIME, false},
    {BYTES_INIT("HEADER.FIELDS"), IMAP_SECTION_FIELDS, true},
    {BYTES_INIT("HEADER.FIELDS.NOT"), IMAP_SECTION_FIELDS_NOT, true},
};

static bool take_header_names(struct imap_cursor *cursor, struct imap_fetch_item *item)
{
    if (!imap_take_space(cursor) || !imap_take_byte(cursor, '('))
        return imap_fail(cursor, "a list of header names is missing");
    item->names = arena_alloc(cursor->arena, IMAP_HEADER_NAMES_MAX * sizeof(struct bytes));
    do {
        struct bytes name;
        if (item->name_count == IMAP_HEADER_NAMES_MAX)
            return imap_fail_limit(cursor, "Too many header names");
        if (!imap_take_astring(cursor, &name))
            return false;
        item->names[item->name_count++] = name;
    } while (imap_take_byte(cursor, ' '));
    return imap_take_byte(cursor, ')') || imap_fail(cursor, "a list has no end");
}

/* "1.2." of "1.2.MIME", or all of "1.2" */
static bool take_part_numbers(struct imap_cursor *cursor, struct imap_fetch_item *item)
{
    item->numbers = arena_alloc(cursor->arena, IMAP_SECTION_DEPTH_MAX * sizeof(uint32_t));
    while (cursor->rest.len > 0 && cursor->rest.at[0] >= '0' && cursor->rest.at[0] <= '9') {
        uint32_t number = 0;
        if (item->number_count == IMAP_SECTION_DEPTH_MAX)
            return imap_fail_limit(cursor, "The section is too deep");
        if (!imap_take_nz_u32(cursor, &number))
            return false;
        item->numbers[item->number_count++] = number;
        if (!imap_take_byte(cursor, '.'))
            return imap_next_is(cursor, ']') || imap_fail(cursor, "a wrong section");
        if (imap_next_is(cursor, ']'))
            return imap_fail(cursor, "a wrong section");
    }
    return true;
}

static bool take_section(struct imap_cursor *cursor, struct imap_fetch_item *item)
{
    struct bytes word;

    if (!take_part_numbers(cursor, item))
        return false;
    item->section = IMAP_SECTION_ALL;
    if (imap_take_byte(cursor, ']'))
        return true;
    if (!imap_take_word(cursor, &word))
        return false;
    for (size_t i = 0; i < sizeof(section_names) / sizeof(section_names[0]); i++) {
        const struct section_name *row = &section_names[i];
        if (!bytes_equal_nocase(word, row->name))
            continue;
        item->section = row->section;
        if (row->section == IMAP_SECTION_MIME && item->number_count == 0)
            return imap_fail(cursor, "MIME needs a part number");
        if (row->has_names && !take_header_names(cursor, item))
            return false;
        return imap_take_byte(cursor, ']') || imap_fail(cursor, "a wrong section");
    }
    return imap_fail(cursor, "an unknown section");
}

static bool take_partial(struct imap_cursor *cursor, struct imap_fetch_item *item)
{
    item->has_partial = imap_take_byte(cursor, '<');
    if (!item->has_partial)
        return true;
    return (imap_take_u32(cursor, &item->partial_at) && imap_take_byte(cursor, '.') &&
            imap_take_nz_u32(cursor, &item->partial_len) && imap_take_byte(cursor, '>')) ||
           imap_fail(cursor, "a wrong partial");
}

static void make_label(struct imap_cursor *cursor, struct imap_fetch_item *item)
{
    struct buffer label = BUFFER_EMPTY;

    buffer_add_string(&label, "BODY[");
    for (size_t i = 0; i < item->number_count; i++)
        buffer_printf(&label, "%s%u", i > 0 ? "." : "", item->numbers[i]);
    for (size_t i = 0; i < sizeof(section_names) / sizeof(section_names[0]); i++) {
        if (section_names[i].section != item->section)
            continue;
        buffer_add_string(&label, item->number_count > 0 ? "." : "");
        buffer_add(&label, section_names[i].name);
    }
    for (size_t i = 0; i < item->name_count; i++) {
        buffer_add_string(&label, i > 0 ? " " : " (");
        imap_write_astring(&label, item->names[i]);
    }
    buffer_add_string(&label, item->name_count > 0 ? ")]" : "]");
    if (item->has_partial)
        buffer_printf(&label, "<%u>", item->partial_at);
    item->label = arena_copy(cursor->arena, buffer_bytes(&label));
    buffer_fini(&label);
}

static bool take_body_section(struct imap_cursor *cursor, struct imap_fetch_items *items,
                              struct imap_fetch_item *item, bool peek)
{
    item->kind = IMAP_FETCH_SECTION;
    item->marks_seen = !peek;
    if (!take_section(cursor, item) || !take_partial(cursor, item))
        return false;
    make_label(cursor, item);
    items->needs_body = true;
    items->needs_summary |= item->section != IMAP_SECTION_ALL || item->number_count > 0;
    return true;
}

static bool take_item(struct imap_cursor *cursor, struct imap_fetch_items *items)
{
    struct bytes word;

    if (items->count == IMAP_FETCH_ITEMS_MAX)
        return imap_fail_limit(cursor, "Too many items");
    struct imap_fetch_item *item = &items->at[items->count++];
    if (!imap_take_word(cursor, &word))
        return false;
    bool peek = bytes_equal_nocase(word, BYTES("BODY.PEEK"));
    if ((peek || bytes_equal_nocase(word, BYTES("BODY"))) && imap_take_byte(cursor, '[')) {
        if (!take_body_section(cursor, items, item, peek))
            return false;
        items->marks_seen |= item->marks_seen;
        return true;
    }
    for (size_t i = 0; i < sizeof(simple_items) / sizeof(simple_items[0]); i++) {
        const struct simple_item *row = &simple_items[i];
        if (!bytes_equal_nocase(word, row->name))
            continue;
        *item = row->item;
        items->needs_summary |= row->needs_summary;
        items->needs_body |= row->needs_body;
        items->marks_seen |= row->item.marks_seen;
        return true;
    }
    return imap_fail(cursor, "an unknown item");
}

static bool take_items(struct imap_cursor *cursor, struct imap_fetch_items *items)
{
    if (!imap_take_byte(cursor, '('))
        return take_item(cursor, items);
    do {
        if (!take_item(cursor, items))
            return false;
    } while (imap_take_byte(cursor, ' '));
    return imap_take_byte(cursor, ')') || imap_fail(cursor, "a list has no end");
}

bool imap_take_fetch_items(struct imap_cursor *cursor, struct imap_fetch_items *items)
{
    *items = (struct imap_fetch_items){.count = 0};
    items->at = arena_alloc(cursor->arena, IMAP_FETCH_ITEMS_MAX * sizeof(items->at[0]));
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
        if (!imap_take_keyword(cursor, macros[i].name))
            continue;
        struct imap_cursor inner = imap_cursor_over(macros[i].items, cursor->arena);
        return take_items(&inner, items);
    }
    return take_items(cursor, items);
}
