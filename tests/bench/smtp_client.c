/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/smtp_client.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/smtp_message.h"
#include "node/base/check.h"

enum {
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
    STAGE_STARTTLS,
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
    unsigned number;
    unsigned target;
    struct smtp_transport transport;
    enum stage stage;
    uint64_t wake_us;
    unsigned backoff_ms;
    bool offers_pipelining;
    bool offers_starttls;
    bool is_again;          /* a connection of its own accord behind another: at once */
    unsigned messages_sent; /* over this connection */
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
    client->number = number;
    client->target = number % load->target_count;
    client->transport.fd = -1;
    client->backoff_ms = BACKOFF_FIRST_MS;
    return client;
}

static void disconnect(struct client *client)
{
    smtp_transport_close(&client->transport);
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

/* QUIT was answered, or is not going to be. */
static void left(struct client *client)
{
    disconnect(client);
    client->is_again = work_left(client->load);
    client->stage = client->is_again ? STAGE_AWAY : STAGE_DONE;
    client->wake_us = 0;
}

/* The connection is gone, or was never there. */
static void lost(struct client *client)
{
    bool dot_sent = client->stage == STAGE_DOT && buffer_len(&client->output) == 0;

    if (client->stage == STAGE_QUIT) {
        left(client);
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

/* The local address of this connection, in `source`; NULL: whichever the system takes. */
static const struct sockaddr *source_address(const struct client *client,
                                             struct sockaddr_in *source)
{
    const struct load *load = client->load;

    if (load->sources == 0 || load->targets[client->target].ss_family != AF_INET)
        return NULL;
    *source = (struct sockaddr_in){.sin_family = AF_INET};
    source->sin_addr.s_addr = htonl(LOAD_SOURCE_FIRST + client->number % load->sources);
    return (const struct sockaddr *)source;
}

static void connect_now(struct client *client)
{
    const struct load *load = client->load;
    struct sockaddr_in source;

    client->is_again = false;
    client->messages_sent = 0;
    await(client, STAGE_CONNECTING);
    if (!smtp_transport_open(&client->transport, load->epoll_fd, client,
                             (const struct sockaddr *)&load->targets[client->target],
                             load->target_lens[client->target],
                             source_address(client, &source)))
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
    unsigned most = client->load->connection_messages;
    bool full = most > 0 && client->messages_sent >= most;

    if (!client->has_message && (full || !work_left(client->load))) {
        buffer_add(&client->output, BYTES("QUIT\r\n"));
        await(client, STAGE_QUIT);
        return;
    }
    take_message(client);
    client->messages_sent++;
    client->failure[0] = '\0';
    client->began_us = smtp_result_now_us();
    buffer_printf(&client->output, "MAIL FROM:<%s>\r\n", client->load->sender);
    if (client->offers_pipelining)
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
        struct smtp_message message = {
            .size = client->load->size,
            .has_attachment = client->load->attachments,
            .token = client->token,
            .sender = client->load->sender,
            .recipient = client->recipient,
        };
        smtp_message_write(&client->output, &message);
        client->size = buffer_len(&client->output) - before - 3;
        await(client, STAGE_DOT);
        return;
    }
    if (!go && !client->offers_pipelining) {
        refused(client);
        return;
    }
    if (!client->offers_pipelining && client->stage == STAGE_MAIL)
        buffer_printf(&client->output, "RCPT TO:<%s>\r\n", client->recipient);
    else if (!client->offers_pipelining)
        buffer_add(&client->output, BYTES("DATA\r\n"));
    await(client, client->stage == STAGE_MAIL ? STAGE_RCPT : STAGE_DATA);
}

/* EHLO was answered: go on, over TLS if that is wanted. */
static void greeted(struct client *client)
{
    const struct load *load = client->load;

    if (load->tls != NULL && client->transport.ssl == NULL) {
        if (!client->offers_starttls) {
            lost(client);
            return;
        }
        buffer_add(&client->output, BYTES("STARTTLS\r\n"));
        await(client, STAGE_STARTTLS);
        return;
    }
    client->backoff_ms = BACKOFF_FIRST_MS;
    next_message(client);
}

static void greet(struct client *client)
{
    client->offers_pipelining = false;
    client->offers_starttls = false;
    buffer_add(&client->output, BYTES("EHLO bench.test\r\n"));
    await(client, STAGE_EHLO);
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
        greet(client);
        break;
    case STAGE_EHLO:
        greeted(client);
        break;
    case STAGE_STARTTLS:
        if (reply[0] != '2') {
            lost(client);
            break;
        }
        smtp_transport_start_tls(&client->transport, client->load->tls);
        greet(client);
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
        left(client);
        break;
    }
}

/* What the server offers, of one line of its answer to EHLO. */
static void take_offer(struct client *client, const char *line)
{
    if (strstr(line, "PIPELINING") != NULL)
        client->offers_pipelining = client->load->pipelining;
    else if (strstr(line, "STARTTLS") != NULL)
        client->offers_starttls = true;
}

/* Replies of several lines end with the one that has a space behind the code. */
static void take_replies(struct client *client)
{
    while (client->transport.fd >= 0) {
        struct bytes input = buffer_bytes(&client->input);
        size_t len = bytes_find(input, '\n');
        char line[600];
        if (len == input.len)
            return;
        snprintf(line, sizeof(line), "%.*s", (int)(len > 0 ? len - 1 : 0), input.at);
        buffer_drop(&client->input, len + 1);
        if (client->stage == STAGE_EHLO)
            take_offer(client, line);
        if (strlen(line) < 4 || line[3] != '-')
            on_reply(client, line);
    }
}

static bool connected(struct client *client)
{
    const struct load *load = client->load;

    if (!smtp_transport_connected(&client->transport))
        return false;
    if (load->tls != NULL && load->tls_at_once)
        smtp_transport_start_tls(&client->transport, load->tls);
    await(client, STAGE_BANNER);
    return true;
}

void client_ready(struct client *client)
{
    struct smtp_transport *transport = &client->transport;

    if (client->stage == STAGE_CONNECTING && !connected(client)) {
        lost(client);
        return;
    }
    while (transport->fd >= 0) {
        int got = smtp_transport_read(transport, &client->input);
        if (got == 0)
            break;
        if (got < 0 || buffer_len(&client->input) > REPLY_SIZE_MAX) {
            lost(client);
            return;
        }
        take_replies(client);
    }
    if (transport->fd >= 0 && !smtp_transport_write(transport, &client->output))
        lost(client);
    if (client->is_again)
        connect_now(client);
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
