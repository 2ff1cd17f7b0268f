/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links between nodes: frames, losses and reconnections, over wires that break. */
#include "tests/unit/raft/transport_world.h"

struct pair {
    struct end *from;
    struct end *to;
    unsigned count;
};

static bool is_up(void *context)
{
    const struct pair *pair = context;
    return end_is_up(pair->from, pair->to->node_id);
}

static bool is_down(void *context)
{
    return !is_up(context);
}

static bool has_room(void *context)
{
    const struct pair *pair = context;
    return end_room(pair->from, pair->to->node_id) > 0;
}

/* `count` frames have come. */
static bool has_come(void *context)
{
    const struct pair *pair = context;
    return end_told(pair->to, TOLD_FRAME, pair->from->node_id) >= pair->count;
}

static void send_when_room(struct world *world, struct pair *pair, size_t len, uint32_t tag)
{
    world_until(world, has_room, pair);
    end_send(pair->from, pair->to->node_id, len, tag);
}

/* Both nodes dial each other directly. */
static void link_up(struct world *world, struct end *a, struct end *b)
{
    struct pair there = {a, b, 0}, back = {b, a, 0};

    end_start(a, NULL);
    end_start(b, NULL);
    end_peer(a, b->node_id, b->port);
    end_peer(b, a->node_id, a->port);
    world_until(world, is_up, &there);
    world_until(world, is_up, &back);
}

static void frames_arrive_whole_and_in_order(void **state)
{
    static const size_t sizes[] = {
        1,     3,       200, 16368,   16384,   25000,           65536,
        65537, 1000000, 2,   1048576, 4194303, 4 * 1024 * 1024, 77};
    struct world *world = *state;
    struct pair pair = {&world->ends[0], &world->ends[1], 0};
    const unsigned count = sizeof(sizes) / sizeof(sizes[0]);

    link_up(world, pair.from, pair.to);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < count; i++)
            send_when_room(world, &pair, sizes[i], pair.count++ & 0x7f);
    world_until(world, has_come, &pair);
    for (unsigned i = 0, at = 0; i < pair.to->told_count; i++) {
        const struct told *told = &pair.to->told[i];
        if (told->what != TOLD_FRAME)
            continue;
        assert_int_equal(told->node_id, 1);
        assert_int_equal(told->len, sizes[at % count]);
        assert_int_equal(told->tag, at & 0x7f);
        at++;
    }
    assert_int_equal(end_told(pair.to, TOLD_FRAME, 1), pair.count);
}

static void one_that_is_no_peer_is_heard(void **state)
{
    struct world *world = *state;
    struct pair pair = {&world->ends[2], &world->ends[0], 1};

    end_start(pair.from, NULL);
    end_start(pair.to, NULL);
    end_peer(pair.from, 1, pair.to->port);
    send_when_room(world, &pair, 10, 5);
    world_until(world, has_come, &pair);
    assert_int_equal(end_room(pair.to, 3), 0);
    assert_false(end_is_up(pair.to, 3));
}

/*
 * The connection breaks anywhere in a frame, again and again. The link must come up each time,
 * with nothing left of what was cut, and nothing of an earlier connection after a later one.
 */
static void a_connection_that_breaks_in_a_frame_is_made_again(void **state)
{
    struct world *world = *state;
    struct wire *wire = &world->wires[0];
    struct pair pair = {&world->ends[0], &world->ends[1], 0};
    uint32_t epoch = 0;

    end_start(pair.from, NULL);
    end_start(pair.to, NULL);
    wire_open(wire, pair.to->port);
    end_peer(pair.to, 1, pair.from->port);
    end_peer(pair.from, 2, wire->port);
    for (; epoch < 40; epoch++) {
        world_until(world, is_up, &pair);
        unsigned downs = end_told(pair.from, TOLD_DOWN, 2);
        /* From within the first header to the middle of the third frame. */
        wire->passed = 0;
        wire->cut_after = 20 + epoch * epoch * 1400;
        while (end_told(pair.from, TOLD_DOWN, 2) == downs) {
            if (end_room(pair.from, 2) > 0)
                end_send(pair.from, 2, 1000000, epoch);
            world_for(world, 1);
        }
    }
    world_until(world, is_up, &pair);
    send_when_room(world, &pair, 100, epoch);
    pair.count = end_told(pair.to, TOLD_FRAME, 1) + 1;
    world_until(world, has_come, &pair);
    uint32_t last = 0;
    for (unsigned i = 0; i < pair.to->told_count; i++)
        if (pair.to->told[i].what == TOLD_FRAME) {
            assert_true(pair.to->told[i].tag >= last);
            last = pair.to->told[i].tag;
        }
    assert_int_equal(last, epoch);
}

/* What came over the connection before is not handed out after the news of its end. */
static void an_older_connection_is_forgotten(void **state)
{
    struct world *world = *state;
    struct wire *wire = &world->wires[0];
    struct pair there = {&world->ends[0], &world->ends[1], 0};
    struct pair back = {&world->ends[1], &world->ends[0], 0};

    end_start(there.from, NULL);
    end_start(there.to, NULL);
    wire_open(wire, there.to->port);
    end_peer(there.to, 1, there.from->port);
    end_peer(there.from, 2, wire->port);
    world_until(world, is_up, &there);
    world_until(world, is_up, &back);
    there.to->asleep = true; /* what arrives waits */
    for (unsigned i = 0; i < 5; i++)
        send_when_room(world, &there, 50000, 1);
    world_for(world, 200);
    wire_cut(wire, true);
    world_until(world, is_down, &there);
    unsigned before = there.to->told_count;
    there.to->asleep = false;
    world_until(world, is_up, &there);
    send_when_room(world, &there, 100, 2);
    there.count = end_told(there.to, TOLD_FRAME, 1) + 1;
    world_until(world, has_come, &there);
    assert_true(end_is_up(there.to, 1));
    while (there.to->told[before].what != TOLD_DOWN)
        before++;
    for (unsigned i = before; i < there.to->told_count; i++)
        if (there.to->told[i].what == TOLD_FRAME)
            assert_int_equal(there.to->told[i].tag, 2);
}

