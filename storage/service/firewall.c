/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/firewall.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/address.h"
#include "node/runtime/log_pause.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"
#include "storage/schema/firewall_entries.h"
#include "storage/schema/format.h"
#include "storage/service/firewall_shares.h"
#include "storage/service/limits.h"
#include "storage/service/pool_jobs.h"

enum { ENTRIES_MAX = 1000 /* in one command */ };

struct firewalls {
    struct service *service;
    struct firewall_tally *tally;
    struct firewall_shares *shares;
    struct firewall_list *list;
    uint64_t version; /* of the list; 0: none yet */
    struct loop_timer *timer;
    bool writing;
    bool leading;
    uint64_t learnt_s; /* bans up to then are known to the tally */
    struct pool_jobs *jobs;
    struct loading *loading;
};

/* The directory's list, being read. */
struct loading {
    struct firewalls *firewall;
    uint64_t version;
    struct firewall_list *list;
    struct arena arena;
    struct firewall_entry *entries;
    size_t count;
    size_t room;
    enum err err;
};

/* ---- the list ---- */

static void keep(struct loading *loading, const Pr__FirewallEntry *record)
{
    struct firewall_entry entry;

    if (!firewall_entry_read(record, &entry))
        return;
    if (loading->count == loading->room) {
        loading->room = loading->room == 0 ? 256 : 2 * loading->room;
        loading->entries = realloc(loading->entries, loading->room * sizeof(*loading->entries));
        CHECK(loading->entries != NULL);
    }
    loading->entries[loading->count++] = entry;
}

/* In a pool thread. */
static void load(void *context)
{
    struct loading *loading = context;
    struct service *service = loading->firewall->service;
    struct db_txn *txn = db_read_begin(service_db(service, DIRECTORY_GROUP));
    struct bytes last = bytes_from(NULL, 0);
    bool more = true;

    loading->version = firewall_version(txn);
    while (more && loading->err == ERR_OK && loading->count < FIREWALL_LIST_ENTRIES_MAX) {
        Pr__FirewallEntry **page;
        size_t count;
        loading->err = firewall_entries(txn, last, FIREWALLS_PAGE_MAX, false, &loading->arena,
                                        &page, &count, &last, &more);
        for (size_t i = 0; i < count; i++)
            keep(loading, page[i]);
    }
    db_abort(&txn);
    if (loading->err == ERR_OK)
        loading->err = firewall_list_new(loading->entries, loading->count, &loading->list);
}

/* Bans of other leaders, and of before the start. */
static void learn(struct firewalls *firewall, const struct loading *loading)
{
    uint64_t newest_s = firewall->learnt_s;

    for (size_t i = 0; i < loading->count; i++) {
        const struct firewall_entry *entry = &loading->entries[i];
        if (entry->kind != FIREWALL_ENTRY_BAN || entry->since_s < firewall->learnt_s)
            continue;
        firewall_tally_learn(firewall->tally, entry);
        if (entry->since_s > newest_s)
            newest_s = entry->since_s;
    }
    firewall->learnt_s = newest_s;
}

static void loading_free(struct loading *loading)
{
    free(loading->entries);
    firewall_list_free(&loading->list);
    arena_fini(&loading->arena);
    free(loading);
}

static void loaded(void *context)
{
    struct loading *loading = context;
    struct firewalls *firewall = loading->firewall;

    firewall->loading = NULL;
    if (loading->err == ERR_OK) {
        learn(firewall, loading);
        firewall_tally_set_list(firewall->tally, loading->list);
        firewall_list_free(&firewall->list);
        firewall->list = loading->list;
        firewall->version = loading->version;
        loading->list = NULL;
    }
    loading_free(loading);
}

static void look_at_list(struct firewalls *firewall)
{
    struct db_txn *txn = service_directory_begin(firewall->service);
    uint64_t version = firewall_version(txn);

    db_abort(&txn);
    if (version == firewall->version || firewall->loading != NULL)
        return;
    struct loading *loading = calloc(1, sizeof(*loading));
    CHECK(loading != NULL);
    loading->firewall = firewall;
    arena_init(&loading->arena);
    firewall->loading = loading;
    pool_jobs_run(firewall->jobs, load, loaded, loading);
}

