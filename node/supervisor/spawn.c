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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/process.h"
#include "node/supervisor/supervisor.h"

enum { STATUS_CANNOT_RUN = 127, INHERITED_MAX = LISTENERS_MAX + 3 };

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

/* What the child is given; -1: not. */
struct gifts {
    const char *listen;
    int ready_fd;
    int tls_fd;
    int keys_fd;
    unsigned index;
};

/* The supervisor's environment without what is for itself, and with what is for the child. */
static char **make_environment(struct plan *plan, const struct gifts *gifts)
{
    size_t count = 0, used = 0;

    while (environ[count] != NULL)
        count++;
    char **made = arena_alloc(&plan->arena, (count + 6) * sizeof(char *));
    for (size_t i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            made[used++] = environ[i];
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_READY_FD=%d", gifts->ready_fd);
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_INDEX=%u", gifts->index);
    made[used++] = arena_printf(&plan->arena, "POSTRAFT_LISTEN=%s", gifts->listen);
    if (gifts->tls_fd >= 0)
        made[used++] = arena_printf(&plan->arena, "POSTRAFT_TLS_FD=%d", gifts->tls_fd);
    if (gifts->keys_fd >= 0)
        made[used++] = arena_printf(&plan->arena, "POSTRAFT_KEYS_FD=%d", gifts->keys_fd);
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
static int make_keys_file(const struct supervisor *supervisor)
{
    struct bytes pem = supervisor->tls_pem;
    int fd = memfd_create("tls", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, pem.at, pem.len) != (ssize_t)pem.len || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Nobody listens at our end: what a captured program says is not even received. */
static bool make_keys_way(int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    shutdown(pair[0], SHUT_RD);
    return true;
}

static void close_all(const int *fds, unsigned count)
{
    int error = errno;

    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    errno = error;
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

static void plan_make(const struct supervisor *supervisor, const struct spawn *spawn,
                      struct plan *plan, struct gifts *gifts)
{
    const struct role *role = spawn->role;
    const int given[] = {gifts->ready_fd, gifts->tls_fd, gifts->keys_fd};
    const char *arguments[] = {role->program, "--config", supervisor->config_path, NULL};

    for (unsigned i = 0; i < sizeof(given) / sizeof(*given); i++)
        if (given[i] >= 0)
            plan->inherited[plan->inherited_count++] = given[i];
    gifts->listen = hand_listeners(supervisor, role, plan);
    gifts->index = spawn->index;
    plan->path =
        arena_printf(&plan->arena, "%s/%s", supervisor->folder_of_programs, role->program);
    plan->arguments = arena_alloc(&plan->arena, sizeof(arguments));
    for (unsigned i = 0; arguments[i] != NULL; i++)
        plan->arguments[i] = arena_string(&plan->arena, bytes_of(arguments[i]));
    plan->environment = make_environment(plan, gifts);
    plan->identity = spawn->identity;
    plan->parent = getpid();
}

static pid_t spawn_planned(const struct supervisor *supervisor, const struct spawn *spawn,
                           struct plan *plan, struct spawn_ends *ends)
{
    int ready[2] = {-1, -1}, keys[2] = {-1, -1};
    struct gifts gifts = {.tls_fd = -1};
    bool good = pipe2(ready, O_CLOEXEC) == 0;

    if (spawn->role->has_files)
        good = good && make_keys_way(keys) && (gifts.tls_fd = make_keys_file(supervisor)) >= 0;
    gifts.ready_fd = ready[1];
    gifts.keys_fd = keys[1];
    if (good)
        plan_make(supervisor, spawn, plan, &gifts);
    pid_t pid = good ? fork() : -1;
    if (pid == 0)
        run(plan);
    close_all((const int[]){ready[1], keys[1], gifts.tls_fd}, 3);
    if (pid > 0)
        *ends = (struct spawn_ends){ready[0], keys[0]};
    else
        close_all((const int[]){ready[0], keys[0]}, 2);
    return pid;
}

pid_t spawn_program(const struct supervisor *supervisor, const struct spawn *spawn,
                    struct spawn_ends *ends)
{
    struct plan plan = {.inherited_count = 0};

    arena_init(&plan.arena);
    pid_t pid = spawn_planned(supervisor, spawn, &plan, ends);
    if (pid < 0)
        log_error(NULL, "cannot start a process",
                  LOG_FIELDS(LOG_TEXT("program", spawn->role->program),
                             LOG_TEXT("reason", strerror(errno))));
    arena_fini(&plan.arena);
    return pid;
}

static bool send_file(int keys_fd, char kind, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec part = {&kind, 1};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    bool sent = sendmsg(keys_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
    if (!sent)
        log_error(
            NULL, "a program does not take a new file",
            LOG_FIELDS(LOG_TEXT("file", kind == PROCESS_FILE_KEYS ? "keys" : "network map"),
                       LOG_TEXT("reason", strerror(errno))));
    close(fd);
    return sent;
}

bool spawn_send_keys(const struct supervisor *supervisor, int keys_fd)
{
    int fd = make_keys_file(supervisor);

    return fd >= 0 && send_file(keys_fd, PROCESS_FILE_KEYS, fd);
}

/* Opened for each anew: a descriptor's position is shared. */
bool spawn_send_map(const struct supervisor *supervisor, int keys_fd)
{
    int fd = open(supervisor->config.network_map_file, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && send_file(keys_fd, PROCESS_FILE_MAP, fd);
}
