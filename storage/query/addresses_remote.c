/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail that leaves the cluster: whether it may, and under whose name. */
#include "node/mail/srs.h"
#include "storage/query/addresses_expand.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"

static bool keys_get(const struct resolver *resolver, struct bytes *key,
                     struct mail_srs_keys *keys)
{
    const Pr__ClusterRecord *cluster = directory_cluster(resolver->txn, resolver->arena);

    *key = cluster != NULL ? bytes_of_field(cluster->srs_key) : bytes_from(NULL, 0);
    *keys = (struct mail_srs_keys){key, 1};
    return key->len >= MAIL_SRS_KEY_SIZE_MIN;
}

/* Control characters cannot come from a front end's parser; the rewriting takes them for a bug.
 */
static bool path_from(struct bytes address, struct mail_path *path)
{
    *path = (struct mail_path){.is_null = false};
    if (!address_split(address, &path->local, &path->domain))
        return false;
    for (size_t i = 0; i < address.len; i++)
        if (address.at[i] < ' ' || address.at[i] == 0x7f)
            return false;
    return true;
}

/*
 * Mail from a list bounces to the list. Any other forward is under a sender of the forwarding
 * domain that leads back to the first (SPF would refuse that one from here). Empty: it stays,
 * as the null sender does.
 */
static struct bytes sender_of(struct resolver *resolver, const struct origin *origin)
{
    struct bytes sender = resolver->question->sender;
    struct mail_srs_keys keys;
    struct mail_path path;
    struct mail_path rewritten;
    struct bytes key;

    if (origin->list != NULL)
        return address_of_list(resolver->arena, bytes_of(origin->list->address), LIST_BOUNCES);
    if (resolver->question->any_sender || sender.len == 0 || origin->domain == NULL ||
        !keys_get(resolver, &key, &keys) || !path_from(sender, &path) ||
        mail_srs_rewrite(&keys, resolver->question->now_s, &path,
                         bytes_of(origin->domain->name), resolver->arena,
                         &rewritten) != MAIL_SRS_OK)
        return bytes_from(NULL, 0);
    return mail_path_format(resolver->arena, &rewritten);
}

static void origin_ask(struct resolver *resolver, struct origin *origin)
{
    struct settings_place place =
        origin->forward != NULL
            ? settings_place_account(resolver->txn, origin->forward, resolver->arena)
            : settings_place_domain(resolver->txn, origin->domain, resolver->arena);
    int64_t who = settings_number(resolver->txn, place, SETTING_MAIL_FORWARD);

    origin->asked = true;
    origin->open = settings_number(resolver->txn, place, SETTING_MAIL_OUTBOUND) != 0 &&
                   who != MAIL_FORWARD_NOBODY;
    origin->forwards = who == MAIL_FORWARD_ANYONE;
    origin->sender = sender_of(resolver, origin);
}

/* An account whose forward does not count keeps the message. */
static void forward_stays(struct resolver *resolver, struct origin *origin,
                          struct bytes address)
{
    resolver_step(resolver, "%.*s: forwards of accounts must not leave the cluster",
                  BYTES_ARG(address));
    if (origin->keeps)
        return;
    origin->keeps = true;
    resolver_account_add(resolver, origin->before, origin->forward);
}

void resolver_remote_add(struct resolver *resolver, struct origin *origin, struct bytes address)
{
    Pr__ResolveAnswer *message = &resolver->answer->message;
    uint64_t account_id = origin->forward != NULL ? origin->forward->id : 0;
    Pr__ResolvedTarget *target;

    if (!origin->asked)
        origin_ask(resolver, origin);
    if (origin->forward != NULL && !origin->forwards) {
        forward_stays(resolver, origin, address);
        return;
    }
    if (!origin->open) {
        resolver_step(resolver, "%.*s: mail must not leave the cluster", BYTES_ARG(address));
        if (!origin->keeps)
            resolver_refuse(resolver, PR__RESOLVE_ANSWER__TROUBLE__OUTBOUND_OFF);
        return;
    }
    if ((target = resolver_target(resolver, origin)) == NULL)
        return;
    target->remote = arena_string(resolver->arena, address);
    target->sender = arena_string(resolver->arena, origin->sender);
    target->forward_account_id = origin->list == NULL ? account_id : 0;
    if (message->forward_account_id == 0)
        message->forward_account_id = account_id;
    resolver_step(resolver, "%.*s gets it, on another host%s%.*s", BYTES_ARG(address),
                  origin->sender.len > 0 ? ", from " : "", BYTES_ARG(origin->sender));
}

bool resolver_rewritten(struct resolver *resolver, const struct address_found *found,
                        struct bytes *address)
{
    struct settings_place everywhere = {0};
    struct mail_srs_keys keys;
    struct mail_path sender;
    struct bytes key;
    int64_t days = settings_number(resolver->txn, everywhere, SETTING_MAIL_SRS_DAYS);

    if (!keys_get(resolver, &key, &keys) ||
        mail_srs_reverse(&keys, resolver->question->now_s, (unsigned)days, found->local,
                         resolver->arena, &sender) != MAIL_SRS_OK)
        return false;
    *address = mail_path_format(resolver->arena, &sender);
    return true;
}