/* ---- bans ---- */

static void on_banned(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct service *service = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK)
        log_warn(NULL, "bans were not written", LOG_FIELDS(LOG_TEXT("result", err_name(err))));
    if (service->firewall != NULL)
        service->firewall->writing = false;
}

static void put(struct arena *arena, Pr__FirewallPut *call, const struct firewall_entry *entry)
{
    Pr__FirewallEntry *record = arena_alloc(arena, sizeof(*record));
    char *net = arena_alloc(arena, FIREWALL_PLACE_TEXT_SIZE);

    pr__firewall_entry__init(record);
    firewall_entry_write(entry, net, record);
    call->entries[call->n_entries++] = record;
}

static void put_ban(struct arena *arena, Pr__FirewallPut *call, const struct firewall_ban *ban)
{
    struct firewall_entry entry = {
        .place = ban->place,
        .kind = FIREWALL_ENTRY_BAN,
        .scope = ban->scope,
        .rule = (uint16_t)ban->rule,
        .level = ban->level,
        .since_s = ban->since_s,
        .until_s = ban->until_s,
        .note = bytes_of(arena_string(arena, bytes_of(ban->evidence))),
    };
    char net[FIREWALL_PLACE_TEXT_SIZE];

    firewall_place_text(&ban->place, net);
    log_warn(NULL, "banned",
             LOG_FIELDS(LOG_TEXT("net", net), LOG_TEXT("rule", firewall_rule(ban->rule)->name),
                        LOG_TEXT("evidence", ban->evidence),
                        LOG_U64("seconds", ban->until_s - ban->since_s)));
    put(arena, call, &entry);
    entry.kind = FIREWALL_ENTRY_EXEMPT;
    entry.note = bytes_from(NULL, 0);
    for (size_t i = 0; i < ban->exempt_count; i++) {
        entry.place =
            (struct firewall_place){.prefix = firewall_prefix_of(&ban->exempt[i], 128)};
        put(arena, call, &entry);
    }
}

static void propose(struct firewalls *firewall)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__FirewallPut call = PR__FIREWALL_PUT__INIT;
    struct firewall_ban ban;
    struct arena arena;

    arena_init(&arena);
    call.entries = arena_alloc(&arena, ENTRIES_MAX * sizeof(*call.entries));
    for (unsigned i = 0;
         i < FIREWALLS_BANS_MAX && call.n_entries + 1 + FIREWALL_EXEMPT_MAX <= ENTRIES_MAX &&
         firewall_tally_next(firewall->tally, clock_wall_ms() / 1000, &ban);
         i++)
        put_ban(&arena, &call, &ban);
    if (call.n_entries > 0) {
        firewall->writing = true;
        command.call_case = PR__COMMAND__CALL_FIREWALL_PUT;
        command.firewall_put = &call;
        write_start(firewall->service, DIRECTORY_GROUP, &command,
                    clock_monotonic_ms() + FIREWALLS_WRITE_MS, on_banned, firewall->service);
    }
    arena_fini(&arena);
}

static void on_step(void *context)
{
    struct firewalls *firewall = context;
    struct service *service = firewall->service;

    if (service->stopping || service->replicator == NULL)
        return;
    bool leads =
        replicator_leader(service->replicator, DIRECTORY_GROUP) == service_self(service) &&
        service_format(service, DIRECTORY_GROUP) >= FORMAT_ADDRESSES;
    if (leads != firewall->leading) {
        firewall->leading = leads;
        firewall_tally_set_leading(firewall->tally, leads);
    }
    look_at_list(firewall);
    if (leads && !firewall->writing)
        propose(firewall);
}

/* ---- news ---- */

