/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/client/firewall_link.h"

#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/schema/firewall_entries.h"
#include "storage/schema/settings.h"

enum { CALL_MS = 10000 };

/* A list being read, page by page. */
struct pages {
    struct arena pages_arena;
    struct firewall_entry *entries;
    size_t count;
    size_t room;
    char *after;
    uint64_t version;
};

/* One that was in the list when it was read last. */
struct ban {
    struct firewall_place place;
    uint64_t until_s; /* UINT64_MAX: for good */
};

struct firewall_link {
    struct store_client *store;
    struct ban bans[FIREWALL_LINK_BANS_MAX];
    size_t ban_count;
    struct firewall *firewall;
    struct firewall_key key;
    struct firewall_list *list;
    uint64_t list_version;
    uint64_t settings_version;
    struct pages pages;
    uint64_t list_call;
    uint64_t settings_call;
    uint64_t report_call;
    struct loop_timer *report_timer;
    struct loop_timer *list_again;
    struct loop_timer *settings_again;
};

struct firewall_now firewall_link_now(void)
{
    return (struct firewall_now){.ms = clock_monotonic_ms(), .s = clock_wall_ms() / 1000};
}

struct firewall *firewall_link_firewall(const struct firewall_link *link)
{
    return link->firewall;
}

const struct firewall_key *firewall_link_key(const struct firewall_link *link)
{
    return &link->key;
}

/* ---- reports ---- */

static void on_reported(void *context, enum err err, const Pr__Reply *reply)
{
    struct firewall_link *link = context;

    (void)err; /* what was not told is told again by whoever goes on */
    (void)reply;
    link->report_call = 0;
}

static void on_report(void *context)
{
    struct firewall_link *link = context;
    struct buffer wire = BUFFER_EMPTY;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FirewallReport report = PR__FIREWALL_REPORT__INIT;

    if (link->report_call == 0 && firewall_take_batch(link->firewall, &wire)) {
        report.batch = field_of_bytes(buffer_bytes(&wire));
        request.call_case = PR__REQUEST__CALL_FIREWALL_REPORT;
        request.firewall_report = &report;
        link->report_call = store_call(link->store, &request, CALL_MS, on_reported, link);
    }
    buffer_fini(&wire);
}

/* ---- the list ---- */

static void ask_list(struct firewall_link *link);

static void on_list_again(void *context)
{
    struct firewall_link *link = context;

    link->list_again = NULL;
    ask_list(link);
}

static void pages_clear(struct pages *pages)
{
    free(pages->entries);
    arena_fini(&pages->pages_arena);
    *pages = (struct pages){.count = 0};
    arena_init(&pages->pages_arena);
}

static void pages_add(struct pages *pages, const Pr__FirewallReadAnswer *answer)
{
    for (size_t i = 0; i < answer->n_entries; i++) {
        struct firewall_entry entry;
        if (!firewall_entry_read(answer->entries[i], &entry))
            continue;
        entry.note = arena_copy(&pages->pages_arena, entry.note);
        if (pages->count == pages->room) {
            pages->room = pages->room == 0 ? 256 : 2 * pages->room;
            pages->entries = realloc(pages->entries, pages->room * sizeof(*pages->entries));
            CHECK(pages->entries != NULL);
        }
        pages->entries[pages->count++] = entry;
    }
    if (answer->n_entries > 0)
        pages->after = arena_string(&pages->pages_arena,
                                    bytes_of(answer->entries[answer->n_entries - 1]->net));
}

static bool place_equal(const struct firewall_place *a, const struct firewall_place *b)
{
    return a->network == b->network &&
           (a->network != 0 ||
            (a->prefix.bits == b->prefix.bits &&
             firewall_address_equal(&a->prefix.address, &b->prefix.address)));
}

/* Whether the list that is coming has an entry of that place. */
static bool stays(const struct pages *pages, const struct firewall_place *place)
{
    for (size_t i = 0; i < pages->count; i++)
        if (pages->entries[i].kind == FIREWALL_ENTRY_BAN &&
            place_equal(&pages->entries[i].place, place))
            return true;
    return false;
}

/* Bans that were in force and are in the list no more: somebody lifted them. */
static void forgive_lifted(struct firewall_link *link)
{
    uint64_t now_s = clock_wall_ms() / 1000;
    size_t kept = 0;

    for (size_t i = 0; i < link->ban_count; i++)
        if (link->bans[i].until_s > now_s && !stays(&link->pages, &link->bans[i].place))
            firewall_forgive(link->firewall, &link->bans[i].place);
    for (size_t i = 0; i < link->pages.count && kept < FIREWALL_LINK_BANS_MAX; i++)
        if (link->pages.entries[i].kind == FIREWALL_ENTRY_BAN)
            link->bans[kept++] =
                (struct ban){link->pages.entries[i].place, link->pages.entries[i].until_s != 0
                                                               ? link->pages.entries[i].until_s
                                                               : UINT64_MAX};
    link->ban_count = kept;
}

static void list_take(struct firewall_link *link)
{
    struct firewall_list *list = NULL;

    link->list_version = link->pages.version; /* or it would be asked for again at once */
    if (firewall_list_new(link->pages.entries, link->pages.count, &list) != ERR_OK) {
        log_error(NULL, "the firewall's list is too long",
                  LOG_FIELDS(LOG_U64("entries", link->pages.count)));
        return;
    }
    firewall_set_list(link->firewall, list);
    forgive_lifted(link);
    firewall_list_free(&link->list);
    link->list = list;
}

