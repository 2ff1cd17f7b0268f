/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where mail goes besides the addresses that there are: a domain's, and an account's. */
#include "storage/machine/directory_addresses.h"
#include "storage/schema/address.h"
#include "storage/schema/text_set.h"

static struct bytes alias_of(const Pr__DomainRecord *domain)
{
    return domain->routing != NULL ? bytes_of(domain->routing->alias_of) : BYTES("");
}

/* One more, or one less, of the domains that stand for this one. */
static void alias_domain_count(struct apply *apply, struct bytes name, bool more)
{
    Pr__DomainRecord *domain = name.len > 0 ? directory_domain_load(apply, name) : NULL;

    if (domain == NULL)
        return;
    domain->alias_domains = more ? domain->alias_domains + 1 : domain->alias_domains - 1;
    directory_domain_store(apply, domain);
}

void directory_route_forget(struct apply *apply, const Pr__DomainRecord *domain)
{
    alias_domain_count(apply, alias_of(domain), false);
}

/* A chain of domains would be followed at each look-up: there is none. */
static enum err alias_of_check(struct apply *apply, const Pr__DomainRecord *domain,
                               const Pr__DomainRouting *routing)
{
    const Pr__DomainRecord *other = directory_domain_load(apply, bytes_of(routing->alias_of));

    if (routing->n_catch_all > 0 || routing->forward_to[0] != '\0' ||
        routing->separators != NULL)
        return apply_refuse(apply, ERR_INVALID,
                            "a domain that stands for another has no addresses of its own");
    if (other == NULL || strcmp(other->tenant, domain->tenant) != 0)
        return apply_refuse(apply, ERR_NOTFOUND, "tenant %s has no domain %s", domain->tenant,
                            routing->alias_of);
    if (strcmp(other->name, domain->name) == 0 || alias_of(other).len > 0)
        return apply_refuse(apply, ERR_INVALID, "%s stands for a domain itself, or is the same",
                            other->name);
    if (domain->accounts > 0 || domain->aliases > 0 || domain->alias_domains > 0)
        return apply_refuse(
            apply, ERR_INVALID,
            "domain %s still has %llu accounts, %llu aliases, %llu domains that stand for it",
            domain->name, (unsigned long long)domain->accounts,
            (unsigned long long)domain->aliases, (unsigned long long)domain->alias_domains);
    return ERR_OK;
}

static enum err routing_check(struct apply *apply, const Pr__DomainRecord *domain,
                              const Pr__DomainRouting *routing)
{
    struct bytes host = bytes_of(routing->forward_to);
    enum err err;

    if ((err = directory_targets_check(apply, routing->catch_all, routing->n_catch_all,
                                       CATCH_ALL_TARGETS_MAX, "")) != ERR_OK)
        return err;
    if (routing->separators != NULL &&
        !address_separators_valid(bytes_of(routing->separators->text)))
        return apply_refuse(apply, ERR_INVALID, "%s are no separators",
                            routing->separators->text);
    if (host.len > 0 && routing->n_catch_all > 0)
        return apply_refuse(apply, ERR_INVALID,
                            "what is not known goes to addresses or to a host, not to both");
    if (host.len > 0 &&
        (!directory_domain_valid(host) || directory_domain_load(apply, host) != NULL))
        return apply_refuse(apply, ERR_INVALID, "%s is no domain of another host",
                            routing->forward_to);
    return routing->alias_of[0] != '\0' ? alias_of_check(apply, domain, routing) : ERR_OK;
}

enum err apply_domain_route(struct apply *apply)
{
    const Pr__DomainRoute *call = apply->command->domain_route;
    Pr__DomainRecord *domain = directory_domain_load(apply, bytes_of(call->name));
    Pr__DomainRouting *routing = call->routing;
    Pr__GroupRecord *group;
    enum err err;

