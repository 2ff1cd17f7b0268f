/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

static int listen_on(int family, const struct sockaddr *address, socklen_t len)
{
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A socket that nobody listens on any more is left behind by who ended without a chance to
 * remove it. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
        errno == ECONNREFUSED)
        unlink(address->sun_path);
    if (fd >= 0)
        close(fd);
}

/* Who may connect is said by the folder that it lies in. */
static int listen_local(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    CHECK(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    remove_stale(&address);
    int fd = listen_on(AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
    if (fd >= 0 && chmod(path, 0666) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int bind_one(const char *text)
{
    struct sockaddr_storage address;

    if (strncmp(text, "unix:", strlen("unix:")) == 0)
        return listen_local(text + strlen("unix:"));
    socklen_t len = parse(text, &address);
    return listen_on(address.ss_family, (const struct sockaddr *)&address, len);
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
    const struct config_listener *wanted;
    const char *name;

    for (unsigned i = 0; (wanted = config_listener_at(&supervisor->config, i, &name)) != NULL;
         i++)
        if (!bind_all(supervisor, name, wanted))
            return false;
    return true;
}
