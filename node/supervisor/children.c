/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

enum {
    RESTART_FIRST_MS = 500, /* the second time; the first restart is at once */
    RESTART_MAX_MS = 30000,
    LIFE_GOOD_MS = 60000, /* who lived so long starts again at once */
    STOP_FRONT_ENDS_MS = 10000,
    STOP_STORE_MS = 25000, /* it hands its leaderships over */
    STATUS_CANNOT_RUN = 127,
};

const struct role roles[] = {
    {.program = "postraft-store", .user_offset = offsetof(struct config, user_store)},
    {.program = "postraft-smtp",
     .listens = {"smtp", "submission", "submissions", "lmtp"},
     .front_end = true,
     .has_files = true,
     .user_offset = offsetof(struct config, user_smtp),
     .count_offset = offsetof(struct config, processes_smtp)},
    {.program = "postraft-imap",
     .listens = {"imap", "imaps"},
     .front_end = true,
     .has_files = true,
     .user_offset = offsetof(struct config, user_imap),
     .count_offset = offsetof(struct config, processes_imap)},
    {.program = "postraft-relay",
     .front_end = true,
     .user_offset = offsetof(struct config, user_relay),
     .count_offset = offsetof(struct config, processes_relay)},
};
const unsigned roles_count = sizeof(roles) / sizeof(roles[0]);

/* Idle (pid 0, no timer), waiting to start (timer), starting (pid, not ready), or serving. */
struct child {
    struct supervisor *supervisor;
    struct spawn spawn;
    pid_t pid;
    bool ready;
    struct spawn_ends ends;
    struct loop_watch *watch;
    struct loop_timer *restart;
    uint64_t started_ms;
    unsigned failures; /* in a row */
};

static void log_child(enum log_level level, const struct child *child, const char *event)
{
    log_line(level, NULL, event,
             LOG_FIELDS(LOG_TEXT("child", child->spawn.role->program),
                        LOG_U64("index", child->spawn.index),
                        LOG_I64("pid", (int64_t)child->pid)));
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void stop_listening(struct child *child)
{
    loop_watch_stop(&child->watch);
    fd_close(&child->ends.ready_fd);
}

static void start(struct child *child);

/* The store first: front ends without it could only say "later" to their clients. */
static void start_front_ends(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->children_count; i++) {
        struct child *child = &supervisor->children[i];
        if (child->spawn.role->front_end && child->pid == 0 && child->restart == NULL)
            start(child);
    }
}

static void announce(struct supervisor *supervisor)
{
    char text[128];
    unsigned ready = 0;

    for (unsigned i = 0; i < supervisor->children_count; i++)
        ready += supervisor->children[i].ready;
    snprintf(text, sizeof(text), "STATUS=%u of %u programs serve%s", ready,
             supervisor->children_count, supervisor->stopping ? ", stopping" : "");
    notify(text);
    if (ready < supervisor->children_count || supervisor->announced || supervisor->stopping)
        return;
    supervisor->announced = true;
    notify("READY=1");
    log_info(NULL, "ready", LOG_FIELDS(LOG_U64("programs", ready)));
}

static void on_ready(void *context)
{
    struct child *child = context;
    char byte;
    ssize_t len = read(child->ends.ready_fd, &byte, 1);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    stop_listening(child);
    if (len != 1)
        return; /* it has ended, or will say nothing */
    child->ready = true;
    log_child(LOG_LEVEL_INFO, child, "child serves");
    if (!child->supervisor->stopping && !child->spawn.role->front_end)
        start_front_ends(child->supervisor);
    announce(child->supervisor);
}

static void on_restart(void *context)
{
    struct child *child = context;

    child->restart = NULL; /* it fires once */
    start(child);
}

static void start_later(struct child *child)
{
    uint64_t delay_ms = 0;

    if (child->failures > 0) {
        unsigned doublings = child->failures - 1 < 10 ? child->failures - 1 : 10;
        delay_ms = (uint64_t)RESTART_FIRST_MS << doublings;
    }
    if (delay_ms > RESTART_MAX_MS)
        delay_ms = RESTART_MAX_MS;
    child->failures++;
    log_info(NULL, "child will be started again",
             LOG_FIELDS(LOG_TEXT("child", child->spawn.role->program),
                        LOG_U64("index", child->spawn.index), LOG_U64("in_ms", delay_ms)));
    child->restart = loop_timer_start(child->supervisor->loop, delay_ms, 0, on_restart, child);
}

static void start(struct child *child)
{
    child->started_ms = clock_monotonic_ms();
    child->ready = false;
    pid_t pid = spawn_program(child->supervisor, &child->spawn, &child->ends);
    if (pid < 0) {
        start_later(child);
        return;
    }
    child->pid = pid;
    child->watch =
        loop_watch_start(child->supervisor->loop, child->ends.ready_fd, on_ready, child);
    log_child(LOG_LEVEL_INFO, child, "child started");
}

static unsigned signal_children(struct supervisor *supervisor, bool front_ends, int number)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < supervisor->children_count; i++) {
        struct child *child = &supervisor->children[i];
        if (child->spawn.role->front_end != front_ends || child->pid == 0)
            continue;
        alive++;
        kill(child->pid, number);
    }
    return alive;
}

