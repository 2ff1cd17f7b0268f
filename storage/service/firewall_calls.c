/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What front ends and operators ask of the firewall. */
#include "node/base/check.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/entry.h"
#include "storage/schema/firewall_entries.h"
#include "storage/service/firewall.h"
#include "storage/service/listing.h"
#include "storage/service/settings_calls.h"

enum { NEWS_MS = 5000, PUT_MAX = 1000 };

/* ---- front ends ---- */

static void answer_list(struct service_call *call)
{
    const Pr__FirewallRead *asked = call->request->firewall_read;
    struct firewall_key key = firewalls_key(call->service);
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__FirewallReadAnswer answer = PR__FIREWALL_READ_ANSWER__INIT;
    struct db_txn *txn = service_directory_begin(call->service);
    struct bytes last;
    bool more = false;

    answer.version = firewall_version(txn);
    enum err err =
        firewall_entries(txn, bytes_of(asked->after), FIREWALLS_PAGE_MAX, false,
                         &call->call_arena, &answer.entries, &answer.n_entries, &last, &more);
    db_abort(&txn);
    if (err != ERR_OK) {
        call_fail(call, err, NULL);
        return;
    }
    answer.more = more;
    answer.digest_key = (ProtobufCBinaryData){sizeof(key), (uint8_t *)&key};
    reply.answer_case = PR__REPLY__ANSWER_FIREWALL_READ;
    reply.firewall_read = &answer;
    call_reply(call, &reply);
}

void firewall_read_call(struct service_call *call)
{
    const Pr__FirewallRead *asked = call->request->firewall_read;

    if (asked->after[0] != '\0')
        answer_list(call);
    else
        version_wait(call, firewall_version, asked->version, answer_list);
}

static void on_told(void *context, enum err err, struct bytes reply)
{
    (void)context;
    (void)err; /* what the leader missed it counts from the next offence on */
    (void)reply;
}

/* To the stores that vote on the directory: whoever leads it next knows what this one knows. */
static void tell_voters(struct service *service, struct bytes batch, char **forgiven,
                        size_t forgiven_count)
{
    Pr__PeerRequest request = PR__PEER_REQUEST__INIT;
    Pr__FirewallNews news = PR__FIREWALL_NEWS__INIT;
    struct buffer packed = BUFFER_EMPTY;
    struct arena arena;

    news.batch = field_of_bytes(batch);
    news.forgiven = forgiven;
    news.n_forgiven = forgiven_count;
    request.call_case = PR__PEER_REQUEST__CALL_FIREWALL_NEWS;
    request.firewall_news = &news;
    message_pack(&request.base, &packed);
    arena_init(&arena);
    struct db_txn *txn = service_directory_begin(service);
    const Pr__GroupRecord *group = directory_group(txn, DIRECTORY_GROUP, &arena);
    for (size_t i = 0; group != NULL && i < group->n_replicas; i++) {
        struct rpc_client *peer = service_peer(service, group->replicas[i]->node_id);
        if (!group->replicas[i]->standby && peer != NULL)
            rpc_call(peer, buffer_bytes(&packed), NEWS_MS, on_told, NULL);
    }
    db_abort(&txn);
    arena_fini(&arena);
    buffer_fini(&packed);
}

void firewall_report_call(struct service_call *call)
{
    struct bytes batch = bytes_of_field(call->request->firewall_report->batch);
    Pr__Reply reply = PR__REPLY__INIT;
    struct buffer believed = BUFFER_EMPTY;

    reply.err = firewalls_believe(call->service, call->connection, batch, &believed);
    if (reply.err == ERR_OK)
        reply.err = firewalls_news(call->service, buffer_bytes(&believed), NULL, 0);
    if (reply.err == ERR_OK)
        tell_voters(call->service, buffer_bytes(&believed), NULL, 0);
    buffer_fini(&believed);
    call_reply(call, &reply);
}

/* ---- operators ---- */

/* The canonical text of a net, or the call is refused. */
static bool fold_net(struct service_call *call, char **net)
{
    struct firewall_place place;
    char text[FIREWALL_PLACE_TEXT_SIZE];
    enum err err = firewall_place_parse(bytes_of(*net), &place);

    if (err == ERR_OK || err == ERR_INVALID)
        firewall_place_text(&place, text);
    if (err == ERR_INVALID) {
        call_fail(call, ERR_INVALID,
                  arena_printf(&call->call_arena, "%s has bits behind its length: is %s meant?",
                               *net, text));
        return false;
    }
    if (err != ERR_OK) {
        call_fail(call, ERR_INVALID,
                  "that is no net: it looks like 192.0.2.7, 192.0.2.0/24, 2001:db8::/32 or "
                  "AS64500");
        return false;
    }
    *net = arena_string(&call->call_arena, bytes_of(text));
    return true;
}

