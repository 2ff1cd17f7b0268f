/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_CONVERSATION_H
#define SMTP_RELAY_CONVERSATION_H

#include "node/runtime/conn.h"
#include "smtp/relay/client.h"
#include "smtp/relay/internal.h"

/* What the files of a conversation share. */
struct conversation {
    struct list node; /* of the site's */
    struct site *site;
    struct relay *relay;
    const struct route *route;
    struct route_plan plan;
    unsigned step;

    struct dial *dial;
    struct conn *conn;
    struct smtp_client *client;
    struct smtp_client_config config;
    bool tls_begun;
    bool again;    /* the same address once more */
    bool talked;   /* a host was ready */
    bool idle;     /* it is, and there is nothing for it */
    bool stopping; /* no more jobs */
    unsigned messages;
    uint64_t deadline_ms; /* of what is waited for; 0: none */

    /* What the last address had to say, for those who have to wait. */
    char status[RELAY_STATUS_SIZE_MAX];
    char reason[SMTP_CLIENT_TEXT_SIZE_MAX];
    char remote[RELAY_REMOTE_SIZE_MAX];
    char source[ADDRESS_TEXT_SIZE]; /* our address */

    /* The job under way, and of its recipients the part that has one sender. */
    struct job *job;
    struct smtp_client_message message;
    struct smtp_client_recipient *recipients;
    size_t *part;  /* of each its index in the record */
    bool *decided; /* by index in the record */
    size_t decided_count;
    size_t before_part;                  /* decided_count when the part began */
    bool by_lost;                        /* the host was not told by when */
    bool by_refused;                     /* it would have to be */
    bool taken;                          /* somebody's was */
    struct smtp_client_verdict too_many; /* what the host said of too many recipients */
    uint64_t body_at;
    uint64_t body_call;
    bool body_wanted;
    bool body_ended;
};

/* conversation_job.c */
/* The next part of the job, or the next job; without one it is idle. */
void conversation_next(struct conversation *talk);
void conversation_recipient(void *context, unsigned index,
                            const struct smtp_client_verdict *verdict);
void conversation_body_wanted(void *context);
void conversation_done(void *context);
/* There will be no other part: who is left waits. */
void conversation_job_closed(struct conversation *talk,
                             const struct smtp_client_verdict *verdict);
void conversation_body_go_on(struct conversation *talk);
/* The end of the message may be sent while its lease holds. */
void conversation_finish(struct conversation *talk);

void conversation_idle(struct conversation *talk);

#endif
