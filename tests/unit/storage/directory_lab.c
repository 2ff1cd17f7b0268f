/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/directory_lab.h"

#include "node/base/check.h"
#include "storage/machine/directory.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"

static char *text(struct lab *lab, const char *source)
{
    return arena_string(&lab->arena, bytes_of(source));
}

char **directory_lab_texts(struct lab *lab, size_t count, const char *const *texts)
{
    char **copies = arena_alloc(&lab->arena, count * sizeof(*copies));

    for (size_t i = 0; i < count; i++)
        copies[i] = text(lab, texts[i]);
    return copies;
}

ProtobufCBinaryData directory_lab_bytes(struct lab *lab, size_t size, uint8_t byte)
{
    uint8_t *bytes = arena_alloc(&lab->arena, size);

    memset(bytes, byte, size);
    return (ProtobufCBinaryData){.len = size, .data = bytes};
}

void directory_lab_open(struct lab *lab, unsigned format)
{
    lab_open(lab);
    CHECK(RUN(ClusterCreate, cluster_create, CLUSTER_CREATE,
              .cluster_id = TEXT("0123456789abcdef0123456789abcdef"), .name = TEXT("test"),
              .mail_groups = DIRECTORY_LAB_GROUPS, .format = format,
              .node =
                  CALL(NodeJoin, node_join, .name = TEXT("n1"), .data_center = TEXT("dc1"),
                       .raft_address = TEXT("127.0.0.1:1"), .rpc_address = TEXT("127.0.0.1:2"),
                       .join_address = TEXT("127.0.0.1:3")))
              ->err == ERR_OK);
    CHECK(RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("acme"))->err == ERR_OK);
    CHECK(RUN(TenantAdd, tenant_add, TENANT_ADD, .name = TEXT("bar"))->err == ERR_OK);
    CHECK(directory_lab_domain(lab, "acme.example", "acme")->err == ERR_OK);
    CHECK(directory_lab_domain(lab, "sub.example", "acme")->err == ERR_OK);
    CHECK(directory_lab_domain(lab, "bar.example", "bar")->err == ERR_OK);
}

void directory_lab_raise(struct lab *lab, unsigned format)
{
    CHECK(RUN(FormatRaise, format_raise, FORMAT_RAISE, .format = format)->err == ERR_OK);
}

Pr__Outcome *directory_lab_domain(struct lab *lab, const char *name, const char *tenant)
{
    return RUN(DomainAdd, domain_add, DOMAIN_ADD, .name = text(lab, name),
               .tenant = text(lab, tenant));
}

Pr__Outcome *directory_lab_account(struct lab *lab, const char *address)
{
    return RUN(AccountAdd, account_add, ACCOUNT_ADD, .address = text(lab, address),
               .password_hash = TEXT("$argon2id$..."));
}

Pr__Outcome *directory_lab_alias(struct lab *lab, const char *address, const char *target)
{
    return RUN(AliasAdd, alias_add, ALIAS_ADD, .address = text(lab, address),
               LIST(targets, target));
}

Pr__Outcome *directory_lab_list(struct lab *lab, const char *address, const char *member,
                                const char *owner)
{
    return RUN(AliasAdd, alias_add, ALIAS_ADD, .address = text(lab, address),
               LIST(targets, member),
               .list = CALL(ListSettings, list_settings, .owner = text(lab, owner),
                            .description = TEXT("A list")));
}

Pr__Outcome *directory_lab_role(struct lab *lab)
{
    return RUN(RoleAccountMake, role_account_make, ROLE_ACCOUNT_MAKE,
               .srs_key = directory_lab_bytes(lab, 32, 'k'),
               .auth_key = directory_lab_bytes(lab, 32, 'a'));
}

Pr__Outcome *directory_lab_set(struct lab *lab, Pr__SettingScope scope, const char *of,
                               const char *name, const char *value)
{
    return RUN(
        SettingPut, setting_put, SETTING_PUT, .scope = scope, .scope_name = text(lab, of),
        .setting = CALL(Setting, setting, .name = text(lab, name), .value = text(lab, value)));
}

/* ---- rows ---- */

Pr__AccountRecord *directory_lab_account_of(struct lab *lab, const char *address)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AccountRecord *account = directory_account(txn, bytes_of(address), &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return account;
}

Pr__AliasRecord *directory_lab_alias_of(struct lab *lab, const char *address)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AliasRecord *alias = directory_alias(txn, bytes_of(address), &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return alias;
}

Pr__DomainRecord *directory_lab_domain_of(struct lab *lab, const char *name)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__DomainRecord *domain = directory_domain(txn, bytes_of(name), &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return domain;
}

Pr__ClusterRecord *directory_lab_cluster(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__ClusterRecord *cluster = directory_cluster(txn, &lab->arena);

    CHECK(db_commit(&txn) == ERR_OK);
    return cluster;
}

/* ---- everything again ---- */

struct rows {
    void **at;
    size_t count;
};

