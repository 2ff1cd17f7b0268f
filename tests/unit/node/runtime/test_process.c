/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every case runs in a process of its own, as a program that the supervisor has started; the
 * test itself uses neither loops nor nng, so that it may fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/process.h"
#include "node/runtime/rpc.h"

struct place {
    char folder[64];
    char config[96];
    char url[128];
    char outside[64];
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    char path[96];
    assert_non_null(place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/test-process-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->outside, sizeof(place->outside), "%.40s-out", place->folder);
    snprintf(place->config, sizeof(place->config), "%s/conf", place->folder);
    snprintf(place->url, sizeof(place->url), "ipc://%s/run/echo.sock", place->folder);
    FILE *file = fopen(place->config, "w");
    assert_non_null(file);
    fprintf(file, "folder = \"%s/data\"\nrun = \"%s/run\"\nhostname = \"mx.test\"\n",
            place->folder, place->folder);
    fclose(file);
    snprintf(path, sizeof(path), "%s/data", place->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/run", place->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf %s %s", place->folder, place->outside);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

/* Runs `body` in a process of its own; its exit status. 128 + a signal that ended it. */
static int in_child(int (*body)(struct place *place), struct place *place, pid_t *pid)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        exit(body(place));
    assert_true(child > 0);
    if (pid != NULL) {
        *pid = child;
        return 0;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool begin(struct process *process, struct place *place, int *status)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, place->config, NULL};
    return process_start(process, 3, argv, "program", status);
}

#define NEED(condition)                                                                        \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "line %d: %s, errno %d\n", __LINE__, #condition, errno);           \
            _exit(100);                                                                        \
        }                                                                                      \
    } while (0)

static int by_hand(struct place *place)
{
    struct process process;
    int status = -1;
    NEED(!begin(&process, place, &status));
    return status;
}

static int version(struct place *place)
{
    struct process process;
    char *argv[] = {(char[]){"program"}, (char[]){"--version"}, NULL};
    int status = -1;
    (void)place;
    NEED(!process_start(&process, 2, argv, "program", &status));
    return status;
}

static int bad_config(struct place *place)
{
    struct process process;
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, (char[]){"/nowhere"}, NULL};
    int status = -1;
    (void)place;
    setenv("POSTRAFT_READY_FD", "9", 1);
    NEED(!process_start(&process, 3, argv, "program", &status));
    return status;
}

static void what_cannot_start_says_so(void **state)
{
    assert_int_equal(in_child(by_hand, *state, NULL), 2);
    assert_int_equal(in_child(version, *state, NULL), 0);
    assert_int_equal(in_child(bad_config, *state, NULL), 2);
}

static int handed_over(struct place *place)
{
    struct process process;
    struct arena arena;
    struct bytes certificate, key;
    struct tls_context *context;
    int status, tls[2], fds[4];
    arena_init(&arena);
    tls_self_signed("mx.test", &arena, &certificate, &key);
    NEED(pipe(tls) == 0);
    NEED(write(tls[1], certificate.at, certificate.len) == (ssize_t)certificate.len);
    NEED(write(tls[1], key.at, key.len) == (ssize_t)key.len);
    close(tls[1]);
    char number[16];
    snprintf(number, sizeof(number), "%d", tls[0]);
    setenv("POSTRAFT_TLS_FD", number, 1);
    setenv("POSTRAFT_READY_FD", "99", 1);
    setenv("POSTRAFT_INDEX", "3", 1);
    setenv("POSTRAFT_LISTEN", "smtp=30,imaps=5,smtp=7,imap=x", 1);
    NEED(begin(&process, place, &status));
    NEED(process.index == 3 && strcmp(process.config.hostname, "mx.test") == 0);
    NEED(process_listeners(&process, "smtp", fds, 4) == 2 && fds[0] == 30 && fds[1] == 7);
    NEED(process_listeners(&process, "imaps", fds, 4) == 1 && fds[0] == 5);
    NEED(process_listeners(&process, "imap", fds, 4) == 0);
    NEED(bytes_equal(process.tls_certificate, certificate));
    NEED(bytes_equal(process.tls_key, key));
    NEED(tls_context_new(process.tls_certificate, process.tls_key, &context) == ERR_OK);
    tls_context_free(&context);
    arena_fini(&arena);
    return process_end(&process);
}

