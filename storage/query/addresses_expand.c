/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an address stands for, until only accounts and addresses on other hosts are left. */
#include "storage/query/addresses_expand.h"

#include <stdarg.h>
#include <stdio.h>

#include "storage/machine/directory_addresses.h"
#include "storage/query/settings.h"
#include "storage/schema/flags.h"

void resolver_step(struct resolver *resolver, const char *format, ...)
{
    struct addresses_answer *answer = resolver->answer;
    char text[1024]; /* longer ones are cut */
    va_list args;

    if (!resolver->question->explain)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (answer->step_count == resolver->steps_room) {
        char **wider;
        resolver->steps_room = resolver->steps_room == 0 ? 16 : 2 * resolver->steps_room;
        wider = arena_alloc(resolver->arena, resolver->steps_room * sizeof(*wider));
        if (answer->step_count > 0)
            memcpy(wider, answer->steps, answer->step_count * sizeof(*wider));
        answer->steps = wider;
    }
    answer->steps[answer->step_count++] = arena_string(resolver->arena, bytes_of(text));
}

void resolver_trouble(struct resolver *resolver, Pr__ResolveAnswer__Trouble trouble,
                      bool permanent)
{
    Pr__ResolveAnswer *message = &resolver->answer->message;

    if (message->trouble != PR__RESOLVE_ANSWER__TROUBLE__NONE)
        return;
    message->trouble = trouble;
    message->permanent = permanent;
}

void resolver_refuse(struct resolver *resolver, Pr__ResolveAnswer__Trouble trouble)
{
    if (resolver->refused)
        return;
    resolver->refused = true;
    resolver->answer->message.trouble = trouble;
    resolver->answer->message.permanent = true;
}

void resolver_push(struct resolver *resolver, struct origin *origin, struct bytes address)
{
    if (resolver->look_count == ADDRESSES_LOOKS_MAX) {
        resolver_step(resolver, "more than %d addresses", ADDRESSES_LOOKS_MAX);
        resolver_refuse(resolver, PR__RESOLVE_ANSWER__TROUBLE__LOOP);
        return;
    }
    if (resolver->look_count == resolver->looks_room) {
        struct look *wider;
        resolver->looks_room = resolver->looks_room == 0 ? 8 : 4 * resolver->looks_room;
        wider = arena_alloc(resolver->arena, resolver->looks_room * sizeof(*wider));
        if (resolver->look_count > 0)
            memcpy(wider, resolver->looks, resolver->look_count * sizeof(*wider));
        resolver->looks = wider;
    }
    resolver->looks[resolver->look_count++] = (struct look){address, origin, NULL};
}

static bool is_near(struct resolver *resolver, const struct origin *origin)
{
    if (origin->depth <= ADDRESSES_DEPTH_MAX)
        return true;
    resolver_step(resolver, "%.*s: more than %d steps away", BYTES_ARG(origin->address),
                  ADDRESSES_DEPTH_MAX);
    resolver_refuse(resolver, PR__RESOLVE_ANSWER__TROUBLE__LOOP);
    return false;
}

static void push_one(struct resolver *resolver, struct origin *origin, struct bytes address)
{
    if (is_near(resolver, origin))
        resolver_push(resolver, origin, address);
}

static void push_all(struct resolver *resolver, struct origin *origin, char *const *targets,
                     size_t count)
{
    for (size_t i = 0; i < count && is_near(resolver, origin); i++)
        resolver_push(resolver, origin, bytes_of(targets[i]));
}

struct origin *resolver_origin(struct resolver *resolver, struct origin *before,
                               const struct address_found *found)
{
    struct origin *origin = arena_alloc(resolver->arena, sizeof(*origin));

    *origin = (struct origin){
        .before = before,
        .depth = before->depth + 1,
        .address = found->address,
        .domain = found->domain,
        .list = before->list,
        .first_list = before->first_list,
    };
    return origin;
}

/* Where the message lies when nobody here gets it. */
static void group_note(struct resolver *resolver, uint32_t group)
{
    if (resolver->answer->message.group == 0)
        resolver->answer->message.group = group;
}

/* ---- ends ---- */

