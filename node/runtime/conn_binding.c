/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What binds a log-in to the TLS connection that it came over. */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"

enum { EXPORTER_SIZE = 32 };

/*
 * RFC 9266. Without the extended master secret somebody in the middle can make two connections
 * of TLS 1.2 share a secret, and the binding with it (section 4.2); TLS 1.3 has it built in.
 */
static bool exporter(SSL *ssl, struct buffer *bytes)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    uint8_t secret[EXPORTER_SIZE];

    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return false;
    bool good = SSL_export_keying_material(ssl, secret, sizeof(secret), label,
                                           sizeof(label) - 1, (const uint8_t *)"", 0, 1) == 1;
    ERR_clear_error();
    if (good)
        buffer_add(bytes, bytes_from(secret, sizeof(secret)));
    return good;
}

/* RFC 5929 section 4.1: hashed as its signature is, but not by MD5 or SHA-1. */
static bool server_end_point(SSL *ssl, struct buffer *bytes)
{
    const X509 *certificate =
        SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int hash = NID_undef;

    if (certificate == NULL ||
        X509_get_signature_info((X509 *)(uintptr_t)certificate, &hash, NULL, NULL, NULL) != 1 ||
        hash == NID_undef) {
        ERR_clear_error();
        return false;
    }
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(hash);
    bool good = md != NULL && X509_digest(certificate, md, digest, &len) == 1;
    ERR_clear_error();
    if (good)
        buffer_add(bytes, bytes_from(digest, len));
    return good;
}

bool conn_channel_binding(const struct conn *conn, enum conn_binding kind, struct buffer *bytes)
{
    if (!conn_has_tls(conn))
        return false;
    return kind == CONN_BINDING_TLS_EXPORTER ? exporter(conn->ssl, bytes)
                                             : server_end_point(conn->ssl, bytes);
}