static struct rows rows_load(struct db_txn *txn, enum db_table table,
                             const ProtobufCMessageDescriptor *descriptor, struct arena *arena)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct rows rows = {NULL, 0};
    size_t room = 0;
    struct db_cursor *cursor = db_cursor_open(txn, table, key_group(&prefix, DIRECTORY_GROUP));

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        if (rows.count == room) {
            room = room == 0 ? 64 : 2 * room;
            void **wider = arena_alloc(arena, room * sizeof(*wider));
            if (rows.count > 0)
                memcpy(wider, rows.at, rows.count * sizeof(*wider));
            rows.at = wider;
        }
        rows.at[rows.count] = arena_string(arena, row);
        if (descriptor != NULL)
            rows.at[rows.count] = directory_unpack(txn, row, descriptor, arena);
        CHECK(rows.at[rows.count++] != NULL);
    }
    db_cursor_close(&cursor);
    return rows;
}

struct all {
    struct db_txn *txn;
    struct arena *arena;
    struct rows accounts;
    struct rows aliases;
    struct rows domains;
    struct rows groups;
};

static bool is_of(const char *address, const char *domain)
{
    struct bytes local;
    struct bytes name;

    return address_split(bytes_of(address), &local, &name) &&
           bytes_equal(name, bytes_of(domain));
}

static void domain_check(const struct all *all, const Pr__DomainRecord *domain)
{
    uint64_t accounts = 0;
    uint64_t aliases = 0;
    uint64_t alias_domains = 0;

    for (size_t i = 0; i < all->accounts.count; i++) {
        const Pr__AccountRecord *account = all->accounts.at[i];
        accounts += is_of(account->address, domain->name);
    }
    for (size_t i = 0; i < all->aliases.count; i++) {
        const Pr__AliasRecord *alias = all->aliases.at[i];
        aliases += is_of(alias->address, domain->name);
    }
    for (size_t i = 0; i < all->domains.count; i++) {
        const Pr__DomainRecord *other = all->domains.at[i];
        alias_domains +=
            other->routing != NULL && strcmp(other->routing->alias_of, domain->name) == 0;
    }
    CHECK(domain->accounts == accounts);
    CHECK(domain->aliases == aliases);
    CHECK(domain->alias_domains == alias_domains);
    if (domain->routing != NULL && domain->routing->alias_of[0] != '\0') {
        const Pr__DomainRecord *target =
            directory_domain(all->txn, bytes_of(domain->routing->alias_of), all->arena);
        CHECK(accounts + aliases + alias_domains == 0);
        CHECK(target != NULL && strcmp(target->tenant, domain->tenant) == 0);
        CHECK(target->routing == NULL || target->routing->alias_of[0] == '\0');
    }
}

static void groups_check(const struct all *all)
{
    for (size_t g = 0; g < all->groups.count; g++) {
        const Pr__GroupRecord *group = all->groups.at[g];
        uint64_t accounts = 0;
        for (size_t i = 0; i < all->accounts.count; i++) {
            const Pr__AccountRecord *account = all->accounts.at[i];
            accounts += account->group == group->group;
        }
        CHECK(group->accounts == accounts);
    }
}

static void owners_check(const struct all *all)
{
    for (size_t i = 0; i < all->accounts.count; i++) {
        const Pr__AccountRecord *account = all->accounts.at[i];
        CHECK(directory_alias(all->txn, bytes_of(account->address), all->arena) == NULL);
    }
    for (size_t i = 0; i < all->aliases.count; i++) {
        const Pr__AliasRecord *alias = all->aliases.at[i];
        for (unsigned part = 0; alias->list != NULL && part < LIST_PARTS; part++) {
            struct bytes address =
                address_of_list(all->arena, bytes_of(alias->address), (enum list_part)part);
            CHECK(directory_alias(all->txn, address, all->arena) == NULL);
            CHECK(directory_account(all->txn, address, all->arena) == NULL);
        }
    }
}

void directory_lab_recount(struct lab *lab)
{
    struct arena arena;
    struct db_txn *txn = lab->txn != NULL ? lab->txn : db_read_begin(lab->db);
    struct all all = {.txn = txn, .arena = &arena};
    const Pr__ClusterRecord *cluster;

    arena_init(&arena);
    all.accounts = rows_load(txn, TABLE_ADDRESS, &pr__account_record__descriptor, &arena);
    all.aliases = rows_load(txn, TABLE_ALIAS, &pr__alias_record__descriptor, &arena);
    all.domains = rows_load(txn, TABLE_DOMAIN, &pr__domain_record__descriptor, &arena);
    all.groups = rows_load(txn, TABLE_GROUP, &pr__group_record__descriptor, &arena);
    for (size_t i = 0; i < all.domains.count; i++)
        domain_check(&all, all.domains.at[i]);
    groups_check(&all);
    owners_check(&all);
    cluster = directory_cluster(txn, &arena);
    CHECK(rows_load(txn, TABLE_ACCOUNT, NULL, &arena).count == all.accounts.count);
    CHECK(rows_load(txn, TABLE_FIREWALL, NULL, &arena).count == cluster->firewall_entries);
    CHECK(rows_load(txn, TABLE_SENDER_DOMAIN, NULL, &arena).count == cluster->sender_domains);
    arena_fini(&arena);
    if (lab->txn == NULL)
        CHECK(db_commit(&txn) == ERR_OK);
}
