/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_PROXY_HEADER_H
#define NODE_RUNTIME_PROXY_HEADER_H

#include "node/runtime/address.h"

/*
 * What a proxy says in front of a connection that it passes on: the PROXY protocol of HAProxy,
 * versions 1 (a line of text) and 2 (binary). No input or output here.
 */
enum {
    PROXY_V1_SIZE_MAX = 107, /* with CR LF; the protocol's own bound */
    PROXY_V2_SIZE_MAX = 536, /* what fits into any first segment; the protocol's own bound */
};

enum proxy_outcome {
    PROXY_MORE,      /* so far so good */
    PROXY_CLIENT,    /* the client is named */
    PROXY_LOCAL,     /* none is: the proxy speaks for itself, or cannot say who it is */
    PROXY_MALFORMED, /* no header, and no further byte will make it one */
};

struct proxy_header {
    size_t len;            /* what belongs to the header; the rest is the protocol's */
    struct address client; /* with PROXY_CLIENT */
    uint16_t client_port;
};

/*
 * Looks at all that has come since the connection began. The answer does not depend on how it
 * was cut: before its last byte a header is PROXY_MORE, and what follows it changes nothing.
 * Additional fields are skipped; a checksum (CRC32c), where there is one, must fit.
 */
enum proxy_outcome proxy_header_parse(struct bytes input, struct proxy_header *header);

#endif
