/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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

#include "node/base/bytes.h"
#include "node/runtime/loop.h"

enum { WAIT_MS = 30000, STEP_US = 5000 };

/* A node in a temporary folder: the real postraftd, and a fake for every other program. */
struct node {
    char folder[64];
    char config[96];
    char log_path[96];
    unsigned smtp_port, imap_port;
    pid_t pid;
    char log[256 * 1024];
};

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void copy_program(const struct node *node, const char *from, const char *name)
{
    char command[512];
    snprintf(command, sizeof(command), "cp %s %s/bin/%s", from, node->folder, name);
    assert_int_equal(system(command), 0);
}

static void write_config(struct node *node, const char *more)
{
    FILE *file = fopen(node->config, "w");
    assert_non_null(file);
    fprintf(file,
            "folder = \"%s/data/deep\"\nrun = \"%s/run\"\nhostname = \"mx.test\"\n"
            "listen \"smtp\" { address = { \"127.0.0.1:%u\" } }\n"
            "listen \"imap\" { address = { \"127.0.0.1:%u\" } }\n%s\n",
            node->folder, node->folder, node->smtp_port, node->imap_port, more);
    fclose(file);
}

static int setup(void **state)
{
    struct node *node = calloc(1, sizeof(*node));
    char path[128];
    assert_non_null(node);
    snprintf(node->folder, sizeof(node->folder), "/tmp/test-supervisor-XXXXXX");
    assert_non_null(mkdtemp(node->folder));
    assert_int_equal(chmod(node->folder, 0755), 0);
    snprintf(node->config, sizeof(node->config), "%s/node.conf", node->folder);
    snprintf(node->log_path, sizeof(node->log_path), "%s/log", node->folder);
    snprintf(path, sizeof(path), "%s/bin", node->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    copy_program(node, POSTRAFTD, "postraftd");
    copy_program(node, FAKE_CHILD, "postraft-store");
    copy_program(node, FAKE_CHILD, "postraft-smtp");
    copy_program(node, FAKE_CHILD, "postraft-imap");
    node->smtp_port = free_port();
    node->imap_port = free_port();
    write_config(node, "");
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;
    char command[128];
    if (node->pid > 0) {
        kill(node->pid, SIGKILL);
        waitpid(node->pid, NULL, 0);
    }
    snprintf(command, sizeof(command), "rm -rf %s", node->folder);
    assert_int_equal(system(command), 0);
    free(node);
    return 0;
}

static void start(struct node *node)
{
    char program[128];
    snprintf(program, sizeof(program), "%s/bin/postraftd", node->folder);
    node->pid = fork();
    if (node->pid != 0)
        return;
    int fd = open(node->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, STDERR_FILENO);
    execl(program, "postraftd", "--config", node->config, (char *)NULL);
    _exit(99);
}

static const char *read_log(struct node *node)
{
    FILE *file = fopen(node->log_path, "r");
    size_t len = 0;
    if (file != NULL) {
        len = fread(node->log, 1, sizeof(node->log) - 1, file);
        fclose(file);
    }
    node->log[len] = '\0';
    return node->log;
}

/* How many lines have both texts. */
static unsigned count_lines(struct node *node, const char *first, const char *second)
{
    unsigned count = 0;
    char *rest = NULL;
    read_log(node);
    for (char *line = strtok_r(node->log, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        count += strstr(line, first) != NULL && strstr(line, second) != NULL;
    return count;
}

static void wait_lines(struct node *node, const char *first, const char *second, unsigned count)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    while (count_lines(node, first, second) < count) {
        if (clock_monotonic_ms() >= end_ms) {
            fprintf(stderr, "%s", read_log(node));
            fail_msg("no %u lines with %s and %s", count, first, second);
        }
        usleep(STEP_US);
    }
}

/* The exit status, or -1 for a signal. */
static int wait_end(struct node *node)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    int status = 0;
    while (waitpid(node->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() >= end_ms) {
            fprintf(stderr, "%s", read_log(node));
            fail_msg("postraftd goes on");
        }
        usleep(STEP_US);
    }
    node->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The pid of a child's latest start. */
static pid_t child_pid(struct node *node, const char *name)
{
    char mark[64];
    const char *last = NULL;
    snprintf(mark, sizeof(mark), "event=\"child started\" child=%s", name);
    for (const char *at = strstr(read_log(node), mark); at != NULL; at = strstr(at + 1, mark))
        last = at;
    assert_non_null(last);
    const char *pid = strstr(last, " pid=");
    assert_non_null(pid);
    return (pid_t)atol(pid + 5);
}

static void greeting(unsigned port, char *text, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ssize_t len = recv(fd, text, size - 1, MSG_WAITALL);
    text[len > 0 ? len : 0] = '\0';
    close(fd);
}

static void stop(struct node *node)
{
    kill(node->pid, SIGTERM);
    assert_int_equal(wait_end(node), 0);
}

static void a_node_starts_serves_and_stops(void **state)
{
    struct node *node = *state;
    struct stat status;
    char text[128], path[128];
    start(node);
    wait_lines(node, "program=postraftd", "event=ready", 1);
    assert_int_equal(count_lines(node, "fake facts", "name=postraft-store listeners=0 tls=0"),
                     1);
    assert_int_equal(count_lines(node, "fake facts", "name=postraft-smtp listeners=1 tls=1"),
                     1);
    assert_int_equal(count_lines(node, "fake facts", "name=postraft-imap listeners=1 tls=1"),
                     1);
    greeting(node->smtp_port, text, sizeof(text));
    assert_string_equal(text, "postraft-smtp 0\n");
    greeting(node->imap_port, text, sizeof(text));
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
    stop(node);
    /* Front ends first. */
    read_log(node);
    const char *store = strstr(node->log, "program=postraft-store event=\"fake stops\"");
    const char *smtp = strstr(node->log, "program=postraft-smtp event=stopped");
    const char *imap = strstr(node->log, "program=postraft-imap event=stopped");
    assert_true(store != NULL && smtp != NULL && imap != NULL && smtp < store && imap < store);
    snprintf(path, sizeof(path), "%s/run/postraftd.pid", node->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void the_certificate_is_made_once(void **state)
{
    struct node *node = *state;
    for (unsigned i = 1; i <= 2; i++) {
        start(node);
        wait_lines(node, "program=postraftd", "event=ready", i);
        stop(node);
    }
    assert_int_equal(count_lines(node, "made a self-signed certificate", "mx.test"), 1);
}

static void what_crashes_is_started_again_at_once(void **state)
{
    static const char *const names[] = {"postraft-smtp", "postraft-imap", "postraft-store"};
    struct node *node = *state;
    char text[64];
    start(node);
    wait_lines(node, "program=postraftd", "event=ready", 1);
    for (size_t i = 0; i < 3; i++) {
        uint64_t began_ms = clock_monotonic_ms();
        assert_int_equal(kill(child_pid(node, names[i]), SIGKILL), 0);
        wait_lines(node, "child serves", names[i], 2);
        assert_true(clock_monotonic_ms() - began_ms < 2000);
    }
    greeting(node->smtp_port, text, sizeof(text));
    assert_string_equal(text, "postraft-smtp 0\n");
    assert_int_equal(count_lines(node, "child ended", "signal=9"), 3);
    stop(node);
}

static void what_goes_on_crashing_is_started_ever_later(void **state)
{
    struct node *node = *state;
    setenv("FAKE_CRASHES", "postraft-smtp", 1);
    start(node);
    unsetenv("FAKE_CRASHES");
    wait_lines(node, "child ended", "child=postraft-smtp index=0", 4);
    assert_int_equal(count_lines(node, "started again", "in_ms=0"), 1);
    assert_int_equal(count_lines(node, "started again", "in_ms=500"), 1);
    assert_int_equal(count_lines(node, "started again", "in_ms=1000"), 1);
    assert_int_equal(count_lines(node, "event=ready", "program=postraftd"), 0);
    stop(node);
}

static void a_refused_configuration_stops_the_node(void **state)
{
    struct node *node = *state;
    setenv("FAKE_REFUSES", "postraft-imap", 1);
    start(node);
    unsetenv("FAKE_REFUSES");
    assert_int_equal(wait_end(node), 2);
    assert_int_equal(count_lines(node, "child refuses its configuration", "postraft-imap"), 1);
    assert_int_equal(count_lines(node, "started again", ""), 0);
}

static void a_missing_program_stops_the_node(void **state)
{
    struct node *node = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/bin/postraft-store", node->folder);
    assert_int_equal(unlink(path), 0);
    start(node);
    assert_int_equal(wait_end(node), 2);
    assert_int_equal(count_lines(node, "child cannot be run", "postraft-store"), 1);
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static void children_do_not_outlive_the_supervisor(void **state)
{
    struct node *node = *state;
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    start(node);
    wait_lines(node, "program=postraftd", "event=ready", 1);
    pid_t store = child_pid(node, "postraft-store"), smtp = child_pid(node, "postraft-smtp");
    kill(node->pid, SIGKILL);
    assert_int_equal(wait_end(node), -1);
    while (is_alive(store) || is_alive(smtp)) {
        assert_true(clock_monotonic_ms() < end_ms);
        usleep(STEP_US);
    }
}

static void a_second_supervisor_is_refused(void **state)
{
    struct node *node = *state;
    start(node);
    wait_lines(node, "program=postraftd", "event=ready", 1);
    pid_t first = node->pid;
    start(node);
    assert_int_equal(wait_end(node), 1);
    assert_int_equal(count_lines(node, "another postraftd is running", ""), 1);
    node->pid = first;
    stop(node);
}

static void several_front_ends_share_a_port(void **state)
{
    struct node *node = *state;
    char text[64];
    bool seen[3] = {false};
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    write_config(node, "processes { smtp = 3 imap = 0 }");
    start(node);
    wait_lines(node, "program=postraftd", "event=ready programs=4", 1);
    while (!seen[0] || !seen[1] || !seen[2]) {
        assert_true(clock_monotonic_ms() < end_ms);
        greeting(node->smtp_port, text, sizeof(text));
        assert_memory_equal(text, "postraft-smtp ", 14);
        assert_true(text[14] >= '0' && text[14] <= '2');
        seen[text[14] - '0'] = true;
    }
    stop(node);
}

static void what_does_not_stop_is_killed(void **state)
{
    struct node *node = *state;
    setenv("FAKE_DEAF", "postraft-smtp", 1);
    start(node);
    unsetenv("FAKE_DEAF");
    wait_lines(node, "program=postraftd", "event=ready", 1);
    stop(node);
    assert_int_equal(count_lines(node, "killed what did not stop in time", "programs=1"), 1);
    read_log(node);
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
    write_config(node, "users { smtp = \"nobody\" imap = \"nobody\" }");
    start(node);
    wait_lines(node, "program=postraftd", "event=ready", 1);
    snprintf(want, sizeof(want), "uid=%u gid=%u groups=1", nobody->pw_uid, nobody->pw_gid);
    assert_int_equal(count_lines(node, "name=postraft-smtp", want), 1);
    assert_int_equal(count_lines(node, "name=postraft-imap", want), 1);
    assert_int_equal(count_lines(node, "name=postraft-store", "uid=0"), 1);
    stop(node);
    write_config(node, "users { smtp = \"no-such-user\" }");
    start(node);
    assert_int_equal(wait_end(node), 2);
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
    start(node);
    assert_int_equal(wait_end(node), 1);
    assert_int_equal(count_lines(node, "cannot listen", "listen=smtp"), 1);
    close(fd);
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
    start(node);
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
    assert_int_equal(wait_end(node), 0);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

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
        TEST(a_taken_port_is_told_of),
        TEST(systemd_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
