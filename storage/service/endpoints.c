/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/endpoints.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"
#include "storage/schema/search_depth.h"
#include "storage/service/audit.h"
#include "storage/service/calls.h"
#include "storage/service/firewall.h"
#include "storage/service/login.h"
#include "storage/service/promises.h"
#include "storage/service/relay_duties.h"
#include "storage/service/sessions.h"
#include "storage/service/settings_calls.h"
#include "storage/service/watch.h"

enum { REQUEST_ID_AGE_MAX_MS = 12 * 3600 * 1000 }; /* half of the time that ids are known for */

struct endpoint {
    struct service *service;
    enum service_role role;
    struct rpc_server *server;
};

/* Calls without an answer: many, since each that waits for a majority is one. */
static const struct {
    const char *name;
    unsigned parallel_max;
} roles[ROLE_COUNT] = {
    [ROLE_SMTP] = {"smtp", 1024},
    [ROLE_IMAP] = {"imap", 1024},
    [ROLE_RELAY] = {"relay", 1024},
    [ROLE_OPERATOR] = {"operator", 64},
};

/* Passwords, tokens and keys come with these, or go with their answers. */
static bool is_secret(const Pr__Request *request)
{
    switch (request->call_case) {
    case PR__REQUEST__CALL_LOGIN:
    case PR__REQUEST__CALL_AUTH_STEP:
    case PR__REQUEST__CALL_ACCOUNT_CREATE:
    case PR__REQUEST__CALL_ACCOUNT_SET_PASSWORD:
    case PR__REQUEST__CALL_APP_PASSWORD_MAKE:
    case PR__REQUEST__CALL_TOTP_MAKE:
    case PR__REQUEST__CALL_CLUSTER_JOIN:
    case PR__REQUEST__CALL_CLUSTER_TOKEN:
        return true;
    default:
        return false;
    }
}

static void call_free(struct service_call *call)
{
    if (call->request != NULL && is_secret(call->request))
        arena_wipe(&call->call_arena);
    else
        arena_fini(&call->call_arena);
    free(call);
}

void call_reply_packed(struct service_call *call, struct bytes reply)
{
    rpc_reply(call->rpc, reply);
    call_free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    struct buffer packed = BUFFER_EMPTY;

    bool secret = call->request != NULL && is_secret(call->request);

    audit_reply(call, (enum err)reply->err, reply->text);
    message_pack(&reply->base, &packed);
    call_reply_packed(call, buffer_bytes(&packed));
    if (secret)
        buffer_wipe(&packed);
    buffer_fini(&packed);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    CHECK(err != ERR_OK);
    reply.err = err;
    reply.text = arena_string(&call->call_arena, bytes_of(text != NULL ? text : err_text(err)));
    call_reply(call, &reply);
}

/* The machine's own words are those of the release before, see storage/schema/format.h. */
static char upgrade_unfinished[] =
    "not before the upgrade of the cluster is finished: `postraft cluster upgrade`";

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    Pr__Reply reply = PR__REPLY__INIT;

    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    Pr__Outcome copy = *outcome; /* packing reads only, but takes no const */
    reply.err = outcome->err;
    reply.text = outcome->text;
    if (outcome->err == ERR_UNSUPPORTED && call->role == ROLE_OPERATOR)
        reply.text = upgrade_unfinished;
    reply.outcome = &copy;
    call_reply(call, &reply);
}

/*
 * Ids begin with the time that they were made at, by this machine's clock, and are forgotten by
 * it: one from far away would stay for long, or be forgotten at once. Those of a relay follow
 * from what is in the queue (relay_calls.h), which may have lain there; what such an id did is
 * known for a day from then on all the same (machine/dedupe.c).
 */
static bool request_id_good(const struct service_call *call)
{
    const Pr__Request *request = call->request;
    struct request_id id;
    uint64_t now_ms = clock_wall_ms();

    if (request->request_id.len == 0)
        return true;
    if (request->request_id.len != REQUEST_ID_SIZE)
        return false;
    memcpy(id.bytes, request->request_id.data, REQUEST_ID_SIZE);
    uint64_t made_ms = request_id_time_ms(&id);
    bool young = made_ms + REQUEST_ID_AGE_MAX_MS > now_ms;
    return (young || call->role == ROLE_RELAY) && made_ms < now_ms + REQUEST_ID_AGE_MAX_MS;
}

/* Whether the call may go on; if not, it has been answered. */
static bool admit(struct service_call *call, const struct call_row *row)
{
    struct service *service = call->service;

    if (row == NULL) {
        call_fail(call, ERR_UNSUPPORTED, NULL);
        return false;
    }
    if ((row->roles & 1U << call->role) == 0) {
        log_warn(
            NULL, "call refused",
            LOG_FIELDS(LOG_TEXT("role", roles[call->role].name), LOG_U64("call", row->call)));
        call_fail(call, ERR_DENIED, NULL);
        return false;
    }
    if (row->needs_cluster && service->replicator == NULL) {
        call_fail(
            call, call->role == ROLE_OPERATOR ? ERR_INVALID : ERR_UNAVAILABLE,
            "this node is in no cluster yet: use `postraft cluster init` or `cluster join`");
        return false;
    }
    /* Rows of two times side by side would tell of accounts what never was. */
    if (row->needs_cluster && call->role != ROLE_OPERATOR &&
        service_state(service, DIRECTORY_GROUP) != MACHINE_WHOLE) {
        call_fail(call, ERR_UNAVAILABLE, "this node is fetching the directory");
        return false;
    }
    if (!request_id_good(call)) {
        call_fail(call, ERR_INVALID, "a request id has 16 bytes and was made today");
        return false;
    }
    call->session_id = call->request->session;
    /* One that has ended can be logged out of. */
    call->session =
        row->call == PR__REQUEST__CALL_LOGOUT
            ? session_find_any(service->sessions, call->connection, call->session_id)
            : session_find(service->sessions, call->connection, call->session_id);
    if (call->session == NULL && (row->needs_session || call->session_id != 0)) {
        call_fail(call, ERR_NOSESSION, NULL);
        return false;
    }
    return true;
}

