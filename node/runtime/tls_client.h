/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_TLS_CLIENT_H
#define NODE_RUNTIME_TLS_CLIENT_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * TLS as a client of other mail servers: what a server has to prove, and what went wrong when
 * it did not. TLS 1.2 and 1.3. Connections take it by conn_start_tls_client() (dial.h).
 */
struct tls_client;

/*
 * One a process, before the sandbox: the authorities are read into memory here, and no file is
 * opened later. `authorities` is a PEM file; "" takes the system's. ERR_NOTFOUND or
 * ERR_MALFORMED, with the reason logged, when a named file cannot be used. Where the system has
 * none that is logged as an error, and nobody can satisfy TLS_RULE_WEB.
 */
MUST_CHECK enum err tls_client_new(const char *authorities, struct tls_client **client);
/* How many authorities are trusted. */
unsigned tls_client_authorities(const struct tls_client *client);
/* After the loop. Sets *client to NULL. */
void tls_client_free(struct tls_client **client);

enum tls_rule {
    /* Any certificate: against those who only listen (RFC 7435). Old keys and hashes, and
     * ciphers without forward secrecy, are taken as well: the other choice would be the clear.
     */
    TLS_RULE_NONE,
    /* A chain to an authority, valid now, for one of the names (RFC 6125 wildcards: the whole
     * first label; the subject's common name does not count). As MTA-STS has it, RFC 8461
     * section 4.1. */
    TLS_RULE_WEB,
    /* A TLSA record of the server fits (RFC 7672): usage 3 the certificate or its key, names
     * and time do not count; usage 2 an authority in the chain, and one of the names counts. */
    TLS_RULE_DANE,
};

/* A TLSA record that DNSSEC has proven; the members as in struct dns_record. */
struct tls_tlsa {
    uint8_t usage, selector, matching;
    struct bytes data;
};

/*
 * How many of them can be used for mail: usage 2 or 3 (RFC 7672 section 3.1.3), selector 0 or
 * 1, matching 0 to 2, with data that is what these say. With records but none of use TLS is
 * required, and nobody can be authenticated (section 2.2): TLS_RULE_NONE, and never the clear.
 */
unsigned tls_tlsa_usable(const struct tls_tlsa *records, unsigned count);

enum {
    TLS_NAMES_MAX = 8,  /* of one tls_expect */
    TLS_TLSA_MAX = 100, /* what is behind is not looked at */
    TLS_KEY_DIGEST_SIZE = 32,
};

/* Nothing of it is kept. Names are A-labels without the last dot. */
struct tls_expect {
    enum tls_rule rule;
    /* RULE_WEB: go on with a server that proves nothing, and say what it failed (MTA-STS in
     * testing mode, RFC 8461 section 5). */
    bool lenient;
    const char *host;         /* server name (SNI): the MX host, or where its TLSA records are;
                                 "": none, for address literals */
    const char *const *names; /* WEB, and usage 2 of DANE; none: the host */
    unsigned names_count;
    const struct tls_tlsa *records; /* DANE */
    unsigned records_count;
};

/* What the handshake has proven. */
enum tls_verified {
    TLS_VERIFIED_NOTHING, /* or there is no TLS */
    TLS_VERIFIED_WEB,
    TLS_VERIFIED_DANE,
};

#define TLS_FAILURES(X)                                                                        \
    X(NONE, "", "none")                                                                        \
    X(NOT_OFFERED, "starttls-not-supported", "STARTTLS is not offered") /* for callers' own */ \
    X(NOT_TRUSTED, "certificate-not-trusted", "the certificate is not trusted")                \
    X(EXPIRED, "certificate-expired", "the certificate has expired")                           \
    X(NAME_MISMATCH, "certificate-host-mismatch", "the certificate is for other names")        \
    X(DANE_MISMATCH, "validation-failure", "no TLSA record fits the certificate")              \
    X(PROTOCOL, "validation-failure", "the TLS handshake failed")                              \
    X(INJECTED, "validation-failure", "data came in the clear behind the answer to STARTTLS")  \
    X(CUT, "validation-failure", "the connection was cut in the TLS handshake")                \
    X(TIMEOUT, "validation-failure", "the TLS handshake took too long")

#define TLS_FAILURE_ENUM(name, report, text) TLS_FAILURE_##name,
enum tls_failure { TLS_FAILURES(TLS_FAILURE_ENUM) TLS_FAILURE_COUNT };
#undef TLS_FAILURE_ENUM

/* The result type of RFC 8460 section 4.3; "" for NONE. */
const char *tls_failure_report(enum tls_failure failure);
/* In words, for logs and notices. */
const char *tls_failure_text(enum tls_failure failure);

#endif
