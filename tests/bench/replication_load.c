/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Committed entries a second through the product's log, transport and replicator: a process for
 * each node, this one is node 1, leads all groups and keeps `depth` proposals under way in
 * each. Prints JSON. With --total-mb: until so much was written, with the rate of each
 * --step-mb. With
 * --catch-up-mb: node N is away while so much is written, then it comes back.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/check.h"
#include "tests/bench/replication_node.h"

enum { SAMPLES_MAX = 4 * 1024 * 1024, CASES_MAX = 2, STEPS_MAX = 1024, SETUP_MS = 60000 };

enum phase { SETUP, WARM_UP, MEASURE, AWAY, RETURN, END };

struct slot {
    struct load *load;
    uint32_t group;
    uint64_t started_ns;
};

struct load {
    struct node_options options;
    unsigned size;
    unsigned depth;
    unsigned seconds;
    uint64_t total_bytes;
    uint64_t step_bytes;
    uint64_t catch_up_bytes;
    struct node *node;
    pid_t children[NODES_MAX + 1];
    const char *program;
    uint8_t *entry;
    enum phase phase;
    uint64_t phase_since_ns;
    struct slot *slots;
    unsigned under_way;
    uint32_t *latencies_us;
    size_t samples;
    uint64_t committed; /* in this phase */
    uint64_t bytes;     /* in this phase */
    uint64_t refused;
    uint64_t step_since_ns;
    unsigned step_count;
    double steps[STEPS_MAX]; /* MB/s */
    uint64_t catch_up_ns;
    uint64_t member_next; /* setup: member to be added, and its role */
    uint32_t group_next;
    bool promote;
};

static void phase_begin(struct load *load, enum phase phase)
{
    load->phase = phase;
    load->phase_since_ns = clock_monotonic_ns();
    load->committed = load->bytes = load->samples = 0;
}

/* ---- the other nodes ---- */

static void child_start(struct load *load, unsigned node)
{
    char words[8][32];
    const struct node_options *options = &load->options;

    snprintf(words[0], 32, "%u", node);
    snprintf(words[1], 32, "%u", options->nodes);
    snprintf(words[2], 32, "%u", options->groups);
    snprintf(words[3], 32, "%u", options->port);
    snprintf(words[4], 32, "%u", options->delay_ms);
    snprintf(words[5], 32, "%llu", (unsigned long long)(options->retain_bytes >> 20));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(load->program, load->program, "--node", words[0], "--nodes", words[1], "--groups",
              words[2], "--port", words[3], "--delay-ms", words[4], "--retain-mb", words[5],
              "--folder", options->folder, (char *)NULL);
        _exit(127);
    }
    load->children[node] = pid;
}

static void child_end(struct load *load, unsigned node)
{
    kill(load->children[node], SIGKILL);
    while (waitpid(load->children[node], NULL, 0) < 0 && errno == EINTR)
        ;
}

/* ---- load ---- */

static void slot_next(struct slot *slot);

static void finish(struct load *load)
{
    phase_begin(load, END);
    loop_stop(node_loop(load->node));
}

static bool caught_up(struct load *load)
{
    struct replicator_status status;

    for (uint32_t group = 1; group <= load->options.groups; group++) {
        if (!replicator_status(node_replicator(load->node), group, &status))
            return false;
        for (unsigned i = 0; i < status.member_count; i++)
            if (status.members[i].node_id == load->options.nodes &&
                status.match[i] + 2 * load->depth < status.commit_index)
                return false;
    }
    return true;
}

static void step_report(struct load *load, uint64_t now)
{
    double seconds = (double)(now - load->step_since_ns) / 1e9;

    if (load->step_count < STEPS_MAX)
        load->steps[load->step_count++] = (double)load->step_bytes / 1e6 / seconds;
    load->step_since_ns = now;
}

/* What a committed entry, or a tick of the clock, leads to. */
static void phase_check(struct load *load, uint64_t now)
{
    uint64_t age_ns = now - load->phase_since_ns;

    switch (load->phase) {
    case WARM_UP:
        if (age_ns < 1000000000)
            return;
        if (load->catch_up_bytes > 0)
            child_end(load, load->options.nodes);
        phase_begin(load, load->catch_up_bytes > 0 ? AWAY : MEASURE);
        load->step_since_ns = now;
        return;
    case MEASURE:
        if (load->total_bytes == 0 ? age_ns >= load->seconds * 1000000000ULL
                                   : load->bytes >= load->total_bytes) {
            load->catch_up_ns = age_ns;
            load->phase = END;
            loop_stop(node_loop(load->node));
        }
        return;
    case AWAY:
        if (load->bytes < load->catch_up_bytes)
            return;
        child_start(load, load->options.nodes);
        phase_begin(load, RETURN);
        return;
    case RETURN:
        if (caught_up(load)) {
            load->catch_up_ns = age_ns;
            finish(load);
        }
        return;
    case SETUP:
    case END:
        return;
    }
}

