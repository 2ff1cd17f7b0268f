/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/name_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/loop.h"

enum { HEADER = 12, MESSAGE_MAX = 65535, LATER_MAX = 256, ROWS_MAX = 64, TYPE_SOA = 6 };

struct later {
    uint64_t due_ms;
    struct sockaddr_in to;
    struct buffer message;
};

struct name_server {
    const struct zone_row *rows;
    unsigned count, slow_ms;
    int udp, tcp, stop[2];
    pthread_t thread;
    char address[32];
    _Atomic unsigned asked[ROWS_MAX], asked_tcp;
    struct later later[LATER_MAX];
    unsigned later_count;
};

struct question {
    const uint8_t *message;
    size_t len; /* with the question */
    char name[256];
    unsigned type;
};

static bool read_question(const uint8_t *message, size_t size, struct question *question)
{
    size_t at = HEADER, used = 0;
    while (at < size && message[at] != 0) {
        size_t label = message[at++];
        if (label > 63 || at + label >= size || used + label + 2 > sizeof(question->name))
            return false;
        if (used > 0)
            question->name[used++] = '.';
        for (size_t i = 0; i < label; i++)
            question->name[used++] = (char)byte_lower(message[at++]);
    }
    question->name[used] = '\0';
    if (at + 5 > size)
        return false;
    question->type = (unsigned)message[at + 1] << 8 | message[at + 2];
    question->message = message;
    question->len = at + 5;
    return true;
}

static void add16(struct buffer *message, unsigned number)
{
    buffer_add_byte(message, (uint8_t)(number >> 8));
    buffer_add_byte(message, (uint8_t)number);
}

static void add_name(struct buffer *message, const char *name)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        buffer_add_byte(message, (uint8_t)len);
        buffer_add(message, bytes_from(name, len));
        name += len + (name[len] == '.');
    }
    buffer_add_byte(message, 0);
}

static void add_record(struct buffer *message, const struct zone_row *row)
{
    add_name(message, row->owner != NULL ? row->owner : row->name);
    add16(message, row->rtype != 0 ? row->rtype : row->type);
    add16(message, 1);
    add16(message, 0);
    add16(message, 300);
    add16(message, (unsigned)row->rdata.len);
    buffer_add(message, row->rdata);
}

/* So that absence can be remembered (RFC 2308). */
static void add_soa(struct buffer *message)
{
    static const uint8_t soa[] = "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\74";
    static const struct zone_row row = {"", TYPE_SOA, ANSWERS, {soa, 22}, NULL, 0};
    add_record(message, &row);
}

static void begin(struct buffer *message, const struct question *question, unsigned flags)
{
    buffer_add(message, bytes_from(question->message, 2));
    add16(message, 0x8180 | flags);
    add16(message, 1);
    add16(message, 0);
    add16(message, 0);
    add16(message, 0);
    buffer_add(message, bytes_from(question->message + HEADER, question->len - HEADER));
}

static void set_count(struct buffer *message, size_t place, unsigned count)
{
    message->memory[message->start + place] = (uint8_t)(count >> 8);
    message->memory[message->start + place + 1] = (uint8_t)count;
}

static bool is_asked(const struct zone_row *row, const struct question *question)
{
    return row->type == question->type && strcmp(row->name, question->name) == 0;
}

static void answer(const struct name_server *server, const struct question *question,
                   unsigned from, struct buffer *message)
{
    bool exists = false;
    unsigned count = 0;
    begin(message, question, 0);
    for (unsigned i = 0; i < server->count; i++) {
        exists = exists || strcmp(server->rows[i].name, question->name) == 0;
        if (i < from || !is_asked(&server->rows[i], question))
            continue;
        add_record(message, &server->rows[i]);
        count++;
    }
    set_count(message, 6, count);
    if (count > 0)
        return;
    add_soa(message);
    set_count(message, 8, 1);
    message->memory[message->start + 3] |= exists ? 0 : 3;
}

/* The first row that is asked for; NULL: absence. */
static const struct zone_row *row_of(struct name_server *server,
                                     const struct question *question)
{
    for (unsigned i = 0; i < server->count; i++)
        if (is_asked(&server->rows[i], question))
            return &server->rows[i];
    return NULL;
}

static void send_udp(struct name_server *server, const struct sockaddr_in *to,
                     const struct buffer *message)
{
    struct bytes bytes = buffer_bytes(message);
    ssize_t sent =
        sendto(server->udp, bytes.at, bytes.len, 0, (const struct sockaddr *)to, sizeof(*to));
    (void)sent;
}

static void put_off(struct name_server *server, const struct sockaddr_in *to,
                    struct buffer *message)
{
    CHECK(server->later_count < LATER_MAX);
    server->later[server->later_count++] =
        (struct later){clock_monotonic_ms() + server->slow_ms, *to, *message};
    buffer_init(message);
}

static void forge(struct name_server *server, const struct question *question,
                  const struct zone_row *row, const struct sockaddr_in *to,
                  struct buffer *message)
{
    struct buffer forged = BUFFER_EMPTY;
    begin(&forged, question, 0);
    forged.memory[forged.start + 1] ^= 1;
    add_record(&forged, row);
    set_count(&forged, 6, 1);
    send_udp(server, to, &forged);
    buffer_fini(&forged);
    answer(server, question, (unsigned)(row - server->rows) + 1, message);
}

