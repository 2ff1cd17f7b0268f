/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/policy.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/policy/internal.h"

const struct policy_times policy_times_default = {
    .greet_min_ms = 2000,
    .greet_max_ms = 6000,
    .facts_ms = 8000,
    .store_ms = 5000,
    .check_ms = 60 * 1000,
    .familiar_ms = 24 * 60 * 60 * 1000,
};

static void on_zone(void *context)
{
    struct policy *policy = context;

    for (struct policy_client *client = policy->clients; client != NULL; client = client->next)
        trials_look(client);
}

struct policy *policy_new(const struct policy_config *config)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    uint64_t seed;

    CHECK(policy != NULL);
    policy->config = *config;
    store_random(&seed, sizeof(seed));
    policy->familiar = familiar_new(seed);
    policy->settings = settings_cache_new(config->store);
    if (config->dns != NULL) {
        policy->zones = zones_new(config->dns, on_zone, policy);
        const struct senders_config senders_config = {
            .loop = config->loop,
            .store = config->store,
            .dns = config->dns,
            .zones = policy->zones,
            .settings = policy->settings,
            .store_ms = config->times->store_ms,
            .check_ms = config->times->check_ms,
        };
        policy->senders = senders_new(&senders_config);
    }
    return policy;
}

const struct settings *policy_settings(const struct policy *policy)
{
    return settings_cache_cluster(policy->settings);
}

void policy_free(struct policy **policy)
{
    struct policy *ending = *policy;

    if (ending == NULL)
        return;
    *policy = NULL;
    CHECK(ending->clients == NULL);
    senders_free(&ending->senders);
    zones_free(&ending->zones);
    settings_cache_free(&ending->settings);
    familiar_free(&ending->familiar);
    free(ending);
}
