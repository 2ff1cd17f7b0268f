/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-smtp: loads SMTP servers with messages over many connections, and says how many were
 * accepted a second, how long that took, and what became of the others. With --tokens every
 * message's outcome is written down as it comes, so that what was promised can be compared with
 * what was kept.
 */
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/smtp_client.h"
#include "bench/smtp_message.h"
#include "node/base/check.h"

enum {
    EVENTS_MAX = 256,
    TICK_MS = 20,
    CONNECTIONS_MAX = 20000,
    RECIPIENTS_MAX = 1000000,
    LOAD_SOURCES_MAX = 65536
};

static const char usage[] =
    "usage: bench-smtp --target HOST:PORT [--target ...] --recipient ADDRESS [options]\n"
    "  --target HOST:PORT   a server; connections take turns\n"
    "  --recipient ADDRESS  to whom; messages take turns\n"
    "  --recipients FILE    likewise, one address a line\n"
    "  --sender ADDRESS     default sender@bench.test\n"
    "  --connections N      default 20\n"
    "  --size BYTES         of a message, default 4096\n"
    "  --attachments        most of it in base64 (default: text)\n"
    "  --messages N         stop when so many have an outcome, or\n"
    "  --seconds N          begin no more after that time; default 10\n"
    "  --limit SECONDS      end in any case, default 600\n"
    "  --tokens FILE        write \"TOKEN CODE TRACE-ID\" or \"TOKEN unknown\" as it comes\n"
    "  --token-prefix TEXT  default: made of the time\n"
    "  --no-pipelining      a command at a time\n"
    "  --starttls           over TLS, by STARTTLS; or\n"
    "  --tls                from the first byte on; no certificate is checked\n"
    "  --per-connection N   say good-bye after so many messages and connect again\n"
    "  --sources N          connect from so many addresses 127.64.x.y, in turn\n";

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "bench-smtp: %s: %s\n%s", what, value, usage);
    exit(2);
}

static uint64_t number(const char *text, uint64_t most)
{
    uint64_t value;

    if (!bytes_to_u64(bytes_of(text), &value) || value == 0 || value > most)
        fail("not a number that makes sense", text);
    return value;
}

static void add_target(struct load *load, const char *text)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *colon = strrchr(text, ':');
    char host[256];

    if (colon == NULL || load->target_count == LOAD_TARGETS_MAX)
        fail("cannot take target", text);
    bool bracket = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail("no such target", text);
    memcpy(&load->targets[load->target_count], found->ai_addr, found->ai_addrlen);
    load->target_lens[load->target_count++] = found->ai_addrlen;
    freeaddrinfo(found);
}

static void add_recipient(struct load *load, struct arena *arena, const char *address)
{
    if (load->recipients == NULL)
        load->recipients = calloc(RECIPIENTS_MAX, sizeof(*load->recipients));
    CHECK(load->recipients != NULL);
    if (load->recipient_count == RECIPIENTS_MAX)
        fail("too many recipients", address);
    load->recipients[load->recipient_count++] = arena_printf(arena, "%s", address);
}

static void add_recipients(struct load *load, struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512];

    if (file == NULL)
        fail("cannot read", path);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            add_recipient(load, arena, line);
    }
    fclose(file);
}

static void use_tls(struct load *load, bool at_once)
{
    if (load->tls == NULL)
        load->tls = smtp_transport_context();
    load->tls_at_once = at_once;
}

struct options {
    unsigned connections;
    uint64_t seconds;
    uint64_t limit_s;
};

