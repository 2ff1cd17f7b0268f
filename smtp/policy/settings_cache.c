/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/settings_cache.h"

#include <stdlib.h>

#include "node/base/check.h"

struct entry {
    struct entry *next; /* the last used first */
    struct settings_cache *cache;
    uint64_t tenant_id;
    uint64_t domain_id;
    uint64_t version; /* of `of` */
    struct settings_of *of;
    /* while it is read: */
    struct settings_of *reading; /* NULL: it is not */
    uint64_t reading_version;
    uint64_t call;
    unsigned step; /* 0: the tenant's, 1: the domain's */
};

struct waiter {
    struct waiter *next;
    uint64_t ticket;
    struct entry *entry;
    settings_done *done;
    void *context;
};

struct settings_cache {
    struct store_client *store;
    struct settings_of *cluster;
    uint64_t version; /* of the cluster's, and the newest seen; 0: none yet */
    uint64_t call;
    struct loop_timer *pause;
    struct entry *entries;
    unsigned count;
    struct waiter *waiters;
    uint64_t ticket_newest;
    /* The cluster's rows, packed: what others begin with. */
    struct arena rows_arena;
    struct setting_row_text {
        struct bytes name;
        struct bytes value;
    } * rows;
    size_t row_count;
};

static struct settings_of *settings_of_new(void)
{
    struct settings_of *of = calloc(1, sizeof(*of));

    CHECK(of != NULL);
    of->holders = 1;
    arena_init(&of->arena);
    settings_init(&of->settings, &of->arena);
    return of;
}

void settings_release(struct settings_of **of)
{
    struct settings_of *held = *of;

    *of = NULL;
    if (held == NULL || --held->holders > 0)
        return;
    arena_fini(&held->arena);
    free(held);
}

static void put_rows(struct settings_of *of, enum settings_scope scope,
                     const Pr__SettingsReadAnswer *answer)
{
    for (size_t i = 0; i < answer->n_settings; i++)
        settings_put(&of->settings, scope, bytes_of(answer->settings[i]->name),
                     bytes_of(answer->settings[i]->value));
}

static const Pr__SettingsReadAnswer *answer_of(enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_SETTINGS_READ)
        return NULL;
    return reply->settings_read;
}

static uint64_t read_scope(struct settings_cache *cache, Pr__SettingScope scope, uint64_t id,
                           uint64_t version, store_done *done, void *context)
{
    Pr__SettingsRead call;
    Pr__Request request;

    pr__request__init(&request);
    pr__settings_read__init(&call);
    call.scope = scope;
    call.id = id;
    call.version = version;
    request.call_case = PR__REQUEST__CALL_SETTINGS_READ;
    request.settings_read = &call;
    return store_call(cache->store, &request,
                      version != 0 ? SETTINGS_POLL_MS : SETTINGS_READ_MS, done, context);
}

/* ---- the cluster's ---- */

static void poll_cluster(void *context);
static void entries_begin(struct settings_cache *cache);

static void keep_rows(struct settings_cache *cache, const Pr__SettingsReadAnswer *answer)
{
    arena_reset(&cache->rows_arena);
    cache->row_count = answer->n_settings;
    cache->rows = arena_alloc(&cache->rows_arena, answer->n_settings * sizeof(*cache->rows));
    for (size_t i = 0; i < answer->n_settings; i++)
        cache->rows[i] = (struct setting_row_text){
            arena_copy(&cache->rows_arena, bytes_of(answer->settings[i]->name)),
            arena_copy(&cache->rows_arena, bytes_of(answer->settings[i]->value))};
}

