/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * postraft-smtp with the store in memory of fake_store.h, for clients that are programs of
 * their own. Prints its port, serves until standard input ends, then prints each delivery: a
 * line "delivery TRACE-ID LENGTH", and so many bytes.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/receive/receive.h"
#include "unit/smtp/fake_store.h"

struct program {
    struct loop *loop;
    struct receive *receive;
    struct loop_watch *watch;
};

static void on_stopped(void *context)
{
    struct program *program = context;
    loop_stop(program->loop);
}

static void on_input(void *context)
{
    struct program *program = context;
    char byte;

    if (read(STDIN_FILENO, &byte, 1) > 0)
        return;
    loop_watch_stop(&program->watch);
    receive_stop(program->receive, on_stopped, program);
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    CHECK(listen(fd, 128) == 0);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void print_deliveries(void)
{
    for (unsigned i = 0; i < fake_store.delivery_count && i < FAKE_DELIVERIES_MAX; i++) {
        struct bytes body = buffer_bytes(&fake_store.deliveries[i].body);
        printf("delivery %s %zu\n", fake_store.deliveries[i].trace_id, body.len);
        fwrite(body.at, 1, body.len, stdout);
    }
}

int main(void)
{
    struct program program = {.loop = loop_new()};
    struct tls_context *tls;
    struct bytes certificate;
    struct bytes key;
    struct arena arena;

    signal(SIGPIPE, SIG_IGN);
    log_init("fake_server", LOG_LEVEL_WARN, false);
    arena_init(&arena);
    tls_self_signed("mx.test", &arena, &certificate, &key);
    CHECK(tls_context_new(certificate, key, &tls) == ERR_OK);
    struct store_client *store = fake_store_open(program.loop);
    const struct receive_config config = {
        .loop = program.loop,
        .store = store,
        .tls = tls,
        .hostname = "mx.test",
        .message_bytes_max = 50 * 1000 * 1000,
        .recipients_max = 1000,
        .submission_recipients_max = 1000,
        .auth_failures_max = 3,
        .connections_max = 1000,
        .connections_address_max = 1000,
        .messages_max = 256,
        .times = &receive_times_default,
    };
    program.receive = receive_new(&config);
    receive_listen(program.receive, listen_anywhere(), SMTP_SERVICE_MX, false);
    program.watch = loop_watch_start(program.loop, STDIN_FILENO, on_input, &program);
    loop_run(program.loop);
    receive_free(&program.receive);
    loop_free(&program.loop);
    print_deliveries();
    fake_store_close(&store);
    tls_context_free(&tls);
    arena_fini(&arena);
    return 0;
}
