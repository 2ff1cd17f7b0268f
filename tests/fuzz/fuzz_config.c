/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file: whatever lies in it, it is refused in words that name the file, or
 * each setting is within the limits of its row.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/config_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct config_row *row, const char *text)
{
    CHECK(text != NULL && config_text_problem(row->kind, row->choices, text) == NULL);
}

static void check_routes(const struct config_routes *routes)
{
    CHECK(routes->count <= CONFIG_ROUTES_MAX);
    for (unsigned i = 0; i < routes->count; i++) {
        const struct config_route *route = &routes->at[i];
        CHECK(route->domain[0] != '\0' && route->port <= 65535);
        CHECK(strpbrk(route->domain, "=[]:") == NULL && strchr(route->host, '=') == NULL);
    }
}

static void check_row(const struct config_row *row, const struct config *config)
{
    const void *field = (const char *)config + row->offset;
    uint64_t number;

    switch (row->kind) {
    case CONFIG_BOOL:
    case CONFIG_SWITCH:
        break; /* has no wrong value */
    case CONFIG_UNSIGNED:
    case CONFIG_U64:
        number = row->kind == CONFIG_U64 ? *(const uint64_t *)field : *(const unsigned *)field;
        CHECK(number >= row->least && number <= row->most);
        break;
    case CONFIG_PREFIXES:
        CHECK(((const struct config_prefixes *)field)->count <= CONFIG_PREFIXES_MAX);
        for (unsigned i = 0; i < ((const struct config_prefixes *)field)->count; i++)
            CHECK(((const struct config_prefixes *)field)->at[i].bits <= 128);
        break;
    case CONFIG_SOURCES:
        CHECK(((const struct config_sources *)field)->count <= CONFIG_SOURCES_MAX);
        break;
    case CONFIG_TIMES:
        CHECK(((const struct config_times *)field)->count <= CONFIG_TIMES_MAX);
        for (unsigned i = 0; i < ((const struct config_times *)field)->count; i++)
            CHECK(((const struct config_times *)field)->at_s[i] - 1 < CONFIG_TIME_MAX_S);
        break;
    case CONFIG_ROUTES:
        check_routes(field);
        break;
    case CONFIG_SERVERS:
        CHECK(((const struct config_servers *)field)->count <= CONFIG_SERVERS_MAX);
        for (unsigned i = 0; i < ((const struct config_servers *)field)->count; i++)
            check_text(row, ((const struct config_servers *)field)->at[i]);
        break;
    default:
        check_text(row, *(const char *const *)field);
    }
}

static void check_config(const struct config *config)
{
    for (unsigned i = 0; i < config_rows_count; i++)
        check_row(&config_rows[i], config);
    for (unsigned i = 0; i < config_listen_rows_count; i++) {
        const struct config_listener *listener =
            (const void *)((const char *)config + config_listen_rows[i].offset);
        CHECK(listener->count <= CONFIG_ADDRESSES_MAX);
        for (unsigned j = 0; j < listener->count; j++)
            CHECK(listener->addresses[j][0] != '\0' &&
                  config_text_problem(config_listen_rows[i].local ? CONFIG_LOCAL_ADDRESS
                                                                  : CONFIG_ADDRESS,
                                      NULL, listener->addresses[j]) == NULL);
    }
    CHECK(config->hostname[0] != '\0');
    CHECK((config->tls_certificate[0] == '\0') == (config->tls_key[0] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct arena arena;
    struct config config;
    const char *problem = "";
    int fd = memfd_create("config", MFD_CLOEXEC);

    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    arena_init(&arena);
    enum err err = config_load(path, &arena, &config, &problem);
    if (err == ERR_OK) {
        CHECK(memchr(data, '\0', size) == NULL); /* what lies behind it would not be read */
        check_config(&config);
    } else {
        CHECK(strncmp(problem, path, strlen(path)) == 0 && strlen(problem) > strlen(path) + 2);
    }
    arena_fini(&arena);
    close(fd);
    return 0;
}
