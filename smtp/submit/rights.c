/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/submit/rights.h"

#include <stdlib.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "node/mail/idn.h"
#include "storage/schema/entry.h"

struct rights {
    struct store_client *store;
    struct arena rights_arena;
    struct bytes *written; /* as the client wrote them */
    char **folded;
    size_t count;
    enum err err; /* known before anybody was asked */
    struct bytes wrong;
    uint64_t call;
    struct loop_timer *timer;
    rights_done *done;
    void *context;
};

static struct rights *rights_new(struct store_client *store, size_t count, rights_done *done,
                                 void *context)
{
    struct rights *rights = calloc(1, sizeof(*rights));

    CHECK(rights != NULL);
    rights->store = store;
    rights->done = done;
    rights->context = context;
    arena_init(&rights->rights_arena);
    rights->written = arena_alloc(&rights->rights_arena, count * sizeof(*rights->written));
    rights->folded = arena_alloc(&rights->rights_arena, count * sizeof(*rights->folded));
    return rights;
}

void rights_cancel(struct rights **rights)
{
    if (*rights == NULL)
        return;
    store_cancel((*rights)->store, (*rights)->call);
    loop_timer_stop(&(*rights)->timer);
    arena_fini(&(*rights)->rights_arena);
    free(*rights);
    *rights = NULL;
}

static void conclude(struct rights *rights, enum err err, struct bytes address)
{
    rights->done(rights->context, err, address);
    rights_cancel(&rights);
}

static void on_answer(void *context, enum err err, const Pr__Reply *reply)
{
    struct rights *rights = context;
    struct bytes none = bytes_from(NULL, 0);

    rights->call = 0;
    if (err != ERR_OK || reply->err != ERR_OK) {
        conclude(rights, err != ERR_OK ? err : (enum err)reply->err, none);
        return;
    }
    if (reply->answer_case != PR__REPLY__ANSWER_MAY_SEND ||
        reply->may_send->n_allowed != rights->count) {
        conclude(rights, ERR_MALFORMED, none);
        return;
    }
    for (size_t i = 0; i < rights->count; i++)
        if (!reply->may_send->allowed[i]) {
            conclude(rights, ERR_DENIED, rights->written[i]);
            return;
        }
    conclude(rights, ERR_OK, none);
}

static void on_known(void *context)
{
    struct rights *rights = context;
    conclude(rights, rights->err, rights->wrong);
}

static void add(struct rights *rights, struct bytes address)
{
    struct arena *arena = &rights->rights_arena;
    struct mail_path folded;

    address = arena_copy(arena, address);
    if (mail_address_read(address, arena, &folded) != ERR_OK) {
        rights->err = ERR_INVALID;
        rights->wrong = address;
        return;
    }
    rights->written[rights->count] = address;
    rights->folded[rights->count++] =
        arena_printf(arena, "%.*s@%.*s", BYTES_ARG(folded.local), BYTES_ARG(folded.domain));
}

static struct rights *ask(struct rights *rights, uint64_t session, unsigned deadline_ms)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__MaySend call = PR__MAY_SEND__INIT;

    if (rights->err != ERR_OK || rights->count == 0) {
        rights->timer =
            loop_timer_start(store_client_loop(rights->store), 0, 0, on_known, rights);
        return rights;
    }
    call.addresses = rights->folded;
    call.n_addresses = rights->count;
    request.session = session;
    request.call_case = PR__REQUEST__CALL_MAY_SEND;
    request.may_send = &call;
    rights->call = store_call(rights->store, &request, deadline_ms, on_answer, rights);
    return rights;
}

struct rights *rights_ask_sender(struct store_client *store, uint64_t session,
                                 struct bytes sender, unsigned deadline_ms, rights_done *done,
                                 void *context)
{
    struct rights *rights = rights_new(store, 1, done, context);

    add(rights, sender);
    return ask(rights, session, deadline_ms);
}

static void add_list(struct rights *rights, const struct mail_address_list *list)
{
    for (size_t i = 0; i < list->count && rights->err == ERR_OK; i++) {
        const struct mail_address *address = &list->at[i];
        if (address->group == MAIL_ADDRESS_PLAIN)
            add(rights,
                bytes_of(arena_printf(&rights->rights_arena, "%.*s@%.*s",
                                      BYTES_ARG(address->local), BYTES_ARG(address->domain))));
    }
}

struct rights *rights_ask_authors(struct store_client *store, uint64_t session,
                                  const struct mail_address_list *from,
                                  const struct mail_address_list *sender, unsigned deadline_ms,
                                  rights_done *done, void *context)
{
    struct rights *rights = rights_new(store, from->count + sender->count, done, context);

    add_list(rights, from);
    add_list(rights, sender);
    return ask(rights, session, deadline_ms);
}
