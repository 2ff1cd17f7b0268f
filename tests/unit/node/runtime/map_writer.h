/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_MAP_WRITER_H
#define TESTS_UNIT_NODE_RUNTIME_MAP_WRITER_H

#include <libloc/database.h>
#include <libloc/libloc.h>
#include <libloc/network.h>
#include <libloc/writer.h>
#include <stdio.h>

#include "node/base/check.h"

/* Makes network maps. */
struct map_row {
    const char *network;
    const char *country; /* NULL: none */
    unsigned asn;
    unsigned flags;
};

static inline void map_write(const char *path, const struct map_row *rows, size_t count)
{
    struct loc_ctx *context = NULL;
    struct loc_writer *writer = NULL;
    struct loc_as *as = NULL;
    CHECK(loc_new(&context) == 0 && loc_writer_new(context, &writer, NULL, NULL) == 0);
    CHECK(loc_writer_add_as(writer, &as, 64500) == 0);
    CHECK(loc_as_set_name(as, "Example Networks") == 0);
    loc_as_unref(as);
    for (size_t i = 0; i < count; i++) {
        struct loc_network *network = NULL;
        CHECK(loc_writer_add_network(writer, &network, rows[i].network) == 0);
        if (rows[i].country != NULL)
            CHECK(loc_network_set_country_code(network, rows[i].country) == 0);
        CHECK(loc_network_set_asn(network, rows[i].asn) == 0);
        if (rows[i].flags != 0)
            CHECK(loc_network_set_flag(network, rows[i].flags) == 0);
        loc_network_unref(network);
    }
    FILE *file = fopen(path, "w+b");
    CHECK(file != NULL && loc_writer_write(writer, file, LOC_DATABASE_VERSION_LATEST) == 0);
    CHECK(fclose(file) == 0);
    loc_writer_unref(writer);
    loc_unref(context);
}

#endif
