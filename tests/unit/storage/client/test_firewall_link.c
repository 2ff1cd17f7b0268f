/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firewall of a front end and its store: pages, changes in between, trouble. */
#include "storage/client/firewall_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/arena.h"
#include "node/base/check.h"
#include "unit/smtp/fake_store.h"

enum { PAGE = 2, NETS = 5, WAIT_MS = 20 * 1000 };

/* What the store has, and what it was asked. */
static struct {
    struct loop *loop;
    struct firewall_link *link;
    uint64_t version;
    size_t net_count;
    unsigned reads;
    unsigned first_pages;
    unsigned changes_left; /* so many changes come, one between the first page and the next */
    unsigned failures_left;
    unsigned reports;
    uint64_t until_ms;
    bool (*done)(void);
} lab;

static struct arena lab_arena;

static const char *const nets[NETS] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
                                       "192.0.2.5"};

static void fill_page(const Pr__FirewallRead *asked, Pr__FirewallReadAnswer *answer)
{
    size_t at = 0;

    while (asked->after[0] != '\0' && at < lab.net_count && strcmp(nets[at], asked->after) <= 0)
        at++;
    answer->entries = arena_alloc(&lab_arena, PAGE * sizeof(*answer->entries));
    for (; at < lab.net_count && answer->n_entries < PAGE; at++) {
        Pr__FirewallEntry *entry = arena_alloc(&lab_arena, sizeof(*entry));
        pr__firewall_entry__init(entry);
        entry->net = arena_string(&lab_arena, bytes_of(nets[at]));
        entry->action = PR__FIREWALL_ACTION__FIREWALL_DENY;
        entry->reason = arena_string(&lab_arena, BYTES("words of the operator"));
        answer->entries[answer->n_entries++] = entry;
    }
    answer->more = at < lab.net_count;
}

static bool holds(const Pr__Request *request)
{
    return (request->call_case == PR__REQUEST__CALL_FIREWALL_READ &&
            request->firewall_read->after[0] == '\0' &&
            request->firewall_read->version == lab.version) ||
           (request->call_case == PR__REQUEST__CALL_SETTINGS_READ &&
            request->settings_read->version != 0);
}

static bool read_list(const Pr__Request *request, Pr__Reply *reply)
{
    static uint8_t key[16] = {9};
    Pr__FirewallReadAnswer *answer = arena_alloc(&lab_arena, sizeof(*answer));

    lab.reads++;
    lab.first_pages += request->firewall_read->after[0] == '\0';
    if (lab.failures_left > 0) {
        lab.failures_left--;
        reply->err = ERR_UNAVAILABLE;
        return true;
    }
    if (request->firewall_read->after[0] != '\0' && lab.changes_left > 0) {
        lab.changes_left--;
        lab.version++;
    }
    pr__firewall_read_answer__init(answer);
    answer->version = lab.version;
    answer->digest_key = (ProtobufCBinaryData){sizeof(key), key};
    fill_page(request->firewall_read, answer);
    reply->answer_case = PR__REPLY__ANSWER_FIREWALL_READ;
    reply->firewall_read = answer;
    return true;
}

static bool answers(const Pr__Request *request, Pr__Reply *reply, enum err *err)
{
    *err = ERR_OK;
    switch (request->call_case) {
    case PR__REQUEST__CALL_FIREWALL_READ:
        return read_list(request, reply);
    case PR__REQUEST__CALL_SETTINGS_READ:
        reply->answer_case = PR__REPLY__ANSWER_SETTINGS_READ;
        reply->settings_read = arena_alloc(&lab_arena, sizeof(*reply->settings_read));
        pr__settings_read_answer__init(reply->settings_read);
        reply->settings_read->version = 1;
        return true;
    default:
        assert_int_equal(request->call_case, PR__REQUEST__CALL_FIREWALL_REPORT);
        assert_true(request->firewall_report->batch.len > 0);
        lab.reports++;
        return true;
    }
}

