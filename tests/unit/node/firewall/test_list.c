/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "node/firewall/firewall_list.h"
#include "node/firewall/rules.h"

#define NOW 1800000000u

static uint64_t random_state = 42;

static uint64_t random_u64(void)
{
    random_state += 0x9E3779B97F4A7C15;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static struct firewall_place place_of(const char *text)
{
    struct firewall_place place;

    assert_int_equal(firewall_place_parse(bytes_of(text), &place), ERR_OK);
    return place;
}

static struct firewall_entry entry_of(const char *place, enum firewall_entry_kind kind)
{
    return (struct firewall_entry){.place = place_of(place),
                                   .kind = kind,
                                   .scope = FIREWALL_ALL_SERVICES,
                                   .since_s = NOW - 60};
}

/* What the entries say of an address in network 64500, by the text of the place that decides.
 */
static const char *find(const struct firewall_entry *entries, size_t count, const char *address,
                        unsigned *kind)
{
    static char text[FIREWALL_PLACE_TEXT_SIZE];
    struct firewall_place place = place_of(address);
    struct firewall_list *list;
    struct firewall_entry entry;

    assert_int_equal(firewall_list_new(entries, count, &list), ERR_OK);
    bool is_found =
        firewall_list_find(list, &place.prefix.address, 64500, FIREWALL_SMTP, NOW, &entry);
    *kind = is_found ? entry.kind : 0;
    text[0] = 0;
    if (is_found)
        firewall_place_text(&entry.place, text);
    firewall_list_free(&list);
    return text;
}

static const struct {
    struct {
        const char *place;
        enum firewall_entry_kind kind;
    } entries[4];
    const char *address;
    unsigned kind;
    const char *place;
} order_cases[] = {
    {{{"192.0.2.0/24", FIREWALL_ENTRY_BAN}}, "192.0.2.9", FIREWALL_ENTRY_BAN, "192.0.2.0/24"},
    {{{"192.0.2.0/24", FIREWALL_ENTRY_BAN}}, "192.0.3.9", 0, ""},
    {{{"192.0.2.0/24", FIREWALL_ENTRY_BAN}, {"192.0.2.9", FIREWALL_ENTRY_BAN}},
     "192.0.2.9",
     FIREWALL_ENTRY_BAN,
     "192.0.2.9"},
    /* the operator's: the longest */
    {{{"192.0.2.0/24", FIREWALL_ENTRY_DENY}, {"192.0.2.9", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_ALLOW,
     "192.0.2.9"},
    {{{"192.0.2.0/24", FIREWALL_ENTRY_ALLOW}, {"192.0.2.9", FIREWALL_ENTRY_DENY}},
     "192.0.2.9",
     FIREWALL_ENTRY_DENY,
     "192.0.2.9"},
    {{{"192.0.2.9", FIREWALL_ENTRY_DENY}, {"192.0.2.9", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_ALLOW,
     "192.0.2.9"},
    {{{"AS64500", FIREWALL_ENTRY_DENY}, {"0.0.0.0/0", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_ALLOW,
     "0.0.0.0/0"},
    {{{"AS64500", FIREWALL_ENTRY_DENY}, {"AS64501", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_DENY,
     "AS64500"},
    /* ALLOW of any length wins over a ban */
    {{{"192.0.2.9", FIREWALL_ENTRY_BAN}, {"192.0.2.0/24", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_ALLOW,
     "192.0.2.0/24"},
    {{{"192.0.2.9", FIREWALL_ENTRY_BAN}, {"AS64500", FIREWALL_ENTRY_ALLOW}},
     "192.0.2.9",
     FIREWALL_ENTRY_ALLOW,
     "AS64500"},
    /* EXEMPT: over what is wider, not over the address's own */
    {{{"192.0.2.0/24", FIREWALL_ENTRY_BAN}, {"192.0.2.9", FIREWALL_ENTRY_EXEMPT}},
     "192.0.2.9",
     FIREWALL_ENTRY_EXEMPT,
     "192.0.2.9"},
    {{{"AS64500", FIREWALL_ENTRY_BAN}, {"192.0.2.9", FIREWALL_ENTRY_EXEMPT}},
     "192.0.2.9",
     FIREWALL_ENTRY_EXEMPT,
     "192.0.2.9"},
    {{{"192.0.2.0/24", FIREWALL_ENTRY_BAN},
      {"192.0.2.9", FIREWALL_ENTRY_EXEMPT},
      {"192.0.2.9", FIREWALL_ENTRY_BAN}},
     "192.0.2.9",
     FIREWALL_ENTRY_BAN,
     "192.0.2.9"},
    {{{"192.0.2.0/24", FIREWALL_ENTRY_DENY}, {"192.0.2.9", FIREWALL_ENTRY_EXEMPT}},
     "192.0.2.9",
     FIREWALL_ENTRY_DENY,
     "192.0.2.0/24"},
    /* families */
    {{{"::/0", FIREWALL_ENTRY_DENY}}, "192.0.2.9", 0, ""},
    {{{"::/0", FIREWALL_ENTRY_DENY}, {"192.0.2.0/24", FIREWALL_ENTRY_BAN}},
     "::ffff:192.0.2.9",
     FIREWALL_ENTRY_BAN,
     "192.0.2.0/24"},
    {{{"2001:db8::/32", FIREWALL_ENTRY_DENY}, {"2001:db8:1::/48", FIREWALL_ENTRY_ALLOW}},
     "2001:db8:2::1",
     FIREWALL_ENTRY_DENY,
     "2001:db8::/32"},
};

static void entries_decide_in_order(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof(order_cases) / sizeof(order_cases[0]); i++) {
        struct firewall_entry entries[4];
        size_t count = 0;
        unsigned kind;
        for (; count < 4 && order_cases[i].entries[count].place != NULL; count++)
            entries[count] = entry_of(order_cases[i].entries[count].place,
                                      order_cases[i].entries[count].kind);
        print_message("case %zu\n", i);
        assert_string_equal(find(entries, count, order_cases[i].address, &kind),
                            order_cases[i].place);
        assert_int_equal(kind, order_cases[i].kind);
    }
}

static unsigned kind_at(const struct firewall_entry *entry, enum firewall_service service,
                        uint64_t now_s)
{
    struct firewall_address address = place_of("192.0.2.9").prefix.address;
    struct firewall_entry found;
    struct firewall_list *list;

    assert_int_equal(firewall_list_new(entry, 1, &list), ERR_OK);
    unsigned kind =
        firewall_list_find(list, &address, 0, service, now_s, &found) ? found.kind : 0;
    firewall_list_free(&list);
    return kind;
}

static void entries_end_and_have_a_scope(void **state)
{
    struct firewall_entry entry = entry_of("192.0.2.9", FIREWALL_ENTRY_BAN);

    (void)state;
    entry.scope = FIREWALL_LOGINS;
    entry.until_s = NOW + 10;
    assert_int_equal(kind_at(&entry, FIREWALL_SUBMISSION, NOW + 9), FIREWALL_ENTRY_BAN);
    assert_int_equal(kind_at(&entry, FIREWALL_IMAP, NOW + 9), FIREWALL_ENTRY_BAN);
    assert_int_equal(kind_at(&entry, FIREWALL_SMTP, NOW + 9), 0);
    assert_int_equal(kind_at(&entry, FIREWALL_IMAP, NOW + 10), 0);
    /* A clock that stands an hour back still knows the ban, one that jumped does not. */
    assert_int_equal(kind_at(&entry, FIREWALL_IMAP, NOW - 60 - 3600), FIREWALL_ENTRY_BAN);
    assert_int_equal(kind_at(&entry, FIREWALL_IMAP, NOW - 60 - 3601), 0);
    entry.until_s = 0;
    assert_int_equal(kind_at(&entry, FIREWALL_IMAP, UINT64_MAX / 2), FIREWALL_ENTRY_BAN);
}

static void equal_entries_are_one(void **state)
{
    struct firewall_entry entries[3];
    struct firewall_address address = place_of("192.0.2.9").prefix.address;
    struct firewall_entry found;
    struct firewall_list *list;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        entries[i] = entry_of("192.0.2.9", FIREWALL_ENTRY_BAN);
        entries[i].until_s = NOW + (i == 1 ? 0 : 10 + i);
        entries[i].note = BYTES("the same words");
    }
    entries[1].until_s = NOW + 100;
    assert_int_equal(firewall_list_new(entries, 3, &list), ERR_OK);
    assert_int_equal(firewall_list_count(list), 1);
    assert_true(firewall_list_find(list, &address, 0, FIREWALL_SMTP, NOW + 50, &found));
    assert_int_equal(found.until_s, NOW + 100);
    assert_true(bytes_equal(found.note, BYTES("the same words")));
    firewall_list_free(&list);
    entries[0].until_s = 0;
    assert_int_equal(firewall_list_new(entries, 3, &list), ERR_OK);
    assert_true(firewall_list_find(list, &address, 0, FIREWALL_SMTP, NOW + 1000, &found));
    firewall_list_free(&list);
    assert_false(firewall_list_find(NULL, &address, 0, FIREWALL_SMTP, NOW, &found));
    assert_int_equal(firewall_list_new(entries, FIREWALL_LIST_ENTRIES_MAX + 1, &list),
                     ERR_TOOBIG);
    assert_null(list);
}

static struct firewall_address random_address(void)
{
    /* Few different bits, so that prefixes nest and meet. */
    uint64_t bits = random_u64() & random_u64() & 0x0F03000300030F03;

    if (random_u64() % 2 == 0)
        return (struct firewall_address){0, 0xFFFFull << 32 | (uint32_t)bits};
    return (struct firewall_address){bits, random_u64() & 0xC000000000000003};
}

static struct firewall_entry random_entry(void)
{
    struct firewall_address address = random_address();
    unsigned front = firewall_address_is_v4(&address) ? FIREWALL_V4_BITS : 0;
    unsigned bits = front + (unsigned)(random_u64() % (129 - front));
    struct firewall_entry entry = {
        .kind = (enum firewall_entry_kind)(1 + random_u64() % 4),
        .scope = (unsigned)(1 + random_u64() % FIREWALL_ALL_SERVICES),
        .rule = (uint16_t)(random_u64() % 3),
        .since_s = NOW,
        .until_s = random_u64() % 4 == 0 ? NOW + random_u64() % 100 : 0,
    };

    if (random_u64() % 16 == 0)
        entry.place.network = (uint32_t)(1 + random_u64() % 4);
    else
        entry.place.prefix = firewall_prefix_of(&address, bits);
    return entry;
}

static int bits_of(const struct firewall_entry *entry)
{
    return entry->place.network != 0 ? -1 : entry->place.prefix.bits;
}

/* The rules of firewall_list.h, read one by one over all entries. */
static unsigned naive_kind(const struct firewall_entry *entries, size_t count,
                           const struct firewall_address *address, uint32_t network,
                           unsigned service, uint64_t now_s)
{
    int longest[5] = {-2, -2, -2, -2, -2};

    for (size_t i = 0; i < count; i++) {
        const struct firewall_entry *entry = &entries[i];
        bool is_about = entry->place.network != 0
                            ? entry->place.network == network
                            : firewall_prefix_holds(&entry->place.prefix, address);
        if (!is_about || (entry->scope & service) == 0 ||
            (entry->until_s != 0 && entry->until_s <= now_s))
            continue;
        if (bits_of(entry) > longest[entry->kind])
            longest[entry->kind] = bits_of(entry);
    }
    if (longest[FIREWALL_ENTRY_ALLOW] > -2 &&
        longest[FIREWALL_ENTRY_ALLOW] >= longest[FIREWALL_ENTRY_DENY])
        return FIREWALL_ENTRY_ALLOW;
    if (longest[FIREWALL_ENTRY_DENY] > -2)
        return FIREWALL_ENTRY_DENY;
    if (longest[FIREWALL_ENTRY_BAN] > -2 &&
        longest[FIREWALL_ENTRY_BAN] >= longest[FIREWALL_ENTRY_EXEMPT])
        return FIREWALL_ENTRY_BAN;
    return longest[FIREWALL_ENTRY_EXEMPT] > -2 ? FIREWALL_ENTRY_EXEMPT : 0;
}

/* next() gives each entry that is about the address, in the order that it promises. */
static void check_next(const struct firewall_list *list, const struct firewall_entry *entries,
                       size_t count, const struct firewall_address *address, uint32_t network)
{
    struct firewall_entry found;
    size_t cursor = 0;
    int last = -1;
    unsigned kinds = 0;
    unsigned expected = 0;

    while (firewall_list_next(list, address, network, &cursor, &found)) {
        assert_true(bits_of(&found) >= last);
        last = bits_of(&found);
        kinds |= 1u << found.kind;
    }
    for (size_t i = 0; i < count; i++)
        if (entries[i].place.network != 0
                ? entries[i].place.network == network
                : firewall_prefix_holds(&entries[i].place.prefix, address))
            expected |= 1u << entries[i].kind;
    assert_int_equal(kinds, expected);
}

static void agrees_with_a_naive_list(void **state)
{
    static struct firewall_entry entries[300];
    unsigned found[5] = {0};

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        size_t count = random_u64() % 300;
        struct firewall_list *list;
        for (size_t i = 0; i < count; i++)
            entries[i] = random_entry();
        assert_int_equal(firewall_list_new(entries, count, &list), ERR_OK);
        for (unsigned i = 0; i < 100; i++) {
            struct firewall_address address = random_address();
            uint32_t network = (uint32_t)(random_u64() % 5);
            unsigned service = 1u << random_u64() % 4;
            uint64_t now_s = NOW + random_u64() % 100;
            struct firewall_entry entry;
            unsigned kind = firewall_list_find(list, &address, network,
                                               (enum firewall_service)service, now_s, &entry)
                                ? entry.kind
                                : 0;
            assert_int_equal(kind,
                             naive_kind(entries, count, &address, network, service, now_s));
            found[kind]++;
            check_next(list, entries, count, &address, network);
        }
        firewall_list_free(&list);
    }
    for (unsigned kind = 0; kind < 5; kind++)
        assert_true(found[kind] > 100);
}

static void says_why_in_words(void **state)
{
    struct firewall_entry entries[] = {
        entry_of("192.0.2.0/24", FIREWALL_ENTRY_BAN),
        entry_of("192.0.2.9", FIREWALL_ENTRY_ALLOW),
        entry_of("AS64500", FIREWALL_ENTRY_DENY),
    };
    struct firewall_address address = place_of("192.0.2.9").prefix.address;
    struct buffer text = BUFFER_EMPTY;
    struct firewall_list *list;

    (void)state;
    entries[0].rule = FIREWALL_CLUSTER_SPRAY;
    entries[0].level = 2;
    entries[0].scope = FIREWALL_LOGINS;
    entries[0].until_s = NOW + 6 * 3600;
    entries[0].note = BYTES("11.0 accounts guessed at");
    entries[1].until_s = NOW - 90;
    assert_int_equal(firewall_list_new(entries, 3, &list), ERR_OK);
    firewall_list_explain(list, &address, 64500, NOW, &text);
    buffer_add_byte(&text, 0);
    assert_string_equal((const char *)buffer_bytes(&text).at,
                        "list: deny AS64500 at smtp, submission, imap, http, for good\n"
                        "list: ban 192.0.2.0/24 at submission, imap, http by rule "
                        "cluster-spray, level 2, 6 h left: 11.0 accounts guessed at\n"
                        "list: allow 192.0.2.9 at smtp, submission, imap, http, ended 90 s "
                        "ago\n"
                        "list: deny AS64500 wins at smtp, submission, imap, http: it is "
                        "refused\n");
    firewall_list_free(&list);
    /* An address that is let in, inside of a net that is shut. */
    entries[1].until_s = 0;
    entries[1].scope = FIREWALL_IMAP | FIREWALL_SMTP;
    assert_int_equal(firewall_list_new(entries, 3, &list), ERR_OK);
    buffer_clear(&text);
    firewall_list_explain(list, &address, 64500, NOW, &text);
    buffer_add_byte(&text, 0);
    assert_non_null(
        strstr((const char *)buffer_bytes(&text).at,
               "list: allow 192.0.2.9 wins at smtp, imap: bans and limits do not count\n"
               "list: deny AS64500 wins at submission, http: it is refused\n"));
    buffer_fini(&text);
    firewall_list_free(&list);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_million_entries(void **state)
{
    size_t count = FIREWALL_LIST_ENTRIES_MAX;
    struct firewall_entry *entries = calloc(count, sizeof(*entries));
    struct firewall_list *list;
    size_t found = 0;

    (void)state;
    assert_non_null(entries);
    for (size_t i = 0; i < count; i++) {
        struct firewall_address address = {0, 0xFFFFull << 32 | (uint32_t)random_u64()};
        if (i % 4 == 0)
            address = (struct firewall_address){0x2001ull << 48 | random_u64() >> 16, 0};
        entries[i] = (struct firewall_entry){
            .kind = FIREWALL_ENTRY_BAN,
            .scope = FIREWALL_ALL_SERVICES,
            .place.prefix = firewall_prefix_of(&address, i % 4 == 0    ? 64
                                                         : i % 64 == 1 ? 120
                                                                       : 128)};
    }
    double start = seconds_now();
    assert_int_equal(firewall_list_new(entries, count, &list), ERR_OK);
    double made = seconds_now();
    for (size_t i = 0; i < count; i++)
        found += firewall_list_find(list, &entries[(i * 7919) % count].place.prefix.address, 0,
                                    FIREWALL_SMTP, NOW, NULL);
    double looked = seconds_now();
    assert_int_equal(found, count);
    assert_true(firewall_list_bytes(list) <= 41 * count);
    print_message("%zu entries: %.1f MB, made in %.2f s, %.2f million look-ups a second\n",
                  firewall_list_count(list), (double)firewall_list_bytes(list) / 1e6,
                  made - start, (double)count / 1e6 / (looked - made));
    firewall_list_free(&list);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_decide_in_order),
        cmocka_unit_test(entries_end_and_have_a_scope),
        cmocka_unit_test(equal_entries_are_one),
        cmocka_unit_test(agrees_with_a_naive_list),
        cmocka_unit_test(says_why_in_words),
        cmocka_unit_test(a_million_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