static void reply_udp(struct name_server *server, const struct question *question,
                      const struct sockaddr_in *to)
{
    const struct zone_row *row = row_of(server, question);
    struct buffer message = BUFFER_EMPTY;
    enum behaviour behaviour = row != NULL ? row->behaviour : ANSWERS;
    if (row != NULL)
        atomic_fetch_add(&server->asked[row - server->rows], 1);
    if (behaviour == FAILS || behaviour == REFUSES)
        begin(&message, question, behaviour == FAILS ? 2 : 5);
    else if (behaviour == TRUNCATES)
        begin(&message, question, 0x200);
    else if (behaviour == FORGES)
        forge(server, question, row, to, &message);
    else if (behaviour == BABBLES)
        buffer_add(&message, bytes_from(question->message, 7));
    else if (behaviour != IS_SILENT)
        answer(server, question, 0, &message);
    if (behaviour == IS_SLOW)
        put_off(server, to, &message);
    else if (behaviour != IS_SILENT)
        send_udp(server, to, &message);
    buffer_fini(&message);
}

static bool read_whole(int fd, uint8_t *at, size_t len)
{
    return recv(fd, at, len, MSG_WAITALL) == (ssize_t)len;
}

/* One question a connection. */
static void serve_tcp(struct name_server *server)
{
    static uint8_t message[MESSAGE_MAX];
    const struct timeval limit = {.tv_sec = 5};
    struct question question;
    uint8_t size[2];
    int fd = accept(server->tcp, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (read_whole(fd, size, 2)) {
        size_t len = (size_t)size[0] << 8 | size[1];
        if (read_whole(fd, message, len) && read_question(message, len, &question)) {
            struct buffer reply = BUFFER_EMPTY, framed = BUFFER_EMPTY;
            atomic_fetch_add(&server->asked_tcp, 1);
            answer(server, &question, 0, &reply);
            add16(&framed, (unsigned)buffer_len(&reply));
            buffer_add(&framed, buffer_bytes(&reply));
            ssize_t sent =
                send(fd, buffer_bytes(&framed).at, buffer_len(&framed), MSG_NOSIGNAL);
            (void)sent;
            buffer_fini(&reply);
            buffer_fini(&framed);
        }
    }
    close(fd);
}

static void serve_udp(struct name_server *server)
{
    uint8_t message[4096];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    struct question question;
    ssize_t len = recvfrom(server->udp, message, sizeof(message), MSG_DONTWAIT,
                           (struct sockaddr *)&from, &from_len);
    if (len > 0 && read_question(message, (size_t)len, &question))
        reply_udp(server, &question, &from);
}

static void send_due(struct name_server *server)
{
    uint64_t now_ms = clock_monotonic_ms();
    unsigned kept = 0;
    for (unsigned i = 0; i < server->later_count; i++) {
        if (server->later[i].due_ms > now_ms) {
            server->later[kept++] = server->later[i];
            continue;
        }
        send_udp(server, &server->later[i].to, &server->later[i].message);
        buffer_fini(&server->later[i].message);
    }
    server->later_count = kept;
}

static void *serve(void *context)
{
    struct name_server *server = context;
    for (;;) {
        struct pollfd fds[] = {{.fd = server->udp, .events = POLLIN},
                               {.fd = server->tcp, .events = POLLIN},
                               {.fd = server->stop[0], .events = POLLIN}};
        poll(fds, 3, server->later_count > 0 ? 5 : -1);
        if (fds[2].revents != 0)
            return NULL;
        if (fds[0].revents != 0)
            serve_udp(server);
        if (fds[1].revents != 0)
            serve_tcp(server);
        send_due(server);
    }
}

struct name_server *name_server_start(const struct zone_row *rows, unsigned count,
                                      unsigned slow_ms)
{
    struct name_server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    CHECK(server != NULL && count <= ROWS_MAX && pipe(server->stop) == 0);
    server->rows = rows;
    server->count = count;
    server->slow_ms = slow_ms;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    do { /* one port for both */
        address.sin_port = 0;
        server->tcp = socket(AF_INET, SOCK_STREAM, 0);
        server->udp = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(bind(server->tcp, (const struct sockaddr *)&address, sizeof(address)) == 0);
        CHECK(getsockname(server->tcp, (struct sockaddr *)&address, &len) == 0);
        if (bind(server->udp, (const struct sockaddr *)&address, sizeof(address)) == 0)
            break;
        close(server->udp);
        close(server->tcp);
    } while (true);
    CHECK(listen(server->tcp, 16) == 0);
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%u", ntohs(address.sin_port));
    CHECK(pthread_create(&server->thread, NULL, serve, server) == 0);
    return server;
}

void name_server_stop(struct name_server **pointer)
{
    struct name_server *server = *pointer;
    *pointer = NULL;
    CHECK(write(server->stop[1], "x", 1) == 1);
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < server->later_count; i++)
        buffer_fini(&server->later[i].message);
    close(server->udp);
    close(server->tcp);
    close(server->stop[0]);
    close(server->stop[1]);
    free(server);
}

const char *name_server_address(const struct name_server *server)
{
    return server->address;
}

unsigned name_server_asked(struct name_server *server, const char *name, unsigned type)
{
    for (unsigned i = 0; i < server->count; i++)
        if (server->rows[i].type == type && strcmp(server->rows[i].name, name) == 0)
            return atomic_load(&server->asked[i]);
    return 0;
}

unsigned name_server_asked_tcp(struct name_server *server)
{
    return atomic_load(&server->asked_tcp);
}
