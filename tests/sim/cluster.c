/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * raft_cluster FOLDER [--bench] [--groups N] [--depth N] [--size BYTES] [--seconds N] [--port
 * N] Three processes on loopback under load. Without --bench the leader of group 0 is killed
 * with -9 three times; in the end all nodes must have applied the same, nothing twice, and at
 * least what was acknowledged. With --bench it prints what was reached.
 */
#include "cluster.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include <stdio.h>

enum { DEADLINE_MS = 30000, POLL_MS = 20, KILLS = 3 };

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static pid_t node_start(struct cluster *cluster, unsigned number)
{
    struct shared_node *shared = &cluster->shared->nodes[number];
    /* Its machine is in memory: it applies the log from the start. */
    for (unsigned i = 0; i < CLUSTER_GROUPS_MAX; i++) {
        shared->groups[i].applied = 0;
        shared->groups[i].hash = 0;
        shared->groups[i].commands = 0;
        shared->groups[i].leader = 0;
    }
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        cluster_node_run(cluster, number);
    return pid;
}

static bool all_voters(struct cluster *cluster)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        for (unsigned g = 0; g < cluster->options.groups; g++)
            if (cluster->shared->nodes[i].groups[g].voters != CLUSTER_NODES)
                return false;
    return true;
}

static bool all_equal(struct cluster *cluster)
{
    for (unsigned g = 0; g < cluster->options.groups; g++) {
        const struct shared_group *first = &cluster->shared->nodes[0].groups[g];
        for (unsigned i = 1; i < CLUSTER_NODES; i++) {
            const struct shared_group *other = &cluster->shared->nodes[i].groups[g];
            if (first->applied != other->applied || first->hash != other->hash)
                return false;
        }
    }
    return true;
}

static bool wait_for(struct cluster *cluster, bool (*condition)(struct cluster *cluster))
{
    for (uint64_t end = now_ms() + DEADLINE_MS; now_ms() < end; pause_ms(POLL_MS))
        if (condition(cluster))
            return true;
    return false;
}

static uint64_t acknowledged(struct cluster *cluster)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        sum += cluster->shared->nodes[i].acknowledged;
    return sum;
}

static uint64_t acknowledged_before;

static bool some_more(struct cluster *cluster)
{
    return acknowledged(cluster) > acknowledged_before + 500;
}

static uint64_t group_acknowledged(struct cluster *cluster, unsigned group)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        sum += cluster->shared->nodes[i].groups[group].acknowledged;
    return sum;
}

/* Kills it, and sees how long the groups that it led take nothing. */
static bool kill_and_watch(struct cluster *cluster, pid_t pid, unsigned victim)
{
    uint64_t before[CLUSTER_GROUPS_MAX] = {0};
    bool led[CLUSTER_GROUPS_MAX] = {false};
    unsigned left = 0;
    for (unsigned g = 0; g < cluster->options.groups; g++) {
        led[g] = cluster->shared->nodes[victim].groups[g].leader == victim + 1;
        left += led[g];
    }
    unsigned count = left;
    uint64_t start = now_ms();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (unsigned g = 0; g < cluster->options.groups; g++)
        before[g] = group_acknowledged(cluster, g);
    for (uint64_t end = start + DEADLINE_MS; left > 0 && now_ms() < end; pause_ms(1))
        for (unsigned g = 0; g < cluster->options.groups; g++)
            if (led[g] && group_acknowledged(cluster, g) > before[g]) {
                led[g] = false;
                left--;
            }
    printf("%u groups led by node %u took commands again after %llu ms\n", count, victim + 1,
           (unsigned long long)(now_ms() - start));
    return left == 0;
}

