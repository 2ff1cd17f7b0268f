/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_AUDIT_H
#define STORAGE_SERVICE_AUDIT_H

#include "storage/service/service.h"

/*
 * What operators change leaves a line in the log: "operator", with what was asked for, of what,
 * and what came of it. Refusals too.
 */
void audit(const char *what, const char *object, enum err err, const char *text);

/* A write of the directory whose outcome is audited and becomes the call's reply. `what` is a
 * constant, `object` lives as long as the call. */
void audit_write(struct service_call *call, Pr__Command *command, const char *what,
                 const char *object);
/* The same, with another end: `done` gets the call when the write has succeeded. */
void audit_write_then(struct service_call *call, Pr__Command *command, const char *what,
                      const char *object,
                      void (*done)(struct service_call *call, const Pr__Outcome *outcome));

#endif
