/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_AUTH_SCRAM_CLIENT_H
#define TESTS_UNIT_STORAGE_AUTH_SCRAM_CLIENT_H

#include "node/base/buffer.h"

/* A SCRAM client that sends whatever GS2 header and binding it is told to. One at a time: what
 * it returns is valid until its next call. */
struct scram_client {
    bool sha1;
    const char *gs2;      /* "n,,", "p=tls-exporter,," */
    struct bytes binding; /* behind the header in c= */
    const char *name;     /* as it stands in n= */
    const char *password;
    const char *nonce_more; /* behind the nonce in the final message, proof and all */
    uint8_t signature[32];  /* that the server has to send */
};

struct bytes scram_client_first(struct scram_client *client);
struct bytes scram_client_final(struct scram_client *client, struct bytes challenge);
bool scram_client_believes(const struct scram_client *client, struct bytes message);

#endif
