/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the texts of the configuration file may be. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "node/runtime/config_table.h"

unsigned config_list_max(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_PREFIXES:
        return CONFIG_PREFIXES_MAX;
    case CONFIG_SERVERS:
        return CONFIG_SERVERS_MAX;
    case CONFIG_SOURCES:
        return CONFIG_SOURCES_MAX;
    case CONFIG_ROUTES:
        return CONFIG_ROUTES_MAX;
    case CONFIG_TIMES:
        return CONFIG_TIMES_MAX;
    default:
        return 0;
    }
}

static const char *path_problem(const char *text)
{
    if (text[0] != '/')
        return "is not an absolute path";
    return strlen(text) <= 1024 ? NULL : "is too long";
}

static const char *host_problem(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-.";
    size_t len = strlen(text);

    if (len > 253 || strspn(text, allowed) != len || strstr(text, "..") != NULL)
        return "is not a host name";
    return strchr(".-", text[0]) == NULL && text[len - 1] != '-' ? NULL : "is not a host name";
}

/* "192.0.2.1:25" or "[2001:db8::1]:25" */
static bool is_host_and_port(const char *text)
{
    struct in6_addr number;
    char host[64];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;

    if (len == 0 || len >= sizeof(host) || !bytes_to_u64(bytes_of(colon + 1), &port) ||
        port == 0 || port > 65535)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &number) == 1;
    }
    return inet_pton(AF_INET, host, &number) == 1;
}

static const char *address_problem(const char *text)
{
    return is_host_and_port(text) ? NULL
                                  : "is not an address like 192.0.2.1:25 or [2001:db8::1]:25";
}

static const char *local_problem(const char *text)
{
    const struct sockaddr_un *address = NULL;

    if (strncmp(text, CONFIG_LOCAL, strlen(CONFIG_LOCAL)) != 0)
        return is_host_and_port(text) ? NULL
                                      : "is not an address like 127.0.0.1:24 or unix:/path";
    text += strlen(CONFIG_LOCAL);
    if (text[0] != '/')
        return "has no absolute path";
    return strlen(text) < sizeof(address->sun_path) ? NULL : "has too long a path";
}

static const char *prefix_problem(const char *text)
{
    struct address_prefix prefix;

    return address_prefix_parse(bytes_of(text), &prefix)
               ? NULL
               : "is not a network like 192.0.2.0/24 or 2001:db8::/32";
}

static const char *server_problem(const char *text)
{
    struct address address;

    return address_parse(bytes_of(text), &address) || is_host_and_port(text)
               ? NULL
               : "is not an address like 192.0.2.53 or [2001:db8::1]:53";
}

static const char *source_problem(const char *text)
{
    struct address address;

    return address_parse(bytes_of(text), &address)
               ? NULL
               : "is not an address like 192.0.2.1 or 2001:db8::1";
}

static bool is_host(struct bytes name)
{
    char text[256];

    if (name.len == 0 || name.len >= sizeof(text) || memchr(name.at, '\0', name.len) != NULL)
        return false;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    return host_problem(text) == NULL;
}

static bool is_pattern(struct bytes domain)
{
    if (bytes_equal(domain, BYTES("*")))
        return true;
    return is_host(domain.len > 1 && domain.at[0] == '.' ? bytes_skip(domain, 1) : domain);
}

/* Takes ":port" off the end of `host`, if it is there. */
static bool port_split(struct bytes *host, unsigned *port)
{
    const uint8_t *colon = memrchr(host->at, ':', host->len);
    uint64_t number = 0;

    *port = 0;
    if (colon == NULL || memchr(colon, ']', (size_t)(host->at + host->len - colon)) != NULL)
        return true;
    size_t len = (size_t)(colon - host->at);
    if (!bytes_to_u64(bytes_skip(*host, len + 1), &number) || number == 0 || number > 65535)
        return false;
    *port = (unsigned)number;
    host->len = len;
    return true;
}

/* "[192.0.2.1]", "[2001:db8::1]", "[IPv6:2001:db8::1]" */
static bool literal_read(struct bytes host, struct address *address)
{
    const struct bytes tag = BYTES("IPv6:");
    struct bytes text = bytes_from(host.at + 1, host.len - 2);

    if (bytes_start_nocase(text, tag))
        text = bytes_skip(text, tag.len);
    return host.at[host.len - 1] == ']' && address_parse(text, address);
}

bool config_route_split(struct bytes text, struct config_route_parts *parts)
{
    const uint8_t *equals = memchr(text.at, '=', text.len);

    if (equals == NULL)
        return false;
    *parts = (struct config_route_parts){
        .domain = bytes_from(text.at, (size_t)(equals - text.at)),
        .host = bytes_skip(text, (size_t)(equals - text.at) + 1),
    };
    if (!is_pattern(parts->domain))
        return false;
    if (parts->host.len == 0)
        return true;
    if (!port_split(&parts->host, &parts->port))
        return false;
    parts->literal = parts->host.len > 2 && parts->host.at[0] == '[';
    return parts->literal ? literal_read(parts->host, &parts->address) : is_host(parts->host);
}

bool config_time_read(struct bytes text, unsigned *seconds)
{
    static const char units[] = "smhd";
    static const unsigned factors[] = {1, 60, 3600, 24 * 3600};
    const char *unit = text.len > 0 && text.at[text.len - 1] != '\0'
                           ? strchr(units, text.at[text.len - 1])
                           : NULL;
    uint64_t factor = unit != NULL ? factors[unit - units] : 1;
    uint64_t number;

    if (unit != NULL)
        text.len--;
    if (!bytes_to_u64(text, &number) || number == 0 || number > CONFIG_TIME_MAX_S / factor)
        return false;
    *seconds = (unsigned)(number * factor);
    return true;
}

static const char *time_problem(const char *text)
{
    unsigned seconds;

    return config_time_read(bytes_of(text), &seconds)
               ? NULL
               : "is not a time like 90s, 5m, 4h or 5d, up to 30 days";
}

static const char *route_problem(const char *text)
{
    struct config_route_parts parts;

    return config_route_split(bytes_of(text), &parts)
               ? NULL
               : "is not a route like example.com=host:25 or *=[192.0.2.1]";
}

static const char *word_problem(const char *text)
{
    if (strlen(text) > 64)
        return "is too long";
    return strpbrk(text, " \t\r\n:/") == NULL ? NULL : "is not a name";
}

const char *config_text_problem(enum config_kind kind, const char *const *choices,
                                const char *text)
{
    if (text[0] == '\0')
        return NULL;
    switch (kind) {
    case CONFIG_PATH:
        return path_problem(text);
    case CONFIG_HOST:
        return host_problem(text);
    case CONFIG_ADDRESS:
        return address_problem(text);
    case CONFIG_LOCAL_ADDRESS:
        return local_problem(text);
    case CONFIG_PREFIXES:
        return prefix_problem(text);
    case CONFIG_SERVERS:
        return server_problem(text);
    case CONFIG_SOURCES:
        return source_problem(text);
    case CONFIG_ROUTES:
        return route_problem(text);
    case CONFIG_TIMES:
        return time_problem(text);
    case CONFIG_WORD:
        return word_problem(text);
    case CONFIG_CHOICE:
    case CONFIG_SWITCH:
        for (; *choices != NULL; choices++)
            if (strcmp(*choices, text) == 0)
                return NULL;
        return "is not one of the values that there are";
    case CONFIG_BOOL:
    case CONFIG_UNSIGNED:
    case CONFIG_U64:
        break;
    }
    return "is not a text";
}
