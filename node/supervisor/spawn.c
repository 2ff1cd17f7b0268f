/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

enum { STATUS_CANNOT_RUN = 127, INHERITED_MAX = LISTENERS_MAX + 2 };

/* All that the child needs, made before the fork: behind it nothing may be allocated. */
struct plan {
    struct arena arena;
    const char *path;
    char **arguments;
    char **environment;
    int inherited[INHERITED_MAX];
    unsigned inherited_count;
    struct identity identity;
    pid_t parent;
};

static bool is_ours(const char *variable)
{
    return strncmp(variable, "POSTRAFT_", strlen("POSTRAFT_")) == 0 ||
           strncmp(variable, "NOTIFY_SOCKET=", strlen("NOTIFY_SOCKET=")) == 0;
}

/* The supervisor's environment without what is for itself, and with what is for the child. */
static char **make_environment(struct plan *plan, const char *listen, int ready_fd, int tls_fd,
                               unsigned index)
{
    size_t count = 0, used = 0;

    while (environ[count] != NULL)
        count++;
    char **made = arena_alloc(&plan->arena, (count + 5) * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            made[used++] = environ[i];
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_READY_FD=%d", ready_fd);
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_INDEX=%u", index);
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_LISTEN=%s", listen);
    if (tls_fd >= 0)
        made[used++] = arena_printf(&plan->arena, "POSTRAFT_TLS_FD=%d", tls_fd);
    return made;
}

/* "smtp=5,smtp=6" */
static const char *hand_listeners(const struct supervisor *supervisor, const struct role *role,
                                  struct plan *plan)
{
    const char *text = "";

    for (unsigned i = 0; i < supervisor->listeners_count; i++) {
        const struct listener *listener = &supervisor->listeners[i];
        for (unsigned j = 0; role->listens[j] != NULL; j++) {
            if (strcmp(role->listens[j], listener->name) != 0)
                continue;
            text = arena_printf(&plan->arena, "%s%s%s=%d", text, text[0] != '\0' ? "," : "",
                                listener->name, listener->fd);
            plan->inherited[plan->inherited_count++] = listener->fd;
        }
    }
    return text;
}

/* A file of its own for every child, in memory: a descriptor's position is shared. */
static int hand_tls(const struct supervisor *supervisor, struct plan *plan)
{
    struct bytes pem = supervisor->tls_pem;
    int fd = memfd_create("tls", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, pem.at, pem.len) != (ssize_t)pem.len || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    plan->inherited[plan->inherited_count++] = fd;
    return fd;
}

/* In the child. Only what may follow a fork; a failure is the exit status. */
static _Noreturn void run(const struct plan *plan)
{
    sigset_t none;
    struct sigaction plain = {.sa_handler = SIG_DFL};
    int null = open("/dev/null", O_RDONLY);

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(077);
    bool good = chdir("/") == 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0;
    if (null > STDERR_FILENO)
        close(null);
    for (unsigned i = 0; i < plan->inherited_count; i++)
        good = good && fcntl(plan->inherited[i], F_SETFD, 0) == 0;
    if (plan->identity.change)
        good = good && setgroups(1, &plan->identity.gid) == 0 &&
               setresgid(plan->identity.gid, plan->identity.gid, plan->identity.gid) == 0 &&
               setresuid(plan->identity.uid, plan->identity.uid, plan->identity.uid) == 0;
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    /* Behind the change of user, which clears it. */
    good = good && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == plan->parent;
    if (good)
        execve(plan->path, plan->arguments, plan->environment);
    _exit(STATUS_CANNOT_RUN);
}

static pid_t spawn_planned(const struct supervisor *supervisor, const struct spawn *spawn,
                           struct plan *plan, int *ready_fd)
{
    const struct role *role = spawn->role;
    int ready[2], tls_fd = -1;

    if (pipe2(ready, O_CLOEXEC) != 0)
        return -1;
    plan->inherited[plan->inherited_count++] = ready[1];
    const char *listen = hand_listeners(supervisor, role, plan);
    if (role->front_end)
        tls_fd = hand_tls(supervisor, plan);
    plan->path =
        arena_printf(&plan->arena, "%s/%s", supervisor->folder_of_programs, role->program);
    const char *arguments[] = {role->program, "--config", supervisor->config_path, NULL};
    plan->arguments = arena_alloc(&plan->arena, sizeof(arguments));
    for (unsigned i = 0; arguments[i] != NULL; i++)
        plan->arguments[i] = arena_string(&plan->arena, bytes_of(arguments[i]));
    plan->environment = make_environment(plan, listen, ready[1], tls_fd, spawn->index);
    plan->identity = spawn->identity;
    plan->parent = getpid();
    pid_t pid = role->front_end && tls_fd < 0 ? -1 : fork();
    if (pid == 0)
        run(plan);
    int error = errno;
    close(ready[1]);
    if (tls_fd >= 0)
        close(tls_fd);
    if (pid > 0)
        *ready_fd = ready[0];
    else
        close(ready[0]);
    errno = error;
    return pid;
}

pid_t spawn_program(const struct supervisor *supervisor, const struct spawn *spawn,
                    int *ready_fd)
{
    struct plan plan = {.inherited_count = 0};

    arena_init(&plan.arena);
    pid_t pid = spawn_planned(supervisor, spawn, &plan, ready_fd);
    if (pid < 0)
        log_error(NULL, "cannot start a process",
                  LOG_FIELDS(LOG_TEXT("program", spawn->role->program),
                             LOG_TEXT("reason", strerror(errno))));
    arena_fini(&plan.arena);
    return pid;
}
