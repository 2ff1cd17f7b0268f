/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is logged in to an account as IMAP does it: selects the inbox, follows its changes, is
 * told of them, changes something himself, and goes on at another node when his session is
 * lost, or when he likes.
 */
#include <stdlib.h>

#include "storage/schema/flags.h"
#include "storage/service/sessions.h"
#include "tests/sim/people.h"

enum {
    PAUSE_MS = 400,
    READ_MS = 6000,
    UIDS_MAX = 8,
};

#define LLU(value) (unsigned long long)(value)

static void visitor_later(struct visitor *visitor, uint64_t delay_ms);

void visitor_session_lost(struct visitor *visitor)
{
    visitor->world->stats->sessions_lost += visitor->session != 0;
    visitor->session = 0;
    visitor->mailbox = 0;
    view_clear(&visitor->view);
}

/* Whether the call has an answer of the session; what has to be done else is done. */
static bool answered(struct visitor *visitor, const Pr__Reply *reply)
{
    struct world *world = visitor->world;

    visitor->busy = false;
    world->stats->calls_again += rpc_answer.sends > 1;
    if (reply == NULL || reply->err == ERR_NOSESSION)
        visitor_session_lost(visitor);
    return reply != NULL && reply->err == ERR_OK && world->failure[0] == '\0';
}

static void tell(const struct visitor *visitor, const char *what, uint64_t modseq)
{
    if (visitor->world->verbose)
        printf("t=%llu visitor %u of account %u on node %u, session %llx: %s %llu\n",
               LLU(visitor->world->now_ms), visitor->number, visitor->view.account,
               visitor->node + 1, LLU(visitor->session), what, LLU(modseq));
}

static void call(struct visitor *visitor, Pr__Request *request, front_done *done)
{
    struct world *world = visitor->world;

    visitor->busy = true;
    visitor->begun = people_moment(world);
    request->session = visitor->session;
    if (request->deadline_ms == 0)
        request->deadline_ms = READ_MS;
    front_call(world, visitor->node, ROLE_IMAP, request, done, visitor);
}

/* ---- looking ---- */

static void changes_ask(struct visitor *visitor, bool fresh);

static void on_changes(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;
    struct world *world = visitor->world;
    const Pr__ChangesAnswer *answer = reply != NULL ? reply->changes : NULL;
    uint64_t begun = visitor->begun;

    if (!answered(visitor, reply))
        return;
    if (reply->answer_case != PR__REPLY__ANSWER_CHANGES || !answer->info->exists) {
        sim_fail(world, "LOST: the inbox of account %u", visitor->view.account);
        return;
    }
    tell(visitor, visitor->fresh ? "sees anew" : "sees", answer->info->highest_modseq);
    const struct service_life *life = world->service->lives[visitor->node];
    world->stats->remote_views +=
        life != NULL &&
        !read_is_local(&life->service, world->service->home[visitor->view.account]);
    view_apply(world, &visitor->view, answer);
    if (answer->more) {
        changes_ask(visitor, visitor->fresh);
        visitor->begun = begun;
    } else if (world->failure[0] == '\0') {
        view_check(world, &visitor->view, begun, visitor->fresh);
    }
}

static void changes_ask(struct visitor *visitor, bool fresh)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Changes changes = PR__CHANGES__INIT;

    visitor->fresh = fresh;
    changes.mailbox_id = visitor->mailbox;
    changes.since_modseq = visitor->view.modseq;
    changes.fresh = fresh;
    request.call_case = PR__REQUEST__CALL_CHANGES;
    request.changes = &changes;
    call(visitor, &request, on_changes);
}

/* ---- coming and going ---- */

static void on_opened(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;
    struct world *world = visitor->world;
    const struct inbox *inbox = &world->service->people->inboxes[visitor->view.account];
    uint64_t begun = visitor->begun;

    if (!answered(visitor, reply))
        return;
    const Pr__MailboxInfo *info = reply->mailbox_open->info;
    if (info->highest_modseq < inbox_floor(inbox, begun))
        sim_fail(world, "STALE: account %u is opened at %llu, %llu had been shown",
                 visitor->view.account, LLU(info->highest_modseq),
                 LLU(inbox_floor(inbox, begun)));
    tell(visitor, "opens", info->highest_modseq);
    visitor->mailbox = info->id;
    visitor->told = 0;
    view_clear(&visitor->view);
    visitor->view.floor = info->highest_modseq;
    changes_ask(visitor, false);
}

static void open_inbox(struct visitor *visitor)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__MailboxOpen mailbox = PR__MAILBOX_OPEN__INIT;
    char name[] = "INBOX";

    mailbox.name = name;
    request.call_case = PR__REQUEST__CALL_MAILBOX_OPEN;
    request.mailbox_open = &mailbox;
    call(visitor, &request, on_opened);
}

