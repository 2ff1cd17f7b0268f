/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/imap_modes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "node/base/check.h"

enum { EVENTS_MAX = 256, READY_S_MAX = 300, OPENING_MAX = 100 };

const char *const imap_mode_names[IMAP_MODE_COUNT] = {
    "login", "flags", "envelope", "body", "store", "search", "text", "append", "noop", "idle",
};

enum stage { STAGE_CLOSED, STAGE_OPENING, STAGE_LOGIN, STAGE_SELECT, STAGE_READY, STAGE_ASKED };

struct actor {
    struct imap_client client;
    struct play *play;
    enum stage stage;
    unsigned number;
    unsigned turn;
    uint64_t asked_us;
};

/* One mode under way. */
struct play {
    const struct imap_load *load;
    enum imap_mode mode;
    struct actor *actors;
    unsigned count;
    unsigned opened;
    unsigned ready;
    int epoll;
    bool measuring;
    bool filling;
    struct buffer message;
    struct buffer latencies;
    struct imap_figures *figures;
};

static uint64_t now_us(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void watch(struct actor *actor, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = actor};

    if (actor->client.wants_write || buffer_len(&actor->client.out) > 0)
        event.events |= EPOLLOUT;
    CHECK(epoll_ctl(actor->play->epoll, operation, actor->client.fd, &event) == 0);
}

static void open_actor(struct actor *actor)
{
    const struct imap_load *load = actor->play->load;
    unsigned target = actor->number % load->target_count;

    if (!imap_client_open(&actor->client, load->tls,
                          (const struct sockaddr *)&load->targets[target],
                          load->target_lens[target])) {
        actor->play->figures->lost++;
        actor->stage = STAGE_CLOSED;
        return;
    }
    actor->stage = STAGE_OPENING;
    actor->asked_us = now_us();
    watch(actor, EPOLL_CTL_ADD);
}

static void close_actor(struct actor *actor)
{
    actor->play->figures->bytes += actor->play->measuring ? actor->client.bytes : 0;
    actor->play->figures->messages += actor->play->measuring ? actor->client.responses : 0;
    imap_client_close(&actor->client);
    actor->stage = STAGE_CLOSED;
}

/* The command that the mode measures. */
static void ask(struct actor *actor)
{
    struct play *play = actor->play;
    uint32_t exists = actor->client.exists > 0 ? actor->client.exists : 1;
    uint32_t some = 1 + (actor->turn * 7919u + actor->number * 104729u) % exists;
    char text[160];

    snprintf(text, sizeof(text), "NOOP");
    if (play->filling || play->mode == IMAP_MODE_APPEND)
        snprintf(text, sizeof(text), "APPEND INBOX {%zu+}", buffer_len(&play->message));
    else if (play->mode == IMAP_MODE_FLAGS)
        snprintf(text, sizeof(text), "UID FETCH 1:* (FLAGS)");
    else if (play->mode == IMAP_MODE_ENVELOPE)
        snprintf(text, sizeof(text), "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)");
    else if (play->mode == IMAP_MODE_BODY)
        snprintf(text, sizeof(text), "FETCH %u BODY.PEEK[]", some);
    else if (play->mode == IMAP_MODE_STORE)
        snprintf(text, sizeof(text), "STORE %u %cFLAGS (\\Flagged)", some,
                 actor->turn / exists % 2 == 0 ? '+' : '-');
    else if (play->mode == IMAP_MODE_SEARCH)
        snprintf(text, sizeof(text), "SEARCH UNSEEN SINCE 1-Jan-2020 SUBJECT message");
    else if (play->mode == IMAP_MODE_TEXT)
        snprintf(text, sizeof(text), "SEARCH TEXT \"no such words %u\"", actor->turn);
    else if (play->mode == IMAP_MODE_IDLE)
        snprintf(text, sizeof(text), "IDLE");
    imap_client_say(&actor->client, text);
    if (play->filling || play->mode == IMAP_MODE_APPEND) {
        imap_client_add(&actor->client, buffer_bytes(&play->message));
        imap_client_add(&actor->client, BYTES("\r\n"));
    }
    actor->turn++;
    actor->asked_us = now_us();
    actor->stage = STAGE_ASKED;
}

