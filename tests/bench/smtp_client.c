/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/smtp_message.h"
#include "node/base/check.h"

enum {
    READ_SIZE = 16 * 1024,
    REPLY_SIZE_MAX = 64 * 1024,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 2000,
    REPLY_WAIT_MS = 120 * 1000,
};

/* Which reply comes next. */
enum stage {
    STAGE_AWAY, /* not connected; connects at `wake_us` */
    STAGE_CONNECTING,
    STAGE_BANNER,
    STAGE_EHLO,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_DOT,
    STAGE_RSET,
    STAGE_QUIT,
    STAGE_DONE,
};

struct client {
    struct load *load;
    unsigned target;
    int fd;
    enum stage stage;
    uint64_t wake_us;
    unsigned backoff_ms;
    bool pipelining;
    bool writable_wanted;
    struct buffer input;
    struct buffer output;
    bool has_message; /* under this token, without an outcome */
    char token[LOAD_TOKEN_SIZE];
    const char *recipient;
    uint64_t began_us;
    size_t size;
    char failure[128]; /* the first reply that refused the message, or "" */
};

struct client *client_new(struct load *load, unsigned number)
{
    struct client *client = calloc(1, sizeof(*client));

    CHECK(client != NULL);
    client->load = load;
    client->target = number % load->target_count;
    client->fd = -1;
    client->backoff_ms = BACKOFF_FIRST_MS;
    return client;
}

static void disconnect(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    buffer_clear(&client->input);
    buffer_clear(&client->output);
}

static void outcome(struct client *client, const char *reply)
{
    smtp_result_add(&client->load->result, client->token, reply, client->size,
                    client->began_us);
    client->has_message = false;
}

void client_free(struct client **client)
{
    if ((*client)->has_message && (*client)->stage == STAGE_DOT)
        outcome(*client, NULL);
    disconnect(*client);
    buffer_fini(&(*client)->input);
    buffer_fini(&(*client)->output);
    free(*client);
    *client = NULL;
}

bool client_is_done(const struct client *client)
{
    return client->stage == STAGE_DONE;
}

static bool work_left(const struct load *load)
{
    if (load->messages_max > 0)
        return load->messages_begun < load->messages_max;
    return smtp_result_now_us() < load->end_us;
}

/* The connection is gone, or was never there. */
static void lost(struct client *client)
{
    bool dot_sent = client->stage == STAGE_DOT && buffer_len(&client->output) == 0;

    if (client->stage == STAGE_QUIT) {
        disconnect(client);
        client->stage = STAGE_DONE;
        return;
    }
    client->load->result.connections_lost++;
    if (client->has_message && dot_sent)
        outcome(client, NULL);
    disconnect(client);
    client->stage = STAGE_AWAY;
    client->wake_us = smtp_result_now_us() + client->backoff_ms * UINT64_C(1000);
    client->backoff_ms = client->backoff_ms * 2;
    if (client->backoff_ms > BACKOFF_MAX_MS)
        client->backoff_ms = BACKOFF_MAX_MS;
    client->target = (client->target + 1) % client->load->target_count;
}

static void await(struct client *client, enum stage stage)
{
    client->stage = stage;
    client->wake_us = smtp_result_now_us() + REPLY_WAIT_MS * UINT64_C(1000);
}

