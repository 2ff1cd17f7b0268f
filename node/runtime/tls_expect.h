/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_TLS_EXPECT_H
#define NODE_RUNTIME_TLS_EXPECT_H

#include <openssl/ssl.h>

#include "node/runtime/tls_client.h"

/* How OpenSSL is told what a server has to prove. Inside this folder only. */

/* tls_client.c: the settings of a rule, and all authorities. */
SSL_CTX *tls_client_context(struct tls_client *client, enum tls_rule rule);
X509_STORE *tls_client_store(struct tls_client *client);

/* One connection's SSL, that is the caller's. ERR_MALFORMED as conn_start_tls_client() has it.
 */
MUST_CHECK enum err tls_expect_ssl(struct tls_client *client, const struct tls_expect *expect,
                                   SSL **ssl);

/* Of SSL_get_verify_result(), which is not X509_V_OK. */
enum tls_failure tls_expect_failure(long verify_result);

#endif
