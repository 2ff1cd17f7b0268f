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
#include "storage/schema/request_id.h"

#include "tests/unit/admin/cli_process.h"

#include "tests/unit/admin/fake_addresses.h"

static void test_aliases(void **state)
{
    static const struct row rows[] = {
        {P "alias add info@b.test x@b.test y@c.test", 0, "stands for 2 addresses", "",
         "alias_add info@b.test x@b.test y@c.test id=16;", NULL},
        {P "alias add info@b.test", 2, "", "needs ADDRESS TARGET...", "", NULL},
        {P "alias add a@b.test x@b.test", 0, "stands for 2", "as it is now, mail is refused",
         "explain a@b.test from= id=0;", NULL},
        {P "alias add @b.test x@b.test", 2, "", "`postraft domain route b.test --catch-all", "",
         NULL},
        {P "alias add *@b.test x@b.test", 2, "", "a catch-all is not an alias", "", NULL},
        {P "alias change info@b.test", 2, "", "--add, --remove", "", NULL},
        {P "alias change info@b.test --disable --enable", 2, "", "exclude", "", NULL},
        {P "alias change info@b.test --add p@b.test --add q@b.test --remove x@b.test", 0,
         "stands for 2 addresses", "",
         "alias_change info@b.test +p@b.test +q@b.test -x@b.test id=16;", NULL},
        {P "alias change info@b.test --disable", 0, NULL, "",
         "alias_change info@b.test disabled=1 id=16;", NULL},
        {P "alias change none@b.test --enable", 1, "", "there is no alias none@b.test", NULL,
         NULL},
        {P "alias remove info@b.test", 1, "", "give --yes", NULL, NULL},
        {P "alias remove info@b.test --yes", 0, "alias info@b.test removed", "",
         "alias_remove info@b.test id=16;", NULL},
        /* two pages */
        {P "alias list b.test", 0,
         "x@b.test, y@b\xc3\xbc"
         "cher.test",
         "", "alias_list b.test after= id=0;alias_list b.test after=a1@b.test id=0;", NULL},
        {P "alias list --domain b.test", 0, NULL, "",
         "domain_show b.test id=0;alias_list b.test", NULL},
        {P "alias list b.test --domain b.test", 1, "", "name the domain once", "", NULL},
        {P "alias list --to X@b.test", 0, "a1@b.test", "", NULL, NULL},
        {P "alias list --to y@b\xc3\xbc"
           "cher.test",
         0, "a1@b.test", "", NULL, NULL},
        {P "alias list --to z@b.test", 0, "no aliases", "", NULL, NULL},
        {P "alias list --json", 0, "\"y@xn--bcher-kva.test\"", "", NULL, NULL},
        {P "alias list --json", 0, "targets_unicode", "", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_lists(void **state)
{
    static const struct row rows[] = {
        {P "list add l@b.test", 2, "", "needs --owner", "", NULL},
        {P "list add l@b.test --owner o@b.test --post all", 2, "", "anyone, members or owner",
         "", NULL},
        {P "list add l@b.test --owner o@b.test --post owner x@b.test - y@b.test", 0,
         "list l@b.test added with 2 members", "",
         "alias_add l@b.test x@b.test m1@b.test m2@b.test y@b.test owner=o@b.test post=2 "
         "id=16;",
         "m1@b.test\n\n# none\n m2@b.test \r\n"},
        {P "list add l@b.test --owner o@b.test --file FOLDER/many", 0, NULL, "",
         "alias_add l@b.test f1@b.test owner=o@b.test post=0 id=16;", NULL},
        {P "list add l@b.test --owner o@b.test --file FOLDER/none", 1, "", "No such file", "",
         NULL},
        {P "list add-member l@b.test", 2, "", "name the members", "", NULL},
        {P "list remove-member l@b.test x@b.test", 0,
         "has 2 members, as before: those were no members", "",
         "alias_change l@b.test -x@b.test id=16;", NULL},
        /* what is not named stays */
        {P "list change l@b.test --post members", 0, NULL, "",
         "alias_change l@b.test owner=who@b.test post=1 id=16;", NULL},
        {P "list change l@b.test", 2, "", "say what to change", "", NULL},
        {P "list show l@b.test", 0, "\n  x@b.test\n", "", NULL, NULL},
        {P "alias show l@b.test", 1, "", "l@b.test is a list: `postraft list`", NULL, NULL},
    };

    (void)state;
    write_file("many", "f1@b.test\n");
    check_rows(ROWS(rows));
}

static void test_accounts(void **state)
{
    static const struct row rows[] = {
        {P "forward set a@b.test x@c.test y@c.test --keep", 0, "and into its INBOX",
         "as it is now, mail is refused",
         "alter a@b.test forward=x@c.test,y@c.test, keep id=16;", NULL},
        {P "forward set a@b.test", 2, "", "needs ADDRESS TARGET...", "", NULL},
        {P "forward clear a@b.test", 0, "goes into its INBOX", "",
         "alter a@b.test forward= id=16;", NULL},
        {P "account disable a@b.test --send --login", 0, "may not: submit mail, get mail", "",
         "alter a@b.test set=3 clear=0 id=16;", NULL},
        {P "account disable a@b.test", 0, NULL, "", "alter a@b.test set=7 clear=0 id=16;",
         NULL},
        {P "account enable a@b.test --receive", 0, NULL, "",
         "alter a@b.test set=0 clear=4 id=16;", NULL},
        {P "account rights a@b.test --add @c.test --remove d@c.test", 0, "@c.test", "",
         "alter a@b.test +@c.test -d@c.test id=16;", NULL},
        {P "account rights a@b.test --add x@none.test", 0, NULL, "no domain none.test", NULL,
         NULL},
        {P "account rights a@b.test --add @t2.test", 0, NULL, "belongs to tenant t2", NULL,
         NULL},
        {P "account rights a@b.test", 0, "may also send as @c.test", "", "show a@b.test id=0;",
         NULL},
        {P "account app-password add a@b.test phone --for imap,submission", 0, "abcd-efgh", "",
         "app_make a@b.test phone 3 id=16;", NULL},
        {P "account app-password add a@b.test phone --for pop", 2, "", "imap, submission", "",
         NULL},
        {P "account app-password", 2, "", "\"account app-password list\"", "", NULL},
        {P "account app-password list a@b.test", 0, "tablet", "", NULL, NULL},
        {P "account app-password remove a@b.test tablet --yes", 0, "removed", "",
         "app_remove a@b.test 8 id=16;", NULL},
        {P "account app-password remove a@b.test twice --yes", 1, "", "several", NULL, NULL},
        {P "account app-password remove a@b.test 3 --yes", 1, "", "no app password \"3\"", NULL,
         NULL},
        {P "account totp on a@b.test", 1, "", "--yes", NULL, NULL}, /* there is one */
        {P "account totp on a@b.test --yes", 0, "otpauth://totp/x", "",
         "totp a@b.test on id=16;", NULL},
        {P "account totp off a@b.test", 0, "without one-time codes", "",
         "totp a@b.test off id=16;", NULL},
        {P "account show a@b.test", 0, "send, receive", "", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_routes(void **state)
{
    static const struct row rows[] = {
        {P "domain route b.test --catch-all x@b.test --catch-all y@b.test", 0, NULL, "",
         "route b.test all=x@b.test,y@b.test, marks=- id=16;", NULL},
        /* the separators stay, the catch-all goes */
        {P "domain route b.test --forward-to c.test", 0, NULL, "",
         "route b.test to=c.test marks=- id=16;", NULL},
        {P "domain route b.test --alias-of c.test", 0, NULL, "",
         "route b.test alias=c.test id=16;", NULL},
        {P "domain route b.test --separators default", 0, NULL, "",
         "route b.test all=c@b.test, id=16;", NULL},
        {P "domain route b.test --separators none --none", 0, NULL, "",
         "route b.test marks= id=16;", NULL},
        {P "domain route b.test --none", 0, NULL, "", "route b.test nothing id=16;", NULL},
        {P "domain route b.test --none --alias-of c.test", 2, "", "exclude", NULL, NULL},
        {P "domain route b.test", 0, "catch-all    c@b.test", "", "domain_show b.test id=0;",
         NULL},
        {P "address explain a@b.test --from <>", 0,
         "  1  first\n  2  second\nmail is refused: "
         "this sender may not write to the list\n",
         "", "explain a@b.test from=<> id=0;", NULL},
        {P "address explain a@b.test --json", 0, "\"result\": \"refused\"", "", NULL, NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_settings(void **state)
{
    static const struct row rows[] = {
        {P "setting set mail.outbound on --tenant t", 0, "mail.outbound is on for tenant t", "",
         "put 1 t mail.outbound=on id=16;", NULL},
        {P "setting set mail.outbound on --tenant t --domain d.test", 2, "", "exclude", "",
         NULL},
        {P "setting set mail.none on", 1, "", "there is no setting mail.none", "", NULL},
        {P "setting set mail.outbound", 2, "", "needs NAME VALUE", "", NULL},
        {P "setting unset mail.outbound", 0, "its default is off", "", NULL, NULL},
        {P "setting set firewall.none 5", 1, "", "`postraft firewall rules`", "", NULL},
        {P "setting set firewall.address-open 5", 0, "is 5 for the cluster", "",
         "put 0  firewall.address-open=5 id=16;", NULL},
        {P "setting unset firewall.none", 0, NULL, "", "put 0  firewall.none= id=16;", NULL},
        {P "setting show mail.full --account a@b.test", 0,
         "mail.full permanent account a@b.test", "",
         "settings 3 a@b.test id=0;settings 2 b.test id=0;settings 0  id=0;", NULL},
        {P "setting show mail --domain b.test", 0, "mail.outbound   off       default", "",
         NULL, NULL},
        {P "setting show mai", 1, "", "there is no setting mai", NULL, NULL},
        {P "setting show --account a@b.test --domain b.test", 2, "", "exclude", "", NULL},
        {P "setting unset mail.outbound --account a@b.test", 0, "`postraft setting show", "",
         "put 3 a@b.test mail.outbound= id=16;", NULL},
        {P "setting list --domain d.test", 0, "mail.full permanent policy", "",
         "settings 2 d.test id=0;", NULL},
        {P "setting help", 0, "judge.fcrdns.weight", "", "", NULL},
        {P "setting help mail.full", 0, "policy|permanent|temporary", "", "", NULL},
        {P "setting help firewall.address-open", 0, "limits of a rule", "", "", NULL},
        {P "setting help judge.fcrdns", 0, "judge.fcrdns.weight", "", "", NULL},
        {P "setting help mail.none", 1, "", "there is no setting", "", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_queue(void **state)
{
    static const struct row rows[] = {
        /* two pages of two groups */
        {P "queue list --from a@b.test --to c.test", 0, "2/17", "",
         "queue a@b.test c.test 0/0 id=0;queue a@b.test c.test 2/17 id=0;", NULL},
        {P "queue list --json", 0, "\"id\": \"3/1\"", NULL, NULL, NULL},
        {P "queue show 2/17", 0, "no such host", "", NULL, NULL},
        {P "queue show 2/17", 0, "DESTINATION", "", NULL, NULL},
        {P "queue show 2/17", 0, QUEUED_TRACE, "", NULL, NULL},
        {P "queue list --id 01KAP5W8P0ABCDEFGHO123456J", 0, "2/17", NULL,
         "queue   0/0 trace=" QUEUED_TRACE " id=0;queue   2/17 trace=" QUEUED_TRACE " id=0;",
         NULL},
        {P "queue list --id 17", 2, "", "is no id of a delivery", "", NULL},
        {P "queue hold --id 17", 2, "", "is no id of a delivery", "", NULL},
        {P "queue show 2/99", 1, "", "there is no message 2/99", NULL, NULL},
        {P "queue show 17", 2, "", "it is GROUP/ID", "", NULL},
        {P "queue hold 2/17 3/1 2/18 --reason why", 0, "3 of 3 messages held", "",
         "queue_alter 2 17 18 action=0 why id=16;queue_alter 3 1 action=0 why id=16;", NULL},
        {P "queue release 2/17 2/x", 2, "", "it is GROUP/ID", "", NULL},
        {P "queue release 2/17", 0, NULL, "", "queue_alter 2 17 action=1  id=16;", NULL},
        {P "queue retry 2/17", 0, NULL, "", "queue_alter 2 17 action=3  id=16;", NULL},
        {P "queue drop 2/17", 1, "", "Forget 1 message, and tell nobody?", "", NULL},
        {P "queue hold", 2, "", "or choose them by --from, --to and --id", "", NULL},
        {P "queue hold 2/17 --from a@b.test", 2, "", "or choose them by --from", "", NULL},
        {P "queue drop --from a@b.test --to c.test", 1, "", "Forget 2 messages", NULL, NULL},
        {P "queue drop --from a@b.test --yes", 0, "2 of 2 messages dropped", "",
         "queue a@b.test  2/17 id=0;queue_alter 2 17 action=2  id=16;queue_alter 3 1 action=2  "
         "id=16;",
         NULL},
        {P "queue hold 2/404", 1, "0 of 1 message held", "", NULL, NULL},
        {P "queue drop 2/17 --yes", 0, "1 of 1 message dropped", "",
         "queue_alter 2 17 action=2  id=16;", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_senders(void **state)
{
    static const struct row rows[] = {
        {P "sender list", 0,
         "b\xc3\xbc"
         "cher.test suspect",
         "", "senders  id=0;", NULL},
        {P "sender list none.test", 0, "no domains", "", "senders none.test id=0;", NULL},
        {P "sender set c.test bad --reason why", 0, "is taken to be bad", "",
         "sender_put c.test 3 why id=16;", NULL},
        {P "sender set c.test checking", 0, "is looked at anew", "",
         "sender_put c.test 0  id=16;", NULL},
        {P "sender set c.test worse", 2, "", "good, suspect or bad", "", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

static void test_help(void **state)
{
    static const struct row rows[] = {
        {P "alias add --help", 0, "examples:\n  postraft alias add ", "", "", NULL},
        {P "queue list --help", 0, "what was said last", "", "", NULL},
        {P "account app-password add --help", 0, "--for WHAT", "", "", NULL},
        {P "alias list a b", 2, "", "\"b\" is too much", "", NULL},
        {P "alias list --owner x", 2, "", "takes no --owner", "", NULL},
    };

    (void)state;
    check_rows(ROWS(rows));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aliases),  cmocka_unit_test(test_lists),
        cmocka_unit_test(test_accounts), cmocka_unit_test(test_routes),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_queue),
        cmocka_unit_test(test_senders),  cmocka_unit_test(test_help),
    };

    log_init("test", LOG_LEVEL_ERROR, false);
    if (getenv(CHILD) != NULL)
        return cli_main(argc, argv);
    return cmocka_run_group_tests(tests, open_store, close_store);
}
