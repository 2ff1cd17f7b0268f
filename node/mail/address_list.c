/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"
#include "node/mail/parse.h"

/*
 * Address lists (RFC 5322 section 3.4, with the obsolete forms of 4.4), as leniently as mail
 * needs it: every byte belongs to some address or is passed over, nothing is refused.
 */

enum { LIST_SIZE_FIRST = 2 };

void mail_address_list_add(struct arena *arena, struct mail_address_list *list,
                           struct mail_address address)
{
    bool is_full = list->count >= LIST_SIZE_FIRST && (list->count & (list->count - 1)) == 0;

    if (list->count == 0 || is_full) {
        size_t size = list->count == 0 ? LIST_SIZE_FIRST : 2 * list->count;
        struct mail_address *at = arena_alloc(arena, size * sizeof(*at));
        if (list->count > 0)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
    }
    list->at[list->count++] = address;
}

/* One place is held back for the end of a group. */
static bool has_room(const struct mail_address_list *list)
{
    return list->count + 1 < MAIL_ADDRESS_COUNT_MAX;
}

static void add(struct parse *parse, struct mail_address_list *list,
                struct mail_address address)
{
    parse->kept += 2 * sizeof(address);
    mail_address_list_add(parse->arena, list, address);
}

static bool is_atom(uint8_t byte)
{
    return !lexer_is_space(byte) && strchr("()<>[]:;@\\,\"", byte) == NULL;
}

/* What stands behind an @: atoms and dots, or a literal in brackets. Appends. */
static void read_domain(struct bytes *at, struct buffer *domain, struct buffer *comment)
{
    size_t start = buffer_len(domain);

    for (;;) {
        bool gap = lexer_skip(at, comment);
        bool is_first = buffer_len(domain) == start;
        if (at->len == 0)
            return;
        if (at->at[0] == '[' && is_first) {
            size_t len = bytes_find(*at, ']');
            len += len < at->len;
            lexer_add_unfolded(domain, bytes_from(at->at, len));
            *at = bytes_skip(*at, len);
            return;
        }
        bool goes_on =
            !gap || is_first || at->at[0] == '.' || domain->memory[domain->end - 1] == '.';
        if (!goes_on || !is_atom(at->at[0]))
            return;
        buffer_add(domain, lexer_run(at, is_atom));
    }
}

/* "@a,@b:" inside angle brackets. */
static struct bytes read_route(struct parse *parse, struct bytes *at)
{
    struct buffer *route = &parse->word;

    buffer_truncate(route, 0);
    while (lexer_accept(at, '@')) {
        if (buffer_len(route) > 0)
            buffer_add_byte(route, ',');
        buffer_add_byte(route, '@');
        read_domain(at, route, NULL);
        while (lexer_accept(at, ','))
            lexer_skip(at, NULL);
    }
    lexer_accept(at, ':');
    return parse_keep(parse, buffer_bytes(route));
}

/* From behind "<" to behind ">". A comma or semicolon ends it as well. */
static void read_angle(struct parse *parse, struct bytes *at, struct mail_address *address)
{
    lexer_skip(at, NULL);
    if (at->len > 0 && at->at[0] == '@')
        address->route = read_route(parse, at);
    buffer_truncate(&parse->word, 0);
    for (;;) {
        lexer_skip(at, NULL);
        if (at->len == 0 || at->at[0] == ',' || at->at[0] == ';' || lexer_accept(at, '>'))
            break;
        if (at->at[0] == '"') {
            lexer_quoted(at, &parse->word);
        } else if (is_atom(at->at[0])) {
            buffer_add(&parse->word, lexer_run(at, is_atom));
        } else if (lexer_accept(at, '@') && address->local.at == NULL) {
            address->local = parse_keep(parse, buffer_bytes(&parse->word));
            buffer_truncate(&parse->word, 0);
            read_domain(at, &parse->word, NULL);
            address->domain = parse_keep(parse, buffer_bytes(&parse->word));
        } else if (at->len > 0 && strchr("()<[]:\\", at->at[0]) != NULL) {
            *at = bytes_skip(*at, 1);
        }
    }
    if (address->local.at == NULL) {
        address->local = parse_keep(parse, buffer_bytes(&parse->word));
        address->domain = parse_keep(parse, BYTES(""));
    }
}

/* One element of a list while it is read. Its words are collected in parse->phrase, and without
 * the gaps between them, as a local part has them, in parse->word. */
struct element {
    struct mail_address address;
    unsigned words;
    bool has_angle;
    enum { END_OF_ADDRESS, END_OF_GROUP_NAME, END_OF_GROUP } end;
};

