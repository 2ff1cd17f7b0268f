/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates made from scratch: the cluster's authority, its nodes, and the first certificate
 * that mail clients see. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "node/base/check.h"
#include "node/base/hex.h"
#include "node/base/log.h"
#include "node/runtime/tls.h"
#include "node/runtime/tls_pem.h"

#define SERIAL_BITS 127 /* positive, at most 20 octets: RFC 5280 section 4.1.2.2 */
#define SECONDS_A_DAY (24L * 60 * 60)
#define AUTHORITY_DAYS (30 * 365) /* replaced with the cluster, not before */
#define NODE_DAYS (20 * 365)      /* a node that was off for years must still get in */
#define SERVER_DAYS 825           /* what clients accept at most */
#define SKEW_S (24L * 60 * 60)    /* clocks of nodes may differ */

static const char *const key_usages[] = {
    [TLS_FORM_AUTHORITY] = "critical,keyCertSign,cRLSign",
    [TLS_FORM_NODE] = "critical,digitalSignature",
    [TLS_FORM_SERVER] = "critical,digitalSignature",
};
static const char *const extended_usages[] = {
    [TLS_FORM_AUTHORITY] = NULL,
    [TLS_FORM_NODE] = "serverAuth,clientAuth",
    [TLS_FORM_SERVER] = "serverAuth",
};

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    if (value == NULL)
        return;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_name(X509_NAME *name, int nid, const char *value)
{
    if (value != NULL)
        CHECK(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)value,
                                         -1, -1, 0) == 1);
}

static void set_serial(X509 *certificate)
{
    BIGNUM *serial = BN_new();
    CHECK(serial != NULL);
    CHECK(BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
    CHECK(BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) != NULL);
    BN_free(serial);
}

