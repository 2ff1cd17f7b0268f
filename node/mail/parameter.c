/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"
#include "node/mail/parse.h"

/* Parameters of Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2231). */

/* One `name=value` as it stands, and what RFC 2231 makes of its name. */
struct piece {
    struct bytes name;
    struct bytes value;
    struct bytes base; /* the name without its stars */
    int section;       /* -1 when it is no continuation */
    bool is_extended;
    bool is_used;
};

struct pieces {
    struct piece at[MAIL_PARAMETER_COUNT_MAX];
    size_t count;
};

/* "base", "base*", "base*3", "base*3*" */
static void split_name(struct piece *piece)
{
    size_t star = bytes_find(piece->name, '*');
    struct bytes rest = bytes_skip(piece->name, star + 1);
    uint64_t section = 0;

    piece->base = piece->name;
    piece->section = -1;
    if (star == piece->name.len)
        return;
    if (rest.len == 0) {
        piece->is_extended = true;
        return;
    }
    piece->is_extended = rest.at[rest.len - 1] == '*';
    rest.len -= piece->is_extended;
    if (!bytes_to_u64(rest, &section) || section >= MAIL_PARAMETER_COUNT_MAX) {
        piece->is_extended = false;
        return;
    }
    piece->base.len = star;
    piece->section = (int)section;
}

static bool is_name(uint8_t byte)
{
    return byte != '=' && byte != ';' && byte != '(' && !lexer_is_space(byte);
}

/* A value without quotes reaches to the semicolon: file names with spaces are common. */
static bool is_value(uint8_t byte)
{
    return byte != ';' && byte != '(';
}

static bool is_no_semicolon(uint8_t byte)
{
    return byte != ';';
}

static struct bytes read_value(struct parse *parse, struct bytes *at)
{
    struct buffer *value = &parse->word;

    buffer_truncate(value, 0);
    lexer_skip(at, NULL);
    if (at->len > 0 && at->at[0] == '"') {
        lexer_quoted(at, value);
        return parse_keep(parse, buffer_bytes(value));
    }
    lexer_add_unfolded(value, lexer_run(at, is_value));
    return parse_keep(parse, bytes_trim(buffer_bytes(value)));
}

static void read_pieces(struct parse *parse, struct bytes at, struct pieces *pieces)
{
    while (at.len > 0) {
        lexer_skip(&at, NULL);
        if (!lexer_accept(&at, ';')) {
            lexer_run(&at, is_no_semicolon);
            continue;
        }
        lexer_skip(&at, NULL);
        struct bytes name = lexer_run(&at, is_name);
        lexer_skip(&at, NULL);
        if (name.len == 0 || !lexer_accept(&at, '='))
            continue;
        if (pieces->count == MAIL_PARAMETER_COUNT_MAX) {
            parse->truncated = true;
            return;
        }
        struct piece *piece = &pieces->at[pieces->count++];
        *piece = (struct piece){.name = parse_keep(parse, name)};
        piece->value = read_value(parse, &at);
        split_name(piece);
    }
}

static struct piece *find_section(struct pieces *pieces, struct bytes base, int section)
{
    for (size_t i = 0; i < pieces->count; i++) {
        struct piece *piece = &pieces->at[i];
        if (piece->section == section && !piece->is_used &&
            bytes_equal_nocase(piece->base, base))
            return piece;
    }
    return NULL;
}

static bool is_attribute(uint8_t byte)
{
    return lexer_is_token(byte) && byte != '*' && byte != '\'' && byte != '%';
}

/* A plain piece of a value that is extended as a whole. */
static void add_percent(struct buffer *value, struct bytes plain)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < plain.len; i++) {
        uint8_t byte = plain.at[i];
        if (is_attribute(byte)) {
            buffer_add_byte(value, byte);
        } else {
            buffer_add_byte(value, '%');
            buffer_add_byte(value, (uint8_t)digits[byte >> 4]);
            buffer_add_byte(value, (uint8_t)digits[byte & 15]);
        }
    }
}

static struct mail_parameter join(struct parse *parse, struct pieces *pieces,
                                  struct piece *first)
{
    struct piece *chain[MAIL_PARAMETER_COUNT_MAX];
    size_t count = 0;
    bool is_extended = false;

    for (struct piece *piece = first; piece != NULL;
         piece = find_section(pieces, first->base, (int)count)) {
        piece->is_used = true;
        is_extended |= piece->is_extended;
        chain[count++] = piece;
    }
    buffer_truncate(&parse->word, 0);
    if (is_extended && !first->is_extended)
        buffer_add_string(&parse->word, "''");
    for (size_t i = 0; i < count; i++) {
        if (is_extended && !chain[i]->is_extended)
            add_percent(&parse->word, chain[i]->value);
        else
            buffer_add(&parse->word, chain[i]->value);
    }
    if (buffer_len(&parse->word) > MAIL_FIELD_SIZE_MAX) {
        buffer_truncate(&parse->word, MAIL_FIELD_SIZE_MAX);
        parse->truncated = true;
    }
    buffer_truncate(&parse->phrase, 0);
    buffer_add(&parse->phrase, first->base);
    if (is_extended)
        buffer_add_byte(&parse->phrase, '*');
    return (struct mail_parameter){.name = parse_keep(parse, buffer_bytes(&parse->phrase)),
                                   .value = parse_keep(parse, buffer_bytes(&parse->word))};
}

size_t parse_parameters(struct parse *parse, struct bytes value,
                        struct mail_parameter **parameters)
{
    struct pieces pieces = {.count = 0};
    size_t count = 0;

    read_pieces(parse, value, &pieces);
    if (pieces.count == 0)
        return 0;
    *parameters = parse_alloc(parse, pieces.count * sizeof(**parameters));
    /* First the continuations, so that every piece that belongs to one is known as used. */
    for (size_t i = 0; i < pieces.count; i++)
        if (pieces.at[i].section == 0 && !pieces.at[i].is_used)
            (*parameters)[count++] = join(parse, &pieces, &pieces.at[i]);
    for (size_t i = 0; i < pieces.count; i++)
        if (!pieces.at[i].is_used)
            (*parameters)[count++] =
                (struct mail_parameter){pieces.at[i].name, pieces.at[i].value};
    return count;
}
