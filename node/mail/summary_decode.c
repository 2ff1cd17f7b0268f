/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/parse.h"
#include "node/mail/summary_format.h"

/* Reads fields until the end; the first thing that is wrong sets `is_bad` and ends it. */
struct reader {
    struct bytes at;
    bool is_bad;
};

struct field {
    unsigned tag;
    unsigned kind;
    uint64_t number;
    struct bytes bytes;
};

static uint64_t read_varint(struct reader *reader)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && reader->at.len > 0; shift += 7) {
        uint8_t byte = reader->at.at[0];
        reader->at = bytes_skip(reader->at, 1);
        if (shift == 63 && byte > 1)
            break;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return number;
    }
    reader->is_bad = true;
    return 0;
}

static struct bytes read_bytes(struct reader *reader, uint64_t len)
{
    if (len > reader->at.len) {
        reader->is_bad = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes bytes = bytes_from(reader->at.at, (size_t)len);
    reader->at = bytes_skip(reader->at, (size_t)len);
    return bytes;
}

static bool next_field(struct reader *reader, struct field *field)
{
    if (reader->at.len == 0 || reader->is_bad)
        return false;
    uint64_t head = read_varint(reader);
    *field = (struct field){.tag = head >> 1 > UINT16_MAX ? UINT16_MAX : (unsigned)(head >> 1),
                            .kind = (unsigned)(head & 1)};
    field->number = read_varint(reader);
    if (field->kind == KIND_BYTES && !reader->is_bad)
        field->bytes = read_bytes(reader, field->number);
    return !reader->is_bad;
}

static const struct summary_row *find_row(const struct summary_row *rows, size_t count,
                                          unsigned tag)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].tag == tag)
            return &rows[i];
    return NULL;
}

/* Sets the text that the field is, if it is one of the table. */
static bool take_text(void *base, const struct summary_row *rows, size_t count,
                      const struct field *field)
{
    const struct summary_row *row =
        field->kind == KIND_BYTES ? find_row(rows, count, field->tag) : NULL;

    if (row == NULL)
        return false;
    memcpy((uint8_t *)base + row->offset, &field->bytes, sizeof(field->bytes));
    return true;
}

static bool read_address(struct bytes encoded, struct mail_address *address)
{
    struct reader reader = {.at = encoded};
    struct field field;

    *address = (struct mail_address){.group = MAIL_ADDRESS_PLAIN};
    while (next_field(&reader, &field)) {
        if (take_text(address, address_texts, ROW_COUNT(address_texts), &field))
            continue;
        if (field.tag == ADDRESS_GROUP && field.kind == KIND_NUMBER) {
            if (field.number > MAIL_ADDRESS_GROUP_END)
                return false;
            address->group = field.number == MAIL_ADDRESS_GROUP_START ? MAIL_ADDRESS_GROUP_START
                                                                      : MAIL_ADDRESS_GROUP_END;
        }
    }
    return !reader.is_bad;
}

static bool read_envelope(struct bytes encoded, struct arena *arena,
                          struct mail_envelope *envelope)
{
    struct reader reader = {.at = encoded};
    struct mail_address address;
    struct field field;

    while (next_field(&reader, &field)) {
        if (take_text(envelope, envelope_texts, ROW_COUNT(envelope_texts), &field) ||
            field.kind != KIND_BYTES)
            continue;
        const struct summary_row *row =
            find_row(envelope_lists, ROW_COUNT(envelope_lists), field.tag);
        if (row == NULL)
            continue;
        struct mail_address_list *list = (void *)((uint8_t *)envelope + row->offset);
        if (list->count == MAIL_ADDRESS_COUNT_MAX || !read_address(field.bytes, &address))
            return false;
        mail_address_list_add(arena, list, address);
    }
    return !reader.is_bad;
}

/* Counts before it allocates. */
static bool count_parameters(struct bytes encoded, unsigned tag, size_t *count)
{
    struct reader reader = {.at = encoded};
    struct field field;

    *count = 0;
    while (next_field(&reader, &field))
        *count += field.tag == tag && field.kind == KIND_BYTES;
    return !reader.is_bad && *count <= MAIL_PARAMETER_COUNT_MAX;
}

static bool read_parameters(struct bytes encoded, unsigned tag, struct arena *arena,
                            struct mail_parameter **parameters, size_t *count)
{
    struct reader reader = {.at = encoded};
    struct field field;
    size_t i = 0;

    if (!count_parameters(encoded, tag, count))
        return false;
    if (*count > 0)
        *parameters = arena_alloc(arena, *count * sizeof(**parameters));
    while (next_field(&reader, &field)) {
        if (field.tag != tag || field.kind != KIND_BYTES)
            continue;
        struct reader pair = {.at = field.bytes};
        uint64_t name_len = read_varint(&pair);
        (*parameters)[i].name = read_bytes(&pair, name_len);
        (*parameters)[i++].value = pair.at;
        if (pair.is_bad)
            return false;
    }
    return true;
}

static bool take_number(struct mail_part *part, const struct field *field)
{
    const struct summary_row *row =
        field->kind == KIND_NUMBER ? find_row(part_numbers, ROW_COUNT(part_numbers), field->tag)
                                   : NULL;

    if (row == NULL)
        return false;
    memcpy((uint8_t *)part + row->offset, &field->number, sizeof(field->number));
    return true;
}

