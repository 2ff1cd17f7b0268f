/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_CALLS_WORLD_H
#define TESTS_UNIT_STORAGE_SERVICE_CALLS_WORLD_H

#include "storage/schema/request_id.h"
#include "tests/unit/storage/service/service_world.h"

/*
 * Calls of front ends and operators in a service_world: each is packed and read again, as it
 * would come, and belongs to the session that it names on its connection. Commands of accounts
 * go to the group that the directory names.
 */
enum { CALLS_MS = 10000 };

struct calls_heard {
    unsigned count;
    Pr__Reply *reply; /* the last; in the lab's arena */
};
extern struct calls_heard heard;

/* With the lab's arena; everything in it stays the test's. */
Pr__Request *calls_request(Pr__Request__CallCase call);
/* A command's id, of now. */
void calls_identify(Pr__Request *request);
/* Its reply, when it has come by itself already, is in `heard`. */
void calls_send(enum service_role role, uint32_t connection, Pr__Request *request,
                void (*handle)(struct service_call *call));
/* The same, until everything under way has ended; returns the reply's err. There must be one
 * reply. */
enum err calls_ask(enum service_role role, uint32_t connection, Pr__Request *request,
                   void (*handle)(struct service_call *call));

#endif
