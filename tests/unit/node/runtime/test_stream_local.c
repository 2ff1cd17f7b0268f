/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/node/runtime/stream_lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 3 * 1024 * 1024 + 17, ROOM = 64 * 1024, WATCHED_MS = 50, TURNS_MAX = 15 };

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 31 + place / 251);
}

static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(i);
    return bytes;
}

static bool is_received(void *context)
{
    return ((struct stream_lab *)context)->received > 0;
}

static bool is_lost(void *context)
{
    return ((struct stream_lab *)context)->lost > 0;
}

static bool is_lost_twice(void *context)
{
    return ((struct stream_lab *)context)->lost == 2;
}

/* The peer takes what is there; how much it has taken is checked against the pattern. */
struct taking {
    struct stream_lab *lab;
    size_t have;
};

static bool take(void *context)
{
    struct taking *taking = context;
    uint8_t bytes[3001];
    ssize_t len = recv(taking->lab->peer, bytes, sizeof(bytes), MSG_DONTWAIT);

    for (ssize_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], byte_at(taking->have++));
    return taking->have == LARGE && taking->lab->sent == 1;
}

static void what_does_not_fit_is_sent_as_the_peer_takes_it(void **state)
{
    struct stream_lab *lab = stream_lab_new("partial");
    struct taking taking = {.lab = lab};
    struct bytes pieces[STREAM_PIECES_MAX];
    uint8_t *large = pattern(LARGE);
    size_t at = 0;
    (void)state;
    stream_lab_pair(lab);
    stream_lab_small_buffers();
    for (unsigned i = 0; i < STREAM_PIECES_MAX; i++) {
        size_t len = i + 1 == STREAM_PIECES_MAX ? LARGE - at : 1 + i * i * 7;
        pieces[i] = bytes_from(large + at, len);
        at += len;
    }
    assert_false(stream_lab_send(lab, pieces, STREAM_PIECES_MAX));
    assert_true(stream_sending(lab->stream));
    run_until(lab->loop, take, &taking);
    assert_false(stream_sending(lab->stream));
    /* And what fits is gone at once. */
    assert_true(stream_lab_send(lab, pieces, 4));
    assert_false(stream_sending(lab->stream));
    assert_int_equal(lab->sent, 1);
    stream_lab_free(lab);
    free(large);
}

struct giving {
    struct stream_lab *lab;
    const uint8_t *from;
    size_t given;
};

static bool give(void *context)
{
    struct giving *giving = context;
    size_t rest = LARGE - giving->given;
    ssize_t len = send(giving->lab->peer, giving->from + giving->given,
                       rest < 4099 ? rest : 4099, MSG_DONTWAIT | MSG_NOSIGNAL);

    giving->given += len > 0 ? (size_t)len : 0;
    return giving->lab->received > 0;
}

static void a_large_piece_is_told_when_it_is_whole(void **state)
{
    struct stream_lab *lab = stream_lab_new("whole");
    uint8_t *large = pattern(LARGE), *room = malloc(LARGE + ROOM);
    struct giving giving = {.lab = lab, .from = large};
    (void)state;
    assert_non_null(room);
    stream_lab_pair(lab);
    stream_lab_receive(lab, room, LARGE + ROOM, LARGE);
    run_until(lab->loop, give, &giving);
    assert_int_equal(lab->received, 1);
    assert_int_equal(lab->received_len, LARGE);
    assert_memory_equal(room, large, LARGE);
    stream_lab_free(lab);
    free(large);
    free(room);
}

static bool is_full(int fd)
{
    static const uint8_t zeros[4096];
    return send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN;
}

static void who_does_not_receive_lets_the_peer_wait_and_sleeps(void **state)
{
    struct stream_lab *lab = stream_lab_new("pressure");
    static uint8_t room[ROOM];
    (void)state;
    stream_lab_pair(lab);
    stream_lab_receive(lab, room, sizeof(room), 1);
    assert_int_equal(send(lab->peer, "x", 1, MSG_NOSIGNAL), 1);
    run_until(lab->loop, is_received, lab);
    assert_int_equal(lab->received_len, 1);
    while (!is_full(lab->peer))
        continue;
    assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX);
    assert_true(is_full(lab->peer)); /* nothing was taken */
    assert_int_equal(lab->received, 1);
    /* Sending goes on meanwhile, and does not wake who does not receive. */
    assert_true(stream_lab_send(lab, &BYTES("y"), 1));
    assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX);
    lab->received = 0;
    stream_lab_receive(lab, room, sizeof(room), 2);
    run_until(lab->loop, is_received, lab);
    assert_true(lab->received_len >= 2);
    stream_lab_free(lab);
}

