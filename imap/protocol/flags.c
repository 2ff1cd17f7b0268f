/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/flags.h"

#include <stdlib.h>

#include "imap/protocol/limits.h"
#include "node/base/check.h"

static const struct system_flag {
    struct bytes name;
    uint64_t bit;
} system_flags[] = {
    {BYTES_INIT("Answered"), FLAG_ANSWERED}, {BYTES_INIT("Flagged"), FLAG_FLAGGED},
    {BYTES_INIT("Deleted"), FLAG_DELETED},   {BYTES_INIT("Seen"), FLAG_SEEN},
    {BYTES_INIT("Draft"), FLAG_DRAFT},
};
enum { SYSTEM_FLAG_COUNT = sizeof(system_flags) / sizeof(system_flags[0]) };

static bool take_system_flag(struct imap_cursor *cursor, struct imap_flags *flags)
{
    struct bytes name;

    if (!imap_take_atom(cursor, &name))
        return false;
    for (size_t i = 0; i < SYSTEM_FLAG_COUNT; i++) {
        if (bytes_equal_nocase(name, system_flags[i].name)) {
            flags->system |= system_flags[i].bit;
            return true;
        }
    }
    return imap_fail(cursor, "an unknown system flag");
}

static bool take_flag(struct imap_cursor *cursor, struct imap_flags *flags)
{
    struct bytes keyword;

    if (imap_take_byte(cursor, '\\'))
        return take_system_flag(cursor, flags);
    if (!imap_take_atom(cursor, &keyword))
        return false;
    if (keyword.len > KEYWORD_SIZE_MAX || flags->keyword_count == IMAP_FLAGS_MAX)
        return imap_fail_limit(cursor, "A keyword is too long, or there are too many");
    flags->keywords[flags->keyword_count++] = keyword;
    return true;
}

static void prepare(struct imap_cursor *cursor, struct imap_flags *flags)
{
    *flags = (struct imap_flags){.system = 0};
    flags->keywords = arena_alloc(cursor->arena, IMAP_FLAGS_MAX * sizeof(struct bytes));
}

bool imap_take_flag_list(struct imap_cursor *cursor, struct imap_flags *flags)
{
    prepare(cursor, flags);
    if (!imap_take_byte(cursor, '('))
        return imap_fail(cursor, "a list of flags is missing");
    if (imap_take_byte(cursor, ')'))
        return true;
    do {
        if (!take_flag(cursor, flags))
            return false;
    } while (imap_take_byte(cursor, ' '));
    return imap_take_byte(cursor, ')') || imap_fail(cursor, "a list of flags has no end");
}

bool imap_take_flags(struct imap_cursor *cursor, struct imap_flags *flags)
{
    if (imap_next_is(cursor, '('))
        return imap_take_flag_list(cursor, flags);
    prepare(cursor, flags);
    do {
        if (!take_flag(cursor, flags))
            return false;
    } while (imap_take_byte(cursor, ' '));
    return true;
}

void imap_keywords_set(struct imap_keywords *keywords, char *const *names, size_t count)
{
    struct buffer packed = BUFFER_EMPTY;

    imap_keywords_fini(keywords);
    for (size_t i = 0; i < count && i < KEYWORD_COUNT_MAX; i++) {
        buffer_add(&packed, bytes_from(names[i], strlen(names[i]) + 1));
        keywords->count++;
    }
    if (keywords->count > 0) {
        keywords->names = malloc(buffer_len(&packed));
        CHECK(keywords->names != NULL);
        memcpy(keywords->names, buffer_bytes(&packed).at, buffer_len(&packed));
    }
    buffer_fini(&packed);
}

void imap_keywords_fini(struct imap_keywords *keywords)
{
    free(keywords->names);
    *keywords = (struct imap_keywords){NULL, 0};
}

bool imap_keywords_equal(const struct imap_keywords *keywords, char *const *names, size_t count)
{
    const char *name = keywords->names;

    if (count > KEYWORD_COUNT_MAX)
        count = KEYWORD_COUNT_MAX;
    if (count != keywords->count)
        return false;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1)
        if (strcmp(name, names[i]) != 0)
            return false;
    return true;
}

static void add_name(struct buffer *out, bool *first, const char *prefix, const char *name)
{
    buffer_add_string(out, *first ? "" : " ");
    buffer_add_string(out, prefix);
    buffer_add_string(out, name);
    *first = false;
}

static void add_flags(uint64_t flags, const struct imap_keywords *keywords, struct buffer *out,
                      bool *first)
{
    const char *name = keywords->names;

    for (size_t i = 0; i < SYSTEM_FLAG_COUNT; i++)
        if (flags & system_flags[i].bit)
            add_name(out, first, "\\", (const char *)system_flags[i].name.at);
    for (unsigned i = 0; i < keywords->count; i++, name += strlen(name) + 1)
        if (flags >> (KEYWORD_FIRST_BIT + i) & 1)
            add_name(out, first, "", name);
}

void imap_flags_write(uint64_t flags, const struct imap_keywords *keywords, struct buffer *out)
{
    bool first = true;

    buffer_add_byte(out, '(');
    add_flags(flags, keywords, out, &first);
    buffer_add_byte(out, ')');
}

void imap_known_flags_write(const struct imap_keywords *keywords, bool with_star,
                            struct buffer *out)
{
    bool first = true;

    buffer_add_byte(out, '(');
    add_flags(UINT64_MAX, keywords, out, &first);
    if (with_star)
        add_name(out, &first, "\\", "*");
    buffer_add_byte(out, ')');
}
