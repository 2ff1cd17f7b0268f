/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_SETTINGS_CACHE_H
#define SMTP_POLICY_SETTINGS_CACHE_H

#include "storage/client/client.h"
#include "storage/schema/settings.h"

/*
 * The settings of domains that get mail, merged (cluster < tenant < domain), as the local store
 * tells them. One call waits at the store for changes of any of them; what is older than the
 * newest version is read anew when it is wanted. The least recently used are forgotten.
 */
struct settings_cache;

enum {
    SETTINGS_CACHE_MAX = 512, /* domains; some 6 KB each */
    SETTINGS_POLL_MS = 60 * 1000,
    SETTINGS_READ_MS = 5 * 1000,
    SETTINGS_PAUSE_MS = 1000, /* after a call that failed */
};

/* Of one domain; lives as long as somebody holds it. */
struct settings_of {
    unsigned holders;
    struct arena arena;
    struct settings settings;
};
void settings_release(struct settings_of **of);

/* Begins to read the cluster's. */
struct settings_cache *settings_cache_new(struct store_client *store);
/* done() is not called any more. What was handed out stays good. */
void settings_cache_free(struct settings_cache **cache);

/* The cluster's own, as far as they are known: until then the defaults. Until the loop turns.
 */
const struct settings *settings_cache_cluster(const struct settings_cache *cache);

/* What there is now, to be released; NULL: it has to be asked for. */
struct settings_of *settings_cache_now(struct settings_cache *cache, uint64_t tenant_id,
                                       uint64_t domain_id);
/*
 * done() comes once, never inside the call; its settings are to be released. The store cannot
 * say: what was known before, else NULL. Returns a ticket.
 */
typedef void settings_done(void *context, struct settings_of *of);
uint64_t settings_cache_ask(struct settings_cache *cache, uint64_t tenant_id,
                            uint64_t domain_id, settings_done *done, void *context);
void settings_cache_cancel(struct settings_cache *cache, uint64_t ticket);

#endif
