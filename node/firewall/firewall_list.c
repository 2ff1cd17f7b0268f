/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/firewall_list.h"

#include <stdlib.h>

#include "node/base/check.h"

#define CLOCK_SLACK_S 3600

struct facts {
    uint32_t since_s;
    uint32_t until_s; /* 0: for good */
    uint32_t note;    /* 1 + where it lies: its length, its bytes; 0: none */
    uint16_t rule;
    uint8_t kind;
    uint8_t scope;
    uint8_t level;
    uint8_t bits; /* of a prefix */
};

/*
 * Prefixes, in the order of address and length. Each knows the last one before it that covers
 * it
 * (`parent`, 1 + index): from the last prefix that begins at or before an address, the way
 * through the parents meets each prefix that holds the address.
 */
struct prefix_item {
    struct firewall_address address;
    struct facts facts;
    uint32_t parent;
};

struct network_item {
    uint32_t network;
    struct facts facts;
};

struct firewall_list {
    struct prefix_item *prefixes;
    struct network_item *networks;
    uint32_t prefix_count;
    uint32_t network_count;
    struct buffer notes;
};

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_address(const struct firewall_address *a, const struct firewall_address *b)
{
    return a->high != b->high ? order_u64(a->high, b->high) : order_u64(a->low, b->low);
}

/* Of what is equal, the one that lasts longest comes first. */
static int order_facts(const struct facts *a, const struct facts *b)
{
    if (a->bits != b->bits)
        return a->bits < b->bits ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return order_u64(b->until_s - 1u, a->until_s - 1u); /* 0, for good, is the most */
}

static int order_prefixes(const void *first, const void *second)
{
    const struct prefix_item *a = first;
    const struct prefix_item *b = second;
    int order = order_address(&a->address, &b->address);

    return order != 0 ? order : order_facts(&a->facts, &b->facts);
}

static int order_networks(const void *first, const void *second)
{
    const struct network_item *a = first;
    const struct network_item *b = second;
    int order = order_u64(a->network, b->network);

    return order != 0 ? order : order_facts(&a->facts, &b->facts);
}

static bool are_same(const struct facts *a, const struct facts *b)
{
    return a->bits == b->bits && a->kind == b->kind && a->scope == b->scope;
}

static uint32_t note_add(struct firewall_list *list, struct bytes note, struct bytes *last,
                         uint32_t last_at)
{
    if (note.len > FIREWALL_NOTE_SIZE_MAX)
        note.len = FIREWALL_NOTE_SIZE_MAX;
    if (note.len == 0 || (last_at != 0 && bytes_equal(note, *last)))
        return note.len == 0 ? 0 : last_at;
    uint32_t at = (uint32_t)buffer_len(&list->notes) + 1;
    buffer_add_byte(&list->notes, (uint8_t)note.len);
    buffer_add(&list->notes, note);
    *last = note;
    return at;
}

static uint32_t seconds(uint64_t time_s)
{
    return time_s < UINT32_MAX ? (uint32_t)time_s : UINT32_MAX;
}

static void add_entry(struct firewall_list *list, const struct firewall_entry *entry,
                      uint32_t note)
{
    struct facts facts = {
        .since_s = seconds(entry->since_s),
        .until_s = seconds(entry->until_s),
        .note = note,
        .rule = entry->rule,
        .kind = (uint8_t)entry->kind,
        .scope = (uint8_t)entry->scope,
        .level = entry->level,
        .bits = entry->place.network != 0 ? 0 : entry->place.prefix.bits,
    };

    if (entry->place.network != 0)
        list->networks[list->network_count++] =
            (struct network_item){entry->place.network, facts};
    else
        list->prefixes[list->prefix_count++] =
            (struct prefix_item){entry->place.prefix.address, facts, 0};
}

/* Numbers alone: what an address is, find() looks at. */
static bool covers(const struct prefix_item *outer, const struct prefix_item *inner)
{
    struct firewall_prefix own = firewall_prefix_of(&inner->address, outer->facts.bits);

    return outer->facts.bits <= inner->facts.bits &&
           firewall_address_equal(&own.address, &outer->address);
}

