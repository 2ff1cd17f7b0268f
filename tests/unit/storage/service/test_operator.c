/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/query/limits.h"
#include "storage/schema/format.h"
#include "storage/service/address_lists.h"
#include "storage/service/addresses.h"
#include "storage/service/audit.h"
#include "storage/service/cluster.h"
#include "storage/service/duties.h"
#include "storage/service/firewall.h"
#include "storage/service/formats.h"
#include "storage/service/join.h"
#include "storage/service/limits.h"
#include "storage/service/listing.h"
#include "storage/service/members.h"
#include "storage/service/operator.h"
#include "storage/service/password_rule.h"
#include "storage/service/passwords.h"
#include "storage/service/queue_calls.h"
#include "storage/service/recover.h"
#include "storage/service/scopes_usage.h"
#include "storage/service/sender_domain_calls.h"
#include "storage/service/sending_tenants.h"
#include "storage/service/settings_calls.h"
#include "storage/service/status.h"

#include "tests/unit/storage/service/fake_operator.h"

/* ---- asking ---- */

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    memset(&heard, 0, sizeof(heard));
    memset(&writes, 0, sizeof(writes));
    memset(&reads, 0, sizeof(reads));
    service.replicator = (struct replicator *)&service; /* only looked at */
    now_ms = 1000;
    directory_format = FORMAT_DEPTH;
    undelete_days = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void ask(Pr__Request *request)
{
    struct service_call *call = calloc(1, sizeof(*call));
    unsigned before = heard.answers;

    CHECK(call != NULL);
    call->service = &service;
    call->request = request;
    call->role = ROLE_OPERATOR;
    call->uid = 1234;
    call->deadline_ms = now_ms + 5000;
    arena_init(&call->call_arena);
    operator_handle(call);
    assert_int_equal(heard.answers, before + 1);
}

static enum err ask_account(const char *address, const char *password)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate create = PR__ACCOUNT_CREATE__INIT;

    create.address = arena_string(&arena, bytes_of(address));
    create.password = arena_string(&arena, bytes_of(password));
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &create;
    ask(&request);
    return heard.err;
}

static enum err ask_weak_account(const char *address, const char *password)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate create = PR__ACCOUNT_CREATE__INIT;

    create.address = arena_string(&arena, bytes_of(address));
    create.password = arena_string(&arena, bytes_of(password));
    create.weak = true;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &create;
    ask(&request);
    return heard.err;
}

static enum err ask_domain(const char *name, const char *tenant)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainAdd add = PR__DOMAIN_ADD__INIT;

    add.name = arena_string(&arena, bytes_of(name));
    add.tenant = arena_string(&arena, bytes_of(tenant));
    request.call_case = PR__REQUEST__CALL_DOMAIN_ADD;
    request.domain_add = &add;
    ask(&request);
    return heard.err;
}

static enum err ask_removal(const char *address)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountRemove remove = PR__ACCOUNT_REMOVE__INIT;

    remove.address = arena_string(&arena, bytes_of(address));
    request.call_case = PR__REQUEST__CALL_ACCOUNT_REMOVE;
    request.account_remove = &remove;
    ask(&request);
    return heard.err;
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {
        "",
        "bob",
        "bob@",
        "@example.test",
        "bob@nodot",
        "b b@a.test",
        "bob@-a.test",
        "b\xc3\xb6@a.test",
        "bob@[192.0.2.1]",
        "bob@a..test",
        "<b@a.test>",
        "b@a.test ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ask_account(bad[i], "long enough") != ERR_INVALID || heard.text[0] == '\0')
            fail_msg("taken: \"%s\" (%s)", bad[i], err_name(heard.err));
    assert_int_equal(writes.count, 0);
    assert_int_equal(ask_account("Bob@Example.Test", "long enough"), ERR_OK);
    assert_string_equal(writes.names[0], "bob@example.test");
    assert_int_equal(writes.groups[0], DIRECTORY_GROUP);
}

/* Of letters beyond ASCII the domain becomes A-labels; the local part has to be kept as it is.
 */
static void test_addresses_in_utf8(void **state)
{
    (void)state;
    assert_int_equal(ask_account("bob@B\xc3\xbc"
                                 "cher.test",
                                 "long enough"),
                     ERR_OK);
    assert_string_equal(writes.names[0], "bob@xn--bcher-kva.test");
    directory_format = FORMAT_ADDRESSES - 1;
    assert_int_equal(ask_account("J\xc3\x96rg@a.test", "long enough"), ERR_INVALID);
    assert_non_null(strstr(heard.text, "cluster upgrade"));
    directory_format = FORMAT_ADDRESSES;
    assert_int_equal(ask_account("J\xc3\x96rg@a.test", "long enough"), ERR_OK);
    assert_string_equal(writes.names[1], "j\xc3\xb6rg@a.test");
}

