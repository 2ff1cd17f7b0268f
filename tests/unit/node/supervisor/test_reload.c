/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates that are renewed while a node runs, and what is left of root meanwhile. */
#include "tests/unit/node/supervisor/node_lab.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/runtime/tls.h"
#include "tests/unit/node/runtime/map_writer.h"

static void file_write(const struct node *node, const char *name, struct bytes text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", node->folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.at, 1, text.len, file), text.len);
    fclose(file);
}

/* A certificate for that host in the files that the configuration names. */
static void certificate_write(const struct node *node, const char *hostname, bool with_key)
{
    struct arena arena;
    struct bytes certificate, key;

    arena_init(&arena);
    tls_self_signed(hostname, &arena, &certificate, &key);
    file_write(node, "chain.pem", certificate);
    if (with_key)
        file_write(node, "key.pem", key);
    arena_fini(&arena);
}

/* A node with a certificate for one.test, that serves. */
static struct node *serving(void **state, const char *more)
{
    struct node *node = *state;
    char text[512];

    certificate_write(node, "one.test", true);
    snprintf(text, sizeof(text),
             "listen \"imaps\" { address = { \"127.0.0.1:%u\" } }\n"
             "tls { certificate = \"%s/chain.pem\" key = \"%s/key.pem\" }\n%s\n",
             node->imaps_port, node->folder, node->folder, more);
    node_config(node, text);
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    return node;
}

/* Whom the certificate names that a client of the port gets. */
static void expect_name(unsigned port, const char *expected)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char name[128] = "";

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    assert_non_null(certificate);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    X509_free(certificate);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    assert_string_equal(name, expected);
}

static void reload(struct node *node, const char *told, unsigned count)
{
    assert_int_equal(kill(node->pid, SIGHUP), 0);
    node_wait(node, "program=postraftd", told, count);
}

static void restart(struct node *node, const char *name)
{
    unsigned before = node_count(node, "child serves", name);

    assert_int_equal(kill(node_child(node, name), SIGKILL), 0);
    node_wait(node, "child serves", name, before + 1);
}

static void new_connections_get_the_new_certificate(void **state)
{
    struct node *node = serving(state, "processes { imap = 2 }");

    expect_name(node->imaps_port, "one.test");
    certificate_write(node, "two.test", true);
    expect_name(node->imaps_port, "one.test");
    reload(node, "event=\"certificate and key were read again\"", 1);
    assert_int_equal(node_count(node, "were read again", "programs=3"), 1);
    node_wait(node, "program=postraft-imap", "get the new certificate", 2);
    node_wait(node, "program=postraft-smtp", "get the new certificate", 1);
    for (unsigned i = 0; i < 8; i++)
        expect_name(node->imaps_port, "two.test");
    assert_int_equal(node_count(node, "child ended", ""), 0);
    /* And who is started later. */
    restart(node, "postraft-imap");
    for (unsigned i = 0; i < 8; i++)
        expect_name(node->imaps_port, "two.test");
    certificate_write(node, "three.test", true);
    reload(node, "event=\"certificate and key were read again\"", 2);
    node_wait(node, "program=postraft-imap", "get the new certificate", 4);
    expect_name(node->imaps_port, "three.test");
    node_stop(node);
}

/* In a place that the programs may not read but as they were told; the second time one that is
 * none. */
static void the_network_map_is_read_again(void **state)
{
    static const struct map_row rows[] = {{"192.0.2.0/24", "DE", 64500, 0}};
    struct node *node = *state;
    char path[128], text[256];

    snprintf(path, sizeof(path), "%s/map.db", node->folder);
    snprintf(text, sizeof(text), "network_map { file = \"%s\" }\n", path);
    node_config(node, text);
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    assert_int_equal(node_count(node, "no network map", ""), 4);
    reload(node, "nothing to read again", 1); /* there is no map */
    assert_int_equal(node_count(node, "the network map was handed over", ""), 0);
    map_write(path, rows, 1);
    reload(node, "the network map was handed over", 1);
    node_wait(node, "program=postraft-smtp", "network map was read again", 1);
    node_wait(node, "program=postraft-imap", "network map was read again", 1);
    file_write(node, "map.db", BYTES("no map"));
    reload(node, "the network map was handed over", 2);
    node_wait(node, "program=postraft-smtp", "map cannot be used, the old one stays", 1);
    node_stop(node);
}

/* Half written, of another key, or not there: the old one goes on, also in programs that are
 * started later, and somebody is told. */