/* Of a front end the endpoint takes no other uid anyway; operators are one user, root, and
 * ourselves. */
static bool uid_good(const struct endpoint *endpoint, uint32_t uid)
{
    uint32_t role_uid = endpoint->service->role_uid[endpoint->role];

    return uid == role_uid ||
           (endpoint->role == ROLE_OPERATOR && (uid == 0 || uid == getuid()));
}

/* Each endpoint counts its own connections; here they are told apart. */
static uint32_t connection_of(const struct endpoint *endpoint, uint32_t number)
{
    return number * ROLE_COUNT + (uint32_t)endpoint->role;
}

static void on_request(void *context, struct rpc_request *rpc, const struct rpc_peer *peer,
                       struct bytes body)
{
    struct endpoint *endpoint = context;
    struct service_call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);

    *call = (struct service_call){
        .service = endpoint->service,
        .rpc = rpc,
        .role = endpoint->role,
        .uid = peer->uid,
        .connection = connection_of(endpoint, peer->connection),
    };
    arena_init(&call->call_arena);
    if (!uid_good(endpoint, peer->uid)) {
        call_fail(call, ERR_DENIED, "this user is not the operator");
        return;
    }
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    if (search_depth_within(body, QUERY_SEARCH_DEPTH_MAX))
        call->request = pr__request__unpack(&allocator, body.len, body.at);
    if (call->request == NULL) {
        call_fail(call, ERR_MALFORMED, NULL);
        return;
    }
    if (is_secret(call->request))
        rpc_wipe(rpc);
    uint64_t wait_ms = call->request->deadline_ms;
    if (wait_ms == 0)
        wait_ms = DEADLINE_DEFAULT_MS;
    if (wait_ms > DEADLINE_MAX_MS)
        wait_ms = DEADLINE_MAX_MS;
    call->deadline_ms = clock_monotonic_ms() + wait_ms;
    const struct call_row *row = call_find(call->request->call_case);
    if (admit(call, row))
        row->handle(call);
}

static void on_disconnected(void *context, uint32_t number)
{
    struct endpoint *endpoint = context;
    uint32_t connection = connection_of(endpoint, number);

    if (endpoint->role == ROLE_OPERATOR)
        return;
    logins_connection_closed(endpoint->service->logins, connection);
    watch_connection_closed(endpoint->service, connection);
    sessions_connection_closed(endpoint->service->sessions, connection);
    promises_connection_closed(endpoint->service->promises, connection);
    firewalls_connection_closed(endpoint->service, connection);
    relay_duties_connection_closed(endpoint->service->relay_duties, connection);
    version_waits_connection_closed(endpoint->service->version_waits, connection);
}

/* The role's uid; our own when the configuration names no user. */
enum err endpoint_user(struct service *service, enum service_role role)
{
    const struct config *config = service->config;
    const char *const users[ROLE_COUNT] = {
        [ROLE_SMTP] = config->user_smtp,
        [ROLE_IMAP] = config->user_imap,
        [ROLE_RELAY] = config->user_relay,
        [ROLE_OPERATOR] = config->user_operator,
    };
    const char *user = users[role];

    service->role_uid[role] = getuid();
    if (user[0] == '\0')
        return ERR_OK;
    struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        log_error(NULL, "no such user", LOG_FIELDS(LOG_TEXT("user", user)));
        return ERR_NOTFOUND;
    }
    service->role_uid[role] = entry->pw_uid;
    return ERR_OK;
}

enum err endpoint_open(struct service *service, enum service_role role)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    CHECK(endpoint != NULL);
    char *url = arena_printf(&service->process->arena, "ipc://%s/store-%s.sock",
                             service->config->run, roles[role].name);
    struct rpc_server_config config = {
        .url = url,
        .parallel_max = roles[role].parallel_max,
        .uid = role == ROLE_OPERATOR ? UINT32_MAX : service->role_uid[role],
        .ipc_mode = 0666, /* who may connect is decided by uid, which the kernel tells */
        .handle = on_request,
        .disconnected = on_disconnected,
        .context = endpoint,
    };

    endpoint->service = service;
    endpoint->role = role;
    enum err err = rpc_server_new(service->loop, &config, &endpoint->server);
    if (err != ERR_OK) {
        free(endpoint);
        return err;
    }
    service->endpoints[role] = endpoint;
    return ERR_OK;
}

void endpoints_close(struct service *service)
{
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        if (service->endpoints[role] == NULL)
            continue;
        rpc_server_free(&service->endpoints[role]->server);
        free(service->endpoints[role]);
        service->endpoints[role] = NULL;
    }
}
