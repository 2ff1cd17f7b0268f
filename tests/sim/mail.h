/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_MAIL_H
#define TESTS_SIM_MAIL_H

/*
 * People with mail: what they ask for, what they were told, and whether what they see can be
 * true. Knows nothing of logs or leaders: an operation begins, may be tried more than once
 * under one request id, and ends with an outcome, or is never heard of. Everything that is
 * begun, ended or seen has a moment, a number that only grows; the checks compare moments.
 */
#include "command.pb-c.h"
#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "storage/machine/record.h"
#include "tests/sim/sim.h"

enum {
    MAIL_ACCOUNTS = 3, /* a group */
    MAIL_UIDS_MAX = 8, /* named by one operation */
    MAIL_DEFAULT_MAILBOXES = 6,
};
#define MAIL_LATER UINT64_MAX /* a moment that has not come */

/* A number that never falls, and since when it has been known to be that high. */
struct mail_floors {
    struct mail_floor {
        uint64_t at;
        uint64_t value;
    } * steps;
    unsigned count;
    unsigned room;
};

/* A message in a mailbox, since somebody was told of it or saw it. */
struct mail_message {
    bool known;
    bool any_flags;       /* a copy: it came with the flags that its source had */
    bool deletable;       /* somebody wanted to give it \Deleted */
    uint64_t token;       /* the operation whose body it has */
    uint64_t blob;        /* where that was seen to lie; such a number never means another */
    uint64_t flags;       /* that it came with */
    uint64_t added_begin; /* it cannot have been there before, */
    uint64_t added_end;   /* and was there from here on */
    unsigned removers;    /* operations under way that may remove it */
    uint64_t gone_end;    /* it was removed for sure */
    uint64_t modseq;      /* as seen last */
    uint64_t modseq_at;
    uint64_t modseq_flags;
    uint64_t there_at; /* the look that saw it last, and what it saw */
    uint64_t there_flags;
    uint64_t there_modseq;
    bool client_has; /* a client remembers it (mail_changes.c), */
    uint64_t client_flags;
    struct mail_op **writes; /* of its flags */
    unsigned write_count;
    unsigned write_room;
};

struct mail_mailbox {
    uint32_t id;
    bool known;
    uint32_t uid_validity; /* 0: not seen yet */
    uint64_t made_end;
    uint64_t gone_end;
    unsigned removers;
    unsigned sweepers;           /* EXPUNGEs under way of all that has \Deleted */
    struct mail_floors uid_next; /* more than any uid that was shown */
    struct mail_floors modseq;
    uint64_t client_at; /* a client looked, 0: never, and remembers */
    uint64_t client_modseq;
    struct mail_message *messages; /* of uid n + 1 */
    unsigned message_room;
};

struct mail_account {
    uint64_t id;
    uint64_t gone_begin; /* a purge */
    uint64_t gone_end;
    struct mail_mailbox *mailboxes; /* of id n + 1 */
    unsigned mailbox_count;
};

enum mail_kind {
    MAIL_DELIVER,
    MAIL_APPEND,
    MAIL_UPLOAD,
    MAIL_UPLOAD_DROP,
    MAIL_FLAGS,
    MAIL_COPY,
    MAIL_MOVE,
    MAIL_EXPUNGE,
    MAIL_CREATE,
    MAIL_DELETE,
    MAIL_RENAME,
    MAIL_SUBSCRIBE,
    MAIL_PURGE,
    MAIL_CANCEL,
    MAIL_HANDOVER, /* the delivery in the other group, under the same request id */
    MAIL_HANDED,
    MAIL_FORMAT,
    MAIL_UNDELETE,
    MAIL_FORGET, /* what was expunged, for good */
    MAIL_KINDS
};

struct mail_op {
    uint64_t number; /* from 1; the token of what it adds */
    enum mail_kind kind;
    unsigned group;
    unsigned account;
    unsigned recipients; /* of a delivery: bits */
    unsigned found;      /* those in whose account it was seen */
    unsigned hand_group; /* with other recipients, to whom it is handed over */
    unsigned hand_recipients;
    unsigned hand_found;
    bool handing; /* somebody is about it */
    uint32_t mailbox;
    uint32_t target;
    uint32_t uids[MAIL_UIDS_MAX];
    unsigned uid_count;
    unsigned mode;
    uint64_t flags;
    unsigned instances; /* messages with its body, ever */
    unsigned copies;    /* operations that may have made more of them */
    struct mail_op *of; /* what a CANCEL cancels, an upload is for, a HANDOVER hands over */
    uint64_t handover;  /* its number in the group that it comes from */
    uint64_t expunged_ms[MAIL_UIDS_MAX]; /* of an UNDELETE's messages */
    unsigned blocks;                     /* of an upload, */
    unsigned block;                      /* and which this is */
    uint8_t upload_id[16];
    uint8_t request_id[16];
    bool has_id;
    struct buffer entry; /* what is proposed, but for the proposal's number */
    uint64_t begun;
    uint64_t ended; /* MAIL_LATER while it may yet take effect */
    enum {
        MAIL_OPEN,
        MAIL_DONE,    /* took effect once, between begun and ended */
        MAIL_REFUSED, /* was answered with an error */
        MAIL_NEVER,   /* took no effect, and never will */
        MAIL_UNKNOWN, /* nobody asks any more */
    } state;
    unsigned attempts;
    unsigned attempts_max;
    unsigned doubtful; /* attempts that may take effect yet */
    bool resolved;     /* mail_resolved() was called, which counts */
    bool again;        /* asked once more after the answer, which must be the same */
    struct buffer reply;
};

