/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-imap: loads IMAP servers over implicit TLS from many connections, one kind of command
 * at a time, and says how many were answered a second and how long that took. "idle" opens
 * connections that wait in IDLE and says what that costs the server's processes in memory.
 */
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench/imap_modes.h"
#include "node/base/check.h"

enum { USERS_MAX = 100000, CONNECTIONS_MAX = 60000, MODES_MAX = 32 };

static const char usage[] =
    "usage: bench-imap --target HOST:PORT [--target ...] --user NAME --password TEXT "
    "[options]\n"
    "  --target HOST:PORT  a server's imaps address; connections take turns\n"
    "  --user NAME         whose mailbox; connections take turns\n"
    "  --users FILE        likewise, one name a line\n"
    "  --password TEXT     of all of them\n"
    "  --mode NAME         login, flags, envelope, body, store, search, text, append, noop,\n"
    "                      idle; may be given again; default all but append, noop and idle\n"
    "  --connections N     default 20\n"
    "  --messages N        that each INBOX has at least; default 1000\n"
    "  --size BYTES        of a message that is made for that; default 4096\n"
    "  --seconds N         for each mode; default 5\n"
    "  --pid N             a process of the server, for idle; may be given again\n";

struct options {
    struct imap_load load;
    enum imap_mode modes[MODES_MAX];
    unsigned mode_count;
};

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "bench-imap: %s: %s\n%s", what, value, usage);
    exit(2);
}

static uint64_t number(const char *text, uint64_t most)
{
    uint64_t value;

    if (!bytes_to_u64(bytes_of(text), &value) || value == 0 || value > most)
        fail("not a number that makes sense", text);
    return value;
}

static void add_target(struct imap_load *load, const char *text)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *colon = strrchr(text, ':');
    char host[256];

    if (colon == NULL || load->target_count == IMAP_LOAD_TARGETS_MAX)
        fail("cannot take target", text);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail("no such target", text);
    memcpy(&load->targets[load->target_count], found->ai_addr, found->ai_addrlen);
    load->target_lens[load->target_count++] = found->ai_addrlen;
    freeaddrinfo(found);
}

static void add_user(struct imap_load *load, const char *name)
{
    if (load->user_count == USERS_MAX)
        fail("too many users", name);
    load->users[load->user_count] = strdup(name);
    CHECK(load->users[load->user_count++] != NULL);
}

static void add_users(struct imap_load *load, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512];

    if (file == NULL)
        fail("cannot read", path);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            add_user(load, line);
    }
    fclose(file);
}

static void add_mode(struct options *options, const char *name)
{
    for (unsigned i = 0; i < IMAP_MODE_COUNT; i++) {
        if (strcmp(name, imap_mode_names[i]) != 0)
            continue;
        CHECK(options->mode_count < MODES_MAX);
        options->modes[options->mode_count++] = (enum imap_mode)i;
        return;
    }
    fail("no such mode", name);
}

