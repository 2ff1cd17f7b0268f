/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim --seeds FROM COUNT [--bug NAME] [--once] [--no-gate] [--here] [--verbose]
 * sim --fresh COUNT --seconds LIMIT [--file SEEDS]   seeds from today's date, and the file's
 * Each seed runs twice (campaign.h) unless --once is given. Exit 0 when no seed failed; with
 * --bug, which stops at the first that fails, when one did.
 */
#include <stdlib.h>
#include <time.h>

#include "node/base/log.h"
#include "tests/sim/campaign.h"

enum { TOOTH_SEEDS = 200 };

static const char *const bug_names[BUG_COUNT] = {"none",
                                                 "persisted-before-durable",
                                                 "vote-not-durable",
                                                 "ack-before-apply",
                                                 "wrong-site",
                                                 "stale-read",
                                                 "uid-reused-after-failover",
                                                 "dedupe-forgotten-after-transfer",
                                                 "expunge-resurrected",
                                                 "quota-drift",
                                                 "cancel-forgotten",
                                                 "stale-session",
                                                 "move-double"};

struct options {
    uint64_t from;
    uint64_t count;
    uint64_t seconds;
    enum bug bug;
    bool gate;
    bool verbose;
    bool twice;
    bool here;
    bool worker;
    const char *file;
    uint64_t *seeds;
    uint64_t seed_count;
    uint64_t seed_room;
};

static uint64_t number_of(const char *text)
{
    uint64_t number;
    if (text == NULL || !bytes_to_u64(bytes_of(text), &number)) {
        fprintf(stderr, "sim: a number is missing\n");
        exit(2);
    }
    return number;
}

static enum bug bug_of(const char *name)
{
    for (unsigned i = 0; name != NULL && i < BUG_COUNT; i++)
        if (strcmp(name, bug_names[i]) == 0)
            return (enum bug)i;
    fprintf(stderr, "sim: bugs are:");
    for (unsigned i = 0; i < BUG_COUNT; i++)
        fprintf(stderr, " %s", bug_names[i]);
    fprintf(stderr, "\n");
    exit(2);
}

static struct options options_of(char **arguments)
{
    struct options options = {.gate = true, .twice = true};
    for (char **next = arguments + 1; *next != NULL; next++) {
        if (strcmp(*next, "--seeds") == 0) {
            options.from = number_of(*++next);
            options.count = number_of(*next != NULL ? *++next : NULL);
        } else if (strcmp(*next, "--fresh") == 0) {
            options.from = (uint64_t)time(NULL) / 86400 * 1000000;
            options.count = number_of(*++next);
        } else if (strcmp(*next, "--seconds") == 0) {
            options.seconds = number_of(*++next);
        } else if (strcmp(*next, "--bug") == 0) {
            options.bug = bug_of(*++next);
        } else if (strcmp(*next, "--file") == 0) {
            options.file = *++next;
        } else if (strcmp(*next, "--no-gate") == 0) {
            options.gate = false;
        } else if (strcmp(*next, "--once") == 0) {
            options.twice = false;
        } else if (strcmp(*next, "--here") == 0) {
            options.here = true;
        } else if (strcmp(*next, "--worker") == 0) {
            options.worker = true;
        } else if (strcmp(*next, "--verbose") == 0) {
            options.verbose = true;
        } else {
            fprintf(stderr, "sim: %s?\n", *next);
            exit(2);
        }
    }
    return options;
}

static void seed_add(struct options *options, uint64_t seed)
{
    if (options->seed_count == options->seed_room) {
        options->seed_room = options->seed_room > 0 ? options->seed_room * 2 : 256;
        options->seeds = realloc(options->seeds, options->seed_room * sizeof(*options->seeds));
        CHECK(options->seeds != NULL);
    }
    options->seeds[options->seed_count++] = seed;
}

/* The seeds of the file, a line each, with a comment behind the number; then the others. */
static void seeds_list(struct options *options)
{
    FILE *file = options->file != NULL ? fopen(options->file, "r") : NULL;
    char line[200];

    if (options->file != NULL && file == NULL) {
        fprintf(stderr, "sim: %s is not there\n", options->file);
        exit(2);
    }
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end != line)
            seed_add(options, seed);
    }
    if (file != NULL)
        fclose(file);
    for (uint64_t i = 0; i < options->count; i++)
        seed_add(options, options->from + i);
}

/* Here and now, for a debugger and for --verbose. */
static void run_here(const struct options *options, struct campaign_result *sum)
{
    for (uint64_t i = 0; i < options->seed_count; i++) {
        struct sim_result result;
        sim_run(options->seeds[i], options->bug, options->gate, options->verbose, &result);
        printf("seed %llu: hash %016llx %s\n", (unsigned long long)result.seed,
               (unsigned long long)result.hash, result.good ? "good" : result.failure);
        sum->ran++;
        sum->failed += !result.good;
        sum->stats = result.stats;
    }
}

static void stats_print(const struct options *options, const struct campaign_result *result)
{
    printf("%s: %llu seeds, %llu failed; virtual %.1f h", bug_names[options->bug],
           (unsigned long long)result->ran, (unsigned long long)result->failed,
           (double)result->stats.virtual_ms / 3600e3);
#define PRINT(name, sometimes) printf(", %llu " #name, (unsigned long long)result->stats.name);
    SIM_STATS(PRINT)
#undef PRINT
    printf("\n");
}

/* A long campaign in which something never happened has shown nothing of it. */
static bool is_toothless(const struct campaign_result *result)
{
    bool toothless = false;

    if (result->ran < TOOTH_SEEDS)
        return false;
#define LOOK(name, sometimes)                                                                  \
    if (sometimes && result->stats.name == 0) {                                                \
        printf("toothless: no " #name "\n");                                                   \
        toothless = true;                                                                      \
    }
    SIM_STATS(LOOK)
#undef LOOK
    return toothless;
}

int main(int argc, char **argv)
{
    static char worker[] = "--worker";
    struct options options = options_of(argv);
    struct campaign_result result = {0};
    struct campaign campaign = {.twice = options.twice && options.bug == BUG_NONE,
                                .until_failed = options.bug != BUG_NONE,
                                .seconds = options.seconds};

    /* Disks that fail are meant to: not even errors are logged. */
    log_init("sim", options.verbose ? LOG_LEVEL_INFO : (enum log_level)(LOG_LEVEL_ERROR + 1),
             false);
    if (options.worker) {
        campaign_work(options.bug, options.gate);
        return 0;
    }
    seeds_list(&options);
    printf("%llu seeds from %llu\n", (unsigned long long)options.seed_count,
           (unsigned long long)options.from);
    if (options.verbose || options.here) {
        run_here(&options, &result);
    } else {
        campaign.seeds = options.seeds;
        campaign.count = options.seed_count;
        campaign.arguments = calloc((size_t)argc + 2, sizeof(char *));
        CHECK(campaign.arguments != NULL);
        memcpy(campaign.arguments, argv, (size_t)argc * sizeof(char *));
        campaign.arguments[argc] = worker;
        fflush(stdout);
        campaign_run(&campaign, &result);
        free(campaign.arguments);
    }
    free(options.seeds);
    stats_print(&options, &result);
    if (options.bug != BUG_NONE)
        return result.failed == 0;
    return result.failed > 0 || is_toothless(&result);
}