static void sort_prefixes(struct firewall_list *list)
{
    struct prefix_item *items = list->prefixes;
    uint32_t count = 0;

    qsort(items, list->prefix_count, sizeof(*items), order_prefixes);
    for (uint32_t i = 0; i < list->prefix_count; i++) {
        if (count > 0 && firewall_address_equal(&items[count - 1].address, &items[i].address) &&
            are_same(&items[count - 1].facts, &items[i].facts))
            continue;
        uint32_t parent = count;
        while (parent != 0 && !covers(&items[parent - 1], &items[i]))
            parent = items[parent - 1].parent;
        items[count] = items[i];
        items[count++].parent = parent;
    }
    list->prefix_count = count;
}

static void sort_networks(struct firewall_list *list)
{
    struct network_item *items = list->networks;
    uint32_t count = 0;

    qsort(items, list->network_count, sizeof(*items), order_networks);
    for (uint32_t i = 0; i < list->network_count; i++)
        if (count == 0 || items[count - 1].network != items[i].network ||
            !are_same(&items[count - 1].facts, &items[i].facts))
            items[count++] = items[i];
    list->network_count = count;
}

enum err firewall_list_new(const struct firewall_entry *entries, size_t count,
                           struct firewall_list **made)
{
    size_t networks = 0;
    struct bytes last = {NULL, 0};
    uint32_t note = 0;

    *made = NULL;
    if (count > FIREWALL_LIST_ENTRIES_MAX)
        return ERR_TOOBIG;
    for (size_t i = 0; i < count; i++)
        networks += entries[i].place.network != 0;
    struct firewall_list *list = calloc(1, sizeof(*list));
    CHECK(list != NULL);
    buffer_init(&list->notes);
    list->prefixes = calloc(count - networks + 1, sizeof(*list->prefixes));
    list->networks = calloc(networks + 1, sizeof(*list->networks));
    CHECK(list->prefixes != NULL && list->networks != NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t own = note_add(list, entries[i].note, &last, note);
        note = own != 0 ? own : note;
        add_entry(list, &entries[i], own);
    }
    sort_prefixes(list);
    sort_networks(list);
    *made = list;
    return ERR_OK;
}

void firewall_list_free(struct firewall_list **list)
{
    if (*list == NULL)
        return;
    free((*list)->prefixes);
    free((*list)->networks);
    buffer_fini(&(*list)->notes);
    free(*list);
    *list = NULL;
}

size_t firewall_list_count(const struct firewall_list *list)
{
    return (size_t)list->prefix_count + list->network_count;
}

size_t firewall_list_bytes(const struct firewall_list *list)
{
    return sizeof(*list) + list->prefix_count * sizeof(*list->prefixes) +
           list->network_count * sizeof(*list->networks) + list->notes.size;
}

