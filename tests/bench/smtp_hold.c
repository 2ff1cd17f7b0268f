/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-smtp-hold: keeps connections to an SMTP server open, most of them idle behind EHLO,
 * some slow: a byte every few seconds, half of them typing commands, half in the middle of
 * DATA. It says "ready" when all are where they belong, and what became of them when its
 * standard input ends. Those that the server closes are opened again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/smtp_result.h"
#include "bench/smtp_transport.h"
#include "node/base/check.h"

enum {
    EVENTS_MAX = 256,
    TICK_MS = 20,
    CONNECTIONS_MAX = 100000,
    SOURCE_FIRST = 0x7f500001, /* 127.80.0.1 */
    OPENING_MAX = 200,         /* at a time, so that no listen queue runs over */
    AGAIN_MS = 1000,
    REPLY_SIZE_MAX = 64 * 1024,
    DESCRIPTORS_SPARE = 64,
};

enum kind { KIND_IDLE, KIND_COMMANDS, KIND_DATA };

enum stage {
    STAGE_AWAY,
    STAGE_CONNECTING,
    STAGE_BANNER,
    STAGE_EHLO,
    STAGE_STARTTLS,
    STAGE_ENVELOPE,
    STAGE_HELD
};

struct held {
    struct smtp_transport transport;
    struct buffer input;
    struct buffer output;
    enum kind kind;
    enum stage stage;
    uint64_t wake_us; /* to connect, or for the next byte */
    unsigned typed;
};

struct hold {
    struct sockaddr_in target;
    const char *recipient;
    SSL_CTX *tls;
    unsigned idle;
    unsigned slow;
    unsigned sources;
    unsigned byte_ms;
    int epoll_fd;
    struct held *all;
    unsigned count;
    unsigned opening;
    unsigned held;
    uint64_t opened;
    uint64_t closed;  /* by the server, when they were held */
    uint64_t refused; /* or not even held */
    uint64_t bytes;   /* typed */
};

static const char usage[] =
    "usage: bench-smtp-hold --target ADDRESS:PORT --recipient ADDRESS [options]\n"
    "  --idle N       connections that do nothing, default 10000\n"
    "  --slow N       connections that send a byte now and then, default 1000\n"
    "  --byte-ms N    how often, default 3000\n"
    "  --sources N    from so many addresses 127.80.x.y, default 1000\n"
    "  --starttls     all of them over TLS\n";

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "bench-smtp-hold: %s: %s\n%s", what, value, usage);
    exit(2);
}

static unsigned number(const char *text)
{
    uint64_t value;

    if (!bytes_to_u64(bytes_of(text), &value) || value > CONNECTIONS_MAX)
        fail("not a number that makes sense", text);
    return (unsigned)value;
}

static void away(struct hold *hold, struct held *held, unsigned pause_ms)
{
    if (held->stage == STAGE_HELD)
        hold->held--;
    else if (held->stage != STAGE_AWAY)
        hold->opening--;
    smtp_transport_close(&held->transport);
    buffer_release(&held->input);
    buffer_release(&held->output);
    held->stage = STAGE_AWAY;
    held->wake_us = smtp_result_now_us() + pause_ms * UINT64_C(1000);
}

static void lost(struct hold *hold, struct held *held)
{
    *(held->stage == STAGE_HELD ? &hold->closed : &hold->refused) += 1;
    away(hold, held, AGAIN_MS);
}

static void open_one(struct hold *hold, struct held *held)
{
    struct sockaddr_in source = {.sin_family = AF_INET};
    unsigned at = (unsigned)(held - hold->all);

    source.sin_addr.s_addr = htonl(SOURCE_FIRST + at % hold->sources);
    hold->opening++;
    hold->opened++;
    held->stage = STAGE_CONNECTING;
    if (!smtp_transport_open(&held->transport, hold->epoll_fd, held,
                             (const struct sockaddr *)&hold->target, sizeof(hold->target),
                             (const struct sockaddr *)&source))
        lost(hold, held);
}

static void say(struct held *held, struct bytes text, enum stage stage)
{
    buffer_add(&held->output, text);
    held->stage = stage;
}

