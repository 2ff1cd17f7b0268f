/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_MOVE_OUT_H
#define STORAGE_SERVICE_MOVE_OUT_H

#include "storage/service/service.h"

/*
 * One attempt to bring an account of a group that this node leads to another group. Whatever
 * ends it before the directory says that the account is there leaves an account that can be
 * used where it is, or that the next attempt makes so: whoever leads the group looks at its
 * moving table (moves.h).
 */
struct move_out;

enum {
    MOVE_OUT_WRITE_MS = 15000,       /* a command's deadline */
    MOVE_OUT_FROZEN_WRITE_MS = 5000, /* while the account is frozen */
    MOVE_OUT_PAUSE_MS = 2,           /* between commands while the account is in use */
    MOVE_OUT_AGAIN_MS = 100,         /* before a command that was refused as too early */
    MOVE_OUT_ROWS = 2000,            /* freed by one command */
    MOVE_OUT_LEFT = 64,              /* changes that may be left when the account is frozen */
    MOVE_OUT_CATCH_UP_MS = 20000,    /* after that it is frozen with more */
};

/* `done` comes once from the loop: ERR_OK when the account has moved. */
typedef void move_out_done(void *context, enum err err);
struct move_out *move_out_new(struct service *service, uint64_t account_id, uint32_t from,
                              uint32_t to, move_out_done *done, void *context);
/* Ends it, without `done`. */
void move_out_free(struct move_out **move);

#endif