static void count(struct actor *actor)
{
    struct play *play = actor->play;
    uint32_t spent_us = (uint32_t)(now_us() - actor->asked_us);

    if (!play->measuring)
        return;
    play->figures->operations++;
    buffer_add(&play->latencies, bytes_from(&spent_us, sizeof(spent_us)));
}

static bool is_full(const struct actor *actor)
{
    return actor->play->filling && actor->client.exists >= actor->play->load->messages;
}

static void become_ready(struct actor *actor)
{
    actor->stage = STAGE_READY;
    actor->play->ready++;
    if (is_full(actor))
        return;
    if (actor->play->measuring || actor->play->filling || actor->play->mode == IMAP_MODE_IDLE)
        ask(actor);
}

static void log_in(struct actor *actor)
{
    const struct imap_load *load = actor->play->load;
    char text[600];

    snprintf(text, sizeof(text), "LOGIN \"%s\" \"%s\"",
             load->users[actor->number % load->user_count], load->password);
    imap_client_say(&actor->client, text);
    actor->stage = STAGE_LOGIN;
}

static void on_ok(struct actor *actor)
{
    struct play *play = actor->play;

    switch (actor->stage) {
    case STAGE_LOGIN:
        if (play->mode == IMAP_MODE_LOGIN && !play->filling) {
            count(actor);
            close_actor(actor);
            open_actor(actor);
            return;
        }
        imap_client_say(&actor->client, "SELECT INBOX");
        actor->stage = STAGE_SELECT;
        return;
    case STAGE_SELECT:
        become_ready(actor);
        return;
    case STAGE_ASKED:
        count(actor);
        if (is_full(actor))
            actor->stage = STAGE_READY;
        else
            ask(actor);
        return;
    default:
        return;
    }
}

static void act(struct actor *actor)
{
    for (;;) {
        switch (imap_client_run(&actor->client)) {
        case IMAP_HEARD_NOTHING:
            if (actor->stage != STAGE_CLOSED)
                watch(actor, EPOLL_CTL_MOD);
            return;
        case IMAP_HEARD_GREETING:
            log_in(actor);
            break;
        case IMAP_HEARD_CONTINUE:
            break;
        case IMAP_HEARD_OK:
            on_ok(actor);
            break;
        case IMAP_HEARD_REFUSED:
            actor->play->figures->refused++;
            if (actor->stage == STAGE_ASKED) {
                ask(actor);
                break;
            }
            close_actor(actor);
            return;
        case IMAP_HEARD_END:
            actor->play->figures->lost++;
            close_actor(actor);
            return;
        }
    }
}

/* Some at a time, so that a listen queue is not all that is measured. */
static void open_more(struct play *play)
{
    unsigned opening = 0;

    for (unsigned i = 0; i < play->opened; i++)
        opening += play->actors[i].stage > STAGE_CLOSED && play->actors[i].stage < STAGE_READY;
    for (; play->opened < play->count && opening < OPENING_MAX; opening++) {
        struct actor *actor = &play->actors[play->opened];
        *actor = (struct actor){.play = play, .number = play->opened++, .client = {.fd = -1}};
        open_actor(actor);
    }
}

static void wait_some(struct play *play)
{
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(play->epoll, events, EVENTS_MAX, 20);

    for (int i = 0; i < ready; i++)
        act(events[i].data.ptr);
}

static void play_begin(struct play *play, const struct imap_load *load, enum imap_mode mode,
                       unsigned connections, struct imap_figures *figures)
{
    *figures = (struct imap_figures){.connections = connections};
    *play = (struct play){.load = load, .mode = mode, .count = connections, .figures = figures};
    play->actors = calloc(connections, sizeof(play->actors[0]));
    play->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(play->actors != NULL && play->epoll >= 0);
    buffer_add_string(&play->message, "From: Bench <bench@bench.test>\r\n"
                                      "To: user@bench.test\r\nSubject: a bench message\r\n"
                                      "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n");
    for (unsigned i = 0; buffer_len(&play->message) < load->size; i++)
        buffer_printf(&play->message, "Line %u: some words %08x that fill it\r\n", i,
                      i * 2654435761u);
}