static void what_cannot_be_used_changes_nothing(void **state)
{
    static const char loud[] = "CANNOT BE USED";
    struct node *node = serving(state, "");
    char path[128];

    file_write(node, "chain.pem", BYTES("-----BEGIN CERTIFICATE-----\nMIIB"));
    reload(node, loud, 1);
    certificate_write(node, "two.test", false);
    reload(node, loud, 2);
    snprintf(path, sizeof(path), "%s/key.pem", node->folder);
    assert_int_equal(unlink(path), 0);
    reload(node, loud, 3);
    expect_name(node->imaps_port, "one.test");
    restart(node, "postraft-imap");
    expect_name(node->imaps_port, "one.test");
    assert_int_equal(node_count(node, "get the new certificate", ""), 0);
    certificate_write(node, "four.test", true);
    reload(node, "event=\"certificate and key were read again\"", 1);
    node_wait(node, "program=postraft-imap", "get the new certificate", 1);
    expect_name(node->imaps_port, "four.test");
    node_stop(node);
}

static void without_a_certificate_there_is_nothing_to_read(void **state)
{
    struct node *node = *state;

    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    reload(node, "no certificate is configured", 1);
    assert_int_equal(node_count(node, "child ended", ""), 0);
    node_stop(node);
}

/* The front ends are no way around the supervisor. */
static void programs_do_not_mind_the_signal(void **state)
{
    struct node *node = serving(state, "");

    assert_int_equal(kill(node_child(node, "postraft-imap"), SIGHUP), 0);
    assert_int_equal(kill(node_child(node, "postraft-store"), SIGHUP), 0);
    certificate_write(node, "two.test", true);
    reload(node, "event=\"certificate and key were read again\"", 1);
    node_wait(node, "program=postraft-imap", "get the new certificate", 1);
    assert_int_equal(node_count(node, "child ended", ""), 0);
    node_stop(node);
}

static void systemd_hears_of_it(void **state)
{
    struct node *node = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    bool reloading = false;
    char text[256] = "";

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", node->folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    serving(state, "");
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(kill(node->pid, SIGHUP), 0);
    while (!reloading || strcmp(text, "READY=1") != 0) {
        ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(len > 0);
        text[len] = '\0';
        reloading = reloading || strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0;
    }
    node_stop(node);
    close(fd);
}

/* ---- capabilities ---- */

/* A number out of /proc/PID/status. */
static unsigned long long status_of(pid_t pid, const char *name, int base)
{
    char path[64], line[256];
    unsigned long long value = ~0ULL;
    size_t len = strlen(name);

    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            value = strtoull(line + len + 1, NULL, base);
    fclose(file);
    return value;
}

static void expect_capabilities(pid_t pid, unsigned long long expected)
{
    static const char *const sets[] = {"CapEff", "CapPrm", "CapBnd"};

    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++)
        assert_int_equal(status_of(pid, sets[i], 16), expected);
    assert_int_equal(status_of(pid, "CapInh", 16), 0);
    assert_int_equal(status_of(pid, "CapAmb", 16), 0);
    assert_int_equal(status_of(pid, "NoNewPrivs", 10), 1);
}

/* capability.h: DAC_OVERRIDE 1, DAC_READ_SEARCH 2, FOWNER 3, KILL 5, SETGID 6, SETUID 7. */
enum { OF_FILES = 0x0e, OF_USERS = 0xe0 };

static void root_keeps_what_its_programs_need(void **state)
{
    struct node *node;
    char path[128];

    if (geteuid() != 0 || getpwnam("nobody") == NULL)
        skip();
    node = serving(state, "users { store = \"nobody\" smtp = \"nobody\" imap = \"nobody\" }");
    expect_capabilities(node->pid, OF_USERS);
    assert_int_equal(status_of(node_child(node, "postraft-imap"), "CapEff", 16), 0);
    assert_int_equal(status_of(node_child(node, "postraft-imap"), "CapBnd", 16), OF_USERS);
    /* It goes on to start, to read, and to stop. */
    restart(node, "postraft-store");
    restart(node, "postraft-smtp");
    certificate_write(node, "two.test", true);
    reload(node, "event=\"certificate and key were read again\"", 1);
    node_wait(node, "program=postraft-imap", "get the new certificate", 1);
    expect_name(node->imaps_port, "two.test");
    node_stop(node);
    snprintf(path, sizeof(path), "%s/run/postraftd.pid", node->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void programs_of_root_keep_their_files(void **state)
{
    struct node *node;

    if (geteuid() != 0 || getpwnam("nobody") == NULL)
        skip();
    node = serving(state, "");
    expect_capabilities(node->pid, OF_FILES);
    assert_int_equal(status_of(node_child(node, "postraft-store"), "CapEff", 16), OF_FILES);
    node_stop(node);
    node_config(node, "users { imap = \"nobody\" }");
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 2);
    expect_capabilities(node->pid, OF_FILES | OF_USERS);
    restart(node, "postraft-imap");
    node_stop(node);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, node_setup, node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_connections_get_the_new_certificate),
        TEST(the_network_map_is_read_again),
        TEST(what_cannot_be_used_changes_nothing),
        TEST(without_a_certificate_there_is_nothing_to_read),
        TEST(programs_do_not_mind_the_signal),
        TEST(systemd_hears_of_it),
        TEST(root_keeps_what_its_programs_need),
        TEST(programs_of_root_keep_their_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
