/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/query/queue.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/mail_read.h"
#include "storage/service/queue_calls.h"

/*
 * Lists over the queues of all groups. Group g has the messages 1 to held[g]; a group's own
 * page has at most `part` of them, and stops, empty, before a message whose id is in `gap`.
 */
enum { GROUPS = 6, PART = 4 };
static struct service service;
static struct arena arena;
static uint64_t held[GROUPS];
static bool silent[GROUPS];
static bool unborn[GROUPS];
static uint64_t gap;

static struct {
    unsigned answers;
    enum err err;
    char text[256];
    char shown[512]; /* "2/1 2/2 " */
    bool more;
    uint64_t after_group;
    uint64_t after_id;
    uint32_t changed;
    char written[256];
} heard;

static void ended(struct service_call *call)
{
    heard.answers++;
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    heard.err = (enum err)reply->err;
    strncpy(heard.text, reply->text, sizeof(heard.text) - 1);
    if (reply->answer_case == PR__REPLY__ANSWER_QUEUE_LIST) {
        const Pr__QueueListAnswer *answer = reply->queue_list;
        assert_int_equal(answer->n_messages, answer->n_groups);
        for (size_t i = 0; i < answer->n_messages; i++) {
            size_t len = strlen(heard.shown);
            snprintf(heard.shown + len, sizeof(heard.shown) - len, "%u/%llu ",
                     answer->groups[i], (unsigned long long)answer->messages[i]->id);
        }
        heard.more = answer->more;
        heard.after_group = answer->after_group;
        heard.after_id = answer->after_id;
    }
    if (reply->answer_case == PR__REPLY__ANSWER_QUEUE_ALTER)
        heard.changed = reply->queue_alter->changed;
    ended(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    heard.err = err;
    strncpy(heard.text, text != NULL ? text : "", sizeof(heard.text) - 1);
    ended(call);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    call_fail(call, err != ERR_OK ? err : (enum err)outcome->err, outcome->text);
}

unsigned listing_limit(uint32_t asked)
{
    return asked != 0 ? asked : 1000;
}

struct db_txn *service_directory_begin(struct service *of)
{
    (void)of;
    return NULL;
}

void db_abort(struct db_txn **txn)
{
    *txn = NULL;
}

uint64_t clock_monotonic_ms(void)
{
    return 1000;
}

static Pr__GroupRecord *make_group(uint32_t number, struct arena *in)
{
    Pr__GroupRecord *group = arena_alloc(in, sizeof(*group));

    pr__group_record__init(group);
    group->group = number;
    group->birth_node_id = unborn[number] ? 1 : 0;
    return group;
}

void directory_groups(struct db_txn *txn, struct arena *in, Pr__GroupRecord ***groups,
                      size_t *count)
{
    (void)txn;
    *groups = arena_alloc(in, GROUPS * sizeof(**groups));
    *count = GROUPS;
    for (uint32_t i = 0; i < GROUPS; i++)
        (*groups)[i] = make_group(i, in);
}

Pr__GroupRecord *directory_group(struct db_txn *txn, uint32_t group, struct arena *in)
{
    (void)txn;
    return group < GROUPS ? make_group(group, in) : NULL;
}

enum err query_queue_list(struct db_txn *txn, uint32_t group, const Pr__QueueList *call,
                          uint64_t *after, struct arena *in, Pr__QueueListAnswer *answer)
{
    uint64_t from = call->id != 0 ? call->id : *after + 1;
    uint64_t to = call->id != 0 && call->id < held[group] ? call->id : held[group];

    (void)txn;
    answer->messages = arena_alloc(in, PART * sizeof(*answer->messages));
    answer->groups = arena_alloc(in, PART * sizeof(*answer->groups));
    for (uint64_t id = from; id <= to; id++) {
        answer->more = answer->n_messages == PART || answer->n_messages == call->limit ||
                       (id == gap && id > from);
        if (answer->more)
            break;
        *after = id;
        if (id + 1 == gap) { /* looked at, and not wanted */
            answer->more = true;
            break;
        }
        Pr__QueueRecord *record = arena_alloc(in, sizeof(*record));
        pr__queue_record__init(record);
        record->id = id;
        answer->groups[answer->n_groups++] = group;
        answer->messages[answer->n_messages++] = record;
    }
    return ERR_OK;
}

/* The group's answer, as mail_read.c makes it. */
void mail_read_start(struct service *of, const struct mail_read *read, mail_read_done *done,
                     void *context)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__QueueListAnswer answer = PR__QUEUE_LIST_ANSWER__INIT;
    struct buffer packed = BUFFER_EMPTY;
    uint32_t group = read->account.group;

    (void)of;
    assert_int_not_equal(group, DIRECTORY_GROUP);
    assert_true(read->fresh);
    if (silent[group]) {
        done(context, ERR_UNAVAILABLE, bytes_from(NULL, 0), 0);
        return;
    }
    assert_int_equal(queue_list_read(NULL, group, read->request->queue_list, &arena, &answer),
                     ERR_OK);
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_LIST;
    reply.queue_list = &answer;
    message_pack(&reply.base, &packed);
    done(context, ERR_OK, buffer_bytes(&packed), 1);
    buffer_fini(&packed);
}

