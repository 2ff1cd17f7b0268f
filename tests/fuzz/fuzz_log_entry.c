/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log entries from anywhere. An input is a byte that chooses the group (0: the directory), then
 * entries, each behind its length in two bytes. They are applied to a small state in a
 * transaction that is given up afterwards; whatever they do, the promises between the tables
 * hold.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/directory_lab.h"

enum { GROUP = 1, ACCOUNT = 1, ENTRIES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab lab;

static void lab_end(void)
{
    lab_close(&lab);
}

static void directory_prepare(void)
{
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    Pr__ClusterCreate cluster = PR__CLUSTER_CREATE__INIT;
    Pr__TenantAdd tenant = PR__TENANT_ADD__INIT;
    Pr__DomainAdd domain = PR__DOMAIN_ADD__INIT;
    Pr__AccountAdd account = PR__ACCOUNT_ADD__INIT;

    node.name = node.data_center = (char[]){"a"};
    node.raft_address = node.rpc_address = node.join_address = (char[]){"h:1"};
    cluster.cluster_id = (char[]){"0123456789abcdef0123456789abcdef"};
    cluster.name = (char[]){"c"};
    cluster.node = &node;
    cluster.mail_groups = 2;
    tenant.name = domain.tenant = (char[]){"t"};
    domain.name = (char[]){"d.example"};
    account.address = (char[]){"u@d.example"};
    account.password_hash = (char[]){"h"};
    CHECK(lab_apply(&lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &cluster))->err == 0);
    CHECK(lab_apply(&lab, 0, LAB_COMMAND(tenant_add, TENANT_ADD, &tenant))->err == 0);
    CHECK(lab_apply(&lab, 0, LAB_COMMAND(domain_add, DOMAIN_ADD, &domain))->err == 0);
    CHECK(lab_apply(&lab, 0, LAB_COMMAND(account_add, ACCOUNT_ADD, &account))->err == 0);
}

/* An account with messages of several flags and keywords, a mailbox below another, an upload.
 */
static void mail_prepare(void)
{
    Pr__FlagsChange flags = PR__FLAGS_CHANGE__INIT;
    Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
    Pr__UploadBlock upload = PR__UPLOAD_BLOCK__INIT;
    char *keywords[] = {(char[]){"work"}};

    for (unsigned i = 0; i < 6; i++)
        CHECK(lab_deliver(&lab, GROUP, ACCOUNT, BYTES("text"))->err == 0);
    flags.account_id = create.account_id = ACCOUNT;
    flags.mailbox_id = 1;
    flags.mode = PR__FLAGS_CHANGE__MODE__ADD;
    flags.flags = FLAG_DELETED;
    flags.keywords = keywords;
    flags.n_keywords = 1;
    flags.uids = lab_ranges(&lab, 2, (uint32_t[]){2, 3, 5, 5});
    flags.n_uids = 2;
    create.name = (char[]){"a/b"};
    upload.upload_id = lab_field(&lab, BYTES("0123456789abcdef"));
    upload.data = lab_field(&lab, BYTES("block"));
    CHECK(lab_apply(&lab, GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &flags))->err == 0);
    CHECK(lab_apply(&lab, GROUP, LAB_COMMAND(mailbox_create, MAILBOX_CREATE, &create))->err ==
          0);
    CHECK(lab_apply(&lab, GROUP, LAB_COMMAND(upload_block, UPLOAD_BLOCK, &upload))->err == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_from(data, size);
    uint32_t group;
    uint64_t index;

    if (lab.db == NULL) {
        lab_open(&lab);
        directory_prepare();
        mail_prepare();
        CHECK(atexit(lab_end) == 0);
    }
    if (size < 1)
        return 0;
    group = rest.at[0] == 0 ? 0 : GROUP;
    rest = bytes_skip(rest, 1);
    index = lab.index;
    lab.txn = db_write_begin(lab.db);
    for (unsigned i = 0; i < ENTRIES_MAX && rest.len >= 3; i++) {
        size_t len = (size_t)rest.at[0] << 8 | rest.at[1];
        rest = bytes_skip(rest, 2);
        if (len > rest.len)
            len = rest.len;
        if (len > 0)
            lab_apply_entry(&lab, group, bytes_from(rest.at, len));
        rest = bytes_skip(rest, len);
    }
    lab_invariants(&lab, GROUP);
    if (group == 0)
        directory_lab_recount(&lab);
    db_abort(&lab.txn);
    lab.index = index;
    lab.entry_count = 0;
    arena_reset(&lab.arena);
    return 0;
}
