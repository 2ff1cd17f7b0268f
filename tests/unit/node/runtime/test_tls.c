/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "node/runtime/tls.h"

static X509 *parse(struct bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

/* As a peer would: the chain, the purpose and the name. */
static int verify(struct bytes authority, struct bytes certificate, int purpose,
                  const char *name)
{
    X509 *root = parse(authority), *leaf = parse(certificate);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_purpose(param, purpose);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    if (name != NULL)
        X509_VERIFY_PARAM_set1_host(param, name, 0);
    int good = X509_verify_cert(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(leaf);
    X509_free(root);
    return good;
}

static void a_node_certificate_is_what_it_says(void **state)
{
    struct arena arena;
    struct bytes authority, authority_key, key, request, certificate;
    char subject[200];
    (void)state;
    arena_init(&arena);
    tls_authority_new("cluster1", &arena, &authority, &authority_key);
    tls_request_new(&arena, &key, &request);
    assert_int_equal(tls_request_sign(authority, authority_key, request, "cluster1", 7, &arena,
                                      &certificate),
                     ERR_OK);
    assert_int_equal(
        verify(authority, certificate, X509_PURPOSE_SSL_SERVER, "node-7.cluster1.postraft"), 1);
    assert_int_equal(verify(authority, certificate, X509_PURPOSE_SSL_CLIENT, NULL), 1);
    assert_int_equal(
        verify(authority, certificate, X509_PURPOSE_SSL_SERVER, "node-8.cluster1.postraft"), 0);
    X509 *leaf = parse(certificate);
    X509_NAME_oneline(X509_get_subject_name(leaf), subject, sizeof(subject));
    assert_string_equal(subject, "/O=cluster1/CN=node-7");
    assert_int_equal(X509_check_ca(leaf), 0);
    X509_free(leaf);
    arena_fini(&arena);
}

static void another_authority_of_the_same_name_is_not_trusted(void **state)
{
    struct arena arena;
    struct bytes one, one_key, two, two_key, key, request, certificate;
    (void)state;
    arena_init(&arena);
    tls_authority_new("cluster1", &arena, &one, &one_key);
    tls_authority_new("cluster1", &arena, &two, &two_key);
    tls_request_new(&arena, &key, &request);
    assert_int_equal(
        tls_request_sign(one, one_key, request, "cluster1", 7, &arena, &certificate), ERR_OK);
    assert_int_equal(verify(two, certificate, X509_PURPOSE_SSL_CLIENT, NULL), 0);
    /* An authority and a key that do not belong together sign nothing. */
    assert_int_equal(
        tls_request_sign(one, two_key, request, "cluster1", 7, &arena, &certificate),
        ERR_MALFORMED);
    arena_fini(&arena);
}

static void serials_differ(void **state)
{
    struct arena arena;
    struct bytes authority, authority_key, key, request, first, second;
    (void)state;
    arena_init(&arena);
    tls_authority_new("c", &arena, &authority, &authority_key);
    tls_request_new(&arena, &key, &request);
    assert_int_equal(
        tls_request_sign(authority, authority_key, request, "c", 1, &arena, &first), ERR_OK);
    assert_int_equal(
        tls_request_sign(authority, authority_key, request, "c", 1, &arena, &second), ERR_OK);
    X509 *a = parse(first), *b = parse(second);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)),
                         0);
    X509_free(a);
    X509_free(b);
    arena_fini(&arena);
}

/* The request with somebody else's public key in it: the signature does not belong to that. */
static struct bytes with_other_key(struct arena *arena, struct bytes request)
{
    BIO *bio = BIO_new_mem_buf(request.at, (int)request.len);
    X509_REQ *parsed = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    char *at;
    assert_int_equal(X509_REQ_set_pubkey(parsed, other), 1);
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, parsed), 1);
    long len = BIO_get_mem_data(bio, &at);
    struct bytes text = arena_copy(arena, bytes_from(at, (size_t)len));
    BIO_free(bio);
    EVP_PKEY_free(other);
    X509_REQ_free(parsed);
    return text;
}

static void what_is_not_a_request_is_refused(void **state)
{
    struct arena arena;
    struct bytes authority, authority_key, key, request, certificate;
    (void)state;
    arena_init(&arena);
    tls_authority_new("c", &arena, &authority, &authority_key);
    tls_request_new(&arena, &key, &request);
    struct bytes stolen = with_other_key(&arena, request);
    const struct {
        struct bytes request;
        const char *cluster_id;
        uint64_t node_id;
    } cases[] = {
        {BYTES(""), "c", 1}, {BYTES("hello"), "c", 1},
        {authority, "c", 1}, {stolen, "c", 1},
        {request, "c", 0},   {request, "", 1},
        {request, "a.b", 1}, {request, "a,DNS:evil.example", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tls_request_sign(authority, authority_key, cases[i].request,
                                          cases[i].cluster_id, cases[i].node_id, &arena,
                                          &certificate),
                         ERR_MALFORMED);
    arena_fini(&arena);
}

static void the_fingerprint_is_openssl_s(void **state)
{
    struct arena arena;
    struct bytes authority, key;
    char text[65], want[65];
    uint8_t digest[32];
    (void)state;
    arena_init(&arena);
    tls_authority_new("c", &arena, &authority, &key);
    assert_int_equal(tls_fingerprint(authority, text), ERR_OK);
    X509 *certificate = parse(authority);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, NULL), 1);
    for (unsigned i = 0; i < 32; i++)
        snprintf(want + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(text, want);
    X509_free(certificate);
    assert_int_equal(tls_fingerprint(key, text), ERR_MALFORMED);
    arena_fini(&arena);
}

static void a_context_wants_a_matching_pair(void **state)
{
    struct arena arena;
    struct bytes certificate, key, other, other_key;
    struct tls_context *context;
    (void)state;
    arena_init(&arena);
    tls_self_signed("mx1.example.net", &arena, &certificate, &key);
    tls_self_signed("mx1.example.net", &arena, &other, &other_key);
    assert_int_equal(tls_context_new(certificate, key, &context), ERR_OK);
    tls_context_free(&context);
    assert_null(context);
    assert_int_equal(tls_context_new(certificate, other_key, &context), ERR_MALFORMED);
    assert_null(context);
    assert_int_equal(tls_context_new(BYTES(""), key, &context), ERR_MALFORMED);
    assert_int_equal(tls_context_new(certificate, BYTES("nothing"), &context), ERR_MALFORMED);
    assert_int_equal(
        verify(certificate, certificate, X509_PURPOSE_SSL_SERVER, "mx1.example.net"), 1);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_certificate_is_what_it_says),
        cmocka_unit_test(another_authority_of_the_same_name_is_not_trusted),
        cmocka_unit_test(serials_differ),
        cmocka_unit_test(what_is_not_a_request_is_refused),
        cmocka_unit_test(the_fingerprint_is_openssl_s),
        cmocka_unit_test(a_context_wants_a_matching_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
