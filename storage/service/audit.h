/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_AUDIT_H
#define STORAGE_SERVICE_AUDIT_H

#include "storage/service/service.h"

/*
 * What operators change leaves a line in the log, "operator": the call's name, what it is about
 * (names, addresses, nets, numbers; never passwords, tokens or keys), who asked, and what came
 * of it. Refusals too. Every reply to an operator passes here; which calls change anything
 * stands in their table (operator.h).
 */
void audit_reply(const struct service_call *call, enum err err, const char *text);

/* A write of the directory whose outcome becomes the call's reply. `object` lives as long as
 * the call, and is what the log says; NULL: what the request says. */
void audit_write(struct service_call *call, Pr__Command *command, const char *object);
/* The same, with another end: `done` gets the call when the write has succeeded. */
void audit_write_then(struct service_call *call, Pr__Command *command, const char *object,
                      void (*done)(struct service_call *call, const Pr__Outcome *outcome));

#endif
