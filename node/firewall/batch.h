/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_BATCH_H
#define NODE_FIREWALL_BATCH_H

#include "node/base/buffer.h"
#include "node/firewall/event.h"
#include "node/firewall/prefix.h"

/* Equal events of some seconds in one process, counted. */
struct firewall_record {
    struct firewall_address address;
    uint64_t account; /* digest, or 0 */
    uint32_t secret;  /* digest, or 0 */
    uint32_t network; /* 0: not known */
    uint32_t count;   /* 1..UINT32_MAX */
    uint8_t event;    /* enum firewall_event */
    uint8_t service;  /* one bit of enum firewall_service */
};

/* What a front-end process sends to the stores every few seconds. */
struct firewall_batch {
    struct firewall_record *records;
    size_t count; /* at most FIREWALL_BATCH_RECORDS_MAX */
};

enum {
    FIREWALL_BATCH_RECORDS_MAX = 4096,
    FIREWALL_BATCH_SIZE_MAX = 8 + FIREWALL_BATCH_RECORDS_MAX * 45, /* bytes of the wire form */
};

/*
 * The wire form: a version byte, the number of records, then the records, each with its length
 * in front. A reader passes over what a newer writer adds at the end of a record, and over
 * events that it does not know.
 */

/* Adds at most FIREWALL_BATCH_SIZE_MAX bytes to `wire`. */
void firewall_batch_encode(const struct firewall_batch *batch, struct buffer *wire);

/*
 * Allocates the records only after their number was checked against the limit and the bytes
 * that are there; end with firewall_batch_fini(). ERR_TOOBIG for too many bytes or records,
 * ERR_UNSUPPORTED for another version, ERR_MALFORMED; then `batch` is empty.
 */
MUST_CHECK enum err firewall_batch_decode(struct bytes wire, struct firewall_batch *batch);
void firewall_batch_fini(struct firewall_batch *batch);

#endif
