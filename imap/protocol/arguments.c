/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/arguments.h"

#include "imap/protocol/limits.h"
#include "imap/protocol/mailbox_name.h"

bool imap_parse_nothing(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    (void)arguments;
    return imap_take_end(cursor);
}

bool imap_parse_login(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_astring(cursor, &arguments->login.user) &&
           imap_take_space(cursor) && imap_take_astring(cursor, &arguments->login.password) &&
           imap_take_end(cursor);
}

bool imap_parse_authenticate(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    if (!imap_take_space(cursor) || !imap_take_atom(cursor, &arguments->authenticate.mechanism))
        return false;
    arguments->authenticate.has_initial = !imap_at_end(cursor);
    if (!arguments->authenticate.has_initial)
        return true;
    return imap_take_space(cursor) &&
           imap_take_atom(cursor, &arguments->authenticate.initial) && imap_take_end(cursor);
}

bool imap_parse_enable(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    struct bytes capability;

    (void)arguments;
    for (unsigned count = 0; count == 0 || !imap_at_end(cursor); count++) {
        if (count == IMAP_ENABLE_MAX)
            return imap_fail_limit(cursor, "Too many capabilities");
        if (!imap_take_space(cursor) || !imap_take_atom(cursor, &capability))
            return false;
    }
    return true;
}

/* RFC 2971: NIL, or pairs of a string and a string or NIL. */
bool imap_parse_id(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    struct bytes text;

    arguments->id.pairs = 0;
    if (!imap_take_space(cursor))
        return false;
    if (imap_take_keyword(cursor, BYTES("NIL")))
        return imap_take_end(cursor);
    if (!imap_take_byte(cursor, '('))
        return imap_fail(cursor, "a list is missing");
    while (!imap_take_byte(cursor, ')')) {
        if (arguments->id.pairs++ == IMAP_ID_PAIRS_MAX)
            return imap_fail_limit(cursor, "Too many pairs");
        if (arguments->id.pairs > 1 && !imap_take_space(cursor))
            return false;
        if (!imap_take_string(cursor, &text) || !imap_take_space(cursor) ||
            !imap_take_nstring(cursor, &text))
            return false;
    }
    return imap_take_end(cursor);
}

bool imap_parse_mailbox(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_mailbox(cursor, &arguments->mailbox.name) &&
           imap_take_end(cursor);
}

bool imap_parse_select(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    if (!imap_take_space(cursor) || !imap_take_mailbox(cursor, &arguments->mailbox.name))
        return false;
    return imap_at_end(cursor) || imap_fail(cursor, "unknown parameters");
}

static const struct use_row {
    struct bytes name;
    enum special_use use;
} use_rows[] = {
    {BYTES_INIT("Drafts"), SPECIAL_DRAFTS},   {BYTES_INIT("Sent"), SPECIAL_SENT},
    {BYTES_INIT("Junk"), SPECIAL_JUNK},       {BYTES_INIT("Trash"), SPECIAL_TRASH},
    {BYTES_INIT("Archive"), SPECIAL_ARCHIVE},
};

/* " (USE (\Sent))" (RFC 6154 section 3) */
static bool take_use(struct imap_cursor *cursor, unsigned *use)
{
    struct bytes name;

    *use = SPECIAL_NONE;
    if (imap_at_end(cursor))
        return true;
    if (!imap_take_space(cursor) || !imap_take_byte(cursor, '(') ||
        !imap_take_keyword(cursor, BYTES("USE")) || !imap_take_space(cursor) ||
        !imap_take_byte(cursor, '('))
        return imap_fail(cursor, "unknown parameters");
    if (imap_take_byte(cursor, '\\')) {
        if (!imap_take_atom(cursor, &name))
            return false;
        for (size_t i = 0; i < sizeof(use_rows) / sizeof(use_rows[0]); i++)
            if (bytes_equal_nocase(name, use_rows[i].name))
                *use = use_rows[i].use;
        if (*use == SPECIAL_NONE || !imap_next_is(cursor, ')'))
            return imap_fail_cannot(cursor, "No such special use");
    }
    return (imap_take_byte(cursor, ')') && imap_take_byte(cursor, ')')) ||
           imap_fail(cursor, "a list has no end");
}

