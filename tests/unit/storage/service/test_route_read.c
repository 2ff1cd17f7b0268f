/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/route.h"
#include "storage/service/sessions.h"
#include "storage/service/watch.h"

/* route_read.c and sessions.c: what is asked of the group for a session. */

static struct service service;
static struct {
    unsigned count;
    struct mail_read read;
    mail_read_done *done;
    void *context;
} asked;
static struct {
    unsigned count;
    enum err err;
} seen;

static uint64_t learnt;

uint64_t clock_monotonic_ms(void)
{
    return 5000;
}

void mail_read_start(struct service *of, const struct mail_read *read, mail_read_done *done,
                     void *context)
{
    assert_ptr_equal(of, &service);
    asked.count++;
    asked.read = *read;
    asked.done = done;
    asked.context = context;
}

void replicator_read(struct replicator *replicator, uint32_t group, uint64_t deadline_ms,
                     replicator_done *done, void *context)
{
    (void)replicator;
    (void)group;
    (void)deadline_ms;
    (void)done;
    (void)context;
    fail();
}

struct db_txn *service_directory_begin(struct service *of)
{
    (void)of;
    fail();
    return NULL;
}

bool directory_account_by_id(struct db_txn *txn, uint64_t account_id, struct arena *arena,
                             struct bytes *address, uint32_t *group)
{
    (void)txn;
    (void)account_id;
    (void)arena;
    (void)address;
    (void)group;
    fail();
    return false;
}

void db_abort(struct db_txn **txn)
{
    (void)txn;
    fail();
}

void watch_learnt(struct service *of, struct session *session, uint64_t modseq)
{
    assert_ptr_equal(of, &service);
    assert_non_null(session);
    learnt = modseq;
}

static void on_read(void *context, enum err err, struct bytes reply, uint64_t index)
{
    (void)context;
    (void)reply;
    (void)index;
    seen.count++;
    seen.err = err;
}

static struct service_call call_of(const struct session *session)
{
    return (struct service_call){
        .service = &service,
        .connection = session->connection,
        .session_id = session->id,
        .session = service.sessions != NULL
                       ? session_find(service.sessions, session->connection, session->id)
                       : NULL,
        .deadline_ms = 9000};
}

static void answer(enum err err, uint64_t index)
{
    unsigned before = seen.count;

    asked.done(asked.context, err, bytes_from(NULL, 0), index);
    assert_int_equal(seen.count, before + 1);
    assert_int_equal(seen.err, err);
}

static int setup(void **state)
{
    (void)state;
    asked.count = seen.count = 0;
    learnt = 0;
    service.sessions = sessions_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sessions_free(&service.sessions);
    return 0;
}

/* Its user may come from another node, where it has seen more than this replica has. */
static void test_the_first_read_of_a_session_is_fresh(void **state)
{
    (void)state;
    struct session *session = session_open(service.sessions, 7, 100, 3, "ann@example.test");
    struct service_call call = call_of(session);

    route_read(&call, false, on_read);
    assert_int_equal(asked.count, 1);
    assert_true(asked.read.fresh);
    answer(ERR_UNAVAILABLE, 0);
    route_read(&call, false, on_read); /* it has seen nothing yet */
    assert_true(asked.read.fresh);
    answer(ERR_OK, 41);
    route_read(&call, false, on_read);
    assert_false(asked.read.fresh);
    assert_int_equal(asked.read.seen_index, 41);
    answer(ERR_OK, 40);
    assert_int_equal(session->seen_index, 41);
    route_read(&call, true, on_read);
    assert_true(asked.read.fresh);
    answer(ERR_OK, 44);
}

/* What it has written itself it sees: no round to the leader is needed for that. */
static void test_after_a_write_reads_wait_for_it(void **state)
{
    (void)state;
    struct session *session = session_open(service.sessions, 7, 100, 3, "ann@example.test");
    struct service_call call = call_of(session);

    route_note_seen(&call, 4, 99); /* of a group where the account is not */
    assert_int_equal(session->seen_index, 0);
    route_note_seen(&call, 3, 50);
    route_read(&call, false, on_read);
    assert_false(asked.read.fresh);
    assert_int_equal(asked.read.seen_index, 50);
    answer(ERR_OK, 50);
}

static void look_answer(uint64_t modseq, uint64_t index)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__ChangesAnswer changes = PR__CHANGES_ANSWER__INIT;
    Pr__MailboxInfo info = PR__MAILBOX_INFO__INIT;
    struct buffer packed = BUFFER_EMPTY;

    info.highest_modseq = modseq;
    changes.info = &info;
    reply.answer_case = PR__REPLY__ANSWER_CHANGES;
    reply.changes = &changes;
    message_pack(&reply.base, &packed);
    asked.done(asked.context, ERR_OK, buffer_bytes(&packed), index);
    buffer_fini(&packed);
}

/* What it watches is looked at in the new group, which may not take commands yet. */
static void test_what_is_watched_is_looked_at_where_it_went(void **state)
{
    (void)state;
    struct session *session = session_open(service.sessions, 7, 100, 3, "ann@example.test");

    session->watched_mailbox = 1;
    route_account_moved(&service, 100, 3); /* it is there */
    assert_int_equal(asked.count, 0);
    route_account_moved(&service, 100, 5);
    assert_int_equal(asked.count, 1);
    assert_int_equal(asked.read.account.group, 5);
    assert_true(asked.read.fresh);
    asked.done(asked.context, ERR_MOVED, bytes_from(NULL, 0), 77);
    assert_int_equal(asked.count, 2);
    assert_int_equal(asked.read.account.group, 5);
    assert_false(asked.read.fresh);
    assert_int_equal(asked.read.seen_index, 77);
    look_answer(1234, 80);
    assert_int_equal(asked.count, 2);
    assert_int_equal(learnt, 1234);
    assert_true(session->refresh); /* what it reads itself is new, too */
}

/* One that has left again is looked at by whoever hears of that. */
static void test_a_look_follows_no_further(void **state)
{
    (void)state;
    struct session *session = session_open(service.sessions, 7, 100, 3, "ann@example.test");

    session->watched_mailbox = 1;
    route_account_moved(&service, 100, 5);
    asked.done(asked.context, ERR_MOVED, bytes_from(NULL, 0), 77);
    asked.done(asked.context, ERR_MOVED, bytes_from(NULL, 0), 78);
    assert_int_equal(asked.count, 2);
    route_account_moved(&service, 100, 6);
    assert_int_equal(asked.count, 3);
    asked.done(asked.context, ERR_UNAVAILABLE, bytes_from(NULL, 0), 0);
    assert_int_equal(asked.count, 3);
    assert_int_equal(learnt, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_read_of_a_session_is_fresh),
        TEST(test_after_a_write_reads_wait_for_it),
        TEST(test_what_is_watched_is_looked_at_where_it_went),
        TEST(test_a_look_follows_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
