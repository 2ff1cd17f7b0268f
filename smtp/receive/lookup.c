/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/idn.h"
#include "smtp/receive/visitor.h"

/* One recipient being looked up in the local store. */
struct lookup {
    struct visitor *visitor;
    struct lookup *next;
    struct lookup **self;
    uint64_t ticket; /* the session's */
    uint64_t call;   /* the store client's */
    struct arena lookup_arena;
    struct bytes address;
};

static void lookup_free(struct lookup *lookup)
{
    *lookup->self = lookup->next;
    if (lookup->next != NULL)
        lookup->next->self = lookup->self;
    arena_fini(&lookup->lookup_arena);
    free(lookup);
}

/* What the session hears: the number of a destination, or why there is none. */
static enum err take_answer(struct lookup *lookup, const Pr__Reply *reply, uint64_t *number)
{
    enum err err = (enum err)reply->err;
    const Pr__ResolveAnswer *answer =
        reply->answer_case == PR__REPLY__ANSWER_RESOLVE ? reply->resolve : NULL;

    if (answer == NULL)
        /* Not to be told from a domain of others: try again. */
        return err == ERR_OK || err == ERR_NOTFOUND ? ERR_MALFORMED : ERR_UNAVAILABLE;
    switch (err) {
    case ERR_OK:
        *number = destinations_add(&lookup->visitor->destinations, lookup->address, answer);
        return *number != 0 ? ERR_OK : ERR_TOOBIG;
    case ERR_NOTFOUND:
        return answer->domain_local ? ERR_NOTFOUND : ERR_DENIED;
    case ERR_QUOTA:
        return answer->permanent ? ERR_FULL : ERR_QUOTA;
    default:
        return ERR_UNAVAILABLE; /* the store refuses us, not the recipient */
    }
}

static void on_resolved(void *context, enum err err, const Pr__Reply *reply)
{
    struct lookup *lookup = context;
    struct visitor *visitor = lookup->visitor;
    uint64_t ticket = lookup->ticket;
    uint64_t number = 0;

    if (err == ERR_OK)
        err = take_answer(lookup, reply, &number);
    lookup_free(lookup);
    smtp_session_resolved(visitor->session, ticket, err, number);
    visitor_continue(visitor);
}

/* The envelope's sender as addresses are looked up; "" for the null sender, and for one that
 * cannot be folded. */
static char *folded_sender(struct arena *arena, struct bytes sender)
{
    struct mail_path path;
    struct mail_path folded;

    if (mail_address_parse(sender, arena, &path) != ERR_OK ||
        mail_address_fold(&path, arena, &folded) != ERR_OK)
        return arena_string(arena, BYTES(""));
    return arena_string(arena, mail_path_format(arena, &folded));
}

void lookup_start(struct visitor *visitor, const struct smtp_action *action)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    const struct smtp_envelope *envelope = smtp_session_envelope(visitor->session);
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
    /* The first of a transaction: what came of an earlier one is of no use any more. */
    if (visitor->lookups == NULL && envelope->recipient_count == 0)
        destinations_clear(&visitor->destinations);
    visitor->lookups = lookup;
    arena_init(&lookup->lookup_arena);
    lookup->address = arena_copy(&lookup->lookup_arena, action->bytes);
    pr__resolve__init(&call); /* the macro casts a const away */
    call.address = arena_string(&lookup->lookup_arena, lookup->address);
    call.size = envelope->size;
    call.expand = true;
    call.sender = folded_sender(&lookup->lookup_arena, envelope->sender);
    request.call_case = PR__REQUEST__CALL_RESOLVE;
    request.resolve = &call;
    lookup->call = store_call(visitor->receive->config.store, &request,
                              visitor->receive->config.times->lookup_ms, on_resolved, lookup);
}

void lookup_cancel_all(struct visitor *visitor)
{
    while (visitor->lookups != NULL) {
        store_cancel(visitor->receive->config.store, visitor->lookups->call);
        lookup_free(visitor->lookups);
    }
}
