/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A route in one block of memory: what it takes is known, and it is freed at once. */
#include <stdalign.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

/* Measures while `at` is NULL, then writes the same again. */
struct packer {
    uint8_t *at;
    size_t used;
};

static void *put(struct packer *packer, const void *from, size_t size, size_t align)
{
    packer->used = (packer->used + align - 1) / align * align;
    void *to = packer->at != NULL ? packer->at + packer->used : NULL;
    if (to != NULL && size > 0)
        memcpy(to, from, size);
    packer->used += size;
    return to;
}

static const char *put_text(struct packer *packer, const char *text)
{
    return put(packer, text, strlen(text) + 1, 1);
}

static void put_tlsa(struct packer *packer, const struct route_host *from,
                     struct route_host *to)
{
    struct dns_record *records =
        put(packer, from->tlsa_records, from->tlsa_count * sizeof(*records),
            alignof(struct dns_record));

    for (unsigned i = 0; i < from->tlsa_count; i++) {
        struct bytes data = from->tlsa_records[i].tlsa.data;
        const uint8_t *at = put(packer, data.at, data.len, 1);
        if (records != NULL)
            records[i].tlsa.data = bytes_from(at, data.len);
    }
    to->tlsa_records = records;
}

static void put_host(struct packer *packer, const struct route_host *from,
                     struct route_host *to)
{
    to->name = put_text(packer, from->name);
    to->expanded = put_text(packer, from->expanded);
    to->tlsa_base = put_text(packer, from->tlsa_base);
    to->addresses = put(packer, from->addresses, from->address_count * sizeof(*from->addresses),
                        alignof(struct address));
    put_tlsa(packer, from, to);
}

static void put_route(struct packer *packer, const struct route *from)
{
    struct route_packed blank = {.route = *from, .holders = 1}, unused_packed;
    struct route_packed *packed =
        put(packer, &blank, sizeof(blank), alignof(struct route_packed));
    struct route_host *hosts =
        put(packer, from->hosts, from->host_count * sizeof(*hosts), alignof(struct route_host));
    struct route *to = packed != NULL ? &packed->route : &unused_packed.route;

    to->status = put_text(packer, from->status);
    to->text = put_text(packer, from->text);
    to->domain = put_text(packer, from->domain);
    to->target = put_text(packer, from->target);
    to->provider = put_text(packer, from->provider);
    to->hosts = hosts;
    for (unsigned i = 0; i < from->host_count; i++) {
        struct route_host unused;
        put_host(packer, &from->hosts[i], hosts != NULL ? &hosts[i] : &unused);
    }
    if (packed != NULL)
        packed->size = packer->used;
}

const struct route *route_pack(const struct route *route)
{
    struct packer packer = {NULL, 0};

    put_route(&packer, route);
    size_t size = packer.used;
    packer = (struct packer){malloc(size), 0};
    CHECK(packer.at != NULL);
    put_route(&packer, route);
    CHECK(packer.used <= size);
    return &((struct route_packed *)(void *)packer.at)->route;
}

/* The route is the first member. */
static struct route_packed *packed_of(const struct route *route)
{
    return (struct route_packed *)(uintptr_t)route;
}

size_t route_packed_size(const struct route *route)
{
    return packed_of(route)->size;
}

const struct route *route_hold(const struct route *route)
{
    packed_of(route)->holders++;
    return route;
}

void route_release(const struct route **route)
{
    struct route_packed *packed = packed_of(*route);

    *route = NULL;
    if (packed == NULL)
        return;
    CHECK(packed->holders > 0);
    if (--packed->holders == 0)
        free(packed);
}
