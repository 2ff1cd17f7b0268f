/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_SUPERVISOR_SUPERVISOR_H
#define NODE_SUPERVISOR_SUPERVISOR_H

#include <sys/types.h>

#include "node/base/arena.h"
#include "node/runtime/config.h"
#include "node/runtime/loop.h"

/*
 * postraftd: binds the node's ports, starts its programs, starts again what ends by itself, and
 * stops them in order. It is the only process of a node that may be root, so it reads nothing
 * that comes from a network, and it forks, so it uses no threads (and no nng).
 */
enum {
    STATUS_GOOD = 0,
    STATUS_FAILED = 1,
    STATUS_OF_CONFIGURATION = 2, /* of a child too: starting again would not help */
};

enum { LISTENERS_MAX = 3 * CONFIG_ADDRESSES_MAX };

struct listener {
    const char *name; /* "smtp", "imap", "imaps" */
    int fd;
};

/* Who a program runs as. `change` is false when it is who runs postraftd anyway. */
struct identity {
    bool change;
    uid_t uid;
    gid_t gid;
};

/* What a program of a node is; one row each, in the order in which they start. */
struct role {
    const char *program;
    const char *listens[3]; /* the listeners that it is handed, ends with NULL */
    bool front_end;         /* speaks to clients: gets TLS keys, is stopped first */
    size_t user_offset;     /* of a const char * in struct config */
    size_t count_offset;    /* of an unsigned; 0: one */
};
extern const struct role roles[];
extern const unsigned roles_count;

struct supervisor {
    struct arena arena; /* as long as the process */
    struct loop *loop;
    const char *config_path; /* absolute */
    struct config config;
    const char *folder_of_programs;
    struct listener listeners[LISTENERS_MAX];
    unsigned listeners_count;
    struct bytes tls_pem; /* chain and key */
    struct child *children;
    unsigned children_count;
    int pid_file;
    bool announced; /* READY was sent */
    bool stopping;
    bool stopping_store;
    struct loop_timer *kill_timer;
    int status;
};

/* users.c */
/* False, with the reason logged, when there is no such user or only root could change to it. */
bool identity_of(const char *user, struct identity *identity);
/* The same for all users of the configuration. */
bool users_known(const struct config *config);

/* folders.c */
/* The run folder (0755, the store's), the data folder (0700, the store's) and the pid file.
 * False, with the reason logged, also when another postraftd has them. */
bool folders_prepare(struct supervisor *supervisor);
void folders_leave(struct supervisor *supervisor);

/* listeners.c */
bool listeners_bind(struct supervisor *supervisor);

/* tls_files.c */
/* The configured certificate and key, else a self-signed pair that is kept in the data folder.
 */
bool tls_files_read(struct supervisor *supervisor);

/* notify.c */
/* Tells systemd, if it is there: "READY=1", "STATUS=...". */
void notify(const char *state);

/* spawn.c */
struct spawn {
    const struct role *role;
    unsigned index;
    struct identity identity;
};
/* Returns the process id, and in *ready_fd the end of a pipe that gets a byte when the program
 * serves; -1 when the machine has no room for another process. */
pid_t spawn_program(const struct supervisor *supervisor, const struct spawn *spawn,
                    int *ready_fd);

/* children.c */
/* Makes the children that the configuration wants, and starts the first of them. */
bool children_start(struct supervisor *supervisor);
/* Stops all, front ends first; the loop is stopped when the last is gone. */
void children_stop(struct supervisor *supervisor, int status);
/* After SIGCHLD. */
void children_reap(struct supervisor *supervisor);

#endif
