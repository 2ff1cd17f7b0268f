/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_SERVER_H
#define TESTS_UNIT_SMTP_SERVER_H

#include <netinet/in.h>
#include <pthread.h>

#include "smtp/receive/receive.h"

/*
 * The receiver over real sockets, with the store in memory of fake_store.h. Its loop runs in a
 * thread; the test is the client, and waits for what it expects with a deadline.
 *
 * Between server_start() and server_run() a test may set fake_store; after server_stop() or
 * server_join() it may read it.
 */
struct server {
    pthread_t thread;
    struct loop *loop;
    struct store_client *store;
    struct receive *receive;
    struct receive_times times; /* the default; a test may change it before server_start() */
    struct sockaddr_in address;
    enum smtp_service service; /* MX; a test may change it before server_start() */
    bool implicit;             /* TLS from the start; likewise */
    const struct config_prefixes *xclient_networks; /* likewise */
    struct tls_context *tls;
    struct memory_budget *memory; /* NULL: none; a test may set it before server_start() */
    bool stopped;
};

void server_start(struct server *server, unsigned messages_max);
void server_run(struct server *server);
/* Asks for a graceful stop; server_join() waits for its end. */
void server_ask_stop(struct server *server);
void server_join(struct server *server);
void server_stop(struct server *server);

/* What the store holds back goes on; wait until it holds so many calls. */
void store_release(const struct server *server);
void store_wait_held(unsigned count);

int client_open(const struct server *server);
void client_send(int fd, struct bytes bytes);
/* Reads until the last line that came starts with `want`; "" waits for the end of the
 * connection. */
void client_expect(int fd, const char *want);
void client_say(int fd, const char *line, const char *want);
/* Connected, and DATA was answered with 354. */
int client_at_data(const struct server *server);

#define ENVELOPE "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
#define MESSAGE "Subject: s\r\n\r\nhello\r\n..dot\r\n.\r\n"

/* For cmocka_unit_test_setup_teardown(): *state is a server. */
int server_set_up(void **state);
int server_tear_down(void **state);
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, server_set_up, server_tear_down)

#endif
