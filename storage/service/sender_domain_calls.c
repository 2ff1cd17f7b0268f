/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sender_domain_calls.h"

#include "storage/query/addresses_list.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"

static bool fold(struct service_call *call, char **text)
{
    struct bytes domain;

    if (!operator_domain(call, *text, &domain))
        return false;
    *text = arena_string(&call->call_arena, domain);
    return true;
}

static void fill_sender_domains(const Pr__Request *request, struct db_txn *txn,
                                struct arena *arena, Pr__Reply *reply)
{
    const Pr__SenderDomainList *ask = request->sender_domain_list;
    Pr__SenderDomainListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__sender_domain_list_answer__init(answer);
    if (ask->name[0] == '\0') {
        answer->more = sender_domains(txn, bytes_of(ask->after), listing_limit(ask->limit),
                                      arena, &answer->domains, &answer->n_domains);
    } else {
        answer->domains = arena_alloc(arena, sizeof(*answer->domains));
        answer->domains[0] = sender_domain(txn, bytes_of(ask->name), arena);
        answer->n_domains = answer->domains[0] != NULL;
    }
    reply->answer_case = PR__REPLY__ANSWER_SENDER_DOMAIN_LIST;
    reply->sender_domain_list = answer;
}

void sender_domain_list_call(struct service_call *call)
{
    Pr__SenderDomainList *ask = call->request->sender_domain_list;

    if ((ask->name[0] == '\0' || fold(call, &ask->name)) &&
        (ask->after[0] == '\0' || fold(call, &ask->after)))
        listing_call(call, fill_sender_domains);
}

void sender_domain_put_call(struct service_call *call)
{
    Pr__SenderDomainPut *put = call->request->sender_domain_put;
    Pr__Command command = PR__COMMAND__INIT;

    for (size_t i = 0; i < put->n_domains; i++) {
        if (!fold(call, &put->domains[i]->name))
            return;
        put->domains[i]->judged_ms = clock_wall_ms();
        put->domains[i]->settled =
            put->domains[i]->verdict != PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING;
    }
    put->force = true;
    command.call_case = PR__COMMAND__CALL_SENDER_DOMAIN_PUT;
    command.sender_domain_put = put;
    write_call(call, DIRECTORY_GROUP, &command);
}