static void on_stop_late(void *context)
{
    struct supervisor *supervisor = context;

    supervisor->kill_timer = NULL; /* it fires once */
    unsigned killed = signal_children(supervisor, !supervisor->stopping_store, SIGKILL);
    log_error(NULL, "killed what did not stop in time",
              LOG_FIELDS(LOG_U64("programs", killed)));
}

/* The next step of stopping, when the one before it is done. */
static void go_on_stopping(struct supervisor *supervisor)
{
    if (signal_children(supervisor, true, 0) > 0)
        return;
    if (!supervisor->stopping_store) {
        supervisor->stopping_store = true;
        loop_timer_stop(&supervisor->kill_timer);
        supervisor->kill_timer =
            loop_timer_start(supervisor->loop, STOP_STORE_MS, 0, on_stop_late, supervisor);
        signal_children(supervisor, false, SIGTERM);
    }
    if (signal_children(supervisor, false, 0) > 0)
        return;
    loop_timer_stop(&supervisor->kill_timer);
    loop_stop(supervisor->loop);
}

void children_stop(struct supervisor *supervisor, int status)
{
    if (status != STATUS_GOOD)
        supervisor->status = status;
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    log_info(NULL, "stopping", NULL);
    notify("STOPPING=1");
    announce(supervisor);
    for (unsigned i = 0; i < supervisor->children_count; i++)
        loop_timer_stop(&supervisor->children[i].restart);
    supervisor->kill_timer =
        loop_timer_start(supervisor->loop, STOP_FRONT_ENDS_MS, 0, on_stop_late, supervisor);
    signal_children(supervisor, true, SIGTERM);
    go_on_stopping(supervisor);
}

static void ended(struct child *child, int wait_status)
{
    bool exited = WIFEXITED(wait_status);
    int number = exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
    bool useless = exited && (number == STATUS_OF_CONFIGURATION || number == STATUS_CANNOT_RUN);
    struct supervisor *supervisor = child->supervisor;

    log_line(supervisor->stopping && exited && number == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
             NULL, "child ended",
             LOG_FIELDS(LOG_TEXT("child", child->spawn.role->program),
                        LOG_U64("index", child->spawn.index),
                        LOG_I64("pid", (int64_t)child->pid),
                        LOG_I64(exited ? "status" : "signal", number)));
    stop_listening(child);
    fd_close(&child->ends.keys_fd);
    child->pid = 0;
    child->ready = false;
    if (supervisor->stopping) {
        go_on_stopping(supervisor);
        return;
    }
    if (useless) {
        log_child(LOG_LEVEL_ERROR, child,
                  number == STATUS_CANNOT_RUN
                      ? "child cannot be run: is it installed beside postraftd, may its user?"
                      : "child refuses its configuration");
        children_stop(supervisor, STATUS_OF_CONFIGURATION);
        return;
    }
    if (clock_monotonic_ms() - child->started_ms >= LIFE_GOOD_MS)
        child->failures = 0;
    start_later(child);
    announce(supervisor);
}

void children_reap(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->children_count; i++) {
        struct child *child = &supervisor->children[i];
        int status;
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
            ended(child, status);
    }
}

unsigned children_send(struct supervisor *supervisor,
                       bool (*send)(const struct supervisor *supervisor, int keys_fd))
{
    unsigned sent = 0;

    for (unsigned i = 0; i < supervisor->children_count; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->pid != 0 && child->spawn.role->has_files)
            sent += send(supervisor, child->ends.keys_fd);
    }
    return sent;
}

unsigned children_with_users(const struct supervisor *supervisor)
{
    unsigned count = 0;

    for (unsigned i = 0; i < supervisor->children_count; i++)
        count += supervisor->children[i].spawn.identity.change;
    return count;
}

static bool has_listener(const struct supervisor *supervisor, const struct role *role)
{
    for (unsigned i = 0; i < supervisor->listeners_count; i++)
        for (unsigned j = 0; role->listens[j] != NULL; j++)
            if (strcmp(role->listens[j], supervisor->listeners[i].name) == 0)
                return true;
    return false;
}

/* How many of a role this node runs; one that listens, without a port, would have nothing to
 * do. */
static unsigned wanted(const struct supervisor *supervisor, const struct role *role)
{
    const char *config = (const char *)&supervisor->config;

    if (role->listens[0] != NULL && !has_listener(supervisor, role))
        return 0;
    return role->count_offset != 0
               ? *(const unsigned *)(const void *)(config + role->count_offset)
               : 1;
}

bool children_make(struct supervisor *supervisor)
{
    const char *config = (const char *)&supervisor->config;
    unsigned total = 0;

    for (unsigned i = 0; i < roles_count; i++)
        total += wanted(supervisor, &roles[i]);
    supervisor->children = arena_alloc(&supervisor->arena, total * sizeof(struct child));
    for (unsigned i = 0; i < roles_count; i++) {
        struct identity identity;
        const char *user = *(const char *const *)(const void *)(config + roles[i].user_offset);
        if (!identity_of(user, &identity))
            return false;
        for (unsigned index = 0; index < wanted(supervisor, &roles[i]); index++)
            supervisor->children[supervisor->children_count++] =
                (struct child){.supervisor = supervisor,
                               .spawn = {&roles[i], index, identity},
                               .ends = {-1, -1}};
    }
    CHECK(supervisor->children_count == total && total > 0);
    return true;
}

void children_start(struct supervisor *supervisor)
{
    start(&supervisor->children[0]);
}