static void on_done(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct slot *slot = context;
    struct load *load = slot->load;
    uint64_t now = clock_monotonic_ns();

    (void)index;
    (void)reply;
    load->under_way--;
    if (err == ERR_OK) {
        load->committed++;
        load->bytes += load->size;
        if (load->phase == MEASURE && load->samples < SAMPLES_MAX)
            load->latencies_us[load->samples++] = (uint32_t)((now - slot->started_ns) / 1000);
        if (load->phase == MEASURE && load->step_bytes > 0 &&
            load->bytes / load->step_bytes > load->step_count)
            step_report(load, now);
    } else {
        load->refused++;
    }
    phase_check(load, now);
    slot_next(slot);
}

static void slot_next(struct slot *slot)
{
    struct load *load = slot->load;

    /* Who catches up gets what there is, not what is new. */
    if (load->phase == END || load->phase == RETURN)
        return;
    slot->started_ns = clock_monotonic_ns();
    load->under_way++;
    replicator_propose(node_replicator(load->node), slot->group,
                       bytes_from(load->entry, load->size), on_done, slot);
    loop_wake(node_loop(load->node));
}

static void load_start(struct load *load)
{
    phase_begin(load, WARM_UP);
    for (unsigned i = 0; i < load->options.groups * load->depth; i++) {
        load->slots[i] = (struct slot){.load = load, .group = 1 + i % load->options.groups};
        slot_next(&load->slots[i]);
    }
}

/* ---- members ---- */

static void member_step(struct load *load);

static void member_again(void *context)
{
    member_step(context);
}

static void on_changed(void *context, enum err err)
{
    struct load *load = context;

    if (clock_monotonic_ns() - load->phase_since_ns > SETUP_MS * 1000000ULL) {
        fprintf(stderr, "the groups do not come up: %s\n", err_name(err));
        exit(1);
    }
    if (err != ERR_OK) {
        loop_timer_start(node_loop(load->node), 100, 0, member_again, load);
        return;
    }
    if (!load->promote) {
        load->promote = true;
    } else {
        load->promote = false;
        if (load->member_next++ == load->options.nodes) {
            load->member_next = 2;
            load->group_next++;
        }
    }
    if (load->group_next > load->options.groups)
        load_start(load);
    else
        member_step(load);
}

static void member_step(struct load *load)
{
    if (load->options.nodes == 1) {
        load_start(load);
        return;
    }
    replicator_change(node_replicator(load->node), load->group_next, load->member_next,
                      load->promote ? REPLICATOR_VOTER : REPLICATOR_STANDBY, false, on_changed,
                      load);
    loop_wake(node_loop(load->node));
}

static void on_bootstrap(void *context, enum err err)
{
    struct load *load = context;

    CHECK(err == ERR_OK);
    if (load->group_next++ == load->options.groups) {
        load->group_next = 1;
        load->member_next = 2;
        member_step(load);
    }
}

static void on_tick(void *context)
{
    phase_check(context, clock_monotonic_ns());
}

/* ---- what came of it ---- */

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static double percentile_ms(const struct load *load, double part)
{
    if (load->samples == 0)
        return 0;
    return load->latencies_us[(size_t)((double)(load->samples - 1) * part)] / 1000.0;
}

static void print_result(struct load *load, uint64_t elapsed_ns)
{
    double seconds = (double)elapsed_ns / 1e9;

    qsort(load->latencies_us, load->samples, sizeof(*load->latencies_us), by_size);
    printf("{\"nodes\": %u, \"groups\": %u, \"depth\": %u, \"size\": %u, \"delay_ms\": %u, ",
           load->options.nodes, load->options.groups, load->depth, load->size,
           load->options.delay_ms);
    if (load->catch_up_bytes > 0)
        printf("\"catch_up_mb\": %.0f, \"catch_up_mb_per_s\": %.1f",
               (double)load->catch_up_bytes / 1e6,
               (double)load->catch_up_bytes / 1e6 / ((double)load->catch_up_ns / 1e9));
    else
        printf(
            "\"entries_per_s\": %.0f, \"mb_per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
            "\"refused\": %llu",
            (double)load->committed / seconds, (double)load->bytes / 1e6 / seconds,
            percentile_ms(load, 0.5), percentile_ms(load, 0.99),
            (unsigned long long)load->refused);
    if (load->step_count > 0) {
        printf(", \"mb_per_s_by_step\": [");
        for (unsigned i = 0; i < load->step_count; i++)
            printf("%s%.0f", i > 0 ? ", " : "", load->steps[i]);
        printf("]");
    }
    printf("}\n");
}

