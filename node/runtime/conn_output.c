/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the session to the socket, once a turn. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/conn_internal.h"

static void on_written(uv_write_t *uv, int status)
{
    struct conn_writing *writing = (struct conn_writing *)uv;
    struct conn *conn = writing->conn;

    conn->writing = NULL;
    buffer_fini(&writing->bytes);
    free(writing);
    if (conn->ended)
        return;
    if (status < 0)
        conn_end(conn);
    else
        conn_mark(conn);
}

static void write_later(struct conn *conn)
{
    struct conn_writing *writing = calloc(1, sizeof(*writing));

    CHECK(writing != NULL);
    writing->conn = conn;
    writing->bytes = conn->output;
    buffer_init(&conn->output);
    conn->writing = writing;
    struct bytes bytes = buffer_bytes(&writing->bytes);
    uv_buf_t buf = {(char *)writing->bytes.memory + writing->bytes.start, bytes.len};
    int result = uv_write(&writing->uv, (uv_stream_t *)&conn->tcp, &buf, 1, on_written);
    if (result == 0)
        return;
    conn->writing = NULL;
    buffer_fini(&writing->bytes);
    free(writing);
    conn_end(conn);
}

static void write_now(struct conn *conn)
{
    struct bytes bytes = buffer_bytes(&conn->output);

    if (conn->writing != NULL || bytes.len == 0)
        return;
    uv_buf_t buf = {(char *)conn->output.memory + conn->output.start, bytes.len};
    int result = uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
    if (result < 0 && result != UV_EAGAIN) {
        conn_end(conn);
        return;
    }
    if (result > 0)
        buffer_drop(&conn->output, (size_t)result);
    if (buffer_len(&conn->output) > 0)
        write_later(conn);
    else
        buffer_release(&conn->output);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct conn *conn = (struct conn *)request->handle;

    free(request);
    if (conn->ended)
        return;
    if (status < 0 || conn->eof)
        conn_end(conn);
}

/* All is written: say so to the peer, and wait for it to do the same, within the time limit;
 * not where places are rare. */
static void shut(struct conn *conn)
{
    if (conn->shut || conn->ended)
        return;
    if (conn->crowded) {
        conn_end(conn);
        return;
    }
    conn->shut = true;
    uv_shutdown_t *request = calloc(1, sizeof(*request));
    CHECK(request != NULL);
    if (uv_shutdown(request, (uv_stream_t *)&conn->tcp, on_shut) != 0) {
        free(request);
        conn_end(conn);
    }
}

void conn_flush(struct conn *conn)
{
    if (conn->ended)
        return;
    if (conn->ssl != NULL && !conn->handshaking) {
        if (!conn_tls_encrypt(conn)) {
            conn_end(conn);
            return;
        }
        if (conn->closing)
            conn_tls_shutdown(conn);
    }
    write_now(conn);
    if (conn->closing && conn->writing == NULL && !conn->ended)
        shut(conn);
}
