/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands around the calls of operators in their test; included by test_operator.c alone.
 */

/*
 * What operators' calls make of what they are asked: which command, which refusal. The
 * directory holds one account; writes are answered from `script`.
 */
static struct service service;
static struct arena arena;
static uint64_t now_ms;
static unsigned directory_format;
static unsigned undelete_days;

static struct {
    unsigned answers;
    enum err err;
    char text[256];
} heard;

static struct {
    unsigned count;
    Pr__Command__CallCase calls[16];
    uint32_t groups[16];
    char names[16][128];
    uint64_t keep_ms;
    struct {
        enum err err;
        enum err refusal;
    } script[16];
} writes;

static struct {
    enum err fresh; /* of reads that ask the majority */
    enum err local;
    unsigned fresh_count;
} reads;

/* ---- what stands around operator.c ---- */

static void answered(struct service_call *call, enum err err, const char *text)
{
    heard.answers++;
    heard.err = err;
    audit_reply(call, err, text); /* as call_reply() does it */
    strncpy(heard.text, text != NULL ? text : "", sizeof(heard.text) - 1);
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    answered(call, (enum err)reply->err, reply->text);
}

void call_reply_packed(struct service_call *call, struct bytes packed)
{
    Pr__Reply *reply = pr__reply__unpack(NULL, packed.len, packed.at);

    assert_non_null(reply);
    answered(call, (enum err)reply->err, reply->text);
    pr__reply__free_unpacked(reply, NULL);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    answered(call, err, text);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    answered(call, err != ERR_OK ? err : (enum err)outcome->err, "");
}

void write_start(struct service *to, uint32_t group, Pr__Command *command, uint64_t deadline_ms,
                 write_done *done, void *context)
{
    unsigned at = writes.count++;
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    const char *name = "";

    (void)to;
    (void)deadline_ms;
    assert_true(at < 16);
    writes.calls[at] = command->call_case;
    writes.groups[at] = group;
    if (command->call_case == PR__COMMAND__CALL_TENANT_ADD)
        name = command->tenant_add->name;
    if (command->call_case == PR__COMMAND__CALL_DOMAIN_ADD)
        name = command->domain_add->name;
    if (command->call_case == PR__COMMAND__CALL_ACCOUNT_ADD)
        name = command->account_add->address;
    if (command->call_case == PR__COMMAND__CALL_ACCOUNT_REMOVE) {
        name = command->account_remove->address;
        writes.keep_ms = command->account_remove->keep_ms;
    }
    strncpy(writes.names[at], name, sizeof(writes.names[0]) - 1);
    outcome.err = writes.script[at].refusal;
    done(context, writes.script[at].err, &outcome, 1);
}

static void write_answered(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index)
{
    (void)index;
    call_outcome(context, err, outcome);
}

void write_call(struct service_call *call, uint32_t group, Pr__Command *command)
{
    write_start(call->service, group, command, call->deadline_ms, write_answered, call);
}

void read_start(struct read_job *job)
{
    enum err err = job->fresh ? reads.fresh : reads.local;

    assert_int_equal(job->group, DIRECTORY_GROUP);
    reads.fresh_count += job->fresh;
    if (err == ERR_OK)
        job->work(job, NULL);
    job->done(job, err, 1);
}

Pr__AccountRecord *directory_account(struct db_txn *txn, struct bytes address,
                                     struct arena *record_arena)
{
    Pr__AccountRecord *record = arena_alloc(record_arena, sizeof(*record));

    (void)txn;
    if (!bytes_equal(address, BYTES("bob@example.test")))
        return NULL;
    pr__account_record__init(record);
    record->id = 9;
    record->group = 4;
    return record;
}

bool directory_tenants(struct db_txn *txn, struct bytes after, unsigned limit,
                       struct arena *list_arena, Pr__TenantRecord ***tenants, size_t *count)
{
    (void)txn;
    (void)after;
    (void)list_arena;
    assert_int_equal(limit, OPERATOR_LIST_DEFAULT);
    *tenants = NULL;
    *count = 0;
    return false;
}

Pr__TenantRecord *directory_tenant(struct db_txn *txn, struct bytes name,
                                   struct arena *list_arena)
{
    Pr__TenantRecord *tenant = arena_alloc(list_arena, sizeof(*tenant));

    (void)txn;
    (void)name;
    pr__tenant_record__init(tenant);
    return tenant;
}

bool directory_domains(struct db_txn *txn, struct bytes tenant, struct bytes after,
                       unsigned limit, struct arena *list_arena, Pr__DomainRecord ***domains,
                       size_t *count)
{
    (void)tenant;
    return directory_tenants(txn, after, limit, list_arena, (void *)domains, count);
}

