/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Provider roll-up: domains whose mail goes to the same hosts are one destination. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

enum { SITE_NAME_SIZE = 256, DIGEST_SIZE = 18 /* "~", 16 digits, NUL */ };

static bool ends_in(struct bytes name, struct bytes suffix)
{
    return name.len >= suffix.len &&
           bytes_equal_nocase(bytes_skip(name, name.len - suffix.len), suffix);
}

/* ".gmx.net" stands for gmx.net, too. */
static bool is_of(struct bytes name, struct bytes suffixes)
{
    while (suffixes.len > 0) {
        struct bytes suffix = bytes_take_word(&suffixes);
        if (suffix.len > 1 &&
            (ends_in(name, suffix) || bytes_equal_nocase(name, bytes_skip(suffix, 1))))
            return true;
    }
    return false;
}

/* "mx12.example" and "mx3.example" are one site: "mx#.example". */
static void fold(const char *name, char folded[SITE_NAME_SIZE])
{
    size_t used = 0;
    bool first_label = true;

    for (; *name != '\0' && used < SITE_NAME_SIZE - 1; name++) {
        if (*name == '.')
            first_label = false;
        char byte = (char)byte_lower((uint8_t)*name);
        if (first_label && byte >= '0' && byte <= '9')
            byte = '#';
        if (byte != '#' || used == 0 || folded[used - 1] != '#')
            folded[used++] = byte;
    }
    folded[used] = '\0';
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The same on every node, so without a secret: it only has to keep long names apart. */
static uint64_t digest(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
        hash ^= hash >> 29;
    } while (*text++ != '\0');
    return hash;
}

/* The names, joined; of what is too long the beginning and a digest of all. */
static void find_site(const char *const *names, unsigned best, char provider[])
{
    char folded[DNS_RECORDS_MAX][SITE_NAME_SIZE];
    char text[ROUTE_PROVIDER_SIZE + SITE_NAME_SIZE];
    uint64_t hash = 0xcbf29ce484222325u;
    size_t used = 0;

    CHECK(best <= DNS_RECORDS_MAX);
    for (unsigned i = 0; i < best; i++)
        fold(names[i], folded[i]);
    qsort(folded, best, sizeof(*folded), by_text);
    for (unsigned i = 0; i < best; i++) {
        if (i > 0 && strcmp(folded[i], folded[i - 1]) == 0)
            continue;
        hash = digest(hash, folded[i]);
        if (used < ROUTE_PROVIDER_SIZE)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                     used > 0 ? "," : "", folded[i]);
    }
    if (used < ROUTE_PROVIDER_SIZE)
        memcpy(provider, text, used + 1);
    else
        snprintf(provider, ROUTE_PROVIDER_SIZE, "%.*s~%016llx",
                 ROUTE_PROVIDER_SIZE - DIGEST_SIZE, text, (unsigned long long)hash);
}

void route_provider_find(const struct routes_config *config, const char *const *names,
                         unsigned count, unsigned best, char provider[ROUTE_PROVIDER_SIZE])
{
    provider[0] = '\0';
    if (count == 0)
        return;
    for (unsigned row = 0; row < config->provider_count; row++) {
        struct bytes suffixes = bytes_of(config->providers[row].suffixes);
        unsigned fitting = 0;
        while (fitting < count && is_of(bytes_of(names[fitting]), suffixes))
            fitting++;
        if (fitting == count) {
            snprintf(provider, ROUTE_PROVIDER_SIZE, "%s", config->providers[row].name);
            return;
        }
    }
    find_site(names, best, provider);
}
