/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/keyword.h"

#include "node/base/check.h"

enum err account_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                         struct account *account, struct mailbox *mailbox)
{
    if (account_id == 0)
        return apply_refuse(apply, ERR_INVALID, "no account");
    account_load(apply->txn, apply->group, account_id, account);
    if (account_writable(apply, account) != ERR_OK)
        return apply->outcome->err;
    if (mailbox_id == 0 || !mailbox_load(apply->txn, account, mailbox_id, mailbox))
        return apply_refuse(apply, ERR_NOTFOUND, "no such mailbox");
    return ERR_OK;
}

enum err flags_check(struct apply *apply, uint64_t flags)
{
    if (flags & ~(uint64_t)FLAGS_SYSTEM)
        return apply_refuse(apply, ERR_INVALID, "flags that there are not");
    return ERR_OK;
}

void keyword_list(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
                  unsigned count, struct arena *arena, struct bytes **names)
{
    *names = arena_alloc(arena, (count + 1) * sizeof(**names));
    for (unsigned i = 0; i < count; i++) {
        struct key key;
        struct bytes name;

        if (db_get(txn, TABLE_KEYWORD,
                   key_uid(&key, account->group, account->id, mailbox_id, i), &name) != ERR_OK)
            db_fail(txn, ERR_MALFORMED);
        (*names)[i] = arena_copy(arena, name);
    }
}

/* An atom (RFC 3501 section 9): also what may stand in a list of flags unquoted. */
static bool keyword_valid(struct bytes name)
{
    if (name.len < 1 || name.len > KEYWORD_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 0x7f || strchr("(){%*\"\\]", name.at[i]) != NULL)
            return false;
    return true;
}

static unsigned name_find(const struct bytes *names, unsigned count, struct bytes name)
{
    unsigned i = 0;

    while (i < count && !bytes_equal_nocase(names[i], name))
        i++;
    return i;
}

enum err keyword_check(struct apply *apply, const struct account *account,
                       const struct mailbox *mailbox, char **names, size_t count, bool make,
                       struct keyword_set *set)
{
    unsigned have = mailbox->record.keywords;
    struct bytes *known;

    *set = (struct keyword_set){0};
    if (count == 0)
        return ERR_OK;
    keyword_list(apply->txn, account, mailbox->id, have, apply->arena, &known);
    set->added = arena_alloc(apply->arena, KEYWORD_COUNT_MAX * sizeof(*set->added));
    for (size_t i = 0; i < count; i++) {
        struct bytes name = bytes_of(names[i]);
        unsigned number;

        if (!keyword_valid(name))
            return apply_refuse(apply, ERR_INVALID, "not a keyword");
        number = name_find(known, have, name);
        if (number < have) {
            set->known |= (uint64_t)1 << (KEYWORD_FIRST_BIT + number);
            continue;
        }
        if (!make || name_find(set->added, set->added_count, name) < set->added_count)
            continue;
        if (have + set->added_count == KEYWORD_COUNT_MAX)
            return apply_refuse(apply, ERR_TOOBIG, "more than %d keywords in a mailbox",
                                KEYWORD_COUNT_MAX);
        set->added[set->added_count++] = name;
    }
    return ERR_OK;
}

uint64_t keyword_make(struct apply *apply, const struct account *account,
                      struct mailbox *mailbox, const struct keyword_set *set)
{
    uint64_t bits = set->known;

    for (unsigned i = 0; i < set->added_count; i++) {
        struct key key;
        unsigned number = mailbox->record.keywords++;

        CHECK(number < KEYWORD_COUNT_MAX);
        db_put(apply->txn, TABLE_KEYWORD,
               key_uid(&key, account->group, account->id, mailbox->id, number), set->added[i]);
        bits |= (uint64_t)1 << (KEYWORD_FIRST_BIT + number);
    }
    return bits;
}
