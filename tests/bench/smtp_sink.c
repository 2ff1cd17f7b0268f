/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-smtp-sink: receiving hosts that take every message and forget it, on any number of
 * addresses. How many came to each address, and when, is kept in a file that others read
 * meanwhile. It does as little as a host can, so that what is measured is who sends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/smtp_result.h"
#include "node/base/check.h"

enum {
    EVENTS_MAX = 256,
    LISTENERS_MAX = 1000,
    BACKLOG = 1000,
    LINE_SIZE = 4096,
    INPUT_SIZE = 128 * 1024,
    OUTPUT_SIZE = 32 * 1024,
    DOT_SIZE = 5, /* CR LF . CR LF */
};

/* Of one listener, as others read them. */
struct counts {
    uint64_t messages;
    uint64_t recipients;
    uint64_t bytes;
    uint64_t connections;
    uint64_t first_us; /* first message, by the monotonic clock */
    uint64_t last_us;
};

struct peer {
    int fd;
    bool listens;
    struct counts *counts;
    bool data;
    uint64_t recipients; /* of the transaction */
    size_t kept;         /* of a line that is not complete, or the end of data seen so far */
    char line[LINE_SIZE];
};

struct sink {
    int epoll_fd;
    unsigned listener_count;
    struct peer *listeners[LISTENERS_MAX];
    const char *path;
    struct counts *counts;
    char input[DOT_SIZE + INPUT_SIZE];
    char output[OUTPUT_SIZE];
    size_t output_len;
};

static const char usage[] = "usage: bench-smtp-sink --counts FILE --listen ADDRESS:PORT ...\n"
                            "  --counts FILE           six 64-bit numbers for each listener: "
                            "messages, recipients, bytes,\n"
                            "                          connections, microseconds of the first "
                            "and of the last message\n"
                            "  --listen ADDRESS:PORT   IPv4\n";

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "bench-smtp-sink: %s: %s\n%s", what, value, usage);
    exit(2);
}

static void watch(struct sink *sink, struct peer *peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

    CHECK(epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) == 0);
}

static struct peer *peer_new(int fd, bool listens, struct counts *counts)
{
    struct peer *peer = calloc(1, sizeof(*peer));

    CHECK(peer != NULL);
    peer->fd = fd;
    peer->listens = listens;
    peer->counts = counts;
    return peer;
}

static void peer_free(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

static void add_listener(struct sink *sink, char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char *colon = strrchr(text, ':');
    const int on = 1;
    uint64_t port = 0;

    if (colon == NULL || sink->listener_count == LISTENERS_MAX ||
        !bytes_to_u64(bytes_of(colon + 1), &port) || port == 0 || port > UINT16_MAX)
        fail("cannot listen on", text);
    *colon = '\0';
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0)
        fail("cannot listen on", text);
    sink->listeners[sink->listener_count++] = peer_new(fd, true, NULL);
}

