/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/address_lists.h"

#include "storage/query/addresses.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"

static bool fold_address(struct service_call *call, char **text)
{
    struct bytes address;

    if ((*text)[0] == '\0')
        return true;
    if (!operator_address(call, *text, &address))
        return false;
    *text = arena_string(&call->call_arena, address);
    return true;
}

static bool fold_domain(struct service_call *call, char **text)
{
    struct bytes domain;

    if ((*text)[0] == '\0')
        return true;
    if (!operator_domain(call, *text, &domain))
        return false;
    *text = arena_string(&call->call_arena, domain);
    return true;
}

/* ---- aliases and lists ---- */

static void fill_one(const Pr__AliasList *ask, struct db_txn *txn, struct arena *arena,
                     Pr__AliasListAnswer *answer)
{
    Pr__AliasRecord *alias = directory_alias(txn, bytes_of(ask->address), arena);

    if (alias == NULL || (alias->list != NULL) != ask->lists)
        return;
    answer->aliases = arena_alloc(arena, sizeof(*answer->aliases));
    answer->aliases[0] = alias;
    answer->n_aliases = 1;
}

/* Pages without any that fits are gone over here, so that an empty one is the last. */
static void fill_page(const Pr__AliasList *ask, struct db_txn *txn, struct arena *arena,
                      Pr__AliasListAnswer *answer)
{
    struct bytes after = bytes_of(ask->after);

    do {
        struct bytes last = after;
        answer->more =
            directory_aliases(txn, bytes_of(ask->domain), after, listing_limit(ask->limit),
                              ask->lists, arena, &answer->aliases, &answer->n_aliases, &last);
        after = last;
    } while (answer->more && answer->n_aliases == 0);
}

static void fill_aliases(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                         Pr__Reply *reply)
{
    const Pr__AliasList *ask = request->alias_list;
    Pr__AliasListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__alias_list_answer__init(answer);
    if (ask->address[0] != '\0')
        fill_one(ask, txn, arena, answer);
    else
        fill_page(ask, txn, arena, answer);
    reply->answer_case = PR__REPLY__ANSWER_ALIAS_LIST;
    reply->alias_list = answer;
}

void alias_list_call(struct service_call *call)
{
    Pr__AliasList *ask = call->request->alias_list;

    if (fold_address(call, &ask->address) && fold_address(call, &ask->after) &&
        fold_domain(call, &ask->domain))
        listing_call(call, fill_aliases);
}

/* ---- a domain ---- */

static void fill_domain(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                        Pr__Reply *reply)
{
    Pr__DomainShowAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__domain_show_answer__init(answer);
    answer->domain = directory_domain(txn, bytes_of(request->domain_show->name), arena);
    if (answer->domain == NULL) {
        reply->err = ERR_NOTFOUND;
        reply->text = arena_printf(
            arena, "there is no domain %s; `postraft domain list` shows those there are",
            request->domain_show->name);
        return;
    }
    reply->answer_case = PR__REPLY__ANSWER_DOMAIN_SHOW;
    reply->domain_show = answer;
}

void domain_show_call(struct service_call *call)
{
    Pr__DomainShow *ask = call->request->domain_show;
    struct bytes domain;

    if (!operator_domain(call, ask->name, &domain))
        return;
    ask->name = arena_string(&call->call_arena, domain);
    listing_call(call, fill_domain);
}

/* ---- where mail goes ---- */

static bool is_null_sender(const char *sender)
{
    return bytes_equal(bytes_of(sender), BYTES("<>"));
}

static void fill_explanation(const Pr__Request *request, struct db_txn *txn,
                             struct arena *arena, Pr__Reply *reply)
{
    const Pr__AddressExplain *ask = request->address_explain;
    Pr__AddressExplainAnswer *explained = arena_alloc(arena, sizeof(*explained));
    struct addresses_answer *answer = arena_alloc(arena, sizeof(*answer));
    const struct addresses_question question = {
        .address = bytes_of(ask->address),
        .sender = is_null_sender(ask->sender) ? bytes_of(NULL) : bytes_of(ask->sender),
        .any_sender = ask->sender[0] == '\0',
        .now_s = (int64_t)(clock_wall_ms() / 1000),
        .explain = true,
    };

    pr__address_explain_answer__init(explained);
    explained->err = addresses_resolve(txn, &question, arena, answer);
    explained->resolved = &answer->message;
    explained->steps = answer->steps;
    explained->n_steps = answer->step_count;
    reply->answer_case = PR__REPLY__ANSWER_ADDRESS_EXPLAIN;
    reply->address_explain = explained;
}

void address_explain_call(struct service_call *call)
{
    Pr__AddressExplain *ask = call->request->address_explain;
    struct bytes address;

    if (!operator_address(call, ask->address, &address))
        return;
    ask->address = arena_string(&call->call_arena, address);
    if (is_null_sender(ask->sender) || fold_address(call, &ask->sender))
        listing_call(call, fill_explanation);
}
