/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which group an account is in, and which it goes to. What these commands say is the truth; the
 * groups follow it. An attempt's number is the index of its entry in this log, so that it
 * ascends for good.
 */
#include "storage/machine/dedupe.h"
#include "storage/machine/directory_rows.h"
#include "storage/machine/directory_scopes.h"
#include "storage/schema/format.h"

static struct bytes move_key(struct key *key, uint64_t account_id)
{
    return key_number(key, DIRECTORY_GROUP, account_id);
}

static Pr__MoveRecord *move_load(struct apply *apply, uint64_t account_id)
{
    struct key key;

    return directory_load(apply->txn, TABLE_ACCOUNT_MOVE, move_key(&key, account_id),
                          &pr__move_record__descriptor, apply->arena);
}

static void move_store(struct apply *apply, const Pr__MoveRecord *move)
{
    struct key key;

    directory_store(apply, TABLE_ACCOUNT_MOVE, move_key(&key, move->account_id), &move->base);
    apply->events->moves_changed = true;
}

void directory_move_forget(struct apply *apply, uint64_t account_id)
{
    struct key key;

    if (db_delete(apply->txn, TABLE_ACCOUNT_MOVE, move_key(&key, account_id)))
        apply->events->moves_changed = true;
}

/* The account of an address; refuses when there is none. */
static enum err account_find(struct apply *apply, const char *address, struct bytes *local,
                             struct bytes *domain, Pr__AccountRecord **account)
{
    enum err err;

    if ((err = directory_address_check(apply, address, local, domain, account)) != ERR_OK)
        return err;
    if (*account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", address);
    return ERR_OK;
}

static unsigned moves_count(struct apply *apply)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_ACCOUNT_MOVE, key_group(&prefix, DIRECTORY_GROUP));
    unsigned count = 0;

    for (bool more = db_cursor_first(cursor, &key, &row); more && count < MOVES_MAX;
         more = db_cursor_next(cursor, &key, &row))
        count++;
    db_cursor_close(&cursor);
    return count;
}

/* How many of the former groups still count; these come first then, in their order. */
static size_t former_keep(struct apply *apply, Pr__AccountRecord *account)
{
    uint64_t now_ms = apply_clock_ms(apply);
    size_t kept = 0;

    for (size_t i = 0; i < account->n_former; i++)
        if (account->former[i]->until_ms + DEDUPE_KEPT_MS > now_ms)
            account->former[kept++] = account->former[i];
    return kept;
}

static enum err begin_check(struct apply *apply, const char *address, uint32_t to,
                            Pr__AccountRecord *account)
{
    const Pr__GroupRecord *group;
    const Pr__MoveRecord *move = move_load(apply, account->id);

    if (move != NULL)
        return apply_refuse(apply, ERR_BUSY, "%s is on its way to group %u already", address,
                            move->to);
    if (account->group == to)
        return apply_refuse(apply, ERR_EXISTS, "%s is in group %u", address, to);
    group = to == DIRECTORY_GROUP ? NULL : directory_group_load(apply, to);
    if (group == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group %u", to);
    if (directory_group_unborn(group))
        return apply_refuse(apply, ERR_BUSY, "group %u is not there yet", to);
    if (former_keep(apply, account) >= FORMER_GROUPS_MAX)
        return apply_refuse(apply, ERR_BUSY, "%s was moved %d times in the last 24 hours",
                            address, FORMER_GROUPS_MAX);
    if (moves_count(apply) >= MOVES_MAX)
        return apply_refuse(apply, ERR_BUSY, "%d accounts are on their way", MOVES_MAX);
    return ERR_OK;
}

enum err apply_account_move_begin(struct apply *apply)
{
    const Pr__AccountMoveBegin *call = apply->command->account_move_begin;
    Pr__MoveRecord move = PR__MOVE_RECORD__INIT;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = account_find(apply, call->address, &local, &domain, &account)) != ERR_OK ||
        (err = begin_check(apply, call->address, call->group, account)) != ERR_OK)
        return err;
    move.account_id = account->id;
    move.address = call->address;
    move.from = account->group;
    move.to = call->group;
    move.begun_ms = apply->command->time_ms;
    move_store(apply, &move);
    apply->outcome->id = account->id;
    return ERR_OK;
}

