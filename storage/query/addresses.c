/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/addresses.h"

#include "storage/machine/directory_addresses.h"
#include "storage/query/addresses_expand.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/query/settings.h"

/* Everything that an address leads to. Returns whether there is anybody. `found`: what it is,
 * if that is known. `on_behalf`: the address that it answers for, if it is another. */
static bool expand(struct resolver *resolver, struct bytes address,
                   const struct address_found *found, const struct address_found *on_behalf)
{
    struct addresses_answer *answer = resolver->answer;
    struct origin *first = arena_alloc(resolver->arena, sizeof(*first));

    text_set_init(&resolver->seen, resolver->arena);
    resolver->look_count = resolver->looked = 0;
    resolver->refused = false;
    answer->message.trouble = PR__RESOLVE_ANSWER__TROUBLE__NONE;
    answer->message.permanent = false;
    answer->message.n_targets = 0;
    answer->message.account_id = 0;
    answer->message.forward_account_id = 0;
    answer->message.list = answer->message.list_description = answer->message.list_owner =
        arena_string(resolver->arena, BYTES(""));
    answer->account_count = 0;
    if (on_behalf != NULL)
        first = resolver_origin(resolver, first, on_behalf);
    resolver_push(resolver, first, address);
    resolver->looks[0].found = found;
    while (resolver->looked < resolver->look_count && !resolver->refused)
        resolver_look(resolver, &resolver->looks[resolver->looked++]);
    if (resolver->refused)
        answer->message.n_targets = answer->account_count = 0;
    return answer->message.n_targets > 0;
}

/* ---- abuse and postmaster ---- */

/* `tried` was in vain for a narrower scope; it becomes what is tried now. */
static bool role_by_setting(struct resolver *resolver, const struct address_found *role,
                            struct settings_place place, struct bytes *tried)
{
    struct bytes text =
        settings_text(resolver->txn, place, SETTING_MAIL_POSTMASTER, resolver->arena);

    if (text.len == 0 || bytes_equal(text, *tried))
        return false;
    *tried = text;
    resolver_step(resolver, "mail.postmaster: %.*s", BYTES_ARG(text));
    return expand(resolver, text, NULL, role);
}

/* Somebody must read it (RFC 5321 section 4.5.1, RFC 2142): the narrowest scope first, and at
 * the end the cluster's own account, whatever it is forwarded to or barred from. */
static bool role_expand(struct resolver *resolver, const struct address_found *role,
                        struct settings_place place)
{
    struct settings_place wider = {.tenant_id = place.tenant_id};
    struct settings_place widest = {0};
    const Pr__AccountRecord *account;
    struct origin first = {0};
    struct bytes tried = BYTES("");

    if (role_by_setting(resolver, role, place, &tried) ||
        role_by_setting(resolver, role, wider, &tried) ||
        role_by_setting(resolver, role, widest, &tried) ||
        expand(resolver, BYTES(ROLE_ADDRESS), NULL, NULL))
        return true;
    account = directory_account(resolver->txn, BYTES(ROLE_ADDRESS), resolver->arena);
    if (account != NULL)
        resolver_account_add(resolver, &first, account);
    return account != NULL;
}

/* Whose settings count, and whether somebody must answer for the address. */
static struct settings_place place_note(struct resolver *resolver,
                                        const struct address_found *found)
{
    Pr__ResolveAnswer *message = &resolver->answer->message;
    struct settings_place place =
        settings_place_domain(resolver->txn, found->domain, resolver->arena);
    bool ours = found->domain != NULL;
    struct bytes local;
    struct bytes host;

    message->domain_id = place.domain_id;
    message->tenant_id = place.tenant_id;
    if (address_split(found->address, &local, &host))
        message->role =
            address_is_role(found->local) && (ours || bytes_equal(host, BYTES("localhost")));
    message->domain_local = ours || message->role;
    return place;
}

static enum err answer_err(const struct resolver *resolver, bool any)
{
    if (db_error(resolver->txn) != ERR_OK)
        return db_error(resolver->txn);
    if (any)
        return ERR_OK;
    return resolver->answer->message.trouble != PR__RESOLVE_ANSWER__TROUBLE__NONE
               ? ERR_DENIED
               : ERR_NOTFOUND;
}

/* Of an account that gets it, else of what sends it on, else the cluster's own account's. */
static void group_choose(struct resolver *resolver)
{
    struct addresses_answer *answer = resolver->answer;
    const Pr__AccountRecord *account;

    if (answer->account_count > 0)
        answer->message.group = answer->accounts[0].group;
    if (answer->message.group == 0 &&
        (account = directory_account(resolver->txn, BYTES(ROLE_ADDRESS), resolver->arena)) !=
            NULL)
        answer->message.group = account->group;
}

enum err addresses_resolve(struct db_txn *txn, const struct addresses_question *question,
                           struct arena *arena, struct addresses_answer *answer)
{
    struct resolver resolver = {
        .txn = txn, .arena = arena, .question = question, .answer = answer};
    struct bytes address = question->address;
    struct settings_place place;
    struct address_found found;
    bool any;

    *answer = (struct addresses_answer){0};
    pr__resolve_answer__init(&answer->message);
    /* Without a domain it is this host's (RFC 5321 section 4.1.1.3). */
    if (bytes_equal(address, BYTES("postmaster")))
        address = BYTES(ROLE_ADDRESS);
    if (!address_find(txn, address, arena, &found))
        return ERR_NOTFOUND;
    place = place_note(&resolver, &found);
    /* The cluster's own account comes last also when it is asked for by its name. */
    any = (found.domain != NULL || !answer->message.role) &&
          expand(&resolver, address, &found, NULL);
    if (!any && answer->message.role)
        any = role_expand(&resolver, &found, place);
    if (any) {
        answer->message.trouble = PR__RESOLVE_ANSWER__TROUBLE__NONE;
        answer->message.permanent = false;
        group_choose(&resolver);
    }
    return answer_err(&resolver, any);
}

bool addresses_full_permanent(struct db_txn *txn, const Pr__AccountRecord *account,
                              struct arena *arena)
{
    int64_t word =
        settings_number(txn, settings_place_account(txn, account, arena), SETTING_MAIL_FULL);

    if (word != MAIL_FULL_POLICY)
        return word == MAIL_FULL_PERMANENT;
    return limits_policy(txn, arena)->over_quota_permanent;
}
