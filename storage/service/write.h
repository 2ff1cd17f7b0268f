/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_WRITE_H
#define STORAGE_SERVICE_WRITE_H

#include "storage/service/service.h"

/* The writes under way; write_start() and its kin are in service.h. */
struct writes;

struct writes *writes_new(void);
/* Each write under way ends with ERR_UNAVAILABLE, in here. */
void writes_free(struct writes **writes);

/* A group has another leader: what waits for an answer of the old one asks the new one. */
void writes_leader_changed(struct service *service, uint32_t group);

#endif