enum err firewalls_news(struct service *service, struct bytes batch, char **forgiven,
                        size_t forgiven_count)
{
    struct firewalls *firewall = service->firewall;
    struct firewall_batch decoded;
    struct firewall_place place;

    if (firewall == NULL)
        return ERR_UNAVAILABLE;
    for (size_t i = 0; i < forgiven_count && i < ENTRIES_MAX; i++)
        if (firewall_place_parse(bytes_of(forgiven[i]), &place) == ERR_OK)
            firewall_tally_forgive(firewall->tally, &place);
    if (batch.len == 0)
        return ERR_OK;
    enum err err = firewall_batch_decode(batch, &decoded);
    if (err != ERR_OK)
        return err;
    firewall_tally_merge(firewall->tally, &decoded, clock_wall_ms() / 1000);
    firewall_batch_fini(&decoded);
    return ERR_OK;
}

void firewalls_login(struct service *service, uint32_t connection, const char *peer, bool good)
{
    struct address address;

    if (service->firewall == NULL || !address_parse(bytes_of(peer), &address))
        return;
    const struct firewall_address from = firewall_address_from(address.bytes);
    firewall_shares_login(service->firewall->shares, connection, &from, good,
                          clock_monotonic_ms());
}

enum err firewalls_believe(struct service *service, uint32_t connection, struct bytes batch,
                           struct buffer *believed)
{
    static _Atomic uint64_t logged_ms;
    struct firewall_batch decoded;

    if (service->firewall == NULL)
        return ERR_UNAVAILABLE;
    enum err err = firewall_batch_decode(batch, &decoded);
    if (err != ERR_OK)
        return err;
    uint64_t refused = firewall_shares_take(service->firewall->shares, connection, &decoded,
                                            clock_monotonic_ms());
    if (refused > 0 && log_pause_over(&logged_ms))
        log_warn(NULL, "a front end tells of more than it is believed",
                 LOG_FIELDS(LOG_U64("connection", connection), LOG_U64("events", refused)));
    firewall_batch_encode(&decoded, believed);
    firewall_batch_fini(&decoded);
    return ERR_OK;
}

void firewalls_connection_closed(struct service *service, uint32_t connection)
{
    if (service->firewall != NULL)
        firewall_shares_connection_closed(service->firewall->shares, connection);
}

struct firewall_key firewalls_key(struct service *service)
{
    static const char domain[] = "firewall digests";
    struct firewall_key key = {0, 0};
    uint8_t digest[16];
    struct arena arena;

    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(service);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &arena);
    if (cluster != NULL && cluster->auth_key.len >= crypto_generichash_KEYBYTES_MIN) {
        crypto_generichash(digest, sizeof(digest), (const uint8_t *)domain, sizeof(domain),
                           cluster->auth_key.data, cluster->auth_key.len);
        memcpy(&key, digest, sizeof(key));
    }
    db_abort(&txn);
    arena_fini(&arena);
    return key;
}

struct firewalls *firewalls_new(struct service *service)
{
    struct firewalls *firewall = calloc(1, sizeof(*firewall));
    struct firewall_tally_config config;

    CHECK(firewall != NULL);
    firewall->service = service;
    firewall_tally_config_init(&config);
    randombytes_buf(&config.seed, sizeof(config.seed));
    firewall->tally = firewall_tally_new(&config);
    firewall->shares = firewall_shares_new();
    firewall->jobs = pool_jobs_new(service->loop);
    firewall->timer = loop_timer_start(service->loop, FIREWALLS_STEP_MS, FIREWALLS_STEP_MS,
                                       on_step, firewall);
    return firewall;
}

void firewalls_free(struct firewalls **firewall)
{
    struct firewalls *closing = *firewall;

    if (closing == NULL)
        return;
    *firewall = NULL;
    loop_timer_stop(&closing->timer);
    pool_jobs_end(&closing->jobs);
    if (closing->loading != NULL)
        loading_free(closing->loading);
    firewall_tally_free(&closing->tally);
    firewall_shares_free(&closing->shares);
    firewall_list_free(&closing->list);
    free(closing);
}

void firewalls_explain(struct firewalls *firewall, const struct firewall_address *address,
                       struct buffer *text)
{
    uint64_t now_s = clock_wall_ms() / 1000;

    firewall_list_explain(firewall->list, address, 0, now_s, text);
    firewall_tally_explain(firewall->tally, address, 0, now_s, text);
}
