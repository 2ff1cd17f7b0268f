/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/duties.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "storage/service/password_rule.h"
#include "storage/service/passwords.h"

/* A call whose password is being looked at, then hashed. */
struct hashing {
    struct service_call *call;
    struct bytes address;
    struct bytes password;
    passwords_done *done;
};

static void password_judged(void *context, const char *why)
{
    struct hashing *hashing = context;
    struct service_call *call = hashing->call;

    if (why == NULL) {
        passwords_hash(duties_passwords(call->service->duties), hashing->password,
                       hashing->done, hashing);
        return;
    }
    free(hashing);
    call_fail(call, ERR_INVALID,
              arena_printf(&call->call_arena, "%s (--weak takes it all the same)", why));
}

/* `weak`: whatever the rule says of it. `done` ends with hash_end(). */
static void hash_start(struct service_call *call, struct bytes address, struct bytes password,
                       bool weak, passwords_done *done)
{
    if (password.len < OPERATOR_PASSWORD_SIZE_MIN ||
        password.len > OPERATOR_PASSWORD_SIZE_MAX) {
        call_fail(call, ERR_INVALID, "a password has 8 to 512 bytes");
        return;
    }
    struct hashing *hashing = calloc(1, sizeof(*hashing));
    CHECK(hashing != NULL);
    *hashing = (struct hashing){call, address, password, done};
    if (weak)
        password_judged(hashing, NULL);
    else
        password_rule_check(call->service, address, password, password_judged, hashing);
}

/* True: the hash is there, and the call goes on. */
static bool hash_end(struct hashing *hashing, enum err err, struct service_call **call,
                     struct bytes *address)
{
    *call = hashing->call;
    *address = hashing->address;
    free(hashing);
    if (err != ERR_OK)
        call_fail(*call, err, "too many passwords are being set at once; try again");
    return err == ERR_OK;
}

static void create_hashed(void *context, enum err err, struct bytes hash)
{
    struct service_call *call;
    struct bytes address;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountAdd add = PR__ACCOUNT_ADD__INIT;

    if (!hash_end(context, err, &call, &address))
        return;
    add.address = arena_string(&call->call_arena, address);
    add.password_hash = arena_string(&call->call_arena, hash);
    command.call_case = PR__COMMAND__CALL_ACCOUNT_ADD;
    command.account_add = &add;
    write_call(call, DIRECTORY_GROUP, &command);
}

void account_create_call(struct service_call *call)
{
    const Pr__AccountCreate *ask = call->request->account_create;
    struct bytes password = bytes_of(ask->password);
    struct bytes address;

    if (operator_address(call, ask->address, &address))
        hash_start(call, address, password, ask->weak, create_hashed);
}

static void password_hashed(void *context, enum err err, struct bytes hash)
{
    struct service_call *call;
    struct bytes address;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__AccountPassword set = PR__ACCOUNT_PASSWORD__INIT;

    if (!hash_end(context, err, &call, &address))
        return;
    set.address = arena_string(&call->call_arena, address);
    set.password_hash = arena_string(&call->call_arena, hash);
    command.call_case = PR__COMMAND__CALL_ACCOUNT_PASSWORD;
    command.account_password = &set;
    write_call(call, DIRECTORY_GROUP, &command);
}

void account_password_call(struct service_call *call)
{
    const Pr__AccountSetPassword *ask = call->request->account_set_password;
    struct bytes password = bytes_of(ask->password);
    struct bytes address;

    if (operator_address(call, ask->address, &address))
        hash_start(call, address, password, ask->weak, password_hashed);
}

static void fill_accounts(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                          Pr__Reply *reply)
{
    const Pr__AccountList *ask = request->account_list;
    Pr__AccountListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__account_list_answer__init(answer);
    answer->more = directory_accounts(txn, bytes_of(ask->domain), bytes_of(ask->after),
                                      listing_limit(ask->limit), arena, &answer->accounts,
                                      &answer->n_accounts);
    for (size_t i = 0; i < answer->n_accounts; i++) {
        answer->accounts[i]->password_hash = arena_string(arena, BYTES(""));
        answer->accounts[i]->credentials = NULL;
    }
    reply->answer_case = PR__REPLY__ANSWER_ACCOUNT_LIST;
    reply->account_list = answer;
}

void account_list_call(struct service_call *call)
{
    listing_call(call, fill_accounts);
}
