/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/tls_pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "node/base/check.h"
#include "node/base/log.h"

/* No certificate or chain of ours comes near; a longer text is not looked at. */
#define PEM_SIZE_MAX (1024 * 1024)

/*
 * OpenSSL would tidy up at exit, while nng's threads may still free connections. Must come
 * before its first use; it is the kernel that takes everything back.
 */
__attribute__((constructor)) static void keep_until_the_end(void)
{
    CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1);
}

static BIO *bio_of(struct bytes text)
{
    if (text.len == 0 || text.len > PEM_SIZE_MAX)
        return NULL;
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
    CHECK(bio != NULL);
    return bio;
}

/* Keys in files are not encrypted; without this OpenSSL would ask on the terminal. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

X509 *tls_pem_certificate(struct bytes text)
{
    BIO *bio = bio_of(text);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    return certificate;
}

EVP_PKEY *tls_pem_key(struct bytes text)
{
    BIO *bio = bio_of(text);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    return key;
}

X509_REQ *tls_pem_request(struct bytes text)
{
    BIO *bio = bio_of(text);
    X509_REQ *request =
        bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    return request;
}

/* Frees `bio`. */
static struct bytes taken(BIO *bio, struct arena *arena)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    CHECK(len > 0);
    struct bytes copy = arena_copy(arena, bytes_from(at, (size_t)len));
    BIO_free(bio);
    return copy;
}

struct bytes tls_certificate_pem(X509 *certificate, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_mem());
    CHECK(bio != NULL && PEM_write_bio_X509(bio, certificate) == 1);
    return taken(bio, arena);
}

struct bytes tls_key_pem(EVP_PKEY *key, struct arena *arena)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    CHECK(bio != NULL);
    CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    return taken(bio, arena);
}

EVP_PKEY *tls_key_new(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CHECK(key != NULL);
    return key;
}

bool tls_use_pair(SSL_CTX *context, struct bytes chain, struct bytes key_text)
{
    EVP_PKEY *key = tls_pem_key(key_text);
    BIO *bio = bio_of(chain);
    X509 *first = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    bool fits = key != NULL && first != NULL && SSL_CTX_use_certificate(context, first) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1;
    X509 *more;

    while (fits && (more = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL)
        CHECK(SSL_CTX_add0_chain_cert(context, more) == 1);
    if (fits)
        ERR_clear_error(); /* the end of the text is reported as an error */
    X509_free(first);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return fits;
}

void tls_log_error(const char *event)
{
    char text[160] = "no reason given";
    unsigned long code = ERR_get_error();

    if (code != 0)
        ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    log_error(NULL, event, LOG_FIELDS(LOG_TEXT("reason", text)));
}

/* The one value of an entry of the subject; false when there is none, several, or a long one.
 */
static bool subject_entry(const X509_NAME *subject, int nid, char *text, size_t size)
{
    int index = X509_NAME_get_index_by_NID(subject, nid, -1);
    if (index < 0 || X509_NAME_get_index_by_NID(subject, nid, index) >= 0)
        return false;
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index));
    int len = ASN1_STRING_length(value);
    if (len <= 0 || (size_t)len >= size)
        return false;
    memcpy(text, ASN1_STRING_get0_data(value), (size_t)len);
    text[len] = '\0';
    return strlen(text) == (size_t)len;
}

bool tls_certificate_identity(X509 *certificate, char cluster_id[TLS_CLUSTER_ID_SIZE],
                              uint64_t *node_id)
{
    static const char prefix[] = "node-";
    const X509_NAME *subject = X509_get_subject_name(certificate);
    char name[64];

    if (!subject_entry(subject, NID_organizationName, cluster_id, TLS_CLUSTER_ID_SIZE) ||
        !subject_entry(subject, NID_commonName, name, sizeof(name)))
        return false;
    return strncmp(name, prefix, sizeof(prefix) - 1) == 0 &&
           bytes_to_u64(bytes_of(name + sizeof(prefix) - 1), node_id) && *node_id != 0;
}
