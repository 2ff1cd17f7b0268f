/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

enum { BACKLOG = 1024 };

/* "192.0.2.1:25" or "[2001:db8::1]:25"; the configuration has been checked. */
static socklen_t parse(const char *text, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address;
    char host[64] = "";
    uint64_t port = 0;
    const char *colon = strrchr(text, ':');

    CHECK(colon != NULL && (size_t)(colon - text) < sizeof(host));
    CHECK(bytes_to_u64(bytes_of(colon + 1), &port) && port <= 65535);
    memcpy(host, text, (size_t)(colon - text));
    memset(address, 0, sizeof(*address));
    if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        CHECK(inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1);
        return sizeof(*v6);
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    CHECK(inet_pton(AF_INET, host, &v4->sin_addr) == 1);
    return sizeof(*v4);
}

static int bind_one(const char *text)
{
    struct sockaddr_storage address;
    socklen_t len = parse(text, &address);
    int on = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool bind_all(struct supervisor *supervisor, const char *name,
                     const struct config_listener *wanted)
{
    for (unsigned i = 0; i < wanted->count; i++) {
        int fd = bind_one(wanted->addresses[i]);
        if (fd < 0) {
            log_error(NULL, "cannot listen",
                      LOG_FIELDS(LOG_TEXT("listen", name),
                                 LOG_TEXT("address", wanted->addresses[i]),
                                 LOG_TEXT("reason", strerror(errno))));
            return false;
        }
        supervisor->listeners[supervisor->listeners_count++] = (struct listener){name, fd};
    }
    return true;
}

bool listeners_bind(struct supervisor *supervisor)
{
    return bind_all(supervisor, "smtp", &supervisor->config.smtp) &&
           bind_all(supervisor, "imap", &supervisor->config.imap) &&
           bind_all(supervisor, "imaps", &supervisor->config.imaps);
}
