/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A signed zone (RFC 4034, 8080): what is signed is secure, what was changed on the way is
 * bogus. */
#include "tests/unit/node/runtime/until.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/runtime/dns.h"
#include "tests/unit/node/runtime/name_server.h"

enum { RRSIG = 46, DNSKEY = 48, ED25519 = 15, TTL = 300, ROWS = 16, DAY = 86400 };

#define ZONE "signed.example"

struct world {
    struct arena arena;
    EVP_PKEY *key;
    struct bytes dnskey; /* rdata */
    uint16_t tag;
    struct zone_row rows[ROWS];
    unsigned count;
    struct loop *loop;
    struct dns *dns;
    struct name_server *server;
    char anchor[64];
    enum dns_result result;
    bool secure, there;
    unsigned records;
};

static void add16(struct buffer *wire, unsigned number)
{
    buffer_add_byte(wire, (uint8_t)(number >> 8));
    buffer_add_byte(wire, (uint8_t)number);
}

static void add32(struct buffer *wire, uint32_t number)
{
    add16(wire, number >> 16);
    add16(wire, number & 0xffff);
}

static unsigned add_name(struct buffer *wire, const char *name)
{
    unsigned labels = 0;
    for (; *name != '\0'; labels++) {
        size_t len = strcspn(name, ".");
        buffer_add_byte(wire, (uint8_t)len);
        buffer_add(wire, bytes_from(name, len));
        name += len + (name[len] == '.');
    }
    buffer_add_byte(wire, 0);
    return labels;
}

/* The signature's record without the signature. */
static void begin_rrsig(const struct world *world, const char *name, unsigned type,
                        struct buffer *rdata)
{
    struct buffer unused = BUFFER_EMPTY;
    uint32_t now_s = (uint32_t)time(NULL);
    add16(rdata, type);
    buffer_add_byte(rdata, ED25519);
    buffer_add_byte(rdata, (uint8_t)add_name(&unused, name));
    add32(rdata, TTL);
    add32(rdata, now_s + DAY);
    add32(rdata, now_s - DAY);
    add16(rdata, world->tag);
    add_name(rdata, ZONE);
    buffer_fini(&unused);
}

static void add_row(struct world *world, struct zone_row row)
{
    assert_true(world->count < ROWS);
    world->rows[world->count++] = row;
}

/* A record, and the signature over `signed_rdata`, which a liar does not have. */
static void add_signed(struct world *world, const char *name, unsigned type, struct bytes rdata,
                       struct bytes signed_rdata)
{
    struct buffer rrsig = BUFFER_EMPTY, text = BUFFER_EMPTY;
    uint8_t signature[64];
    size_t len = sizeof(signature);
    begin_rrsig(world, name, type, &rrsig);
    buffer_add(&text, buffer_bytes(&rrsig));
    add_name(&text, name);
    add16(&text, type);
    add16(&text, 1);
    add32(&text, TTL);
    add16(&text, (unsigned)signed_rdata.len);
    buffer_add(&text, signed_rdata);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, world->key), 1);
    assert_int_equal(
        EVP_DigestSign(context, signature, &len, buffer_bytes(&text).at, buffer_len(&text)), 1);
    EVP_MD_CTX_free(context);
    buffer_add(&rrsig, bytes_from(signature, len));
    struct bytes kept = arena_copy(&world->arena, buffer_bytes(&rrsig));
    add_row(world, (struct zone_row){name, type, ANSWERS, rdata, NULL, 0});
    add_row(world, (struct zone_row){name, type, ANSWERS, kept, NULL, RRSIG});
    buffer_fini(&rrsig);
    buffer_fini(&text);
}

/* RFC 4034, appendix B. */
static uint16_t key_tag(struct bytes rdata)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < rdata.len; i++)
        sum += i % 2 != 0 ? rdata.at[i] : (uint32_t)rdata.at[i] << 8;
    return (uint16_t)(sum + (sum >> 16));
}

