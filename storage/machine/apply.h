/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_APPLY_H
#define STORAGE_MACHINE_APPLY_H

#include "command.pb-c.h"
#include "storage/db/key.h"
#include "storage/machine/machine.h"
#include "storage/machine/record.h"

/* Limits of one command, so that none holds a lane up. */
enum {
    APPLY_MESSAGES_MAX = 10000,    /* looked at one by one */
    APPLY_FREE_ROWS_MAX = 20000,   /* of bodies freed at once; more are doomed */
    APPLY_DOOMED_ROWS_MAX = 256,   /* freed behind each command while there are doomed rows */
    APPLY_PURGE_MAX = 10000,       /* the largest AccountPurge.limit */
    APPLY_PURGE_LOOKS_MAX = 2000,  /* accounts that an ExpungedPurge looks at */
    APPLY_TICK_ROWS_MAX = 4096,    /* freed behind a Tick */
    CHANGE_RANGES_MAX = 10000,     /* change rows of expunged messages that a mailbox keeps */
    CHANGE_TRIM_ROWS = 64,         /* dropped at once, so that it is not done at each command */
    CHANGE_TRIM_LOOKS_MAX = 20000, /* rows passed by one command: more than it can add */
    UNDELETE_MESSAGES_MAX = 1000,  /* brought back by one command */
    UNDELETE_MAILBOXES_MAX = 16,
    IMPORT_ROWS_MAX = 4096, /* in one command */
    MOVES_MAX = 1000,       /* under way in a cluster */
    FORMER_GROUPS_MAX = 8,  /* moves of an account in 24 hours */
    SCOPE_ENROL_MAX = 1000, /* accounts in one command */
    MOVE_SHARES_MAX = 2,    /* a domain's and a tenant's */
    DOMAINS_NUMBER_MAX = 1000,
    DOMAINS_NUMBER_LOOKS_MAX = 10000,
    DELIVER_PARTS_MAX = 100, /* of a message in other words, beside its first */
    UPLOAD_COUNT_MAX = 4096, /* unfinished ones in a group */
    UPLOAD_DROP_MAX = 1000,  /* dropped by one command */
    DEDUPE_KEPT_MS = 24 * 60 * 60 * 1000,
    CLOCK_STEP_MAX_MS = 60 * 60 * 1000,
};

/* One command being applied. */
struct apply {
    struct db_txn *txn;
    struct arena *arena; /* lives as long as the reply */
    uint32_t group;
    struct bytes request_id; /* empty: none */
    const Pr__Command *command;
    struct group_record record; /* written back when the command is done */
    Pr__Outcome *outcome;
    struct machine_events *events;
    unsigned free_rows;   /* how many more rows may be freed at once */
    unsigned doomed_rows; /* freed behind this command */
};

/*
 * A command: validates fully, then writes. Returns ERR_OK, or what apply_refuse() returned
 * before the first write (only a purge says so while there is more to free). Errors of the disk
 * stay in the transaction.
 */
typedef enum err apply_command(struct apply *apply);

/* Sets the outcome's err and its text, which an operator reads. Returns `err`. */
__attribute__((format(printf, 3, 4))) enum err apply_refuse(struct apply *apply, enum err err,
                                                            const char *format, ...);

/* The group's format: what is not in it must behave as in the release before. */
unsigned apply_format(const struct apply *apply);

/*
 * The group's own clock, for what must be kept for a time (milliseconds since 1970). It follows
 * the times of commands, but a proposer whose clock jumps does not take it along: one command
 * moves it by two steps of CLOCK_STEP_MAX_MS at the most, and what it lags behind, after a jump
 * or a quiet time, it makes up for at twice the speed. So what is kept for a day is kept for
 * half a day at least, whatever clocks do. Below format 3 it is the command's time.
 */
uint64_t apply_clock_ms(const struct apply *apply);

struct account;
/* Whether the account takes commands: refuses with NOTFOUND one that was removed, with MOVED
 * one that is not, or not for long, in this group. */
enum err account_writable(struct apply *apply, const struct account *account);

/* Add to the events. */
void event_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                   uint64_t modseq, bool gone);
void event_account_moved(struct apply *apply, uint64_t account_id, uint32_t group);
void event_account_ended(struct apply *apply, uint64_t account_id);

/* Appends to a list of ranges, growing the last one where `first` follows it. */
struct range_list {
    Pr__UidRange **at;
    size_t count;
    size_t room;
};
void range_add(struct arena *arena, struct range_list *list, uint32_t first, uint32_t last);

/*
 * The ranges of a peer, ascending and disjoint. Returns false when one is not
 * 1 <= first <= last.
 */
bool range_normal(struct arena *arena, Pr__UidRange *const *ranges, size_t count,
                  struct range_list *list);

/* The commands, a table in machine.c. */
apply_command apply_cluster_create, apply_node_join, apply_node_remove, apply_token_add,
    apply_group_put, apply_tenant_add, apply_tenant_remove, apply_domain_add,
    apply_domain_remove, apply_account_add, apply_account_remove, apply_account_password;
apply_command apply_node_change, apply_groups_add, apply_group_placed, apply_groups_plan,
    apply_replication_set, apply_cluster_recover;
apply_command apply_upload_block, apply_upload_drop, apply_deliver, apply_handover_done,
    apply_append, apply_flags_change, apply_copy, apply_expunge, apply_mailbox_create,
    apply_mailbox_delete, apply_mailbox_rename, apply_mailbox_subscribe, apply_account_purge,
    apply_cancel, apply_format_raise;
apply_command apply_tick, apply_expunged_purge, apply_undelete, apply_policy_set,
    apply_quota_set, apply_account_restore, apply_purge_done, apply_purge_now;
apply_command apply_account_move_begin, apply_account_move_claim, apply_account_move_done,
    apply_account_move_cancel, apply_move_start, apply_move_freeze, apply_move_end,
    apply_import_begin, apply_import_rows, apply_import_end;
apply_command apply_scope_grant, apply_scope_return, apply_scope_enrol, apply_scope_ask,
    apply_scope_returned, apply_domains_number;
apply_command apply_queue_change, apply_queue_lease, apply_queue_report, apply_queue_told,
    apply_greylist_seen;
apply_command apply_alias_add, apply_alias_change, apply_alias_remove, apply_domain_route,
    apply_account_alter, apply_credentials_set, apply_app_password_add,
    apply_app_password_remove, apply_totp_used, apply_setting_put, apply_firewall_put,
    apply_firewall_remove, apply_sender_domain_put, apply_role_account_make;

#endif
