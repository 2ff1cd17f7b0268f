/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCOPES_H
#define STORAGE_SERVICE_SCOPES_H

#include "storage/service/service.h"

/*
 * What all accounts of a domain or tenant may hold together (storage/README.md, "Limits of
 * domains and tenants"): what a node does when a group has refused a write with GRANT, because
 * the part of the limit that it was granted is used up. The directory is asked for more, then
 * the group is told, then the write is tried again. One question at a time for a group and a
 * scope; who comes meanwhile waits for its answer. There are never more questions than calls
 * under way (endpoints.c).
 *
 * When there is not so much left, the other groups are given SCOPES_WAIT_MS to give back what
 * they do not use.
 */
struct scopes;

enum {
    SCOPES_WAIT_MS = 2000,
    SCOPES_AGAIN_MS = 150, /* between questions while nothing is left */
    /* Who waits for others to give back takes a front end's place meanwhile: of one group and
     * scope, and in all. The next one is refused when the directory says that nothing is left.
     */
    SCOPES_SHORT_MAX = 32,
    SCOPES_SHORT_TOTAL_MAX = 256,
    SCOPES_ASK_MS = 5000,    /* a command's deadline: then there is no majority */
    SCOPES_CLOSED_MS = 1000, /* who may not send more is refused without a question so long; */
    SCOPES_CLOSED_KEPT_MS = 10000, /* and so long after that with one, and without a wait */
};

struct scopes *scopes_new(struct service *service);
/* Who waits gets ERR_UNAVAILABLE, in here; after writes_free(). */
void scopes_free(struct scopes **scopes);

/*
 * ERR_OK: the write is to be tried again, and may be refused again. ERR_QUOTA: there is no
 * room; `text` says of what, for operators. ERR_LIMIT: the same of what is sent. ERR_CONFLICT:
 * the limit is another one by now, which a fresh directory knows. ERR_UNAVAILABLE. Never called
 * from within scopes_ask().
 */
typedef void scopes_done(void *context, enum err err, const char *text);

/* `refusal` is the outcome's share, with what the command needs. */
void scopes_ask(struct service *service, uint32_t group, const Pr__ScopeShare *refusal,
                uint64_t deadline_ms, scopes_done *done, void *context);

/* Tells a group what it has been granted. */
void scopes_grant(struct service *service, uint32_t group, const Pr__ScopeShare *share,
                  write_done *done, void *context);
/* Asks the directory. */
void scopes_ask_send(struct service *service, Pr__ScopeAsk *ask, write_done *done,
                     void *context);

/*
 * What commands say to a group about the scopes of an account, as this node's directory has it;
 * from the loop's thread. NULL: nothing, in a group below FORMAT_SCOPES. In `arena`.
 */
Pr__AccountScopes *scopes_of_command(struct service *service, struct db_txn *directory,
                                     uint32_t group, uint64_t account_id, struct arena *arena);

/* About how many mail groups there are. */
unsigned scopes_groups(struct db_txn *directory, struct arena *arena);

/* What a group may use after an account has left it, for its MoveEnd: by a directory that knows
 * that the account has moved. In `arena`. */
void scopes_of_move_end(struct db_txn *directory, uint64_t account_id, uint32_t group,
                        struct arena *arena, Pr__MoveEnd *end);

#endif
