/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/network_map.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libloc/as.h>
#include <libloc/database.h>
#include <libloc/libloc.h>
#include <libloc/network.h>

#include "node/base/check.h"
#include "node/base/log.h"

struct network_map {
    struct loc_ctx *context;
    struct loc_database *database; /* NULL: nothing is known */
};

/* What there is to say is said here, once. */
static void on_log(struct loc_ctx *context, int priority, const char *file, int line,
                   const char *function, const char *format, va_list arguments)
{
    (void)context;
    (void)priority;
    (void)file;
    (void)line;
    (void)function;
    (void)format;
    (void)arguments;
}

/* The library keeps a descriptor of its own. */
static struct loc_database *load(struct network_map *map, FILE *file)
{
    struct loc_database *database = NULL;

    return loc_database_new(map->context, &database, file) == 0 ? database : NULL;
}

static void unload(struct network_map *map)
{
    if (map->database != NULL) /* which the library does not look at */
        loc_database_unref(map->database);
    map->database = NULL;
}

struct network_map *network_map_open(const char *path)
{
    struct network_map *map = calloc(1, sizeof(*map));

    CHECK(map != NULL && loc_new(&map->context) == 0);
    loc_set_log_fn(map->context, on_log);
    loc_set_log_priority(map->context, 0);
    if (path[0] == '\0')
        return map;
    FILE *file = fopen(path, "re");
    if (file != NULL)
        map->database = load(map, file);
    const char *reason = file == NULL ? strerror(errno) : "is no map";
    if (map->database == NULL)
        log_warn(NULL, "no network map: networks and countries are unknown",
                 LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("reason", reason)));
    if (file != NULL)
        fclose(file);
    return map;
}

void network_map_free(struct network_map **map)
{
    if (*map == NULL)
        return;
    unload(*map);
    loc_unref((*map)->context);
    free(*map);
    *map = NULL;
}

enum err network_map_replace(struct network_map *map, int fd)
{
    FILE *file = fdopen(fd, "re");

    if (file == NULL) {
        close(fd);
        return ERR_MALFORMED;
    }
    struct loc_database *database = load(map, file);
    fclose(file);
    if (database == NULL) {
        log_error(NULL, "the new network map cannot be used, the old one stays", NULL);
        return ERR_MALFORMED;
    }
    unload(map);
    map->database = database;
    log_info(NULL, "network map was read again",
             LOG_FIELDS(LOG_U64("made_s", network_map_made_s(map))));
    return ERR_OK;
}

static bool has_flag(struct loc_network *network, enum loc_network_flags flag)
{
    return loc_network_has_flag(network, (uint32_t)flag) != 0;
}

bool network_map_look_up(struct network_map *map, const struct address *address,
                         struct network_facts *facts)
{
    struct loc_network *network = NULL;
    struct in6_addr number;

    *facts = (struct network_facts){.asn = 0};
    memcpy(number.s6_addr, address->bytes, sizeof(number.s6_addr));
    if (map->database == NULL || loc_database_lookup(map->database, &number, &network) != 0 ||
        network == NULL)
        return false;
    const char *country = loc_network_get_country_code(network);
    facts->asn = loc_network_get_asn(network);
    if (country != NULL && strlen(country) == 2)
        memcpy(facts->country, country, sizeof(facts->country));
    facts->anonymous = has_flag(network, LOC_NETWORK_FLAG_ANONYMOUS_PROXY);
    facts->hostile = has_flag(network, LOC_NETWORK_FLAG_DROP);
    facts->anycast = has_flag(network, LOC_NETWORK_FLAG_ANYCAST);
    facts->satellite = has_flag(network, LOC_NETWORK_FLAG_SATELLITE_PROVIDER);
    loc_network_unref(network);
    return true;
}

void network_map_name(struct network_map *map, uint32_t asn, char name[NETWORK_MAP_NAME_SIZE])
{
    struct loc_as *as = NULL;

    name[0] = '\0';
    if (map->database == NULL || loc_database_get_as(map->database, &as, asn) != 0 ||
        as == NULL)
        return;
    const char *text = loc_as_get_name(as);
    if (text != NULL)
        snprintf(name, NETWORK_MAP_NAME_SIZE, "%s", text);
    loc_as_unref(as);
}

uint64_t network_map_made_s(const struct network_map *map)
{
    return map->database != NULL ? (uint64_t)loc_database_created_at(map->database) : 0;
}
