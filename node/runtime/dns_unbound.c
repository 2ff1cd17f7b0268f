/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libunbound as it is wanted here. */
#include <stdio.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/dns_internal.h"

static bool failed(const char *what, const char *value, int error)
{
    log_error(NULL, "the resolver cannot be set up",
              LOG_FIELDS(LOG_TEXT("what", what), LOG_TEXT("value", value),
                         LOG_TEXT("reason", ub_strerror(error))));
    return false;
}

/*
 * As a library it is set up for an application that asks now and then; a mail server asks all
 * day. The sockets are one for each question that is on its way to a server.
 */
static const struct {
    const char *name, *value;
} options[] = {
    {"outgoing-range:", "256"},
    {"num-queries-per-thread:", "2048"},
    {"msg-cache-size:", "8m"},
    {"rrset-cache-size:", "16m"},
    {"key-cache-size:", "2m"},
    {"neg-cache-size:", "2m"},
    {"infra-cache-numhosts:", "10000"},
    {"outgoing-num-tcp:", "16"},
    {"cache-max-negative-ttl:", "900"},
    {"cache-max-ttl:", "21600"},
    {"prefetch:", "no"},
};

/* "192.0.2.53:53", "[::1]:53", "192.0.2.53", "::1" -> what libunbound reads, "::1@53". */
static void server_text(const char *server, char text[ADDRESS_TEXT_SIZE + 8])
{
    struct address address;
    const char *colon = strrchr(server, ':');
    struct bytes host = bytes_of(server);

    if (address_parse(host, &address)) {
        snprintf(text, ADDRESS_TEXT_SIZE + 8, "%s", server);
        return;
    }
    CHECK(colon != NULL);
    host = bytes_from(server, (size_t)(colon - server));
    if (host.len >= 2 && host.at[0] == '[')
        host = bytes_from(host.at + 1, host.len - 2);
    snprintf(text, ADDRESS_TEXT_SIZE + 8, "%.*s@%.5s", BYTES_ARG(host), colon + 1);
}

/*
 * Own resolvers of a network know its inner names too, so the zones that libunbound keeps from
 * the world (RFC 1918 and the like) are for them to answer, unsigned as they are.
 */
static bool set_servers(struct ub_ctx *unbound, const struct dns_config *config)
{
    static const char *const inner[] = {"unblock-lan-zones:", "insecure-lan-zones:"};
    char text[ADDRESS_TEXT_SIZE + 8];
    int error;

    for (unsigned i = 0; i < config->servers_count; i++) {
        server_text(config->servers[i], text);
        if ((error = ub_ctx_set_fwd(unbound, text)) != 0)
            return failed("server", config->servers[i], error);
    }
    for (size_t i = 0; i < 2 && config->servers_count > 0; i++)
        if ((error = ub_ctx_set_option(unbound, inner[i], "yes")) != 0)
            return failed("option", inner[i], error);
    for (unsigned i = 0; i < config->stubs_count; i++)
        if ((error = ub_ctx_set_stub(unbound, config->stubs[i].zone, config->stubs[i].server,
                                     0)) != 0)
            return failed("stub", config->stubs[i].zone, error);
    return true;
}

static bool set_options(struct ub_ctx *unbound, const struct dns_config *config)
{
    int error;

    ub_ctx_debugout(unbound, NULL); /* nothing of it on our standard error */
    if ((error = ub_ctx_async(unbound, 1)) != 0)
        return failed("thread", "", error);
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if ((error = ub_ctx_set_option(unbound, options[i].name, options[i].value)) != 0)
            return failed("option", options[i].name, error);
    /* A resolver on this machine is what many have; whoever writes it down means it. */
    if (config->servers_count + config->stubs_count > 0 &&
        (error = ub_ctx_set_option(unbound, "do-not-query-localhost:", "no")) != 0)
        return failed("option", "do-not-query-localhost", error);
    if (config->trust_anchor != NULL && config->trust_anchor[0] != '\0') {
        if (access(config->trust_anchor, R_OK) != 0)
            return failed("trust_anchor", config->trust_anchor, UB_READFILE);
        if ((error = ub_ctx_add_ta_file(unbound, config->trust_anchor)) != 0)
            return failed("trust_anchor", config->trust_anchor, error);
    }
    return set_servers(unbound, config);
}

/*
 * The first of these calls makes libunbound read its files; no option can be set behind it. The
 * zones that it answers by itself would be in the way of tests.
 */
static bool add_data(struct ub_ctx *unbound, const struct dns_config *config)
{
    int error = ub_ctx_zone_remove(unbound, "resolver.invalid.");

    if (error != 0)
        return failed("files", config->trust_anchor != NULL ? config->trust_anchor : "", error);
    for (unsigned i = 0; i < config->stubs_count; i++)
        if ((error = ub_ctx_zone_remove(unbound, config->stubs[i].zone)) != 0)
            return failed("stub", config->stubs[i].zone, error);
    for (unsigned i = 0; i < config->local_data_count; i++)
        if ((error = ub_ctx_data_add(unbound, config->local_data[i])) != 0)
            return failed("data", config->local_data[i], error);
    return true;
}

struct ub_ctx *dns_unbound_new(const struct dns_config *config)
{
    struct ub_ctx *unbound = ub_ctx_create();

    if (unbound == NULL) {
        log_error(NULL, "the resolver cannot be made", NULL);
        return NULL;
    }
    if (set_options(unbound, config) && add_data(unbound, config))
        return unbound;
    ub_ctx_delete(unbound);
    return NULL;
}