static void on_logged_in(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;

    if (!answered(visitor, reply))
        return;
    visitor->session = reply->login->session;
    visitor->world->stats->sessions++;
    open_inbox(visitor);
}

static void log_in(struct visitor *visitor)
{
    struct world *world = visitor->world;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Login login = PR__LOGIN__INIT;
    struct arena arena;
    char peer[] = "192.0.2.1";

    arena_init(&arena);
    visitor->node = front_node(world);
    visitor->view.account = 1 + (unsigned)sim_below(world, ACCOUNTS);
    view_clear(&visitor->view);
    login.user = people_address(&arena, visitor->view.account);
    login.password = arena_string(&arena, BYTES("secret words"));
    login.peer_address = peer;
    request.call_case = PR__REQUEST__CALL_LOGIN;
    request.login = &login;
    call(visitor, &request, on_logged_in);
    arena_fini(&arena);
}

static void on_logged_out(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;

    answered(visitor, reply);
    visitor->session = 0;
    visitor->mailbox = 0;
}

static void log_out(struct visitor *visitor)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Logout logout = PR__LOGOUT__INIT;

    request.call_case = PR__REQUEST__CALL_LOGOUT;
    request.logout = &logout;
    call(visitor, &request, on_logged_out);
}

/* ---- changing something ---- */

/* What the session was told of its own write it has to be shown from here on. */
static void written(struct visitor *visitor, const Pr__Reply *reply)
{
    uint64_t modseq = reply->outcome != NULL ? reply->outcome->modseq : 0;

    tell(visitor, "has changed", modseq);
    if (modseq > visitor->view.floor && visitor->session != 0)
        visitor->view.floor = modseq;
    if (modseq != 0)
        inbox_raise(visitor->world, visitor->view.account, modseq);
    if (visitor->world->bug == BUG_STALE_SESSION && visitor->session != 0) {
        /* Planted: the session does not know how far it has seen. */
        struct service_life *life = visitor->world->service->lives[visitor->node];
        size_t at = 0;
        struct session *session;
        while (life != NULL && (session = sessions_next(life->service.sessions, &at)) != NULL)
            session->seen_index = 0;
    }
}

static void on_appended(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;
    struct world *world = visitor->world;
    bool never = letter_never(reply);
    if (reply != NULL && reply->err == ERR_NOSESSION)
        visitor->letter->begun_ms = 0; /* the password is another one since */
    bool good = answered(visitor, reply);

    if (world->failure[0] != '\0')
        return;
    letter_end(world, visitor->letter,
               good    ? LETTER_DONE
               : never ? LETTER_NEVER
                       : LETTER_UNKNOWN);
    if (!good)
        return;
    world->stats->appended++;
    if (reply->outcome->n_uids == 1)
        visitor->letter->uids[visitor->view.account] = reply->outcome->uids[0]->first;
    written(visitor, reply);
}

static uint32_t write_deadline(struct world *world)
{
    return world->calm ? 15000 : 300 + (uint32_t)sim_below(world, 6000);
}

static void append(struct visitor *visitor)
{
    struct world *world = visitor->world;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Append append = PR__APPEND__INIT;
    struct arena arena;

    arena_init(&arena);
    visitor->letter = letter_new(world, 1U << visitor->view.account, visitor->view.account);
    append.mailbox_id = visitor->mailbox;
    append.body = letter_body(world, visitor->letter, false, &arena);
    append.flags = sim_below(world, 2) == 0 ? FLAG_SEEN : 0;
    request.request_id = letter_request_id(world, visitor->node, &arena);
    request.deadline_ms = write_deadline(world);
    request.call_case = PR__REQUEST__CALL_APPEND;
    request.append = &append;
    call(visitor, &request, on_appended);
    arena_fini(&arena);
}

static void on_flagged(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;

    if (!answered(visitor, reply))
        return;
    visitor->world->stats->flagged++;
    written(visitor, reply);
}

static void on_expunged(void *context, const Pr__Reply *reply)
{
    struct visitor *visitor = context;
    struct world *world = visitor->world;
    struct inbox *inbox = &world->service->people->inboxes[visitor->view.account];

    if (!answered(visitor, reply))
        return;
    uint64_t now = people_moment(world);
    for (size_t i = 0; i < reply->outcome->n_uids; i++) {
        const Pr__UidRange *range = reply->outcome->uids[i];
        for (uint32_t uid = range->first; uid <= range->last; uid++) {
            struct message *message = inbox_message(inbox, uid);
            if (!message->removing)
                sim_fail(world, "EXPUNGE: nobody wanted %u of account %u to go", uid,
                         visitor->view.account);
            if (message->gone == LATER)
                message->gone = now;
            world->stats->expunged++;
        }
    }
    written(visitor, reply);
}

