/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/process.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/dns.h"
#include "node/runtime/process_tls.h"
#include "node/runtime/sandbox.h"

enum {
    STATUS_OF_CONFIGURATION = 2, /* starting again would not help */
    STOP_MS_MAX = 20000,         /* when nobody is left who would end a process that hangs */
};

static bool read_options(int argc, char **argv, const char *name, const char **path,
                         int *status)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *path = optarg;
            break;
        case 'h':
            printf("usage: %s [--config FILE] [--version]\nStarted by postraftd.\n", name);
            *status = 0;
            return false;
        case 'v':
            printf("%s %s\n", name, POSTRAFT_VERSION);
            *status = 0;
            return false;
        default:
            *status = STATUS_OF_CONFIGURATION;
            return false;
        }
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "%s: unknown argument %s\n", name, argv[optind]);
    *status = STATUS_OF_CONFIGURATION;
    return false;
}

enum log_level process_log_level(const struct config *config)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++)
        if (strcmp(names[i], config->log_level) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

int process_number(const char *name)
{
    uint64_t number;

    if (!bytes_to_u64(bytes_of(getenv(name)), &number) || number > INT_MAX)
        return -1;
    return (int)number;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

bool process_start(struct process *process, int argc, char **argv, const char *name,
                   int *status)
{
    const char *path = CONFIG_PATH_DEFAULT, *problem = "";

    *process = (struct process){.name = name, .keys_fd = -1};
    if (!read_options(argc, argv, name, &path, status))
        return false;
    if (getenv("POSTRAFT_READY_FD") == NULL) {
        fprintf(stderr, "%s: is started by postraftd, not by hand\n", name);
        *status = STATUS_OF_CONFIGURATION;
        return false;
    }
    arena_init(&process->arena);
    if (config_load(path, &process->arena, &process->config, &problem) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", name, problem);
        arena_fini(&process->arena);
        *status = STATUS_OF_CONFIGURATION;
        return false;
    }
    log_init(name, process_log_level(&process->config), process->config.log_json);
    signal(SIGPIPE, SIG_IGN);
    /* A terminal's interrupt and its end, and a reload, are for postraftd to act upon. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    raise_descriptor_limit();
    process_tls_read(process);
    int index = process_number("POSTRAFT_INDEX");
    process->index = index > 0 ? (unsigned)index : 0;
#ifndef PROCESS_UNFENCED
    sandbox_files(&process->config);
#endif
    process->loop = loop_new();
    return true;
}

unsigned process_listeners(struct process *process, const char *name, int *fds, unsigned max)
{
    struct bytes rest = bytes_of(getenv("POSTRAFT_LISTEN"));
    unsigned count = 0;

    (void)process;
    while (rest.len > 0 && count < max) {
        struct bytes entry = bytes_from(rest.at, bytes_find(rest, ','));
        rest = bytes_skip(rest, entry.len + 1);
        size_t equals = bytes_find(entry, '=');
        uint64_t fd;
        if (bytes_equal(bytes_from(entry.at, equals), bytes_of(name)) &&
            bytes_to_u64(bytes_skip(entry, equals + 1), &fd) && fd <= INT_MAX)
            fds[count++] = (int)fd;
    }
    return count;
}

struct stopping {
    void (*stop)(void *context);
    void *context;
    struct process *process;
    bool begun;
};

static void on_late(void *context)
{
    (void)context;
    log_error(NULL, "did not stop in time", NULL);
    _exit(1);
}

static void on_terminate(void *context, int signal_number)
{
    struct stopping *stopping = context;

    (void)signal_number;
    if (stopping->begun)
        return;
    stopping->begun = true;
    loop_timer_start(stopping->process->loop, STOP_MS_MAX, 0, on_late, stopping);
    stopping->stop(stopping->context);
}

void process_ready(struct process *process, void (*stop)(void *context), void *context)
{
    struct stopping *stopping = arena_alloc(&process->arena, sizeof(*stopping));
    int fd = process_number("POSTRAFT_READY_FD");

    *stopping = (struct stopping){.stop = stop, .context = context, .process = process};
    /* The supervisor asked the kernel for this signal on its own death as well. */
    loop_on_signal(process->loop, SIGTERM, on_terminate, stopping);
    if (fd >= 0) {
        ssize_t written = write(fd, "R", 1);
        if (written != 1)
            log_warn(NULL, "the supervisor does not listen", NULL);
        close(fd);
    }
}

void process_sandbox(struct process *process, const char *files)
{
    (void)process;
#ifdef PROCESS_UNFENCED
    (void)files;
    log_warn(NULL, "not fenced off, built for a sanitizer", NULL);
#else
    if (files != NULL)
        sandbox_for_files();
    else
        sandbox_without_files(0);
#endif
}

static void sandbox_with_network(unsigned network)
{
#ifdef PROCESS_UNFENCED
    (void)network;
    log_warn(NULL, "not fenced off, built for a sanitizer", NULL);
#else
    sandbox_without_files(network);
#endif
}

void process_sandbox_dns(struct process *process)
{
    (void)process;
    sandbox_with_network(SANDBOX_DNS);
}

void process_sandbox_outgoing(struct process *process)
{
    (void)process;
    sandbox_with_network(SANDBOX_DNS | SANDBOX_OUTGOING);
}

/* Without the keys a node goes on, believing no signature: mail would otherwise stop for want
 * of a package. */
static const char *trust_anchor(const struct config *config)
{
    if (config->dns_trust_anchor[0] == '\0' || access(config->dns_trust_anchor, R_OK) == 0)
        return config->dns_trust_anchor;
    log_error(NULL, "THE KEYS OF THE DNS ROOT ARE NOT THERE: no signature can be checked",
              LOG_FIELDS(LOG_TEXT("path", config->dns_trust_anchor),
                         LOG_TEXT("reason", strerror(errno))));
    return "";
}

struct dns *process_dns(struct process *process)
{
    const struct config *config = &process->config;
    const struct dns_config dns_config = {
        .servers = config->dns_servers.at,
        .servers_count = config->dns_servers.count,
        .trust_anchor = trust_anchor(config),
        .timeout_ms = config->dns_timeout_ms,
    };

    if (!config->dns_enabled) {
        log_info(NULL, "no name server is asked: dns.enabled is false", NULL);
        return NULL;
    }
    return dns_new(process->loop, &dns_config);
}

int process_end(struct process *process)
{
    process_tls_end(process);
    loop_free(&process->loop);
    log_info(NULL, "stopped", NULL);
    arena_fini(&process->arena);
    return 0;
}
