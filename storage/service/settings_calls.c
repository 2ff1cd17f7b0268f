/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/settings_calls.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/addresses.h"
#include "storage/query/addresses_find.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"

struct version_wait {
    struct version_wait *next;
    struct service_call *call;
    uint64_t (*version)(struct db_txn *txn);
    uint64_t known;
    void (*answer)(struct service_call *call);
};

struct version_waits {
    struct service *service;
    struct version_wait *first;
    unsigned count;
    struct loop_timer *timer;
};

static uint64_t version_now(struct service *service, uint64_t (*version)(struct db_txn *txn))
{
    struct db_txn *txn = service_directory_begin(service);
    uint64_t now = version(txn);

    db_abort(&txn);
    return now;
}

static void on_look(void *context)
{
    struct version_waits *waits = context;
    uint64_t now_ms = clock_monotonic_ms();
    struct version_wait **at = &waits->first;

    while (*at != NULL) {
        struct version_wait *wait = *at;
        if (version_now(waits->service, wait->version) == wait->known &&
            now_ms < wait->call->deadline_ms) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        waits->count--;
        wait->answer(wait->call);
        free(wait);
    }
}

struct version_waits *version_waits_new(struct service *service)
{
    struct version_waits *waits = calloc(1, sizeof(*waits));

    CHECK(waits != NULL);
    waits->service = service;
    waits->timer =
        loop_timer_start(service->loop, VERSION_LOOK_MS, VERSION_LOOK_MS, on_look, waits);
    return waits;
}

void version_waits_free(struct version_waits **waits)
{
    struct version_waits *closing = *waits;

    if (closing == NULL)
        return;
    *waits = NULL;
    loop_timer_stop(&closing->timer);
    while (closing->first != NULL) {
        struct version_wait *wait = closing->first;
        closing->first = wait->next;
        call_fail(wait->call, ERR_CLOSED, NULL);
        free(wait);
    }
    free(closing);
}

void version_waits_connection_closed(struct version_waits *waits, uint32_t connection)
{
    struct version_wait **at = waits != NULL ? &waits->first : NULL;

    while (at != NULL && *at != NULL) {
        struct version_wait *wait = *at;
        if (wait->call->connection != connection) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        waits->count--;
        call_fail(wait->call, ERR_CLOSED, NULL);
        free(wait);
    }
}

static unsigned count_of(const struct version_waits *waits, uint32_t connection)
{
    unsigned count = 0;

    for (const struct version_wait *wait = waits->first; wait != NULL; wait = wait->next)
        count += wait->call->connection == connection;
    return count;
}

void version_wait(struct service_call *call, uint64_t (*version)(struct db_txn *txn),
                  uint64_t known, void (*answer)(struct service_call *call))
{
    struct version_waits *waits = call->service->version_waits;

    if (known == 0 || waits == NULL || version_now(call->service, version) != known) {
        answer(call);
        return;
    }
    if (waits->count == VERSION_WAITS_MAX ||
        count_of(waits, call->connection) >= VERSION_WAITS_CONNECTION_MAX) {
        call_fail(call, ERR_BUSY, NULL);
        return;
    }
    struct version_wait *wait = calloc(1, sizeof(*wait));
    CHECK(wait != NULL);
    *wait = (struct version_wait){waits->first, call, version, known, answer};
    waits->first = wait;
    waits->count++;
}

static void answer_settings(struct service_call *call)
{
    const Pr__SettingsRead *asked = call->request->settings_read;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__SettingsReadAnswer answer = PR__SETTINGS_READ_ANSWER__INIT;
    struct db_txn *txn = service_directory_begin(call->service);

    answer.version = settings_version(txn);
    settings_rows(txn, asked->scope, asked->id, &call->call_arena, &answer.settings,
                  &answer.n_settings);
    db_abort(&txn);
    reply.answer_case = PR__REPLY__ANSWER_SETTINGS_READ;
    reply.settings_read = &answer;
    call_reply(call, &reply);
}

