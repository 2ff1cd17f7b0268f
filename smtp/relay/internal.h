/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_INTERNAL_H
#define SMTP_RELAY_INTERNAL_H

#include "node/base/arena.h"
#include "node/base/list.h"
#include "node/base/map.h"
#include "node/runtime/conn.h"
#include "smtp/relay/limits.h"
#include "smtp/relay/relay.h"
#include "smtp/relay/route.h"
#include "storage/client/client.h"
#include "storage/schema/entry.h"

/*
 * How mail leaves, file by file:
 *
 * groups.c   which mail groups this node leads
 * looks.c    which of their lanes are due
 * lanes.c    lanes in memory: each is brought to its site, and read when the site has room
 * leases.c   a destination that was read is leased: only then it is this relay's job
 * sites.c    the hosts of a route, with the jobs and connections to them
 * conversation.c  one connection: jobs one after another
 * inward.c   jobs that do not leave: held mail for accounts of this cluster
 * reports.c  what became of jobs goes into the log; then they are forgotten here
 * notices.c  what is owed to senders
 */

enum { RELAY_HASH_KEY_SIZE = 16 };

/* A mail group that this node leads, or led: it stays while there are jobs of it. */
struct relay_group {
    struct relay *relay;
    uint32_t number;
    bool led;
    uint64_t term;
    uint64_t changes;
    unsigned users;    /* jobs, lanes and questions that point here */
    uint64_t clock_ms; /* the group's own, as of clock_read_ms here; 0: not known */
    uint64_t clock_read_ms;

    /* So long leases of those who led before it are looked for, to be watched from now on: in
     * the order of due times they come up only at their end. */
    uint64_t leases_until_ms;
    struct look {
        uint64_t call;
        bool whole; /* the one under way */
        unsigned pages;
        bool again;        /* something came while it was looked at */
        bool left;         /* lanes were left in the store, for want of room */
        uint64_t wall_ms;  /* when the one under way began */
        uint64_t until_ms; /* and up to when it looks */
        uint64_t seen_ms;  /* up to when all were seen once; 0: none yet */
        uint64_t began_ms; /* the last whole one; then how long it took */
        uint64_t took_ms;
        uint64_t whole_at_ms; /* the next one */
        struct loop_timer *timer;
    } look;
    struct map watches; /* leases of others, by item */

    struct list leases_wanted; /* jobs */
    unsigned leases_asked;     /* commands under way */
    struct list leases;
    struct list reports_wanted; /* jobs */
    unsigned reports_asked;
    struct notices *notices;
};

/* Destinations of one domain, class and tenant, to be read when their site has room. */
struct lane {
    uint64_t hash;
    struct relay_group *group;
    char *domain;
    unsigned class;
    uint64_t tenant_id;
    struct site *site; /* NULL: its route is not known yet */
    struct list site_node;
    uint64_t route_ticket;
    uint64_t read_call;
    uint64_t after_due_ms; /* what was read already is not asked for again */
    uint64_t after_id;
    uint32_t after_destination;
    /* It stays until what was read is leased: until then that is still due in the store. */
    struct list leasing; /* jobs */
    bool over;           /* read to its end */
    bool again;          /* found by a look since it was last read */
};

enum { SITE_CLASSES = 2 /* QueueClass */ };

/* The hosts of a route: domains with the same hosts share jobs' order, connections and what is
 * known of how the hosts are. A route that leads nowhere has a site too, which says so to all
 * that comes. */
struct site {
    struct relay *relay;
    uint64_t hash;
    char *key;
    const struct route *route; /* the newest that was found; NULL: into the cluster itself */
    unsigned inward_count;     /* then: jobs under way */
    struct list lanes[SITE_CLASSES];
    unsigned lane_count;
    unsigned turns;   /* of lanes, to let the second class in */
    unsigned reading; /* lanes */
    unsigned coming;  /* jobs that are being leased */
    struct list ready;
    unsigned ready_count;
    struct list conversations;
    unsigned conversation_count;
    unsigned talking_count; /* of them, with a host that has greeted */
    struct list waiting;    /* of the relay's: for a connection */
    unsigned window;        /* connections that are worth having now */
    unsigned failures;      /* in a row, of all addresses */
    uint64_t not_before_ms;
    struct loop_timer *timer;
    /* Why nobody can be reached until then. */
    char failure_status[RELAY_STATUS_SIZE_MAX + 1];
    char failure[256];
    char failure_remote[RELAY_REMOTE_SIZE_MAX + 1];
};