static void play_end(struct play *play)
{
    for (unsigned i = 0; i < play->opened; i++)
        if (play->actors[i].stage != STAGE_CLOSED)
            close_actor(&play->actors[i]);
    close(play->epoll);
    free(play->actors);
    buffer_fini(&play->message);
    buffer_fini(&play->latencies);
}

bool imap_load_fill(const struct imap_load *load)
{
    struct imap_figures figures;
    struct play play;
    unsigned full = 0;

    /* One connection an account. */
    play_begin(&play, load, IMAP_MODE_APPEND, load->user_count, &figures);
    play.filling = true;
    while (full < play.count && figures.lost == 0) {
        open_more(&play);
        wait_some(&play);
        full = 0;
        for (unsigned i = 0; i < play.opened; i++)
            full += play.actors[i].stage == STAGE_READY;
    }
    play_end(&play);
    if (figures.lost > 0)
        fprintf(stderr, "bench-imap: a connection was lost while mailboxes were filled\n");
    return figures.lost == 0;
}

static uint64_t resident(const struct imap_load *load)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < load->pid_count; i++) {
        char path[64];
        char line[256];
        unsigned long long kib = 0;
        snprintf(path, sizeof(path), "/proc/%u/status", load->pids[i]);
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL)
            if (sscanf(line, "VmRSS: %llu kB", &kib) == 1)
                total += kib * 1024;
        if (file != NULL)
            fclose(file);
    }
    return total;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *one = a;
    const uint32_t *other = b;

    return (*one > *other) - (*one < *other);
}

static double percentile(struct play *play, double part)
{
    struct bytes all = buffer_bytes(&play->latencies);
    size_t count_of = all.len / sizeof(uint32_t);
    uint32_t value;

    if (count_of == 0)
        return 0;
    memcpy(&value, all.at + (size_t)((double)(count_of - 1) * part) * sizeof(value),
           sizeof(value));
    return (double)value / 1000;
}

static void measure(struct play *play)
{
    struct imap_figures *figures = play->figures;
    uint64_t began_us = now_us();
    uint64_t ends_us = began_us + play->load->seconds * 1000000;

    play->measuring = true;
    for (unsigned i = 0; i < play->count; i++) {
        struct actor *actor = &play->actors[i];
        actor->client.bytes = 0;
        actor->client.responses = 0;
        if (actor->stage != STAGE_READY)
            continue;
        ask(actor);
        act(actor);
    }
    while (now_us() < ends_us) {
        open_more(play);
        wait_some(play);
    }
    figures->seconds = (double)(now_us() - began_us) / 1e6;
    for (unsigned i = 0; i < play->opened; i++)
        if (play->actors[i].stage != STAGE_CLOSED)
            close_actor(&play->actors[i]);
    uint8_t *latencies =
        play->latencies.memory != NULL ? play->latencies.memory + play->latencies.start : NULL;
    if (latencies != NULL)
        qsort(latencies, buffer_len(&play->latencies) / sizeof(uint32_t), sizeof(uint32_t),
              compare);
    figures->p50_ms = percentile(play, 0.50);
    figures->p99_ms = percentile(play, 0.99);
}

bool imap_load_run(const struct imap_load *load, enum imap_mode mode,
                   struct imap_figures *figures)
{
    struct play play;
    uint64_t limit_us = now_us() + READY_S_MAX * 1000000ull;

    play_begin(&play, load, mode, load->connections, figures);
    figures->rss_before = resident(load);
    while (mode != IMAP_MODE_LOGIN && play.ready + figures->lost < play.count &&
           now_us() < limit_us) {
        open_more(&play);
        wait_some(&play);
    }
    bool good = figures->lost == 0;
    if (!good)
        fprintf(stderr, "bench-imap: connections were lost or refused while logging in\n");
    else if (mode != IMAP_MODE_IDLE)
        measure(&play);
    else
        while (now_us() < limit_us && figures->seconds < (double)load->seconds) {
            /* Buffers of the log-in are given back meanwhile. */
            wait_some(&play);
            figures->seconds += 0.02;
        }
    figures->rss_after = resident(load);
    play_end(&play);
    return good;
}
