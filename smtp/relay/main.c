/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postraft-relay: mail to other hosts. Started by postraftd; keeps nothing on disk. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/process.h"
#include "smtp/relay/relay.h"

enum {
    CALLS_PARALLEL_MAX = 1024,
    OWN_ADDRESSES_MAX = 1024,
    MESSAGES_MAX = 100, /* of one connection */
    EXIT_CANNOT_START = 1,
};

struct program {
    struct process process;
    struct relay *relay;
    struct dns *dns; /* NULL: cannot be had; routes of the configuration work without */
    struct tls_client *tls;
    struct store_client *store;
    struct retry_config retry;
    struct route_rule rules[CONFIG_ROUTES_MAX];
    struct address own[OWN_ADDRESSES_MAX];
    unsigned own_count;
    const char *names[1];
    struct classify_rules *replies;
};

static void on_stopped(void *context)
{
    struct program *program = context;
    loop_stop(program->process.loop);
}

static void on_stop(void *context)
{
    struct program *program = context;
    relay_stop(program->relay, on_stopped, program);
}

/* A host with one of these addresses is this one: mail does not go there. */
static void own_addresses(struct program *program)
{
    struct ifaddrs *list = NULL;
    struct address_prefix v4;
    struct address_prefix v6;

    CHECK(address_prefix_parse(bytes_of("127.0.0.0/8"), &v4) &&
          address_prefix_parse(bytes_of("::1"), &v6));
    if (getifaddrs(&list) != 0)
        return;
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct address address;
        if (at->ifa_addr == NULL || !address_of_socket(at->ifa_addr, &address, NULL) ||
            address_in(&address, &v4) || address_in(&address, &v6) ||
            program->own_count == OWN_ADDRESSES_MAX)
            continue;
        program->own[program->own_count++] = address;
    }
    freeifaddrs(list);
}

static void retry_read(struct program *program)
{
    const struct config *config = &program->process.config;
    struct retry_config *retry = &program->retry;

    *retry = retry_defaults;
    if (config->relay_retry.count > 0)
        retry->step_count = 0;
    for (unsigned i = 0; i < config->relay_retry.count && i < RETRY_STEPS_MAX; i++)
        retry->steps_ms[retry->step_count++] = (uint64_t)config->relay_retry.at_s[i] * 1000;
    if (config->relay_delay.count > 0)
        retry->delay_count = 0;
    for (unsigned i = 0; i < config->relay_delay.count && i < RETRY_DELAYS_MAX; i++)
        retry->delays_ms[retry->delay_count++] = (uint64_t)config->relay_delay.at_s[i] * 1000;
    retry->expire_ms = (uint64_t)config->relay_expire_s * 1000;
    retry->expire_null_ms = (uint64_t)config->relay_expire_notice_s * 1000;
}

static struct routes_config routes_read(struct program *program)
{
    const struct config *config = &program->process.config;

    for (unsigned i = 0; i < config->relay_routes.count; i++)
        program->rules[i] = (struct route_rule){
            .pattern = config->relay_routes.at[i].domain,
            .host = config->relay_routes.at[i].host,
            .port = (uint16_t)config->relay_routes.at[i].port,
        };
    program->names[0] = config->hostname;
    own_addresses(program);
    return (struct routes_config){
        .dns = program->dns,
        .own_names = program->names,
        .own_name_count = 1,
        .own_addresses = program->own,
        .own_address_count = program->own_count,
        .allowed = config->relay_networks.at,
        .allowed_count = config->relay_networks.count,
        .rules = program->rules,
        .rule_count = config->relay_routes.count,
        .port = (uint16_t)config->relay_port,
    };
}

/* Rules that are refused, or cannot be read, are no reason not to send. */
static enum err rules_open(struct program *program)
{
    struct classify_error error = {.line = 0};
    enum err err = classify_open(classify_installed(), &program->replies, &error);

    if (err == ERR_OK)
        return ERR_OK;
    log_error(NULL, "the rules of replies are refused: the built-in ones are used",
              LOG_FIELDS(LOG_TEXT("file", classify_installed()), LOG_U64("line", error.line),
                         LOG_TEXT("reason", error.reason)));
    return classify_open(NULL, &program->replies, &error);
}

/*
 * A relay takes at once what another one of its node had leased, since that one is dead. One
 * whose postraftd was killed may live on for the seconds of its stop, or be halted: until it is
 * gone, this one does not begin. The lock ends with the process.
 */
static enum err be_alone(const struct config *config)
{
    int fd = open(config->run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    log_error(NULL,
              fd >= 0 ? "the relay before this one has not ended yet"
                      : "the folder cannot be opened that says whether there is another relay",
              LOG_FIELDS(LOG_TEXT("folder", config->run), LOG_TEXT("reason", strerror(errno))));
    if (fd >= 0)
        close(fd);
    return ERR_BUSY;
}

static enum err serve(struct program *program)
{
    struct process *process = &program->process;
    const struct config *config = &process->config;
    const struct store_client_config store_config = {
        .url = arena_printf(&process->arena, "ipc://%s/store-relay.sock", config->run),
        .parallel_max = CALLS_PARALLEL_MAX,
    };
    const char *fault;
    enum err err;

    retry_read(program);
    if ((fault = retry_config_fault(&program->retry)) != NULL) {
        log_error(NULL, "relay: the times of retrying cannot be",
                  LOG_FIELDS(LOG_TEXT("reason", fault)));
        return ERR_INVALID;
    }
    if ((err = be_alone(config)) != ERR_OK)
        return err;
    if ((err = tls_client_new(config->relay_authorities, &program->tls)) != ERR_OK ||
        (err = store_client_new(process->loop, &store_config, &program->store)) != ERR_OK)
        return err;
    if ((err = rules_open(program)) != ERR_OK)
        return err;
    program->dns = process_dns(process);
    const struct relay_config relay_config = {
        .loop = process->loop,
        .store = program->store,
        .tls = program->tls,
        .routes = routes_read(program),
        .hostname = config->hostname,
        .sources = config->relay_addresses.at,
        .source_count = config->relay_addresses.count,
        .v4_first = !config->relay_prefer_ipv6,
        .connections_max = config->relay_connections_max,
        .site_connections_max = config->relay_connections_provider_max,
        .messages_max = MESSAGES_MAX,
        .retry = &program->retry,
        .rules = program->replies,
    };
    process_sandbox_outgoing(process);
    program->relay = relay_new(&relay_config);
    process_ready(process, on_stop, program);
    loop_run(process->loop);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    static struct program program;
    int status;

    if (!process_start(&program.process, argc, argv, "postraft-relay", &status))
        return status;
    enum err err = serve(&program);
    /* Calls that are under way end in here, and let go of what they are for. */
    store_client_free(&program.store);
    relay_free(&program.relay);
    dns_free(&program.dns);
    status = process_end(&program.process);
    tls_client_free(&program.tls);
    classify_free(&program.replies);
    if (err != ERR_OK) {
        log_error(NULL, "cannot start", LOG_FIELDS(LOG_TEXT("reason", err_text(err))));
        return EXIT_CANNOT_START;
    }
    return status;
}
