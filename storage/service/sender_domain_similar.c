/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sender_domain_similar.h"

#include "storage/db/key.h"
#include "storage/machine/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/sender_domain_likeness.h"

/* Takes a word off the front; empty: there is no more. */
static struct bytes next_word(struct bytes *list)
{
    size_t at = 0;

    while (at < list->len && strchr(" \t\r\n", list->at[at]) != NULL)
        at++;
    *list = bytes_skip(*list, at);
    for (at = 0; at < list->len && strchr(" \t\r\n", list->at[at]) == NULL;)
        at++;
    struct bytes word = bytes_from(list->at, at);
    *list = bytes_skip(*list, at);
    return word;
}

/* False: the domain is one of them itself. */
static bool look_at_named(const struct likeness *likeness, struct bytes list,
                          struct arena *arena, struct bytes *found)
{
    for (struct bytes word; (word = next_word(&list)).len > 0;) {
        if (likeness_same(likeness, word))
            return false;
        if (found->len == 0 && likeness_with(likeness, word, LIKENESS_NEAR))
            *found = arena_copy(arena, word);
    }
    return true;
}

static bool look_at_own(const struct likeness *likeness, struct db_txn *txn,
                        struct arena *arena, struct bytes *found)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    bool other = true;
    size_t prefix_len = key_group(&prefix, DIRECTORY_GROUP).len;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_DOMAIN, key_group(&prefix, DIRECTORY_GROUP));
    bool more = db_cursor_first(cursor, &key, &row);

    for (unsigned looks = 0; other && more && looks < SENDER_SIMILAR_LOOKS_MAX; looks++) {
        struct bytes name = bytes_skip(key, prefix_len);
        other = !likeness_same(likeness, name);
        if (found->len == 0 && likeness_with(likeness, name, LIKENESS_LOOKS))
            *found = arena_copy(arena, name);
        more = db_cursor_next(cursor, &key, &row);
    }
    db_cursor_close(&cursor);
    return other;
}

struct bytes sender_domain_similar(struct db_txn *txn, const struct settings *settings,
                                   struct bytes domain, struct arena *arena)
{
    const struct bytes none = bytes_from(NULL, 0);
    struct bytes found = none;
    bool other;

    if (!setting_on(settings, SETTING_JUDGE_DOMAIN_SIMILAR_ENABLED))
        return none;
    struct likeness *likeness = likeness_new(domain);
    if (likeness == NULL)
        return none;
    other = look_at_named(likeness, setting_text(settings, SETTING_NEWDOMAIN_PROTECTED), arena,
                          &found);
    if (other && setting_on(settings, SETTING_NEWDOMAIN_PROTECT_OWN))
        other = look_at_own(likeness, txn, arena, &found);
    likeness_free(&likeness);
    return other ? found : none;
}
