/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/runtime/network_map.h"
#include "tests/unit/node/runtime/map_writer.h"

static const struct map_row rows[] = {
    {"192.0.2.0/24", "DE", 64500, 0},
    {"192.0.2.128/25", "FR", 64501, LOC_NETWORK_FLAG_ANONYMOUS_PROXY},
    {"198.51.100.0/24", NULL, 64502, LOC_NETWORK_FLAG_DROP},
    {"2001:db8::/32", "JP", 4200000000, LOC_NETWORK_FLAG_ANYCAST},
    {"2001:db8:1::/48", "NZ", 0, LOC_NETWORK_FLAG_SATELLITE_PROVIDER},
};
static const struct map_row other_rows[] = {{"192.0.2.0/24", "PL", 64510, 0}};

static int setup(void **state)
{
    char path[] = "/tmp/test-map-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    map_write(path, rows, sizeof(rows) / sizeof(*rows));
    *state = strdup(path);
    return 0;
}

static int teardown(void **state)
{
    unlink(*state);
    free(*state);
    return 0;
}

static struct network_facts look_up(struct network_map *map, const char *text, bool known)
{
    struct network_facts facts = {.asn = 1};
    struct address address;
    assert_true(address_parse(bytes_of(text), &address));
    assert_int_equal(network_map_look_up(map, &address, &facts), known);
    return facts;
}

static void addresses_are_found(void **state)
{
    struct network_map *map = network_map_open(*state);
    char name[NETWORK_MAP_NAME_SIZE];
    struct network_facts facts = look_up(map, "192.0.2.7", true);
    assert_int_equal(facts.asn, 64500);
    assert_string_equal(facts.country, "DE");
    assert_false(facts.anonymous || facts.hostile || facts.anycast || facts.satellite);
    facts = look_up(map, "::ffff:192.0.2.200", true);
    assert_int_equal(facts.asn, 64501);
    assert_string_equal(facts.country, "FR");
    assert_true(facts.anonymous);
    facts = look_up(map, "198.51.100.1", true);
    assert_int_equal(facts.asn, 64502);
    assert_string_equal(facts.country, "");
    assert_true(facts.hostile);
    facts = look_up(map, "2001:db8::1", true);
    assert_int_equal(facts.asn, 4200000000);
    assert_true(facts.anycast);
    facts = look_up(map, "2001:db8:1::1", true);
    assert_int_equal(facts.asn, 0);
    assert_string_equal(facts.country, "NZ");
    assert_true(facts.satellite);
    facts = look_up(map, "203.0.113.1", false);
    assert_int_equal(facts.asn, 0);
    assert_string_equal(facts.country, "");
    look_up(map, "2001:db9::1", false);
    network_map_name(map, 64500, name);
    assert_string_equal(name, "Example Networks");
    network_map_name(map, 64501, name);
    assert_string_equal(name, "");
    assert_true(network_map_made_s(map) + 3600 > (uint64_t)time(NULL));
    network_map_free(&map);
    assert_null(map);
}

static void without_a_map_all_is_unknown(void **state)
{
    static const char *const paths[] = {"", "/nowhere/map.db", "/etc/passwd", "/"};
    char name[NETWORK_MAP_NAME_SIZE] = "x";
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        struct network_map *map = network_map_open(paths[i]);
        assert_non_null(map);
        struct network_facts facts = look_up(map, "192.0.2.7", false);
        assert_int_equal(facts.asn, 0);
        network_map_name(map, 64500, name);
        assert_string_equal(name, "");
        assert_int_equal(network_map_made_s(map), 0);
        network_map_free(&map);
    }
}

static void another_map_takes_its_place(void **state)
{
    const char *path = *state;
    struct network_map *map = network_map_open(path);
    assert_int_equal(unlink(path), 0); /* as by a rename: who has it mapped keeps it */
    map_write(path, other_rows, 1);
    assert_int_equal(look_up(map, "192.0.2.7", true).asn, 64500);
    assert_int_equal(network_map_replace(map, open("/etc/passwd", O_RDONLY)), ERR_MALFORMED);
    assert_int_equal(look_up(map, "192.0.2.7", true).asn, 64500);
    int fd = open(path, O_RDONLY);
    assert_int_equal(network_map_replace(map, fd), ERR_OK);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
    assert_int_equal(look_up(map, "192.0.2.7", true).asn, 64510);
    look_up(map, "198.51.100.1", false);
    network_map_free(&map);
}

/* Half a file, as a copy leaves it that was cut off: it is refused, or what is there is used.
 */
static void a_map_that_is_cut_does_no_harm(void **state)
{
    const char *path = *state;
    int fd = open(path, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 0);
    for (off_t len = size - 1; len >= 0; len -= len > 4096 ? 509 : 7) {
        assert_int_equal(ftruncate(fd, len), 0);
        struct network_map *map = network_map_open(path);
        struct network_facts facts;
        struct address address;
        assert_true(address_parse(BYTES("192.0.2.7"), &address));
        (void)network_map_look_up(map, &address, &facts);
        assert_true(address_parse(BYTES("2001:db8:1::1"), &address));
        (void)network_map_look_up(map, &address, &facts);
        network_map_free(&map);
    }
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_found),
        cmocka_unit_test(without_a_map_all_is_unknown),
        TEST(a_map_that_is_cut_does_no_harm),
        TEST(another_map_takes_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
