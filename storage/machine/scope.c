/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/scope.h"

#include "storage/machine/sending.h"
#include "storage/schema/format.h"

struct scope_need {
    struct scope_name name;
    uint64_t limit; /* number of the limit that the command knows of */
    /* What accounts hold that will be counted here from now on. */
    uint64_t fresh_messages;
    uint64_t fresh_bytes;
    uint64_t messages;
    uint64_t bytes;
};

/* ---- rows ---- */

static struct bytes scope_key(struct key *key, uint32_t group, struct scope_name name)
{
    return key_scope(key, group, (uint8_t)name.kind, name.id);
}

bool scope_load(struct db_txn *txn, uint32_t group, struct scope_name name,
                struct scope_record *scope)
{
    struct key key;
    struct bytes row;

    *scope = (struct scope_record){0};
    if (db_get(txn, TABLE_SCOPE, scope_key(&key, group, name), &row) != ERR_OK)
        return false;
    if (!scope_decode(row, scope))
        db_fail(txn, ERR_MALFORMED);
    return true;
}

bool scope_load_at(struct db_txn *txn, uint32_t group, struct scope_name name, uint64_t now_ms,
                   struct scope_record *scope)
{
    bool found = scope_load(txn, group, name, scope);
    struct sending_record sending;

    if (name.kind == PR__SCOPE_KIND__SCOPE_SENDING) {
        sending_tenant_load(txn, group, name.id, now_ms, &sending);
        scope->used_messages = sending_in_hour(&sending);
        scope->used_bytes = sending_in_day(&sending);
    }
    return found;
}

void scope_store(struct db_txn *txn, uint32_t group, struct scope_name name,
                 const struct scope_record *scope)
{
    bool limited = scope->limit != 0 && scope->version != SCOPE_ENDED;
    struct scope_record kept = *scope;
    struct key key;
    struct record row;

    if (name.kind == PR__SCOPE_KIND__SCOPE_SENDING)
        kept.used_bytes = kept.used_messages = 0;
    if (!limited && kept.used_bytes == 0 && kept.used_messages == 0) {
        db_delete(txn, TABLE_SCOPE, scope_key(&key, group, name));
        return;
    }
    scope_encode(&kept, &row);
    db_put(txn, TABLE_SCOPE, scope_key(&key, group, name), record_bytes(&row));
}

Pr__ScopeShare *scope_share(struct arena *arena, uint32_t group, struct scope_name name,
                            const struct scope_record *scope)
{
    Pr__ScopeShare *share = arena_alloc(arena, sizeof(*share));

    pr__scope_share__init(share);
    share->kind = name.kind;
    share->scope_id = name.id;
    share->limit = scope->limit;
    share->version = scope->version;
    share->granted_bytes = scope->granted_bytes;
    share->granted_messages = scope->granted_messages;
    share->used_bytes = scope->used_bytes;
    share->used_messages = scope->used_messages;
    share->group = group;
    return share;
}

/* ---- counting ---- */

static void used_change(struct db_txn *txn, uint32_t group, struct scope_name name,
                        uint64_t messages, uint64_t bytes)
{
    struct scope_record scope;

    if (name.id == 0 || (messages == 0 && bytes == 0))
        return;
    scope_load(txn, group, name, &scope);
    scope.used_messages += messages;
    scope.used_bytes += bytes;
    scope_store(txn, group, name, &scope);
}

/* Of one of an account's scopes: from `was` to `is`. */
static void kind_count(struct db_txn *txn, uint32_t group, Pr__ScopeKind kind, uint64_t was,
                       uint64_t is, const struct account_counted *before,
                       const struct account_counted *now)
{
    if (was == is) {
        used_change(txn, group, (struct scope_name){kind, is}, now->messages - before->messages,
                    now->size - before->size);
        return;
    }
    used_change(txn, group, (struct scope_name){kind, was}, 0 - before->messages,
                0 - before->size);
    used_change(txn, group, (struct scope_name){kind, is}, now->messages, now->size);
}

void scope_count(struct db_txn *txn, uint32_t group, const struct account_counted *before,
                 const struct account_counted *now)
{
    kind_count(txn, group, PR__SCOPE_KIND__SCOPE_DOMAIN, before->domain_id, now->domain_id,
               before, now);
    kind_count(txn, group, PR__SCOPE_KIND__SCOPE_TENANT, before->tenant_id, now->tenant_id,
               before, now);
}

/* ---- which scopes an account is in ---- */

static void scopes_of(const struct apply *apply, const struct account *account,
                      const Pr__AccountScopes *scopes, uint64_t *domain_id, uint64_t *tenant_id)
{
    *domain_id = account->record.domain_id;
    *tenant_id = account->record.tenant_id;
    if (scopes == NULL || apply_format(apply) < FORMAT_SCOPES || scopes->domain_id < *domain_id)
        return;
    if (scopes->domain_id != 0)
        *domain_id = scopes->domain_id;
    if (scopes->tenant_id != 0)
        *tenant_id = scopes->tenant_id;
}

void scope_enrol(const struct apply *apply, struct account *account,
                 const Pr__AccountScopes *scopes)
{
    scopes_of(apply, account, scopes, &account->record.domain_id, &account->record.tenant_id);
}

/* ---- room ---- */