static void read_word(struct parse *parse, struct bytes *at, bool gap, struct element *element)
{
    struct buffer *phrase = &parse->phrase;
    bool is_special = at->at[0] != '"' && !is_atom(at->at[0]);

    if (is_special && strchr("[]:", at->at[0]) == NULL) {
        *at = bytes_skip(*at, 1); /* nothing is opened that it could close */
        return;
    }
    if (gap && buffer_len(phrase) > 0)
        buffer_add_byte(phrase, ' ');
    element->words += gap || element->words == 0;
    size_t before = buffer_len(phrase);
    if (is_special) {
        buffer_add_byte(phrase, at->at[0]);
        *at = bytes_skip(*at, 1);
    } else if (at->at[0] == '"') {
        lexer_quoted(at, phrase);
    } else {
        buffer_add(phrase, lexer_run(at, is_atom));
    }
    buffer_add(&parse->word, bytes_skip(buffer_bytes(phrase), before));
}

/* Text behind a complete address is not looked at. */
static void pass_over_word(struct parse *parse, struct bytes *at)
{
    buffer_truncate(&parse->word, 0);
    if (at->at[0] == '"')
        lexer_quoted(at, &parse->word);
    else if (lexer_run(at, is_atom).len == 0)
        *at = bytes_skip(*at, 1);
}

static void read_bare_domain(struct parse *parse, struct bytes *at,
                             struct mail_address *address)
{
    address->local = parse_keep(parse, buffer_bytes(&parse->word));
    buffer_truncate(&parse->word, 0);
    read_domain(at, &parse->word, &parse->comment);
    address->domain = parse_keep(parse, buffer_bytes(&parse->word));
}

/* Up to and with the comma, semicolon or colon that ends the element. */
static void read_element(struct parse *parse, struct bytes *at, bool in_group,
                         struct element *element)
{
    struct mail_address *address = &element->address;

    for (;;) {
        bool gap = lexer_skip(at, &parse->comment);
        bool is_done = address->domain.at != NULL;
        if (at->len == 0 || lexer_accept(at, ','))
            return;
        if (lexer_accept(at, ';')) {
            element->end = END_OF_GROUP;
            return;
        }
        if (is_done) {
            pass_over_word(parse, at);
        } else if (lexer_accept(at, '<')) {
            read_angle(parse, at, address);
            element->has_angle = true;
        } else if (lexer_accept(at, '@')) {
            read_bare_domain(parse, at, address);
        } else if (!in_group && lexer_accept(at, ':')) {
            element->end = END_OF_GROUP_NAME;
            return;
        } else {
            read_word(parse, at, gap, element);
        }
    }
}

/* Gives the address its name; an address that has no @ becomes a name or a local part. */
static void name_element(struct parse *parse, struct element *element)
{
    struct mail_address *address = &element->address;
    struct bytes phrase = buffer_bytes(&parse->phrase);
    struct bytes comment = buffer_bytes(&parse->comment);
    struct bytes name = element->has_angle && phrase.len > 0 ? phrase : comment;

    if (address->domain.at == NULL) {
        bool is_local = element->words == 1;
        address->local = parse_keep(parse, is_local ? phrase : BYTES(""));
        address->domain = parse_keep(parse, BYTES(""));
        if (!is_local)
            name = phrase;
    }
    if (name.len > 0)
        address->name = parse_keep(parse, name);
}

void parse_addresses(struct parse *parse, struct bytes value, struct mail_address_list *list)
{
    bool in_group = false;

    while (value.len > 0) {
        struct element element = {.words = 0};
        if (!has_room(list)) {
            parse->truncated = true;
            break;
        }
        buffer_truncate(&parse->phrase, 0);
        buffer_truncate(&parse->word, 0);
        buffer_truncate(&parse->comment, 0);
        read_element(parse, &value, in_group, &element);
        if (element.end == END_OF_GROUP_NAME) {
            struct bytes name = parse_keep(parse, buffer_bytes(&parse->phrase));
            add(parse, list,
                (struct mail_address){.local = name, .group = MAIL_ADDRESS_GROUP_START});
            in_group = true;
            continue;
        }
        if (element.words > 0 || element.address.domain.at != NULL) {
            name_element(parse, &element);
            add(parse, list, element.address);
        }
        if (element.end == END_OF_GROUP && in_group) {
            in_group = false;
            add(parse, list, (struct mail_address){.group = MAIL_ADDRESS_GROUP_END});
        }
    }
    if (in_group)
        add(parse, list, (struct mail_address){.group = MAIL_ADDRESS_GROUP_END});
}