/* Neither side is told that the other has gone: silence tells. */
static void a_half_open_connection_is_given_up(void **state)
{
    struct world *world = *state;
    struct wire *wire = &world->wires[0];
    struct pair there = {&world->ends[0], &world->ends[1], 0};

    end_start(there.from, NULL);
    end_start(there.to, NULL);
    wire_open(wire, there.to->port);
    end_peer(there.from, 2, wire->port);
    world_until(world, is_up, &there);
    wire->held = true;
    world_until(world, is_down, &there);
    assert_int_equal(end_room(there.from, 2), 0);
    wire->held = false;
    wire_cut(wire, false);
    world_until(world, is_up, &there);
}

/* Quiet links are no silent ones. */
static void an_idle_link_stays(void **state)
{
    struct world *world = *state;
    struct pair pair = {&world->ends[0], &world->ends[1], 0};

    link_up(world, pair.from, pair.to);
    unsigned told = pair.from->told_count + pair.to->told_count;
    world_for(world, 6000);
    assert_int_equal(pair.from->told_count + pair.to->told_count, told);
    assert_true(end_is_up(pair.from, 2) && end_is_up(pair.to, 1));
}

/* Only what node 2 has dialed ends; node 1's own connection stays. */
static void either_direction_tells_of_the_end(void **state)
{
    struct world *world = *state;
    struct wire *wire = &world->wires[0];
    struct pair there = {&world->ends[0], &world->ends[1], 0};
    struct pair back = {&world->ends[1], &world->ends[0], 0};

    end_start(there.from, NULL);
    end_start(there.to, NULL);
    wire_open(wire, there.from->port);
    end_peer(there.from, 2, there.to->port);
    end_peer(there.to, 1, wire->port);
    world_until(world, is_up, &there);
    world_until(world, is_up, &back);
    wire->to_port = free_port(); /* nobody is there */
    wire_cut(wire, false);
    world_until(world, is_down, &there);
    assert_int_equal(end_room(there.from, 2), 0);
    wire->to_port = there.from->port;
    world_until(world, is_up, &there);
    world_until(world, has_room, &there);
}

static void a_reader_that_is_slow_makes_the_sender_wait(void **state)
{
    enum { FRAME = 250000 };
    struct world *world = *state;
    struct pair pair = {&world->ends[0], &world->ends[1], 0};
    unsigned unmoved = 0;

    link_up(world, pair.from, pair.to);
    pair.to->asleep = true;
    while (unmoved < 100) { /* turns */
        bool moved = end_room(pair.from, 2) > 0;
        unmoved = moved ? 0 : unmoved + 1;
        if (moved)
            end_send(pair.from, 2, FRAME, pair.count++);
        world_for(world, 5);
    }
    assert_in_range(pair.count * (uint64_t)FRAME, 1, 48 * 1024 * 1024);
    pair.to->asleep = false;
    world_until(world, has_come, &pair);
    for (unsigned i = 0; i < 20; i++)
        send_when_room(world, &pair, FRAME, pair.count++);
    world_until(world, has_come, &pair);
    uint32_t next = 0;
    for (unsigned i = 0; i < pair.to->told_count; i++)
        if (pair.to->told[i].what == TOLD_FRAME)
            assert_int_equal(pair.to->told[i].tag, next++);
    assert_int_equal(next, pair.count);
    assert_int_equal(end_told(pair.from, TOLD_DOWN, 2), 1); /* before its first up */
}

static void a_peer_that_dies_and_comes_back_is_linked_again(void **state)
{
    struct world *world = *state;
    struct pair pair = {&world->ends[0], &world->ends[1], 0};

    link_up(world, pair.from, pair.to);
    for (unsigned i = 0; i < 5; i++) {
        end_stop(pair.to);
        world_until(world, is_down, &pair);
        end_start(pair.to, NULL);
        end_peer(pair.to, 1, pair.from->port);
        world_until(world, is_up, &pair);
        send_when_room(world, &pair, 1000, i);
        pair.count++;
        world_until(world, has_come, &pair);
    }
}

static void a_peer_can_move(void **state)
{
    struct world *world = *state;
    struct pair pair = {&world->ends[0], &world->ends[1], 1};

    link_up(world, pair.from, pair.to);
    end_stop(pair.to);
    pair.to->port = free_port();
    end_start(pair.to, NULL);
    end_peer(pair.from, 2, pair.to->port);
    assert_int_equal(end_room(pair.from, 2), 0);
    world_until(world, is_down, &pair);
    world_until(world, is_up, &pair);
    send_when_room(world, &pair, 10, 9);
    world_until(world, has_come, &pair);
    transport_nng_peer_remove(pair.from->transport, 2);
    assert_int_equal(end_room(pair.from, 2), 0);
    world_until(world, is_down, &pair);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_arrive_whole_and_in_order),
        TEST(one_that_is_no_peer_is_heard),
        TEST(a_connection_that_breaks_in_a_frame_is_made_again),
        TEST(an_older_connection_is_forgotten),
        TEST(a_half_open_connection_is_given_up),
        TEST(an_idle_link_stays),
        TEST(either_direction_tells_of_the_end),
        TEST(a_reader_that_is_slow_makes_the_sender_wait),
        TEST(a_peer_that_dies_and_comes_back_is_linked_again),
        TEST(a_peer_can_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
