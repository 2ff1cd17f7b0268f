/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_DNS_H
#define NODE_RUNTIME_DNS_H

#include "node/runtime/address.h"
#include "node/runtime/loop.h"

/*
 * The resolver of a process: asynchronous, validating (DNSSEC), caching; libunbound beneath,
 * with a thread of its own. Equal questions that are under way at the same time are asked once.
 *
 * An answer tells trouble (SERVFAIL, TIMEOUT, BOGUS) from absence (NODATA, NXDOMAIN): trouble
 * says nothing about the name, and is never the sender's fault.
 */
struct dns;

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52,
};

enum dns_result {
    DNS_OK,       /* there are records, one at least */
    DNS_NODATA,   /* the name exists, without such records */
    DNS_NXDOMAIN, /* the name does not exist; or is none that DNS can hold */
    DNS_SERVFAIL, /* nobody could answer; or too many questions are under way */
    DNS_TIMEOUT,
    DNS_BOGUS, /* signatures do not fit: forged, or the zone is broken */
};

/* SERVFAIL, TIMEOUT or BOGUS: nothing is known about the name. */
bool dns_trouble(enum dns_result result);
/* "nodata", "servfail": for logs. */
const char *dns_result_text(enum dns_result result);

enum {
    DNS_NAME_SIZE = 1024,        /* with every byte escaped, and a NUL */
    DNS_RECORDS_MAX = 100,       /* of one answer; the rest is left out */
    DNS_TEXT_SIZE_MAX = 65535,   /* of a TXT record, joined */
    DNS_FCRDNS_NAMES_MAX = 5,    /* names of one address that are looked at */
    DNS_FCRDNS_RECORDS_MAX = 64, /* addresses of one name that are compared */
};

/*
 * Names are in lower case and without the last dot ("" is the root); what is no letter, digit,
 * "-", "_" is written as "\DDD", so a name holds printable ASCII only.
 */
struct dns_record {
    union {
        struct address address; /* A, AAAA */
        const char *name;       /* NS, PTR */
        struct bytes text; /* TXT: its strings, joined without anything between; any bytes */
        struct {
            const char *host; /* "" : null MX (RFC 7505) */
            uint16_t preference;
        } mx;
        struct {
            struct bytes data;
            uint8_t usage, selector, matching;
        } tlsa;
        struct {
            const char *primary, *mailbox;
            uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
        } soa;
    };
};

struct dns_answer {
    enum dns_type type;
    enum dns_result result;
    bool secure;        /* validated; with NODATA and NXDOMAIN: the absence is proven */
    uint32_t ttl_s;     /* 0 with trouble */
    const char *name;   /* that was asked for */
    const char *target; /* where CNAMEs led; else the name itself, in lower case */
    const char *reason; /* of BOGUS and some SERVFAIL, for the log; else "" */
    const struct dns_record
        *records; /* MX by preference; records that are malformed are left out */
    unsigned count;
};

/* A zone that is asked of one server ("127.0.0.1@5300") instead of the world: for tests. */
struct dns_stub {
    const char *zone;
    const char *server;
};

struct dns_config {
    const char *const
        *servers; /* forwarders, "192.0.2.53:53" or without port; none: recursion */
    unsigned servers_count;
    const char *trust_anchor; /* file of the root's keys; "" : nothing is validated */
    unsigned timeout_ms;      /* 0: 5000 */
    unsigned outstanding_max; /* distinct questions under way; 0: 2000 */
    const struct dns_stub *stubs;
    unsigned stubs_count;
    const char *const *local_data; /* "mx.test. 60 IN A 192.0.2.1": answers of our own */
    unsigned local_data_count;
};

/*
 * Everything that lies in a file is read here, so that the sandbox may follow; nothing of
 * `config` is kept. NULL, with the reason logged, when a file cannot be read or a server is
 * none.
 */
struct dns *dns_new(struct loop *loop, const struct dns_config *config);

/* Before loop_free(). What is under way is forgotten; done() is not called any more. */
void dns_free(struct dns **dns);

/*
 * Asks; `name` is ASCII (an A-label where it is international), with or without the last dot.
 * done() is called once, from the loop and never inside the call, timeout_ms from now at the
 * latest; `answer` and all in it live as long as the call. Returns a ticket.
 */
uint64_t dns_query(struct dns *dns, const char *name, enum dns_type type,
                   void (*done)(void *context, const struct dns_answer *answer), void *context);

/* done() will not be called. For a ticket that is unknown, or over, nothing happens. */
void dns_cancel(struct dns *dns, uint64_t ticket);

/* "1.2.0.192.in-addr.arpa", "1.0....8.b.d.0.1.0.0.2.ip6.arpa". */
void dns_reverse_name(const struct address *address, char name[DNS_NAME_SIZE]);
/* The same in front of a list's zone (RFC 5782): "1.2.0.192.dnsbl.example". False: too long. */
bool dns_list_name(const struct address *address, const char *zone, char name[DNS_NAME_SIZE]);

/*
 * Forward-confirmed reverse look-up: the names of the address (PTR) that lead back to it (A or
 * AAAA). Only names that could be host names are looked at, the first few of them.
 */
struct dns_fcrdns {
    enum dns_result result; /* of the reverse look-up */
    bool trouble;           /* some look-up failed: with no name confirmed, nothing is known */
    bool secure;            /* each answer that confirmed the first name was validated */
    const char *claimed;    /* the first name, confirmed or not; "" : none */
    const char *names[DNS_FCRDNS_NAMES_MAX]; /* confirmed */
    unsigned count;
};

/* As dns_query(), with dns_cancel() as well; budget_ms for all look-ups together (0: twice the
 * time-out). What is not there by then counts as trouble. */
uint64_t dns_fcrdns(struct dns *dns, const struct address *address, unsigned budget_ms,
                    void (*done)(void *context, const struct dns_fcrdns *answer),
                    void *context);

#endif