/* What is under way when the peer ends, and whether the peer leaves bytes unread. */
static void peer_ends(bool receives, bool sends, bool unread, bool says)
{
    struct stream_lab *lab = stream_lab_new("ends");
    static uint8_t room[ROOM], large[LARGE];
    const struct bytes piece = bytes_from(large, sizeof(large));
    stream_lab_pair(lab);
    if (unread)
        assert_true(stream_lab_send(lab, &BYTES("never read"), 1));
    if (receives)
        stream_lab_receive(lab, room, sizeof(room), 2);
    if (sends)
        assert_false(stream_lab_send(lab, &piece, 1));
    if (says)
        assert_int_equal(send(lab->peer, "x", 1, MSG_NOSIGNAL), 1);
    close(lab->peer);
    lab->peer = -1;
    if (receives && sends) {
        run_until(lab->loop, is_lost_twice, lab);
    } else if (receives || sends) {
        run_until(lab->loop, is_lost, lab);
    } else {
        /* Nothing is under way: nothing is told, and nobody is kept awake. */
        assert_true(stream_lab_turns(lab, WATCHED_MS) < TURNS_MAX);
        assert_int_equal(lab->lost, 0);
        assert_false(stream_closed(lab->stream));
        /* The next operation finds it out, and not from inside. */
        assert_false(stream_lab_send(lab, &piece, 1));
        assert_true(stream_sending(lab->stream));
        run_until(lab->loop, is_lost, lab);
    }
    assert_true(stream_closed(lab->stream));
    assert_false(stream_sending(lab->stream) || stream_receiving(lab->stream));
    assert_int_equal(lab->lost, receives && sends ? 2 : 1);
    assert_int_equal(lab->received + lab->sent, 0);
    assert_false(stream_lab_send(lab, &piece, 1)); /* does nothing */
    stream_lab_receive(lab, room, sizeof(room), 1);
    assert_false(stream_sending(lab->stream) || stream_receiving(lab->stream));
    stream_lab_free(lab);
}

static void a_peer_that_ends_is_told_to_whoever_waits(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 16; bits++)
        peer_ends(bits & 1, bits & 2, bits & 4, bits & 8);
}

static void the_last_words_are_received(void **state)
{
    struct stream_lab *lab = stream_lab_new("words");
    static uint8_t room[ROOM];
    (void)state;
    stream_lab_pair(lab);
    assert_int_equal(send(lab->peer, "farewell", 8, MSG_NOSIGNAL), 8);
    close(lab->peer);
    lab->peer = -1;
    stream_lab_receive(lab, room, sizeof(room), 1);
    run_until(lab->loop, is_received, lab);
    assert_int_equal(lab->received_len, 8);
    assert_memory_equal(room, "farewell", 8);
    assert_int_equal(lab->lost, 0);
    stream_lab_receive(lab, room, sizeof(room), 1);
    run_until(lab->loop, is_lost, lab);
    stream_lab_free(lab);
}

static bool sees_the_end(void *context)
{
    uint8_t bytes[4096];
    return recv(((struct stream_lab *)context)->peer, bytes, sizeof(bytes), MSG_DONTWAIT) == 0;
}

