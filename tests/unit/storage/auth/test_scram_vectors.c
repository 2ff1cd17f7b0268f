/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The conversations of RFC 5802 section 5 and RFC 7677 section 3, and SASLprep (RFC 4013). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/scram_internal.h"

struct vector {
    const struct scram_hash *hash;
    const char *first;
    const char *challenge;
    const char *salt; /* base64 */
    const char *final;
    const char *signature;
};

static const struct vector rfc_5802 = {
    &scram_sha1,
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "QSXCR+Q6sek8bf92",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
};

static const struct vector rfc_7677 = {
    &scram_sha256,
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "W22ZaJ0SNY7soEsUEjb6gQ==",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

static size_t from_base64(const char *text, size_t len, uint8_t *bytes, size_t size)
{
    size_t decoded = 0;
    CHECK(sodium_base642bin(bytes, size, text, len, NULL, &decoded, NULL,
                            sodium_base64_VARIANT_ORIGINAL) == 0);
    return decoded;
}

/* StoredKey and ServerKey by the RFC's formulas, apart from what the product does. */
static void keys_of(const struct vector *vector, struct scram_slot *slot)
{
    const EVP_MD *md = vector->hash == &scram_sha1 ? EVP_sha1() : EVP_sha256();
    size_t size = vector->hash->size;
    uint8_t salt[32];
    uint8_t salted[32];
    uint8_t client[32];
    size_t salt_len = from_base64(vector->salt, strlen(vector->salt), salt, sizeof(salt));

    assert_int_equal(
        PKCS5_PBKDF2_HMAC("pencil", 6, salt, (int)salt_len, 4096, md, (int)size, salted), 1);
    size_t len = 0;
    const char *name = vector->hash->openssl_name;
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, name, NULL, salted, size,
                              (const uint8_t *)"Client Key", 10, client, sizeof(client), &len));
    assert_int_equal(EVP_Digest(client, size, slot->stored, NULL, md, NULL), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, name, NULL, salted, size,
                              (const uint8_t *)"Server Key", 10, slot->server, size, &len));
    slot->taken = true;
}

static void play(const struct vector *vector)
{
    static struct scram scram;
    struct auth_work work = {0, 0, 0};
    struct scram_first first;
    struct scram_final final;
    uint8_t proof[32];
    uint8_t signature[32];
    uint8_t wanted[32];
    const size_t place = 17; /* among slots that are not taken */

    memset(&scram, 0, sizeof(scram));
    scram.hash = vector->hash;
    keys_of(vector, &scram.slots[place]);
    assert_true(scram_parse_first(bytes_of(vector->first), &first));
    assert_true(bytes_equal(first.name, BYTES("user")));
    assert_true(bytes_equal(first.gs2_header, BYTES("n,,")));
    assert_true(scram_parse_final(bytes_of(vector->final), &final));
    assert_true(bytes_equal(final.binding, BYTES("biws")));
    buffer_init(&scram.message);
    buffer_add(&scram.message, first.bare);
    buffer_printf(&scram.message, ",%s,", vector->challenge);
    buffer_add(&scram.message, final.without_proof);
    from_base64((const char *) final.proof.at, final.proof.len, proof, sizeof(proof));
    assert_ptr_equal(scram_proof_find(&scram, &work, proof, signature), &scram.slots[place]);
    from_base64(vector->signature, strlen(vector->signature), wanted, sizeof(wanted));
    assert_memory_equal(signature, wanted, vector->hash->size);
    proof[0] ^= 1;
    assert_null(scram_proof_find(&scram, &work, proof, signature));
    buffer_fini(&scram.message);
}

static void conversation_of_rfc_5802(void **unused)
{
    (void)unused;
    play(&rfc_5802);
}

static void conversation_of_rfc_7677(void **unused)
{
    (void)unused;
    play(&rfc_7677);
}

/* The maker's verifiers are those of the RFC's salt and password, too. */
static void maker_agrees_with_rfc_7677(void **unused)
{
    struct scram_slot slot = {.taken = false};
    struct auth_scram_keys keys;
    uint8_t salt[AUTH_SALT_SIZE];
    (void)unused;
    from_base64(rfc_7677.salt, strlen(rfc_7677.salt), salt, sizeof(salt));
    keys_of(&rfc_7677, &slot);
    assert_int_equal(auth_scram_make(BYTES("pencil"), salt, 4096, &keys), ERR_OK);
    assert_true(keys.present);
    assert_memory_equal(keys.stored_sha256, slot.stored, AUTH_SHA256_SIZE);
    assert_memory_equal(keys.server_sha256, slot.server, AUTH_SHA256_SIZE);
}

static void passwords_are_prepared(void **unused)
{
    /* RFC 4013 section 3: what is on one line is one password. */
    static const char *const rows[][2] = {{"IX", "I\xc2\xadX"},
                                          {"a", "\xc2\xaa"},
                                          {"IX", "\xe2\x85\xa8"},
                                          {"a b", "a\xc2\xa0"
                                                  "b"}};
    static const uint8_t salt[AUTH_SALT_SIZE] = {1};
    struct auth_scram_keys one;
    struct auth_scram_keys other;
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(auth_scram_make(bytes_of(rows[i][0]), salt, 4096, &one), ERR_OK);
        assert_int_equal(auth_scram_make(bytes_of(rows[i][1]), salt, 4096, &other), ERR_OK);
        assert_memory_equal(&one, &other, sizeof(one));
    }
    assert_int_equal(auth_scram_make(BYTES("\xf0\x9f\x98\x80 party"), salt, 4096, &one),
                     ERR_OK);
}

