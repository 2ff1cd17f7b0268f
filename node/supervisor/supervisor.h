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

enum { LISTENERS_MAX = CONFIG_LISTENERS_MAX * CONFIG_ADDRESSES_MAX };

struct listener {
    const char *name; /* "smtp", "submission", "lmtp", "imaps" ... */
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
    const char *listens[5]; /* the listeners that it is handed, ends with NULL */
    bool front_end;         /* speaks to others: started behind the store, stopped first */
    bool has_files;         /* gets TLS keys, and later ones and network maps */
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
    struct arena tls_arena; /* as long as the pair */
    struct bytes tls_pem;   /* chain and key */
    struct child *children;
    unsigned children_count;
    int pid_file;
    struct identity store; /* owns the folders */
    bool announced;        /* READY was sent */
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
/* The same again, for new connections of the programs that run and all that are started. What
 * cannot be read or used changes nothing; both is logged. */
void tls_files_reload(struct supervisor *supervisor);
void tls_files_forget(struct supervisor *supervisor);

/* capabilities.c */
/* Gives up for good all that root may do, but what starting and stopping the programs needs.
 * Behind this no port can be bound and, unless some programs run as root too, no file that is
 * closed to root be read. */
bool capabilities_drop(const struct supervisor *supervisor);

/* notify.c */
/* Tells systemd, if it is there: "READY=1", "STATUS=...". */
void notify(const char *state);
/* As Type=notify-reload wants it; READY=1 follows. */
void notify_reloading(void);

/* spawn.c */
struct spawn {
    const struct role *role;
    unsigned index;
    struct identity identity;
};
/* Our ends of what a program was given: each is the caller's. */
struct spawn_ends {
    int ready_fd; /* gets a byte when the program serves */
    int keys_fd;  /* takes further files (process.h); -1: it has no use for them */
};
/* Returns the process id; -1 when the machine has no room for another process. */
pid_t spawn_program(const struct supervisor *supervisor, const struct spawn *spawn,
                    struct spawn_ends *ends);
/* False when the program has ended or does not listen. */
bool spawn_send_keys(const struct supervisor *supervisor, int keys_fd);
/* The network map of the configuration, likewise; false also when there is none. */
bool spawn_send_map(const struct supervisor *supervisor, int keys_fd);

/* children.c */
/* Makes the children that the configuration wants. False, with the reason logged, when one of
 * their users is not there. */
bool children_make(struct supervisor *supervisor);
/* Starts the first of them; the others follow when that serves. */
void children_start(struct supervisor *supervisor);
/* Stops all, front ends first; the loop is stopped when the last is gone. */
void children_stop(struct supervisor *supervisor, int status);
/* Sends a file to all programs that run and have files; returns how many took it. */
unsigned children_send(struct supervisor *supervisor,
                       bool (*send)(const struct supervisor *supervisor, int keys_fd));
/* How many programs run as somebody else than postraftd. */
unsigned children_with_users(const struct supervisor *supervisor);
/* After SIGCHLD. */
void children_reap(struct supervisor *supervisor);

#endif