static const struct option names[] = {
    {"target", required_argument, NULL, 't'},   {"user", required_argument, NULL, 'u'},
    {"users", required_argument, NULL, 'U'},    {"password", required_argument, NULL, 'p'},
    {"mode", required_argument, NULL, 'm'},     {"connections", required_argument, NULL, 'c'},
    {"messages", required_argument, NULL, 'n'}, {"size", required_argument, NULL, 's'},
    {"seconds", required_argument, NULL, 'S'},  {"pid", required_argument, NULL, 'P'},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

static void take_option(struct options *options, int option)
{
    struct imap_load *load = &options->load;

    if (option == 't')
        add_target(load, optarg);
    else if (option == 'u')
        add_user(load, optarg);
    else if (option == 'U')
        add_users(load, optarg);
    else if (option == 'p')
        load->password = optarg;
    else if (option == 'm')
        add_mode(options, optarg);
    else if (option == 'c')
        load->connections = (unsigned)number(optarg, CONNECTIONS_MAX);
    else if (option == 'n')
        load->messages = (uint32_t)number(optarg, UINT32_MAX);
    else if (option == 's')
        load->size = number(optarg, 1 << 30);
    else if (option == 'S')
        load->seconds = number(optarg, 1 << 30);
    else if (option == 'P' && load->pid_count < IMAP_LOAD_PIDS_MAX)
        load->pids[load->pid_count++] = (unsigned)number(optarg, UINT32_MAX);
    else if (option == 'h') {
        fputs(usage, stdout);
        exit(0);
    } else
        exit(2);
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const char *const usual[] = {"login", "flags",  "envelope", "body",
                                        "store", "search", "text"};

    for (int option = getopt_long(argc, argv, "", names, NULL); option != -1;
         option = getopt_long(argc, argv, "", names, NULL))
        take_option(options, option);
    if (options->load.target_count == 0 || options->load.user_count == 0 ||
        options->load.password == NULL || optind < argc)
        fail("missing", "a target, a user or a password");
    bool chosen = options->mode_count > 0;
    for (size_t i = 0; !chosen && i < sizeof(usual) / sizeof(usual[0]); i++)
        add_mode(options, usual[i]);
}

static void print_row(const char *mode, const struct imap_figures *figures)
{
    double seconds = figures->seconds > 0 ? figures->seconds : 1;

    printf("  {\"mode\": \"%s\", \"connections\": %u, \"seconds\": %.2f, ", mode,
           figures->connections, figures->seconds);
    if (strcmp(mode, "idle") == 0)
        printf("\"rss_before\": %" PRIu64 ", \"rss_after\": %" PRIu64
               ", \"bytes_a_connection\": %.0f, ",
               figures->rss_before, figures->rss_after,
               ((double)figures->rss_after - (double)figures->rss_before) /
                   figures->connections);
    else
        printf("\"operations\": %" PRIu64 ", \"per_s\": %.1f, \"messages_per_s\": %.0f, "
               "\"bytes_per_s\": %.0f, \"latency_ms\": {\"p50\": %.3f, \"p99\": %.3f}, ",
               figures->operations, (double)figures->operations / seconds,
               (double)figures->messages / seconds, (double)figures->bytes / seconds,
               figures->p50_ms, figures->p99_ms);
    printf("\"refused\": %" PRIu64 ", \"lost\": %" PRIu64 "}", figures->refused, figures->lost);
}

static void raise_limits(void)
{
    struct rlimit limit;

    signal(SIGPIPE, SIG_IGN);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

int main(int argc, char **argv)
{
    struct options options = {
        .load = {.connections = 20, .messages = 1000, .size = 4096, .seconds = 5}};
    bool good = true;

    options.load.users = calloc(USERS_MAX, sizeof(options.load.users[0]));
    CHECK(options.load.users != NULL);
    read_options(argc, argv, &options);
    raise_limits();
    options.load.tls = SSL_CTX_new(TLS_client_method());
    CHECK(options.load.tls != NULL);
    bool needs_messages = false;
    for (unsigned i = 0; i < options.mode_count; i++)
        needs_messages |=
            options.modes[i] > IMAP_MODE_LOGIN && options.modes[i] < IMAP_MODE_APPEND;
    if (needs_messages && !imap_load_fill(&options.load))
        return 1;
    printf("[\n");
    for (unsigned i = 0; i < options.mode_count; i++) {
        struct imap_figures figures;
        good &= imap_load_run(&options.load, options.modes[i], &figures);
        printf("%s", i > 0 ? ",\n" : "");
        print_row(imap_mode_names[options.modes[i]], &figures);
        fflush(stdout);
    }
    printf("\n]\n");
    SSL_CTX_free(options.load.tls);
    for (unsigned i = 0; i < options.load.user_count; i++)
        free(options.load.users[i]);
    free(options.load.users);
    return good ? 0 : 1;
}