/* What an older release would not understand in its log. */
static void test_formats(void **state)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AliasAdd add = PR__ALIAS_ADD__INIT;
    Pr__AliasList list = PR__ALIAS_LIST__INIT;

    (void)state;
    directory_format = FORMAT_ADDRESSES - 1;
    request.call_case = PR__REQUEST__CALL_ALIAS_ADD;
    request.alias_add = &add;
    ask(&request);
    assert_int_equal(heard.err, ERR_UNSUPPORTED);
    assert_non_null(strstr(heard.text, "cluster upgrade"));
    directory_format = FORMAT_ADDRESSES;
    ask(&request);
    assert_string_equal(heard.text, "alias_add_call");
    directory_format = FORMAT_SCOPES;
    request.call_case = PR__REQUEST__CALL_ALIAS_LIST;
    request.alias_list = &list;
    ask(&request); /* there are none, and that can be said */
    assert_string_equal(heard.text, "alias_list_call");
}

static void test_weak_password(void **state)
{
    (void)state;
    assert_int_equal(ask_account("a@example.test", "guessable"), ERR_INVALID);
    assert_string_equal(heard.text, "Too easy. (--weak takes it all the same)");
    assert_int_equal(writes.count, 0);
    assert_int_equal(ask_weak_account("a@example.test", "guessable"), ERR_OK);
    assert_int_equal(writes.count, 1);
    assert_int_equal(ask_weak_account("a@example.test", "1234567"), ERR_INVALID);
}

static void test_passwords(void **state)
{
    char text[OPERATOR_PASSWORD_SIZE_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ask_account("a@example.test", text), ERR_INVALID);
    assert_int_equal(ask_account("a@example.test", text + 1), ERR_OK);
    assert_int_equal(ask_account("a@example.test", "1234567"), ERR_INVALID);
    assert_int_equal(ask_account("a@example.test", "12345678"), ERR_OK);
    assert_int_equal(writes.count, 2);
}

static void test_domains(void **state)
{
    (void)state;
    assert_int_equal(ask_domain("b\xc3 cher.test", "t"), ERR_INVALID);
    assert_int_equal(ask_domain("test", "t"), ERR_INVALID);
    assert_int_equal(ask_domain("a.test", "-t"), ERR_INVALID);
    assert_int_equal(ask_domain("a.test", ""), ERR_INVALID);
    assert_int_equal(writes.count, 0);
    assert_int_equal(ask_domain("Mail.A.Test", "Tenant"), ERR_OK);
    assert_string_equal(writes.names[0], "mail.a.test");
    assert_int_equal(ask_domain("B\xc3\x9c"
                                "CHER.test",
                                "t"),
                     ERR_OK);
    assert_string_equal(writes.names[1], "xn--bcher-kva.test");
}

static void test_removal(void **state)
{
    (void)state;
    writes.script[1].refusal = ERR_CONFLICT; /* there is more */
    writes.script[2].refusal = ERR_CONFLICT;
    assert_int_equal(ask_removal("Bob@example.test"), ERR_OK);
    assert_non_null(strstr(heard.text, "all of its mail are removed"));
    assert_int_equal(writes.count, 4);
    assert_int_equal(writes.calls[0], PR__COMMAND__CALL_ACCOUNT_REMOVE);
    assert_int_equal(writes.groups[0], DIRECTORY_GROUP);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(writes.calls[i], PR__COMMAND__CALL_ACCOUNT_PURGE);
        assert_int_equal(writes.groups[i], 4);
    }
}

/* The mail stays for the days of the policy; the first format's directory would forget it. */
static void test_removal_keeps_mail(void **state)
{
    (void)state;
    undelete_days = 14;
    assert_int_equal(ask_removal("Bob@example.test"), ERR_OK);
    assert_non_null(strstr(heard.text, "for 14 days"));
    assert_int_equal(writes.count, 1);
    assert_int_equal(writes.keep_ms, 14ULL * 86400000);
    directory_format = FORMAT_FIRST;
    assert_int_equal(ask_removal("Bob@example.test"), ERR_OK);
    assert_int_equal(writes.count, 3);
    assert_int_equal(writes.keep_ms, 0);
    assert_int_equal(writes.calls[2], PR__COMMAND__CALL_ACCOUNT_PURGE);
}

static void test_removal_cut_short(void **state)
{
    (void)state;
    writes.script[2].err = ERR_UNAVAILABLE;
    writes.script[1].refusal = ERR_CONFLICT;
    assert_int_equal(ask_removal("bob@example.test"), ERR_OK);
    assert_non_null(strstr(heard.text, "in the background"));
    assert_non_null(strstr(heard.text, "account 9 in group 4"));
}

static void test_removal_refused(void **state)
{
    (void)state;
    assert_int_equal(ask_removal("eve@example.test"), ERR_NOTFOUND);
    assert_string_equal(heard.text, "there is no account eve@example.test");
    assert_int_equal(writes.count, 0);
    writes.script[0].err = ERR_UNAVAILABLE;
    assert_int_equal(ask_removal("bob@example.test"), ERR_UNAVAILABLE);
    assert_int_equal(writes.count, 1); /* the mail stays */
    reads.fresh = ERR_UNAVAILABLE;
    assert_int_equal(ask_removal("bob@example.test"), ERR_UNAVAILABLE);
    assert_int_equal(writes.count, 1);
}