static void on_cluster(void *context, enum err err, const Pr__Reply *reply)
{
    struct settings_cache *cache = context;
    const Pr__SettingsReadAnswer *answer = answer_of(err, reply);

    cache->call = 0;
    if (answer == NULL || answer->version == 0) {
        cache->pause = loop_timer_start(store_client_loop(cache->store), SETTINGS_PAUSE_MS, 0,
                                        poll_cluster, cache);
        if (cache->version == 0)
            entries_begin(cache);
        return;
    }
    if (answer->version != cache->version) {
        keep_rows(cache, answer);
        settings_release(&cache->cluster);
        cache->cluster = settings_of_new();
        put_rows(cache->cluster, SETTINGS_CLUSTER, answer);
        cache->version = answer->version;
        entries_begin(cache);
    }
    poll_cluster(cache);
}

static void poll_cluster(void *context)
{
    struct settings_cache *cache = context;

    cache->pause = NULL;
    cache->call = read_scope(cache, PR__SETTING_SCOPE__SETTING_CLUSTER, 0, cache->version,
                             on_cluster, cache);
}

struct settings_cache *settings_cache_new(struct store_client *store)
{
    struct settings_cache *cache = calloc(1, sizeof(*cache));

    CHECK(cache != NULL);
    cache->store = store;
    cache->cluster = settings_of_new();
    arena_init(&cache->rows_arena);
    poll_cluster(cache);
    return cache;
}

static void entry_free(struct entry *entry)
{
    if (entry->reading != NULL)
        store_cancel(entry->cache->store, entry->call);
    settings_release(&entry->reading);
    settings_release(&entry->of);
    free(entry);
}

void settings_cache_free(struct settings_cache **cache)
{
    struct settings_cache *ending = *cache;

    if (ending == NULL)
        return;
    *cache = NULL;
    while (ending->waiters != NULL) {
        struct waiter *waiter = ending->waiters;
        ending->waiters = waiter->next;
        free(waiter);
    }
    while (ending->entries != NULL) {
        struct entry *entry = ending->entries;
        ending->entries = entry->next;
        entry_free(entry);
    }
    if (ending->call != 0)
        store_cancel(ending->store, ending->call);
    loop_timer_stop(&ending->pause);
    settings_release(&ending->cluster);
    arena_fini(&ending->rows_arena);
    free(ending);
}

const struct settings *settings_cache_cluster(const struct settings_cache *cache)
{
    return &cache->cluster->settings;
}

/* ---- domains' ---- */

/* The entry, at the front. */
static struct entry *entry_get(struct settings_cache *cache, uint64_t tenant_id,
                               uint64_t domain_id)
{
    struct entry **at = &cache->entries;

    while (*at != NULL && ((*at)->tenant_id != tenant_id || (*at)->domain_id != domain_id))
        at = &(*at)->next;
    struct entry *entry = *at;
    if (entry == NULL)
        return NULL;
    *at = entry->next;
    entry->next = cache->entries;
    cache->entries = entry;
    return entry;
}

static struct settings_of *hold(struct settings_of *of)
{
    if (of != NULL)
        of->holders++;
    return of;
}

struct settings_of *settings_cache_now(struct settings_cache *cache, uint64_t tenant_id,
                                       uint64_t domain_id)
{
    if (cache->version == 0)
        return NULL;
    if (tenant_id == 0 && domain_id == 0)
        return hold(cache->cluster);
    struct entry *entry = entry_get(cache, tenant_id, domain_id);
    if (entry == NULL || entry->of == NULL || entry->version != cache->version)
        return NULL;
    return hold(entry->of);
}

/* What is read is there, or cannot be had. A waiter may do anything, ask or cancel as well. */
static void tell(struct settings_cache *cache, struct entry *entry)
{
    uint64_t newest = cache->ticket_newest;

    for (struct waiter **at = &cache->waiters; *at != NULL;) {
        struct waiter *waiter = *at;
        if (waiter->entry != entry || waiter->ticket > newest) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->done(waiter->context, hold(entry->of));
        free(waiter);
        at = &cache->waiters;
    }
}

static bool is_wanted(const struct settings_cache *cache, const struct entry *entry)
{
    for (const struct waiter *waiter = cache->waiters; waiter != NULL; waiter = waiter->next)
        if (waiter->entry == entry)
            return true;
    return false;
}

