/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "storage/machine/account.h"
#include "storage/machine/moving.h"
#include "tests/unit/storage/service/move_place.h"

enum { BODY_SIZE = 3000 };

struct lab *place_lab(struct place *place)
{
    return &place->model.lab;
}

enum err place_deliver(struct place *place, uint32_t group)
{
    static uint8_t body[BODY_SIZE];

    memset(body, (int)place->delivered, sizeof(body));
    enum err err = (enum err)lab_deliver(place_lab(place), group, place->account,
                                         bytes_from(body, sizeof(body)))
                       ->err;
    place->delivered += err == ERR_OK;
    return err;
}

void place_ask(struct place *place)
{
    assert_int_equal(moving_ask(&place->model, &place->model.accounts[0], place->to), ERR_OK);
}

struct place *place_new(void)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    model_open(&place->model, 1);
    moving_open(&place->model);
    place->account = place->model.accounts[0].id;
    place->from = place->model.accounts[0].group;
    place->to = MOVING_OTHER_GROUP;
    assert_int_not_equal(place->from, place->to);
    for (unsigned i = 0; i < PLACE_MESSAGES; i++)
        assert_int_equal(place_deliver(place, place->from), ERR_OK);
    world_begin(place_lab(place));
    world.context = place;
    return place;
}

void place_lead_begin(struct place *place)
{
    place->leaders[0] = moves_new(&world.service, place->from);
    place->leaders[1] = moves_new(&world.service, place->to);
}

void place_lead_end(struct place *place)
{
    for (unsigned i = 0; i < PLACE_LEADERS; i++)
        moves_free(&place->leaders[i]);
}

void place_free(struct place *place)
{
    place_lead_end(place);
    world_run(world.now_ms);
    world_end();
    model_close(&place->model);
    free(place);
}

void place_lead(struct place *place, uint64_t until_ms)
{
    while (world.now_ms < until_ms && !place->died) {
        for (unsigned i = 0; i < PLACE_LEADERS; i++)
            moves_tick(place->leaders[i], world.now_ms);
        while (!place->died && world_step(world.now_ms + 100))
            ;
        if (!place->died)
            world_run(world.now_ms + 100);
    }
}

struct move_truth place_truth(struct place *place)
{
    struct move_truth truth;
    struct db_txn *txn = db_read_begin(place_lab(place)->db);

    moves_truth(txn, place->account, &truth);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return truth;
}

bool place_moves_in(struct place *place, uint32_t group)
{
    struct moving_record moving;
    struct db_txn *txn = db_read_begin(place_lab(place)->db);
    bool there = moving_load(txn, group, place->account, &moving);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return there;
}

uint64_t place_messages(struct place *place, uint32_t group)
{
    struct account account;
    struct db_txn *txn = db_read_begin(place_lab(place)->db);

    account_load(txn, group, place->account, &account);
    uint64_t messages = account.record.gone ? 0 : account.record.messages;
    db_abort(&txn);
    return messages;
}

void place_expect_settled(struct place *place, uint32_t group)
{
    struct move_truth truth = place_truth(place);
    uint32_t other = group == place->to ? place->from : place->to;

    assert_int_equal(truth.group, group);
    assert_false(truth.moves);
    assert_false(place_moves_in(place, place->from));
    assert_false(place_moves_in(place, place->to));
    assert_int_equal(place_messages(place, group), place->delivered);
    assert_int_equal(place_deliver(place, group), ERR_OK);
    assert_int_equal(place_messages(place, group), place->delivered);
    assert_int_not_equal(place_deliver(place, other), ERR_OK);
    lab_invariants(place_lab(place), place->from);
    lab_invariants(place_lab(place), place->to);
}