static struct scope_need *need_of(struct apply *apply, struct scope_needs *needs,
                                  struct scope_name name)
{
    for (size_t i = needs->count; i-- > 0;)
        if (needs->at[i].name.kind == name.kind && needs->at[i].name.id == name.id)
            return &needs->at[i];
    if (needs->count == needs->room) {
        size_t room = needs->room == 0 ? 4 : 4 * needs->room;
        struct scope_need *wider = arena_alloc(apply->arena, room * sizeof(*wider));
        if (needs->count > 0)
            memcpy(wider, needs->at, needs->count * sizeof(*wider));
        needs->at = wider;
        needs->room = room;
    }
    needs->at[needs->count] = (struct scope_need){.name = name};
    return &needs->at[needs->count++];
}

/* In one scope; `fresh`: the account will be counted there from now on. */
static void need_add(struct apply *apply, struct scope_needs *needs, struct scope_name name,
                     uint64_t limit, const struct account *fresh, uint64_t messages,
                     uint64_t size)
{
    struct scope_need *need;

    if (name.id == 0)
        return;
    need = need_of(apply, needs, name);
    if (limit > need->limit)
        need->limit = limit;
    if (fresh != NULL) {
        need->fresh_messages += fresh->record.messages;
        need->fresh_bytes += fresh->record.size;
    }
    need->messages += messages;
    need->bytes += size;
}

void scope_needs_add(struct apply *apply, struct scope_needs *needs,
                     const struct account *account, const Pr__AccountScopes *scopes, bool known,
                     uint64_t messages, uint64_t size)
{
    uint64_t domain_id;
    uint64_t tenant_id;

    if (scopes == NULL)
        return;
    scopes_of(apply, account, scopes, &domain_id, &tenant_id);
    need_add(apply, needs, (struct scope_name){PR__SCOPE_KIND__SCOPE_DOMAIN, domain_id},
             domain_id == scopes->domain_id ? scopes->domain_limit : 0,
             !known && domain_id != account->record.domain_id ? account : NULL, messages, size);
    need_add(apply, needs, (struct scope_name){PR__SCOPE_KIND__SCOPE_TENANT, tenant_id},
             tenant_id == scopes->tenant_id ? scopes->tenant_limit : 0,
             !known && tenant_id != account->record.tenant_id ? account : NULL, messages, size);
}

static bool fits(uint64_t granted, uint64_t used, uint64_t more)
{
    return granted == SCOPE_UNLIMITED || (used <= granted && more <= granted - used);
}

static enum err need_refuse(struct apply *apply, const struct scope_need *need,
                            const struct scope_record *scope)
{
    bool sending = need->name.kind == PR__SCOPE_KIND__SCOPE_SENDING;
    bool domain = need->name.kind == PR__SCOPE_KIND__SCOPE_DOMAIN;

    apply->outcome->share = scope_share(apply->arena, apply->group, need->name, scope);
    apply->outcome->share->need_messages = need->messages;
    apply->outcome->share->need_bytes = need->bytes;
    if (sending)
        return apply_refuse(apply, ERR_GRANT,
                            "group %u has sent to %llu recipients of tenant %llu in an hour "
                            "and %llu in a day, and may send to %llu and %llu",
                            apply->group, (unsigned long long)scope->used_messages,
                            (unsigned long long)need->name.id,
                            (unsigned long long)scope->used_bytes,
                            (unsigned long long)scope->granted_messages,
                            (unsigned long long)scope->granted_bytes);
    return apply_refuse(
        apply, ERR_GRANT,
        "group %u holds %llu bytes and %llu messages of %s %llu, and may hold %llu and %llu",
        apply->group, (unsigned long long)scope->used_bytes,
        (unsigned long long)scope->used_messages, domain ? "domain" : "tenant",
        (unsigned long long)need->name.id, (unsigned long long)scope->granted_bytes,
        (unsigned long long)scope->granted_messages);
}

static enum err need_check(struct apply *apply, const struct scope_need *need)
{
    struct scope_record scope;

    scope_load_at(apply->txn, apply->group, need->name, apply_clock_ms(apply), &scope);
    if (scope.limit < need->limit) { /* what is granted is of a limit that is not any more */
        scope.limit = need->limit;
        scope.version = scope.granted_bytes = scope.granted_messages = 0;
    }
    if (scope.limit == 0)
        return ERR_OK;
    scope.used_messages += need->fresh_messages;
    scope.used_bytes += need->fresh_bytes;
    if (fits(scope.granted_messages, scope.used_messages, need->messages) &&
        fits(scope.granted_bytes, scope.used_bytes, need->bytes))
        return ERR_OK;
    return need_refuse(apply, need, &scope);
}

enum err scope_room_check(struct apply *apply, struct scope_name name, uint64_t limit,
                          uint64_t messages, uint64_t bytes)
{
    const struct scope_need need = {
        .name = name, .limit = limit, .messages = messages, .bytes = bytes};

    return need_check(apply, &need);
}

enum err scope_needs_check(struct apply *apply, const struct scope_needs *needs)
{
    for (size_t i = 0; i < needs->count; i++) {
        enum err err = need_check(apply, &needs->at[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err scope_check(struct apply *apply, const struct account *account,
                     const Pr__AccountScopes *scopes, uint64_t messages, uint64_t size)
{
    struct scope_needs needs = {0};

    scope_needs_add(apply, &needs, account, scopes, false, messages, size);
    return scope_needs_check(apply, &needs);
}