/* How many of the nets are denied now. */
static size_t denied(void)
{
    struct firewall *firewall = firewall_link_firewall(lab.link);
    size_t count = 0;

    for (unsigned i = 0; i < NETS; i++) {
        const uint8_t bytes[16] = {0, 0, 0,    0,    0,   0, 0, 0,
                                   0, 0, 0xff, 0xff, 192, 0, 2, (uint8_t)(i + 1)};
        const struct firewall_address address = firewall_address_from(bytes);
        struct firewall_conn conn;
        count += firewall_opened(firewall, &conn, &address, FIREWALL_SMTP, firewall_link_now())
                     .action == FIREWALL_REFUSE;
        firewall_closed(firewall, &conn);
    }
    return count;
}

static void look(void *context)
{
    (void)context;
    if (lab.done() || clock_monotonic_ms() > lab.until_ms)
        loop_stop(lab.loop);
}

static void run_until(bool (*done)(void))
{
    struct loop_timer *timer = loop_timer_start(lab.loop, 1, 1, look, NULL);

    lab.done = done;
    lab.until_ms = clock_monotonic_ms() + WAIT_MS;
    loop_run(lab.loop);
    loop_timer_stop(&timer);
    assert_true(done());
}

static bool list_is_there(void)
{
    return denied() == lab.net_count;
}

static bool has_reported(void)
{
    return lab.reports > 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(&lab, 0, sizeof(lab));
    arena_init(&lab_arena);
    lab.version = 3;
    lab.net_count = NETS;
    lab.loop = loop_new();
    struct store_client *store = fake_store_open(lab.loop);
    fake_store.holds = holds;
    fake_store.answers = answers;
    *state = store;
    return 0;
}

static int tear_down(void **state)
{
    struct store_client *store = *state;

    firewall_link_free(&lab.link);
    fake_store_close(&store);
    loop_free(&lab.loop);
    arena_fini(&lab_arena);
    return 0;
}

static void test_pages_and_changes(void **state)
{
    lab.link = firewall_link_new(*state, NULL, NULL);
    run_until(list_is_there);
    assert_int_equal(lab.reads, 3);
    assert_true(firewall_link_key(lab.link)->first != 0);
    lab.net_count = 1;
    lab.version++;
    fake_store_wake();
    run_until(list_is_there);
    assert_int_equal(lab.reads, 4);
    lab.net_count = 0; /* the last one goes */
    lab.version++;
    fake_store_wake();
    run_until(list_is_there);
    assert_int_equal(lab.reads, 5);
}

/* A list that is half old and half new is none, and neither is one without what was read. */
static void test_change_between_pages(void **state)
{
    lab.net_count = 3; /* the second page is the last */
    lab.changes_left = 2;
    lab.link = firewall_link_new(*state, NULL, NULL);
    run_until(list_is_there);
    assert_int_equal(lab.changes_left, 0);
    assert_int_equal(lab.first_pages, 3);
    assert_int_equal(lab.reads, 6);
}

static void test_store_in_trouble(void **state)
{
    lab.failures_left = 1;
    lab.link = firewall_link_new(*state, NULL, NULL);
    run_until(list_is_there);
    assert_int_equal(lab.reads, 4);
    const uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 1};
    const struct firewall_address address = firewall_address_from(bytes);
    struct firewall *firewall = firewall_link_firewall(lab.link);
    struct firewall_conn conn;
    firewall_opened(firewall, &conn, &address, FIREWALL_SUBMISSION, firewall_link_now());
    firewall_happened(firewall, &conn, FIREWALL_LOGIN_FAILED, 7, 8, 1, firewall_link_now());
    firewall_closed(firewall, &conn);
    run_until(has_reported);
}

/* Freed with questions out. */
static void test_freed_early(void **state)
{
    lab.link = firewall_link_new(*state, NULL, NULL);
    firewall_link_free(&lab.link);
    assert_int_equal(fake_store.cancelled, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages_and_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change_between_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_store_in_trouble, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed_early, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
