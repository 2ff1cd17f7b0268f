/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a group hears from the directory about limits of domains and tenants, what it gives
 * back, and accounts that nobody has counted yet. What is granted to a group is never more
 * than its part in the directory: more comes from there, less is written down here first.
 */
#include "storage/machine/scope.h"

#include "storage/machine/sending.h"
#include "storage/schema/format.h"

static enum err name_check(struct apply *apply, Pr__ScopeKind kind, uint64_t id, uint64_t limit)
{
    bool sending =
        kind == PR__SCOPE_KIND__SCOPE_SENDING && apply_format(apply) >= FORMAT_ADDRESSES;

    if (kind != PR__SCOPE_KIND__SCOPE_DOMAIN && kind != PR__SCOPE_KIND__SCOPE_TENANT &&
        !sending)
        return apply_refuse(apply, ERR_INVALID, "a scope of kind %d", (int)kind);
    if (id == 0 || limit == 0)
        return apply_refuse(apply, ERR_INVALID, "no scope, or no limit on it");
    return ERR_OK;
}

enum err scope_share_check(struct apply *apply, const Pr__ScopeShare *share)
{
    if (share == NULL)
        return apply_refuse(apply, ERR_INVALID, "a grant of nothing");
    return name_check(apply, share->kind, share->scope_id, share->limit);
}

void scope_hear(struct apply *apply, const Pr__ScopeShare *share, struct scope_record *scope)
{
    struct scope_name name = {share->kind, share->scope_id};
    bool ended = share->version == SCOPE_ENDED;

    scope_load_at(apply->txn, apply->group, name, apply_clock_ms(apply), scope);
    if (share->limit < scope->limit ||
        (share->limit == scope->limit && share->version <= scope->version))
        return;
    scope->limit = share->limit;
    scope->version = share->version;
    scope->granted_bytes = ended ? SCOPE_UNLIMITED : share->granted_bytes;
    scope->granted_messages = ended ? SCOPE_UNLIMITED : share->granted_messages;
    scope_store(apply->txn, apply->group, name, scope);
    if (ended && name.kind == PR__SCOPE_KIND__SCOPE_SENDING)
        sending_tenant_drop(apply->txn, apply->group, name.id, apply_clock_ms(apply));
}

enum err apply_scope_grant(struct apply *apply)
{
    const Pr__ScopeShare *share = apply->command->scope_grant->share;
    struct scope_record scope;
    enum err err;

    if ((err = scope_share_check(apply, share)) != ERR_OK)
        return err;
    scope_hear(apply, share, &scope);
    apply->outcome->share = scope_share(
        apply->arena, apply->group, (struct scope_name){share->kind, share->scope_id}, &scope);
    return ERR_OK;
}

/* What stays of a grant when `keep` beyond what is used does. */
static uint64_t kept(uint64_t granted, uint64_t used, uint64_t keep)
{
    uint64_t wanted = keep <= UINT64_MAX - used ? used + keep : UINT64_MAX;

    return granted < wanted ? granted : wanted;
}

enum err apply_scope_return(struct apply *apply)
{
    const Pr__ScopeReturn *call = apply->command->scope_return;
    struct scope_record scope;
    struct scope_name name = {call->kind, call->scope_id};
    enum err err;

    if ((err = name_check(apply, call->kind, call->scope_id, call->limit)) != ERR_OK)
        return err;
    scope_load_at(apply->txn, apply->group, name, apply_clock_ms(apply), &scope);
    if (scope.limit != call->limit || scope.version != call->version ||
        scope.version == SCOPE_ENDED) {
        apply->outcome->share = scope_share(apply->arena, apply->group, name, &scope);
        return apply_refuse(apply, ERR_CONFLICT, "what is granted has changed");
    }
    scope.granted_bytes = kept(scope.granted_bytes, scope.used_bytes, call->keep_bytes);
    scope.granted_messages =
        kept(scope.granted_messages, scope.used_messages, call->keep_messages);
    scope_store(apply->txn, apply->group, name, &scope);
    apply->outcome->share = scope_share(apply->arena, apply->group, name, &scope);
    return ERR_OK;
}

/* Of accounts that nobody writes to. One that stands still for a move is counted where it comes
 * to, or when it stays after all. */
enum err apply_scope_enrol(struct apply *apply)
{
    const Pr__ScopeEnrol *call = apply->command->scope_enrol;

    if (call->n_accounts > SCOPE_ENROL_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu accounts; %d are the most",
                            call->n_accounts, SCOPE_ENROL_MAX);
    for (size_t i = 0; i < call->n_accounts; i++) {
        const Pr__ScopeEnrolment *enrolment = call->accounts[i];
        struct account account;

        account_load(apply->txn, apply->group, enrolment->account_id, &account);
        if (account.state != ACCOUNT_THERE || account.record.place != PLACE_HERE)
            continue;
        scope_enrol(apply, &account, enrolment->scopes);
        if (account.record.domain_id == account.counted.domain_id &&
            account.record.tenant_id == account.counted.tenant_id)
            continue;
        account_store(apply->txn, &account);
        apply->outcome->id++;
    }
    return ERR_OK;
}
