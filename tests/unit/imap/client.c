/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "tests/unit/imap/lab.h"

enum { ANSWER_S = 20 };

static void reach(struct client *client, const struct lab *lab, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(lab->ports[port])};
    struct timeval limit = {.tv_sec = ANSWER_S};

    *client = (struct client){.seen = BUFFER_EMPTY};
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    CHECK(connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
}

void client_open_for(struct client *client, const struct lab *lab, const char *peer)
{
    char header[128];

    reach(client, lab, LAB_PROXY);
    snprintf(header, sizeof(header), "PROXY TCP4 %s 198.51.100.1 40000 143\r\n", peer);
    client_say(client, header);
}

void client_open(struct client *client, const struct lab *lab, int port)
{
    reach(client, lab, port);
    if (port == LAB_IMPLICIT)
        client_tls(client);
    client_expect(client, "* OK ");
}

void client_tls(struct client *client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    CHECK(SSL_connect(client->ssl) == 1);
}

void client_send(struct client *client, struct bytes bytes)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < 65536 ? bytes.len : 65536;
        ssize_t sent = client->ssl != NULL ? SSL_write(client->ssl, bytes.at, (int)len)
                                           : send(client->fd, bytes.at, len, MSG_NOSIGNAL);
        CHECK(sent > 0);
        bytes = bytes_skip(bytes, (size_t)sent);
    }
}

void client_say(struct client *client, const char *text)
{
    client_send(client, bytes_of(text));
}

static bool hear(struct client *client)
{
    uint8_t *room = buffer_reserve(&client->seen, 65536);
    ssize_t len = client->ssl != NULL ? SSL_read(client->ssl, room, 65536)
                                      : recv(client->fd, room, 65536, 0);

    if (len > 0)
        buffer_added(&client->seen, (size_t)len);
    return len > 0;
}

void client_expect(struct client *client, const char *start)
{
    for (;;) {
        struct bytes seen = buffer_bytes(&client->seen);
        size_t len = bytes_find(seen, '\n');
        if (len == seen.len) {
            CHECK(hear(client));
            continue;
        }
        bool found = bytes_start_nocase(seen, bytes_of(start));
        buffer_drop(&client->seen, len + 1);
        if (found)
            return;
    }
}

void client_expect_bytes(struct client *client, struct bytes bytes)
{
    while (buffer_len(&client->seen) < bytes.len)
        CHECK(hear(client));
    CHECK(memcmp(buffer_bytes(&client->seen).at, bytes.at, bytes.len) == 0);
    buffer_drop(&client->seen, bytes.len);
}

void client_expect_end(struct client *client)
{
    errno = 0;
    while (hear(client))
        ;
    CHECK(errno != EAGAIN && errno != EWOULDBLOCK); /* nothing came, and no end either */
}

void client_close(struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
    buffer_fini(&client->seen);
}
