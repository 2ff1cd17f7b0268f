/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/mail/summary_format.h"

static void add_varint(struct buffer *buffer, uint64_t number)
{
    uint8_t *at = buffer_reserve(buffer, 10);
    size_t len = 0;

    for (; number >= 0x80; number >>= 7)
        at[len++] = (uint8_t)(number | 0x80);
    at[len++] = (uint8_t)number;
    buffer_added(buffer, len);
}

static void add_number(struct buffer *buffer, unsigned tag, uint64_t number)
{
    if (number == 0)
        return;
    add_varint(buffer, tag << 1 | KIND_NUMBER);
    add_varint(buffer, number);
}

static void add_bytes(struct buffer *buffer, unsigned tag, struct bytes bytes)
{
    if (bytes.at == NULL)
        return;
    add_varint(buffer, tag << 1 | KIND_BYTES);
    add_varint(buffer, bytes.len);
    buffer_add(buffer, bytes);
}

/* A field whose bytes are written after it: end_field() puts the length in front of them. */
static size_t begin_field(struct buffer *buffer, unsigned tag)
{
    add_varint(buffer, tag << 1 | KIND_BYTES);
    buffer_add_byte(buffer, 0);
    return buffer_len(buffer);
}

static void end_field(struct buffer *buffer, size_t start)
{
    size_t len = buffer_len(buffer) - start;
    size_t more = 0;

    for (size_t rest = len >> 7; rest > 0; rest >>= 7)
        more++;
    buffer_reserve(buffer, more);
    uint8_t *at = buffer->memory + buffer->start + start;
    if (more > 0)
        memmove(at + more, at, len);
    buffer_added(buffer, more);
    for (at--; more > 0; more--, len >>= 7)
        *at++ = (uint8_t)(len | 0x80);
    *at = (uint8_t)len;
}

static void add_texts(struct buffer *buffer, const void *base, const struct summary_row *rows,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_bytes(
            buffer, rows[i].tag,
            *(const struct bytes *)(const void *)((const uint8_t *)base + rows[i].offset));
}

static void add_address(struct buffer *buffer, unsigned tag, const struct mail_address *address)
{
    size_t start = begin_field(buffer, tag);

    add_number(buffer, ADDRESS_GROUP, (uint64_t)address->group);
    add_texts(buffer, address, address_texts, ROW_COUNT(address_texts));
    end_field(buffer, start);
}

static void add_envelope(struct buffer *buffer, unsigned tag,
                         const struct mail_envelope *envelope)
{
    size_t start = begin_field(buffer, tag);

    add_texts(buffer, envelope, envelope_texts, ROW_COUNT(envelope_texts));
    for (size_t i = 0; i < ROW_COUNT(envelope_lists); i++) {
        const struct mail_address_list *list =
            (const void *)((const uint8_t *)envelope + envelope_lists[i].offset);
        for (size_t k = 0; k < list->count; k++)
            add_address(buffer, envelope_lists[i].tag, &list->at[k]);
    }
    end_field(buffer, start);
}

static void add_parameters(struct buffer *buffer, unsigned tag,
                           const struct mail_parameter *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = begin_field(buffer, tag);
        add_varint(buffer, parameters[i].name.len);
        buffer_add(buffer, parameters[i].name);
        buffer_add(buffer, parameters[i].value);
        end_field(buffer, start);
    }
}

/* Returns the size of the envelope, which is left out with the children. */
static size_t add_part(struct buffer *buffer, const struct mail_part *part, size_t depth,
                       bool children_too)
{
    size_t start = begin_field(buffer, SUMMARY_PART);

    add_number(buffer, PART_DEPTH, depth);
    add_texts(buffer, part, part_texts, ROW_COUNT(part_texts));
    for (size_t i = 0; i < ROW_COUNT(part_numbers); i++)
        add_number(
            buffer, part_numbers[i].tag,
            *(const uint64_t *)(const void *)((const uint8_t *)part + part_numbers[i].offset));
    add_parameters(buffer, PART_PARAMETER, part->parameters, part->parameter_count);
    add_parameters(buffer, PART_DISPOSITION_PARAMETER, part->disposition_parameters,
                   part->disposition_parameter_count);
    size_t before = buffer_len(buffer);
    if (part->envelope != NULL && children_too)
        add_envelope(buffer, PART_ENVELOPE, part->envelope);
    size_t envelope_size = buffer_len(buffer) - before;
    end_field(buffer, start);
    return envelope_size;
}

