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

/* The identity's parts as the transport wants them; they point into the identity. */
void cluster_credentials(const Pr__Identity *identity, struct tls_credentials *credentials);

#endif
