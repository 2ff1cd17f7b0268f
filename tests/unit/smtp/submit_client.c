/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/smtp/submit_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_S = 20 };

void submit_expect(struct submit_client *client, const char *want)
{
    size_t len = 0;

    for (;;) {
        int got =
            SSL_read(client->ssl, client->seen + len, (int)(sizeof(client->seen) - 1 - len));
        if (got <= 0 && want[0] == '\0')
            return;
        if (got <= 0)
            fail_msg("no \"%s\", but: %.*s", want, (int)len, client->seen);
        len += (size_t)got;
        client->seen[len] = '\0';
        if (want[0] == '\0' || client->seen[len - 1] != '\n')
            continue;
        client->seen[len - 2] = '\0';
        const char *last = strrchr(client->seen, '\n');
        last = last != NULL ? last + 1 : client->seen;
        if (strncmp(last, want, strlen(want)) == 0)
            return;
        client->seen[len - 2] = '\r';
    }
}

void submit_put(struct submit_client *client, const char *text)
{
    assert_int_equal(SSL_write(client->ssl, text, (int)strlen(text)), (int)strlen(text));
}

void submit_say(struct submit_client *client, const char *text, const char *want)
{
    submit_put(client, text);
    submit_expect(client, want);
}

void submit_enter_as(struct submit_client *client, const struct server *server,
                     const char *command)
{
    char line[64];

    struct timeval limit = {.tv_sec = WAIT_S};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    client->fd = client_open(server);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    assert_int_equal(SSL_connect(client->ssl), 1);
    submit_expect(client, "220 mx.test");
    snprintf(line, sizeof(line), "%s client.test\r\n", command);
    submit_say(client, line, "250 ");
}

void submit_enter(struct submit_client *client, const struct server *server)
{
    submit_enter_as(client, server, "EHLO");
}

void submit_leave(struct submit_client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
}

const char *submit_plain(const char *password)
{
    static char line[200];
    char message[100];
    unsigned char coded[150];
    int len = snprintf(message, sizeof(message), "%cann@here.test%c%s", 0, 0, password);

    EVP_EncodeBlock(coded, (const unsigned char *)message, len);
    snprintf(line, sizeof(line), "AUTH PLAIN %s\r\n", coded);
    return line;
}

void submit_begin(struct server *server)
{
    server->service = SMTP_SERVICE_SUBMISSION;
    server->implicit = true;
    server_start(server, 10);
}

void submit_wait(bool (*is_so)(void))
{
    for (unsigned i = 0; !is_so(); i++) {
        assert_true(i < WAIT_S * 1000);
        poll(NULL, 0, 1);
    }
}