static void settle(struct hold *hold, struct held *held)
{
    hold->opening--;
    hold->held++;
    held->stage = STAGE_HELD;
    held->typed = 0;
    /* Phases are spread, whenever the connections were opened. */
    held->wake_us =
        smtp_result_now_us() + (uint64_t)rand() % (hold->byte_ms * UINT64_C(1000) + 1);
}

/* EHLO was answered for the last time. */
static void greeted(struct hold *hold, struct held *held)
{
    if (held->kind != KIND_DATA) {
        settle(hold, held);
        return;
    }
    buffer_printf(&held->output, "MAIL FROM:<slow@bench.test>\r\nRCPT TO:<%s>\r\nDATA\r\n",
                  hold->recipient);
    held->stage = STAGE_ENVELOPE;
}

static void on_reply(struct hold *hold, struct held *held, const char *reply)
{
    switch (held->stage) {
    case STAGE_BANNER:
        say(held, BYTES("EHLO hold.bench.test\r\n"), STAGE_EHLO);
        break;
    case STAGE_EHLO:
        if (hold->tls != NULL && held->transport.ssl == NULL)
            say(held, BYTES("STARTTLS\r\n"), STAGE_STARTTLS);
        else
            greeted(hold, held);
        break;
    case STAGE_STARTTLS:
        smtp_transport_start_tls(&held->transport, hold->tls);
        say(held, BYTES("EHLO hold.bench.test\r\n"), STAGE_EHLO);
        break;
    case STAGE_ENVELOPE:
        if (reply[0] == '3')
            settle(hold, held);
        break;
    default:
        break; /* to a command that was typed */
    }
}

static void take_replies(struct hold *hold, struct held *held)
{
    while (held->transport.fd >= 0) {
        struct bytes input = buffer_bytes(&held->input);
        size_t len = bytes_find(input, '\n');
        char line[128];
        if (len == input.len)
            return;
        snprintf(line, sizeof(line), "%.*s", (int)(len > 120 ? 120 : len), input.at);
        buffer_drop(&held->input, len + 1);
        if (line[0] == '4' || line[0] == '5')
            lost(hold, held);
        else if (len < 4 || line[3] != '-')
            on_reply(hold, held, line);
    }
}

static void ready(struct hold *hold, struct held *held)
{
    struct smtp_transport *transport = &held->transport;
    bool good = true;

    if (held->stage == STAGE_CONNECTING) {
        good = smtp_transport_connected(transport);
        held->stage = STAGE_BANNER;
    }
    while (good && transport->fd >= 0) {
        int got = smtp_transport_read(transport, &held->input);
        if (got == 0)
            break;
        good = got > 0 && buffer_len(&held->input) <= REPLY_SIZE_MAX;
        if (good)
            take_replies(hold, held);
    }
    if (transport->fd < 0)
        return;
    if (!good || !smtp_transport_write(transport, &held->output)) {
        lost(hold, held);
        return;
    }
    if (buffer_len(&held->input) == 0)
        buffer_release(&held->input);
    if (buffer_len(&held->output) == 0)
        buffer_release(&held->output);
}

/* The next byte of a slow one. */
static void type(struct hold *hold, struct held *held)
{
    static const char command[] = "NOOP of somebody who is slow\r\n";
    static const char body[] = "Somebody who is slow writes about nothing in particular.\r\n";
    const char *text = held->kind == KIND_DATA ? body : command;

    buffer_add_byte(&held->output, (uint8_t)text[held->typed % strlen(text)]);
    held->typed++;
    hold->bytes++;
    held->wake_us += hold->byte_ms * UINT64_C(1000);
    if (!smtp_transport_write(&held->transport, &held->output))
        lost(hold, held);
}