static void closing_loses_what_is_under_way(void **state)
{
    struct stream_lab *lab = stream_lab_new("closing");
    static uint8_t room[ROOM], large[LARGE];
    const struct bytes piece = bytes_from(large, sizeof(large));
    (void)state;
    stream_lab_pair(lab);
    stream_lab_receive(lab, room, sizeof(room), 1);
    assert_false(stream_lab_send(lab, &piece, 1));
    lab->inside++;
    stream_close(lab->stream);
    stream_close(lab->stream);
    lab->inside--;
    assert_true(stream_receiving(lab->stream) && stream_sending(lab->stream));
    run_until(lab->loop, is_lost_twice, lab);
    run_until(lab->loop, sees_the_end, lab);
    assert_int_equal(lab->lost, 2);
    stream_lab_free(lab);
    /* Freed at once, nothing is told. */
    lab = stream_lab_new("closing");
    stream_lab_pair(lab);
    stream_lab_receive(lab, room, sizeof(room), 1);
    assert_false(stream_lab_send(lab, &piece, 1));
    stream_close(lab->stream);
    stream_free(&lab->stream);
    stream_lab_turns(lab, WATCHED_MS);
    assert_int_equal(lab->lost, 0);
    stream_lab_free(lab);
}

static bool take_until_sent(void *context)
{
    struct stream_lab *lab = context;
    uint8_t bytes[64 * 1024];

    while (lab->sent == 0 && recv(lab->peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
    return lab->sent > 0;
}

static void a_stream_may_be_freed_by_what_it_tells(void **state)
{
    static uint8_t room[ROOM], large[LARGE];
    const struct bytes piece = bytes_from(large, sizeof(large));
    (void)state;
    for (unsigned when = FREE_RECEIVED; when <= FREE_LOST; when++) {
        struct stream_lab *lab = stream_lab_new("inside");
        stream_lab_pair(lab);
        stream_lab_receive(lab, room, sizeof(room), 1);
        assert_false(stream_lab_send(lab, &piece, 1));
        lab->free_in = when;
        /* Both ends come in one turn, where they can. */
        if (when == FREE_RECEIVED || when == FREE_SENT)
            assert_int_equal(send(lab->peer, "x", 1, MSG_NOSIGNAL), 1);
        if (when == FREE_RECEIVED)
            run_until(lab->loop, is_received, lab);
        if (when == FREE_SENT)
            run_until(lab->loop, take_until_sent, lab);
        if (when == FREE_LOST) {
            close(lab->peer);
            lab->peer = -1;
            run_until(lab->loop, is_lost, lab);
        }
        assert_null(lab->stream);
        stream_lab_turns(lab, WATCHED_MS);
        assert_true(lab->lost <= 1);
        stream_lab_free(lab);
    }
}

static void the_peer_is_known(void **state)
{
    struct stream_lab *lab = stream_lab_new("peer");
    (void)state;
    stream_lab_pair(lab);
    struct stream_peer peer = stream_peer(lab->stream);
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.node_id, 0);
    stream_lab_free(lab);
}

static void last_words_come_though_sending_fails(void **state)
{
    static uint8_t room[ROOM];
    static uint8_t large[LARGE];
    const struct bytes piece = bytes_from(large, sizeof(large));
    (void)state;
    for (unsigned ends_before = 0; ends_before < 2; ends_before++) {
        struct stream_lab *lab = stream_lab_new("words");
        stream_lab_pair(lab);
        stream_lab_receive(lab, room, sizeof(room), 1);
        if (!ends_before)
            assert_false(stream_lab_send(lab, &piece, 1));
        assert_int_equal(send(lab->peer, "farewell", 8, MSG_NOSIGNAL), 8);
        close(lab->peer);
        lab->peer = -1;
        if (ends_before)
            stream_lab_send(lab, &BYTES("x"), 1);
        run_until(lab->loop, is_lost, lab);
        assert_int_equal(lab->received, 1);
        stream_lab_free(lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_sent_as_the_peer_takes_it),
        cmocka_unit_test(a_large_piece_is_told_when_it_is_whole),
        cmocka_unit_test(who_does_not_receive_lets_the_peer_wait_and_sleeps),
        cmocka_unit_test(a_peer_that_ends_is_told_to_whoever_waits),
        cmocka_unit_test(the_last_words_are_received),
        cmocka_unit_test(closing_loses_what_is_under_way),
        cmocka_unit_test(a_stream_may_be_freed_by_what_it_tells),
        cmocka_unit_test(the_peer_is_known),
        cmocka_unit_test(last_words_come_though_sending_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
