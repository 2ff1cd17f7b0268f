/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_CLUSTER_H
#define STORAGE_SERVICE_CLUSTER_H

#include "storage/service/service.h"

/*
 * A cluster comes into being on one node, others join it by token (join.h).
 *
 * `cluster init` is interrupted at no point in a way that needs a hand: a file `initialising`
 * lies in the data folder from before the first byte of state is written until the identity is
 * there. A node with that file and without identity begins anew; a node with state but with
 * neither refuses, because that state may be somebody's mail.
 */
void cluster_init_call(struct service_call *call);
void cluster_token_call(struct service_call *call);

enum {
    CLUSTER_GROUPS_DEFAULT = 4, /* of mail */
    CLUSTER_GROUPS_MAX = 64,
    CLUSTER_NAME_SIZE_MAX = 64,
    CLUSTER_TOKEN_VALID_S_DEFAULT = 3600,
    CLUSTER_TOKEN_VALID_S_MAX = 30 * 24 * 3600,
};

/* Whether the data folder holds a log or state. With *half_made: what a `cluster init` left
 * behind that did not come to its end. */
bool cluster_folder_used(const char *folder, bool *half_made);

/* The name of a node, data center or cluster: 1 to 64 of a-z A-Z 0-9 . - _, no sign first. */
bool cluster_name_valid(const char *name);
/* "host:port" that other nodes can reach: neither empty nor a wildcard nor port 0. */
bool cluster_address_valid(const char *address);
/* Checks what a node says of itself; NULL, or what is wrong, for the operator, in `arena`. */
const char *cluster_node_problem(const struct config *config, const char *node_name,
                                 const char *data_center, struct arena *arena);

/* The identity's parts as the transport wants them; they point into the identity. */
void cluster_credentials(const Pr__Identity *identity, struct tls_credentials *credentials);

#endif