bool imap_parse_create(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_new_mailbox(cursor, &arguments->mailbox.name) &&
           take_use(cursor, &arguments->mailbox.special_use) && imap_take_end(cursor);
}

bool imap_parse_rename(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_mailbox(cursor, &arguments->rename.from) &&
           imap_take_space(cursor) && imap_take_new_mailbox(cursor, &arguments->rename.to) &&
           imap_take_end(cursor);
}

bool imap_parse_status(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_mailbox(cursor, &arguments->status.name) &&
           imap_take_space(cursor) &&
           imap_take_status_items(cursor, &arguments->status.items) && imap_take_end(cursor);
}

bool imap_parse_quota_root(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    arguments->quota.of_mailbox = false;
    return imap_take_space(cursor) && imap_take_astring(cursor, &arguments->quota.name) &&
           imap_take_end(cursor);
}

bool imap_parse_quota_mailbox(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    arguments->quota.of_mailbox = true;
    return imap_take_space(cursor) && imap_take_mailbox(cursor, &arguments->quota.name) &&
           imap_take_end(cursor);
}

bool imap_parse_list(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_list(cursor, &arguments->list) &&
           imap_take_end(cursor);
}

bool imap_parse_lsub(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_lsub(cursor, &arguments->list) &&
           imap_take_end(cursor);
}

bool imap_parse_fetch(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_sequence(cursor, &arguments->fetch.sequence) &&
           imap_take_space(cursor) && imap_take_fetch_items(cursor, &arguments->fetch.items) &&
           imap_take_end(cursor);
}

bool imap_parse_store(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    struct bytes word;

    if (!imap_take_space(cursor) || !imap_take_sequence(cursor, &arguments->store.sequence) ||
        !imap_take_space(cursor))
        return false;
    arguments->store.mode = IMAP_STORE_SET;
    if (imap_take_byte(cursor, '+'))
        arguments->store.mode = IMAP_STORE_ADD;
    else if (imap_take_byte(cursor, '-'))
        arguments->store.mode = IMAP_STORE_REMOVE;
    if (!imap_take_word(cursor, &word))
        return false;
    arguments->store.silent = bytes_equal_nocase(word, BYTES("FLAGS.SILENT"));
    if (!arguments->store.silent && !bytes_equal_nocase(word, BYTES("FLAGS")))
        return imap_fail(cursor, "only flags can be stored");
    return imap_take_space(cursor) && imap_take_flags(cursor, &arguments->store.flags) &&
           imap_take_end(cursor);
}

bool imap_parse_copy(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_sequence(cursor, &arguments->copy.sequence) &&
           imap_take_space(cursor) && imap_take_mailbox(cursor, &arguments->copy.name) &&
           imap_take_end(cursor);
}

bool imap_parse_search(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_search(cursor, &arguments->search) &&
           imap_take_end(cursor);
}

bool imap_parse_sequence(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    return imap_take_space(cursor) && imap_take_sequence(cursor, &arguments->sequence) &&
           imap_take_end(cursor);
}

bool imap_parse_append(struct imap_cursor *cursor, struct imap_arguments *arguments)
{
    struct bytes date;

    if (!imap_take_space(cursor) || !imap_take_mailbox(cursor, &arguments->append.name) ||
        !imap_take_space(cursor))
        return false;
    arguments->append.flags = (struct imap_flags){.system = 0};
    if (imap_next_is(cursor, '(') &&
        (!imap_take_flag_list(cursor, &arguments->append.flags) || !imap_take_space(cursor)))
        return false;
    arguments->append.has_date = imap_next_is(cursor, '"');
    if (arguments->append.has_date) {
        if (!imap_take_string(cursor, &date) ||
            !mail_date_parse_imap(date, &arguments->append.date))
            return imap_fail(cursor, "a wrong date");
        if (!imap_take_space(cursor))
            return false;
    }
    if (!imap_next_is(cursor, '{'))
        return imap_fail(cursor, "the message is no literal");
    cursor->rest = bytes_skip(cursor->rest, cursor->rest.len);
    return true;
}