enum err apply_account_move_claim(struct apply *apply)
{
    const Pr__AccountMoveClaim *call = apply->command->account_move_claim;
    Pr__MoveRecord *move = move_load(apply, call->account_id);

    if (move == NULL || move->from != call->from)
        return apply_refuse(apply, ERR_NOTFOUND, "account %llu is not to leave group %u",
                            (unsigned long long)call->account_id, call->from);
    move->attempt = apply->record.applied;
    move_store(apply, move);
    apply->outcome->id = move->attempt;
    return ERR_OK;
}

/* One account less in the one group, one more in the other. */
static void groups_count(struct apply *apply, const Pr__MoveRecord *move)
{
    Pr__GroupRecord *from = directory_group_load(apply, move->from);
    Pr__GroupRecord *to = directory_group_load(apply, move->to);

    if (from != NULL && from->accounts > 0) {
        from->accounts--;
        directory_group_store(apply, from);
    }
    if (to != NULL) {
        to->accounts++;
        directory_group_store(apply, to);
    }
}

/* Remembers where the account was. */
static void former_add(struct apply *apply, Pr__AccountRecord *account)
{
    size_t kept = former_keep(apply, account);
    Pr__FormerGroup **list = arena_alloc(apply->arena, (kept + 1) * sizeof(*list));
    Pr__FormerGroup *newest = arena_alloc(apply->arena, sizeof(*newest));

    for (size_t i = 0; i < kept; i++)
        list[i] = account->former[i];
    pr__former_group__init(newest);
    newest->group = account->group;
    newest->until_ms = apply->command->time_ms;
    list[kept] = newest;
    account->former = list;
    account->n_former = kept + 1;
}

/* What the account holds is held in its new group now, and what was granted for it. */
static void scopes_move(struct apply *apply, struct bytes domain_name, uint32_t from,
                        uint32_t to)
{
    const Pr__AccountMoveDone *call = apply->command->account_move_done;
    const Pr__DomainRecord *domain = directory_domain_load(apply, domain_name);
    const Pr__TenantRecord *tenant;

    if (domain == NULL || apply_format(apply) < FORMAT_SCOPES)
        return;
    directory_scope_moved(apply, PR__SCOPE_KIND__SCOPE_DOMAIN, domain->id, from, to,
                          call->messages, call->bytes);
    if ((tenant = directory_tenant_load(apply, domain->tenant)) != NULL)
        directory_scope_moved(apply, PR__SCOPE_KIND__SCOPE_TENANT, tenant->id, from, to,
                              call->messages, call->bytes);
}

enum err apply_account_move_done(struct apply *apply)
{
    const Pr__AccountMoveDone *call = apply->command->account_move_done;
    Pr__MoveRecord *move = move_load(apply, call->account_id);
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if (move == NULL || call->attempt == 0 || move->attempt != call->attempt)
        return apply_refuse(apply, ERR_CONFLICT, "there was a newer attempt, or an end");
    if ((err = account_find(apply, move->address, &local, &domain, &account)) != ERR_OK)
        return err;
    if (account->id != call->account_id || account->group != move->from)
        return apply_refuse(apply, ERR_CONFLICT, "another account has that address");
    former_add(apply, account);
    account->group = move->to;
    directory_account_store(apply, local, domain, account);
    groups_count(apply, move);
    scopes_move(apply, domain, move->from, move->to);
    directory_move_forget(apply, account->id);
    event_account_moved(apply, account->id, account->group);
    return ERR_OK;
}

enum err apply_account_move_cancel(struct apply *apply)
{
    const char *address = apply->command->account_move_cancel->address;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    enum err err;

    if ((err = account_find(apply, address, &local, &domain, &account)) != ERR_OK)
        return err;
    if (move_load(apply, account->id) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "%s is not on its way to another group",
                            address);
    directory_move_forget(apply, account->id);
    apply->outcome->id = account->id;
    return ERR_OK;
}
