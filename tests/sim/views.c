/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people see of inboxes, held against all that anybody was told or saw before. An inbox
 * is a function of its highest modseq: whoever has followed the changes up to it, on whatever
 * node and in however many steps, has the same list.
 */
#include <stdlib.h>

#include "storage/schema/flags.h"
#include "tests/sim/people.h"

#define LLU(value) (unsigned long long)(value)

uint64_t people_moment(struct world *world)
{
    return ++world->service->people->moment;
}

struct message *inbox_message(struct inbox *inbox, uint32_t uid)
{
    CHECK(uid > 0);
    if (uid > inbox->message_room) {
        unsigned room = uid * 2 + 64;
        inbox->messages = realloc(inbox->messages, room * sizeof(*inbox->messages));
        CHECK(inbox->messages != NULL);
        for (unsigned i = inbox->message_room; i < room; i++)
            inbox->messages[i] = (struct message){.gone = LATER};
        inbox->message_room = room;
    }
    return &inbox->messages[uid - 1];
}

void inbox_raise(struct world *world, unsigned account, uint64_t modseq)
{
    struct inbox *inbox = &world->service->people->inboxes[account];

    if (inbox->floor_count > 0 && inbox->floors[inbox->floor_count - 1].value >= modseq)
        return;
    if (inbox->floor_count == inbox->floor_room) {
        inbox->floor_room = inbox->floor_room > 0 ? 2 * inbox->floor_room : 256;
        inbox->floors = realloc(inbox->floors, inbox->floor_room * sizeof(*inbox->floors));
        CHECK(inbox->floors != NULL);
    }
    inbox->floors[inbox->floor_count++] = (struct floor){people_moment(world), modseq};
}

uint64_t inbox_floor(const struct inbox *inbox, uint64_t before)
{
    unsigned at = inbox->floor_count;

    while (at > 0 && inbox->floors[at - 1].at >= before)
        at--;
    return at > 0 ? inbox->floors[at - 1].value : 0;
}

/* ---- a session's list ---- */

void view_clear(struct view *view)
{
    view->count = 0;
    view->modseq = 0;
    view->floor = 0;
}

static unsigned view_place(const struct view *view, uint32_t uid)
{
    unsigned at = 0;

    while (at < view->count && view->seen[at].uid < uid)
        at++;
    return at;
}

static void view_remove(struct view *view, const Pr__UidRange *range)
{
    unsigned from = view_place(view, range->first);
    unsigned to = from;

    while (to < view->count && view->seen[to].uid <= range->last)
        to++;
    if (from == to)
        return;
    memmove(view->seen + from, view->seen + to, (view->count - to) * sizeof(*view->seen));
    view->count -= to - from;
}

static void view_put(struct world *world, struct view *view, const Pr__MessageInfo *info)
{
    unsigned at = view_place(view, info->uid);
    struct seen seen = {info->uid, info->flags, info->modseq, info->size % BODY_BLOCK_SIZE};

    if (at < view->count && view->seen[at].uid == info->uid) {
        if (view->seen[at].modseq > info->modseq || view->seen[at].letter != seen.letter)
            sim_fail(world, "SESSION: message %u of account %u goes back from %llu to %llu",
                     info->uid, view->account, LLU(view->seen[at].modseq), LLU(info->modseq));
        view->seen[at] = seen;
        return;
    }
    if (view->count == view->room) {
        view->room = view->room > 0 ? 2 * view->room : 64;
        view->seen = realloc(view->seen, view->room * sizeof(*view->seen));
        CHECK(view->seen != NULL);
    }
    memmove(view->seen + at + 1, view->seen + at, (view->count - at) * sizeof(*view->seen));
    view->seen[at] = seen;
    view->count++;
}

void view_apply(struct world *world, struct view *view, const Pr__ChangesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_vanished; i++)
        view_remove(view, answer->vanished[i]);
    for (size_t i = 0; i < answer->n_messages; i++)
        view_put(world, view, answer->messages[i]);
    if (answer->info->highest_modseq < view->modseq)
        sim_fail(world, "SESSION: account %u goes back in time from %llu to %llu",
                 view->account, LLU(view->modseq), LLU(answer->info->highest_modseq));
    view->modseq = answer->info->highest_modseq;
    if (!answer->more && answer->info->messages != view->count)
        sim_fail(world, "SESSION: of account %u there are %u messages, the list has %u",
                 view->account, answer->info->messages, view->count);
}

/* ---- checks ---- */

static uint64_t view_digest(const struct view *view)
{
    uint64_t digest = 0xcbf29ce484222325u;

    for (unsigned i = 0; i < view->count; i++) {
        const struct seen *seen = &view->seen[i];
        digest = (digest ^ seen->uid) * 0x100000001b3u;
        digest = (digest ^ seen->flags) * 0x100000001b3u;
        digest = (digest ^ seen->modseq) * 0x100000001b3u;
        digest = (digest ^ seen->letter) * 0x100000001b3u;
        digest ^= digest >> 29;
    }
    return digest;
}

static void state_check(struct world *world, const struct view *view)
{
    struct inbox *inbox = &world->service->people->inboxes[view->account];
    uint64_t digest = view_digest(view);
    unsigned at = inbox->state_count;

    sim_trace(world, digest);
    while (at > 0 && inbox->states[at - 1].modseq >= view->modseq)
        at--;
    if (at < inbox->state_count && inbox->states[at].modseq == view->modseq) {
        world->stats->views_equal++;
        if (inbox->states[at].digest != digest)
            sim_fail(world, "SESSION: account %u at %llu is not what somebody else has seen",
                     view->account, LLU(view->modseq));
        return;
    }
    if (inbox->state_count == inbox->state_room) {
        inbox->state_room = inbox->state_room > 0 ? 2 * inbox->state_room : 256;
        inbox->states = realloc(inbox->states, inbox->state_room * sizeof(*inbox->states));
        CHECK(inbox->states != NULL);
    }
    memmove(inbox->states + at + 1, inbox->states + at,
            (inbox->state_count - at) * sizeof(*inbox->states));
    inbox->states[at] = (struct state){view->modseq, digest};
    inbox->state_count++;
}

