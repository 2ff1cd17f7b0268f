/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_SUBMIT_CLIENT_H
#define TESTS_UNIT_SMTP_SUBMIT_CLIENT_H

#include <openssl/ssl.h>

#include "unit/smtp/server.h"

/* A client of submission, with TLS from the start; see client_expect() of server.h. */
struct submit_client {
    int fd;
    SSL *ssl;
    char seen[16 * 1024];
};

/* Makes the server one of submission, and starts it. */
void submit_begin(struct server *server);

/* Connected, and EHLO was answered. */
void submit_enter(struct submit_client *client, const struct server *server);
void submit_enter_as(struct submit_client *client, const struct server *server,
                     const char *command);
/* Without a word. */
void submit_leave(struct submit_client *client);

void submit_put(struct submit_client *client, const char *text);
void submit_expect(struct submit_client *client, const char *want);
void submit_say(struct submit_client *client, const char *text, const char *want);

/* AUTH PLAIN of ann; valid until the next call. */
const char *submit_plain(const char *password);

/* Until it is so, for a while. */
void submit_wait(bool (*is_so)(void));

#define FROM_ANN "From: Ann <ann@here.test>\r\nSubject: s\r\n\r\ntext\r\n.\r\n"
#define TO_Y "MAIL FROM:<ann@here.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"

#endif
