/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/text.h"
#include "tests/unit/imap/fake_internal.h"

/* As much of searching as the tests of the session need: what is found is the store's business.
 */

static bool contains(struct bytes text, const char *wanted)
{
    struct bytes needle = bytes_of(wanted);

    for (size_t i = 0; i + needle.len <= text.len; i++)
        if (bytes_equal_nocase(bytes_from(text.at + i, needle.len), needle))
            return true;
    return needle.len == 0;
}

static bool header_contains(struct bytes body, const char *name, const char *wanted)
{
    struct mail_field field;

    while (mail_field_next(&body, &field))
        if (bytes_equal_nocase(field.name, bytes_of(name)) && contains(field.value, wanted))
            return true;
    return false;
}

/* Recursion ends where the parser's limits do. */
bool fake_search_matches(const struct fake_store *store, const struct fake_message *message,
                         const Pr__SearchKey *key)
{
    size_t matched = 0;

    for (size_t i = 0; i < key->n_keys; i++)
        matched += fake_search_matches(store, message, key->keys[i]);
    switch (key->kind) {
    case PR__SEARCH_KEY__KIND__ALL:
        return true;
    case PR__SEARCH_KEY__KIND__AND:
        return matched == key->n_keys;
    case PR__SEARCH_KEY__KIND__OR:
        return matched > 0;
    case PR__SEARCH_KEY__KIND__NOT:
        return matched == 0;
    case PR__SEARCH_KEY__KIND__FLAGS_ALL:
        return (message->flags & key->flags) == key->flags;
    case PR__SEARCH_KEY__KIND__FLAGS_NONE:
        return (message->flags & key->flags) == 0;
    case PR__SEARCH_KEY__KIND__UID:
        return fake_uids_have(key->uids, key->n_uids, message->uid);
    case PR__SEARCH_KEY__KIND__HEADER:
        return header_contains(message->body, key->name, key->text);
    case PR__SEARCH_KEY__KIND__SUBJECT:
        return header_contains(message->body, "Subject", key->text);
    case PR__SEARCH_KEY__KIND__TEXT:
        return contains(message->body, key->text);
    case PR__SEARCH_KEY__KIND__LARGER:
        return message->body.len > (uint64_t)key->number;
    case PR__SEARCH_KEY__KIND__SMALLER:
        return message->body.len < (uint64_t)key->number;
    default:
        return false;
    }
}