static void test_needs_cluster(void **state)
{
    Pr__Request request = PR__REQUEST__INIT;

    (void)state;
    service.replicator = NULL;
    for (size_t i = 0; i < operator_row_count; i++) {
        if (!operator_rows[i].needs_cluster)
            continue;
        request.call_case = operator_rows[i].call_case;
        ask(&request);
        assert_int_equal(heard.err, ERR_INVALID);
        assert_non_null(strstr(heard.text, "cluster init"));
    }
    request.call_case = PR__REQUEST__CALL_FETCH;
    ask(&request);
    assert_int_equal(heard.err, ERR_UNSUPPORTED);
}

/* ---- what stays in the log ---- */

static char logged[1 << 16];

/* What asking leaves on standard error. */
static const char *ask_logged(Pr__Request *request)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);

    CHECK(file != NULL && before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    ask(request);
    CHECK(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    logged[fread(logged, 1, sizeof(logged) - 1, file)] = '\0';
    fclose(file);
    return logged;
}

static void expect_line(Pr__Request *request, const char *words)
{
    const char *line = ask_logged(request);
    const char *first = strstr(line, "event=operator ");

    if (first == NULL || strstr(first, words) == NULL || strstr(first, " uid=1234 ") == NULL ||
        strstr(first + 1, "event=operator ") != NULL)
        fail_msg("no line with \"%s\": %s", words, line);
    assert_null(strstr(line, "sesame"));
}

static void test_changes_are_logged(void **state)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate create = PR__ACCOUNT_CREATE__INIT;
    Pr__ClusterJoin join = PR__CLUSTER_JOIN__INIT;
    Pr__SettingPut put = PR__SETTING_PUT__INIT;
    Pr__Setting setting = PR__SETTING__INIT;
    Pr__QueueAlter alter = PR__QUEUE_ALTER__INIT;
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;
    uint64_t ids[] = {17, 18};
    Pr__FirewallPut firewall = PR__FIREWALL_PUT__INIT;
    Pr__FirewallEntry entry = PR__FIREWALL_ENTRY__INIT;
    Pr__FirewallEntry *entries[] = {&entry};
    char bob[] = "bob@example.test", sesame[] = "open sesame", weak[] = "guessable";
    char name[] = "mail.postmaster", net[] = "192.0.2.0/24", node[] = "mx1";

    (void)state;
    directory_format = FORMAT_ADDRESSES;
    create.address = bob;
    create.password = sesame;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &create;
    expect_line(&request, "call=account_create object=bob@example.test uid=1234 result=OK");
    create.password = weak;
    expect_line(&request, "result=INVALID text=\"Too easy.");
    join.token = sesame;
    join.node_name = node;
    request.call_case = PR__REQUEST__CALL_CLUSTER_JOIN;
    request.cluster_join = &join;
    expect_line(&request, "call=cluster_join object=mx1 ");
    setting.name = name;
    setting.value = sesame;
    put.scope_name = bob;
    put.setting = &setting;
    request.call_case = PR__REQUEST__CALL_SETTING_PUT;
    request.setting_put = &put;
    expect_line(&request, "object=\"bob@example.test mail.postmaster\"");
    change.ids = ids;
    change.n_ids = 2;
    change.action = PR__QUEUE_CHANGE__ACTION__DROP;
    alter.group = 3;
    alter.change = &change;
    request.call_case = PR__REQUEST__CALL_QUEUE_ALTER;
    request.queue_alter = &alter;
    expect_line(&request, "object=\"group=3 ids=17 ids=18 DROP\"");
    entry.net = net;
    entry.action = PR__FIREWALL_ACTION__FIREWALL_DENY;
    firewall.entries = entries;
    firewall.n_entries = 1;
    request.call_case = PR__REQUEST__CALL_FIREWALL_PUT;
    request.firewall_put = &firewall;
    expect_line(&request, "object=\"192.0.2.0/24 FIREWALL_DENY\"");
}

/* Every call says in its table whether it changes something. */
static void test_looks_are_not_logged(void **state)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ClusterUpgrade upgrade = PR__CLUSTER_UPGRADE__INIT;
    unsigned changes = 0;

    (void)state;
    for (size_t i = 0; i < operator_row_count; i++) {
        service.replicator = NULL;
        request.call_case = operator_rows[i].call_case;
        if (!operator_rows[i].needs_cluster)
            continue;
        changes += operator_rows[i].changes;
        if (operator_rows[i].changes)
            expect_line(&request, "result=INVALID");
        else
            assert_string_equal(ask_logged(&request), "");
    }
    assert_true(changes > 30);
    service.replicator = (struct replicator *)&service;
    request.call_case = PR__REQUEST__CALL_CLUSTER_UPGRADE;
    request.cluster_upgrade = &upgrade;
    upgrade.check = true;
    assert_string_equal(ask_logged(&request), "");
    upgrade.check = false;
    expect_line(&request, "call=cluster_upgrade ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses_in_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_weak_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_formats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passwords, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_domains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal_keeps_mail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_needs_cluster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_are_logged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looks_are_not_logged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
