/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/dial_lab.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"

static void send_text(int fd, const char *text)
{
    ssize_t sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
    (void)sent; /* the other side may be gone */
}

/* False: the connection ended. */
static bool read_line(int fd)
{
    char byte = 0;
    while (byte != '\n')
        if (recv(fd, &byte, 1, 0) != 1)
            return false;
    return true;
}

static void wait_for_end(int fd)
{
    char block[4096];
    while (recv(fd, block, sizeof(block), 0) > 0)
        ;
}

/* The first bytes of the host's flight, and then no more. */
static void shake_hands_partly(struct host *host, int fd)
{
    char block[16384];
    SSL *ssl = SSL_new(host->tls);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    char *flight;
    ssize_t len;
    long got = 0;
    SSL_set_bio(ssl, in, out);
    while (got == 0 && (len = recv(fd, block, sizeof(block), 0)) > 0) {
        CHECK(BIO_write(in, block, (int)len) == (int)len);
        SSL_accept(ssl);
        got = BIO_get_mem_data(out, &flight);
    }
    CHECK(got > (long)host->cut_after);
    CHECK(send(fd, flight, host->cut_after, MSG_NOSIGNAL) == (ssize_t)host->cut_after);
    SSL_free(ssl);
}

static void shake_hands(struct host *host, int fd)
{
    char block[1024];
    int len;
    SSL *ssl = SSL_new(host->tls);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        host->shook = true;
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(host->server_name, sizeof(host->server_name), "%s", name != NULL ? name : "");
        while ((len = SSL_read(ssl, block, sizeof(block))) > 0)
            SSL_write(ssl, block, len);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

static void serve(struct host *host, int fd)
{
    char byte;
    send_text(fd, "220 hi\r\n");
    if (!read_line(fd))
        return;
    send_text(fd, host->answer != NULL ? host->answer : "220 go\r\n");
    if (host->later != NULL && recv(fd, &byte, 1, MSG_PEEK) == 1)
        send_text(fd, host->later);
    if (host->silent || host->later != NULL)
        wait_for_end(fd);
    else if (host->cut_after != 0)
        shake_hands_partly(host, fd);
    else if (host->tls != NULL)
        shake_hands(host, fd);
}

static void *host_main(void *context)
{
    struct host *host = context;
    int fd = accept(host->fd, NULL, NULL);
    if (host->once)
        shutdown(host->fd, SHUT_RDWR);
    if (fd >= 0) {
        serve(host, fd);
        shutdown(fd, SHUT_WR);
        wait_for_end(fd);
        close(fd);
    }
    ERR_clear_error();
    return NULL;
}

void host_start(struct host *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    host->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(host->fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(host->fd, 8) == 0);
    CHECK(getsockname(host->fd, (struct sockaddr *)&address, &len) == 0);
    host->port = ntohs(address.sin_port);
    CHECK(pthread_create(&host->thread, NULL, host_main, host) == 0);
}

void host_stop(struct host *host)
{
    shutdown(host->fd, SHUT_RDWR); /* ends an accept() that still waits */
    CHECK(pthread_join(host->thread, NULL) == 0);
    close(host->fd);
    SSL_CTX_free(host->tls);
    host->tls = NULL;
}

SSL_CTX *host_tls(X509 *certificate, X509 *const *chain, unsigned count, EVP_PKEY *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    CHECK(tls != NULL);
    SSL_CTX_set_security_level(tls, 0);
    CHECK(SSL_CTX_use_certificate(tls, certificate) == 1);
    for (unsigned i = 0; i < count; i++)
        CHECK(SSL_CTX_add1_chain_cert(tls, chain[i]) == 1);
    CHECK(SSL_CTX_use_PrivateKey(tls, key) == 1);
    return tls;
}

static void *on_open(void *context, struct conn *conn)
{
    struct caller *caller = context;
    caller->opened++;
    caller->conn = conn;
    return caller;
}

static void start_tls(struct caller *caller)
{
    caller->err = conn_start_tls_client(caller->conn, caller->tls, &caller->expect);
    if (caller->err != ERR_OK)
        conn_close(caller->conn);
}

static void on_later(void *context)
{
    start_tls(context);
}

static size_t on_feed(void *context, struct bytes input)
{
    struct caller *caller = context;
    size_t len = bytes_find(input, '\n') + 1;
    if (len > input.len || (caller->later && caller->answered && caller->started == 0))
        return 0;
    if (!caller->greeted) {
        caller->greeted = true;
        conn_write(caller->conn, BYTES("STARTTLS\r\n"));
    } else if (!caller->answered) {
        caller->answered = true;
        if (caller->later)
            loop_timer_start(caller->loop, 50, 0, on_later, caller);
        else
            start_tls(caller);
    } else {
        CHECK(caller->started == 1); /* nothing else was asked */
        caller->echoed = bytes_equal(bytes_from(input.at, len), BYTES("echo\n"));
        conn_close(caller->conn);
    }
    return len;
}

static void on_tls_started(void *context)
{
    struct caller *caller = context;
    caller->started++;
    caller->verified = conn_tls_verified(caller->conn);
    caller->failure_then = conn_tls_failure(caller->conn, NULL);
    caller->has_key = conn_tls_peer_key(caller->conn, caller->key);
    snprintf(caller->tls_text, sizeof(caller->tls_text), "%s", conn_tls_text(caller->conn));
    conn_write(caller->conn, BYTES("echo\n"));
}

static void on_idle(void *context)
{
    struct caller *caller = context;
    conn_close(caller->conn);
}

static void on_writable(void *context)
{
    (void)context;
}

static void on_closed(void *context)
{
    struct caller *caller = context;
    const char *why;
    caller->failure = conn_tls_failure(caller->conn, &why);
    snprintf(caller->why, sizeof(caller->why), "%s", why);
    caller->conn = NULL;
    caller->closed++;
}

const struct conn_protocol caller_protocol = {on_open, on_feed,     on_tls_started,
                                              on_idle, on_writable, on_closed};

void caller_failed(void *context, enum err err, const char *reason)
{
    struct caller *caller = context;
    caller->failures++;
    caller->err = err;
    caller->reason = reason;
}

bool caller_is_done(void *context)
{
    struct caller *caller = context;
    return caller->failures + caller->closed > 0 && conn_count() == 0;
}

void caller_talk(struct caller *caller, struct host *host, const struct conn_limits *limits)
{
    struct dial_config config = {.limits = limits,
                                 .protocol = &caller_protocol,
                                 .context = caller,
                                 .failed = caller_failed};
    caller->loop = loop_new();
    host_start(host);
    config.port = host->port;
    CHECK(address_parse(BYTES("127.0.0.1"), &config.target));
    dial_start(caller->loop, &config);
    run_until(caller->loop, caller_is_done, caller);
    loop_free(&caller->loop);
    host_stop(host);
    assert_int_equal(caller->opened, 1);
    assert_int_equal(caller->closed, 1);
}