/* What is written of a summary, and how much each depth took. */
struct writer {
    struct buffer buffer;
    size_t depth_most;
    bool envelope_too;
    bool truncated;
    size_t sizes[MAIL_PART_DEPTH_MAX + 1];
};

/* In the order of the message; `depth` is the length of the way down from the root. */
static void add_parts(struct writer *writer, const struct mail_part *root)
{
    const struct mail_part *way[MAIL_PART_DEPTH_MAX] = {root};
    size_t depth = root != NULL;

    while (depth > 0) {
        const struct mail_part *part = way[depth - 1];
        size_t before = buffer_len(&writer->buffer);
        bool children_too = part->children != NULL && depth < writer->depth_most;
        size_t below = add_part(&writer->buffer, part, depth, children_too);
        writer->sizes[depth] += buffer_len(&writer->buffer) - before - below;
        if (children_too)
            writer->sizes[depth + 1] += below;
        if (children_too) {
            way[depth++] = part->children;
            continue;
        }
        while (depth > 0 && (way[depth - 1] = way[depth - 1]->next) == NULL)
            depth--;
    }
}

static void write(struct writer *writer, const struct mail_summary *summary)
{
    struct buffer *buffer = &writer->buffer;
    unsigned flags = (summary->has_8bit ? FLAG_8BIT : 0) |
                     (summary->truncated || writer->truncated ? FLAG_TRUNCATED : 0);

    buffer_truncate(buffer, 0);
    memset(writer->sizes, 0, sizeof(writer->sizes));
    buffer_add_byte(buffer, SUMMARY_VERSION);
    add_number(buffer, SUMMARY_SIZE, summary->size);
    add_number(buffer, SUMMARY_SENT,
               (uint64_t)summary->sent << 1 ^ (summary->sent < 0 ? UINT64_MAX : 0));
    add_number(buffer, SUMMARY_FLAGS, flags);
    add_number(buffer, SUMMARY_RECEIVED, summary->received_count);
    if (writer->envelope_too) {
        add_bytes(buffer, SUMMARY_PREVIEW, summary->preview);
        add_envelope(buffer, SUMMARY_ENVELOPE, &summary->envelope);
    }
    add_parts(writer, summary->root);
}

/* The most depths of parts whose sizes fit; at least the root. */
static size_t depth_that_fits(const struct writer *writer)
{
    size_t size = buffer_len(&writer->buffer);
    size_t depth = MAIL_PART_DEPTH_MAX;

    for (; depth > 1 && size > MAIL_SUMMARY_SIZE_MAX - 16; depth--)
        size -= writer->sizes[depth];
    return depth;
}

/*
 * The last resort keeps sizes and offsets alone. No message leads there: its root and envelope
 * come out of one header of at most MAIL_HEADER_SIZE_MAX bytes, and grow by less than half.
 */
static struct mail_part bare_root(const struct mail_part *root)
{
    return (struct mail_part){.type = BYTES("TEXT"),
                              .subtype = BYTES("PLAIN"),
                              .encoding = BYTES("7BIT"),
                              .header_at = root->header_at,
                              .header_len = root->header_len,
                              .body_at = root->body_at,
                              .body_len = root->body_len,
                              .lines = root->lines};
}

struct bytes mail_summary_encode(const struct mail_summary *summary, struct arena *arena)
{
    struct writer writer = {.depth_most = MAIL_PART_DEPTH_MAX, .envelope_too = true};

    CHECK(summary->root != NULL);
    write(&writer, summary);
    if (buffer_len(&writer.buffer) > MAIL_SUMMARY_SIZE_MAX) {
        writer.depth_most = depth_that_fits(&writer);
        writer.truncated = true;
        write(&writer, summary);
    }
    if (buffer_len(&writer.buffer) > MAIL_SUMMARY_SIZE_MAX) {
        struct mail_part root = bare_root(summary->root);
        struct mail_summary bare = *summary;
        bare.root = &root;
        writer.envelope_too = false;
        write(&writer, &bare);
    }
    struct bytes encoded = arena_copy(arena, buffer_bytes(&writer.buffer));
    buffer_fini(&writer.buffer);
    return encoded;
}