static void watch(struct client *client, bool writable)
{
    struct epoll_event event = {
        .events = EPOLLIN | (writable ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = client,
    };

    if (writable == client->writable_wanted)
        return;
    client->writable_wanted = writable;
    CHECK(epoll_ctl(client->load->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == 0);
}

static void flush(struct client *client)
{
    while (buffer_len(&client->output) > 0) {
        struct bytes bytes = buffer_bytes(&client->output);
        ssize_t sent = send(client->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            lost(client);
            return;
        }
        buffer_drop(&client->output, (size_t)sent);
    }
    watch(client, buffer_len(&client->output) > 0);
}

static void connect_now(struct client *client)
{
    const struct load *load = client->load;
    const struct sockaddr_storage *target = &load->targets[client->target];
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    int on = 1;

    client->fd = socket(target->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(client->fd >= 0);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    CHECK(epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) == 0);
    client->writable_wanted = true;
    await(client, STAGE_CONNECTING);
    if (connect(client->fd, (const struct sockaddr *)target,
                load->target_lens[client->target]) != 0 &&
        errno != EINPROGRESS)
        lost(client);
}

static void take_message(struct client *client)
{
    struct load *load = client->load;

    if (client->has_message)
        return; /* one whose dot was not sent */
    client->has_message = true;
    snprintf(client->token, sizeof(client->token), "%s-%llu", load->token_prefix,
             (unsigned long long)load->messages_begun++);
    client->recipient = load->recipients[load->recipient_next++ % load->recipient_count];
}

static void next_message(struct client *client)
{
    if (!client->has_message && !work_left(client->load)) {
        buffer_add(&client->output, BYTES("QUIT\r\n"));
        await(client, STAGE_QUIT);
        return;
    }
    take_message(client);
    client->failure[0] = '\0';
    client->began_us = smtp_result_now_us();
    buffer_printf(&client->output, "MAIL FROM:<%s>\r\n", client->load->sender);
    if (client->pipelining)
        buffer_printf(&client->output, "RCPT TO:<%s>\r\nDATA\r\n", client->recipient);
    await(client, STAGE_MAIL);
}

static void note_failure(struct client *client, const char *reply)
{
    if (client->failure[0] == '\0')
        snprintf(client->failure, sizeof(client->failure), "%.100s", reply);
}

/* The message was refused before it was sent. */
static void refused(struct client *client)
{
    outcome(client, client->failure);
    buffer_add(&client->output, BYTES("RSET\r\n"));
    await(client, STAGE_RSET);
}

/* MAIL, RCPT or DATA was answered. */
static void envelope_reply(struct client *client, const char *reply)
{
    bool go = reply[0] == '2' || reply[0] == '3';

    if (!go)
        note_failure(client, reply);
    if (client->stage == STAGE_DATA) {
        if (!go) {
            refused(client);
            return;
        }
        size_t before = buffer_len(&client->output);
        smtp_message_write(&client->output, client->load->size, client->token,
                           client->load->sender, client->recipient);
        client->size = buffer_len(&client->output) - before - 3;
        await(client, STAGE_DOT);
        return;
    }
    if (!go && !client->pipelining) {
        refused(client);
        return;
    }
    if (!client->pipelining && client->stage == STAGE_MAIL)
        buffer_printf(&client->output, "RCPT TO:<%s>\r\n", client->recipient);
    else if (!client->pipelining)
        buffer_add(&client->output, BYTES("DATA\r\n"));
    await(client, client->stage == STAGE_MAIL ? STAGE_RCPT : STAGE_DATA);
}

static void on_reply(struct client *client, const char *reply)
{
    if (strncmp(reply, "421", 3) == 0 && client->stage != STAGE_QUIT) {
        if (client->has_message && client->stage >= STAGE_MAIL)
            outcome(client, reply);
        lost(client);
        return;
    }
    switch (client->stage) {
    case STAGE_BANNER:
        buffer_add(&client->output, BYTES("EHLO bench.test\r\n"));
        await(client, STAGE_EHLO);
        break;
    case STAGE_EHLO:
        client->backoff_ms = BACKOFF_FIRST_MS;
        next_message(client);
        break;
    case STAGE_MAIL:
    case STAGE_RCPT:
    case STAGE_DATA:
        envelope_reply(client, reply);
        break;
    case STAGE_DOT:
        outcome(client, reply);
        next_message(client);
        break;
    case STAGE_RSET:
        next_message(client);
        break;
    default:
        disconnect(client);
        client->stage = STAGE_DONE;
        break;
    }
}

/* Replies of several lines end with the one that has a space behind the code. */
static void take_replies(struct client *client)
{
    while (client->fd >= 0) {
        struct bytes input = buffer_bytes(&client->input);
        size_t len = bytes_find(input, '\n');
        char line[600];
        if (len == input.len)
            return;
        snprintf(line, sizeof(line), "%.*s", (int)(len > 0 ? len - 1 : 0), input.at);
        buffer_drop(&client->input, len + 1);
        if (client->stage == STAGE_EHLO && strstr(line, "PIPELINING") != NULL)
            client->pipelining = client->load->pipelining;
        if (strlen(line) < 4 || line[3] != '-')
            on_reply(client, line);
    }
}

void client_ready(struct client *client, uint32_t events)
{
    if (client->stage == STAGE_CONNECTING) {
        int problem = 0;
        socklen_t len = sizeof(problem);
        CHECK(getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0);
        if (problem != 0) {
            lost(client);
            return;
        }
        client->pipelining = false;
        await(client, STAGE_BANNER);
    }
    while (client->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        ssize_t got = recv(client->fd, buffer_reserve(&client->input, READ_SIZE), READ_SIZE, 0);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0 || buffer_len(&client->input) > REPLY_SIZE_MAX) {
            lost(client);
            return;
        }
        buffer_added(&client->input, (size_t)got);
        take_replies(client);
    }
    if (client->fd >= 0)
        flush(client);
}

void client_tick(struct client *client, uint64_t now_us)
{
    if (client->stage == STAGE_DONE || now_us < client->wake_us)
        return;
    if (client->stage != STAGE_AWAY)
        lost(client);
    else if (client->has_message || work_left(client->load))
        connect_now(client);
    else
        client->stage = STAGE_DONE;
}