static bool load_and_kill(struct cluster *cluster, pid_t *pids)
{
    for (unsigned i = 0; i < KILLS; i++) {
        acknowledged_before = acknowledged(cluster);
        if (!wait_for(cluster, some_more)) {
            printf("FAILED: no progress\n");
            return false;
        }
        unsigned victim = 0;
        for (unsigned n = 0; n < CLUSTER_NODES; n++)
            if (cluster->shared->nodes[n].groups[0].leader == n + 1)
                victim = n;
        printf("kill node %u after %llu acknowledged\n", victim + 1,
               (unsigned long long)acknowledged(cluster));
        bool on = kill_and_watch(cluster, pids[victim], victim);
        acknowledged_before = acknowledged(cluster);
        if (!on || !wait_for(cluster, some_more)) {
            printf("FAILED: the others do not go on\n");
            return false;
        }
        pids[victim] = node_start(cluster, victim);
    }
    acknowledged_before = acknowledged(cluster);
    return wait_for(cluster, some_more);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void bench(struct cluster *cluster)
{
    const struct cluster_options *options = &cluster->options;
    pause_ms(1000);
    uint64_t before = acknowledged(cluster);
    uint64_t start = now_ms();
    pause_ms((long)options->seconds * 1000);
    uint64_t count = acknowledged(cluster) - before;
    double seconds = (double)(now_ms() - start) / 1000;
    uint32_t *all = NULL;
    size_t len = 0;
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        size_t more = cluster->shared->nodes[i].latencies_count;
        all = realloc(all, (len + more + 1) * sizeof(*all));
        CHECK(all != NULL);
        memcpy(all + len, cluster->shared->nodes[i].latencies_us, more * sizeof(*all));
        len += more;
    }
    qsort(all, len, sizeof(*all), compare);
    printf(
        "%u groups x %u deep, %zu bytes: %.0f entries/s, %.1f MB/s, p50 %.2f ms, p99 %.2f ms\n",
        options->groups, options->depth, options->size, (double)count / seconds,
        (double)count * (double)options->size / seconds / 1e6,
        len > 0 ? all[len / 2] / 1000.0 : 0, len > 0 ? all[len * 99 / 100] / 1000.0 : 0);
    free(all);
}

static bool verdict(struct cluster *cluster)
{
    uint64_t commands = 0;
    uint64_t reads = 0;
    bool good = wait_for(cluster, all_equal);
    for (unsigned g = 0; g < cluster->options.groups; g++)
        commands += cluster->shared->nodes[0].groups[g].commands;
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        good = good && cluster->shared->nodes[i].doubled == 0;
        reads += cluster->shared->nodes[i].reads;
    }
    good = good && commands >= acknowledged(cluster) && reads > 0;
    printf("%s: %llu commands applied on each node, %llu acknowledged, %llu reads\n",
           good ? "equal" : "FAILED", (unsigned long long)commands,
           (unsigned long long)acknowledged(cluster), (unsigned long long)reads);
    return good;
}

static void options_read(struct cluster_options *options, char **next)
{
    *options = (struct cluster_options){
        .groups = 5, .depth = 16, .size = 4096, .seconds = 5, .port = 21700};
    for (; *next != NULL; next++) {
        uint64_t number = 0;
        if (strcmp(*next, "--bench") == 0) {
            options->bench = true;
        } else if (strncmp(*next, "--", 2) != 0) {
            options->folder = *next;
        } else {
            CHECK(next[1] != NULL && bytes_to_u64(bytes_of(next[1]), &number));
            if (strcmp(*next, "--groups") == 0)
                options->groups = (unsigned)number;
            else if (strcmp(*next, "--depth") == 0)
                options->depth = (unsigned)number;
            else if (strcmp(*next, "--size") == 0)
                options->size = (size_t)number;
            else if (strcmp(*next, "--seconds") == 0)
                options->seconds = (unsigned)number;
            else if (strcmp(*next, "--port") == 0)
                options->port = (unsigned)number;
            next++;
        }
    }
    CHECK(options->folder != NULL && options->groups <= CLUSTER_GROUPS_MAX &&
          options->size >= 8 && options->size <= REPLICATOR_COMMAND_SIZE_MAX);
}

static void credentials_make(struct cluster *cluster, struct arena *arena)
{
    struct bytes authority;
    struct bytes authority_key;
    tls_authority_new("test", arena, &authority, &authority_key);
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        struct tls_credentials *credentials = &cluster->credentials[i];
        struct bytes request;
        credentials->authority = authority;
        tls_request_new(arena, &credentials->key, &request);
        CHECK(tls_request_sign(authority, authority_key, request, "test", i + 1, arena,
                               &credentials->certificate) == ERR_OK);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    static struct cluster cluster;
    struct arena process_arena;
    pid_t pids[CLUSTER_NODES];
    char folder[300];
    arena_init(&process_arena);
    options_read(&cluster.options, argv + 1);
    snprintf(folder, sizeof(folder), "%s/raft_cluster.XXXXXX", cluster.options.folder);
    CHECK(mkdtemp(folder) != NULL);
    cluster.options.folder = folder;
    cluster.shared = mmap(NULL, sizeof(*cluster.shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(cluster.shared != MAP_FAILED);
    credentials_make(&cluster, &process_arena);
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        pids[i] = node_start(&cluster, i);
    bool good = wait_for(&cluster, all_voters);
    if (!good)
        printf("FAILED: the groups do not grow to three voters\n");
    cluster.shared->load = true;
    if (good && cluster.options.bench)
        bench(&cluster);
    else if (good)
        good = load_and_kill(&cluster, pids);
    cluster.shared->load = false;
    good = good && verdict(&cluster);
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    char command[400];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    arena_fini(&process_arena);
    return good ? 0 : 1;
}
