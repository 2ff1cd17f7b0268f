/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_RECORD_H
#define STORAGE_MACHINE_RECORD_H

#include "node/base/bytes.h"
#include "storage/schema/flags.h"

/*
 * The fixed binary rows of a mail group: a version byte, then the fields in the order of their
 * struct, big endian. A decoder returns false, and an undefined record, for bytes that its
 * encoder did not write. Adding a field means a new version whose decoder still reads the old
 * one.
 */
enum { RECORD_SIZE_MAX = 96 + MAILBOX_NAME_SIZE_MAX };

struct record {
    size_t len;
    uint8_t at[RECORD_SIZE_MAX];
};

/* The one row of a group's meta table. */
struct group_record {
    uint64_t applied;
    uint64_t term;
    uint64_t blobs;     /* the last blob id given out */
    uint64_t handovers; /* the last hand-over id given out */
    uint64_t uploads;   /* how many there are */
    uint64_t doomed;    /* rows in the doomed table */
    uint8_t format;     /* storage/schema/format.h; 0: the first */
    uint64_t clock_ms;  /* from format 3 on: apply.h */
    uint64_t seen_ms;   /* the latest time of a command */
    /* From format 4 on. */
    uint64_t queue_ids;       /* the last id of the queue given out */
    uint64_t queue;           /* how many messages lie there, */
    uint64_t queue_held;      /* and how many of them are held */
    uint64_t greylist;        /* keys known */
    uint64_t greylist_due_ms; /* none of them is forgotten before that */
};

/* Whether an account is in this group. What is not HERE takes no command. */
enum account_place {
    PLACE_HERE = 0,
    PLACE_FROZEN,   /* about to leave, or whole and not yet settled: can be read */
    PLACE_IMPORTED, /* on its way in: its rows are not whole */
    PLACE_ELSEWHERE /* it left, or what came of it was given up; rows may still be there */
};

struct account_record {
    bool gone;          /* purged: never made again */
    uint64_t modseq;    /* the last given out */
    uint32_t mailboxes; /* the last mailbox id given out */
    uint32_t inbox;
    uint32_t names; /* rows in mailbox_name */
    uint64_t messages;
    uint64_t size; /* bytes of all messages */
    /* Messages that can be brought back, and their bytes: not in the two above. */
    uint64_t expunged;
    uint64_t expunged_size;
    uint8_t place;    /* enum account_place */
    uint32_t peer;    /* the group that it goes to or comes from; 0: it never moved */
    uint64_t attempt; /* the newest to move it, out or in, that this group has heard of */
    /* Whose mail its mail counts for, as far as this group has heard; 0: not known. */
    uint64_t domain_id;
    uint64_t tenant_id;
};

/* The row of an account that is on its way. */
enum moving_state {
    MOVING_OUT_COPY = 1,
    MOVING_OUT_FROZEN,
    MOVING_IN_CLEAR, /* what an earlier attempt left is still being freed */
    MOVING_IN_ROWS,
    MOVING_IN_DONE /* whole; that the directory says so is not known here yet */
};

struct moving_record {
    uint8_t state;
    uint32_t peer;
    uint64_t attempt;
    uint64_t begun_ms;
    /* Of rows that have come in. */
    uint64_t sequence;
    uint64_t messages;
    uint64_t expunged;
};

/*
 * The live uids are the closed ranges of the uid_range table and the tail: tail_first to
 * uid_next - 1, which is empty when the two are equal. A message that comes in only moves
 * uid_next.
 */
struct mailbox_record {
    uint8_t special; /* enum special_use */
    uint32_t uid_validity;
    uint32_t uid_next;
    uint32_t tail_first;
    uint32_t messages;
    uint32_t unseen;
    uint32_t deleted;
    uint64_t size;
    uint64_t modseq; /* the highest in this mailbox */
    uint8_t keywords;
    uint32_t ranges;    /* change rows of expunged messages, counted from format 2 on */
    uint64_t forgotten; /* modseq up to which such rows have been dropped */
    struct bytes name;  /* decoded: borrowed from the row */
};

/* The row of a name: what it names, and whether it is subscribed. */
struct name_record {
    uint32_t mailbox; /* 0: nothing, the name is only subscribed */
    bool subscribed;
};