enum job_state { JOB_LEASING, JOB_READY, JOB_SENDING, JOB_REPORTING };

/* A destination that this relay has leased, or is about to. */
struct job {
    uint64_t hash;
    struct relay_group *group;
    struct site *site;
    struct list node;       /* of the group's or the site's list that fits its state */
    struct list lease_node; /* of its lease's jobs */
    struct lease *lease;
    struct list lane_node; /* of the jobs that are being leased */
    struct lane *lane;
    enum job_state state;
    struct arena job_arena;  /* record, verdicts */
    Pr__QueueRecord *record; /* with this destination, and its recipients */
    Pr__QueueDestination *destination;
    uint64_t seen_lease; /* somebody else's that has run out */
    uint32_t seen_renewals;
    Pr__QueueAttempt attempt; /* what is reported */
};

struct relay {
    struct relay_config config;
    struct loop *loop;
    struct store_client *store;
    struct conn_limits conn_limits;
    struct loop_hook *turn;
    struct loop_timer *tick;
    bool stopping;
    bool ending; /* nothing is waited for any more */
    uint64_t stop_by_ms;
    void (*stopped)(void *context);
    void *stopped_context;

    uint64_t node_id;
    uint64_t duties_version;
    uint64_t duties_call;
    struct loop_timer *duties_timer;
    struct map groups;

    /* By keyed hashes. Where two meet, who comes later waits until the other one is gone. */
    uint8_t hash_key[RELAY_HASH_KEY_SIZE];
    struct map lanes;
    unsigned lane_count;
    struct map jobs;
    unsigned job_count;
    struct map sites;
    unsigned reading_count; /* lanes; each may bring RELAY_FETCH jobs */
    unsigned connection_count;
    struct list waiting;   /* sites that want one more, in turns */
    bool connecting;       /* they are being served */
    struct map broken_tls; /* addresses where TLS failed lately, until when */
    unsigned watch_count;
    unsigned notice_count; /* being made */
    struct routes *routes;
};

uint64_t relay_hash(const struct relay *relay, struct bytes what);
/* Room for more jobs; never while it stops. */
bool relay_has_room(const struct relay *relay);
/* Half of it is taken: who has jobs already gets few more, so that sites that are slow leave
 * room for others. */
bool relay_is_crowded(const struct relay *relay);
/* Sites wait for a connection, and no more may be made. */
bool relay_lacks_connections(const struct relay *relay);

/* groups.c */
void groups_start(struct relay *relay);
void groups_stop(struct relay *relay); /* no news any more */
void groups_free(struct relay *relay);
void group_use(struct relay_group *group);
void group_release(struct relay_group **group);
/* Up to when, of the wall clock, its lanes are looked at. */
uint64_t group_until_ms(const struct relay_group *group);
void groups_tick(struct relay *relay);
void groups_flush(struct relay *relay);

/* looks.c */
/* At what has become due since the last look. */
void look_at_news(struct relay_group *group);
void look_stop(struct relay_group *group);
/* A lane was left in the store: all are looked at again soon. */
void look_left(struct relay_group *group);

/* lanes.c */
/* False: there is no room for it now. */
bool lane_found(struct relay_group *group, const Pr__QueueLane *found);
/* Reads what is due in it, for its site. */
void lane_read(struct lane *lane);
void lane_free(struct lane **lane);
/* It was read to its end. */
void lane_over(struct lane *lane);
/* That is leased, or will not be. */
void lane_job_gone(struct job *job);
/* Those that wait for their route, or for room. */
void lanes_free(struct relay *relay);

/* leases.c */
void lease_want(struct job *job);
bool lease_holds(const struct job *job); /* for RELAY_LEASE_MARGIN_MS more, at least */
/* It is over, and will not be renewed. */
bool lease_is_lost(const struct job *job);
void lease_leave(struct job *job);
void leases_flush(struct relay_group *group);
void leases_tick(struct relay_group *group);