static void make_key(struct world *world)
{
    struct buffer rdata = BUFFER_EMPTY;
    uint8_t public[32], text[64];
    size_t len = sizeof(public);
    world->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_int_equal(EVP_PKEY_get_raw_public_key(world->key, public, &len), 1);
    add16(&rdata, 257);
    buffer_add_byte(&rdata, 3);
    buffer_add_byte(&rdata, ED25519);
    buffer_add(&rdata, bytes_from(public, len));
    world->dnskey = arena_copy(&world->arena, buffer_bytes(&rdata));
    world->tag = key_tag(world->dnskey);
    buffer_fini(&rdata);
    EVP_EncodeBlock(text, public, (int)len);
    snprintf(world->anchor, sizeof(world->anchor), "/tmp/test-anchor-XXXXXX");
    int fd = mkstemp(world->anchor);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, ZONE ". IN DNSKEY 257 3 15 %s\n", (const char *)text) > 0);
    close(fd);
}

static int setup(void **state)
{
    static const struct bytes good = BYTES_INIT("\xc0\0\2\1"),
                              other = BYTES_INIT("\xcb\0\x71\1");
    static const struct bytes tlsa = BYTES_INIT("\3\1\1\xaa\xbb");
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    arena_init(&world->arena);
    make_key(world);
    add_signed(world, ZONE, DNSKEY, world->dnskey, world->dnskey);
    add_signed(world, "mx." ZONE, DNS_A, good, good);
    add_signed(world, "_25._tcp.mx." ZONE, DNS_TLSA, tlsa, tlsa);
    add_signed(world, "forged." ZONE, DNS_A, other, good);
    add_row(world, (struct zone_row){"bare." ZONE, DNS_A, ANSWERS, good, NULL, 0});
    add_row(world, (struct zone_row){"plain.example", DNS_A, ANSWERS, good, NULL, 0});
    world->server = name_server_start(world->rows, world->count, 0);
    const char *servers[] = {name_server_address(world->server)};
    const struct dns_config config = {
        .servers = servers, .servers_count = 1, .trust_anchor = world->anchor};
    world->loop = loop_new();
    world->dns = dns_new(world->loop, &config);
    assert_non_null(world->dns);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    dns_free(&world->dns);
    loop_free(&world->loop);
    name_server_stop(&world->server);
    unlink(world->anchor);
    EVP_PKEY_free(world->key);
    arena_fini(&world->arena);
    free(world);
    return 0;
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct world *world = context;
    world->result = answer->result;
    world->secure = answer->secure;
    world->records = answer->count;
    if (answer->result == DNS_BOGUS)
        assert_true(answer->reason[0] != '\0');
    world->there = true;
}

static void expect(struct world *world, const char *name, enum dns_type type,
                   enum dns_result result, bool secure)
{
    world->there = false;
    dns_query(world->dns, name, type, on_answer, world);
    run_until(world->loop, is_set, &world->there);
    assert_int_equal(world->result, result);
    assert_int_equal(world->secure, secure);
    assert_int_equal(world->records, result == DNS_OK);
}

static void what_is_signed_is_secure(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < 2; i++) { /* out of the cache too */
        expect(world, "mx." ZONE, DNS_A, DNS_OK, true);
        expect(world, "_25._tcp.mx." ZONE, DNS_TLSA, DNS_OK, true);
        expect(world, "plain.example", DNS_A, DNS_OK, false);
    }
}

static void what_was_changed_is_bogus(void **state)
{
    struct world *world = *state;
    expect(world, "forged." ZONE, DNS_A, DNS_BOGUS, false);
    expect(world, "bare." ZONE, DNS_A, DNS_BOGUS, false);
    expect(world, "absent." ZONE, DNS_A, DNS_BOGUS, false); /* nothing proves it */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_signed_is_secure),
        TEST(what_was_changed_is_bogus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
