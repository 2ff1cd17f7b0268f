/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ROWS_INTERNAL_H
#define STORAGE_SERVICE_ROWS_INTERNAL_H

#include "storage/service/scrubs_internal.h"
#include "storage/transfer/compare.h"

/*
 * The rows of one group here, compared with the other replicas'. rows_compare.c asks, first for
 * all ranges, then again for those that differ, until it is certain or ROUNDS_MAX; rows_found.c
 * says what follows. While a job is in the pool everything but `service` belongs to it.
 */
enum { ROWS_PEERS_MAX = 8, ROWS_SUSPECTS_MAX = 32, ROWS_ROUNDS_MAX = 40 };

struct rows_suspect {
    struct transfer_position from;
    struct transfer_position to;
    struct compare_sample ours;
    struct compare_sample theirs[ROWS_PEERS_MAX];
};

struct rows_compare {
    struct scrubs *scrubs;
    uint32_t group;
    struct transfer_tables tables;
    struct buffer names;
    uint8_t seed[TRANSFER_SEED_SIZE];
    uint64_t peers[ROWS_PEERS_MAX]; /* 0: it does not answer any more */
    unsigned peer_count;
    unsigned peer_at;
    uint64_t ticket;

    struct transfer_position from; /* of the question */
    struct transfer_position next; /* where the next one begins */
    struct buffer question;
    struct transfer_leaf again; /* the one that is asked about */
    size_t bytes;
    uint64_t index; /* that the question is of */
    enum err err;
    bool partial;

    struct rows_suspect *suspects;
    unsigned suspect_count;
    unsigned suspect_at;
    unsigned rounds; /* 0: all ranges are being asked about */
};

/* rows_found.c: what a group's suspects have come to goes into scrubs->differences. */
void rows_found(struct rows_compare *rows);
void rows_forget(struct scrubs *scrubs, uint32_t group);

#endif
