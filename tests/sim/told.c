/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sessions are told unasked: a front end's Watch, and what it must not keep back. */
#include <stdlib.h>

#include "tests/sim/people.h"

enum { WATCH_MS = 4000, WATCH_AGAIN_MS = 100 };

#define LLU(value) (unsigned long long)(value)

struct watch {
    struct world *world;
    unsigned node;
};

static void watch_again(struct world *world, struct event *event)
{
    watch_begin(world, event->node);
}

static void on_told(void *context, const Pr__Reply *reply)
{
    struct watch watch = *(struct watch *)context;
    struct world *world = watch.world;

    free(context);
    if (world->over || world->failure[0] != '\0')
        return;
    for (size_t i = 0; reply != NULL && reply->err == ERR_OK && i < reply->watch->n_events;
         i++) {
        const Pr__WatchEvent *event = reply->watch->events[i];
        for (unsigned k = 0; k < VISITORS; k++) {
            struct visitor *visitor = &world->service->people->visitors[k];
            if (visitor->node != watch.node || visitor->session != event->session)
                continue;
            world->stats->told++;
            if (event->ended && visitor->busy)
                visitor->told = LATER; /* so he asks once more, and hears it */
            else if (event->ended)
                visitor_session_lost(visitor);
            else if (event->highest_modseq > visitor->told)
                visitor->told = event->highest_modseq;
        }
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + (reply != NULL ? 1 : WATCH_AGAIN_MS),
                                 .run = watch_again,
                                 .node = watch.node});
}

void watch_begin(struct world *world, unsigned node)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Watch call_of = PR__WATCH__INIT;
    struct watch *watch = malloc(sizeof(*watch));

    CHECK(watch != NULL);
    *watch = (struct watch){world, node};
    request.deadline_ms = WATCH_MS;
    request.call_case = PR__REQUEST__CALL_WATCH;
    request.watch = &call_of;
    front_call(world, node, ROLE_IMAP, &request, on_told, watch);
}

void visitors_check_end(struct world *world)
{
    for (unsigned i = 0; i < VISITORS; i++) {
        const struct visitor *visitor = &world->service->people->visitors[i];
        const struct inbox *inbox = &world->service->people->inboxes[visitor->view.account];
        if (visitor->session == 0 || visitor->mailbox == 0 || visitor->busy ||
            visitor->view.modseq == 0)
            continue;
        if (visitor->view.modseq < inbox_floor(inbox, LATER))
            sim_fail(world,
                     "WATCH: a session of account %u on node %u knows %llu and was told %llu, "
                     "there is %llu",
                     visitor->view.account, visitor->node + 1, LLU(visitor->view.modseq),
                     LLU(visitor->told), LLU(inbox_floor(inbox, LATER)));
    }
}
