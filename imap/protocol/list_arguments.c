/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/list_arguments.h"

#include "imap/protocol/limits.h"
#include "imap/protocol/mailbox_name.h"

struct option_row {
    struct bytes name;
    unsigned bit;
};

static const struct option_row status_rows[] = {
    {BYTES_INIT("MESSAGES"), IMAP_STATUS_MESSAGES},
    {BYTES_INIT("RECENT"), IMAP_STATUS_RECENT},
    {BYTES_INIT("UIDNEXT"), IMAP_STATUS_UIDNEXT},
    {BYTES_INIT("UIDVALIDITY"), IMAP_STATUS_UIDVALIDITY},
    {BYTES_INIT("UNSEEN"), IMAP_STATUS_UNSEEN},
    {BYTES_INIT("SIZE"), IMAP_STATUS_SIZE},
    {BYTES_INIT("DELETED"), IMAP_STATUS_DELETED},
    {BYTES_INIT("APPENDLIMIT"), IMAP_STATUS_APPENDLIMIT},
    {BYTES_INIT("DELETED-STORAGE"), IMAP_STATUS_DELETED_STORAGE},
};

static const struct option_row select_rows[] = {
    {BYTES_INIT("SUBSCRIBED"), IMAP_LIST_SUBSCRIBED},
    {BYTES_INIT("REMOTE"), IMAP_LIST_REMOTE},
    {BYTES_INIT("RECURSIVEMATCH"), IMAP_LIST_RECURSIVEMATCH},
    {BYTES_INIT("SPECIAL-USE"), IMAP_LIST_SPECIAL_USE},
};

static const struct option_row return_rows[] = {
    {BYTES_INIT("SUBSCRIBED"), IMAP_LIST_SUBSCRIBED},
    {BYTES_INIT("CHILDREN"), IMAP_LIST_CHILDREN},
    {BYTES_INIT("SPECIAL-USE"), IMAP_LIST_SPECIAL_USE},
    {BYTES_INIT("STATUS"), IMAP_LIST_STATUS},
};

static bool take_option(struct imap_cursor *cursor, const struct option_row *rows, size_t count,
                        unsigned *bit)
{
    struct bytes word;

    if (!imap_take_word(cursor, &word))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal_nocase(word, rows[i].name)) {
            *bit = rows[i].bit;
            return true;
        }
    }
    return imap_fail(cursor, "an unknown option");
}

bool imap_take_status_items(struct imap_cursor *cursor, unsigned *items)
{
    *items = 0;
    if (!imap_take_byte(cursor, '('))
        return imap_fail(cursor, "a list of items is missing");
    do {
        unsigned bit = 0;
        if (!take_option(cursor, status_rows, sizeof(status_rows) / sizeof(status_rows[0]),
                         &bit))
            return false;
        *items |= bit;
    } while (imap_take_byte(cursor, ' '));
    return imap_take_byte(cursor, ')') || imap_fail(cursor, "a list has no end");
}

static bool take_select(struct imap_cursor *cursor, struct imap_list *list)
{
    if (!imap_take_byte(cursor, '('))
        return true;
    list->is_extended = true;
    while (!imap_take_byte(cursor, ')')) {
        unsigned bit = 0;
        if ((list->select != 0 && !imap_take_space(cursor)) ||
            !take_option(cursor, select_rows, sizeof(select_rows) / sizeof(select_rows[0]),
                         &bit))
            return false;
        list->select |= bit;
    }
    /* RFC 5258 section 3.1: it needs something to match recursively. */
    if (list->select & IMAP_LIST_RECURSIVEMATCH &&
        !(list->select & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)))
        return imap_fail(cursor, "RECURSIVEMATCH cannot stand alone");
    return imap_take_space(cursor);
}

static bool take_return(struct imap_cursor *cursor, struct imap_list *list)
{
    if (imap_at_end(cursor))
        return true;
    if (!imap_take_space(cursor) || !imap_take_keyword(cursor, BYTES("RETURN")) ||
        !imap_take_space(cursor) || !imap_take_byte(cursor, '('))
        return imap_fail(cursor, "RETURN is missing");
    list->is_extended = true;
    while (!imap_take_byte(cursor, ')')) {
        unsigned bit = 0;
        if ((list->returns != 0 && !imap_take_space(cursor)) ||
            !take_option(cursor, return_rows, sizeof(return_rows) / sizeof(return_rows[0]),
                         &bit))
            return false;
        list->returns |= bit;
        if (bit == IMAP_LIST_STATUS &&
            (!imap_take_space(cursor) || !imap_take_status_items(cursor, &list->status_items)))
            return false;
    }
    return true;
}