struct mail_group {
    struct mail_account accounts[MAIL_ACCOUNTS];
};

struct mail {
    uint64_t moment;
    struct mail_group groups[GROUPS_MAX];
    struct mail_op **ops; /* by number - 1 */
    uint64_t op_count;
    uint64_t op_room;
};

/* What the log calls the group. Group 0 is the directory, so all of these are mail groups. */
static inline uint32_t mail_group_number(unsigned group)
{
    return group + 1;
}

/* ---- for the rest of the simulator ---- */

void mail_init(struct world *world);
void mail_fini(struct world *world);
/* Somebody begins something. */
void mail_begin(struct world *world, unsigned group);
uint64_t mail_moment(struct world *world);
/* Somebody looks at an account of the group on that node, having asked at moment `begun`. */
void mail_look(struct world *world, unsigned node, unsigned group, uint64_t begun);
/* Everything has come to rest: looks at every replica. */
void mail_end(struct world *world);
/* The number of the proposal that an entry comes from. */
uint64_t mail_proposal_of(struct bytes entry);

/* ---- mail_choose.c, mail_command.c ---- */

struct mail_op *mail_choose(struct world *world, unsigned group);
void mail_command(struct world *world, struct mail_op *op);

/* ---- mail_send.c ---- */

struct mail_op *mail_op_new(struct world *world, enum mail_kind kind, unsigned group,
                            unsigned account);
/* Makes the command and sends it, until it is answered or given up. */
void mail_op_begin(struct world *world, struct mail_op *op);

/* ---- mail_handover.c ---- */

/* Leaders do what lies in their hand-over tables, again and again. */
void mail_handovers_setup(struct world *world);
/* A HANDOVER or HANDED has ended, one way or the other. */
void mail_handover_ended(struct world *world, struct mail_op *op);
bool mail_handovers_left(struct world *world, unsigned node, unsigned group);

/* ---- mail_result.c ---- */

/* What is possible from now on. */
void mail_begun(struct world *world, struct mail_op *op);
/* What the outcome says; `node` gave it. */
void mail_done(struct world *world, struct mail_op *op, unsigned node,
               const Pr__Outcome *outcome);
/* It does nothing from now on that it has not done. Once for an operation. */
void mail_resolved(struct world *world, struct mail_op *op);

/* ---- mail_history.c ---- */

struct mail_account *mail_account(struct world *world, const struct mail_op *op);
struct mail_mailbox *mail_mailbox(struct mail_account *account, uint32_t id);
struct mail_mailbox *mail_mailbox_of(struct mail_account *account, uint32_t uid_validity);
struct mail_message *mail_message(struct mail_mailbox *mailbox, uint32_t uid);
/* Of any number, as it was known before a moment. */
uint64_t mail_floor(const struct mail_floors *floors, uint64_t before);
void mail_floor_raise(struct mail_floors *floors, uint64_t at, uint64_t value);
void mail_write_add(struct mail_message *message, struct mail_op *op);
void mail_write_drop(struct mail_message *message, const struct mail_op *op);
/* Whether a message was there, for sure, from `begun` until now. */
bool mail_message_stayed(const struct mail_account *account, const struct mail_mailbox *mailbox,
                         const struct mail_message *message, uint64_t begun);
/* Whether a look that began at `begun` and ends now may see these flags. */
bool mail_flags_possible(const struct mail_message *message, uint64_t flags, uint64_t begun);
/* Somebody was told of a message, or sees it: it must be the one that it was before. */
bool mail_message_is(struct world *world, struct mail_op *body, unsigned group,
                     unsigned account, struct mail_mailbox *mailbox, uint32_t uid);

/* ---- mail_changes.c ---- */

/* After a look at all messages of a mailbox, by somebody who asked at `begun`. */
void mail_changes_look(struct world *world, struct db_txn *txn, uint32_t group,
                       uint64_t account, struct mail_mailbox *mailbox,
                       const struct mailbox_record *row, uint64_t begun);

/* ---- mail_look.c ---- */

/* What a node shows of an account, to somebody who asked at `begun`; with `bodies` it is looked
 * into those that were seen before, too. */
void mail_account_look(struct world *world, unsigned node, unsigned group, unsigned account,
                       uint64_t begun, bool bodies);
/* Finds up to MAIL_UIDS_MAX messages of the mailbox that can be brought back, at some node. */
void mail_expunged_find(struct world *world, struct mail_op *op);
/* Learns which mailbox has the value, from the node that named it. NULL when it is gone. */
struct mail_mailbox *mail_mailbox_find(struct world *world, unsigned node,
                                       const struct mail_op *op, uint32_t uid_validity);

#endif
