/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A front end that asks for names goes on doing so behind its fences. Each case runs in a
 * process of its own, as a program that the supervisor has started.
 */
#include "tests/unit/node/runtime/until.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/runtime/dns.h"
#include "node/runtime/process.h"
#include "tests/unit/node/runtime/name_server.h"

static const struct zone_row rows[] = {
    {"mx.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\1"), NULL, 0},
    {"late.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\2"), NULL, 0},
    {"long.example.org", DNS_TXT, TRUNCATES, BYTES_INIT("\4long"), NULL, 0},
};

struct place {
    char folder[64];
    char config[96];
    struct name_server *server;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    char path[96];
    assert_non_null(place);
    place->server = name_server_start(rows, sizeof(rows) / sizeof(*rows), 0);
    snprintf(place->folder, sizeof(place->folder), "/tmp/test-process-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->config, sizeof(place->config), "%s/conf", place->folder);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", place->folder, i == 0 ? "data" : "run");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    FILE *file = fopen(place->config, "w");
    assert_non_null(file);
    fprintf(file,
            "folder = \"%s/data\"\nrun = \"%s/run\"\nhostname = \"mx.test\"\n"
            "dns { servers = { \"%s\" } trust_anchor = \"%s/anchor\" }\n",
            place->folder, place->folder, name_server_address(place->server), place->folder);
    fclose(file);
    snprintf(path, sizeof(path), "%s/anchor", place->folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "signed.example. IN DS 12345 15 2 "
                  "00000000000000000000000000000000000000000000000000000000000000aa\n");
    fclose(file);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[160];
    name_server_stop(&place->server);
    snprintf(command, sizeof(command), "rm -rf %s", place->folder);
    assert_int_equal(system(command), 0);
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

struct asked {
    struct loop *loop;
    enum dns_result result;
    uint8_t last; /* of an address */
};

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct asked *asked = context;
    asked->result = answer->result;
    if (answer->type == DNS_A && answer->count > 0)
        asked->last = answer->records[0].address.bytes[15];
    loop_stop(asked->loop);
}

static void need_address(struct process *process, struct dns *dns, const char *name,
                         uint8_t last)
{
    struct asked asked = {.loop = process->loop};
    dns_query(dns, name, DNS_A, on_answer, &asked);
    loop_run(process->loop);
    NEED(asked.result == DNS_OK && asked.last == last);
}

static void need_fences(void)
{
#ifndef PROCESS_UNFENCED
    errno = 0;
    NEED(open("/etc/resolv.conf", O_RDONLY) < 0 && errno == EACCES);
    NEED(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
    NEED(socket(AF_PACKET, SOCK_DGRAM, 0) < 0 && errno == EPERM);
    NEED(socket(AF_INET, SOCK_RAW, 1) < 0 && errno == EPERM);
    NEED(socket(AF_INET6, SOCK_SEQPACKET, 0) < 0 && errno == EPERM);
    NEED(fork() < 0 && errno == EPERM);
#endif
}

static int front_end(struct place *place, bool asked_before)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, place->config, NULL};
    struct process process;
    struct asked asked;
    int status;
    setenv("POSTRAFT_READY_FD", "99", 1);
    NEED(process_start(&process, 3, argv, "program", &status));
    struct dns *dns = process_dns(&process);
    NEED(dns != NULL);
    if (asked_before)
        need_address(&process, dns, "mx.example.org", 1);
    process_sandbox_dns(&process);
    need_fences();
    need_address(&process, dns, "mx.example.org", 1);
    need_address(&process, dns, "late.example.org", 2);
    asked = (struct asked){.loop = process.loop};
    dns_query(dns, "long.example.org", DNS_TXT, on_answer, &asked); /* over TCP */
    loop_run(process.loop);
    NEED(asked.result == DNS_OK);
    /* The file of keys was read: of this zone unsigned answers are not believed. */
    dns_query(dns, "signed.example", DNS_A, on_answer, &asked);
    loop_run(process.loop);
    NEED(asked.result == DNS_BOGUS);
    dns_free(&dns);
    return process_end(&process);
}

static void run_front_end(struct place *place, bool asked_before)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(front_end(place, asked_before));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void names_are_found_behind_the_fences(void **state)
{
    run_front_end(*state, false);
    run_front_end(*state, true);
    assert_int_equal(name_server_asked_tcp(((struct place *)*state)->server), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_found_behind_the_fences, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