static void on_list(void *context, enum err err, const Pr__Reply *reply)
{
    struct firewall_link *link = context;
    const Pr__FirewallReadAnswer *answer =
        err == ERR_OK && reply->err == ERR_OK &&
                reply->answer_case == PR__REPLY__ANSWER_FIREWALL_READ
            ? reply->firewall_read
            : NULL;

    link->list_call = 0;
    if (answer == NULL || answer->version == 0) {
        pages_clear(&link->pages);
        link->list_again = loop_timer_start(store_client_loop(link->store),
                                            FIREWALL_LINK_AGAIN_MS, 0, on_list_again, link);
        return;
    }
    if (answer->digest_key.len == sizeof(link->key))
        memcpy(&link->key, answer->digest_key.data, sizeof(link->key));
    bool restarts = link->pages.after != NULL && link->pages.version != answer->version;
    if (!restarts && (link->pages.after != NULL || answer->version != link->list_version))
        pages_add(&link->pages, answer);
    link->pages.version = answer->version;
    if (!restarts && answer->version != link->list_version && !answer->more)
        list_take(link);
    /* It changed between two pages: from the first again. */
    if (restarts || !answer->more || link->pages.after == NULL)
        pages_clear(&link->pages);
    ask_list(link);
}

static void ask_list(struct firewall_link *link)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FirewallRead call = PR__FIREWALL_READ__INIT;

    call.version = link->list_version;
    if (link->pages.after != NULL)
        call.after = link->pages.after;
    request.call_case = PR__REQUEST__CALL_FIREWALL_READ;
    request.firewall_read = &call;
    link->list_call = store_call(link->store, &request, FIREWALL_LINK_WAIT_MS, on_list, link);
}

/* ---- limits of rules ---- */

static void ask_settings(struct firewall_link *link);

static void on_settings_again(void *context)
{
    struct firewall_link *link = context;

    link->settings_again = NULL;
    ask_settings(link);
}

static void take_rule(struct firewall_settings *settings, const Pr__Setting *setting)
{
    static const struct bytes family = BYTES_INIT("firewall.");
    struct bytes name = bytes_of(setting->name);
    struct settings_rule limits;

    if (!bytes_start_nocase(name, family) ||
        !settings_rule_parse(bytes_of(setting->value), &limits))
        return;
    enum firewall_rule_id id = firewall_rule_find(bytes_skip(name, family.len));
    if (id == FIREWALL_NO_RULE)
        return;
    struct firewall_settings changed = *settings;
    changed.of[id].limit = limits.limit;
    if (limits.has_limit_v6)
        changed.of[id].limit_v6 = limits.limit_v6;
    if (limits.window_s != 0)
        changed.of[id].window_s = limits.window_s;
    if (firewall_settings_are_valid(&changed))
        *settings = changed;
}

static void on_settings(void *context, enum err err, const Pr__Reply *reply)
{
    struct firewall_link *link = context;
    struct firewall_settings settings;

    link->settings_call = 0;
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_SETTINGS_READ ||
        reply->settings_read->version == 0) {
        link->settings_again = loop_timer_start(
            store_client_loop(link->store), FIREWALL_LINK_AGAIN_MS, 0, on_settings_again, link);
        return;
    }
    firewall_settings_init(&settings);
    for (size_t i = 0; i < reply->settings_read->n_settings; i++)
        take_rule(&settings, reply->settings_read->settings[i]);
    firewall_set_settings(link->firewall, &settings);
    link->settings_version = reply->settings_read->version;
    ask_settings(link);
}

static void ask_settings(struct firewall_link *link)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__SettingsRead call = PR__SETTINGS_READ__INIT;

    call.version = link->settings_version;
    request.call_case = PR__REQUEST__CALL_SETTINGS_READ;
    request.settings_read = &call;
    link->settings_call =
        store_call(link->store, &request, FIREWALL_LINK_WAIT_MS, on_settings, link);
}

/* ---- life ---- */

struct firewall_link *
firewall_link_new(struct store_client *store,
                  uint32_t (*network_of)(void *context, const struct firewall_address *address),
                  void *context)
{
    struct firewall_link *link = calloc(1, sizeof(*link));
    struct firewall_config config;

    CHECK(link != NULL);
    link->store = store;
    arena_init(&link->pages.pages_arena);
    firewall_config_init(&config);
    store_random(&config.seed, sizeof(config.seed));
    config.network_of = network_of;
    config.context = context;
    link->firewall = firewall_new(&config);
    link->report_timer = loop_timer_start(store_client_loop(store), FIREWALL_LINK_REPORT_MS,
                                          FIREWALL_LINK_REPORT_MS, on_report, link);
    ask_list(link);
    ask_settings(link);
    return link;
}

void firewall_link_free(struct firewall_link **link)
{
    struct firewall_link *closing = *link;

    if (closing == NULL)
        return;
    *link = NULL;
    loop_timer_stop(&closing->report_timer);
    loop_timer_stop(&closing->list_again);
    loop_timer_stop(&closing->settings_again);
    store_cancel(closing->store, closing->list_call);
    store_cancel(closing->store, closing->settings_call);
    store_cancel(closing->store, closing->report_call);
    firewall_free(&closing->firewall);
    firewall_list_free(&closing->list);
    pages_clear(&closing->pages);
    free(closing);
}
