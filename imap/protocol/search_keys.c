/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/search_keys.h"

#include "imap/protocol/limits.h"
#include "node/mail/date.h"

#define KIND(name) PR__SEARCH_KEY__KIND__##name

enum argument { NOTHING, STRING, HEADER, KEYWORD, DATE, NUMBER, SET, ONE_KEY, TWO_KEYS };

static const struct key_row {
    struct bytes name;
    Pr__SearchKey__Kind kind;
    enum argument argument;
    bool inverted;
    uint64_t flags;
} rows[] = {
    {BYTES_INIT("ALL"), KIND(ALL), NOTHING, false, 0},
    {BYTES_INIT("ANSWERED"), KIND(FLAGS_ALL), NOTHING, false, FLAG_ANSWERED},
    {BYTES_INIT("BCC"), KIND(BCC), STRING, false, 0},
    {BYTES_INIT("BEFORE"), KIND(BEFORE), DATE, false, 0},
    {BYTES_INIT("BODY"), KIND(BODY), STRING, false, 0},
    {BYTES_INIT("CC"), KIND(CC), STRING, false, 0},
    {BYTES_INIT("DELETED"), KIND(FLAGS_ALL), NOTHING, false, FLAG_DELETED},
    {BYTES_INIT("DRAFT"), KIND(FLAGS_ALL), NOTHING, false, FLAG_DRAFT},
    {BYTES_INIT("FLAGGED"), KIND(FLAGS_ALL), NOTHING, false, FLAG_FLAGGED},
    {BYTES_INIT("FROM"), KIND(FROM), STRING, false, 0},
    {BYTES_INIT("HEADER"), KIND(HEADER), HEADER, false, 0},
    {BYTES_INIT("KEYWORD"), KIND(KEYWORD), KEYWORD, false, 0},
    {BYTES_INIT("LARGER"), KIND(LARGER), NUMBER, false, 0},
    /* No message is ever \Recent here, as RFC 9051 section 2.3.2 suggests. */
    {BYTES_INIT("NEW"), KIND(ALL), NOTHING, true, 0},
    {BYTES_INIT("NOT"), KIND(NOT), ONE_KEY, false, 0},
    {BYTES_INIT("OLD"), KIND(ALL), NOTHING, false, 0},
    {BYTES_INIT("ON"), KIND(ON), DATE, false, 0},
    {BYTES_INIT("OR"), KIND(OR), TWO_KEYS, false, 0},
    {BYTES_INIT("RECENT"), KIND(ALL), NOTHING, true, 0},
    {BYTES_INIT("SEEN"), KIND(FLAGS_ALL), NOTHING, false, FLAG_SEEN},
    {BYTES_INIT("SENTBEFORE"), KIND(SENT_BEFORE), DATE, false, 0},
    {BYTES_INIT("SENTON"), KIND(SENT_ON), DATE, false, 0},
    {BYTES_INIT("SENTSINCE"), KIND(SENT_SINCE), DATE, false, 0},
    {BYTES_INIT("SINCE"), KIND(SINCE), DATE, false, 0},
    {BYTES_INIT("SMALLER"), KIND(SMALLER), NUMBER, false, 0},
    {BYTES_INIT("SUBJECT"), KIND(SUBJECT), STRING, false, 0},
    {BYTES_INIT("TEXT"), KIND(TEXT), STRING, false, 0},
    {BYTES_INIT("TO"), KIND(TO), STRING, false, 0},
    {BYTES_INIT("UID"), KIND(UID), SET, false, 0},
    {BYTES_INIT("UNANSWERED"), KIND(FLAGS_NONE), NOTHING, false, FLAG_ANSWERED},
    {BYTES_INIT("UNDELETED"), KIND(FLAGS_NONE), NOTHING, false, FLAG_DELETED},
    {BYTES_INIT("UNDRAFT"), KIND(FLAGS_NONE), NOTHING, false, FLAG_DRAFT},
    {BYTES_INIT("UNFLAGGED"), KIND(FLAGS_NONE), NOTHING, false, FLAG_FLAGGED},
    {BYTES_INIT("UNKEYWORD"), KIND(KEYWORD), KEYWORD, true, 0},
    {BYTES_INIT("UNSEEN"), KIND(FLAGS_NONE), NOTHING, false, FLAG_SEEN},
};

