/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_TALKER_H
#define TESTS_UNIT_NODE_RUNTIME_TALKER_H

#include "tests/unit/node/runtime/lines.h"

#include "node/runtime/dial.h"

/* Dials a server of lines.h, says something, and keeps or counts what it hears. */
struct talker {
    struct conn *conn;
    struct tls_client *tls;
    const char *say; /* NULL: nothing, it only listens */
    size_t pause_at; /* takes nothing for a while when so many bytes came */
    struct buffer got, bindings;
    size_t count;
    unsigned opened, started, idle, closed, failed;
    enum err err;
    const char *reason;
    struct address local, peer;
    uint16_t local_port;
    bool held;
};

static inline void *talker_open(void *context, struct conn *conn)
{
    struct talker *talker = context;
    talker->opened++;
    talker->conn = conn;
    assert_true(conn_local(conn, &talker->local, &talker->local_port));
    talker->peer = *conn_peer(conn);
    assert_false(conn_is_crowded(conn));
    if (talker->say != NULL)
        conn_write(conn, bytes_of(talker->say));
    return talker;
}

static inline void talker_released(void *context)
{
    struct talker *talker = context;
    talker->held = false;
    talker->pause_at = SIZE_MAX;
    conn_resume(talker->conn);
}

static inline size_t talker_feed(void *context, struct bytes input)
{
    static const struct tls_expect anything = {.host = ""};
    struct talker *talker = context;
    if (talker->held)
        return 0;
    talker->count += input.len;
    if (talker->count < 4096)
        buffer_add(&talker->got, input);
    if (talker->count >= talker->pause_at) {
        talker->held = true;
        loop_timer_start(conn_loop(talker->conn), 50, 0, talker_released, talker);
    }
    if (talker->tls != NULL && bytes_equal(buffer_bytes(&talker->got), BYTES("hello\ngo\n")))
        assert_int_equal(conn_start_tls_client(talker->conn, talker->tls, &anything), ERR_OK);
    return input.len;
}

static inline void talker_tls_started(void *context)
{
    struct talker *talker = context;
    talker->started++;
    conn_write(talker->conn, BYTES("BIND exporter\nBIND end-point\nECHO safe\nQUIT\n"));
    for (unsigned i = 0; i < 2; i++) {
        struct buffer binding = BUFFER_EMPTY;
        assert_true(conn_channel_binding(
            talker->conn,
            i == 0 ? CONN_BINDING_TLS_EXPORTER : CONN_BINDING_TLS_SERVER_END_POINT, &binding));
        for (size_t at = 0; at < buffer_len(&binding); at++)
            buffer_printf(&talker->bindings, "%02x", buffer_bytes(&binding).at[at]);
        buffer_add_string(&talker->bindings, "\n");
        buffer_fini(&binding);
    }
}

static inline void talker_idle(void *context)
{
    struct talker *talker = context;
    talker->idle++;
    conn_close(talker->conn);
}

static inline void talker_writable(void *context)
{
    (void)context;
}

static inline void talker_closed(void *context)
{
    struct talker *talker = context;
    talker->closed++;
}

static const struct conn_protocol talking = {talker_open, talker_feed,     talker_tls_started,
                                             talker_idle, talker_writable, talker_closed};

static inline void talker_failed(void *context, enum err err, const char *reason)
{
    struct talker *talker = context;
    talker->failed++;
    talker->err = err;
    talker->reason = reason;
}

static inline bool talker_is_done(void *context)
{
    struct talker *talker = context;
    return talker->failed + talker->closed > 0;
}

static inline struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(bytes_of(text), &address));
    return address;
}

static inline struct dial_config to(const char *address, uint16_t port, struct talker *talker)
{
    if (talker->pause_at == 0)
        talker->pause_at = SIZE_MAX;
    return (struct dial_config){.target = address_of(address),
                                .port = port,
                                .protocol = &talking,
                                .context = talker,
                                .failed = talker_failed};
}

static inline bool both_are_done(void *context)
{
    struct talker *talker = context;
    return talker_is_done(talker) && conn_count() == 0;
}

/* Listens, accepts nothing by itself. */
static inline int listen_at(const char *text, uint16_t *port, int backlog)
{
    bool v6 = strchr(text, ':') != NULL;
    struct sockaddr_storage storage = {.ss_family = v6 ? AF_INET6 : AF_INET};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&storage;
    socklen_t len = v6 ? sizeof(*six) : sizeof(*v4);
    int fd = socket(storage.ss_family, SOCK_STREAM, 0);
    assert_int_equal(inet_pton(storage.ss_family, text,
                               v6 ? (void *)&six->sin6_addr : (void *)&v4->sin_addr),
                     1);
    if (bind(fd, (const struct sockaddr *)&storage, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &len), 0);
    *port = ntohs(v6 ? six->sin6_port : v4->sin_port);
    return fd;
}

static inline void set_flag(void *context)
{
    *(bool *)context = true;
}

#endif
