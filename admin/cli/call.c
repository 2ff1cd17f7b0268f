/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "node/base/buffer.h"
#include "node/runtime/config.h"
#include "storage/schema/entry.h"

#define CONFIG_DEFAULT "/etc/postraft/postraft.conf"

struct waiting {
    struct cli *cli;
    struct loop_timer *connect;
    uint64_t ticket;
    enum err err;
    const Pr__Reply *reply;
};

/* The folder of the sockets; NULL after a message. */
static const char *run_folder(struct cli *cli)
{
    const char *path =
        cli_has(cli, OPTION_CONFIG) ? cli->options[OPTION_CONFIG] : CONFIG_DEFAULT;
    const char *problem = NULL;
    struct config config;

    if (cli_has(cli, OPTION_RUN))
        return cli->options[OPTION_RUN];
    if (config_load(path, &cli->arena, &config, &problem) != ERR_OK) {
        cli_fail("%s (give --config FILE or --run DIR)", problem);
        return NULL;
    }
    return config.run;
}

bool cli_connect(struct cli *cli)
{
    if (cli->client != NULL)
        return true;
    const char *run = run_folder(cli);
    if (run == NULL)
        return false;
    const char *path = arena_printf(&cli->arena, "%s/store-operator.sock", run);
    if (access(path, R_OK | W_OK) < 0) {
        if (errno == EACCES)
            cli_fail("%s: not yours to open; run this as root or as the store's user", path);
        else
            cli_fail("%s: no such socket; is postraftd running, and is this its folder?", path);
        return false;
    }
    const struct store_client_config config = {
        .url = arena_printf(&cli->arena, "ipc://%s", path),
        .parallel_max = CLI_PARALLEL,
    };
    cli->loop = loop_new();
    if (store_client_new(cli->loop, &config, &cli->client) != ERR_OK) {
        cli_fail("%s: cannot be reached", path);
        return false;
    }
    return true;
}

static void on_reply(void *context, enum err err, const Pr__Reply *reply)
{
    struct waiting *waiting = context;
    struct arena *arena = &waiting->cli->arena;
    ProtobufCAllocator allocator = arena_allocator(arena);
    struct buffer packed = BUFFER_EMPTY;

    waiting->err = err;
    waiting->ticket = 0;
    if (err == ERR_OK) {
        message_pack(&reply->base, &packed);
        waiting->reply =
            pr__reply__unpack(&allocator, buffer_len(&packed), buffer_bytes(&packed).at);
        buffer_fini(&packed);
    }
    loop_stop(waiting->cli->loop);
}

static void on_connect_late(void *context)
{
    struct waiting *waiting = context;

    waiting->connect = NULL;
    if (waiting->ticket == 0 || store_client_connected(waiting->cli->client))
        return;
    store_cancel(waiting->cli->client, waiting->ticket);
    waiting->ticket = 0;
    waiting->err = ERR_CLOSED;
    loop_stop(waiting->cli->loop);
}

static bool is_write(const Pr__Request *request)
{
    switch (request->call_case) {
    case PR__REQUEST__CALL_CLUSTER_INIT:
    case PR__REQUEST__CALL_NODE_ALTER:
    case PR__REQUEST__CALL_GROUP_ADD:
    case PR__REQUEST__CALL_GROUP_LEAD:
    case PR__REQUEST__CALL_REPLICATION_CHANGE:
    case PR__REQUEST__CALL_REBALANCE:
    case PR__REQUEST__CALL_RECOVER_RUN:
    case PR__REQUEST__CALL_TENANT_ADD:
    case PR__REQUEST__CALL_TENANT_REMOVE:
    case PR__REQUEST__CALL_DOMAIN_ADD:
    case PR__REQUEST__CALL_DOMAIN_REMOVE:
    case PR__REQUEST__CALL_ACCOUNT_CREATE:
    case PR__REQUEST__CALL_ACCOUNT_REMOVE:
    case PR__REQUEST__CALL_ACCOUNT_RESTORE:
    case PR__REQUEST__CALL_ACCOUNT_MOVE:
    case PR__REQUEST__CALL_QUOTA_SET:
    case PR__REQUEST__CALL_POLICY_SET:
    case PR__REQUEST__CALL_ACCOUNT_SET_PASSWORD:
    case PR__REQUEST__CALL_ALIAS_ADD:
    case PR__REQUEST__CALL_ALIAS_CHANGE:
    case PR__REQUEST__CALL_ALIAS_REMOVE:
    case PR__REQUEST__CALL_DOMAIN_ROUTE:
    case PR__REQUEST__CALL_ACCOUNT_ALTER:
    case PR__REQUEST__CALL_APP_PASSWORD_MAKE:
    case PR__REQUEST__CALL_APP_PASSWORD_REMOVE:
    case PR__REQUEST__CALL_TOTP_MAKE:
    case PR__REQUEST__CALL_SETTING_PUT:
    case PR__REQUEST__CALL_QUEUE_ALTER:
    case PR__REQUEST__CALL_SENDER_DOMAIN_PUT:
        return true;
    default:
        return false;
    }
}

const Pr__Reply *cli_call(struct cli *cli, Pr__Request *request, unsigned deadline_ms)
{
    struct waiting waiting = {.cli = cli};
    struct request_id id = store_request_id();

    if (!cli_connect(cli))
        return NULL;
    if (is_write(request))
        request->request_id = field_of_bytes(bytes_from(id.bytes, sizeof(id.bytes)));
    waiting.connect = loop_timer_start(cli->loop, CLI_CONNECT_MS, 0, on_connect_late, &waiting);
    waiting.ticket = store_call(cli->client, request, deadline_ms, on_reply, &waiting);
    loop_run(cli->loop);
    loop_timer_stop(&waiting.connect);
    if (waiting.reply != NULL && waiting.reply->err == ERR_OK)
        return waiting.reply;
    if (waiting.reply != NULL)
        cli_refused((enum err)waiting.reply->err, waiting.reply->text);
    else if (waiting.err == ERR_TIMEOUT)
        cli_fail("no answer in time; what was asked for may or may not have been done");
    else
        cli_fail("the store does not answer; the node's log says why");
    return NULL;
}

enum cli_exit cli_refused(enum err err, const char *text)
{
    static const struct {
        enum err err;
        const char *advice;
    } advices[] = {
        {ERR_UNAVAILABLE, "no majority or no leader can be reached; `postraft cluster status` "
                          "shows which nodes are there"},
        {ERR_BUSY, "too much work under way; try again"},
        {ERR_UNKNOWN, "it may or may not have been done; look before trying again"},
    };

    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (advices[i].err == err &&
            (text == NULL || text[0] == '\0' || strcmp(text, err_text(err)) == 0))
            return cli_fail("%s", advices[i].advice);
    return cli_fail("%s", text != NULL && text[0] != '\0' ? text : err_text(err));
}

void cli_remark(const Pr__Reply *reply)
{
    if (reply->text[0] != '\0')
        fprintf(stderr, "postraft: %s\n", reply->text);
}
