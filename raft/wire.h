/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_WIRE_H
#define RAFT_WIRE_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "raft/log.h"

/*
 * What nodes say to each other: a frame is a head and a run of messages of any groups. All
 * numbers are little-endian, the layout is written down in wire.c. A frame carries the lowest
 * version that knows all of its messages and is refused whole by who does not know it: so a
 * node of the version before loses only what it could not understand. The decoder checks
 * everything that can be checked without knowing the group's state (terms, order, types,
 * lengths, members), because libraft checks nothing.
 */
enum wire_type {
    WIRE_APPEND = 1,
    WIRE_APPEND_RESULT,
    WIRE_VOTE,
    WIRE_VOTE_RESULT,
    WIRE_TIMEOUT_NOW,
    WIRE_READ_PING,  /* leader to voters: am I still? */
    WIRE_READ_ACK,   /* yes */
    WIRE_READ_ASK,   /* follower to leader: up to where must I have applied? */
    WIRE_READ_INDEX, /* up to here */
    WIRE_INSTALL,    /* leader to follower: your log ends below mine; begin behind this entry */
    WIRE_TYPE_COUNT
};

enum {
    WIRE_HEAD_SIZE = 24,
    WIRE_MESSAGE_SIZE_MAX = 64, /* without entries and members */
    WIRE_ENTRY_HEAD_SIZE = 16,
    WIRE_VERSION_WIDE = 3, /* names more than MEMBERSHIP_FEW members */
};

/* Indexes and terms over this are refused: sums never overflow. */
#define WIRE_NUMBER_MAX ((uint64_t)1 << 62)

/* What a member is not good for, in its acknowledgements. */
enum wire_standing {
    WIRE_PARTIAL = 1,   /* its log is good, the state is still being fetched */
    WIRE_STATELESS = 2, /* it never keeps the state (a witness) */
    WIRE_UNWILLING = 4, /* it does not want to lead */
};

struct wire_message {
    enum wire_type type;
    uint32_t group;
    uint64_t term;
    union {
        struct {
            uint64_t prev_index;
            uint64_t prev_term;
            uint64_t commit_index;
            uint64_t trim_before; /* every member has what is below; 0: nothing said */
            bool unserving;       /* the leader takes no proposals: it has no whole state */
            unsigned count;
            const struct entry *entries; /* decoded: in the reader's memory, owner NULL */
        } append;
        struct {
            uint64_t rejected; /* the index refused; 0: success */
            uint64_t last_index;
            uint8_t standing; /* of enum wire_standing */
        } append_result;
        struct {
            uint64_t last_index;
            uint64_t last_term;
            bool disrupt;
            bool pre_vote;
        } vote;
        struct {
            bool granted;
            bool pre_vote;
        } vote_result;
        struct {
            uint64_t last_index;
            uint64_t last_term;
        } timeout_now;
        struct {
            uint64_t sequence;
            uint64_t index; /* READ_INDEX alone */
        } read;
        struct {
            uint64_t last_index; /* the entry, its term, and */
            uint64_t last_term;
            uint64_t members_index; /* where the membership in force there lay */
            struct bytes members;   /* and what it was; decoded: in the frame */
        } install;
    };
};

/* Bytes that the message takes in a frame. */
size_t wire_message_size(const struct wire_message *message);

/* The version of the frame that it may lie in. */
unsigned wire_message_version(const struct wire_message *message);

void wire_head_write(uint8_t *at, uint64_t sender, uint32_t message_count, unsigned version);
/* Writes the message with its entries; returns its size. */
size_t wire_message_write(uint8_t *at, const struct wire_message *message);

struct wire_reader {
    uint64_t sender;
    struct bytes rest;
    uint32_t left; /* messages */
    unsigned version;
    struct entry *entries;
    unsigned entries_room;
};

/* All zero at first; the memory for entries is kept from frame to frame. */
void wire_reader_fini(struct wire_reader *reader);

/* ERR_MALFORMED: not a frame of a known version. Borrows `frame`. */
MUST_CHECK enum err wire_reader_start(struct wire_reader *reader, struct bytes frame);

/*
 * ERR_OK: `message` is the next one, its entries valid until the next call. ERR_NOTFOUND: the
 * frame ended where it should. ERR_MALFORMED: the rest of the frame must be dropped.
 */
MUST_CHECK enum err wire_reader_next(struct wire_reader *reader, struct wire_message *message);

#endif
