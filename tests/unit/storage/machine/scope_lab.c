/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/machine/scope_lab.h"

#include "node/base/check.h"

#define TEXT(text) ((char[]){text})

Pr__Outcome *scope_lab_tenant(struct lab *lab, const char *name)
{
    Pr__TenantAdd call = PR__TENANT_ADD__INIT;

    call.name = arena_string(&lab->arena, bytes_of(name));
    return lab_apply(lab, 0, LAB_COMMAND(tenant_add, TENANT_ADD, &call));
}

Pr__Outcome *scope_lab_domain(struct lab *lab, const char *name)
{
    Pr__DomainAdd call = PR__DOMAIN_ADD__INIT;

    call.name = arena_string(&lab->arena, bytes_of(name));
    call.tenant = TEXT("acme");
    return lab_apply(lab, 0, LAB_COMMAND(domain_add, DOMAIN_ADD, &call));
}

void scope_lab_directory(struct lab *lab, unsigned format)
{
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    Pr__ClusterCreate call = PR__CLUSTER_CREATE__INIT;

    node.name = TEXT("n1");
    node.data_center = TEXT("dc1");
    node.raft_address = node.rpc_address = node.join_address = TEXT("127.0.0.1:1");
    call.cluster_id = TEXT("0123456789abcdef0123456789abcdef");
    call.name = TEXT("test");
    call.mail_groups = SCOPE_MAIL_GROUPS;
    call.format = format;
    call.node = &node;
    CHECK(lab_apply(lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &call))->err == ERR_OK);
    CHECK(scope_lab_tenant(lab, "acme")->err == ERR_OK);
    CHECK(scope_lab_domain(lab, "acme.example")->err == ERR_OK);
}

Pr__Outcome *scope_lab_together(struct lab *lab, const char *tenant, const char *domain,
                                uint64_t messages, uint64_t bytes)
{
    Pr__QuotaSet call = PR__QUOTA_SET__INIT;
    Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;

    call.tenant = arena_string(&lab->arena, bytes_of(tenant));
    call.domain = arena_string(&lab->arena, bytes_of(domain));
    call.together = true;
    quota.messages = messages;
    quota.bytes = bytes;
    call.quota = &quota;
    return lab_apply(lab, 0, LAB_COMMAND(quota_set, QUOTA_SET, &call));
}

void scope_lab_format(struct lab *lab, uint32_t group, unsigned format)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    raise.format = format;
    CHECK(lab_apply(lab, group, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err ==
          ERR_OK);
}

Pr__AccountScopes *scope_lab_of(struct lab *lab, uint64_t domain_id, uint64_t domain_limit,
                                uint64_t tenant_id, uint64_t tenant_limit)
{
    Pr__AccountScopes *scopes = arena_alloc(&lab->arena, sizeof(*scopes));

    pr__account_scopes__init(scopes);
    scopes->domain_id = domain_id;
    scopes->domain_limit = domain_limit;
    scopes->tenant_id = tenant_id;
    scopes->tenant_limit = tenant_limit;
    return scopes;
}

Pr__AccountScopes *scope_lab_in_a(struct lab *lab, uint64_t limit)
{
    return scope_lab_of(lab, DOMAIN_A, limit, TENANT, 0);
}

Pr__ScopeShare *scope_lab_share(struct lab *lab, Pr__ScopeKind kind, uint64_t id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__ScopeShare *share =
        scopes_share(txn, SCOPE_GROUP, (struct scopes_place){kind, id}, &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return share;
}

void scope_lab_expect(struct lab *lab, Pr__ScopeKind kind, uint64_t id, uint64_t messages,
                      uint64_t bytes)
{
    const Pr__ScopeShare *share = scope_lab_share(lab, kind, id);

    CHECK(share->used_messages == messages);
    CHECK(share->used_bytes == bytes);
    lab_invariants(lab, SCOPE_GROUP);
}

unsigned scope_lab_rows(struct lab *lab)
{
    Pr__ScopeShare **shares;
    size_t count;
    struct db_txn *txn = db_read_begin(lab->db);

    CHECK(!scopes_shares(txn, SCOPE_GROUP, (struct scopes_place){0}, 100, &lab->arena, &shares,
                         &count));
    CHECK(db_commit(&txn) == ERR_OK);
    return (unsigned)count;
}

Pr__Outcome *scope_lab_grant(struct lab *lab, Pr__ScopeKind kind, uint64_t id, uint64_t limit,
                             uint64_t version, uint64_t messages, uint64_t bytes)
{
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;

    share.kind = kind;
    share.scope_id = id;
    share.limit = limit;
    share.version = version;
    share.granted_messages = messages;
    share.granted_bytes = bytes;
    grant.share = &share;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(scope_grant, SCOPE_GRANT, &grant));
}

