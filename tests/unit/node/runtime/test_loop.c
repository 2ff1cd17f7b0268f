/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/until.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/runtime/metrics.h"

/* What happened, one letter each. */
struct story {
    struct loop *loop;
    char text[64];
    size_t len;
    struct loop_timer *repeating;
    struct loop_hook *hook;
    unsigned turns;
};

static void tell(struct story *story, char letter)
{
    assert_true(story->len + 1 < sizeof(story->text));
    story->text[story->len++] = letter;
}

static void on_first(void *context)
{
    tell(context, '1');
}

static void on_second(void *context)
{
    tell(context, '2');
}

static void on_last(void *context)
{
    struct story *story = context;
    tell(story, 'L');
    loop_stop(story->loop);
}

static void timers_fire_in_order_and_never_early(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    uint64_t began_ms = clock_monotonic_ms();
    loop_timer_start(story.loop, 40, 0, on_last, &story);
    loop_timer_start(story.loop, 20, 0, on_first, &story);
    loop_timer_start(story.loop, 20, 0, on_second, &story);
    struct loop_timer *never = loop_timer_start(story.loop, 10, 0, on_last, &story);
    loop_timer_stop(&never);
    assert_null(never);
    loop_run(story.loop);
    assert_string_equal(story.text, "12L");
    assert_true(clock_monotonic_ms() - began_ms >= 40);
    loop_free(&story.loop);
    assert_null(story.loop);
}

static void on_repeat(void *context)
{
    struct story *story = context;
    tell(story, 'r');
    if (story->len == 3) {
        loop_timer_stop(&story->repeating);
        loop_timer_start(story->loop, 5, 0, on_last, story);
    }
}

static void a_repeating_timer_stops_itself(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    story.repeating = loop_timer_start(story.loop, 1, 1, on_repeat, &story);
    loop_run(story.loop);
    assert_string_equal(story.text, "rrrL");
    loop_free(&story.loop);
}

static void on_posted_again(void *context)
{
    struct story *story = context;
    tell(story, 'p');
    loop_post(story->loop, on_last, story);
    tell(story, 'q'); /* on_last has not run inside the call */
}

static void posts_keep_their_order_and_never_nest(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    loop_post(story.loop, on_first, &story);
    loop_post(story.loop, on_second, &story);
    loop_post(story.loop, on_posted_again, &story);
    assert_int_equal(story.len, 0);
    loop_run(story.loop);
    assert_string_equal(story.text, "12pqL");
    loop_free(&story.loop);
}

enum { POSTERS = 4, POSTS_EACH = 20000 };

struct crowd {
    struct loop *loop;
    unsigned counts[POSTERS];
    unsigned total;
};

struct posting {
    struct crowd *crowd;
    unsigned poster;
    unsigned number;
};

static void on_crowd(void *context)
{
    struct posting *posting = context;
    struct crowd *crowd = posting->crowd;
    assert_int_equal(crowd->counts[posting->poster], posting->number);
    crowd->counts[posting->poster]++;
    if (++crowd->total == POSTERS * POSTS_EACH)
        loop_stop(crowd->loop);
    free(posting);
}

static void *post_many(void *context)
{
    struct posting *first = context;
    for (unsigned i = 0; i < POSTS_EACH; i++) {
        struct posting *posting = malloc(sizeof(*posting));
        assert_non_null(posting);
        *posting = (struct posting){first->crowd, first->poster, i};
        loop_post(first->crowd->loop, on_crowd, posting);
    }
    return NULL;
}

static void posts_of_several_threads_all_arrive(void **state)
{
    struct crowd crowd = {.loop = loop_new()};
    struct posting firsts[POSTERS];
    pthread_t threads[POSTERS];
    (void)state;
    for (unsigned i = 0; i < POSTERS; i++) {
        firsts[i] = (struct posting){&crowd, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &firsts[i]), 0);
    }
    loop_run(crowd.loop);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.total, POSTERS * POSTS_EACH);
    loop_free(&crowd.loop);
}

static void do_work(void *context)
{
    ((struct story *)context)->text[40] = 'w'; /* in a pool thread */
}

static void on_work_done(void *context)
{
    struct story *story = context;
    tell(story, story->text[40]);
    loop_stop(story->loop);
}

