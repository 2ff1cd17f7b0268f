/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/node/supervisor/node_lab.h"

static void a_node_starts_serves_and_stops(void **state)
{
    struct node *node = *state;
    struct stat status;
    char text[128], path[128];
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    assert_int_equal(node_count(node, "fake facts", "name=postraft-store listeners=0 tls=0"),
                     1);
    assert_int_equal(node_count(node, "fake facts", "name=postraft-smtp listeners=1 tls=1"), 1);
    assert_int_equal(node_count(node, "fake facts", "name=postraft-imap listeners=1 tls=1"), 1);
    /* It serves nobody, and has no keys. */
    assert_int_equal(node_count(node, "fake facts", "name=postraft-relay listeners=0 tls=0"),
                     1);
    node_greeting(node->smtp_port, text, sizeof(text));
    assert_string_equal(text, "postraft-smtp 0\n");
    node_greeting(node->imap_port, text, sizeof(text));
    assert_string_equal(text, "postraft-imap 0\n");
    snprintf(path, sizeof(path), "%s/run", node->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
    snprintf(path, sizeof(path), "%s/data/deep", node->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    snprintf(path, sizeof(path), "%s/data/deep/tls/self-signed.pem", node->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    node_stop(node);
    /* Front ends first. */
    node_log(node);
    const char *store = strstr(node->log, "program=postraft-store event=\"fake stops\"");
    const char *smtp = strstr(node->log, "program=postraft-smtp event=stopped");
    const char *imap = strstr(node->log, "program=postraft-imap event=stopped");
    const char *relay = strstr(node->log, "program=postraft-relay event=\"fake stops\"");
    assert_true(store != NULL && smtp != NULL && imap != NULL && smtp < store && imap < store);
    assert_true(relay != NULL && relay < store);
    snprintf(path, sizeof(path), "%s/run/postraftd.pid", node->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void the_certificate_is_made_once(void **state)
{
    struct node *node = *state;
    for (unsigned i = 1; i <= 2; i++) {
        node_start(node);
        node_wait(node, "program=postraftd", "event=ready", i);
        node_stop(node);
    }
    assert_int_equal(node_count(node, "made a self-signed certificate", "mx.test"), 1);
}

static void what_crashes_is_started_again_at_once(void **state)
{
    static const char *const names[] = {"postraft-smtp", "postraft-imap", "postraft-store"};
    struct node *node = *state;
    char text[64];
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    for (size_t i = 0; i < 3; i++) {
        uint64_t began_ms = clock_monotonic_ms();
        assert_int_equal(kill(node_child(node, names[i]), SIGKILL), 0);
        node_wait(node, "child serves", names[i], 2);
        assert_true(clock_monotonic_ms() - began_ms < 2000);
    }
    node_greeting(node->smtp_port, text, sizeof(text));
    assert_string_equal(text, "postraft-smtp 0\n");
    assert_int_equal(node_count(node, "child ended", "signal=9"), 3);
    node_stop(node);
}

static void what_goes_on_crashing_is_started_ever_later(void **state)
{
    struct node *node = *state;
    setenv("FAKE_CRASHES", "postraft-smtp", 1);
    node_start(node);
    unsetenv("FAKE_CRASHES");
    node_wait(node, "child ended", "child=postraft-smtp index=0", 4);
    assert_int_equal(node_count(node, "started again", "in_ms=0"), 1);
    assert_int_equal(node_count(node, "started again", "in_ms=500"), 1);
    assert_int_equal(node_count(node, "started again", "in_ms=1000"), 1);
    assert_int_equal(node_count(node, "event=ready", "program=postraftd"), 0);
    node_stop(node);
}

static void a_refused_configuration_stops_the_node(void **state)
{
    struct node *node = *state;
    setenv("FAKE_REFUSES", "postraft-imap", 1);
    node_start(node);
    unsetenv("FAKE_REFUSES");
    assert_int_equal(node_end(node), 2);
    assert_int_equal(node_count(node, "child refuses its configuration", "postraft-imap"), 1);
    assert_int_equal(node_count(node, "started again", ""), 0);
}

static void a_missing_program_stops_the_node(void **state)
{
    struct node *node = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/bin/postraft-store", node->folder);
    assert_int_equal(unlink(path), 0);
    node_start(node);
    assert_int_equal(node_end(node), 2);
    assert_int_equal(node_count(node, "child cannot be run", "postraft-store"), 1);
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static void children_do_not_outlive_the_supervisor(void **state)
{
    struct node *node = *state;
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    pid_t store = node_child(node, "postraft-store"), smtp = node_child(node, "postraft-smtp");
    kill(node->pid, SIGKILL);
    assert_int_equal(node_end(node), -1);
    while (is_alive(store) || is_alive(smtp)) {
        assert_true(clock_monotonic_ms() < end_ms);
        usleep(STEP_US);
    }
}

static void a_second_supervisor_is_refused(void **state)
{
    struct node *node = *state;
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    pid_t first = node->pid;
    node_start(node);
    assert_int_equal(node_end(node), 1);
    assert_int_equal(node_count(node, "another postraftd is running", ""), 1);
    node->pid = first;
    node_stop(node);
}

static void several_front_ends_share_a_port(void **state)
{
    struct node *node = *state;
    char text[64];
    bool seen[3] = {false};
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    node_config(node, "processes { smtp = 3 imap = 0 relay = 0 }");
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready programs=4", 1);
    while (!seen[0] || !seen[1] || !seen[2]) {
        assert_true(clock_monotonic_ms() < end_ms);
        node_greeting(node->smtp_port, text, sizeof(text));
        assert_memory_equal(text, "postraft-smtp ", 14);
        assert_true(text[14] >= '0' && text[14] <= '2');
        seen[text[14] - '0'] = true;
    }
    node_stop(node);
}

static void what_does_not_stop_is_killed(void **state)
{
    struct node *node = *state;
    setenv("FAKE_DEAF", "postraft-smtp", 1);
    node_start(node);
    unsetenv("FAKE_DEAF");
    node_wait(node, "program=postraftd", "event=ready", 1);
    node_stop(node);
    assert_int_equal(node_count(node, "killed what did not stop in time", "programs=1"), 1);
    node_log(node);
    const char *killed = strstr(node->log, "killed what did not stop");
    const char *store = strstr(node->log, "program=postraft-store event=\"fake stops\"");
    assert_true(killed != NULL && store != NULL && killed < store);
}

static void programs_run_as_their_users(void **state)
{
    struct node *node = *state;
    char want[64];
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL)
        skip();
    node_config(node, "users { smtp = \"nobody\" relay = \"nobody\" }");
    node_start(node);
    node_wait(node, "program=postraftd", "event=ready", 1);
    snprintf(want, sizeof(want), "uid=%u gid=%u groups=1", nobody->pw_uid, nobody->pw_gid);
    assert_int_equal(node_count(node, "name=postraft-smtp", want), 1);
    assert_int_equal(node_count(node, "name=postraft-relay", want), 1);
    assert_int_equal(node_count(node, "name=postraft-imap", "uid=0"), 1);
    assert_int_equal(node_count(node, "name=postraft-store", "uid=0"), 1);
    node_stop(node);
    node_config(node, "users { relay = \"no-such-user\" }");
    node_start(node);
    assert_int_equal(node_end(node), 2);
}

static void a_taken_port_is_told_of(void **state)
{
    struct node *node = *state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)node->smtp_port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    node_start(node);
    assert_int_equal(node_end(node), 1);
    assert_int_equal(node_count(node, "cannot listen", "listen=smtp"), 1);
    close(fd);
}

static int dial_local(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Twice: the second time the socket of the first is still in the folder. */
static void all_ports_of_mail_are_handed_over(void **state)
{
    struct node *node = *state;
    struct stat status;
    char text[256], path[96];
    snprintf(path, sizeof(path), "%s/run/lmtp.sock", node->folder);
    snprintf(text, sizeof(text),
             "listen \"submission\" { address = { \"127.0.0.1:%u\" } }\n"
             "listen \"lmtp\" { address = { \"unix:%s\" } }\n",
             node->imaps_port, path);
    node_config(node, text);
    for (unsigned i = 1; i <= 2; i++) {
        node_start(node);
        node_wait(node, "program=postraftd", "event=ready", i);
        assert_int_equal(node_count(node, "fake facts", "name=postraft-smtp listeners=3"), i);
        node_greeting(node->imaps_port, text, sizeof(text));
        assert_string_equal(text, "postraft-smtp 0\n");
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0666);
        int fd = dial_local(path);
        ssize_t len = recv(fd, text, 16, MSG_WAITALL);
        assert_int_equal(len, 16);
        assert_memory_equal(text, "postraft-smtp 0\n", 16);
        close(fd);
        node_stop(node);
    }
}

/* What is no socket, or is somebody's, is left alone. */
static void a_taken_path_is_told_of(void **state)
{
    struct node *node = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[160];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/taken", node->folder);
    snprintf(text, sizeof(text), "listen \"lmtp\" { address = { \"unix:%s\" } }\n",
             address.sun_path);
    node_config(node, text);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 0), 0);
    int waiting = dial_local(address.sun_path); /* and there is no room for another */
    assert_true(waiting >= 0);
    node_start(node);
    assert_int_equal(node_end(node), 1);
    close(accept(fd, NULL, NULL));
    int again = dial_local(address.sun_path);
    assert_true(again >= 0);
    close(again);
    close(waiting);
    close(fd);
    assert_int_equal(unlink(address.sun_path), 0);
    fd = open(address.sun_path, O_WRONLY | O_CREAT, 0600);
    close(fd);
    node_start(node);
    assert_int_equal(node_end(node), 1);
    assert_int_equal(access(address.sun_path, F_OK), 0);
    assert_int_equal(node_count(node, "cannot listen", "listen=lmtp"), 2);
}

/* What systemd would hear, in order, until `last`. */
static void systemd_is_told(void **state)
{
    struct node *node = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    static const char *const wanted[] = {"READY=1", "STOPPING=1"};
    char text[256];
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", node->folder);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    node_start(node);
    unsetenv("NOTIFY_SOCKET");
    for (size_t i = 0; i < 2; i++) {
        do {
            ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
            assert_true(len > 0);
            text[len] = '\0';
        } while (strcmp(text, wanted[i]) != 0);
        if (i == 0)
            kill(node->pid, SIGTERM);
    }
    assert_int_equal(node_end(node), 0);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, node_setup, node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_starts_serves_and_stops),
        TEST(the_certificate_is_made_once),
        TEST(what_crashes_is_started_again_at_once),
        TEST(what_goes_on_crashing_is_started_ever_later),
        TEST(a_refused_configuration_stops_the_node),
        TEST(a_missing_program_stops_the_node),
        TEST(children_do_not_outlive_the_supervisor),
        TEST(a_second_supervisor_is_refused),
        TEST(several_front_ends_share_a_port),
        TEST(what_does_not_stop_is_killed),
        TEST(programs_run_as_their_users),
        TEST(all_ports_of_mail_are_handed_over),
        TEST(a_taken_path_is_told_of),
        TEST(a_taken_port_is_told_of),
        TEST(systemd_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