struct parse {
    struct imap_cursor *cursor;
    struct imap_search *search;
    unsigned keys;
};

static bool take_key(struct parse *parse, unsigned depth, Pr__SearchKey **key);

static Pr__SearchKey *key_new(struct parse *parse, Pr__SearchKey__Kind kind)
{
    Pr__SearchKey *key = arena_alloc(parse->cursor->arena, sizeof(*key));

    pr__search_key__init(key);
    key->kind = kind;
    parse->keys++;
    return key;
}

static void key_add(struct parse *parse, Pr__SearchKey *parent, Pr__SearchKey *child)
{
    size_t count = parent->n_keys;

    /* Room doubles at each power of two. */
    if ((count & (count - 1)) == 0) {
        size_t room = count > 0 ? count * 2 : 1;
        Pr__SearchKey **grown = arena_alloc(parse->cursor->arena, room * sizeof(grown[0]));
        if (count > 0)
            memcpy(grown, parent->keys, count * sizeof(grown[0]));
        parent->keys = grown;
    }
    parent->keys[parent->n_keys++] = child;
}

static bool take_text(struct parse *parse, char **text)
{
    struct bytes string;

    if (!imap_take_space(parse->cursor) || !imap_take_astring(parse->cursor, &string))
        return false;
    *text = arena_string(parse->cursor->arena, string);
    return true;
}

static bool take_date(struct parse *parse, int64_t *days)
{
    struct imap_cursor *cursor = parse->cursor;
    struct bytes date;

    if (!imap_take_space(cursor))
        return false;
    if (!(imap_next_is(cursor, '"') ? imap_take_string(cursor, &date)
                                    : imap_take_atom(cursor, &date)) ||
        !mail_date_parse_imap_day(date, days))
        return imap_fail(cursor, "a wrong date");
    return true;
}

static bool take_number(struct parse *parse, int64_t *number)
{
    uint64_t value = 0;

    if (!imap_take_space(parse->cursor) || !imap_take_u64(parse->cursor, &value) ||
        value > INT64_MAX)
        return imap_fail(parse->cursor, "a wrong number");
    *number = (int64_t)value;
    return true;
}

static bool take_set(struct parse *parse, Pr__SearchKey *key, bool by_uid)
{
    struct imap_search_set *set = arena_alloc(parse->cursor->arena, sizeof(*set));

    *set = (struct imap_search_set){.key = key, .by_uid = by_uid, .next = parse->search->sets};
    parse->search->sets = set;
    return imap_take_sequence(parse->cursor, &set->sequence);
}

static bool take_children(struct parse *parse, unsigned depth, Pr__SearchKey *key,
                          unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        Pr__SearchKey *child = NULL;
        if (!imap_take_space(parse->cursor) || !take_key(parse, depth + 1, &child))
            return false;
        key_add(parse, key, child);
    }
    return true;
}

static bool take_argument(struct parse *parse, unsigned depth, const struct key_row *row,
                          Pr__SearchKey *key)
{
    switch (row->argument) {
    case NOTHING:
        key->flags = row->flags;
        return true;
    case STRING:
    case KEYWORD:
        return take_text(parse, &key->text);
    case HEADER:
        return take_text(parse, &key->name) && take_text(parse, &key->text);
    case DATE:
        return take_date(parse, &key->number);
    case NUMBER:
        return take_number(parse, &key->number);
    case SET:
        return imap_take_space(parse->cursor) && take_set(parse, key, true);
    case ONE_KEY:
        return take_children(parse, depth, key, 1);
    case TWO_KEYS:
        return take_children(parse, depth, key, 2);
    }
    return false;
}