static void work_is_done_elsewhere_and_told_here(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    loop_work(story.loop, do_work, on_work_done, &story);
    loop_run(story.loop);
    assert_string_equal(story.text, "w");
    loop_free(&story.loop);
}

static void work_under_way_is_told_of_by_free(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    loop_work(story.loop, do_work, on_work_done, &story);
    loop_free(&story.loop);
    assert_string_equal(story.text, "w");
}

static void on_signal(void *context, int number)
{
    struct story *story = context;
    assert_int_equal(number, SIGUSR1);
    on_last(story);
}

static void signals_are_told(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    loop_on_signal(story.loop, SIGUSR1, on_signal, &story);
    raise(SIGUSR1);
    loop_run(story.loop);
    assert_string_equal(story.text, "L");
    loop_free(&story.loop);
}

static void on_turn(void *context)
{
    struct story *story = context;
    tell(story, 't');
    if (++story->turns == 3) {
        loop_hook_remove(&story->hook);
        loop_post(story->loop, on_last, story);
    } else {
        loop_wake(story->loop);
    }
}

static void wake_brings_another_turn(void **state)
{
    struct story story = {.loop = loop_new()};
    (void)state;
    story.hook = loop_on_turn(story.loop, on_turn, &story);
    loop_run(story.loop);
    assert_string_equal(story.text, "tttL");
    loop_free(&story.loop);
}

struct pipe_story {
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
    unsigned bytes;
};

static void on_readable(void *context)
{
    struct pipe_story *story = context;
    char byte;
    if (read(story->fd, &byte, 1) == 1) {
        story->bytes++;
        return;
    }
    loop_watch_stop(&story->watch); /* the other end is closed */
    loop_stop(story->loop);
}

static void a_watch_tells_of_bytes_and_of_the_end(void **state)
{
    struct pipe_story story = {.loop = loop_new()};
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    story.fd = fds[0];
    story.watch = loop_watch_start(story.loop, fds[0], on_readable, &story);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    close(fds[1]);
    loop_run(story.loop);
    assert_int_equal(story.bytes, 2);
    assert_null(story.watch);
    loop_free(&story.loop);
    close(fds[0]);
}

static void free_closes_what_is_open(void **state)
{
    struct story story = {.loop = loop_new()};
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    loop_timer_start(story.loop, 100000, 0, on_last, &story);
    loop_on_signal(story.loop, SIGUSR2, on_signal, &story);
    loop_watch_start(story.loop, fds[0], on_readable, &story);
    loop_on_turn(story.loop, on_turn, &story);
    loop_post(story.loop, on_last, &story);
    loop_free(&story.loop); /* leaks show under the leak checker */
    assert_int_equal(story.len, 0);
    close(fds[0]);
    close(fds[1]);
}

static void metrics_count_and_print(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    (void)state;
    metric_add(METRIC_IMAP_LOGINS, 41);
    metric_add(METRIC_IMAP_LOGINS, 1);
    metric_add(METRIC_CONNECTIONS_OPEN, 3);
    metric_sub(METRIC_CONNECTIONS_OPEN, 2);
    assert_int_equal(metric_get(METRIC_IMAP_LOGINS), 42);
    metrics_print(&text);
    buffer_add_byte(&text, 0);
    const char *printed = (const char *)buffer_bytes(&text).at;
    assert_non_null(strstr(printed, "# HELP postraft_imap_logins_total log-ins that succeeded\n"
                                    "# TYPE postraft_imap_logins_total counter\n"
                                    "postraft_imap_logins_total 42\n"));
    assert_non_null(strstr(printed, "# TYPE postraft_connections_open gauge\n"
                                    "postraft_connections_open 1\n"));
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_never_early),
        cmocka_unit_test(a_repeating_timer_stops_itself),
        cmocka_unit_test(posts_keep_their_order_and_never_nest),
        cmocka_unit_test(posts_of_several_threads_all_arrive),
        cmocka_unit_test(work_is_done_elsewhere_and_told_here),
        cmocka_unit_test(work_under_way_is_told_of_by_free),
        cmocka_unit_test(signals_are_told),
        cmocka_unit_test(wake_brings_another_turn),
        cmocka_unit_test(a_watch_tells_of_bytes_and_of_the_end),
        cmocka_unit_test(free_closes_what_is_open),
        cmocka_unit_test(metrics_count_and_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
