/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim --seeds FROM COUNT [--bug NAME] [--no-gate] [--verbose]
 * sim --fresh COUNT --seconds LIMIT [--file SEEDS]   seeds from today's date, and the file's
 * Exit 0 when no seed failed; with --bug, when at least one did.
 */
#include <stdlib.h>
#include <time.h>

#include "node/base/log.h"
#include "sim.h"

static const char *const bug_names[BUG_COUNT] = {"none",
                                                 "persisted-before-durable",
                                                 "vote-not-durable",
                                                 "ack-before-apply",
                                                 "wrong-site",
                                                 "stale-read",
                                                 "uid-reused-after-failover",
                                                 "dedupe-forgotten-after-transfer",
                                                 "expunge-resurrected",
                                                 "quota-drift"};

struct options {
    uint64_t from;
    uint64_t count;
    uint64_t seconds;
    enum bug bug;
    bool gate;
    bool verbose;
    const char *file;
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
    struct options options = {.gate = true};
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
        } else if (strcmp(*next, "--verbose") == 0) {
            options.verbose = true;
        } else {
            fprintf(stderr, "sim: %s?\n", *next);
            exit(2);
        }
    }
    return options;
}

/* Every so often a seed runs twice: the same must happen. */
static bool run_one(const struct options *options, uint64_t seed, bool twice,
                    struct stats *stats)
{
    uint64_t hash;
    uint64_t again;
    bool good = sim_run(seed, options->bug, options->gate, options->verbose, stats, &hash);
    if (options->verbose)
        printf("seed %llu hash %016llx %s\n", (unsigned long long)seed,
               (unsigned long long)hash, good ? "good" : "BAD");
    if (!twice)
        return good;
    good = sim_run(seed, options->bug, options->gate, false, stats, &again) && good;
    if (hash != again) {
        printf("seed %llu is not deterministic\n", (unsigned long long)seed);
        return false;
    }
    return good;
}

static uint64_t run_file(const struct options *options, struct stats *stats, uint64_t *ran)
{
    FILE *file = fopen(options->file, "r");
    char line[200];
    uint64_t failed = 0;
    if (file == NULL) {
        fprintf(stderr, "sim: %s is not there\n", options->file);
        exit(2);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end == line)
            continue;
        failed += !run_one(options, seed, true, stats);
        ++*ran;
    }
    fclose(file);
    return failed;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct options options = options_of(argv);
    struct stats stats = {0};
    uint64_t failed = 0;
    uint64_t ran = 0;
    struct timespec start;
    struct timespec now;
    log_init("sim", options.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, false);
    clock_gettime(CLOCK_MONOTONIC, &start);
    printf("seeds from %llu\n", (unsigned long long)options.from);
    if (options.file != NULL)
        failed += run_file(&options, &stats, &ran);
    for (uint64_t i = 0; i < options.count; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (options.seconds > 0 && (uint64_t)(now.tv_sec - start.tv_sec) >= options.seconds)
            break;
        failed += !run_one(&options, options.from + i, i % 16 == 0, &stats);
        ran++;
        fflush(stdout);
    }
    printf(
        "%s: %llu seeds, %llu failed; virtual %.1f h, %llu steps, %llu frames, %llu crashes, "
        "%llu elections, %llu commits, %llu acknowledged, %llu unknown, %llu refused, "
        "%llu reads, %llu changes, %llu transfers, %llu trims, %llu large, "
        "%llu single-site; state: %llu fetches, %llu resumed, %llu failed, %llu whole, "
        "%llu log resets, %llu leaders without\n",
        bug_names[options.bug], (unsigned long long)ran, (unsigned long long)failed,
        (double)stats.virtual_ms / 3600e3, (unsigned long long)stats.steps,
        (unsigned long long)stats.frames, (unsigned long long)stats.crashes,
        (unsigned long long)stats.elections, (unsigned long long)stats.commits,
        (unsigned long long)stats.acknowledged, (unsigned long long)stats.unknown,
        (unsigned long long)stats.refused, (unsigned long long)stats.reads,
        (unsigned long long)stats.changes, (unsigned long long)stats.transfers,
        (unsigned long long)stats.trims, (unsigned long long)stats.large,
        (unsigned long long)stats.single_site, (unsigned long long)stats.fetches,
        (unsigned long long)stats.fetches_resumed, (unsigned long long)stats.fetches_failed,
        (unsigned long long)stats.fetched, (unsigned long long)stats.resets,
        (unsigned long long)stats.stateless_leaders);
    return options.bug == BUG_NONE ? failed > 0 : failed == 0;
}