void write_start(struct service *to, uint32_t group, Pr__Command *command, uint64_t deadline_ms,
                 write_done *done, void *context)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    const Pr__QueueChange *change = command->queue_change;

    (void)to;
    (void)deadline_ms;
    snprintf(heard.written, sizeof(heard.written), "%u: %zu ids, action %d, id of %zu bytes",
             group, change->n_ids, (int)change->action, command->request_id.len);
    outcome.err = change->n_ids == 0 ? ERR_INVALID : ERR_OK;
    outcome.id = change->n_ids;
    done(context, ERR_OK, &outcome, 1);
}

/* ---- asking ---- */

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    memset(&heard, 0, sizeof(heard));
    memset(held, 0, sizeof(held));
    memset(silent, 0, sizeof(silent));
    memset(unborn, 0, sizeof(unborn));
    gap = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void ask(Pr__Request *request, void (*handle)(struct service_call *call))
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    memset(&heard, 0, sizeof(heard));
    call->service = &service;
    call->request = request;
    call->deadline_ms = 9000;
    arena_init(&call->call_arena);
    handle(call);
    assert_int_equal(heard.answers, 1);
}

static const char *list(uint64_t group, uint64_t after, uint32_t limit, uint64_t id)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueList call = PR__QUEUE_LIST__INIT;

    call.after_group = group;
    call.after_id = after;
    call.limit = limit;
    call.id = id;
    request.queue_list = &call;
    ask(&request, queue_list_call);
    return heard.shown;
}

static void test_groups_in_turn(void **state)
{
    (void)state;
    held[0] = 9; /* the directory has no queue */
    held[1] = 2;
    held[3] = 6; /* more than a group tells at once */
    held[5] = 1;
    assert_string_equal(list(0, 0, 100, 0), "1/1 1/2 3/1 3/2 3/3 3/4 ");
    assert_true(heard.more);
    assert_string_equal(list(heard.after_group, heard.after_id, 100, 0), "3/5 3/6 5/1 ");
    assert_false(heard.more);
    assert_string_equal(heard.text, "");
}

/* Each message once, whatever the size of pages. */
static void test_pages(void **state)
{
    (void)state;
    held[1] = 3;
    held[2] = 5;
    held[4] = 2;
    for (uint32_t limit = 1; limit < 12; limit++) {
        char all[512] = "";
        uint64_t group = 0;
        uint64_t after = 0;
        unsigned pages = 0;
        do {
            size_t len = strlen(all);
            snprintf(all + len, sizeof(all) - len, "%s", list(group, after, limit, 0));
            group = heard.after_group;
            after = heard.after_id;
            assert_true(++pages < 20);
        } while (heard.more);
        assert_string_equal(all, "1/1 1/2 1/3 2/1 2/2 2/3 2/4 2/5 4/1 4/2 ");
    }
}

/* A group that has looked at enough says that there is more, with nothing to show. */
static void test_empty_parts(void **state)
{
    (void)state;
    held[2] = 3;
    gap = 2; /* message 1 is looked at, and does not fit */
    assert_string_equal(list(0, 0, 100, 0), "2/2 2/3 ");
    assert_false(heard.more);
}

static void test_silent_groups(void **state)
{
    (void)state;
    held[1] = held[2] = held[3] = 1;
    silent[1] = silent[3] = true;
    unborn[4] = true;
    assert_string_equal(list(0, 0, 100, 0), "2/1 ");
    assert_non_null(strstr(heard.text, "not here: 1 3"));
    assert_false(heard.more);
}

static void test_one(void **state)
{
    (void)state;
    held[2] = held[3] = 4;
    assert_string_equal(list(3, 0, 100, 2), "3/2 ");
    assert_string_equal(list(3, 0, 100, 9), "");
    assert_string_equal(list(77, 0, 100, 1), "");
    assert_int_equal(heard.err, ERR_OK);
}

static void test_alter(void **state)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueAlter call = PR__QUEUE_ALTER__INIT;
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;
    uint64_t ids[] = {4, 5};
    uint8_t id[16] = {1};

    (void)state;
    change.ids = ids;
    change.n_ids = 2;
    change.action = PR__QUEUE_CHANGE__ACTION__DROP;
    call.group = 3;
    call.change = &change;
    request.request_id = field_of_bytes(bytes_from(id, sizeof(id)));
    request.queue_alter = &call;
    ask(&request, queue_alter_call);
    assert_string_equal(heard.written, "3: 2 ids, action 2, id of 16 bytes");
    assert_int_equal(heard.changed, 2);
    call.group = 0; /* the directory */
    ask(&request, queue_alter_call);
    assert_int_equal(heard.err, ERR_NOTFOUND);
    assert_string_equal(heard.written, "");
    call.group = GROUPS;
    ask(&request, queue_alter_call);
    assert_int_equal(heard.err, ERR_NOTFOUND);
    call.group = 3;
    change.n_ids = 0;
    ask(&request, queue_alter_call);
    assert_int_equal(heard.err, ERR_INVALID);
    call.change = NULL;
    ask(&request, queue_alter_call);
    assert_int_equal(heard.err, ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_groups_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_alter, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
