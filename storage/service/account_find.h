/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ACCOUNT_FIND_H
#define STORAGE_SERVICE_ACCOUNT_FIND_H

#include "storage/service/service.h"

/*
 * The account that an operator's call is about, as the majority's directory has it, with its
 * limits. `found` is called once, unless the call has been refused: bad address, no account, no
 * majority.
 */
struct account_find {
    struct service_call *call;
    struct bytes address;
    void (*found)(struct account_find *find);
    bool missing_too; /* `found` is called without an account as well */
    /* what was found; lives in the call's arena */
    uint64_t account_id;
    uint32_t group;
    Pr__AccountQuota *quota; /* NULL: no limit */
    bool known;              /* false: no account, with `missing_too` */
    /* account_find.c's own */
    struct read_job job;
};

/* `find` lives in the call's arena, and is filled but for `call`, `found` and `missing_too`. */
void account_find_start(struct account_find *find, const char *typed);

#endif
