/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/imap_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/check.h"

enum { READ_SIZE = 32 * 1024 };

bool imap_client_open(struct imap_client *client, SSL_CTX *tls, const struct sockaddr *address,
                      socklen_t len)
{
    void *context = client->context;
    int one = 1;

    *client = (struct imap_client){.fd = -1, .context = context};
    client->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(client->fd, address, len) != 0 && errno != EINPROGRESS) {
        close(client->fd);
        client->fd = -1;
        return false;
    }
    client->ssl = SSL_new(tls);
    CHECK(client->ssl != NULL);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_connect_state(client->ssl);
    client->wants_write = true;
    return true;
}

void imap_client_close(struct imap_client *client)
{
    if (client->fd < 0)
        return;
    SSL_free(client->ssl);
    close(client->fd);
    buffer_fini(&client->in);
    buffer_fini(&client->out);
    client->fd = -1;
}

void imap_client_add(struct imap_client *client, struct bytes bytes)
{
    buffer_add(&client->out, bytes);
}

void imap_client_say(struct imap_client *client, const char *text)
{
    buffer_printf(&client->out, "%u %s\r\n", ++client->tag, text);
}

/* False: the connection is broken. */
static bool settle(struct imap_client *client, int result)
{
    int error = SSL_get_error(client->ssl, result);

    if (error == SSL_ERROR_WANT_WRITE)
        client->wants_write = true;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool write_out(struct imap_client *client)
{
    while (buffer_len(&client->out) > 0) {
        struct bytes bytes = buffer_bytes(&client->out);
        int len = bytes.len < 65536 ? (int)bytes.len : 65536;
        int sent = SSL_write(client->ssl, bytes.at, len);
        if (sent <= 0)
            return settle(client, sent);
        buffer_drop(&client->out, (size_t)sent);
    }
    return true;
}

static bool ends_in_literal(struct bytes line, uint64_t *size)
{
    size_t at = line.len;

    if (at < 3 || line.at[at - 1] != '}')
        return false;
    while (at > 0 && line.at[at - 1] != '{')
        at--;
    return at > 0 && bytes_to_u64(bytes_from(line.at + at, line.len - 1 - at), size);
}

static enum imap_heard judge_tagged(struct imap_client *client, struct bytes line)
{
    struct bytes tag = bytes_take_word(&line);
    uint64_t number;

    if (!bytes_to_u64(tag, &number) || number != client->tag)
        return IMAP_HEARD_NOTHING;
    return bytes_start_nocase(line, BYTES("OK")) ? IMAP_HEARD_OK : IMAP_HEARD_REFUSED;
}

static enum imap_heard judge_line(struct imap_client *client, struct bytes line)
{
    uint64_t number;

    if (line.len > 0 && line.at[0] == '+')
        return IMAP_HEARD_CONTINUE;
    if (!bytes_start_nocase(line, BYTES("* ")))
        return judge_tagged(client, line);
    if (!client->is_greeted) {
        client->is_greeted = true;
        return IMAP_HEARD_GREETING;
    }
    line = bytes_skip(line, 2);
    struct bytes word = bytes_take_word(&line);
    if (bytes_equal(word, BYTES("BYE")))
        return IMAP_HEARD_END;
    if (bytes_to_u64(word, &number)) {
        client->responses += bytes_start_nocase(line, BYTES("FETCH"));
        if (bytes_start_nocase(line, BYTES("EXISTS")))
            client->exists = (uint32_t)number;
    }
    return IMAP_HEARD_NOTHING;
}

/* Takes lines off what was read, up to the first that says something. */
static enum imap_heard take_lines(struct imap_client *client)
{
    for (;;) {
        struct bytes in = buffer_bytes(&client->in);
        if (client->skip > 0) {
            size_t len = client->skip < in.len ? client->skip : in.len;
            buffer_drop(&client->in, len);
            client->skip -= len;
            if (client->skip > 0)
                return IMAP_HEARD_NOTHING;
            continue;
        }
        size_t end = bytes_find(in, '\n');
        if (end == in.len)
            return IMAP_HEARD_NOTHING;
        struct bytes line = {in.at, end > 0 && in.at[end - 1] == '\r' ? end - 1 : end};
        bool goes_on = ends_in_literal(line, &client->skip);
        enum imap_heard heard =
            client->in_response ? IMAP_HEARD_NOTHING : judge_line(client, line);
        client->in_response = goes_on;
        buffer_drop(&client->in, end + 1);
        if (heard != IMAP_HEARD_NOTHING)
            return heard;
    }
}

enum imap_heard imap_client_run(struct imap_client *client)
{
    if (client->fd < 0)
        return IMAP_HEARD_NOTHING;
    client->wants_write = false;
    if (!client->is_connected) {
        int result = SSL_do_handshake(client->ssl);
        if (result != 1)
            return settle(client, result) ? IMAP_HEARD_NOTHING : IMAP_HEARD_END;
        client->is_connected = true;
    }
    if (!write_out(client))
        return IMAP_HEARD_END;
    for (;;) {
        enum imap_heard heard = take_lines(client);
        if (heard != IMAP_HEARD_NOTHING)
            return heard;
        int got = SSL_read(client->ssl, buffer_reserve(&client->in, READ_SIZE), READ_SIZE);
        if (got <= 0)
            return settle(client, got) ? IMAP_HEARD_NOTHING : IMAP_HEARD_END;
        buffer_added(&client->in, (size_t)got);
        client->bytes += (uint64_t)got;
    }
}
