/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_firewall.h"

#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_sweep.h"

struct bytes firewall_key(struct key *key, const struct net *net)
{
    uint8_t bytes[NET_KEY_SIZE_MAX];

    return key_name(key, DIRECTORY_GROUP, bytes_from(bytes, net_key(net, bytes)));
}

static Pr__FirewallEntry *entry_load(struct apply *apply, const struct net *net)
{
    struct key key;

    return directory_load(apply->txn, TABLE_FIREWALL, firewall_key(&key, net),
                          &pr__firewall_entry__descriptor, apply->arena);
}

/* What a person said; else it was made from what was seen, and gives way. */
static bool is_said(const Pr__FirewallEntry *entry)
{
    return entry->action == PR__FIREWALL_ACTION__FIREWALL_ALLOW ||
           entry->action == PR__FIREWALL_ACTION__FIREWALL_DENY;
}

static bool is_expired(const void *message, uint64_t now_ms)
{
    const Pr__FirewallEntry *entry = message;

    return entry->until_ms != 0 && entry->until_ms <= now_ms;
}

static enum err entry_check(struct apply *apply, const Pr__FirewallEntry *entry,
                            struct net *net)
{
    if (!net_parse(bytes_of(entry->net), net))
        return apply_refuse(apply, ERR_INVALID, "%s is no address, net or AS number",
                            entry->net);
    if (!is_said(entry) && entry->action != PR__FIREWALL_ACTION__FIREWALL_BAN &&
        entry->action != PR__FIREWALL_ACTION__FIREWALL_EXEMPT)
        return apply_refuse(apply, ERR_INVALID, "nobody knows what is to be done with %s",
                            entry->net);
    if (!directory_text_valid(bytes_of(entry->reason), FIREWALL_REASON_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a reason is one line of %d bytes at the most",
                            FIREWALL_REASON_SIZE_MAX);
    return ERR_OK;
}

/* `nets` side by side with the entries. What people say needs room; bans without room are left
 * out. */
static enum err put_check(struct apply *apply, const Pr__FirewallPut *call,
                          const Pr__ClusterRecord *cluster, struct net *nets)
{
    uint64_t more = 0;
    enum err err;

    for (size_t i = 0; i < call->n_entries; i++) {
        if ((err = entry_check(apply, call->entries[i], &nets[i])) != ERR_OK)
            return err;
        if (is_said(call->entries[i]) && entry_load(apply, &nets[i]) == NULL)
            more++;
    }
    if (more > 0 && cluster->firewall_entries + more > FIREWALL_ENTRIES_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "the firewall has no room for more than %d",
                            FIREWALL_ENTRIES_MAX);
    return ERR_OK;
}

/* Returns whether it was put. */
static bool entry_put(struct apply *apply, Pr__ClusterRecord *cluster, Pr__FirewallEntry *entry,
                      const struct net *net)
{
    const Pr__FirewallEntry *known = entry_load(apply, net);
    char text[NET_TEXT_SIZE];
    struct key key;

    if (!is_said(entry)) {
        if (known != NULL ? is_said(known) && !is_expired(known, apply_clock_ms(apply))
                          : cluster->firewall_entries >= FIREWALL_ENTRIES_MAX)
            return false;
    }
    net_text(net, text);
    entry->net = arena_string(apply->arena, bytes_of(text));
    directory_store(apply, TABLE_FIREWALL, firewall_key(&key, net), &entry->base);
    cluster->firewall_entries += known == NULL;
    return true;
}

static void firewall_changed(struct apply *apply, Pr__ClusterRecord *cluster)
{
    cluster->firewall_version++;
    apply->events->firewall_changed = true;
}

enum err apply_firewall_put(struct apply *apply)
{
    const Pr__FirewallPut *call = apply->command->firewall_put;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct net *nets;
    unsigned put = 0;
    unsigned gone;
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if (call->n_entries > FIREWALL_COMMAND_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu entries, more than %d", call->n_entries,
                            FIREWALL_COMMAND_MAX);
    nets = arena_alloc(apply->arena, call->n_entries * sizeof(*nets));
    if ((err = put_check(apply, call, cluster, nets)) != ERR_OK)
        return err;
    gone = directory_sweep(apply, TABLE_FIREWALL, &pr__firewall_entry__descriptor, is_expired,
                           SWEEP_LOOKS_MIN + 2 * (unsigned)call->n_entries,
                           &cluster->firewall_swept);
    cluster->firewall_entries -= gone;
    for (size_t i = 0; i < call->n_entries; i++)
        put += entry_put(apply, cluster, call->entries[i], &nets[i]);
    if (put + gone > 0)
        firewall_changed(apply, cluster);
    directory_cluster_store(apply, cluster);
    apply->outcome->id = put;
    return ERR_OK;
}

enum err apply_firewall_remove(struct apply *apply)
{
    const Pr__FirewallRemove *call = apply->command->firewall_remove;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct net *nets;
    unsigned gone = 0;

    if (cluster == NULL)
        return apply->outcome->err;
    if (call->n_nets > FIREWALL_COMMAND_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu nets, more than %d", call->n_nets,
                            FIREWALL_COMMAND_MAX);
    nets = arena_alloc(apply->arena, call->n_nets * sizeof(*nets));
    for (size_t i = 0; i < call->n_nets; i++)
        if (!net_parse(bytes_of(call->nets[i]), &nets[i]))
            return apply_refuse(apply, ERR_INVALID, "%s is no address, net or AS number",
                                call->nets[i]);
    for (size_t i = 0; i < call->n_nets; i++) {
        const Pr__FirewallEntry *entry = entry_load(apply, &nets[i]);
        struct key key;
        if (entry == NULL ||
            (call->only_bans && entry->action != PR__FIREWALL_ACTION__FIREWALL_BAN))
            continue;
        db_delete(apply->txn, TABLE_FIREWALL, firewall_key(&key, &nets[i]));
        gone++;
    }
    if (gone == 0)
        return apply_refuse(apply, ERR_NOTFOUND, "the firewall has no such entry");
    cluster->firewall_entries -= gone;
    firewall_changed(apply, cluster);
    directory_cluster_store(apply, cluster);
    apply->outcome->id = gone;
    return ERR_OK;
}
