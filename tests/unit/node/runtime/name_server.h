/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_NAME_SERVER_H
#define TESTS_UNIT_NODE_RUNTIME_NAME_SERVER_H

#include "node/base/buffer.h"

#include <stdatomic.h>

/*
 * A name server on loopback, in a thread of its own, that says what its rows say, over UDP and
 * TCP: several rows of one name and type are several records. It answers as a forwarder does.
 */
enum behaviour {
    ANSWERS,
    FAILS,   /* SERVFAIL */
    REFUSES, /* REFUSED */
    IS_SILENT,
    IS_SLOW,   /* answers after slow_ms */
    TRUNCATES, /* over UDP nothing but the bit; all over TCP */
    FORGES,    /* first the first row, under another id; then the second row */
    BABBLES,   /* bytes that are no message */
};

struct zone_row {
    const char *name; /* lower case */
    unsigned type;
    enum behaviour behaviour;
    struct bytes rdata;
    const char *owner; /* of the record, when a CNAME leads there; NULL: name */
    unsigned rtype;    /* the record's type, 0: type */
};

struct name_server;

struct name_server *name_server_start(const struct zone_row *rows, unsigned count,
                                      unsigned slow_ms);
void name_server_stop(struct name_server **server);
/* "127.0.0.1:5300" */
const char *name_server_address(const struct name_server *server);
/* How often it was asked for this, over UDP. */
unsigned name_server_asked(struct name_server *server, const char *name, unsigned type);
/* How often it was asked anything over TCP. */
unsigned name_server_asked_tcp(struct name_server *server);

#endif