static void bad_passwords_have_no_verifiers(void **unused)
{
    static const struct bytes rows[] = {BYTES_INIT(""),
                                        BYTES_INIT("\x07"),
                                        BYTES_INIT("\xff"),
                                        BYTES_INIT("\xc2\xad"),
                                        BYTES_INIT("a\0b"),
                                        BYTES_INIT("\xd8\xa7"
                                                   "1")}; /* the last: both directions */
    static const uint8_t salt[AUTH_SALT_SIZE] = {1};
    static char large[AUTH_PASSWORD_SIZE_MAX + 1];
    struct auth_scram_keys keys;
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(auth_scram_make(rows[i], salt, 4096, &keys), ERR_INVALID);
        assert_false(keys.present);
    }
    memset(large, 'x', sizeof(large));
    assert_int_equal(auth_scram_make(bytes_from(large, sizeof(large)), salt, 4096, &keys),
                     ERR_TOOBIG);
    assert_int_equal(auth_scram_make(bytes_from(large, sizeof(large) - 1), salt, 4096, &keys),
                     ERR_OK);
    assert_int_equal(auth_scram_make(BYTES("x"), salt, 4095, &keys), ERR_TOOBIG);
    assert_int_equal(auth_scram_make(BYTES("x"), salt, 1000001, &keys), ERR_TOOBIG);
}

static void strict_parser(void **unused)
{
    static const char *const firsts[] = {"",
                                         "n",
                                         "n,",
                                         "n,,",
                                         "n,,n=u",
                                         "n,,n=u,",
                                         "n,,n=u,r=",
                                         "n,,n=u,r=a,",
                                         "x,,n=u,r=a",
                                         "nn,,n=u,r=a",
                                         "n,b=x,n=u,r=a",
                                         "n,,m=x,n=u,r=a",
                                         "n,,r=a,n=u",
                                         "p=,,n=u,r=a",
                                         "p,,n=u,r=a",
                                         "p=a b,,n=u,r=a",
                                         "n,,n=u,r=a,n=v",
                                         "n,,n=u,r=a,x",
                                         "n,,n=u,r=a,x=",
                                         "n,,n=u,r=a b",
                                         "n,,n=u,r=\x80",
                                         "n,a=,n=u,r=a",
                                         " n,,n=u,r=a"};
    static const char *const finals[] = {"",
                                         "c=biws",
                                         "c=biws,r=a",
                                         "c=biws,r=a,",
                                         "c=biws,r=a,p=",
                                         "c=biws,r=a,p=x,",
                                         "r=a,c=biws,p=x",
                                         "c=biws,r=a,p=x,p=y",
                                         "c=biws,r=a,m=1,p=x",
                                         "c=biws,,r=a,p=x",
                                         "c=biws,r=a,p=x,x=y"};
    struct scram_first first;
    struct scram_final final;
    (void)unused;
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
        assert_false(scram_parse_first(bytes_of(firsts[i]), &first));
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
        assert_false(scram_parse_final(bytes_of(finals[i]), &final));
    assert_true(scram_parse_first(BYTES("p=tls-exporter,a=z,n=u,r=a,x=1,y=2=,3"), &first) ==
                false);
    assert_true(scram_parse_first(BYTES("p=tls-exporter,a=z,n=u,r=a,x=1,y=2="), &first));
    assert_true(bytes_equal(first.gs2_header, BYTES("p=tls-exporter,a=z,")));
    assert_true(bytes_equal(first.binding_name, BYTES("tls-exporter")));
    assert_true(bytes_equal(first.authzid, BYTES("z")));
    assert_true(bytes_equal(first.nonce, BYTES("a")));
    assert_true(scram_parse_final(BYTES("c=biws,r=a,x=1,p=eA=="), &final));
    assert_true(bytes_equal(final.without_proof, BYTES("c=biws,r=a,x=1")));
    assert_true(bytes_equal(final.proof, BYTES("eA==")));
}

static void names_are_unescaped(void **unused)
{
    static const char *const bad[] = {"=", "=2", "=2c", "=3d", "=2D", "=3C", "a=b", "==2C"};
    uint8_t plain[64];
    size_t len;
    (void)unused;
    assert_true(scram_name_decode(BYTES("a=2Cb=3Dc=3D2C"), plain, &len));
    assert_true(bytes_equal(bytes_from(plain, len), BYTES("a,b=c=2C")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(scram_name_decode(bytes_of(bad[i]), plain, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversation_of_rfc_5802),
        cmocka_unit_test(conversation_of_rfc_7677),
        cmocka_unit_test(maker_agrees_with_rfc_7677),
        cmocka_unit_test(passwords_are_prepared),
        cmocka_unit_test(bad_passwords_have_no_verifiers),
        cmocka_unit_test(strict_parser),
        cmocka_unit_test(names_are_unescaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
