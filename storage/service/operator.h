/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_OPERATOR_H
#define STORAGE_SERVICE_OPERATOR_H

#include "storage/service/service.h"

/* What operators may ask: one row a call. Every refusal carries a text that says what to do. */
struct operator_row {
    Pr__Request__CallCase call_case;
    void (*handle)(struct service_call *call);
    bool needs_cluster; /* on a node that is in no cluster it is refused */
    bool changes;       /* leaves a line in the log, see audit.h */
};

extern const struct operator_row operator_rows[];
extern const size_t operator_row_count;

/* Whether it is a call that changes something, and not one that only asks what would be. */
bool operator_changes(const Pr__Request *request);

/* Answers any call of the role operator; one without a row is UNSUPPORTED. */
void operator_handle(struct service_call *call);

enum {
    OPERATOR_LIST_DEFAULT = 1000,
    OPERATOR_LIST_MAX = 10000,
    OPERATOR_TENANT_SIZE_MAX = 64,
    OPERATOR_PASSWORD_SIZE_MIN = 8, /* bytes */
    OPERATOR_PASSWORD_SIZE_MAX = 512,
    OPERATOR_PURGE_MESSAGES = 200, /* a step */
};

/* tenants.c */
void tenant_add_call(struct service_call *call);
void tenant_list_call(struct service_call *call);
void tenant_remove_call(struct service_call *call);
void domain_add_call(struct service_call *call);
void domain_list_call(struct service_call *call);
void domain_remove_call(struct service_call *call);
/* accounts.c, account_show.c, account_remove.c */
void account_create_call(struct service_call *call);
void account_password_call(struct service_call *call);
void account_list_call(struct service_call *call);
void account_show_call(struct service_call *call);
void account_remove_call(struct service_call *call);
/* account_undelete.c */
void account_undelete_call(struct service_call *call);
void account_restore_call(struct service_call *call);
void account_move_call(struct service_call *call);
void account_purge_call(struct service_call *call);
void metrics_call(struct service_call *call);
/* storage_stat.c, scrubs.c */
void storage_stat_call(struct service_call *call);
void storage_check_call(struct service_call *call);
/* compaction.c */
void storage_compact_call(struct service_call *call);

/* The address as it is looked up. False: the call has been refused. */
bool operator_address(struct service_call *call, const char *typed, struct bytes *address);
/* The domain as it is looked up: lower case. False: the call has been refused. */
bool operator_domain(struct service_call *call, const char *typed, struct bytes *domain);

#endif