    if (domain == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %s", call->name);
    if (routing != NULL) {
        if ((err = routing_check(apply, domain, routing)) != ERR_OK)
            return err;
        routing->group = domain->routing != NULL ? domain->routing->group : 0;
        if (routing->group == 0 && (group = directory_group_choose(apply)) != NULL)
            routing->group = group->group;
        if (routing->group == 0)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group");
    }
    alias_domain_count(apply, alias_of(domain), false);
    domain->routing = routing;
    directory_domain_store(apply, domain);
    alias_domain_count(apply, alias_of(domain), true);
    return ERR_OK;
}

/* ---- accounts ---- */

enum {
    BARS_ALL =
        PR__ACCOUNT_BAR__BAR_LOGIN | PR__ACCOUNT_BAR__BAR_SEND | PR__ACCOUNT_BAR__BAR_RECEIVE
};

static bool right_valid(struct bytes right)
{
    if (right.len > 1 && right.at[0] == '@')
        return directory_domain_valid(bytes_skip(right, 1));
    return directory_address_valid(right);
}

/* The rights as they will be; refuses more than there may be. */
static enum err rights_merge(struct apply *apply, const Pr__AccountAlter *call,
                             Pr__AccountRecord *account)
{
    static const Pr__TextList none = PR__TEXT_LIST__INIT;
    const Pr__TextList *add = call->send_as_add != NULL ? call->send_as_add : &none;
    const Pr__TextList *gone = call->send_as_remove != NULL ? call->send_as_remove : &none;
    struct text_set known;
    char **rights;
    size_t count = 0;

    if (add->n_texts > SEND_AS_MAX || gone->n_texts > SEND_AS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "more than %d addresses", SEND_AS_MAX);
    for (size_t i = 0; i < add->n_texts; i++)
        if (!right_valid(bytes_of(add->texts[i])))
            return apply_refuse(apply, ERR_INVALID, "%s is no address and no @domain",
                                add->texts[i]);
    text_set_init(&known, apply->arena);
    rights = arena_alloc(apply->arena, (account->n_send_as + add->n_texts) * sizeof(*rights));
    for (size_t i = 0; i < gone->n_texts; i++)
        text_set_add(&known, bytes_of(gone->texts[i]));
    for (size_t i = 0; i < account->n_send_as; i++)
        if (text_set_add(&known, bytes_of(account->send_as[i])))
            rights[count++] = account->send_as[i];
    text_set_init(&known, apply->arena);
    for (size_t i = 0; i < count; i++)
        text_set_add(&known, bytes_of(rights[i]));
    for (size_t i = 0; i < add->n_texts; i++)
        if (text_set_add(&known, bytes_of(add->texts[i])))
            rights[count++] = add->texts[i];
    if (count > SEND_AS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%s would have %zu rights, more than %d",
                            account->address, count, SEND_AS_MAX);
    account->send_as = rights;
    account->n_send_as = count;
    return ERR_OK;
}

static void forward_set(struct apply *apply, Pr__AccountRecord *account,
                        Pr__AccountForward *forward)
{
    struct text_set known;
    size_t kept = 0;

    account->forward = forward->n_targets > 0 ? forward : NULL;
    text_set_init(&known, apply->arena);
    for (size_t i = 0; i < forward->n_targets; i++)
        if (text_set_add(&known, bytes_of(forward->targets[i])))
            forward->targets[kept++] = forward->targets[i];
    forward->n_targets = kept;
}

enum err apply_account_alter(struct apply *apply)
{
    const Pr__AccountAlter *call = apply->command->account_alter;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes domain;
    bool ends;
    enum err err;

    if ((err = directory_address_check(apply, call->address, &local, &domain, &account)) !=
        ERR_OK)
        return err;
    if (account == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", call->address);
    if ((call->bars_set | call->bars_clear) & ~(uint32_t)BARS_ALL ||
        call->bars_set & call->bars_clear)
        return apply_refuse(apply, ERR_INVALID, "bars that nobody knows");
    if (call->forward != NULL &&
        (err = directory_targets_check(apply, call->forward->targets, call->forward->n_targets,
                                       FORWARD_TARGETS_MAX, call->address)) != ERR_OK)
        return err;
    if ((err = rights_merge(apply, call, account)) != ERR_OK)
        return err;
    if (call->forward != NULL)
        forward_set(apply, account, call->forward);
    ends = call->bars_set & ~account->bars & PR__ACCOUNT_BAR__BAR_LOGIN;
    account->bars = (account->bars | call->bars_set) & ~call->bars_clear;
    directory_account_store(apply, local, domain, account);
    apply->outcome->id = account->id;
    if (ends)
        event_account_ended(apply, account->id);
    return ERR_OK;
}