static void what_the_supervisor_hands_over_is_found(void **state)
{
    assert_int_equal(in_child(handed_over, *state, NULL), 0);
}

static int ready_pipe[2];

static void on_stop(void *context)
{
    loop_stop(context);
}

static int serves(struct place *place)
{
    struct process process;
    char number[16];
    int status;
    snprintf(number, sizeof(number), "%d", ready_pipe[1]);
    setenv("POSTRAFT_READY_FD", number, 1);
    NEED(begin(&process, place, &status));
    process_ready(&process, on_stop, process.loop);
    loop_run(process.loop);
    return process_end(&process);
}

static void a_program_is_ready_and_stops(void **state)
{
    pid_t pid;
    int status;
    char byte = 0;
    assert_int_equal(pipe(ready_pipe), 0);
    in_child(serves, *state, &pid);
    assert_int_equal(read(ready_pipe[0], &byte, 1), 1);
    assert_int_equal(byte, 'R');
    kill(pid, SIGINT); /* is for the supervisor to act upon */
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ready_pipe[0]);
    close(ready_pipe[1]);
}

/* An echo server, and calls to it, to see that a fenced program can still do its work. */
static void on_request(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                       struct bytes body)
{
    (void)peer;
    rpc_reply(request, body);
    if (bytes_equal(body, BYTES("end")))
        loop_stop(context);
}

static int echo_server(struct place *place)
{
    struct loop *loop = loop_new();
    struct rpc_server *server;
    const struct rpc_server_config config = {.url = place->url,
                                             .parallel_max = 8,
                                             .uid = UINT32_MAX,
                                             .ipc_mode = 0600,
                                             .handle = on_request,
                                             .context = loop};
    NEED(rpc_server_new(loop, &config, &server) == ERR_OK);
    loop_run(loop);
    rpc_server_free(&server); /* which sends the last reply */
    loop_free(&loop);
    return 0;
}

struct caller {
    struct loop *loop;
    enum err err;
    bool worked;
};

static void on_reply(void *context, enum err err, struct bytes reply)
{
    struct caller *caller = context;
    (void)reply;
    caller->err = err;
    loop_stop(caller->loop);
}

static void do_work(void *context)
{
    ((struct caller *)context)->worked = true;
}

static void work_done(void *context)
{
    loop_stop(((struct caller *)context)->loop);
}

static void call_and_work(struct process *process, struct rpc_client *client, const char *body)
{
    struct caller caller = {.loop = process->loop, .err = ERR_UNKNOWN};
    rpc_call(client, bytes_of(body), 20000, on_reply, &caller);
    loop_run(process->loop);
    NEED(caller.err == ERR_OK);
    loop_work(process->loop, do_work, work_done, &caller);
    loop_run(process->loop);
    NEED(caller.worked);
}