static void seen_check(struct world *world, const struct view *view, const struct seen *seen,
                       uint64_t begun, bool fresh)
{
    struct people *people = world->service->people;
    struct message *message = inbox_message(&people->inboxes[view->account], seen->uid);
    struct letter *letter;

    if (seen->letter == 0 || seen->letter > people->letter_count) {
        sim_fail(world, "account %u has message %u, which nobody sent", view->account,
                 seen->uid);
        return;
    }
    letter = people->letters[seen->letter - 1];
    if ((letter->recipients >> view->account & 1) == 0)
        sim_fail(world, "letter %llu is in account %u, it was not for that",
                 LLU(letter->number), view->account);
    if (message->letter != 0 && message->letter != letter->number)
        sim_fail(world, "UID %u of account %u was letter %llu, now %llu", seen->uid,
                 view->account, LLU(message->letter), LLU(letter->number));
    if (letter->uids[view->account] != 0 && letter->uids[view->account] != seen->uid)
        sim_fail(world, "TWICE: letter %llu is in account %u as %u and %u", LLU(letter->number),
                 view->account, letter->uids[view->account], seen->uid);
    if (letter->state == LETTER_NEVER)
        sim_fail(world, "GHOST: letter %llu was never to be, and is in account %u",
                 LLU(letter->number), view->account);
    if (message->gone < begun && fresh)
        sim_fail(world, "RESURRECTED: message %u of account %u", seen->uid, view->account);
    message->letter = letter->number;
    letter->uids[view->account] = seen->uid;
}

static bool view_has(const struct view *view, uint64_t number)
{
    for (unsigned i = view->count; i > 0; i--)
        if (view->seen[i - 1].letter == number)
            return true;
    return false;
}

/* Whether nobody wanted to remove it from there. */
static bool must_stay(struct people *people, const struct letter *letter, unsigned account)
{
    uint32_t uid = letter->uids[account];

    return uid == 0 || !inbox_message(&people->inboxes[account], uid)->removing;
}

static void missing_check(struct world *world, const struct view *view, uint64_t begun)
{
    struct people *people = world->service->people;

    for (unsigned i = 0; i < people->letter_count; i++) {
        const struct letter *letter = people->letters[i];
        if (letter->state == LETTER_DONE && letter->first == view->account &&
            letter->ended < begun && must_stay(people, letter, view->account) &&
            !view_has(view, letter->number))
            sim_fail(world, "LOST: letter %llu is not in account %u", LLU(letter->number),
                     view->account);
    }
}

void view_check(struct world *world, struct view *view, uint64_t begun, bool fresh)
{
    struct inbox *inbox = &world->service->people->inboxes[view->account];
    uint64_t floor = fresh ? inbox_floor(inbox, begun) : view->floor;

    world->stats->views++;
    world->stats->views_fresh += fresh;
    if (view->modseq < floor || view->modseq < view->floor)
        sim_fail(world, "%s: account %u is shown at %llu, %llu had been",
                 fresh ? "STALE" : "SESSION", view->account, LLU(view->modseq),
                 LLU(floor > view->floor ? floor : view->floor));
    for (unsigned i = 0; i < view->count && world->failure[0] == '\0'; i++)
        seen_check(world, view, &view->seen[i], begun, fresh);
    if (fresh && world->failure[0] == '\0')
        missing_check(world, view, begun);
    state_check(world, view);
    view->floor = view->modseq;
    inbox_raise(world, view->account, view->modseq);
}

/* ---- the end ---- */

/* Who was told of one before the other was sent has it in front of it. */
static void order_check(struct world *world, unsigned account)
{
    struct people *people = world->service->people;

    for (unsigned i = 0; i < people->letter_count; i++)
        for (unsigned k = i + 1; k < people->letter_count; k++) {
            const struct letter *first = people->letters[i];
            const struct letter *second = people->letters[k];
            if (first->state != LETTER_DONE || first->first != account ||
                first->ended >= second->begun || first->uids[account] == 0 ||
                second->uids[account] == 0 || first->uids[account] < second->uids[account])
                continue;
            sim_fail(world, "UIDs of account %u: letter %llu has %u, %llu came before with %u",
                     account, LLU(second->number), second->uids[account], LLU(first->number),
                     first->uids[account]);
        }
}

void letters_check_end(struct world *world, const struct view *views)
{
    struct people *people = world->service->people;

    for (unsigned i = 0; i < people->letter_count; i++) {
        const struct letter *letter = people->letters[i];
        if (letter->state == LETTER_OPEN)
            sim_fail(world, "LIVENESS: letter %llu is not answered", LLU(letter->number));
        for (unsigned account = 1; account <= ACCOUNTS; account++)
            if (letter->state == LETTER_DONE && (letter->recipients >> account & 1) != 0 &&
                must_stay(people, letter, account) &&
                !view_has(&views[account], letter->number))
                sim_fail(world, "LOST: letter %llu never came to account %u",
                         LLU(letter->number), account);
    }
    for (unsigned account = 1; account <= ACCOUNTS; account++)
        order_check(world, account);
}
