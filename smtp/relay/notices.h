/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_NOTICES_H
#define SMTP_RELAY_NOTICES_H

#include "node/base/buffer.h"
#include "smtp/relay/internal.h"
#include "storage/client/body_writer.h"
#include "storage/schema/request_id.h"

/* A notice being made: what the files of notices share. */
struct notice_job {
    struct list node;
    struct relay_group *group;
    struct arena notice_arena;
    Pr__QueueRecord *record;
    struct request_id id; /* of its delivery */
    struct bytes sender;  /* the return address of the part */
    Pr__QueueRecipient **part;
    size_t part_count;
    struct buffer text; /* of the original, as much as is of use */
    struct body_writer *writer;
    unsigned needs; /* enum notice_need */
    uint64_t *account_ids;
    size_t account_count;
    Pr__QueueRecipient **remotes;
    size_t remote_count;
};

/* notice_job.c: reads, makes, delivers, says so, and ends itself. */
void notice_job_run(struct notice_job *job);
/* Frees it. */
void notice_job_end(struct notice_job *job, bool good);

#endif
