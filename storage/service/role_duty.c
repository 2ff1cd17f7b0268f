/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/role_duty.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/directory.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"

enum { SECRET_SIZE = 32 };

struct role_duty {
    struct service *service; /* NULL: closed, while a write is under way */
    bool made;
    bool writing;
    uint64_t tried_ms;
};

struct role_duty *role_duty_new(struct service *service)
{
    struct role_duty *duty = calloc(1, sizeof(*duty));

    CHECK(duty != NULL);
    duty->service = service;
    return duty;
}

void role_duty_free(struct role_duty **duty)
{
    struct role_duty *closing = *duty;

    if (closing == NULL)
        return;
    *duty = NULL;
    closing->service = NULL;
    if (!closing->writing)
        free(closing);
}

static void on_made(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct role_duty *duty = context;

    (void)index;
    duty->writing = false;
    if (err == ERR_OK && outcome->err == ERR_OK)
        log_info(NULL, "made the cluster's own account",
                 LOG_FIELDS(LOG_U64("account", outcome->id)));
    if (duty->service == NULL)
        free(duty);
}

static void make(struct role_duty *duty)
{
    uint8_t secrets[2][SECRET_SIZE];
    Pr__Command command = PR__COMMAND__INIT;
    Pr__RoleAccountMake role = PR__ROLE_ACCOUNT_MAKE__INIT;

    randombytes_buf(secrets, sizeof(secrets));
    role.srs_key = (ProtobufCBinaryData){SECRET_SIZE, secrets[0]};
    role.auth_key = (ProtobufCBinaryData){SECRET_SIZE, secrets[1]};
    command.call_case = PR__COMMAND__CALL_ROLE_ACCOUNT_MAKE;
    command.role_account_make = &role;
    duty->writing = true;
    write_start(duty->service, DIRECTORY_GROUP, &command,
                clock_monotonic_ms() + ROLE_DUTY_AGAIN_MS, on_made, duty);
    sodium_memzero(secrets, sizeof(secrets));
}

void role_duty_tick(struct role_duty *duty, uint64_t now_ms)
{
    struct arena arena;

    if (duty->made || duty->writing ||
        (duty->tried_ms != 0 && now_ms - duty->tried_ms < ROLE_DUTY_AGAIN_MS) ||
        service_format(duty->service, DIRECTORY_GROUP) < FORMAT_ADDRESSES)
        return;
    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(duty->service);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &arena);
    bool there = cluster != NULL;
    duty->made = there && cluster->role_account_id != 0;
    db_abort(&txn);
    arena_fini(&arena);
    if (!there || duty->made)
        return;
    duty->tried_ms = now_ms;
    make(duty);
}
