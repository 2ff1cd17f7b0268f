/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/receive/visitor.h"

/* One recipient being looked up in the local store. */
struct lookup {
    struct visitor *visitor;
    struct lookup *next;
    struct lookup **self;
    uint64_t ticket; /* the session's */
    uint64_t call;   /* the store client's */
};

static void lookup_free(struct lookup *lookup)
{
    *lookup->self = lookup->next;
    if (lookup->next != NULL)
        lookup->next->self = lookup->self;
    free(lookup);
}

static void on_resolved(void *context, enum err err, const Pr__Reply *reply)
{
    struct lookup *lookup = context;
    struct visitor *visitor = lookup->visitor;
    uint64_t ticket = lookup->ticket;
    uint64_t account_id = 0;
    bool domain_local = false;
    bool permanent = false;

    lookup_free(lookup);
    if (err == ERR_OK) {
        err = (enum err)reply->err;
        if (reply->answer_case == PR__REPLY__ANSWER_RESOLVE) {
            account_id = reply->resolve->account_id;
            domain_local = reply->resolve->domain_local;
            permanent = reply->resolve->permanent;
        } else if (err == ERR_OK || err == ERR_NOTFOUND) {
            err = ERR_MALFORMED; /* not to be told from a domain of others: try again */
        }
        if (err == ERR_NOTFOUND && !domain_local)
            err = ERR_DENIED;
        else if (err == ERR_DENIED || err == ERR_FULL)
            err = ERR_UNAVAILABLE; /* the store refuses us, not the recipient */
        else if (err == ERR_QUOTA && permanent)
            err = ERR_FULL;
    }
    smtp_session_resolved(visitor->session, ticket, err, account_id);
    visitor_continue(visitor);
}

void lookup_start(struct visitor *visitor, const struct smtp_action *action)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    struct arena call_arena;
    Pr__Resolve call;
    Pr__Request request = PR__REQUEST__INIT;

    CHECK(lookup != NULL);
    *lookup = (struct lookup){
        .visitor = visitor,
        .next = visitor->lookups,
        .self = &visitor->lookups,
        .ticket = action->ticket,
    };
    if (lookup->next != NULL)
        lookup->next->self = &lookup->next;
    visitor->lookups = lookup;
    arena_init(&call_arena);
    pr__resolve__init(&call); /* the macro casts a const away */
    call.address = arena_string(&call_arena, action->bytes);
    call.size = smtp_session_envelope(visitor->session)->size;
    request.call_case = PR__REQUEST__CALL_RESOLVE;
    request.resolve = &call;
    lookup->call = store_call(visitor->receive->config.store, &request,
                              visitor->receive->config.times->lookup_ms, on_resolved, lookup);
    arena_fini(&call_arena);
}

void lookup_cancel_all(struct visitor *visitor)
{
    while (visitor->lookups != NULL) {
        store_cancel(visitor->receive->config.store, visitor->lookups->call);
        lookup_free(visitor->lookups);
    }
}