static void run_load(struct load *load)
{
    struct loop_timer *tick;

    credentials_make(load->options.folder, load->options.nodes);
    load->slots = calloc((size_t)load->options.groups * load->depth, sizeof(*load->slots));
    load->latencies_us = calloc(SAMPLES_MAX, sizeof(*load->latencies_us));
    load->entry = malloc(load->size);
    CHECK(load->slots != NULL && load->latencies_us != NULL && load->entry != NULL);
    for (unsigned i = 0; i < load->size; i++)
        load->entry[i] = (uint8_t)(i * 2654435761U >> 13);
    for (unsigned node = 2; node <= load->options.nodes; node++)
        child_start(load, node);
    load->node = node_open(&load->options);
    phase_begin(load, SETUP);
    load->group_next = 1;
    for (uint32_t group = 1; group <= load->options.groups; group++)
        replicator_group_bootstrap(node_replicator(load->node), group, on_bootstrap, load);
    tick = loop_timer_start(node_loop(load->node), 10, 10, on_tick, load);
    loop_run(node_loop(load->node));
    print_result(load, clock_monotonic_ns() - load->phase_since_ns);
    fflush(stdout);
    loop_timer_stop(&tick);
    for (unsigned node = 2; node <= load->options.nodes; node++)
        child_end(load, node);
    _exit(0); /* what is under way does not matter */
}

static void run_node(const struct node_options *options)
{
    struct node *node = node_open(options);

    for (uint32_t group = 1; group <= options->groups; group++)
        CHECK(replicator_group_join(node_replicator(node), group) == ERR_OK);
    loop_run(node_loop(node));
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"node", required_argument, NULL, 'i'},
                                          {"nodes", required_argument, NULL, 'n'},
                                          {"groups", required_argument, NULL, 'g'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"delay-ms", required_argument, NULL, 'l'},
                                          {"retain-mb", required_argument, NULL, 'r'},
                                          {"folder", required_argument, NULL, 'f'},
                                          {"size", required_argument, NULL, 's'},
                                          {"depth", required_argument, NULL, 'd'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"total-mb", required_argument, NULL, 'T'},
                                          {"step-mb", required_argument, NULL, 'S'},
                                          {"catch-up-mb", required_argument, NULL, 'c'},
                                          {NULL, 0, NULL, 0}};
    static struct load load = {
        .options = {.node_id = 1, .nodes = 3, .groups = 1, .retain_bytes = 64 << 20},
        .size = 4096,
        .depth = 16,
        .seconds = 5,
    };
    int option;

    load.program = argv[0];
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
        switch (option) {
        case 'i':
            load.options.node_id = number;
            break;
        case 'n':
            load.options.nodes = (unsigned)number;
            break;
        case 'g':
            load.options.groups = (unsigned)number;
            break;
        case 'p':
            load.options.port = (unsigned)number;
            break;
        case 'l':
            load.options.delay_ms = (unsigned)number;
            break;
        case 'r':
            load.options.retain_bytes = number << 20;
            break;
        case 'f':
            load.options.folder = optarg;
            break;
        case 's':
            load.size = (unsigned)number;
            break;
        case 'd':
            load.depth = (unsigned)number;
            break;
        case 't':
            load.seconds = (unsigned)number;
            break;
        case 'T':
            load.total_bytes = number << 20;
            break;
        case 'S':
            load.step_bytes = number << 20;
            break;
        case 'c':
            load.catch_up_bytes = number << 20;
            break;
        default:
            return 2;
        }
    }
    if (load.options.folder == NULL || load.options.port == 0 || load.depth == 0 ||
        load.size == 0) {
        fprintf(stderr, "needs --folder, --port, --depth and --size\n");
        return 2;
    }
    if (load.options.node_id == 1)
        run_load(&load);
    run_node(&load.options);
    return 0;
}