Pr__Outcome *scope_lab_deliver(struct lab *lab, const char *text, size_t count,
                               const uint64_t *accounts, Pr__AccountScopes *const *scopes)
{
    Pr__Deliver call = PR__DELIVER__INIT;
    Pr__Recipient recipients[4];
    Pr__Recipient *list[4];
    struct bytes body = bytes_of(text);

    for (size_t i = 0; i < count; i++) {
        pr__recipient__init(&recipients[i]);
        recipients[i].account_id = accounts[i];
        recipients[i].mailbox_id = i > 0 && accounts[i] == accounts[i - 1] ? TRASH : INBOX;
        recipients[i].scopes = scopes[i];
        list[i] = &recipients[i];
    }
    call.recipients = list;
    call.n_recipients = count;
    call.body = lab_body(lab, body, body.len);
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(deliver, DELIVER, &call));
}

Pr__Outcome *scope_lab_deliver_to(struct lab *lab, const char *text, uint64_t account,
                                  Pr__AccountScopes *scopes)
{
    return scope_lab_deliver(lab, text, 1, &account, &scopes);
}

Pr__Outcome *scope_lab_append(struct lab *lab, uint64_t account, const char *text,
                              Pr__AccountScopes *scopes)
{
    Pr__Append call = PR__APPEND__INIT;

    call.account_id = account;
    call.mailbox_id = INBOX;
    call.body = lab_body(lab, bytes_of(text), strlen(text));
    call.scopes = scopes;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(append, APPEND, &call));
}

Pr__Outcome *scope_lab_copy(struct lab *lab, uint64_t account, bool move,
                            Pr__AccountScopes *scopes)
{
    Pr__Copy call = PR__COPY__INIT;

    call.account_id = account;
    call.mailbox_id = INBOX;
    call.target_mailbox_id = TRASH;
    call.uids = lab_ranges(lab, 1, (uint32_t[]){1, 100});
    call.n_uids = 1;
    call.move = move;
    call.scopes = scopes;
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(copy, COPY, &call));
}

void scope_lab_expunge(struct lab *lab, uint64_t account, uint32_t mailbox, bool keep)
{
    Pr__FlagsChange flags = PR__FLAGS_CHANGE__INIT;
    Pr__Expunge call = PR__EXPUNGE__INIT;

    flags.account_id = call.account_id = account;
    flags.mailbox_id = call.mailbox_id = mailbox;
    flags.uids = lab_ranges(lab, 1, (uint32_t[]){1, 100});
    flags.n_uids = 1;
    flags.flags = FLAG_DELETED;
    call.keep = keep;
    CHECK(lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(flags_change, FLAGS_CHANGE, &flags))->err ==
          ERR_OK);
    CHECK(lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(expunge, EXPUNGE, &call))->err == ERR_OK);
}

Pr__Outcome *scope_lab_undelete(struct lab *lab, uint64_t account, Pr__AccountScopes *scopes)
{
    Pr__ExpungedList list = PR__EXPUNGED_LIST__INIT;
    Pr__ExpungedListAnswer answer = PR__EXPUNGED_LIST_ANSWER__INIT;
    Pr__Undelete call = PR__UNDELETE__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    CHECK(query_expunged(txn, (struct query_account){SCOPE_GROUP, account}, &list, &lab->arena,
                         &answer) == ERR_OK);
    call.account_id = account;
    call.n_messages = answer.n_messages;
    call.messages = arena_alloc(&lab->arena, (answer.n_messages + 1) * sizeof(*call.messages));
    for (size_t i = 0; i < answer.n_messages; i++)
        call.messages[i] = answer.messages[i]->id;
    call.scopes = scopes;
    CHECK(db_commit(&txn) == ERR_OK);
    return lab_apply(lab, SCOPE_GROUP, LAB_COMMAND(undelete, UNDELETE, &call));
}
