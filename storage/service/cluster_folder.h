/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_CLUSTER_FOLDER_H
#define STORAGE_SERVICE_CLUSTER_FOLDER_H

#include "node/base/arena.h"
#include "node/base/err.h"
#include "node/runtime/config.h"

/* Whether the data folder holds a log or state. With *half_made: what a `cluster init` left
 * behind that did not come to its end, nothing that anybody was promised. */
bool cluster_folder_used(const char *folder, bool *half_made);

/* Removes what is half made; does nothing to any other folder. */
MUST_CHECK enum err cluster_folder_clear(const char *folder, struct arena *arena,
                                         const char **problem);

/* The name of a node, data center or cluster: 1 to 64 of a-z A-Z 0-9 . - _, no sign first. */
bool cluster_name_valid(const char *name);
/* "host:port" that other nodes can reach: neither empty nor a wildcard nor port 0. */
bool cluster_address_valid(const char *address);
/* Checks what a node says of itself; NULL, or what is wrong, for the operator, in `arena`. */
const char *cluster_node_problem(const struct config *config, const char *node_name,
                                 const char *data_center, struct arena *arena);

#endif
