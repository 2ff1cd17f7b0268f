/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node's replicas hold, as one hash a group: equal on all replicas at the same index.
 *
 * usage: state-digest FOLDER    the node's data folder; the store may run meanwhile
 * Writes a line a group: group, applied index, BLAKE2b-256 over all rows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "node/base/err.h"
#include "storage/machine/machine.h"

enum { GROUPS_MAX = 4096 };

static const uint64_t MAP_BYTES = UINT64_C(256) << 30;

static void print_group(struct db_txn *txn, uint32_t group, uint64_t applied)
{
    uint8_t digest[32];

    machine_digest(txn, group, digest);
    printf("%" PRIu32 " %" PRIu64 " ", group, applied);
    for (unsigned i = 0; i < sizeof(digest); i++)
        printf("%02x", digest[i]);
    printf("\n");
}

static enum err print_lane(const char *folder)
{
    struct db *db;
    enum err err = db_open(folder, MAP_BYTES, &db);

    if (err != ERR_OK)
        return err;
    struct db_txn *txn = db_read_begin(db);
    for (uint32_t group = 0; group < GROUPS_MAX; group++) {
        uint64_t applied = machine_applied(txn, group);
        if (applied > 0)
            print_group(txn, group, applied);
    }
    err = db_error(txn);
    db_abort(&txn);
    db_close(&db);
    return err;
}

int main(int count, char **words)
{
    struct stat status;
    char folder[4096];
    enum err err = ERR_OK;

    if (count != 2) {
        fprintf(stderr, "usage: state-digest FOLDER\n");
        return 2;
    }
    for (unsigned lane = 0; err == ERR_OK; lane++) {
        snprintf(folder, sizeof(folder), "%s/state-%u", words[1], lane);
        if (stat(folder, &status) != 0)
            break;
        err = print_lane(folder);
    }
    if (err != ERR_OK)
        fprintf(stderr, "state-digest: %s: %s\n", folder, err_text(err));
    return err == ERR_OK ? 0 : 1;
}