void settings_read_call(struct service_call *call)
{
    version_wait(call, settings_version, call->request->settings_read->version,
                 answer_settings);
}

/* The scope's name as it is looked up. False: the call has been refused. */
static bool fold_scope(struct service_call *call, Pr__SettingScope scope, char **name)
{
    struct bytes folded;

    switch (scope) {
    case PR__SETTING_SCOPE__SETTING_CLUSTER:
        return true;
    case PR__SETTING_SCOPE__SETTING_TENANT:
        for (char *at = *name; *at != '\0'; at++)
            *at = (char)byte_lower((uint8_t)*at);
        return true;
    case PR__SETTING_SCOPE__SETTING_DOMAIN:
        if (!operator_domain(call, *name, &folded))
            return false;
        break;
    default:
        if (!operator_address(call, *name, &folded))
            return false;
        break;
    }
    *name = arena_string(&call->call_arena, folded);
    return true;
}

/* Mail to postmaster must find somebody: an address of ours that nobody has is a slip. Of
 * others nothing is known. */
static bool postmaster_known(struct service_call *call, const char *typed)
{
    struct addresses_question question = {.sender = BYTES(""), .any_sender = true};
    struct addresses_answer answer;
    struct address_found found;

    question.now_s = (int64_t)(clock_wall_ms() / 1000);
    if (!operator_address(call, typed, &question.address))
        return false;
    struct db_txn *txn = service_directory_begin(call->service);
    bool ours =
        address_find(txn, question.address, &call->call_arena, &found) && found.domain != NULL;
    bool known =
        !ours || addresses_resolve(txn, &question, &call->call_arena, &answer) != ERR_NOTFOUND;
    db_abort(&txn);
    if (!known)
        call_fail(call, ERR_NOTFOUND,
                  arena_printf(&call->call_arena,
                               "nobody has the address %.*s, so nobody would read this mail: "
                               "make the account, alias or list first",
                               BYTES_ARG(question.address)));
    return known;
}

void setting_put_call(struct service_call *call)
{
    Pr__SettingPut *put = call->request->setting_put;
    Pr__Command command = PR__COMMAND__INIT;
    char reason[SETTINGS_REASON_SIZE];

    if (put->setting == NULL) {
        call_fail(call, ERR_INVALID, "no setting is named");
        return;
    }
    if ((unsigned)put->scope >= SETTINGS_SCOPES ||
        !settings_check(bytes_of(put->setting->name), (enum settings_scope)put->scope,
                        bytes_of(put->setting->value), reason)) {
        call_fail(call, ERR_INVALID,
                  (unsigned)put->scope < SETTINGS_SCOPES ? reason : "no such scope");
        return;
    }
    if (!fold_scope(call, put->scope, &put->scope_name))
        return;
    if (strcmp(put->setting->name, "mail.postmaster") == 0 && put->setting->value[0] != '\0' &&
        !postmaster_known(call, put->setting->value))
        return;
    command.call_case = PR__COMMAND__CALL_SETTING_PUT;
    command.setting_put = put;
    write_call(call, DIRECTORY_GROUP, &command);
}

static void fill_settings(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                          Pr__Reply *reply)
{
    const Pr__SettingList *ask = request->setting_list;
    Pr__SettingListAnswer *answer = arena_alloc(arena, sizeof(*answer));
    uint64_t id = 0;

    if (!settings_scope_find(txn, ask->scope, bytes_of(ask->scope_name), arena, &id)) {
        reply->err = ERR_NOTFOUND;
        reply->text = arena_string(arena, BYTES("there is no such tenant, domain or account"));
        return;
    }
    pr__setting_list_answer__init(answer);
    settings_rows(txn, ask->scope, id, arena, &answer->settings, &answer->n_settings);
    reply->answer_case = PR__REPLY__ANSWER_SETTING_LIST;
    reply->setting_list = answer;
}

void setting_list_call(struct service_call *call)
{
    Pr__SettingList *ask = call->request->setting_list;

    if (fold_scope(call, ask->scope, &ask->scope_name))
        listing_call(call, fill_settings);
}