/*
 * `made` is the modseq that the message came in with: it ascends with the uid, which spares a
 * change row for each delivery.
 */
struct message_record {
    uint64_t flags;
    uint64_t modseq;
    uint64_t made;
    uint64_t blob;
    uint64_t size;
    int64_t internal_s;
    int16_t internal_zone; /* minutes */
    int64_t saved_s;       /* when it came into this mailbox (RFC 8514) */
    uint8_t email_id[16];
};

struct blob_record {
    uint64_t references;
    uint64_t size; /* plain bytes */
    uint32_t blocks;
    uint8_t digest[32];
};

struct upload_record {
    uint64_t blob;
    uint64_t begun_ms;
    uint32_t next_block;
};

/* One message's flags (first == last), or messages that are gone. */
struct change_record {
    bool expunged;
    uint32_t first;
    uint32_t last;
};

/* What the accounts of a domain or tenant hold in this group, and what of its limit the group
 * may use (scope.h). */
struct scope_record {
    uint64_t used_bytes;
    uint64_t used_messages;
    uint64_t granted_bytes;
    uint64_t granted_messages;
    uint64_t limit; /* number of the limit that the grant is of; 0: there never was one */
    uint64_t version;
};

/* What an account has sent, in slots of five minutes and of hours by the group's clock; the
 * newest is in front (sending.h). */
enum { SENDING_HOUR_SLOTS = 13, SENDING_DAY_SLOTS = 25 };
struct sending_record {
    uint64_t slot; /* number of the newest five minutes since 1970 */
    uint32_t hour[SENDING_HOUR_SLOTS];
    uint32_t day[SENDING_DAY_SLOTS];
};

/* A key that was seen (greylist.h), by the group's clock. */
struct greylist_record {
    bool passed;
    uint64_t first_ms;
    uint64_t seen_ms; /* last */
    uint64_t expires_ms;
    uint64_t indexed_ms; /* the time of its row in the order of expiry; not after expires_ms */
};

struct bytes record_bytes(const struct record *record);

void group_encode(const struct group_record *group, struct record *record);
bool group_decode(struct bytes row, struct group_record *group);
void account_encode(const struct account_record *account, struct record *record);
bool account_decode(struct bytes row, struct account_record *account);
void moving_encode(const struct moving_record *moving, struct record *record);
bool moving_decode(struct bytes row, struct moving_record *moving);
/* An import row's value. */
void blob_id_encode(uint64_t blob, struct record *record);
bool blob_id_decode(struct bytes row, uint64_t *blob);
void scope_encode(const struct scope_record *scope, struct record *record);
bool scope_decode(struct bytes row, struct scope_record *scope);
void mailbox_encode(const struct mailbox_record *mailbox, struct record *record);
bool mailbox_decode(struct bytes row, struct mailbox_record *mailbox);
void name_encode(const struct name_record *name, struct record *record);
bool name_decode(struct bytes row, struct name_record *name);
void message_encode(const struct message_record *message, struct record *record);
bool message_decode(struct bytes row, struct message_record *message);
void blob_encode(const struct blob_record *blob, struct record *record);
bool blob_decode(struct bytes row, struct blob_record *blob);
void upload_encode(const struct upload_record *upload, struct record *record);
bool upload_decode(struct bytes row, struct upload_record *upload);
/* The row of a message that can be brought back: without modseqs. */
void expunged_encode(const struct message_record *message, struct bytes name,
                     struct record *record);
bool expunged_row_decode(struct bytes row, struct message_record *message, struct bytes *name);
void change_encode(const struct change_record *change, struct record *record);
bool change_decode(struct bytes row, struct change_record *change);
/* A uid_range row's value: the last uid. */
void uid_encode(uint32_t uid, struct record *record);
bool uid_decode(struct bytes row, uint32_t *uid);
/* sending.c, greylist.c */
void sending_encode(const struct sending_record *sending, struct record *record);
bool sending_decode(struct bytes row, struct sending_record *sending);
void greylist_encode(const struct greylist_record *greylist, struct record *record);
bool greylist_decode(struct bytes row, struct greylist_record *greylist);

#endif
