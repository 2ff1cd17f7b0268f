/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_NNG_TLS_H
#define NODE_RUNTIME_NNG_TLS_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "node/runtime/tls.h"

/*
 * nng's TLS engine over OpenSSL 3 (TLS 1.3 only), and who is at the other end of a pipe. Shared
 * by RPC and the replication transport; nobody else includes it.
 */

/* Registers the engine; call before any other use of nng's TLS. Any number of times, from any
 * thread. */
void nng_tls_engine_use(void);

/*
 * A configuration for listeners or dialers. `server_name` (dialers) is what the peer's
 * certificate must name, "node-<id>.<cluster id>.postraft". The caller frees it with
 * nng_tls_config_free().
 */
MUST_CHECK enum err nng_tls_credentials(const struct tls_credentials *credentials,
                                        nng_tls_mode mode, bool anonymous_peer,
                                        const char *server_name, nng_tls_config **config);

/*
 * For a dialer that has no certificate yet: the listener's chain must contain the authority
 * with this SHA-256 (64 hexadecimal digits), and be signed by it. Freed like the above.
 */
MUST_CHECK enum err nng_tls_pinned(const char *authority_pin, nng_tls_config **config);

/* Which node and cluster the credentials' own certificate names. */
enum { NNG_TLS_NAME_SIZE = 160 };
MUST_CHECK enum err nng_tls_own_node(const struct tls_credentials *credentials,
                                     uint64_t *node_id);
/* "node-<node id>.<cluster id>.postraft" of another node of the same cluster. */
MUST_CHECK enum err nng_tls_server_name(const struct tls_credentials *credentials,
                                        uint64_t node_id, char name[NNG_TLS_NAME_SIZE]);

/*
 * The node that the pipe's verified certificate names, 0 if none or if the certificate is of
 * another cluster than our own. For ADD_PRE callbacks: reject by nng_pipe_close().
 */
uint64_t nng_tls_pipe_node(nng_pipe pipe);
/* The same for a stream whose handshake is done. */
uint64_t nng_tls_stream_node(nng_stream *stream);

#endif
