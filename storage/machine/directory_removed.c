/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Removed accounts whose mail is still in their group. Nothing is delivered to them and nobody
 * logs in; whoever brings one back in time finds everything as it was. When it is due, the
 * directory's leader has the group purge it, and takes the row away when that is done: so a
 * removal that was cut short is finished by whoever leads next.
 */
#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_settings.h"

static void due_store(struct apply *apply, const Pr__PurgeDueRecord *due)
{
    struct key key;

    directory_store(apply, TABLE_PURGE_DUE, key_number(&key, DIRECTORY_GROUP, due->account->id),
                    &due->base);
}

void directory_purge_due_add(struct apply *apply, Pr__AccountRecord *account, uint64_t keep_ms)
{
    Pr__PurgeDueRecord due = PR__PURGE_DUE_RECORD__INIT;
    uint64_t now_ms = apply->command->time_ms;

    due.account = account;
    due.removed_ms = now_ms;
    due.due_ms = keep_ms <= UINT64_MAX - now_ms ? now_ms + keep_ms : UINT64_MAX;
    due_store(apply, &due);
}

/* The rows of an address, the last removed first in line. NULL: there is none behind `after`.
 */
static Pr__PurgeDueRecord *due_find(struct apply *apply, struct bytes address, uint64_t after)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_PURGE_DUE, key_group(&prefix, DIRECTORY_GROUP));
    Pr__PurgeDueRecord *found = NULL;

    for (bool more =
             db_cursor_seek(cursor, key_number(&at, DIRECTORY_GROUP, after + 1), &key, &row);
         more && found == NULL; more = db_cursor_next(cursor, &key, &row)) {
        Pr__PurgeDueRecord *due =
            directory_unpack(apply->txn, row, &pr__purge_due_record__descriptor, apply->arena);
        if (due != NULL && due->account != NULL &&
            bytes_equal(bytes_of(due->account->address), address))
            found = due;
    }
    db_cursor_close(&cursor);
    return found;
}

/* Refuses what cannot come back, and a restore after its time: the purge may be under way. */
static enum err restore_check(struct apply *apply, const char *address, struct bytes *local,
                              struct bytes *domain, Pr__PurgeDueRecord **due)
{
    Pr__AccountRecord *known;
    Pr__DomainRecord *home;
    Pr__PurgeDueRecord *next = NULL;
    enum err err;

    if ((err = directory_address_check(apply, address, local, domain, &known)) != ERR_OK)
        return err;
    if (known != NULL)
        return apply_refuse(apply, ERR_EXISTS, "there is an account %s again", address);
    for (*due = NULL; (next = due_find(apply, bytes_of(address),
                                       next != NULL ? next->account->id : 0)) != NULL;)
        if (next->due_ms > apply->command->time_ms)
            *due = next; /* of several the last removed: ids ascend */
    if (*due == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "no account %s that can be brought back",
                            address);
    if ((home = directory_domain_load(apply, *domain)) == NULL)
        return apply_refuse(apply, ERR_INVALID, "the domain %.*s is gone", BYTES_ARG(*domain));
    return directory_address_free(apply, home, *local, address);
}

enum err apply_account_restore(struct apply *apply)
{
    const char *address = apply->command->account_restore->address;
    Pr__PurgeDueRecord *due = NULL;
    Pr__DomainRecord *domain;
    struct bytes local;
    struct bytes domain_name;
    struct key key;
    enum err err;

    if ((err = restore_check(apply, address, &local, &domain_name, &due)) != ERR_OK)
        return err;
    domain = directory_domain_load(apply, domain_name);
    due->account->tenant = domain->tenant; /* the domain may belong to another one by now */
    directory_account_store(apply, local, domain_name, due->account);
    db_put(apply->txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, due->account->id),
           bytes_of(address));
    directory_account_count(apply, domain_name, due->account->group, true);
    db_delete(apply->txn, TABLE_PURGE_DUE, key_number(&key, DIRECTORY_GROUP, due->account->id));
    apply->outcome->id = due->account->id;
    return ERR_OK;
}

enum err apply_purge_done(struct apply *apply)
{
    uint64_t account_id = apply->command->purge_done->account_id;
    struct key key;

    if (db_delete(apply->txn, TABLE_PURGE_DUE, key_number(&key, DIRECTORY_GROUP, account_id)))
        directory_settings_forget(apply, PR__SETTING_SCOPE__SETTING_ACCOUNT, account_id);
    return ERR_OK;
}

enum err apply_purge_now(struct apply *apply)
{
    struct bytes address = bytes_of(apply->command->purge_now->address);
    Pr__PurgeDueRecord *due = due_find(apply, address, 0);

    if (due == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "no mail of a removed account %.*s",
                            BYTES_ARG(address));
    for (; due != NULL; due = due_find(apply, address, due->account->id)) {
        if (due->due_ms > apply->command->time_ms)
            due->due_ms = apply->command->time_ms;
        due_store(apply, due);
    }
    return ERR_OK;
}