/* An entry that nobody waits for, and that was used longest ago, makes room. */
static void make_room(struct settings_cache *cache)
{
    struct entry **oldest = NULL;

    for (struct entry **at = &cache->entries; *at != NULL; at = &(*at)->next)
        if ((*at)->reading == NULL && !is_wanted(cache, *at))
            oldest = at;
    if (oldest == NULL || cache->count < SETTINGS_CACHE_MAX)
        return;
    struct entry *entry = *oldest;
    *oldest = entry->next;
    cache->count--;
    entry_free(entry);
}

static void read_next(struct entry *entry);

static void on_scope(void *context, enum err err, const Pr__Reply *reply)
{
    struct entry *entry = context;
    struct settings_cache *cache = entry->cache;
    const Pr__SettingsReadAnswer *answer = answer_of(err, reply);

    entry->call = 0;
    if (answer == NULL) {
        settings_release(&entry->reading);
        tell(cache, entry);
        return;
    }
    put_rows(entry->reading, entry->step == 0 ? SETTINGS_TENANT : SETTINGS_DOMAIN, answer);
    if (++entry->step < 2) {
        read_next(entry);
        return;
    }
    settings_release(&entry->of);
    entry->of = entry->reading;
    entry->reading = NULL;
    entry->version = entry->reading_version;
    tell(cache, entry);
}

static void read_next(struct entry *entry)
{
    bool tenant = entry->step == 0;

    entry->call = read_scope(entry->cache,
                             tenant ? PR__SETTING_SCOPE__SETTING_TENANT
                                    : PR__SETTING_SCOPE__SETTING_DOMAIN,
                             tenant ? entry->tenant_id : entry->domain_id, 0, on_scope, entry);
}

/* The version noted is that of the cluster's rows: when anything changed since, it is old. */
static void read_begin(struct entry *entry)
{
    const struct settings_cache *cache = entry->cache;

    entry->reading = settings_of_new();
    entry->reading_version = cache->version;
    for (size_t i = 0; i < cache->row_count; i++)
        settings_put(&entry->reading->settings, SETTINGS_CLUSTER, cache->rows[i].name,
                     cache->rows[i].value);
    entry->step = 0;
    read_next(entry);
}

/* What was asked for before the cluster's were there goes on; or cannot be had. */
static void entries_begin(struct settings_cache *cache)
{
    for (struct entry *entry = cache->entries, *next; entry != NULL; entry = next) {
        next = entry->next;
        if (entry->reading != NULL || !is_wanted(cache, entry))
            continue;
        if (cache->version != 0) {
            read_begin(entry);
            continue;
        }
        tell(cache, entry);
        next = cache->entries; /* the list may have changed; nobody waits for this one */
    }
}

uint64_t settings_cache_ask(struct settings_cache *cache, uint64_t tenant_id,
                            uint64_t domain_id, settings_done *done, void *context)
{
    struct entry *entry = entry_get(cache, tenant_id, domain_id);
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    CHECK(waiter != NULL);
    if (entry == NULL) {
        make_room(cache);
        entry = calloc(1, sizeof(*entry));
        CHECK(entry != NULL);
        *entry = (struct entry){.next = cache->entries,
                                .cache = cache,
                                .tenant_id = tenant_id,
                                .domain_id = domain_id};
        cache->entries = entry;
        cache->count++;
    }
    *waiter = (struct waiter){cache->waiters, ++cache->ticket_newest, entry, done, context};
    cache->waiters = waiter;
    if (entry->reading == NULL && cache->version != 0)
        read_begin(entry);
    return waiter->ticket;
}

void settings_cache_cancel(struct settings_cache *cache, uint64_t ticket)
{
    for (struct waiter **at = &cache->waiters; *at != NULL; at = &(*at)->next) {
        struct waiter *waiter = *at;
        if (waiter->ticket != ticket)
            continue;
        *at = waiter->next;
        free(waiter);
        return;
    }
}
