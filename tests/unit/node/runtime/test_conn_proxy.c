/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who the client is: behind a proxy, beside one, and over a socket in the file system. */
#include "tests/unit/node/runtime/lines.h"

#include <netinet/in.h>
#include <sys/un.h>

#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n"

/* What a script says; the server expects proxies from `networks`. */
struct scene {
    const char *networks;
    bool implicit;
    struct conn_limits limits;
    struct server server;
};

static void play_scene(struct scene *scene, const char *(*script)(struct client *client))
{
    struct client client = {.server = &scene->server, .script = script};
    struct address_prefix prefix;
    pthread_t thread;
    if (scene->limits.input_max == 0)
        scene->limits = conn_limits_default;
    server_start(&scene->server, scene->implicit, scene->limits);
    /* The client's own handshake comes behind the header. */
    scene->server.implicit = false;
    assert_true(address_prefix_parse(bytes_of(scene->networks), &prefix));
    conn_listener_expect_proxy(scene->server.listener, &prefix, 1);
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    run_until(scene->server.loop, all_is_over, &scene->server);
    pthread_join(thread, NULL);
    if (client.problem != NULL)
        fail_msg("client: %s", client.problem);
    server_stop(&scene->server);
}

static const char *behind_v1(struct client *client)
{
    EXPECT(say(client, V1 "ECHO one\n"));
    EXPECT(want(client, "hello\none\n"));
    EXPECT(say(client, "PEER\nQUIT\n"));
    EXPECT(want(client, "192.0.2.7 4711 127.0.0.1\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void the_client_behind_a_proxy_is_the_peer(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.0/8"};
    play_scene(&scene, behind_v1);
    assert_string_equal(scene.server.last_peer, "192.0.2.7");
    assert_int_equal(scene.server.opened, 1);
}

static const char *in_bytes(struct client *client)
{
    static const char text[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24"
                               "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                               "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x67\x00\x19"
                               "PEER\nQUIT\n";
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        EXPECT(send(client->fd, text + i, 1, MSG_NOSIGNAL) == 1);
    EXPECT(want(client, "hello\n2001:db8::1 4711 127.0.0.1\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void a_header_may_come_in_single_bytes(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1"};
    play_scene(&scene, in_bytes);
    assert_string_equal(scene.server.last_peer, "2001:db8::1");
}

static const char *header_then_tls(struct client *client)
{
    EXPECT(say(client, V1));
    EXPECT(client_tls(client));
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "PEER\nQUIT\n"));
    EXPECT(want(client, "192.0.2.7 4711 127.0.0.1\nbye\n"));
    EXPECT(want_end(client));
    return NULL;
}

static void tls_from_the_start_comes_behind_the_header(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1", .implicit = true};
    play_scene(&scene, header_then_tls);
    assert_int_equal(scene.server.opened, 1);
}

static const char *proxy_itself(struct client *client)
{
    EXPECT(say(client, "PROXY UNKNOWN\r\nPEER\nQUIT\n"));
    EXPECT(want(client, "hello\n127.0.0.1 "));
    return NULL;
}

static void a_proxy_may_speak_for_itself(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1"};
    play_scene(&scene, proxy_itself);
    assert_string_equal(scene.server.last_peer, "127.0.0.1");
}

static const char *no_header(struct client *client)
{
    EXPECT(say(client, "ECHO one\n"));
    EXPECT(!want(client, "h"));
    return NULL;
}

static void a_proxy_without_a_header_is_cut(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1"};
    play_scene(&scene, no_header);
    assert_int_equal(scene.server.opened, 0);
}

static const char *half_a_header(struct client *client)
{
    EXPECT(say(client, "PROXY TCP4 192.0.2.7 "));
    EXPECT(shutdown(client->fd, SHUT_WR) == 0);
    EXPECT(!want(client, "h"));
    return NULL;
}

static const char *slow_header(struct client *client)
{
    const struct timeval pause = {.tv_usec = 20000};
    char byte;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
    EXPECT(say(client, "PROXY UNKNOWN "));
    for (unsigned i = 0; i < 90; i++)
        if (send(client->fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(client->fd, &byte, 1, 0) == 0)
            return NULL;
    return "it goes on";
}

static void half_a_header_has_an_end(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1", .limits = conn_limits_default};
    play_scene(&scene, half_a_header);
    scene.limits.proxy_ms = 200;
    play_scene(&scene, slow_header);
    assert_int_equal(scene.server.opened, 0);
}

static const char *stranger(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, V1 "PEER\nQUIT\n"));
    EXPECT(want(client, "127.0.0.1 "));
    return NULL;
}

