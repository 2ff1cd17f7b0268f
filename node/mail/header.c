/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "node/mail/lexer.h"
#include "node/mail/parse.h"
#include "node/mail/text.h"

void parse_init(struct parse *parse, struct arena *arena)
{
    *parse = (struct parse){.arena = arena};
}

void parse_fini(struct parse *parse)
{
    buffer_fini(&parse->word);
    buffer_fini(&parse->phrase);
    buffer_fini(&parse->comment);
}

void *parse_alloc(struct parse *parse, size_t size)
{
    parse->kept += size;
    return arena_alloc(parse->arena, size);
}

struct bytes parse_keep(struct parse *parse, struct bytes text)
{
    parse->kept += text.len + 1;
    return arena_copy(parse->arena, text);
}

struct bytes parse_keep_upper(struct parse *parse, struct bytes text)
{
    uint8_t *upper = parse_alloc(parse, text.len + 1);

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        upper[i] = byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - ('a' - 'A')) : byte;
    }
    return bytes_from(upper, text.len);
}

/* The readers. Of a field that comes twice the first counts; only addresses add up. */

static void read_text(struct parse *parse, struct bytes value, void *target)
{
    struct bytes *text = target;

    if (text->at != NULL)
        return;
    buffer_truncate(&parse->word, 0);
    lexer_add_unfolded(&parse->word, value);
    *text = parse_keep(parse, bytes_trim(buffer_bytes(&parse->word)));
}

static void read_addresses(struct parse *parse, struct bytes value, void *target)
{
    parse_addresses(parse, value, target);
}

static void read_type(struct parse *parse, struct bytes value, void *target)
{
    struct mail_part *part = target;

    if (part->type.at != NULL)
        return;
    lexer_skip(&value, NULL);
    struct bytes type = lexer_run(&value, lexer_is_token);
    lexer_skip(&value, NULL);
    bool has_slash = lexer_accept(&value, '/');
    lexer_skip(&value, NULL);
    struct bytes subtype = lexer_run(&value, lexer_is_token);
    if (type.len == 0 || subtype.len == 0 || !has_slash) {
        /* RFC 2045 section 5.2: as if there were none. */
        part->type = parse_keep(parse, BYTES("TEXT"));
        part->subtype = parse_keep(parse, BYTES("PLAIN"));
        return;
    }
    part->type = parse_keep_upper(parse, type);
    part->subtype = parse_keep_upper(parse, subtype);
    part->parameter_count = parse_parameters(parse, value, &part->parameters);
}

static void read_disposition(struct parse *parse, struct bytes value, void *target)
{
    struct mail_part *part = target;

    lexer_skip(&value, NULL);
    struct bytes disposition = lexer_run(&value, lexer_is_token);
    if (part->disposition.at != NULL || disposition.len == 0)
        return;
    part->disposition = parse_keep_upper(parse, disposition);
    part->disposition_parameter_count =
        parse_parameters(parse, value, &part->disposition_parameters);
}

static void read_encoding(struct parse *parse, struct bytes value, void *target)
{
    struct mail_part *part = target;

    lexer_skip(&value, NULL);
    struct bytes encoding = lexer_run(&value, lexer_is_token);
    if (part->encoding.at == NULL && encoding.len > 0)
        part->encoding = parse_keep_upper(parse, encoding);
}

#define IN_PART(member) false, offsetof(struct mail_part, member)
#define IN_ENVELOPE(member) true, offsetof(struct mail_envelope, member)
static const struct row {
    struct bytes name;
    void (*read)(struct parse *parse, struct bytes value, void *target);
    bool in_envelope;
    size_t offset; /* of the target in the envelope or part */
} rows[] = {
    {BYTES_INIT("Date"), read_text, IN_ENVELOPE(date)},
    {BYTES_INIT("Subject"), read_text, IN_ENVELOPE(subject)},
    {BYTES_INIT("From"), read_addresses, IN_ENVELOPE(from)},
    {BYTES_INIT("Sender"), read_addresses, IN_ENVELOPE(sender)},
    {BYTES_INIT("Reply-To"), read_addresses, IN_ENVELOPE(reply_to)},
    {BYTES_INIT("To"), read_addresses, IN_ENVELOPE(to)},
    {BYTES_INIT("Cc"), read_addresses, IN_ENVELOPE(cc)},
    {BYTES_INIT("Bcc"), read_addresses, IN_ENVELOPE(bcc)},
    {BYTES_INIT("In-Reply-To"), read_text, IN_ENVELOPE(in_reply_to)},
    {BYTES_INIT("Message-ID"), read_text, IN_ENVELOPE(message_id)},
    {BYTES_INIT("Content-Type"), read_type, false, 0},
    {BYTES_INIT("Content-Disposition"), read_disposition, false, 0},
    {BYTES_INIT("Content-Transfer-Encoding"), read_encoding, false, 0},
    {BYTES_INIT("Content-ID"), read_text, IN_PART(id)},
    {BYTES_INIT("Content-Description"), read_text, IN_PART(description)},
    {BYTES_INIT("Content-MD5"), read_text, IN_PART(md5)},
    {BYTES_INIT("Content-Language"), read_text, IN_PART(language)},
    {BYTES_INIT("Content-Location"), read_text, IN_PART(location)},
};

static const struct row *find_row(struct bytes name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (bytes_equal_nocase(rows[i].name, name))
            return &rows[i];
    return NULL;
}

void parse_header(struct parse *parse, struct bytes block, struct mail_part *part,
                  struct mail_envelope *envelope, unsigned *received_count)
{
    struct mail_field field;

    while (block.len > 0) {
        if (!mail_field_next(&block, &field)) {
            block = bytes_skip(block, lexer_line_end(block, 0));
            continue;
        }
        if (bytes_equal_nocase(field.name, BYTES("Received")))
            ++*received_count;
        const struct row *row = find_row(field.name);
        if (row == NULL || (row->in_envelope && envelope == NULL))
            continue;
        if (field.whole.len > MAIL_FIELD_SIZE_MAX) {
            parse->truncated = true;
            size_t before = (size_t)(field.value.at - field.whole.at);
            size_t room = before < MAIL_FIELD_SIZE_MAX ? MAIL_FIELD_SIZE_MAX - before : 0;
            field.value.len = field.value.len < room ? field.value.len : room;
        }
        uint8_t *base = row->in_envelope ? (uint8_t *)envelope : (uint8_t *)part;
        row->read(parse, field.value, base + row->offset);
    }
}
