/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LLU(value) (unsigned long long)(value)

enum { WORKERS = 2 };

struct worker {
    pid_t pid; /* 0: none */
    int seeds;
    int results;
    bool busy;
    uint64_t at; /* the seed under way, by its place in the list */
    uint64_t next;
};

/* What is known of a seed. */
struct outcome {
    bool done;
    bool good;
    uint64_t hash;
};

struct run {
    const struct campaign *campaign;
    struct campaign_result *result;
    struct worker workers[WORKERS];
    struct outcome *outcomes; /* of the first to run a seed */
    struct timespec start;
    bool over;
};

extern char **environ;

/* The second worker finds other bytes in memory that nobody has written: blocks are filled when
 * they are given out, which the cache in front of the heap would leave out. */
static void environment_set(unsigned number)
{
    if (number == 0)
        unsetenv("GLIBC_TUNABLES");
    else
        CHECK(setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=171:glibc.malloc.tcache_count=0",
                     1) == 0);
}

static void worker_start(struct run *run, unsigned number)
{
    struct worker *worker = &run->workers[number];
    posix_spawn_file_actions_t actions;
    int seeds[2];
    int results[2];

    CHECK(pipe2(seeds, O_CLOEXEC) == 0 && pipe2(results, O_CLOEXEC) == 0);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    /* In this order: the end of the first pipe may be number 3 itself. */
    CHECK(posix_spawn_file_actions_adddup2(&actions, seeds[0], CAMPAIGN_SEEDS_FD) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, results[1], CAMPAIGN_RESULTS_FD) == 0);
    environment_set(number);
    CHECK(posix_spawn(&worker->pid, "/proc/self/exe", &actions, NULL, run->campaign->arguments,
                      environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(seeds[0]);
    close(results[1]);
    worker->seeds = seeds[1];
    worker->results = results[0];
    worker->busy = false;
}

/* Returns how it ended, as waitpid() does. */
static int worker_end(struct worker *worker)
{
    int status = 0;

    close(worker->seeds);
    close(worker->results);
    while (waitpid(worker->pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    worker->pid = 0;
    return status;
}

static void seed_failed(struct run *run, uint64_t at, const char *why)
{
    printf("seed %llu: %s\n", LLU(run->campaign->seeds[at]), why);
    fflush(stdout);
    run->result->failed++;
    run->over = run->over || run->campaign->until_failed;
}

static void stats_add(struct stats *sum, const struct stats *stats)
{
#define ADD(name, sometimes) sum->name += stats->name;
    SIM_STATS(ADD)
#undef ADD
}

static void outcome_take(struct run *run, uint64_t at, const struct sim_result *result)
{
    struct outcome *outcome = &run->outcomes[at];

    if (!outcome->done) {
        *outcome = (struct outcome){true, result->good, result->hash};
        run->result->ran++;
        stats_add(&run->result->stats, &result->stats);
        if (!result->good)
            seed_failed(run, at, result->failure);
    } else if (outcome->good != result->good || outcome->hash != result->hash) {
        seed_failed(run, at, "NOT DETERMINISTIC: two runs of it differ");
        if (!result->good && outcome->good)
            printf("seed %llu: one of them: %s\n", LLU(result->seed), result->failure);
    }
}

static bool read_all(int fd, void *to, size_t len)
{
    uint8_t *at = to;

    while (len > 0) {
        ssize_t got = read(fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static void worker_heard(struct run *run, unsigned number)
{
    struct worker *worker = &run->workers[number];
    struct sim_result result;
    char why[64];

    if (read_all(worker->results, &result, sizeof(result))) {
        CHECK(worker->busy && result.seed == run->campaign->seeds[worker->at]);
        worker->busy = false;
        outcome_take(run, worker->at, &result);
        return;
    }
    snprintf(why, sizeof(why), "the simulator died (status %d)", worker_end(worker));
    if (!run->outcomes[worker->at].done) {
        run->outcomes[worker->at].done = true;
        run->result->ran++;
        seed_failed(run, worker->at, why);
    } else if (run->outcomes[worker->at].good) {
        seed_failed(run, worker->at, why); /* the other one did not */
    }
    worker->busy = false;
}

static bool time_left(const struct run *run)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return run->campaign->seconds == 0 ||
           (uint64_t)(now.tv_sec - run->start.tv_sec) < run->campaign->seconds;
}

/* The next seed for a worker; false when there is none. What the other has begun is run again
 * even when the time is over. */
static bool seed_next(struct run *run, unsigned number, uint64_t *at)
{
    const struct campaign *campaign = run->campaign;
    struct worker *worker = &run->workers[number];
    const struct worker *other = &run->workers[1 - number];

    *at = worker->next;
    if (!campaign->twice && other->next > *at)
        *at = other->next;
    if (*at >= campaign->count || run->over)
        return false;
    if (!time_left(run) && !(campaign->twice && other->next > *at))
        return false;
    worker->next = *at + 1;
    return true;
}

static bool worker_feed(struct run *run, unsigned number)
{
    struct worker *worker = &run->workers[number];

    if (worker->busy)
        return true;
    if (!seed_next(run, number, &worker->at))
        return false;
    if (worker->pid == 0)
        worker_start(run, number);
    worker->busy = true;
    /* One that died since is found out by its results. */
    if (write(worker->seeds, &run->campaign->seeds[worker->at], sizeof(uint64_t)) < 0)
        CHECK(errno == EPIPE);
    return true;
}

void campaign_run(const struct campaign *campaign, struct campaign_result *result)
{
    struct run run = {.campaign = campaign, .result = result};

    signal(SIGPIPE, SIG_IGN);
    *result = (struct campaign_result){0};
    run.outcomes = calloc(campaign->count + 1, sizeof(*run.outcomes));
    CHECK(run.outcomes != NULL);
    clock_gettime(CLOCK_MONOTONIC, &run.start);
    for (;;) {
        struct pollfd fds[WORKERS];
        bool any = false;

        for (unsigned i = 0; i < WORKERS; i++) {
            bool fed = worker_feed(&run, i);
            fds[i] = (struct pollfd){.fd = fed ? run.workers[i].results : -1, .events = POLLIN};
            any = any || fed;
        }
        if (!any)
            break;
        if (poll(fds, WORKERS, -1) < 0)
            CHECK(errno == EINTR);
        for (unsigned i = 0; i < WORKERS; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0)
                worker_heard(&run, i);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        if (run.workers[i].pid != 0 && worker_end(&run.workers[i]) != 0) {
            printf("a worker did not end well\n"); /* it leaks, a sanitizer says */
            result->failed++;
        }
    free(run.outcomes);
}

void campaign_work(enum bug bug, bool gate)
{
    struct sim_result result;
    uint64_t seed;

    while (read_all(CAMPAIGN_SEEDS_FD, &seed, sizeof(seed))) {
        const uint8_t *at = (const uint8_t *)&result;
        size_t left = sizeof(result);
        sim_run(seed, bug, gate, false, &result);
        while (left > 0) {
            ssize_t sent = write(CAMPAIGN_RESULTS_FD, at, left);
            if (sent <= 0)
                return; /* nobody is there any more */
            at += sent;
            left -= (size_t)sent;
        }
    }
}
