/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listeners and dialers within a node. */
#include "tests/unit/node/runtime/stream_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WATCHED_MS = 50, TURNS_MAX = 15, QUEUE_MAX = 64 };

static bool is_opened(void *context)
{
    return ((struct stream_lab *)context)->opened_count > 0;
}

static bool is_failed(void *context)
{
    return ((struct stream_lab *)context)->failed_count > 0;
}

static void ignore(void *context, struct stream *stream, int result)
{
    (void)context;
    (void)result;
    stream_free(&stream);
}

/* Tries to listen where the lab is. */
static int listen_again(struct stream_lab *lab)
{
    struct stream_opener *opener;
    int result = stream_listener_new(&lab->queue, lab->url, NULL, ignore, lab, &opener);

    if (result == 0)
        result = stream_opener_listen(opener);
    stream_opener_free(&opener);
    return result;
}

static mode_t mode_of(const struct stream_lab *lab)
{
    struct stat status;
    assert_int_equal(lstat(lab->path, &status), 0);
    return status.st_mode;
}

static void the_file_has_its_mode_and_goes_with_the_listener(void **state)
{
    static const unsigned modes[] = {0600, 0660, 0666};
    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct stream_lab *lab = stream_lab_new("mode");
        stream_lab_listener(lab, modes[i]);
        assert_int_equal(mode_of(lab), S_IFSOCK | modes[i]);
        stream_opener_free(&lab->opener);
        assert_int_equal(access(lab->path, F_OK), -1);
        stream_lab_free(lab);
    }
}

static void a_path_in_use_is_refused_and_stays_in_use(void **state)
{
    struct stream_lab *lab = stream_lab_new("used");
    (void)state;
    stream_lab_listener(lab, 0600);
    assert_int_equal(listen_again(lab), NNG_ESYSERR + EADDRINUSE);
    lab->peer = stream_lab_connect(lab);
    run_until(lab->loop, is_opened, lab);
    stream_lab_free(lab);
    /* Also when the other accepts nobody, and its queue is full. */
    lab = stream_lab_new("used");
    int fd = stream_lab_listen(lab, 0);
    int waiting = stream_lab_connect(lab);
    assert_int_equal(listen_again(lab), NNG_ESYSERR + EADDRINUSE);
    assert_int_equal(access(lab->path, F_OK), 0);
    close(waiting);
    close(fd);
    stream_lab_free(lab);
}

