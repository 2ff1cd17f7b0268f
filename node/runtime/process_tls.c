/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/process_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/network_map.h"

enum { PEM_SIZE_MAX = 1024 * 1024 };

/* All of a file, which is closed. */
static void read_file(int fd, struct buffer *text)
{
    ssize_t len = 0;

    while (
        buffer_len(text) < PEM_SIZE_MAX &&
        ((len = read(fd, buffer_reserve(text, 4096), 4096)) > 0 || (len < 0 && errno == EINTR)))
        if (len > 0)
            buffer_added(text, (size_t)len);
    close(fd);
}

/* The chain comes first, the key behind it. False: there is no key. */
static bool find_pair(const char *whole, struct bytes *certificate, struct bytes *key)
{
    static const char begin[] = "-----BEGIN ", label[] = "PRIVATE KEY-----";
    const char *at = whole;

    while ((at = strstr(at, begin)) != NULL) {
        const char *line_end = strchr(at, '\n');
        const char *found = strstr(at, label);
        if (found != NULL && (line_end == NULL || found < line_end))
            break;
        at += sizeof(begin) - 1;
    }
    if (at == NULL)
        return false;
    *certificate = bytes_from(whole, (size_t)(at - whole));
    *key = bytes_of(at);
    return true;
}

void process_tls_read(struct process *process)
{
    int fd = process_number("POSTRAFT_TLS_FD");
    struct buffer text = BUFFER_EMPTY;

    process->keys_fd = process_number("POSTRAFT_KEYS_FD");
    if (fd < 0)
        return;
    read_file(fd, &text);
    (void)find_pair(arena_string(&process->arena, buffer_bytes(&text)),
                    &process->tls_certificate, &process->tls_key);
    explicit_bzero(text.memory, text.size);
    buffer_fini(&text);
}

/* The descriptor that came, and what it is; -1 when there is none to be had, -2 when none will
 * come any more. */
static int receive_file(int fd, char *kind)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {kind, 1};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    int received;
    ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : -2;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len != CMSG_LEN(sizeof(int)))
        return len == 0 ? -2 : -1;
    memcpy(&received, CMSG_DATA(head), sizeof(received));
    return received;
}

static void replace_pair(struct process *process, int fd)
{
    struct buffer text = BUFFER_EMPTY;
    struct bytes certificate, key;

    read_file(fd, &text);
    buffer_add_byte(&text, '\0');
    bool good = find_pair((const char *)buffer_bytes(&text).at, &certificate, &key) &&
                tls_context_replace(process->tls, certificate, key) == ERR_OK;
    explicit_bzero(text.memory, text.size);
    buffer_fini(&text);
    if (good)
        log_info(NULL, "new connections get the new certificate", NULL);
    else
        log_error(NULL, "the new certificate cannot be used, the old one stays", NULL);
}

static void on_file(void *context)
{
    struct process *process = context;
    char kind = 0;
    int fd = receive_file(process->keys_fd, &kind);

    if (fd == -2)
        loop_watch_stop(&process->keys_watch); /* the supervisor is gone */
    if (fd < 0)
        return;
    if (kind == PROCESS_FILE_KEYS && process->tls != NULL)
        replace_pair(process, fd);
    else if (kind != PROCESS_FILE_MAP || process->network_map == NULL)
        close(fd); /* nothing of ours */
    else if (network_map_replace(process->network_map, fd) != ERR_OK)
        return; /* which has been said */
}

static void watch_files(struct process *process)
{
    if (process->keys_fd >= 0 && process->keys_watch == NULL)
        process->keys_watch =
            loop_watch_start(process->loop, process->keys_fd, on_file, process);
}

struct network_map *process_network_map(struct process *process)
{
    if (process->network_map == NULL)
        process->network_map = network_map_open(process->config.network_map_file);
    watch_files(process);
    return process->network_map;
}

enum err process_tls(struct process *process, struct tls_context **tls)
{
    *tls = NULL;
    if (process->tls_certificate.len == 0)
        return ERR_OK;
    enum err err = tls_context_new(process->tls_certificate, process->tls_key, tls);
    if (err != ERR_OK)
        return err;
    process->tls = *tls;
    watch_files(process);
    return ERR_OK;
}

void process_tls_end(struct process *process)
{
    loop_watch_stop(&process->keys_watch);
    if (process->keys_fd >= 0)
        close(process->keys_fd);
    process->keys_fd = -1;
    network_map_free(&process->network_map);
}
