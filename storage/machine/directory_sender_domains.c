/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_sender_domains.h"

#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_sweep.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

static bool is_forgotten(const void *message, uint64_t now_ms)
{
    const Pr__SenderDomain *domain = message;

    return now_ms > SENDER_DOMAIN_KEPT_MS && domain->seen_ms < now_ms - SENDER_DOMAIN_KEPT_MS;
}

static Pr__SenderDomain *row_load(struct apply *apply, const char *name)
{
    struct key key;

    return directory_load(apply->txn, TABLE_SENDER_DOMAIN,
                          key_name(&key, DIRECTORY_GROUP, bytes_of(name)),
                          &pr__sender_domain__descriptor, apply->arena);
}

static enum err domain_check(struct apply *apply, const Pr__SenderDomain *domain)
{
    if (!directory_domain_valid(bytes_of(domain->name)))
        return apply_refuse(apply, ERR_INVALID, "%s is no domain", domain->name);
    if (domain->verdict != PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING &&
        domain->verdict != PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD &&
        domain->verdict != PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT &&
        domain->verdict != PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD)
        return apply_refuse(apply, ERR_INVALID, "a verdict that nobody knows");
    if (!directory_text_valid(bytes_of(domain->reason), SENDER_DOMAIN_REASON_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a reason is one line of %d bytes at the most",
                            SENDER_DOMAIN_REASON_SIZE_MAX);
    if (domain->n_findings > SENDER_DOMAIN_FINDINGS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu findings, more than %d", domain->n_findings,
                            SENDER_DOMAIN_FINDINGS_MAX);
    for (size_t i = 0; i < domain->n_findings; i++)
        if (!directory_text_valid(bytes_of(domain->findings[i]->detail),
                                  SENDER_DOMAIN_REASON_SIZE_MAX))
            return apply_refuse(apply, ERR_INVALID, "a finding is one line");
    return ERR_OK;
}

/* A clock that is ahead must not keep it for ever. */
static uint64_t no_later(uint64_t time_ms, uint64_t now_ms)
{
    return time_ms == 0 || time_ms > now_ms ? now_ms : time_ms;
}

/* Whether one more may be put off today: the checks may be at fault, or somebody makes names
 * up, and then first mail is to come in all the same. Counted here, so it is for the cluster.
 */
static bool day_has_room(struct apply *apply, Pr__ClusterRecord *cluster, uint64_t day_max)
{
    uint64_t day = apply_clock_ms(apply) / DAY_MS;

    if (cluster->sender_domains_day != day) {
        cluster->sender_domains_day = day;
        cluster->sender_domains_new = 0;
    }
    if (day_max != 0 && cluster->sender_domains_new >= day_max)
        return false;
    cluster->sender_domains_new++;
    return true;
}

/* Returns whether it is new. */
static bool domain_put(struct apply *apply, Pr__ClusterRecord *cluster,
                       Pr__SenderDomain *domain, const Pr__SenderDomainPut *call)
{
    uint64_t now_ms = apply_clock_ms(apply);
    Pr__SenderDomain *row = row_load(apply, domain->name);
    bool is_new = row == NULL;
    struct key key;

    domain->seen_ms = no_later(domain->seen_ms, now_ms);
    if (is_new) {
        if (cluster->sender_domains >= SENDER_DOMAINS_MAX ||
            (domain->verdict == PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING &&
             !day_has_room(apply, cluster, call->day_max)))
            return false;
        row = domain;
        row->first_ms = no_later(row->first_ms, now_ms);
        cluster->sender_domains++;
    } else {
        if (domain->seen_ms > row->seen_ms)
            row->seen_ms = domain->seen_ms;
        if (call->force || row->verdict == PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING) {
            row->verdict = domain->verdict;
            row->judged_ms = domain->judged_ms;
            row->reason = domain->reason;
            row->findings = domain->findings;
            row->n_findings = domain->n_findings;
            row->settled = domain->settled;
        }
    }
    directory_store(apply, TABLE_SENDER_DOMAIN,
                    key_name(&key, DIRECTORY_GROUP, bytes_of(domain->name)), &row->base);
    return is_new;
}

enum err apply_sender_domain_put(struct apply *apply)
{
    const Pr__SenderDomainPut *call = apply->command->sender_domain_put;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if (call->n_domains > SENDER_DOMAINS_COMMAND_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu domains, more than %d", call->n_domains,
                            SENDER_DOMAINS_COMMAND_MAX);
    for (size_t i = 0; i < call->n_domains; i++)
        if ((err = domain_check(apply, call->domains[i])) != ERR_OK)
            return err;
    cluster->sender_domains -= directory_sweep(
        apply, TABLE_SENDER_DOMAIN, &pr__sender_domain__descriptor, is_forgotten,
        SWEEP_LOOKS_MIN + 2 * (unsigned)call->n_domains, &cluster->sender_domains_swept);
    for (size_t i = 0; i < call->n_domains; i++)
        apply->outcome->id += domain_put(apply, cluster, call->domains[i], call);
    directory_cluster_store(apply, cluster);
    return ERR_OK;
}