/* watches.c: leases of others, of which nobody knows whether they live. */
/* Whether there is none, or it has run out. */
bool watch_is_over(struct relay_group *group, uint64_t id,
                   const Pr__QueueDestination *destination);
void watches_sweep(struct relay_group *group);
void watches_free(struct relay_group *group);

/* notices.c */
void notices_due(struct relay_group *group, const Pr__QueueLane *lane);
void notices_tick(struct relay_group *group);
void notices_free(struct notices **notices);

/* jobs.c */
/* NULL: it is one already. `record` is copied. */
struct job *job_new(struct relay_group *group, struct site *site,
                    const Pr__QueueRecord *record);
void job_free(struct job **job);
/* What became of them is not written down. */
void jobs_free(struct relay *relay);

/* reports.c */
/* The job's attempt is filled in; the job is forgotten when the log has it. */
void report(struct job *job);
void reports_flush(struct relay_group *group);

/* sites.c */
/* NULL: none can be had now. Without a route: the one of mail for accounts here. */
struct site *site_of_route(struct relay *relay, const struct route *route);
void site_inward_done(struct site *site);
/* The lane waits for its turn there. False: too many do. */
bool site_take_lane(struct site *site, struct lane *lane);
void site_lane_read(struct site *site, struct lane *lane, bool more);
void site_job_coming(struct site *site);
void site_job_ready(struct site *site, struct job *job);
/* One that was coming does not. */
void site_job_gone(struct site *site);
/* For a connection that is free; NULL: there is none. */
struct job *site_job_take(struct site *site);
/* Connections say how it goes. */
void site_talks(struct site *site);
void site_sent(struct site *site);
void site_conversation_gone(struct site *site, struct list *node, bool talked);
/* No host can be reached, or none will talk. */
void site_failed(struct site *site, const char *status, const char *reason, const char *remote);
void sites_stop(struct relay *relay);
void sites_tick(struct relay *relay);
void sites_cut(struct relay *relay);
void sites_free(struct relay *relay);

/* verdicts.c */
enum relay_result { RELAY_TAKEN, RELAY_REFUSED, RELAY_PUT_OFF };

struct relay_verdict {
    enum relay_result result;
    bool tells;   /* TAKEN: by a host that tells the sender itself what becomes of it (DSN) */
    bool by_lost; /* TAKEN: by one that was not told until when (DELIVERBY) */
    bool inside;  /* TAKEN: into a mailbox here */
    bool unknown; /* PUT_OFF: it may have been taken */
    unsigned code;
    const char *status;
    const char *text;
    const char *remote;
    /* A reply of a host, not words of ours: from whom, to which of our addresses, when. */
    const char *provider;
    const char *source;
    enum classify_phase phase;
};

/* The time by which mail gets old: no jump of a clock here may end its life. */
uint64_t group_now_ms(const struct relay_group *group);
/* Under which the message leaves to this recipient; empty: the null sender. */
struct bytes recipient_sender(const Pr__QueueRecord *record,
                              const Pr__QueueRecipient *recipient);
/* Once for each recipient of the job, then job_done(). */
void job_verdict(struct job *job, size_t index, const struct relay_verdict *said);
void job_done(struct job *job);
/* The same for all recipients; it is reported then. */
void job_end(struct job *job, bool permanent, const char *status, const char *reason,
             const char *remote);
/* Untried: at once due again for whoever leads the group. */
void job_give_back(struct job *job);

/* inward.c */
void inward_start(struct job *job);

/* conversation.c */
/* Dials, and takes jobs of the site when a host is ready. */
void conversation_new(struct site *site);
struct conversation;
/* Whether it is idle: then it takes a job now. */
bool conversation_wake(struct list *node);
/* Ends when its job is over. */
void conversation_stop(struct list *node);
/* Ends now. */
void conversation_cut(struct list *node);
void conversation_tick(struct list *node, uint64_t now_ms);

/* tls_memory.c */
/* TLS with that address has failed lately: in the clear is better than not at all, where
 * nothing promises more. */
bool tls_is_broken(struct relay *relay, const struct address *address);
void tls_broke(struct relay *relay, const struct address *address);
void tls_memory_sweep(struct relay *relay);
void tls_memory_free(struct relay *relay);

#endif