Pr__ResolvedTarget *resolver_target(struct resolver *resolver, const struct origin *origin)
{
    Pr__ResolveAnswer *message = &resolver->answer->message;
    Pr__ResolvedTarget *target;

    if (message->n_targets == DELIVER_RECIPIENTS_MAX) {
        resolver_step(resolver, "more than %d recipients", DELIVER_RECIPIENTS_MAX);
        resolver_refuse(resolver, PR__RESOLVE_ANSWER__TROUBLE__LOOP);
        return NULL;
    }
    if ((message->n_targets & (message->n_targets - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        size_t room = message->n_targets == 0 ? 1 : 2 * message->n_targets;
        Pr__ResolvedTarget **wider = arena_alloc(resolver->arena, room * sizeof(*wider));
        struct addresses_account *more = arena_alloc(resolver->arena, room * sizeof(*more));
        if (message->n_targets > 0) {
            memcpy(wider, message->targets, message->n_targets * sizeof(*wider));
            memcpy(more, resolver->answer->accounts,
                   resolver->answer->account_count * sizeof(*more));
        }
        message->targets = wider;
        resolver->answer->accounts = more;
    }
    target = arena_alloc(resolver->arena, sizeof(*target));
    pr__resolved_target__init(target);
    target->from_list =
        origin->first_list != NULL && strcmp(origin->first_list->address, message->list) == 0;
    message->targets[message->n_targets++] = target;
    return target;
}

void resolver_account_add(struct resolver *resolver, const struct origin *origin,
                          const Pr__AccountRecord *account)
{
    struct addresses_answer *answer = resolver->answer;
    Pr__ResolvedTarget *target = resolver_target(resolver, origin);

    if (target == NULL)
        return;
    target->account_id = account->id;
    if (origin->list != NULL)
        target->sender = arena_string(
            resolver->arena,
            address_of_list(resolver->arena, bytes_of(origin->list->address), LIST_BOUNCES));
    if (answer->message.account_id == 0)
        answer->message.account_id = account->id;
    answer->accounts[answer->account_count++] =
        (struct addresses_account){account, account->group};
    resolver_step(resolver, "%s gets it", account->address);
}

static void dead_end(struct resolver *resolver, const char *why, const struct origin *origin,
                     struct bytes address)
{
    resolver_step(resolver, "%.*s: %s%s", BYTES_ARG(address), why,
                  origin->before != NULL ? ", passed over" : "");
}

static void disabled(struct resolver *resolver, const struct origin *origin,
                     const struct address_found *found, struct settings_place place)
{
    bool temporary =
        settings_number(resolver->txn, place, SETTING_MAIL_DISABLED) == MAIL_DISABLED_TEMPORARY;

    dead_end(resolver, "disabled", origin, found->address);
    resolver_trouble(resolver, PR__RESOLVE_ANSWER__TROUBLE__DISABLED, !temporary);
}

static void account_expand(struct resolver *resolver, struct origin *origin,
                           const struct address_found *found)
{
    const Pr__AccountRecord *account = found->account;
    struct origin *forward;

    if (account->bars & PR__ACCOUNT_BAR__BAR_RECEIVE) {
        disabled(resolver, origin, found,
                 settings_place_account(resolver->txn, account, resolver->arena));
        return;
    }
    group_note(resolver, account->group);
    if (account->forward == NULL || account->forward->n_targets == 0) {
        resolver_account_add(resolver, origin, account);
        return;
    }
    resolver_step(resolver, "%s: forwarded to %zu address%s%s", account->address,
                  account->forward->n_targets, account->forward->n_targets == 1 ? "" : "es",
                  account->forward->keep ? ", and kept" : "");
    if (account->forward->keep)
        resolver_account_add(resolver, origin, account);
    forward = resolver_origin(resolver, origin, found);
    forward->forward = account;
    forward->keeps = account->forward->keep;
    push_all(resolver, forward, account->forward->targets, account->forward->n_targets);
}

/* The sender's address without its sub-address, at the domain that it stands for. */
static struct bytes sender_canonical(struct resolver *resolver)
{
    struct address_found found;

    if (!address_find(resolver->txn, resolver->question->sender, resolver->arena, &found))
        return resolver->question->sender;
    return found.address;
}

/* Bounces and automatic answers (from nobody) are no posts. A list that is a member of another
 * hands on what came to that one. */
static bool may_post(struct resolver *resolver, const struct origin *origin,
                     const Pr__AliasRecord *list)
{
    struct bytes sender = resolver->question->sender;
    struct bytes canonical;

    if (resolver->question->any_sender)
        return true;
    if (sender.len == 0)
        return false;
    if (list->list->post == PR__LIST_SETTINGS__POST__ANYONE)
        return true;
    canonical = sender_canonical(resolver);
    if (bytes_equal(bytes_of(list->list->owner), sender) ||
        bytes_equal(bytes_of(list->list->owner), canonical))
        return true;
    if (list->list->post == PR__LIST_SETTINGS__POST__OWNER)
        return false;
    for (size_t i = 0; i < list->n_targets; i++) {
        struct bytes member = bytes_of(list->targets[i]);
        if (bytes_equal(member, sender) || bytes_equal(member, canonical) ||
            (origin->list != NULL && bytes_equal(member, bytes_of(origin->list->address))))
            return true;
    }
    return false;
}

static void list_note(struct resolver *resolver, const Pr__AliasRecord *list)
{
    Pr__ResolveAnswer *message = &resolver->answer->message;

    if (message->list[0] != '\0')
        return;
    message->list = list->address;
    message->list_description = list->list->description;
    message->list_owner = list->list->owner;
}

static void alias_expand(struct resolver *resolver, struct origin *origin,
                         const struct address_found *found)
{
    const Pr__AliasRecord *alias = found->alias;
    struct origin *on;

    if (alias->disabled || alias->n_targets == 0) {
        disabled(resolver, origin, found,
                 settings_place_domain(resolver->txn, found->domain, resolver->arena));
        return;
    }
    if (alias->list != NULL && !may_post(resolver, origin, alias)) {
        dead_end(resolver, "a list that the sender may not write to", origin, found->address);
        resolver_trouble(resolver, PR__RESOLVE_ANSWER__TROUBLE__LIST_CLOSED, true);
        return;
    }
    resolver_step(resolver, "%s: %s %zu address%s", alias->address,
                  alias->list != NULL ? "a list of" : "an alias of", alias->n_targets,
                  alias->n_targets == 1 ? "" : "es");
    group_note(resolver, alias->group);
    on = resolver_origin(resolver, origin, found);
    if (alias->list != NULL) {
        on->list = alias;
        if (on->first_list == NULL)
            on->first_list = alias;
        list_note(resolver, on->first_list);
    }
    push_all(resolver, on, alias->targets, alias->n_targets);
}

static void rewritten_expand(struct resolver *resolver, struct origin *origin,
                             const struct address_found *found)
{
    struct bytes address;
    struct origin *on;

    if (!resolver_rewritten(resolver, found, &address)) {
        dead_end(resolver, "no rewritten sender of ours, or too old", origin, found->address);
        return;
    }
    resolver_step(resolver, "%.*s: the rewritten sender %.*s", BYTES_ARG(found->address),
                  BYTES_ARG(address));
    on = resolver_origin(resolver, origin, found);
    push_one(resolver, on, address);
}

/* Whether the address gets mail itself, as far as one look tells. */
static bool answers(struct resolver *resolver, struct bytes address)
{
    struct address_found found;

    if (address.len == 0 || !address_find(resolver->txn, address, resolver->arena, &found))
        return false;
    if (found.kind == ADDRESS_ACCOUNT)
        return !(found.account->bars & PR__ACCOUNT_BAR__BAR_RECEIVE);
    if (found.kind == ADDRESS_ALIAS)
        return !found.alias->disabled && found.alias->n_targets > 0 &&
               found.alias->list == NULL;
    return found.kind == ADDRESS_REMOTE || found.kind == ADDRESS_OF_LIST;
}

/* abuse@ or postmaster@ that nobody has: on the way it goes to whom the settings name, the
 * narrowest scope first; asked for itself it is up to addresses_resolve(). */
static void role_push(struct resolver *resolver, struct origin *origin,
                      const struct address_found *found)
{
    struct settings_place place =
        settings_place_domain(resolver->txn, found->domain, resolver->arena);
    struct bytes text = BYTES("");

    if (origin->before == NULL)
        return;
    for (unsigned scope = 0; scope < 3 && !answers(resolver, text); scope++) {
        if (scope > 0)
            place.domain_id = 0;
        if (scope > 1)
            place.tenant_id = 0;
        text = settings_text(resolver->txn, place, SETTING_MAIL_POSTMASTER, resolver->arena);
    }
    if (!answers(resolver, text))
        text = BYTES(ROLE_ADDRESS);
    resolver_step(resolver, "%.*s: whoever answers for it, %.*s", BYTES_ARG(found->address),
                  BYTES_ARG(text));
    push_one(resolver, resolver_origin(resolver, origin, found), text);
}

/* What is behind a domain's addresses. */
static void unknown_expand(struct resolver *resolver, struct origin *origin,
                           const struct address_found *found)
{
    const Pr__DomainRouting *routing = found->domain != NULL ? found->domain->routing : NULL;
    struct origin *on;

    if (address_is_role(found->local)) {
        role_push(resolver, origin, found);
        return;
    }
    if (routing == NULL || (routing->n_catch_all == 0 && routing->forward_to[0] == '\0')) {
        dead_end(resolver, "nobody has that address", origin, found->address);
        return;
    }
    group_note(resolver, routing->group);
    on = resolver_origin(resolver, origin, found);
    if (routing->n_catch_all > 0) {
        resolver_step(resolver, "%.*s: not known, to the catch-all of %s",
                      BYTES_ARG(found->address), found->domain->name);
        push_all(resolver, on, routing->catch_all, routing->n_catch_all);
        return;
    }
    resolver_step(resolver, "%.*s: not known, to the host %s", BYTES_ARG(found->address),
                  routing->forward_to);
    push_one(resolver, on,
             bytes_of(arena_printf(resolver->arena, "%.*s@%s", BYTES_ARG(found->local),
                                   routing->forward_to)));
}

/* ---- one address after the other ---- */

/* Whether the way to here began there. An account whose forward comes back to it keeps the
 * message: somebody wants it. */
static void seen_again(struct resolver *resolver, struct origin *origin,
                       const struct address_found *found)
{
    for (struct origin *way = origin; way != NULL; way = way->before) {
        if (!bytes_equal(way->address, found->address))
            continue;
        dead_end(resolver, "leads back to itself", origin, found->address);
        if (way->forward != NULL && !way->keeps)
            resolver_account_add(resolver, way->before, way->forward);
        else if (way->forward == NULL)
            resolver_trouble(resolver, PR__RESOLVE_ANSWER__TROUBLE__LOOP, true);
        way->keeps = true;
        return;
    }
}

static void look_step(struct resolver *resolver, const struct look *look,
                      const struct address_found *found)
{
    if (found->by_domain)
        resolver_step(resolver, "%.*s: the same as %.*s@%s", BYTES_ARG(look->address),
                      BYTES_ARG(found->local), found->domain->name);
    if (found->by_sub_address)
        resolver_step(resolver, "%.*s: a sub-address of %.*s", BYTES_ARG(look->address),
                      BYTES_ARG(found->address));
}

void resolver_look(struct resolver *resolver, const struct look *look)
{
    struct address_found found;

    if (look->found != NULL)
        found = *look->found;
    else if (!address_find(resolver->txn, look->address, resolver->arena, &found))
        return;
    look_step(resolver, look, &found);
    if (!text_set_add(&resolver->seen, found.address)) {
        seen_again(resolver, look->origin, &found);
        return;
    }
    switch (found.kind) {
    case ADDRESS_REMOTE:
        if (look->origin->before != NULL) /* else a question about a stranger's address */
            resolver_remote_add(resolver, look->origin, found.address);
        break;
    case ADDRESS_ACCOUNT:
        account_expand(resolver, look->origin, &found);
        break;
    case ADDRESS_ALIAS:
        alias_expand(resolver, look->origin, &found);
        break;
    case ADDRESS_OF_LIST: {
        struct origin *on = resolver_origin(resolver, look->origin, &found);
        resolver_step(resolver, "%.*s: the owner of a list", BYTES_ARG(found.address));
        group_note(resolver, found.alias->group);
        push_one(resolver, on, bytes_of(found.alias->list->owner));
        break;
    }
    case ADDRESS_REWRITTEN:
        rewritten_expand(resolver, look->origin, &found);
        break;
    case ADDRESS_UNKNOWN:
        unknown_expand(resolver, look->origin, &found);
        break;
    }
}