static void map_counts(struct sink *sink)
{
    size_t size = sink->listener_count * sizeof(*sink->counts);
    int fd = open(sink->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        fail("cannot write", sink->path);
    sink->counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(sink->counts != MAP_FAILED);
    close(fd);
    for (unsigned i = 0; i < sink->listener_count; i++)
        sink->listeners[i]->counts = &sink->counts[i];
}

/* ---- a connection ---- */

static void say(struct sink *sink, const char *text)
{
    size_t len = strlen(text);

    if (sink->output_len + len > sizeof(sink->output))
        return; /* who asks so much without listening hears nothing, and hangs */
    memcpy(sink->output + sink->output_len, text, len);
    sink->output_len += len;
}

static void taken(struct sink *sink, struct peer *peer)
{
    struct counts *counts = peer->counts;
    uint64_t now_us = smtp_result_now_us();

    if (counts->messages == 0)
        counts->first_us = now_us;
    counts->last_us = now_us;
    counts->messages++;
    counts->recipients += peer->recipients;
    peer->recipients = 0;
    say(sink, "250 2.0.0 taken\r\n");
}

/* Returns false when the connection is over. */
static bool command(struct sink *sink, struct peer *peer, const char *line)
{
    peer->data = strncasecmp(line, "DATA", 4) == 0;
    if (strncasecmp(line, "RCPT", 4) == 0)
        peer->recipients++;
    else if (!peer->data)
        peer->recipients = 0;
    if (strncasecmp(line, "EHLO", 4) == 0)
        say(sink, "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n"
                  "250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n");
    else if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RSET", 4) == 0)
        say(sink, "250 2.1.0 good\r\n");
    else if (strncasecmp(line, "RCPT", 4) == 0)
        say(sink, "250 2.1.5 good\r\n");
    else if (strncasecmp(line, "DATA", 4) == 0)
        say(sink, "354 go on\r\n");
    else if (strncasecmp(line, "QUIT", 4) == 0)
        say(sink, "221 2.0.0 bye\r\n");
    else
        say(sink, "250 2.0.0 well\r\n");
    return strncasecmp(line, "QUIT", 4) != 0;
}

/* Up to the end of the message or of what is there; returns where it goes on. */
static const char *take_data(struct sink *sink, struct peer *peer, const char *at,
                             const char *end)
{
    const char *dot = memmem(at, (size_t)(end - at), "\r\n.\r\n", DOT_SIZE);

    if (dot != NULL) {
        peer->data = false;
        peer->kept = 0;
        taken(sink, peer);
        return dot + DOT_SIZE;
    }
    peer->kept = (size_t)(end - at) < DOT_SIZE - 1 ? (size_t)(end - at) : DOT_SIZE - 1;
    memcpy(peer->line, end - peer->kept, peer->kept);
    return end;
}

/* NULL: the connection is over. */
static const char *take_line(struct sink *sink, struct peer *peer, const char *at,
                             const char *end)
{
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((stop != NULL ? stop : end) - at);

    if (peer->kept + len >= LINE_SIZE)
        return NULL;
    memcpy(peer->line + peer->kept, at, len);
    peer->kept += len;
    if (stop == NULL)
        return end;
    peer->line[peer->kept] = '\0';
    peer->kept = 0;
    return command(sink, peer, peer->line) ? stop + 1 : NULL;
}

/* `at` has room for DOT_SIZE bytes before it. Returns false when the connection is over. */
static bool take(struct sink *sink, struct peer *peer, char *at, const char *end)
{
    const char *next = at;

    if (peer->data) {
        memcpy(at - peer->kept, peer->line, peer->kept);
        next = at - peer->kept;
    }
    while (next != NULL && next < end) {
        bool data = peer->data;
        next = data ? take_data(sink, peer, next, end) : take_line(sink, peer, next, end);
        if (!data && peer->data) { /* a message may be a dot alone */
            next -= 2;
            memcpy(at + (next - at), "\r\n", 2); /* over what was read already */
        }
    }
    return next != NULL;
}

static void ready(struct sink *sink, struct peer *peer)
{
    ssize_t len = recv(peer->fd, sink->input + DOT_SIZE, INPUT_SIZE, 0);
    bool open = len > 0;

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    sink->output_len = 0;
    if (open) {
        peer->counts->bytes += (uint64_t)len;
        open = take(sink, peer, sink->input + DOT_SIZE, sink->input + DOT_SIZE + len);
    }
    /* Replies are short: they fit into what the kernel holds, or the peer does not listen. */
    if (sink->output_len > 0 && send(peer->fd, sink->output, sink->output_len, MSG_NOSIGNAL) !=
                                    (ssize_t)sink->output_len)
        open = false;
    if (!open)
        peer_free(peer);
}

static void accept_all(struct sink *sink, const struct peer *listener)
{
    static const char banner[] = "220 sink.test ESMTP\r\n";
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = peer_new(fd, false, listener->counts);
        listener->counts->connections++;
        watch(sink, peer);
        if (send(fd, banner, sizeof(banner) - 1, MSG_NOSIGNAL) < 0)
            peer_free(peer);
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"counts", required_argument, NULL, 'c'},
        {"listen", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    static struct sink sink;
    struct epoll_event events[EVENTS_MAX];

    signal(SIGPIPE, SIG_IGN);
    sink.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(sink.epoll_fd >= 0);
    for (int c = getopt_long(argc, argv, "", names, NULL); c != -1;
         c = getopt_long(argc, argv, "", names, NULL)) {
        if (c == 'c')
            sink.path = optarg;
        else if (c == 'l')
            add_listener(&sink, optarg);
        else
            fail("wrong arguments", "see below");
    }
    if (sink.path == NULL || sink.listener_count == 0)
        fail("wrong arguments", "a file and a listener are needed");
    map_counts(&sink);
    for (unsigned i = 0; i < sink.listener_count; i++)
        watch(&sink, sink.listeners[i]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(sink.epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->listens)
                accept_all(&sink, peer);
            else
                ready(&sink, peer);
        }
    }
}
