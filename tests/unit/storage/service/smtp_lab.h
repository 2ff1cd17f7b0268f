/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_SMTP_LAB_H
#define TESTS_UNIT_STORAGE_SERVICE_SMTP_LAB_H

#include "tests/unit/storage/service/calls_world.h"

/*
 * A front end of SMTP before a store: sales@acme.example stands for ann and bob of acme.example
 * and for x@far.example; all@bar.example, another tenant's, for y@far.example. Mail may leave
 * the cluster.
 */
enum { HERE = 6, THERE = 9 /* connections */ };

extern uint64_t smtp_lab_ann;
extern uint64_t smtp_lab_bob;
extern uint64_t smtp_lab_carl;    /* of bar.example */
extern uint64_t smtp_lab_session; /* of ann, on HERE */
extern bool smtp_lab_fresh;       /* how a relay's last question was asked */

int smtp_lab_begin(void **state);
int smtp_lab_end(void **state);

uint64_t smtp_lab_account(const char *address);
void smtp_lab_set(Pr__SettingScope scope, const char *of, const char *name, const char *value);

/* Fails the test unless the answer is OK. */
const Pr__ResolveAnswer *smtp_lab_resolve(uint32_t connection, uint64_t of, const char *address,
                                          const char *sender);
/* The first on another host. */
const Pr__ResolvedTarget *smtp_lab_remote_of(const Pr__ResolveAnswer *answer);

/* A message in the making, of that session or none. */
struct smtp_lab_delivery {
    Pr__Request *request;
    Pr__DeliverCall *call;
};
struct smtp_lab_delivery smtp_lab_delivery(uint64_t of, const char *sender);
void smtp_lab_to(struct smtp_lab_delivery *made, uint64_t account_id);
Pr__QueueRecipient *smtp_lab_out(struct smtp_lab_delivery *made, const char *address,
                                 const char *sender);
enum err smtp_lab_deliver(uint32_t connection, const struct smtp_lab_delivery *made);

/* What is there, in all groups. */
uint64_t smtp_lab_messages(uint64_t account_id);
uint64_t smtp_lab_queued(void);
Pr__QueueRecord *smtp_lab_newest(uint32_t group);
/* Within an hour, by ann. */
uint64_t smtp_lab_sent(uint64_t account_id);

#endif