void firewall_put_call(struct service_call *call)
{
    Pr__FirewallPut *put = call->request->firewall_put;
    Pr__Command command = PR__COMMAND__INIT;

    if (put->n_entries == 0 || put->n_entries > PUT_MAX) {
        call_fail(call, ERR_INVALID, "1 to 1000 nets at a time");
        return;
    }
    for (size_t i = 0; i < put->n_entries; i++) {
        Pr__FirewallEntry *entry = put->entries[i];
        if (!fold_net(call, &entry->net))
            return;
        entry->since_ms = clock_wall_ms();
        entry->rule = entry->level = 0;
    }
    command.call_case = PR__COMMAND__CALL_FIREWALL_PUT;
    command.firewall_put = put;
    write_call(call, DIRECTORY_GROUP, &command);
}

void firewall_remove_call(struct service_call *call)
{
    Pr__FirewallRemove *remove = call->request->firewall_remove;
    Pr__Command command = PR__COMMAND__INIT;

    if (remove->n_nets == 0 || remove->n_nets > PUT_MAX) {
        call_fail(call, ERR_INVALID, "1 to 1000 nets at a time");
        return;
    }
    for (size_t i = 0; i < remove->n_nets; i++)
        if (!fold_net(call, &remove->nets[i]))
            return;
    /* What was counted is forgotten, too, or the next guess would ban again. */
    firewalls_news(call->service, bytes_from(NULL, 0), remove->nets, remove->n_nets);
    tell_voters(call->service, bytes_from(NULL, 0), remove->nets, remove->n_nets);
    command.call_case = PR__COMMAND__CALL_FIREWALL_REMOVE;
    command.firewall_remove = remove;
    write_call(call, DIRECTORY_GROUP, &command);
}

static void fill_list(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                      Pr__Reply *reply)
{
    const Pr__FirewallList *ask = request->firewall_list;
    Pr__FirewallListAnswer *answer = arena_alloc(arena, sizeof(*answer));
    unsigned limit = listing_limit(ask->limit);
    struct bytes last;
    bool more = false;

    pr__firewall_list_answer__init(answer);
    if (ask->net[0] != '\0')
        reply->err = firewall_entries_about(txn, bytes_of(ask->net), 0, limit, arena,
                                            &answer->entries, &answer->n_entries, &more);
    else
        reply->err = firewall_entries(txn, bytes_of(ask->after), limit, ask->bans, arena,
                                      &answer->entries, &answer->n_entries, &last, &more);
    answer->more = more;
    reply->answer_case = PR__REPLY__ANSWER_FIREWALL_LIST;
    reply->firewall_list = answer;
}

void firewall_list_call(struct service_call *call)
{
    Pr__FirewallList *ask = call->request->firewall_list;

    if (ask->net[0] == '\0' || fold_net(call, &ask->net))
        listing_call(call, fill_list);
}

/* What this node knows; a node that does not lead the directory has heard its own front ends
 * only. */
void firewall_explain_call(struct service_call *call)
{
    struct firewall_place place;
    struct buffer text = BUFFER_EMPTY;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__FirewallExplainAnswer answer = PR__FIREWALL_EXPLAIN_ANSWER__INIT;
    char *lines[1];

    if (firewall_place_parse(bytes_of(call->request->firewall_explain->address), &place) !=
            ERR_OK ||
        place.network != 0 || place.prefix.bits != 128 || call->service->firewall == NULL) {
        call_fail(call, ERR_INVALID, "that is no address");
        return;
    }
    firewalls_explain(call->service->firewall, &place.prefix.address, &text);
    lines[0] = arena_string(&call->call_arena, buffer_bytes(&text));
    buffer_fini(&text);
    answer.lines = lines;
    answer.n_lines = 1;
    reply.answer_case = PR__REPLY__ANSWER_FIREWALL_EXPLAIN;
    reply.firewall_explain = &answer;
    call_reply(call, &reply);
}