static void need_no_way_out(const struct place *place, int inside)
{
    char *const arguments[] = {(char[]){"false"}, NULL};
    errno = 0;
    NEED(open(place->outside, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
    NEED(fork() < 0 && errno == EPERM);
    NEED(execv("/bin/false", arguments) < 0 && errno == EPERM);
    NEED(kill(getppid(), 0) < 0 || inside);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED);
}

static int front_end(struct place *place)
{
    struct process process;
    struct rpc_client *client;
    const struct rpc_client_config config = {.url = place->url, .parallel_max = 4};
    char path[128];
    int status;
    setenv("POSTRAFT_READY_FD", "99", 1);
    NEED(begin(&process, place, &status));
    snprintf(path, sizeof(path), "%s/run/mark", place->folder);
    NEED(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0); /* still */
    NEED(open(place->outside, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
    NEED(rpc_client_new(process.loop, &config, &client) == ERR_OK);
    call_and_work(&process, client, "before");
    process_sandbox(&process, NULL);
    NEED(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
    NEED(open(path, O_RDONLY) < 0 && errno == EACCES);
    NEED(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    NEED(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
    need_no_way_out(place, 0);
    call_and_work(&process, client, "fenced");
    call_and_work(&process, client, "end"); /* the server ends, and another comes */
    call_and_work(&process, client, "again");
    rpc_client_free(&client);
    return process_end(&process);
}

static int store(struct place *place)
{
    struct process process;
    struct rpc_server *server;
    struct rpc_client *client;
    struct arena arena;
    struct tls_credentials node = {.authority = BYTES("")};
    struct bytes authority_key, request;
    char path[128], other[128];
    int status;
    setenv("POSTRAFT_READY_FD", "99", 1);
    NEED(begin(&process, place, &status));
    process_sandbox(&process, process.config.folder);
    snprintf(path, sizeof(path), "%s/data/file", place->folder);
    snprintf(other, sizeof(other), "%s/data/other", place->folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    NEED(fd >= 0 && ftruncate(fd, 4096) == 0 && fdatasync(fd) == 0);
    NEED(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
    NEED(rename(path, other) == 0 && unlink(other) == 0);
    NEED(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
    need_no_way_out(place, 1);
    arena_init(&arena);
    tls_authority_new("c", &arena, &node.authority, &authority_key);
    tls_request_new(&arena, &node.key, &request);
    NEED(tls_request_sign(node.authority, authority_key, request, "c", 1, &arena,
                          &node.certificate) == ERR_OK);
    snprintf(path, sizeof(path), "ipc://%s/run/new.sock", place->folder);
    struct rpc_server_config serving = {.url = path,
                                        .parallel_max = 4,
                                        .uid = UINT32_MAX,
                                        .ipc_mode = 0600,
                                        .handle = on_request,
                                        .context = process.loop};
    NEED(rpc_server_new(process.loop, &serving, &server) == ERR_OK);
    struct rpc_client_config calling = {.url = path, .parallel_max = 4};
    NEED(rpc_client_new(process.loop, &calling, &client) == ERR_OK);
    call_and_work(&process, client, "hello");
    rpc_client_free(&client);
    rpc_server_free(&server);
    snprintf(path, sizeof(path), "tls+tcp://127.0.0.1:%u", 20000 + (unsigned)getpid() % 20000);
    serving.credentials = calling.credentials = &node;
    calling.node_id = 1;
    NEED(rpc_server_new(process.loop, &serving, &server) == ERR_OK);
    NEED(rpc_client_new(process.loop, &calling, &client) == ERR_OK);
    call_and_work(&process, client, "over TLS");
    rpc_client_free(&client);
    rpc_server_free(&server);
    arena_fini(&arena);
    return process_end(&process);
}

static int fenced_abort(struct place *place)
{
    struct process process;
    int status;
    setenv("POSTRAFT_READY_FD", "99", 1);
    NEED(begin(&process, place, &status));
    process_sandbox(&process, NULL);
    CHECK(process.index == 77);
    return 0;
}

static void a_front_end_is_fenced_and_works(void **state)
{
    struct place *place = *state;
    pid_t pid;
    int status;
#ifdef PROCESS_UNFENCED
    skip();
#endif
    in_child(echo_server, place, &pid);
    pid_t front = fork();
    if (front == 0)
        exit(front_end(place));
    /* Whoever ends first: the server is told to by the front end, which may fail before. */
    pid_t first = waitpid(-1, &status, 0);
    if (first == pid) {
        in_child(echo_server, place, &pid);
        assert_int_equal(waitpid(front, &status, 0), front);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(first != front);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_store_is_fenced_and_works(void **state)
{
#ifdef PROCESS_UNFENCED
    skip();
#endif
    assert_int_equal(in_child(store, *state, NULL), 0);
}

static void a_fenced_program_still_aborts(void **state)
{
#ifdef PROCESS_UNFENCED
    skip();
#endif
    assert_int_equal(in_child(fenced_abort, *state, NULL), 128 + SIGABRT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_start_says_so),    TEST(what_the_supervisor_hands_over_is_found),
        TEST(a_program_is_ready_and_stops), TEST(a_front_end_is_fenced_and_works),
        TEST(a_store_is_fenced_and_works),  TEST(a_fenced_program_still_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
