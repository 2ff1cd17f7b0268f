/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/queue_calls.h"

#include "storage/query/directory.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/mail_read.h"
#include "storage/service/operator.h"

/* A page that is being collected. Everything lives in the call's arena. */
struct queue_page {
    struct service_call *call;
    Pr__Request request; /* to the group that is asked now */
    Pr__QueueList ask;
    uint32_t *groups; /* from the one that the page begins in */
    size_t group_count;
    size_t at;
    size_t limit;
    Pr__QueueListAnswer answer;
    const char *silent;
};

enum err queue_list_read(struct db_txn *txn, uint32_t group, const Pr__QueueList *call,
                         struct arena *arena, Pr__QueueListAnswer *answer)
{
    uint64_t after = call->after_id;
    enum err err = query_queue_list(txn, group, call, &after, arena, answer);

    answer->after_group = group;
    answer->after_id = after;
    return err;
}

static void page_end(struct queue_page *page)
{
    Pr__Reply reply = PR__REPLY__INIT;

    if (page->silent[0] != '\0')
        reply.text = arena_printf(&page->call->call_arena,
                                  "these groups do not answer, their queues are not here:%s",
                                  page->silent);
    page->answer.more = page->at < page->group_count;
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_LIST;
    reply.queue_list = &page->answer;
    call_reply(page->call, &reply);
}

static void page_add(struct queue_page *page, const Pr__QueueListAnswer *part)
{
    Pr__QueueListAnswer *answer = &page->answer;

    for (size_t i = 0; i < part->n_messages && answer->n_messages < page->limit; i++) {
        answer->groups[answer->n_groups++] = page->groups[page->at];
        answer->messages[answer->n_messages++] = part->messages[i];
    }
    answer->after_group = page->groups[page->at];
    answer->after_id = part->after_id;
}

static void page_ask(struct queue_page *page);

static void on_part(void *context, enum err err, struct bytes packed, uint64_t index)
{
    struct queue_page *page = context;
    struct arena *arena = &page->call->call_arena;
    ProtobufCAllocator allocator = arena_allocator(arena);
    const Pr__Reply *reply =
        err == ERR_OK ? pr__reply__unpack(&allocator, packed.len, packed.at) : NULL;
    bool more = false;

    (void)index;
    if (reply == NULL || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_LIST) {
        page->silent = arena_printf(arena, "%s %u", page->silent, page->groups[page->at]);
    } else {
        page_add(page, reply->queue_list);
        more = reply->queue_list->more;
    }
    if (!more) { /* the next group from its first message on */
        page->at++;
        page->ask.after_id = 0;
        if (page->at < page->group_count) {
            page->answer.after_group = page->groups[page->at];
            page->answer.after_id = 0;
        }
    } else {
        page->ask.after_id = page->answer.after_id;
    }
    if (page->at < page->group_count && page->answer.n_messages < page->limit &&
        (!more || page->answer.n_messages == 0))
        page_ask(page);
    else
        page_end(page);
}

static void page_ask(struct queue_page *page)
{
    struct service_call *call = page->call;
    uint64_t soon_ms = clock_monotonic_ms() + QUEUE_LIST_MS;

    page->ask.limit = (uint32_t)(page->limit - page->answer.n_messages);
    const struct mail_read read = {
        .account = {.group = page->groups[page->at]},
        .fresh = true,
        .deadline_ms = soon_ms < call->deadline_ms ? soon_ms : call->deadline_ms,
        .request = &page->request,
    };
    mail_read_start(call->service, &read, on_part, page);
}

/* Groups that have begun, from the one that the page begins in; of a single message its own. */
static void groups_find(struct queue_page *page, const Pr__QueueList *asked)
{
    struct service_call *call = page->call;
    struct db_txn *txn = service_directory_begin(call->service);
    Pr__GroupRecord **records;
    size_t count;

    directory_groups(txn, &call->call_arena, &records, &count);
    db_abort(&txn);
    page->groups = arena_alloc(&call->call_arena, count * sizeof(*page->groups));
    for (size_t i = 0; i < count; i++)
        if (records[i]->group != DIRECTORY_GROUP && records[i]->group >= asked->after_group &&
            (asked->id == 0 || records[i]->group == asked->after_group) &&
            (records[i]->birth_node_id == 0 || records[i]->placed_version != 0))
            page->groups[page->group_count++] = records[i]->group;
}

void queue_list_call(struct service_call *call)
{
    const Pr__QueueList *asked = call->request->queue_list;
    struct queue_page *page = arena_alloc(&call->call_arena, sizeof(*page));
    size_t limit = listing_limit(asked->limit);

    *page = (struct queue_page){.call = call, .ask = *asked, .silent = ""};
    page->limit = limit < QUERY_QUEUE_LIMIT_MAX ? limit : QUERY_QUEUE_LIMIT_MAX;
    pr__queue_list_answer__init(&page->answer);
    page->answer.messages =
        arena_alloc(&call->call_arena, page->limit * sizeof(*page->answer.messages));
    page->answer.groups =
        arena_alloc(&call->call_arena, page->limit * sizeof(*page->answer.groups));
    pr__request__init(&page->request);
    page->request.call_case = PR__REQUEST__CALL_QUEUE_LIST;
    page->request.queue_list = &page->ask;
    groups_find(page, asked);
    if (page->group_count == 0 || page->groups[0] != asked->after_group)
        page->ask.after_id = 0;
    if (page->group_count == 0)
        page_end(page);
    else
        page_ask(page);
}

static void on_altered(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct service_call *call = context;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__QueueAlterAnswer answer = PR__QUEUE_ALTER_ANSWER__INIT;

    (void)index;
    if (err != ERR_OK || outcome->err != ERR_OK) {
        call_outcome(call, err, outcome);
        return;
    }
    answer.changed = (uint32_t)outcome->id;
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_ALTER;
    reply.queue_alter = &answer;
    call_reply(call, &reply);
}

void queue_alter_call(struct service_call *call)
{
    const Pr__QueueAlter *asked = call->request->queue_alter;
    Pr__Command command = PR__COMMAND__INIT;

    struct db_txn *txn = service_directory_begin(call->service);
    bool known = asked->group != DIRECTORY_GROUP &&
                 directory_group(txn, asked->group, &call->call_arena) != NULL;
    db_abort(&txn);
    if (!known || asked->change == NULL) {
        call_fail(call, ERR_NOTFOUND,
                  "there is no such mail group; a message is named GROUP/ID, as `postraft "
                  "queue list` shows it");
        return;
    }
    command.request_id = call->request->request_id;
    command.call_case = PR__COMMAND__CALL_QUEUE_CHANGE;
    command.queue_change = asked->change;
    write_start(call->service, asked->group, &command, call->deadline_ms, on_altered, call);
}