X509 *tls_certificate_make(const struct tls_certificate_form *form, EVP_PKEY *key, X509 *issuer,
                           EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();
    CHECK(certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1);
    set_serial(certificate);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), -SKEW_S) != NULL);
    CHECK(X509_time_adj_ex(X509_getm_notAfter(certificate), (int)form->days, 0, NULL) != NULL);
    add_name(X509_get_subject_name(certificate), NID_organizationName, form->organization);
    add_name(X509_get_subject_name(certificate), NID_commonName, form->common_name);
    X509 *signer = issuer != NULL ? issuer : certificate;
    CHECK(X509_set_issuer_name(certificate, X509_get_subject_name(signer)) == 1);
    CHECK(X509_set_pubkey(certificate, key) == 1);
    add_extension(certificate, signer, NID_basic_constraints,
                  form->use == TLS_FORM_AUTHORITY ? "critical,CA:TRUE,pathlen:0"
                                                  : "critical,CA:FALSE");
    add_extension(certificate, signer, NID_key_usage, key_usages[form->use]);
    add_extension(certificate, signer, NID_ext_key_usage, extended_usages[form->use]);
    add_extension(certificate, signer, NID_subject_key_identifier, "hash");
    add_extension(certificate, signer, NID_authority_key_identifier, "keyid:always");
    add_extension(certificate, signer, NID_subject_alt_name, form->names);
    CHECK(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

void tls_authority_new(const char *cluster_id, struct arena *arena, struct bytes *certificate,
                       struct bytes *key)
{
    const struct tls_certificate_form form = {
        .organization = cluster_id,
        .common_name = "Postraft cluster authority",
        .days = AUTHORITY_DAYS,
        .use = TLS_FORM_AUTHORITY,
    };
    EVP_PKEY *pair = tls_key_new();
    X509 *made = tls_certificate_make(&form, pair, NULL, pair);
    *certificate = tls_certificate_pem(made, arena);
    *key = tls_key_pem(pair, arena);
    X509_free(made);
    EVP_PKEY_free(pair);
}

void tls_request_new(struct arena *arena, struct bytes *key, struct bytes *request)
{
    EVP_PKEY *pair = tls_key_new();
    X509_REQ *made = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *at;

    CHECK(made != NULL && bio != NULL && X509_REQ_set_version(made, X509_REQ_VERSION_1) == 1);
    add_name(X509_REQ_get_subject_name(made), NID_commonName, "node");
    CHECK(X509_REQ_set_pubkey(made, pair) == 1);
    CHECK(X509_REQ_sign(made, pair, EVP_sha256()) > 0);
    CHECK(PEM_write_bio_X509_REQ(bio, made) == 1);
    long len = BIO_get_mem_data(bio, &at);
    *request = arena_copy(arena, bytes_from(at, (size_t)len));
    *key = tls_key_pem(pair, arena);
    BIO_free(bio);
    X509_REQ_free(made);
    EVP_PKEY_free(pair);
}

/* The name goes into a subject (at most 64 characters) and, as a label, into a DNS name. */
static bool is_cluster_id(const char *cluster_id)
{
    size_t len = strlen(cluster_id);
    if (len == 0 || len > 63)
        return false;
    for (size_t i = 0; i < len; i++) {
        char byte = cluster_id[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-')
            return false;
    }
    return true;
}

enum err tls_request_sign(struct bytes authority, struct bytes authority_key,
                          struct bytes request, const char *cluster_id, uint64_t node_id,
                          struct arena *arena, struct bytes *certificate)
{
    enum err err = ERR_MALFORMED;
    X509 *issuer = tls_pem_certificate(authority);
    EVP_PKEY *issuer_key = tls_pem_key(authority_key);
    X509_REQ *asked = tls_pem_request(request);
    EVP_PKEY *key = asked != NULL ? X509_REQ_get0_pubkey(asked) : NULL;

    /* The signature shows that whoever asks has the private key. */
    if (issuer != NULL && issuer_key != NULL && key != NULL && node_id != 0 &&
        is_cluster_id(cluster_id) && X509_check_private_key(issuer, issuer_key) == 1 &&
        X509_REQ_verify(asked, key) == 1 && EVP_PKEY_get_security_bits(key) >= 112) {
        char name[64], names[160];
        snprintf(name, sizeof(name), "node-%llu", (unsigned long long)node_id);
        snprintf(names, sizeof(names), "DNS:%s.%s.postraft", name, cluster_id);
        const struct tls_certificate_form form = {
            .organization = cluster_id,
            .common_name = name,
            .names = names,
            .days = NODE_DAYS,
            .use = TLS_FORM_NODE,
        };
        X509 *made = tls_certificate_make(&form, key, issuer, issuer_key);
        *certificate = tls_certificate_pem(made, arena);
        X509_free(made);
        err = ERR_OK;
    }
    ERR_clear_error();
    X509_REQ_free(asked);
    EVP_PKEY_free(issuer_key);
    X509_free(issuer);
    return err;
}

enum err tls_fingerprint(struct bytes certificate, char text[65])
{
    X509 *read = tls_pem_certificate(certificate);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (read == NULL) {
        ERR_clear_error();
        return ERR_MALFORMED;
    }
    CHECK(X509_digest(read, EVP_sha256(), digest, &len) == 1 && len == 32);
    hex_encode(bytes_from(digest, len), text);
    X509_free(read);
    return ERR_OK;
}

void tls_self_signed(const char *hostname, struct arena *arena, struct bytes *certificate,
                     struct bytes *key)
{
    char names[300];
    EVP_PKEY *pair = tls_key_new();
    bool fits = strlen(hostname) > 0 && strlen(hostname) <= 253 &&
                strspn(hostname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-.") == strlen(hostname);

    CHECK(fits); /* the configuration has been checked */
    snprintf(names, sizeof(names), "DNS:%s", hostname);
    const struct tls_certificate_form form = {
        .common_name = strlen(hostname) <= 64 ? hostname : "postraft",
        .names = names,
        .days = SERVER_DAYS,
        .use = TLS_FORM_SERVER,
    };
    X509 *made = tls_certificate_make(&form, pair, NULL, pair);
    *certificate = tls_certificate_pem(made, arena);
    *key = tls_key_pem(pair, arena);
    X509_free(made);
    EVP_PKEY_free(pair);
}