static void the_file_of_a_killed_process_is_replaced(void **state)
{
    struct stream_lab *lab = stream_lab_new("stale");
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        stream_lab_listen(lab, 8);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(access(lab->path, F_OK), 0);
    stream_lab_listener(lab, 0600);
    lab->peer = stream_lab_connect(lab);
    run_until(lab->loop, is_opened, lab);
    stream_lab_free(lab);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct stream_lab *lab = stream_lab_new("file");
    (void)state;
    int fd = open(lab->path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(listen_again(lab), NNG_ESYSERR + EADDRINUSE);
    assert_int_equal(mode_of(lab), S_IFREG | 0600);
    stream_lab_free(lab);
}

static void the_file_of_another_is_left_alone(void **state)
{
    struct stream_lab *lab = stream_lab_new("other");
    (void)state;
    stream_lab_listener(lab, 0600);
    unlink(lab->path);
    int fd = stream_lab_listen(lab, 8);
    stream_opener_free(&lab->opener);
    assert_int_equal(access(lab->path, F_OK), 0);
    close(fd);
    stream_lab_free(lab);
}

static void bad_paths_are_errors(void **state)
{
    struct stream_lab *lab = stream_lab_new("bad");
    struct stream_opener *opener;
    char url[160] = "ipc://";
    (void)state;
    assert_int_equal(stream_dialer_new(&lab->queue, url, NULL, ignore, lab, &opener),
                     NNG_EADDRINVAL);
    assert_null(opener);
    memset(url + strlen(url), 'x', 107);
    assert_int_equal(stream_dialer_new(&lab->queue, url, NULL, ignore, lab, &opener), 0);
    stream_opener_free(&opener);
    url[strlen(url)] = 'x';
    assert_int_equal(stream_dialer_new(&lab->queue, url, NULL, ignore, lab, &opener),
                     NNG_ESYSERR + ENAMETOOLONG);
    assert_null(opener);
    assert_string_equal(nng_strerror(NNG_ESYSERR + ENAMETOOLONG), strerror(ENAMETOOLONG));
    snprintf(lab->url, sizeof(lab->url), "ipc:///nowhere/at/all");
    assert_int_equal(listen_again(lab), NNG_ESYSERR + ENOENT);
    stream_lab_free(lab);
}

static void who_cannot_be_reached_is_told_so(void **state)
{
    struct stream_lab *lab = stream_lab_new("absent");
    (void)state;
    stream_lab_dialer(lab);
    run_until(lab->loop, is_failed, lab);
    assert_int_equal(lab->result, NNG_ESYSERR + ENOENT);
    /* A file that nobody listens on. */
    close(stream_lab_listen(lab, 8));
    lab->failed_count = 0;
    stream_opener_go(lab->opener, 1);
    assert_true(stream_opener_pauses(lab->opener));
    run_until(lab->loop, is_failed, lab);
    assert_int_equal(lab->result, NNG_ESYSERR + ECONNREFUSED);
    /* A queue that is full. */
    unlink(lab->path);
    int listening = stream_lab_listen(lab, 4);
    lab->failed_count = 0;
    for (unsigned i = 0; i < QUEUE_MAX && lab->failed_count == 0; i++) {
        unsigned before = lab->opened_count;
        stream_opener_go(lab->opener,
                         0); /* who was opened and freed waits there all the same */
        while (lab->opened_count == before && lab->failed_count == 0)
            stream_lab_turns(lab, 1);
    }
    assert_int_equal(lab->result, NNG_ESYSERR + EAGAIN);
    /* There is room again. */
    int accepted = accept(listening, NULL, NULL);
    assert_true(accepted >= 0);
    lab->opened_count = 0;
    stream_opener_go(lab->opener, 0);
    run_until(lab->loop, is_opened, lab);
    close(accepted);
    close(listening);
    stream_lab_free(lab);
}

static void one_is_accepted_each_time_that_is_asked_for(void **state)
{
    struct stream_lab *lab = stream_lab_new("asked");
    int peers[3];
    (void)state;
    stream_lab_listener(lab, 0600);
    for (unsigned i = 0; i < 3; i++)
        peers[i] = stream_lab_connect(lab);
    assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX);
    assert_int_equal(lab->opened_count, 1);
    stream_opener_go(lab->opener, 1);
    assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX);
    assert_int_equal(lab->opened_count, 2);
    for (unsigned i = 0; i < 3; i++)
        close(peers[i]);
    stream_lab_free(lab);
}

static void without_descriptors_it_waits_for_better_times(void **state)
{
    struct stream_lab *lab = stream_lab_new("descriptors");
    struct rlimit before, limit;
    (void)state;
    stream_lab_listener(lab, 0600);
    stream_lab_turns(lab, 1);
    lab->peer = stream_lab_connect(lab);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = (struct rlimit){(rlim_t)next, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    run_until(lab->loop, is_failed, lab);
    assert_int_equal(lab->result, NNG_ESYSERR + EMFILE);
    assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX); /* and keeps nobody awake */
    assert_int_equal(lab->failed_count, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    stream_opener_go(lab->opener, 1);
    run_until(lab->loop, is_opened, lab);
    stream_lab_free(lab);
}

static void sockets_are_not_inherited(void **state)
{
    struct stream_lab *lab = stream_lab_new("inherited");
    unsigned seen = 0;
    (void)state;
    stream_lab_listener(lab, 0600);
    lab->peer = stream_lab_connect(lab);
    run_until(lab->loop, is_opened, lab);
    for (int fd = 3; fd < 64; fd++) {
        int kind;
        socklen_t size = sizeof(kind);
        if (fd == lab->peer || getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) != 0)
            continue;
        seen++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(seen, 2);
    stream_lab_free(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_its_mode_and_goes_with_the_listener),
        cmocka_unit_test(a_path_in_use_is_refused_and_stays_in_use),
        cmocka_unit_test(the_file_of_a_killed_process_is_replaced),
        cmocka_unit_test(what_is_no_socket_is_left_alone),
        cmocka_unit_test(the_file_of_another_is_left_alone),
        cmocka_unit_test(bad_paths_are_errors),
        cmocka_unit_test(who_cannot_be_reached_is_told_so),
        cmocka_unit_test(one_is_accepted_each_time_that_is_asked_for),
        cmocka_unit_test(without_descriptors_it_waits_for_better_times),
        cmocka_unit_test(sockets_are_not_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
