/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/supervisor/node_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

void node_config(struct node *node, const char *more)
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

int node_setup(void **state)
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
    copy_program(node, FAKE_CHILD, "postraft-relay");
    node->smtp_port = free_port();
    node->imap_port = free_port();
    node->imaps_port = free_port();
    node_config(node, "");
    *state = node;
    return 0;
}

int node_teardown(void **state)
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

void node_start(struct node *node)
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

const char *node_log(struct node *node)
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
unsigned node_count(struct node *node, const char *first, const char *second)
{
    unsigned count = 0;
    char *rest = NULL;
    node_log(node);
    for (char *line = strtok_r(node->log, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        count += strstr(line, first) != NULL && strstr(line, second) != NULL;
    return count;
}

void node_wait(struct node *node, const char *first, const char *second, unsigned count)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    while (node_count(node, first, second) < count) {
        if (clock_monotonic_ms() >= end_ms) {
            fprintf(stderr, "%s", node_log(node));
            fail_msg("no %u lines with %s and %s", count, first, second);
        }
        usleep(STEP_US);
    }
}

/* The exit status, or -1 for a signal. */
int node_end(struct node *node)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    int status = 0;
    while (waitpid(node->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() >= end_ms) {
            fprintf(stderr, "%s", node_log(node));
            fail_msg("postraftd goes on");
        }
        usleep(STEP_US);
    }
    node->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The pid of a child's latest start. */
pid_t node_child(struct node *node, const char *name)
{
    char mark[64];
    const char *last = NULL;
    snprintf(mark, sizeof(mark), "event=\"child started\" child=%s", name);
    for (const char *at = strstr(node_log(node), mark); at != NULL; at = strstr(at + 1, mark))
        last = at;
    assert_non_null(last);
    const char *pid = strstr(last, " pid=");
    assert_non_null(pid);
    return (pid_t)atol(pid + 5);
}

void node_greeting(unsigned port, char *text, size_t size)
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

void node_stop(struct node *node)
{
    kill(node->pid, SIGTERM);
    assert_int_equal(node_end(node), 0);
}
