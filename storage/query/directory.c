/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/directory.h"

#include "storage/machine/directory.h"
#include "storage/schema/address.h"

Pr__ClusterRecord *directory_cluster(struct db_txn *txn, struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_CLUSTER, key_group(&key, DIRECTORY_GROUP),
                          &pr__cluster_record__descriptor, arena);
}

Pr__NodeRecord *directory_node(struct db_txn *txn, uint64_t node_id, struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_NODE, key_number(&key, DIRECTORY_GROUP, node_id),
                          &pr__node_record__descriptor, arena);
}

Pr__GroupRecord *directory_group(struct db_txn *txn, uint32_t group, struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_GROUP, key_small_number(&key, DIRECTORY_GROUP, group),
                          &pr__group_record__descriptor, arena);
}

Pr__TenantRecord *directory_tenant(struct db_txn *txn, struct bytes name, struct arena *arena)
{
    struct key key;

    if (name.len > DIRECTORY_NAME_SIZE_MAX)
        return NULL;
    return directory_load(txn, TABLE_TENANT, key_name(&key, DIRECTORY_GROUP, name),
                          &pr__tenant_record__descriptor, arena);
}

Pr__DomainRecord *directory_domain(struct db_txn *txn, struct bytes name, struct arena *arena)
{
    struct key key;

    if (name.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return NULL;
    return directory_load(txn, TABLE_DOMAIN, key_name(&key, DIRECTORY_GROUP, name),
                          &pr__domain_record__descriptor, arena);
}

/* The key of a folded address; false for what cannot be in the table. */
static bool address_key(struct key *key, struct bytes address)
{
    struct bytes local;
    struct bytes domain;

    if (!address_split(address, &local, &domain) || local.len > DIRECTORY_LOCAL_SIZE_MAX ||
        domain.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return false;
    key_address(key, DIRECTORY_GROUP, local, domain);
    return true;
}

Pr__AccountRecord *directory_account(struct db_txn *txn, struct bytes address,
                                     struct arena *arena)
{
    struct key key;

    if (!address_key(&key, address))
        return NULL;
    return directory_load(txn, TABLE_ADDRESS, bytes_from(key.at, key.len),
                          &pr__account_record__descriptor, arena);
}

bool directory_token_good(struct db_txn *txn, struct bytes hash, uint64_t now_ms)
{
    struct arena arena;
    struct key key;
    Pr__TokenRecord *token;
    bool good;

    if (hash.len != DIRECTORY_HASH_SIZE)
        return false;
    arena_init(&arena);
    token = directory_load(txn, TABLE_TOKEN, key_name(&key, DIRECTORY_GROUP, hash),
                           &pr__token_record__descriptor, &arena);
    good = token != NULL && token->expires_ms > now_ms;
    arena_fini(&arena);
    return good;
}

bool directory_account_by_id(struct db_txn *txn, uint64_t account_id, struct arena *arena,
                             struct bytes *address, uint32_t *group)
{
    struct key key;
    struct bytes row;
    Pr__AccountRecord *account;

    if (db_get(txn, TABLE_ACCOUNT, key_number(&key, DIRECTORY_GROUP, account_id), &row) !=
        ERR_OK)
        return false;
    *address = arena_copy(arena, row);
    account = directory_account(txn, *address, arena);
    if (account == NULL)
        return false;
    *group = account->group;
    return true;
}

/* Rows of a table in order, from behind the key `after` (none: from the first). */
struct page {
    struct db_txn *txn;
    struct db_cursor *cursor;
    const ProtobufCMessageDescriptor *descriptor;
    struct arena *arena;
    struct key prefix;
    bool more;
    struct bytes key;
    struct bytes row;
    void **records;
    size_t count;
    size_t room;
};

static void page_begin(struct page *page, struct db_txn *txn, enum db_table table,
                       const ProtobufCMessageDescriptor *descriptor, struct bytes prefix,
                       const struct key *after, struct arena *arena)
{
    struct bytes behind = {after != NULL ? after->at : NULL, after != NULL ? after->len : 0};

    *page = (struct page){.txn = txn, .descriptor = descriptor, .arena = arena};
    page->prefix.len = prefix.len;
    memcpy(page->prefix.at, prefix.at, prefix.len);
    page->cursor = db_cursor_open(txn, table, bytes_from(page->prefix.at, page->prefix.len));
    if (after == NULL) {
        page->more = db_cursor_first(page->cursor, &page->key, &page->row);
        return;
    }
    page->more = db_cursor_seek(page->cursor, behind, &page->key, &page->row);
    if (page->more && bytes_equal(page->key, behind))
        page->more = db_cursor_next(page->cursor, &page->key, &page->row);
}

/* The record here, NULL at the end; moves on. */
static void *page_next(struct page *page)
{
    void *record;

    if (!page->more)
        return NULL;
    record = directory_unpack(page->txn, page->row, page->descriptor, page->arena);
    page->more = record != NULL && db_cursor_next(page->cursor, &page->key, &page->row);
    return record;
}

static void page_add(struct page *page, void *record)
{
    if (page->count == page->room) {
        void **grown;
        page->room = page->room == 0 ? 16 : page->room * 2;
        grown = arena_alloc(page->arena, page->room * sizeof(*grown));
        if (page->count > 0)
            memcpy(grown, page->records, page->count * sizeof(*grown));
        page->records = grown;
    }
    page->records[page->count++] = record;
}

static void page_fill(struct page *page, unsigned limit)
{
    void *record;

    while (page->count < limit && (record = page_next(page)) != NULL)
        page_add(page, record);
}

/* The lists of pointers to messages are lists of void pointers. */
static bool page_end(struct page *page, void *records, size_t *count)
{
    bool more = page->more;

    memcpy(records, &page->records, sizeof(page->records));
    *count = page->count;
    db_cursor_close(&page->cursor);
    return more;
}

static struct bytes all_rows(struct key *key)
{
    return key_group(key, DIRECTORY_GROUP);
}

void directory_nodes(struct db_txn *txn, struct arena *arena, Pr__NodeRecord ***nodes,
                     size_t *count)
{
    struct page page;
    struct key key;

    page_begin(&page, txn, TABLE_NODE, &pr__node_record__descriptor, all_rows(&key), NULL,
               arena);
    page_fill(&page, UINT32_MAX);
    page_end(&page, nodes, count);
}

void directory_groups(struct db_txn *txn, struct arena *arena, Pr__GroupRecord ***groups,
                      size_t *count)
{
    struct page page;
    struct key key;

    page_begin(&page, txn, TABLE_GROUP, &pr__group_record__descriptor, all_rows(&key), NULL,
               arena);
    page_fill(&page, UINT32_MAX);
    page_end(&page, groups, count);
}

/* `name`, cut to what a key takes: no name in the table is longer. */
static const struct key *after_name(struct key *key, struct bytes name)
{
    if (name.len == 0)
        return NULL;
    if (name.len > DIRECTORY_DOMAIN_SIZE_MAX)
        name.len = DIRECTORY_DOMAIN_SIZE_MAX;
    key_name(key, DIRECTORY_GROUP, name);
    return key;
}

bool directory_tenants(struct db_txn *txn, struct bytes after, unsigned limit,
                       struct arena *arena, Pr__TenantRecord ***tenants, size_t *count)
{
    struct page page;
    struct key key;
    struct key behind;

    page_begin(&page, txn, TABLE_TENANT, &pr__tenant_record__descriptor, all_rows(&key),
               after_name(&behind, after), arena);
    page_fill(&page, limit);
    return page_end(&page, tenants, count);
}

bool directory_domains(struct db_txn *txn, struct bytes tenant, struct bytes after,
                       unsigned limit, struct arena *arena, Pr__DomainRecord ***domains,
                       size_t *count)
{
    struct page page;
    struct key key;
    struct key behind;
    Pr__DomainRecord *domain;
    bool more = false;

    page_begin(&page, txn, TABLE_DOMAIN, &pr__domain_record__descriptor, all_rows(&key),
               after_name(&behind, after), arena);
    while ((domain = page_next(&page)) != NULL) {
        if (tenant.len > 0 && !bytes_equal(bytes_of(domain->tenant), tenant))
            continue;
        if (page.count == limit) {
            more = true;
            break;
        }
        page_add(&page, domain);
    }
    page_end(&page, domains, count);
    return more;
}

bool directory_accounts(struct db_txn *txn, struct bytes domain, struct bytes after,
                        unsigned limit, struct arena *arena, Pr__AccountRecord ***accounts,
                        size_t *count)
{
    struct page page;
    struct key key;
    struct key behind;
    struct bytes prefix;

    *accounts = NULL;
    *count = 0;
    if (domain.len > DIRECTORY_DOMAIN_SIZE_MAX)
        return false;
    prefix = domain.len > 0 ? key_address(&key, DIRECTORY_GROUP, bytes_from(NULL, 0), domain)
                            : all_rows(&key);
    page_begin(&page, txn, TABLE_ADDRESS, &pr__account_record__descriptor, prefix,
               address_key(&behind, after) ? &behind : NULL, arena);
    page_fill(&page, limit);
    return page_end(&page, accounts, count);
}