static void read_options(int argc, char **argv, struct load *load, struct options *options,
                         struct arena *arena)
{
    static const struct option names[] = {
        {"target", required_argument, NULL, 't'},
        {"recipient", required_argument, NULL, 'r'},
        {"recipients", required_argument, NULL, 'R'},
        {"sender", required_argument, NULL, 'f'},
        {"connections", required_argument, NULL, 'c'},
        {"size", required_argument, NULL, 's'},
        {"attachments", no_argument, NULL, 'b'},
        {"messages", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 'S'},
        {"limit", required_argument, NULL, 'l'},
        {"tokens", required_argument, NULL, 'k'},
        {"token-prefix", required_argument, NULL, 'p'},
        {"no-pipelining", no_argument, NULL, 'n'},
        {"starttls", no_argument, NULL, 'x'},
        {"tls", no_argument, NULL, 'X'},
        {"per-connection", required_argument, NULL, 'P'},
        {"sources", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (int c = getopt_long(argc, argv, "", names, NULL); c != -1;
         c = getopt_long(argc, argv, "", names, NULL)) {
        if (c == 't')
            add_target(load, optarg);
        else if (c == 'r')
            add_recipient(load, arena, optarg);
        else if (c == 'R')
            add_recipients(load, arena, optarg);
        else if (c == 'f')
            load->sender = optarg;
        else if (c == 'c')
            options->connections = (unsigned)number(optarg, CONNECTIONS_MAX);
        else if (c == 's')
            load->size = (size_t)number(optarg, 1 << 30);
        else if (c == 'b')
            load->attachments = true;
        else if (c == 'm')
            load->messages_max = number(optarg, UINT64_MAX);
        else if (c == 'S')
            options->seconds = number(optarg, 1 << 30);
        else if (c == 'l')
            options->limit_s = number(optarg, 1 << 30);
        else if (c == 'k' && (load->result.tokens = fopen(optarg, "w")) == NULL)
            fail("cannot write", optarg);
        else if (c == 'p')
            load->token_prefix = optarg;
        else if (c == 'n')
            load->pipelining = false;
        else if (c == 'x' || c == 'X')
            use_tls(load, c == 'X');
        else if (c == 'P')
            load->connection_messages = (unsigned)number(optarg, UINT32_MAX);
        else if (c == 'a')
            load->sources = (unsigned)number(optarg, LOAD_SOURCES_MAX);
        else if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        } else if (c == '?')
            exit(2);
    }
    if (load->target_count == 0 || load->recipient_count == 0 || optind < argc)
        fail("wrong arguments", "a target and a recipient are needed, and nothing else");
    if (strlen(load->token_prefix) > LOAD_TOKEN_SIZE / 2)
        fail("too long", load->token_prefix);
}

static bool tick(struct client **clients, unsigned count)
{
    uint64_t now_us = smtp_result_now_us();
    bool busy = false;

    for (unsigned i = 0; i < count; i++) {
        client_tick(clients[i], now_us);
        busy |= !client_is_done(clients[i]);
    }
    return busy;
}

static void run(struct load *load, const struct options *options)
{
    struct client **clients = calloc(options->connections, sizeof(*clients));
    struct epoll_event events[EVENTS_MAX];
    uint64_t tick_us = 0;

    CHECK(clients != NULL);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(load->epoll_fd >= 0);
    load->result.started_us = smtp_result_now_us();
    load->end_us = load->result.started_us + options->seconds * 1000000;
    uint64_t limit_us = load->result.started_us + options->limit_s * 1000000;
    for (unsigned i = 0; i < options->connections; i++)
        clients[i] = client_new(load, i);
    for (uint64_t now_us = load->result.started_us; now_us < limit_us;
         now_us = smtp_result_now_us()) {
        if (now_us - tick_us > TICK_MS * 1000) {
            tick_us = now_us;
            if (!tick(clients, options->connections))
                break;
        }
        int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, TICK_MS);
        for (int i = 0; i < count; i++)
            client_ready(events[i].data.ptr);
    }
    for (unsigned i = 0; i < options->connections; i++)
        client_free(&clients[i]);
    free(clients);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct options options = {.connections = 20, .seconds = 10, .limit_s = 600};
    struct arena arena;

    signal(SIGPIPE, SIG_IGN); /* TLS writes by itself */
    arena_init(&arena);
    load.sender = "sender@bench.test";
    load.size = 4096;
    load.pipelining = true;
    load.token_prefix = arena_printf(&arena, "t%llx", (unsigned long long)smtp_result_now_us());
    read_options(argc, argv, &load, &options, &arena);
    smtp_message_text_init(smtp_result_now_us());
    run(&load, &options);
    smtp_result_print(&load.result, options.connections, load.size);
    if (load.result.tokens != NULL)
        fclose(load.result.tokens);
    buffer_fini(&load.result.latencies);
    free(load.recipients);
    SSL_CTX_free(load.tls);
    arena_fini(&arena);
    return load.result.accepted == 0;
}
