/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/config.h"
#include "node/runtime/rpc.h"
#include "storage/schema/entry.h"

#include "tests/unit/admin/cli_process.h"

#include "tests/unit/admin/fake_store.h"

static void test_usage(void **state)
{
    static const struct row rows[] = {
        {P "--help", 0, "cluster init", "", "", NULL},
        {P "account --help", 0, "account password ADDRESS", "", "", NULL},
        {P "account --help", 0, "`postraft account VERB --help`", "", "", NULL},
        {P "acount --help", 2, "", "there is no command \"acount\"", "", NULL},
        {P "account totp --help", 0, "account totp off ADDRESS", "", "", NULL},
        {P "account totp", 2, "", "a word more; there are: \"account totp on\"", "", NULL},
        {P "metrics --help", 0, "usage: postraft metrics [options]", "", "", NULL},
        {P "account undelete --help", 0, "into this mailbox", "", "", NULL},
        {P "queue list --help", 0, "--to DOMAIN", "", "", NULL},
        {P "cluster join --help", 0, "--data-center NAME", "", "", NULL},
        {P "--version", 0, "postraft " POSTRAFT_VERSION, "", "", NULL},
        {P "", 2, "", "which command?", "", NULL},
        {P "acount list", 2, "",
         "there are: cluster node group tenant domain account alias list forward address "
         "setting "
         "firewall sender sending queue storage metrics",
         "", NULL},
        {P "account lst", 2, "", "\"account list\"", "", NULL},
        {P "account", 2, "", "\"account show\"", "", NULL},
        {P "tenant add", 2, "", "needs NAME", "", NULL},
        {P "tenant add a b", 2, "", "\"b\" is too much", "", NULL},
        {P "tenant add a --tenant b", 2, "", "takes no --tenant", "", NULL},
        {P "domain add a.test", 2, "", "needs --tenant", "", NULL},
        {P "cluster token --valid 5", 2, "", "--valid takes a number from 60", "", NULL},
        {P "tenant list --bogus", 2, "", "`postraft --help` shows", "", NULL},
        {P "firewall ban 192.0.2.7 --bogus", 2, "", "--bogus", "", NULL},
        {P "firewall ban 192.0.2.7 0.0.0.0/0", 1, "", "0.0.0.0/0 is a large part", "", NULL},
        {P "firewall allow 2001::/16", 1, "", "allow it? Nobody is there to be asked", "",
         NULL},
        {P "account add", 2, "", "needs ADDRESS or --file", "", NULL},
        {"postraft --run FOLDER/nowhere tenant list", 1, "", "is postraftd running", "", NULL},
        {"postraft --config FOLDER/nowhere tenant list", 1, "", "--config FILE or --run DIR",
         "", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_answers(void **state)
{
    static const struct row rows[] = {
        {P "tenant add example", 0, "tenant example added", "", "tenant_add example id=16;",
         NULL},
        {P "tenant add example --json", 0, "\"id\": 5", "", NULL, NULL},
        {P "tenant add twice", 1, "", "postraft: there is a tenant twice already\n", NULL,
         NULL},
        {P "tenant add alone --json", 1, "", "`postraft cluster status` shows", NULL, NULL},
        {P "tenant list", 0, "cleo", "", "tenant_list after= id=0;tenant_list after=bea id=0;",
         NULL},
        {P "tenant list", 0, "MESSAGES MESSAGES AT MOST ", "",
         "tenant_list after= id=0;tenant_list after=bea id=0;", NULL},
        {P "tenant show Cleo", 0, "8.0 MiB", "", NULL, NULL}, /* of its group */
        {P "tenant list --json", 0, "\"used_bytes\": 7340032", "", NULL, NULL},
        {P "tenant quota cleo --together --bytes 10M", 0, "all accounts together of cleo", "",
         "quota_set cleo 10485760 together id=16;", NULL},
        {P "domain quota b.test --together --inherit", 2, "", "--bytes none", "", NULL},
        {P "tenant show cle", 1, "", "there is no tenant cle;", NULL, NULL},
        {P "tenant list --json", 0, "\"tenants\": [", "", NULL, NULL},
        {P "cluster status", 0, "NOT healthy", "", NULL, NULL},
        {P "cluster status", 0, "1* 2! 3s", "", NULL, NULL},
        {P "cluster status --json", 0, "\"healthy\": false", "", NULL, NULL},
        {P "group list --json", 0, "\"leader\": 1", "", NULL, NULL},
        {P "account show a@b.test", 0, "5.0 MiB", "", NULL, NULL},
        {P "account show a@b.test --json", 0, "\"group\": 2", "", NULL, NULL},
        {P "metrics", 0, "postraft_a 12", "", NULL, NULL},
        {P "metrics --json", 0, "\"postraft_b\": 3", "", NULL, NULL},
        {P "cluster upgrade --check", 1, "", "not in this test", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_passwords(void **state)
{
    static const struct row rows[] = {
        {P "account add a@b.test", 0, "account a@b.test added", "",
         "account_create a@b.test secret word id=16;", "secret word\nmore\n"},
        {P "account add a@b.test", 1, "", "no password in its first line", "", "\n"},
        {P "account add a@b.test --password-file FOLDER/secret", 0, NULL, "",
         "account_create a@b.test from a file id=16;", NULL},
        {P "account add a@b.test --password-file FOLDER/none", 1, "", "No such file", "", NULL},
        {P "account add a@b.test --password-file - --generate", 1, "", "exclude", "", NULL},
        {P "account add a@b.test --generate --json", 0, "\"password\": \"", "", NULL, NULL},
        {P "account remove a@b.test", 1, "", "give --yes", "", NULL},
        {P "account remove a@b.test --yes", 0, "all of its mail", "",
         "account_remove a@b.test id=16;", NULL},
    };

    (void)state;
    write_file("secret", "from a file\n");
    check_rows(ROWS(rows));
}

static void test_generated_differ(void **state)
{
    char first[TEXT_MAX];
    char second[TEXT_MAX];
    char errors[TEXT_MAX];

    (void)state;
    assert_int_equal(run_cli(P "account add a@b.test --generate", "", first, errors), 0);
    assert_int_equal(run_cli(P "account add a@b.test --generate", "", second, errors), 0);
    const char *password = strstr(second, "password is ");
    assert_non_null(password);
    assert_int_equal(strlen(password), strlen("password is ") + 20 + 1);
    assert_string_not_equal(first, second);
}

static void test_many(void **state)
{
    char output[TEXT_MAX];
    char errors[TEXT_MAX];
    char lines[8192] = "# accounts\n\n";

    (void)state;
    for (unsigned i = 1; i <= 150; i++)
        sprintf(lines + strlen(lines), "user%03u@b.test\tsame secret\r\n", i);
    strcat(lines, "bad@b.test\tsecret word\nno-tab@b.test\nlast@b.test\ttabs\tinside");
    write_file("many", lines);
    int status = run_cli(P "account add --file FOLDER/many --json", "", output, errors);
    assert_int_equal(status, 1);
    check_text("many", "the output", output, "\"added\": 151");
    check_text("many", "the output", output, "\"refused\": 2");
    check_text("many", "the output", output, "\"line\": 153");
    check_text("many", "the errors", errors, "line 153: bad@b.test: that is no address\n");
    check_text("many", "the errors", errors, "line 154: no-tab@b.test: no TAB");
    check_text("many", "the store", store.asked, "user150@b.test same secret id=16;");
    check_text("many", "the store", store.asked, "last@b.test tabs\tinside id=16;");
    assert_int_equal(store.calls, 152);

    status = run_cli(P "account add --file -", "x@b.test\tsecret word\n", output, errors);
    assert_int_equal(status, 0);
    check_text("input", "the output", output, "1 accounts added");
}

static void test_members(void **state)
{
    static const struct row rows[] = {
        {P "node list", 0, "draining", "", NULL, NULL},
        {P "node list --json", 0, "\"witness\": true", "", NULL, NULL},
        {P "node show 3", 0, "fra", "", NULL, NULL},
        {P "node show N3 --json", 0, "\"drained\": false", "", NULL, NULL}, /* group 3 has it */
        {P "node show n9", 1, "", "there is no node n9", NULL, NULL},
        {P "node add n4 --data-center ams --witness", 0,
         "postraft cluster join --token-file - --node n4 --data-center ams --witness\n", "",
         "token 0", NULL},
        {P "node add", 0, "--node NAME --data-center NAME\n", "", NULL, NULL},
        {P "node drain n1", 1, "", "too few nodes", "drain n1 id=16", NULL},
        {P "node drain n1 --force --no-wait", 0, "node n1 is draining", "", "drain n1 force",
         NULL},
        {P "node drain n3 --undo --json", 0, "\"event\": \"active\"", "", "undrain n3", NULL},
        {P "node remove n2", 1, "", "At risk: mail is lost.\npostraft: nothing was changed",
         "remove n2 check", NULL},
        {P "node remove n2 --force", 1, "", "give --yes", "remove n2 force check", NULL},
        {P "node remove n3 --yes", 0, "node n3 is out of the cluster", "removing node n3",
         "remove n3 check id=16;remove n3 id=16;", NULL},
        {P "node remove n3 --yes --json", 0, "{\"event\":\"progress\",", "", NULL, NULL},
        {P "node replace n1 n2 --yes --no-wait", 0, "is being removed", "",
         "replace n1 by n2 id=16;", NULL},
        {P "node replace n1", 2, "", "needs OLD NEW", "", NULL},
        {P "node promote n2", 0, "a vote in the directory", "", "promote n2", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_groups(void **state)
{
    static const struct row rows[] = {
        {P "group show 3", 0, "n2   fra", "", NULL, NULL},
        {P "group show 4", 1, "", "there is no group 4", NULL, NULL},
        {P "group show x", 2, "", "a group is a number", "", NULL},
        {P "group add 0", 2, "", "1 to 64 groups", "", NULL},
        {P "group add 2 --no-wait", 0, "2 mail groups added, from number 5", "", "group_add 2",
         NULL},
        {P "group move-leader 3 n1", 0, "node n1 leads", "", "lead 3 'n1' id=16", NULL},
        {P "group move-leader 3 auto", 0, NULL, "", "lead 3 ''", NULL},
        {P "cluster rebalance", 0, "7    1  4", "", "rebalance plan", NULL},
        {P "cluster rebalance --plan --json", 0, "\"to\": 4", "", NULL, NULL},
        {P "cluster rebalance --run", 0, "1 moves done", NULL, "rebalance start", NULL},
        {P "cluster rebalance --run --no-wait", 0, "1 moves begin", "", "rebalance start",
         NULL},
        {P "cluster rebalance --stop", 0, "2 moves forgotten", "", "rebalance stop", NULL},
        {P "cluster rebalance --stop --start", 2, "", "exclude", "", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_policy(void **state)
{
    static const struct row rows[] = {
        {P "cluster policy", 0, "this node: cross-dc", "", NULL, NULL},
        {P "cluster policy show --json", 0, "\"undelete_days\": 14", "", NULL, NULL},
        {P "cluster policy show --json", 0, "\"min_dcs\": 2", "", NULL, NULL},
        {P "cluster policy set --replicas 5", 0, NULL, "", "policy 5 2 0 0 id=16", NULL},
        {P "cluster policy --durability majority --min-dcs 0", 0, NULL, "", "policy 3 0 2 30",
         NULL},
        {P "cluster policy set --durability cross-dc --grace 5", 0, NULL, "", "policy 3 2 1 5",
         NULL},
        {P "cluster policy set --durability none", 2, "", "cross-dc, majority, or local", NULL,
         NULL},
        {P "cluster policy set", 2, "", "what shall it be?", "", NULL},
        {P "cluster policy show --replicas 5", 2, "", "changes nothing", "", NULL},
        {P "cluster policy get", 2, "", "show or set", "", NULL},
        {P "cluster policy set --replicas 7", 2, "", "from 3 to 5", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_recover(void **state)
{
    static const struct row rows[] = {
        {P "cluster recover --check", 0, "Lost nodes: n2 (2, fra)", "", NULL, NULL},
        {P "cluster recover --check --json", 0, "\"goes_on_from\": 1", "", NULL, NULL},
        {P "cluster recover", 1, "what only n2 had is lost", "nobody is there to be asked",
         NULL, "post\n"},
        {P "cluster recover --yes", 1, NULL, "needs --i-have-lost", NULL, NULL},
        {P "cluster recover --yes --i-have-lost n2", 0, "/data/recovery-1.json", "",
         "recover post n2 id=16;", NULL},
        {P "cluster recover --yes --i-have-lost all", 1, NULL, "has its majority", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_join(void **state)
{
    static const struct row rows[] = {
        {P "cluster join T --node a --data-center b", 0, NULL, "", "join T a b id=0;", NULL},
        {P "cluster join --token-file - --node a --data-center b --witness", 0, NULL, "",
         "join PRJ1.x a b witness", "PRJ1.x\n"},
        {P "cluster join --token-file FOLDER/secret --node a --data-center b", 0, NULL, "",
         "join from a file a b", NULL},
        {P "cluster join --token-file FOLDER/none --node a --data-center b", 1, "",
         "No such file", "", NULL},
        {P "cluster join --token-file - --node a --data-center b", 1, "", "no token", "", "\n"},
        {P "cluster join T --token-file - --node a --data-center b", 2, "", "exclude", "",
         NULL},
        {P "cluster join --node a --data-center b", 2, "", "--token-file FILE", "", NULL},
        {P "cluster join --help", 0, "can be seen by every user", "", "", NULL},
    };

    (void)state;
    write_file("secret", "from a file\n");
    check_rows(ROWS(rows));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),     cmocka_unit_test(test_answers),
        cmocka_unit_test(test_passwords), cmocka_unit_test(test_generated_differ),
        cmocka_unit_test(test_many),      cmocka_unit_test(test_members),
        cmocka_unit_test(test_groups),    cmocka_unit_test(test_policy),
        cmocka_unit_test(test_recover),   cmocka_unit_test(test_join),
    };

    log_init("test", LOG_LEVEL_ERROR, false);
    if (getenv(CHILD) != NULL)
        return cli_main(argc, argv);
    return cmocka_run_group_tests(tests, open_store, close_store);
}