/* 1 + index of the last prefix that begins at or before the address; 0: none. */
static uint32_t last_before(const struct firewall_list *list,
                            const struct firewall_address *address)
{
    uint32_t low = 0;
    uint32_t high = list->prefix_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (order_address(&list->prefixes[middle].address, address) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first of a network's entries; they lie together. */
static uint32_t first_of_network(const struct firewall_list *list, uint32_t network)
{
    uint32_t low = 0;
    uint32_t high = list->network_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->networks[middle].network < network)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct firewall_prefix prefix_at(const struct prefix_item *item)
{
    return (struct firewall_prefix){item->address, item->facts.bits};
}

static bool holds(const struct prefix_item *item, const struct firewall_address *address)
{
    struct firewall_prefix prefix = prefix_at(item);

    return firewall_prefix_holds(&prefix, address);
}

static void fill(const struct firewall_list *list, const struct facts *facts,
                 struct firewall_place place, struct firewall_entry *entry)
{
    if (entry == NULL)
        return;
    *entry = (struct firewall_entry){
        .place = place,
        .kind = (enum firewall_entry_kind)facts->kind,
        .scope = facts->scope,
        .rule = facts->rule,
        .level = facts->level,
        .since_s = facts->since_s,
        .until_s = facts->until_s,
    };
    if (facts->note != 0) {
        const uint8_t *at = buffer_bytes(&list->notes).at + facts->note - 1;
        entry->note = bytes_from(at + 1, *at);
    }
}

/* The best so far of each kind, while entries are met from the longest prefix to the shortest,
 * networks last. */
struct finding {
    const struct facts *of[FIREWALL_ENTRY_EXEMPT + 1];
    int bits[FIREWALL_ENTRY_EXEMPT + 1]; /* -1: a network's */
    struct firewall_place place[FIREWALL_ENTRY_EXEMPT + 1];
    unsigned service;
    uint64_t now_s;
};

static void meet(struct finding *finding, const struct facts *facts, int bits,
                 struct firewall_place place)
{
    bool is_in_force = (facts->until_s == 0 || finding->now_s < facts->until_s) &&
                       facts->since_s <= finding->now_s + CLOCK_SLACK_S;

    if (!is_in_force || (facts->scope & finding->service) == 0 ||
        facts->kind < FIREWALL_ENTRY_ALLOW || facts->kind > FIREWALL_ENTRY_EXEMPT ||
        finding->of[facts->kind] != NULL)
        return;
    finding->of[facts->kind] = facts;
    finding->bits[facts->kind] = bits;
    finding->place[facts->kind] = place;
}

static unsigned decide(const struct finding *finding)
{
    const struct facts *const *of = finding->of;
    const int *bits = finding->bits;

    if (of[FIREWALL_ENTRY_ALLOW] != NULL &&
        (of[FIREWALL_ENTRY_DENY] == NULL ||
         bits[FIREWALL_ENTRY_ALLOW] >= bits[FIREWALL_ENTRY_DENY]))
        return FIREWALL_ENTRY_ALLOW;
    if (of[FIREWALL_ENTRY_DENY] != NULL)
        return FIREWALL_ENTRY_DENY;
    if (of[FIREWALL_ENTRY_BAN] != NULL &&
        (of[FIREWALL_ENTRY_EXEMPT] == NULL ||
         bits[FIREWALL_ENTRY_BAN] >= bits[FIREWALL_ENTRY_EXEMPT]))
        return FIREWALL_ENTRY_BAN;
    return of[FIREWALL_ENTRY_EXEMPT] != NULL ? FIREWALL_ENTRY_EXEMPT : 0;
}

bool firewall_list_find(const struct firewall_list *list,
                        const struct firewall_address *address, uint32_t network,
                        enum firewall_service service, uint64_t now_s,
                        struct firewall_entry *entry)
{
    struct finding finding = {.service = service, .now_s = now_s};

    if (list == NULL)
        return false;
    for (uint32_t at = last_before(list, address); at != 0;) {
        const struct prefix_item *item = &list->prefixes[at - 1];
        if (holds(item, address))
            meet(&finding, &item->facts, item->facts.bits,
                 (struct firewall_place){.prefix = prefix_at(item)});
        at = item->parent;
    }
    for (uint32_t at = first_of_network(list, network);
         network != 0 && at < list->network_count && list->networks[at].network == network;
         at++)
        meet(&finding, &list->networks[at].facts, -1,
             (struct firewall_place){.network = network});
    unsigned kind = decide(&finding);
    if (kind != 0)
        fill(list, finding.of[kind], finding.place[kind], entry);
    return kind != 0;
}

bool firewall_list_next(const struct firewall_list *list,
                        const struct firewall_address *address, uint32_t network,
                        size_t *cursor, struct firewall_entry *entry)
{
    uint32_t first = list != NULL && network != 0 ? first_of_network(list, network) : 0;
    uint32_t found = 0;
    size_t skip = *cursor;

    if (list == NULL)
        return false;
    for (; network != 0 && first < list->network_count &&
           list->networks[first].network == network;
         first++, skip--) {
        if (skip > 0)
            continue;
        fill(list, &list->networks[first].facts, (struct firewall_place){.network = network},
             entry);
        ++*cursor;
        return true;
    }
    /* Along the parents they come longest first: the last but `skip` is the one. */
    size_t holding = 0;
    for (uint32_t at = last_before(list, address); at != 0; at = list->prefixes[at - 1].parent)
        holding += holds(&list->prefixes[at - 1], address);
    if (skip >= holding)
        return false;
    for (uint32_t at = last_before(list, address); at != 0 && found == 0;
         at = list->prefixes[at - 1].parent)
        if (holds(&list->prefixes[at - 1], address) && --holding == skip)
            found = at;
    const struct prefix_item *item = &list->prefixes[found - 1];
    fill(list, &item->facts, (struct firewall_place){.prefix = prefix_at(item)}, entry);
    ++*cursor;
    return true;
}