static bool read_part(struct bytes encoded, struct arena *arena, struct mail_part *part,
                      uint64_t *depth)
{
    struct reader reader = {.at = encoded};
    struct field field;

    *depth = 0;
    while (next_field(&reader, &field)) {
        if (take_text(part, part_texts, ROW_COUNT(part_texts), &field) ||
            take_number(part, &field))
            continue;
        if (field.tag == PART_DEPTH && field.kind == KIND_NUMBER)
            *depth = field.number;
        if (field.tag != PART_ENVELOPE || field.kind != KIND_BYTES)
            continue;
        if (part->envelope != NULL)
            return false;
        part->envelope = arena_alloc(arena, sizeof(*part->envelope));
        if (!read_envelope(field.bytes, arena, part->envelope))
            return false;
    }
    return !reader.is_bad && part->type.at != NULL && part->subtype.at != NULL &&
           part->encoding.at != NULL &&
           read_parameters(encoded, PART_PARAMETER, arena, &part->parameters,
                           &part->parameter_count) &&
           read_parameters(encoded, PART_DISPOSITION_PARAMETER, arena,
                           &part->disposition_parameters, &part->disposition_parameter_count);
}

/* The tree while it grows: the last part so far of each depth, the root first. */
struct tree {
    struct mail_part *last[MAIL_PART_DEPTH_MAX];
    struct mail_part *newest;
    size_t depth;
    size_t count;
};

/* A part with an envelope has one child, a multipart any number, others have none. */
static bool may_add(const struct tree *tree, uint64_t depth)
{
    if (tree->count == MAIL_PART_COUNT_MAX || depth == 0 || depth > MAIL_PART_DEPTH_MAX ||
        depth > tree->depth + 1 || (depth == 1 && tree->depth > 0))
        return false;
    if (depth == 1)
        return true;
    const struct mail_part *parent = tree->last[depth - 2];
    bool lacks_child = tree->newest->envelope != NULL && tree->newest != parent;
    return !lacks_child &&
           (parent->envelope != NULL ? parent->children == NULL
                                     : bytes_equal(parent->type, BYTES("MULTIPART")));
}

static bool add_part(struct tree *tree, struct mail_part *part, uint64_t depth)
{
    if (!may_add(tree, depth))
        return false;
    if (depth > tree->depth && depth > 1)
        tree->last[depth - 2]->children = part;
    else if (depth > 1)
        tree->last[depth - 1]->next = part;
    tree->last[depth - 1] = part;
    tree->newest = part;
    tree->depth = (size_t)depth;
    tree->count++;
    return true;
}

static bool lies_in_message(const struct mail_part *part, uint64_t size)
{
    return part->header_at <= size && part->header_len <= size - part->header_at &&
           part->body_at <= size && part->body_len <= size - part->body_at;
}

static bool take_number_of_summary(struct mail_summary *summary, const struct field *field)
{
    uint64_t number = field->number;

    switch (field->tag) {
    case SUMMARY_SIZE:
        summary->size = number;
        return true;
    case SUMMARY_SENT:
        summary->sent = (int64_t)(number >> 1 ^ (number % 2 == 1 ? UINT64_MAX : 0));
        return true;
    case SUMMARY_FLAGS:
        summary->has_8bit = (number & FLAG_8BIT) != 0;
        summary->truncated = (number & FLAG_TRUNCATED) != 0;
        return true;
    case SUMMARY_RECEIVED:
        summary->received_count = (unsigned)number;
        return number <= UINT32_MAX;
    default:
        return true;
    }
}

static bool take_bytes_of_summary(struct mail_summary *summary, const struct field *field,
                                  struct arena *arena, struct tree *tree)
{
    if (field->tag == SUMMARY_PREVIEW) {
        summary->preview = field->bytes;
    } else if (field->tag == SUMMARY_ENVELOPE) {
        return read_envelope(field->bytes, arena, &summary->envelope);
    } else if (field->tag == SUMMARY_PART) {
        struct mail_part *part = arena_alloc(arena, sizeof(*part));
        uint64_t depth;
        return read_part(field->bytes, arena, part, &depth) && add_part(tree, part, depth) &&
               lies_in_message(part, summary->size);
    }
    return true;
}

bool mail_summary_decode(struct bytes encoded, struct arena *arena,
                         struct mail_summary *summary)
{
    struct reader reader = {.at = encoded};
    struct tree tree = {.depth = 0};
    struct field field;

    *summary = (struct mail_summary){.size = 0};
    if (encoded.len == 0 || encoded.len > MAIL_SUMMARY_SIZE_MAX ||
        encoded.at[0] != SUMMARY_VERSION)
        return false;
    reader.at = bytes_skip(encoded, 1);
    while (next_field(&reader, &field)) {
        bool is_good = field.kind == KIND_NUMBER
                           ? take_number_of_summary(summary, &field)
                           : take_bytes_of_summary(summary, &field, arena, &tree);
        /* The size that parts are checked against stands in front of them. */
        if (!is_good || (field.tag == SUMMARY_SIZE && tree.count > 0))
            return false;
    }
    if (reader.is_bad || tree.count == 0 || tree.newest->envelope != NULL)
        return false;
    summary->root = tree.last[0];
    return true;
}