static void a_strangers_header_is_garbage(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.2"};
    play_scene(&scene, stranger);
    assert_string_equal(scene.server.last_peer, "127.0.0.1");
}

static const char *crowd(struct client *client)
{
    int more[3];
    char text[8] = "";
    static const char *const headers[] = {
        "PROXY TCP4 192.0.2.7 192.0.2.1 1 25\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 2 25\r\n",
        "PROXY TCP4 192.0.2.8 192.0.2.1 3 25\r\n",
    };
    EXPECT(say(client, V1));
    EXPECT(want(client, "hello\n"));
    for (unsigned i = 0; i < 3; i++) {
        more[i] = dial(client->server->port);
        size_t len = strlen(headers[i]);
        EXPECT(send(more[i], headers[i], len, MSG_NOSIGNAL) == (ssize_t)len);
    }
    EXPECT(recv(more[0], text, 6, MSG_WAITALL) == 6 && strcmp(text, "hello\n") == 0);
    memset(text, 0, sizeof(text));
    EXPECT(recv(more[1], text, 5, MSG_WAITALL) == 5 && strcmp(text, "full\n") == 0);
    EXPECT(recv(more[1], text, 1, 0) == 0);
    memset(text, 0, sizeof(text));
    EXPECT(recv(more[2], text, 6, MSG_WAITALL) == 6 && strcmp(text, "hello\n") == 0);
    for (unsigned i = 0; i < 3; i++)
        close(more[i]);
    return NULL;
}

static void limits_are_the_clients_not_the_proxys(void **state)
{
    (void)state;
    struct scene scene = {.networks = "127.0.0.1", .limits = conn_limits_default};
    scene.limits.connections_address_max = 2;
    play_scene(&scene, crowd);
    assert_int_equal(scene.server.opened, 3);
}

/* A program of this machine. */
static const char *local_program(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(say(client, "PEER\nQUIT\n"));
    EXPECT(want(client, " 0 \nbye\n"));
    return NULL;
}

struct local {
    struct server server;
    struct sockaddr_un address;
    const char *problem;
};

static void *local_main(void *context)
{
    struct local *local = context;
    struct client client = {.server = &local->server};
    client.fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(client.fd, (const struct sockaddr *)&local->address, sizeof(local->address)) ==
        0)
        local->problem = local_program(&client);
    else
        local->problem = "connect";
    close(client.fd);
    atomic_store(&local->server.client_done, true);
    return NULL;
}

static void a_program_of_this_machine_has_no_address(void **state)
{
    (void)state;
    struct local local = {.address = {.sun_family = AF_UNIX}};
    struct conn_limits limits = conn_limits_default;
    char folder[] = "/tmp/test-conn-XXXXXX";
    pthread_t thread;
    assert_non_null(mkdtemp(folder));
    snprintf(local.address.sun_path, sizeof(local.address.sun_path), "%s/s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&local.address, sizeof(local.address)),
                     0);
    assert_int_equal(listen(fd, 1), 0);
    limits.connections_address_max = 0;
    local.server.loop = loop_new();
    local.server.listener = conn_listen(local.server.loop, fd, &protocol, &local.server, NULL,
                                        false, &limits, BYTES("full\n"));
    assert_int_equal(pthread_create(&thread, NULL, local_main, &local), 0);
    run_until(local.server.loop, all_is_over, &local.server);
    pthread_join(thread, NULL);
    if (local.problem != NULL)
        fail_msg("client: %s", local.problem);
    server_stop(&local.server);
    unlink(local.address.sun_path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_behind_a_proxy_is_the_peer),
        cmocka_unit_test(a_header_may_come_in_single_bytes),
        cmocka_unit_test(tls_from_the_start_comes_behind_the_header),
        cmocka_unit_test(a_proxy_may_speak_for_itself),
        cmocka_unit_test(a_proxy_without_a_header_is_cut),
        cmocka_unit_test(half_a_header_has_an_end),
        cmocka_unit_test(a_strangers_header_is_garbage),
        cmocka_unit_test(limits_are_the_clients_not_the_proxys),
        cmocka_unit_test(a_program_of_this_machine_has_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