bool directory_accounts(struct db_txn *txn, struct bytes domain, struct bytes after,
                        unsigned limit, struct arena *list_arena, Pr__AccountRecord ***accounts,
                        size_t *count)
{
    (void)domain;
    return directory_tenants(txn, after, limit, list_arena, (void *)accounts, count);
}

unsigned machine_format(struct db_txn *txn, uint32_t group)
{
    (void)txn;
    assert_int_equal(group, DIRECTORY_GROUP);
    return directory_format;
}

unsigned service_format(struct service *self, uint32_t group)
{
    assert_ptr_equal(self, &service);
    return machine_format(NULL, group);
}

void scopes_usage_start(struct service_call *call, Pr__ScopeKind kind, uint64_t *ids,
                        size_t count, scopes_usage_done *done)
{
    (void)kind;
    (void)ids;
    (void)count;
    done(call, NULL, NULL, 0);
}

Pr__AccountQuota *sending_tenant_total(struct db_txn *txn, uint64_t tenant_id,
                                       struct arena *total_arena)
{
    Pr__AccountQuota *total = arena_alloc(total_arena, sizeof(*total));

    (void)txn;
    (void)tenant_id;
    pr__account_quota__init(total);
    return total;
}

Pr__MailPolicy *limits_policy(struct db_txn *txn, struct arena *policy_arena)
{
    Pr__MailPolicy *policy = arena_alloc(policy_arena, sizeof(*policy));

    (void)txn;
    pr__mail_policy__init(policy);
    policy->undelete_days = undelete_days;
    return policy;
}

struct passwords *duties_passwords(struct duties *duties)
{
    (void)duties;
    return NULL;
}

void passwords_hash(struct passwords *passwords, struct bytes password, passwords_done *done,
                    void *context)
{
    (void)passwords;
    (void)password;
    done(context, ERR_OK, BYTES("$argon2id$hash"));
}

uint64_t clock_monotonic_ms(void)
{
    return now_ms;
}

#define NOT_HERE(name)                                                                         \
    void name(struct service_call *call)                                                       \
    {                                                                                          \
        call_fail(call, ERR_UNSUPPORTED, #name);                                               \
    }
NOT_HERE(cluster_init_call)
NOT_HERE(cluster_token_call)
NOT_HERE(cluster_status_call)
NOT_HERE(cluster_upgrade_call)
NOT_HERE(join_call)
NOT_HERE(node_alter_call)
NOT_HERE(group_add_call)
NOT_HERE(group_lead_call)
NOT_HERE(replication_read_call)
NOT_HERE(replication_change_call)
NOT_HERE(rebalance_call)
NOT_HERE(recover_look_call)
NOT_HERE(recover_run_call)
NOT_HERE(node_list_call)
NOT_HERE(group_list_call)
NOT_HERE(account_show_call)
NOT_HERE(account_undelete_call)
NOT_HERE(account_restore_call)
NOT_HERE(account_move_call)
NOT_HERE(account_purge_call)
NOT_HERE(quota_set_call)
NOT_HERE(policy_show_call)
NOT_HERE(policy_set_call)
NOT_HERE(storage_stat_call)
NOT_HERE(storage_check_call)
NOT_HERE(alias_add_call)
NOT_HERE(alias_change_call)
NOT_HERE(alias_remove_call)
NOT_HERE(domain_route_call)
NOT_HERE(account_alter_call)
NOT_HERE(app_password_make_call)
NOT_HERE(app_password_remove_call)
NOT_HERE(totp_make_call)
NOT_HERE(setting_put_call)
NOT_HERE(setting_list_call)
NOT_HERE(firewall_put_call)
NOT_HERE(firewall_remove_call)
NOT_HERE(firewall_list_call)
NOT_HERE(firewall_explain_call)
NOT_HERE(storage_compact_call)
NOT_HERE(alias_list_call)
NOT_HERE(domain_show_call)
NOT_HERE(address_explain_call)
NOT_HERE(queue_list_call)
NOT_HERE(queue_alter_call)
NOT_HERE(sender_domain_list_call)
NOT_HERE(sender_domain_put_call)

/* Of the rule itself its own test knows; here "guessable" is what it refuses. */
void password_rule_check(struct service *of, struct bytes address, struct bytes password,
                         password_rule_done *done, void *context)
{
    (void)of;
    (void)address;
    done(context, bytes_equal(password, BYTES("guessable")) ? "Too easy." : NULL);
}