/* What cannot be decoded matches no name, and stays as it is. */
static struct bytes decode(struct imap_cursor *cursor, struct bytes text)
{
    struct bytes utf8;

    return imap_utf7_decode(text, cursor->arena, &utf8) ? utf8 : text;
}

static bool take_one_pattern(struct imap_cursor *cursor, struct imap_list *list)
{
    struct bytes text;

    if (list->pattern_count == IMAP_PATTERNS_MAX)
        return imap_fail_limit(cursor, "Too many patterns");
    if (!imap_take_pattern(cursor, &text))
        return false;
    if (text.len + list->reference.len > IMAP_PATTERN_SIZE_MAX)
        return imap_fail_limit(cursor, "The pattern is too long");
    struct bytes pattern = decode(cursor, text);
    uint8_t *whole = arena_alloc(cursor->arena, list->reference.len + pattern.len);
    if (list->reference.len > 0)
        memcpy(whole, list->reference.at, list->reference.len);
    if (pattern.len > 0)
        memcpy(whole + list->reference.len, pattern.at, pattern.len);
    list->patterns[list->pattern_count++] =
        bytes_from(whole, pattern.len > 0 ? list->reference.len + pattern.len : 0);
    return true;
}

static bool take_patterns(struct imap_cursor *cursor, struct imap_list *list)
{
    list->patterns = arena_alloc(cursor->arena, IMAP_PATTERNS_MAX * sizeof(list->patterns[0]));
    if (!imap_take_byte(cursor, '('))
        return take_one_pattern(cursor, list);
    list->is_extended = true;
    do {
        if (!take_one_pattern(cursor, list))
            return false;
    } while (imap_take_byte(cursor, ' '));
    return imap_take_byte(cursor, ')') || imap_fail(cursor, "a list has no end");
}

static bool take_reference(struct imap_cursor *cursor, struct imap_list *list)
{
    struct bytes text;

    if (!imap_take_pattern(cursor, &text) || !imap_take_space(cursor))
        return false;
    list->reference = decode(cursor, text);
    return true;
}

bool imap_take_list(struct imap_cursor *cursor, struct imap_list *list)
{
    *list = (struct imap_list){.select = 0};
    return take_select(cursor, list) && take_reference(cursor, list) &&
           take_patterns(cursor, list) && take_return(cursor, list);
}

bool imap_take_lsub(struct imap_cursor *cursor, struct imap_list *list)
{
    *list = (struct imap_list){.select = IMAP_LIST_SUBSCRIBED, .is_lsub = true};
    return take_reference(cursor, list) && take_patterns(cursor, list);
}

/* Which of the pattern's positions are reached after each byte of the name: no backtracking. */
static void reach(struct bytes pattern, bool *reached)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (reached[i] && (pattern.at[i] == '*' || pattern.at[i] == '%'))
            reached[i + 1] = true;
}

/* How many bytes of a name are the same in any case: "Inbox/a" lies below INBOX. */
static size_t caseless_len(struct bytes name)
{
    struct bytes inbox = BYTES("INBOX");

    if (!bytes_start_nocase(name, inbox) || (name.len > inbox.len && name.at[inbox.len] != '/'))
        return 0;
    return inbox.len;
}

bool imap_pattern_matches(struct bytes pattern, struct bytes name)
{
    bool now[IMAP_PATTERN_SIZE_MAX + 1] = {true};
    bool next[IMAP_PATTERN_SIZE_MAX + 1];
    size_t caseless = caseless_len(name);

    if (pattern.len > IMAP_PATTERN_SIZE_MAX)
        return false;
    reach(pattern, now);
    for (size_t at = 0; at < name.len; at++) {
        uint8_t byte = name.at[at];
        memset(next, 0, pattern.len + 1);
        for (size_t i = 0; i < pattern.len; i++) {
            uint8_t wanted = pattern.at[i];
            if (!now[i])
                continue;
            if (wanted == '*' || (wanted == '%' && byte != '/'))
                next[i] = true;
            else if (wanted == byte ||
                     (at < caseless && byte_lower(wanted) == byte_lower(byte)))
                next[i + 1] = true;
        }
        reach(pattern, next);
        memcpy(now, next, pattern.len + 1);
    }
    return now[pattern.len];
}