static void tick(struct hold *hold)
{
    uint64_t now_us = smtp_result_now_us();

    for (unsigned i = 0; i < hold->count; i++) {
        struct held *held = &hold->all[i];
        if (held->stage == STAGE_AWAY && now_us >= held->wake_us && hold->opening < OPENING_MAX)
            open_one(hold, held);
        else if (held->stage == STAGE_HELD && held->kind != KIND_IDLE &&
                 now_us >= held->wake_us)
            type(hold, held);
    }
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;

    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static void run(struct hold *hold)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t tick_us = 0;
    bool told = false;

    while (!input_ended()) {
        int count = epoll_wait(hold->epoll_fd, events, EVENTS_MAX, TICK_MS);
        for (int i = 0; i < count; i++)
            ready(hold, events[i].data.ptr);
        uint64_t now_us = smtp_result_now_us();
        if (now_us - tick_us >= TICK_MS * 1000) {
            tick_us = now_us;
            tick(hold);
        }
        if (!told && hold->held == hold->count) {
            told = true;
            printf("ready\n");
            fflush(stdout);
        }
    }
}

static void read_options(int argc, char **argv, struct hold *hold)
{
    static const struct option names[] = {
        {"target", required_argument, NULL, 't'},  {"recipient", required_argument, NULL, 'r'},
        {"idle", required_argument, NULL, 'i'},    {"slow", required_argument, NULL, 's'},
        {"byte-ms", required_argument, NULL, 'b'}, {"sources", required_argument, NULL, 'a'},
        {"starttls", no_argument, NULL, 'x'},      {NULL, 0, NULL, 0},
    };
    char host[64];

    for (int c = getopt_long(argc, argv, "", names, NULL); c != -1;
         c = getopt_long(argc, argv, "", names, NULL)) {
        if (c == 't') {
            const char *colon = strrchr(optarg, ':');
            snprintf(host, sizeof(host), "%.*s", colon != NULL ? (int)(colon - optarg) : 0,
                     optarg);
            hold->target.sin_family = AF_INET;
            if (inet_pton(AF_INET, host, &hold->target.sin_addr) != 1)
                fail("not an IPv4 address and a port", optarg);
            hold->target.sin_port = htons((uint16_t)number(colon + 1));
        } else if (c == 'r')
            hold->recipient = optarg;
        else if (c == 'i')
            hold->idle = number(optarg);
        else if (c == 's')
            hold->slow = number(optarg);
        else if (c == 'b')
            hold->byte_ms = number(optarg);
        else if (c == 'a')
            hold->sources = number(optarg);
        else if (c == 'x')
            hold->tls = smtp_transport_context();
        else
            exit(2);
    }
    if (hold->target.sin_port == 0 || hold->recipient == NULL || hold->sources == 0 ||
        optind < argc)
        fail("wrong arguments", "a target and a recipient are needed");
}

/* Descriptors for all connections; without them nothing of this makes sense. */
static void raise_limit(unsigned count)
{
    struct rlimit limit;
    char text[64];

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_max < count + DESCRIPTORS_SPARE) {
        snprintf(text, sizeof(text), "%llu open files, for %u connections",
                 (unsigned long long)limit.rlim_max, count);
        fail("the limit is too low", text);
    }
}

int main(int argc, char **argv)
{
    struct hold hold = {.idle = 10000, .slow = 1000, .sources = 1000, .byte_ms = 3000};

    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv, &hold);
    hold.count = hold.idle + hold.slow;
    raise_limit(hold.count);
    hold.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(hold.epoll_fd >= 0);
    hold.all = calloc(hold.count, sizeof(*hold.all));
    CHECK(hold.all != NULL);
    for (unsigned i = 0; i < hold.count; i++) {
        hold.all[i].transport.fd = -1;
        hold.all[i].kind = i < hold.idle ? KIND_IDLE : i % 2 ? KIND_DATA : KIND_COMMANDS;
    }
    run(&hold);
    printf("{\"idle\": %u, \"slow\": %u, \"held\": %u, \"opened\": %llu, \"closed\": %llu, "
           "\"refused\": %llu, \"bytes\": %llu}\n",
           hold.idle, hold.slow, hold.held, (unsigned long long)hold.opened,
           (unsigned long long)hold.closed, (unsigned long long)hold.refused,
           (unsigned long long)hold.bytes);
    for (unsigned i = 0; i < hold.count; i++)
        away(&hold, &hold.all[i], 0);
    free(hold.all);
    SSL_CTX_free(hold.tls);
    return 0;
}