/* Some of those in the list, and for an EXPUNGE only such as have \Deleted there. */
static unsigned uids_choose(struct visitor *visitor, bool expunge, Pr__UidRange **ranges,
                            struct arena *arena)
{
    struct world *world = visitor->world;
    const struct view *view = &visitor->view;
    unsigned count = 0;

    for (unsigned tries = 0; tries < 3 * UIDS_MAX && view->count > 0 && count < UIDS_MAX;
         tries++) {
        const struct seen *seen = &view->seen[sim_below(world, view->count)];
        if (expunge && (seen->flags & FLAG_DELETED) == 0)
            continue;
        if (!expunge && count > 0 && sim_below(world, 2) == 0)
            break;
        Pr__UidRange *range = arena_alloc(arena, sizeof(*range));
        pr__uid_range__init(range);
        range->first = range->last = seen->uid;
        ranges[count++] = range;
        if (expunge)
            inbox_message(&world->service->people->inboxes[view->account], seen->uid)
                ->removing = true;
    }
    return count;
}

static void flags_change(struct visitor *visitor)
{
    static const uint64_t flags[] = {FLAG_SEEN, FLAG_FLAGGED, FLAG_ANSWERED, FLAG_DELETED};
    struct world *world = visitor->world;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    Pr__UidRange *ranges[UIDS_MAX];
    struct arena arena;

    arena_init(&arena);
    change.mailbox_id = visitor->mailbox;
    change.uids = ranges;
    change.n_uids = uids_choose(visitor, false, ranges, &arena);
    change.flags = flags[sim_below(world, 4)];
    change.mode =
        sim_below(world, 4) == 0 ? PR__FLAGS_CHANGE__MODE__REMOVE : PR__FLAGS_CHANGE__MODE__ADD;
    request.request_id = letter_request_id(world, visitor->node, &arena);
    request.deadline_ms = write_deadline(world);
    request.call_case = PR__REQUEST__CALL_FLAGS_CHANGE;
    request.flags_change = &change;
    if (change.n_uids > 0)
        call(visitor, &request, on_flagged);
    arena_fini(&arena);
}

static void expunge(struct visitor *visitor)
{
    struct world *world = visitor->world;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Expunge call_of = PR__EXPUNGE__INIT;
    Pr__UidRange *ranges[UIDS_MAX];
    struct arena arena;

    arena_init(&arena);
    call_of.mailbox_id = visitor->mailbox;
    call_of.uids = ranges;
    call_of.n_uids = uids_choose(visitor, true, ranges, &arena);
    request.request_id = letter_request_id(world, visitor->node, &arena);
    request.deadline_ms = write_deadline(world);
    request.call_case = PR__REQUEST__CALL_EXPUNGE;
    request.expunge = &call_of;
    if (call_of.n_uids > 0)
        call(visitor, &request, on_expunged);
    arena_fini(&arena);
}

/* ---- one thing after the other ---- */

static void act(struct visitor *visitor)
{
    struct world *world = visitor->world;
    uint64_t what = sim_below(world, 20);

    if (people_rest(world)) {
        if (visitor->told > visitor->view.modseq)
            changes_ask(visitor, false);
    } else if (what < 8 || visitor->view.modseq == 0) {
        changes_ask(visitor, false);
    } else if (what < 11) {
        changes_ask(visitor, true);
    } else if (what < 14) {
        append(visitor);
    } else if (what < 17) {
        flags_change(visitor);
    } else if (what < 19) {
        expunge(visitor);
    } else {
        log_out(visitor);
    }
}

static void visitor_step(struct world *world, struct event *event)
{
    struct visitor *visitor = &world->service->people->visitors[*(unsigned *)event->data];

    if (!visitor->busy && visitor->session == 0)
        log_in(visitor);
    else if (!visitor->busy && visitor->mailbox == 0)
        open_inbox(visitor);
    else if (!visitor->busy)
        act(visitor);
    visitor_later(visitor, 1 + sim_below(world, PAUSE_MS));
}

static void visitor_later(struct visitor *visitor, uint64_t delay_ms)
{
    unsigned *number = malloc(sizeof(*number));

    CHECK(number != NULL);
    *number = visitor->number;
    sim_at(visitor->world, (struct event){.at_ms = visitor->world->now_ms + delay_ms,
                                          .run = visitor_step,
                                          .data = number,
                                          .drop = free});
}

void visitor_begin(struct world *world, unsigned number)
{
    struct visitor *visitor = &world->service->people->visitors[number];

    visitor->world = world;
    visitor->number = number;
    visitor_later(visitor, 1 + sim_below(world, PAUSE_MS));
}
