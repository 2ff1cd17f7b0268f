/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that makes connections goes on doing so behind its fences, with TLS, and gets
 * nothing else. It runs in a process of its own, as one that the supervisor has started.
 */
#include "tests/unit/node/runtime/dial_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/runtime/process.h"
#include "node/runtime/tls_pem.h"

struct place {
    char folder[64];
    char config[96];
    char authorities[96];
};

static EVP_PKEY *key;
static X509 *certificate; /* self-signed, and so its own authority */

static void write_file(const char *path, struct bytes text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.at, 1, text.len, file), text.len);
    fclose(file);
}

static void write_config(const struct place *place)
{
    char text[512], path[96];
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", place->folder, i == 0 ? "data" : "run");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(text, sizeof(text),
             "folder = \"%s/data\"\nrun = \"%s/run\"\n"
             "hostname = \"mx.test\"\nrelay { authorities = \"%s\" }\n",
             place->folder, place->folder, place->authorities);
    write_file(place->config, bytes_of(text));
}

static int setup(void **state)
{
    const struct tls_certificate_form form = {
        .common_name = "mx", .names = "DNS:mx.example.org", .days = 10, .use = TLS_FORM_SERVER};
    struct place *place = calloc(1, sizeof(*place));
    struct arena arena;
    assert_non_null(place);
    key = tls_key_new();
    certificate = tls_certificate_make(&form, key, NULL, key);
    snprintf(place->folder, sizeof(place->folder), "/tmp/test-process-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->config, sizeof(place->config), "%s/conf", place->folder);
    snprintf(place->authorities, sizeof(place->authorities), "%s/authorities.pem",
             place->folder);
    write_config(place);
    arena_init(&arena);
    write_file(place->authorities, tls_certificate_pem(certificate, &arena));
    arena_fini(&arena);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf %s", place->folder);
    assert_int_equal(system(command), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    free(place);
    return 0;
}

#define NEED(condition)                                                                        \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "line %d: %s, errno %d\n", __LINE__, #condition, errno);           \
            _exit(100);                                                                        \
        }                                                                                      \
    } while (0)

static void need_fences(void)
{
#ifndef PROCESS_UNFENCED
    struct sockaddr_in any = {.sin_family = AF_INET};
    errno = 0;
    NEED(open("/etc/resolv.conf", O_RDONLY) < 0 && errno == EACCES);
    NEED(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
    NEED(socket(AF_INET, SOCK_RAW, 1) < 0 && errno == EPERM);
    NEED(socket(AF_INET6, SOCK_SEQPACKET, 0) < 0 && errno == EPERM);
    NEED(fork() < 0 && errno == EPERM);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    NEED(fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0);
    NEED(listen(fd, 1) < 0 && errno == EPERM);
    close(fd);
    NEED((fd = socket(AF_INET, SOCK_DGRAM, 0)) >= 0); /* name servers */
    close(fd);
#endif
}

static bool is_done(void *context)
{
    struct caller *caller = context;
    return caller->failures + caller->closed > 0;
}

static void need_connection(struct process *process, uint16_t port, struct tls_client *tls)
{
    struct address source;
    struct caller caller = {.loop = process->loop,
                            .tls = tls,
                            .expect = {.rule = TLS_RULE_WEB, .host = "mx.example.org"}};
    struct dial_config config = {.port = port,
                                 .source = &source,
                                 .protocol = &caller_protocol,
                                 .context = &caller,
                                 .failed = caller_failed};
    NEED(address_parse(BYTES("127.0.0.1"), &config.target));
    NEED(address_parse(BYTES("127.0.0.2"), &source));
    dial_start(process->loop, &config);
    run_until(process->loop, is_done, &caller);
    NEED(caller.failures == 0 && caller.echoed && caller.verified == TLS_VERIFIED_WEB);
    /* And what fails, fails for its own reason. */
    caller = (struct caller){.loop = process->loop};
    NEED(address_parse(BYTES("198.51.100.7"), &source));
    dial_start(process->loop, &config);
    run_until(process->loop, is_done, &caller);
    NEED(caller.failures == 1 && caller.err == ERR_INVALID);
    caller = (struct caller){.loop = process->loop};
    config.source = NULL;
    dial_start(process->loop, &config);
    run_until(process->loop, is_done, &caller);
    NEED(caller.failures == 1 && caller.err == ERR_CLOSED); /* the host took one only */
}

static int relay(struct place *place, uint16_t port)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, place->config, NULL};
    struct process process;
    struct tls_client *tls;
    int status;
    setenv("POSTRAFT_READY_FD", "99", 1);
    NEED(process_start(&process, 3, argv, "program", &status));
    NEED(tls_client_new(process.config.relay_authorities, &tls) == ERR_OK);
    process_sandbox_outgoing(&process);
    need_fences();
    need_connection(&process, port, tls);
    int result = process_end(&process);
    tls_client_free(&tls);
    return result;
}

static void connections_are_made_behind_the_fences(void **state)
{
    struct host host = {.tls = host_tls(certificate, NULL, 0, key), .once = true};
    int status;
    host_start(&host);
    pid_t child = fork();
    if (child == 0) {
        close(host.fd);
        _exit(relay(*state, host.port));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    host_stop(&host);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(host.server_name, "mx.example.org");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_are_made_behind_the_fences, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
