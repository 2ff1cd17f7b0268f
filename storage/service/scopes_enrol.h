/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCOPES_ENROL_H
#define STORAGE_SERVICE_SCOPES_ENROL_H

#include "storage/service/service.h"

/*
 * Counts accounts of a group for their domain and tenant that nobody has counted yet: because
 * they were there before the format that counts, or have got their first mail by a hand-over.
 * In the directory: gives numbers to domains from before that format. Once at each new
 * leadership, accounts again and again; in bounded steps.
 */
struct scopes_enrol;

enum {
    SCOPES_ENROL_PASS_MS = 10 * 1000, /* between walks through a group's accounts */
    SCOPES_ENROL_LOOKS = 4096,        /* accounts looked at in one transaction */
    SCOPES_ENROL_STEP = 256,          /* accounts in one command */
    SCOPES_NUMBER_STEP = 500,         /* domains in one command */
    SCOPES_ENROL_WRITE_MS = 15000,
};

struct scopes_enrol *scopes_enrol_new(struct service *service, uint32_t group);
/* What is under way is forgotten. */
void scopes_enrol_free(struct scopes_enrol **enrol);
/* Called often while this node leads the group. */
void scopes_enrol_tick(struct scopes_enrol *enrol, uint64_t now_ms);

#endif
