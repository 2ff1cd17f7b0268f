/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postraft-smtp: mail from the world (port 25), from users (465, 587) and by LMTP. Started by
 * postraftd; keeps nothing on disk. */
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/network_map.h"
#include "node/runtime/process.h"
#include "smtp/receive/receive.h"

enum {
    CALLS_PARALLEL_MAX = 1024,
    /* Messages being received at a time. Most are small or slow, and hold little; what bounds
     * memory is limits.memory_mb. Beyond either DATA is answered with 452, which senders take
     * well. */
    MESSAGES_MAX = 8192,
    EXIT_CANNOT_START = 1,
};

struct program {
    struct process process;
    struct receive *receive;
    struct memory_budget *memory;
    struct network_map *networks;
    struct firewall_link *firewall;
    struct dns *dns; /* NULL: cannot be had */
    struct policy *policy;
};

static void on_stopped(void *context)
{
    struct program *program = context;
    loop_stop(program->process.loop);
}

static void on_stop(void *context)
{
    struct program *program = context;
    receive_stop(program->receive, on_stopped, program);
}

static void listen_all(struct program *program)
{
    static const struct {
        const char *name;
        enum smtp_service service;
        bool implicit;
    } doors[] = {
        {"smtp", SMTP_SERVICE_MX, false},
        {"submission", SMTP_SERVICE_SUBMISSION, false},
        {"submissions", SMTP_SERVICE_SUBMISSION, true},
        {"lmtp", SMTP_SERVICE_LMTP, false},
    };
    int fds[CONFIG_ADDRESSES_MAX];
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
        unsigned found =
            process_listeners(&program->process, doors[i].name, fds, CONFIG_ADDRESSES_MAX);
        for (unsigned j = 0; j < found; j++)
            receive_listen(program->receive, fds[j], doors[i].service, doors[i].implicit);
        count += found;
    }
    log_info(NULL, "serving", LOG_FIELDS(LOG_U64("listeners", count)));
}

static uint32_t network_of(void *context, const struct firewall_address *address)
{
    const struct program *program = context;
    struct network_facts facts;
    struct address peer;

    firewall_address_bytes(address, peer.bytes);
    return network_map_look_up(program->networks, &peer, &facts) ? facts.asn : 0;
}

static enum err serve(struct program *program)
{
    struct process *process = &program->process;
    struct tls_context *tls = NULL;
    struct store_client *store = NULL;
    struct store_client_config store_config = {
        .url = arena_printf(&process->arena, "ipc://%s/store-smtp.sock", process->config.run),
        .parallel_max = CALLS_PARALLEL_MAX,
    };
    enum err err = process_tls(process, &tls);

    if (err == ERR_OK)
        err = store_client_new(process->loop, &store_config, &store);
    program->memory = memory_budget_new((uint64_t)process->config.memory_mb << 20);
    program->networks = process_network_map(process);
    if (err == ERR_OK)
        program->firewall = firewall_link_new(store, network_of, program);
    program->dns = process_dns(process);
    if (err == ERR_OK) {
        const struct policy_config policy_config = {
            .loop = process->loop,
            .store = store,
            .dns = program->dns,
            .map = program->networks,
            .hostname = process->config.hostname,
            .times = &policy_times_default,
        };
        program->policy = policy_new(&policy_config);
    }
    if (err == ERR_OK) {
        const struct receive_config config = {
            .loop = process->loop,
            .store = store,
            .tls = tls,
            .hostname = process->config.hostname,
            .message_bytes_max = process->config.message_bytes_max,
            .recipients_max = process->config.recipients_max,
            .submission_recipients_max = process->config.submission_recipients_max,
            .auth_failures_max = process->config.auth_failures_max,
            .proxy_networks = &process->config.proxy_networks,
            .xclient_networks = &process->config.xclient_networks,
            .memory = program->memory,
            .firewall = program->firewall,
            .policy = program->policy,
            .connections_max = process->config.connections_max,
            .connections_address_max = process->config.connections_address_max,
            .messages_max = MESSAGES_MAX,
            .times = &receive_times_default,
        };
        if (program->dns != NULL)
            process_sandbox_dns(process);
        else
            process_sandbox(process, NULL);
        program->receive = receive_new(&config);
        listen_all(program);
        process_ready(process, on_stop, program);
        loop_run(process->loop);
        receive_free(&program->receive);
    }
    policy_free(&program->policy);
    dns_free(&program->dns);
    firewall_link_free(&program->firewall);
    memory_budget_free(&program->memory);
    store_client_free(&store);
    tls_context_free(&tls);
    return err;
}

int main(int argc, char **argv)
{
    static struct program program;
    int status;

    if (!process_start(&program.process, argc, argv, "postraft-smtp", &status))
        return status;
    enum err err = serve(&program);
    status = process_end(&program.process);
    if (err != ERR_OK) {
        log_error(NULL, "cannot start", LOG_FIELDS(LOG_TEXT("reason", err_text(err))));
        return EXIT_CANNOT_START;
    }
    return status;
}