static bool take_named(struct parse *parse, unsigned depth, Pr__SearchKey **key)
{
    struct bytes word;

    if (!imap_take_word(parse->cursor, &word))
        return false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct key_row *row = &rows[i];
        if (!bytes_equal_nocase(word, row->name))
            continue;
        *key = key_new(parse, row->kind);
        if (!take_argument(parse, depth, row, *key))
            return false;
        if (row->inverted) {
            Pr__SearchKey *inverse = key_new(parse, KIND(NOT));
            key_add(parse, inverse, *key);
            *key = inverse;
        }
        return true;
    }
    return imap_fail(parse->cursor, "an unknown search key");
}

/* Keys with spaces between them: all have to match. */
static bool take_all(struct parse *parse, unsigned depth, Pr__SearchKey **key)
{
    *key = key_new(parse, KIND(AND));
    do {
        Pr__SearchKey *child = NULL;
        if (!take_key(parse, depth + 1, &child))
            return false;
        key_add(parse, *key, child);
    } while (imap_take_byte(parse->cursor, ' '));
    return true;
}

/* Recursion ends at IMAP_SEARCH_DEPTH_MAX. */
static bool take_key(struct parse *parse, unsigned depth, Pr__SearchKey **key)
{
    struct imap_cursor *cursor = parse->cursor;

    if (depth >= IMAP_SEARCH_DEPTH_MAX || parse->keys >= IMAP_SEARCH_KEYS_MAX)
        return imap_fail_limit(cursor, "The search is too deep or has too many keys");
    if (imap_take_byte(cursor, '('))
        return take_all(parse, depth, key) &&
               (imap_take_byte(cursor, ')') || imap_fail(cursor, "a list has no end"));
    if (cursor->rest.len > 0 && strchr("0123456789*$", cursor->rest.at[0]) != NULL) {
        *key = key_new(parse, KIND(UID));
        return take_set(parse, *key, false);
    }
    return take_named(parse, depth, key);
}

static const struct return_row {
    struct bytes name;
    enum imap_search_return bit;
} return_rows[] = {
    {BYTES_INIT("MIN"), IMAP_RETURN_MIN},   {BYTES_INIT("MAX"), IMAP_RETURN_MAX},
    {BYTES_INIT("ALL"), IMAP_RETURN_ALL},   {BYTES_INIT("COUNT"), IMAP_RETURN_COUNT},
    {BYTES_INIT("SAVE"), IMAP_RETURN_SAVE},
};

static bool take_return(struct imap_cursor *cursor, struct imap_search *search)
{
    search->is_extended = true;
    if (!imap_take_space(cursor) || !imap_take_byte(cursor, '('))
        return imap_fail(cursor, "a list of results is missing");
    while (!imap_take_byte(cursor, ')')) {
        struct bytes word;
        size_t i = 0;
        if (search->returns != 0 && !imap_take_space(cursor))
            return false;
        if (!imap_take_word(cursor, &word))
            return false;
        while (i < sizeof(return_rows) / sizeof(return_rows[0]) &&
               !bytes_equal_nocase(word, return_rows[i].name))
            i++;
        if (i == sizeof(return_rows) / sizeof(return_rows[0]))
            return imap_fail(cursor, "an unknown result");
        search->returns |= return_rows[i].bit;
    }
    if (search->returns == 0)
        search->returns = IMAP_RETURN_ALL;
    return imap_take_space(cursor);
}

static bool take_charset(struct imap_cursor *cursor)
{
    struct bytes charset;

    if (!imap_take_space(cursor) || !imap_take_astring(cursor, &charset) ||
        !imap_take_space(cursor))
        return false;
    if (bytes_equal_nocase(charset, BYTES("UTF-8")) ||
        bytes_equal_nocase(charset, BYTES("US-ASCII")))
        return true;
    if (cursor->problem == NULL)
        cursor->kind = IMAP_PROBLEM_CHARSET;
    return imap_fail(cursor, "The character set is not known");
}

bool imap_take_search(struct imap_cursor *cursor, struct imap_search *search)
{
    struct parse parse = {.cursor = cursor, .search = search};

    *search = (struct imap_search){.key = NULL};
    if (imap_take_keyword(cursor, BYTES("RETURN")) && !take_return(cursor, search))
        return false;
    if (imap_take_keyword(cursor, BYTES("CHARSET")) && !take_charset(cursor))
        return false;
    return take_all(&parse, 0, &search->key);
}
