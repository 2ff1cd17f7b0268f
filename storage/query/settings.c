/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/settings.h"

#include "storage/machine/directory.h"
#include "storage/machine/directory_settings.h"
#include "storage/query/directory.h"
#include "storage/schema/address.h"

static uint64_t tenant_id(struct db_txn *txn, const char *name, struct arena *arena)
{
    const Pr__TenantRecord *tenant = directory_tenant(txn, bytes_of(name), arena);

    return tenant != NULL ? tenant->id : 0;
}

struct settings_place settings_place_domain(struct db_txn *txn, const Pr__DomainRecord *domain,
                                            struct arena *arena)
{
    if (domain == NULL)
        return (struct settings_place){0};
    return (struct settings_place){.tenant_id = tenant_id(txn, domain->tenant, arena),
                                   .domain_id = domain->id};
}

struct settings_place settings_place_account(struct db_txn *txn,
                                             const Pr__AccountRecord *account,
                                             struct arena *arena)
{
    struct settings_place place = {0};
    struct bytes local;
    struct bytes domain;

    if (address_split(bytes_of(account->address), &local, &domain))
        place = settings_place_domain(txn, directory_domain(txn, domain, arena), arena);
    place.account_id = account->id;
    return place;
}

/* The scope's id at a place; false: nobody there. */
static bool place_id(const struct settings_place *place, enum settings_scope scope,
                     uint64_t *id)
{
    const uint64_t ids[SETTINGS_SCOPES] = {0, place->tenant_id, place->domain_id,
                                           place->account_id};

    *id = ids[scope];
    return scope == SETTINGS_CLUSTER || *id != 0;
}

void settings_load(struct db_txn *txn, struct settings_place place, struct arena *arena,
                   struct settings *settings)
{
    settings_init(settings, arena);
    for (unsigned scope = SETTINGS_CLUSTER; scope < SETTINGS_SCOPES; scope++) {
        Pr__Setting **rows;
        size_t count;
        uint64_t id;
        if (!place_id(&place, (enum settings_scope)scope, &id))
            continue;
        settings_rows(txn, (Pr__SettingScope)scope, id, arena, &rows, &count);
        for (size_t i = 0; i < count; i++)
            settings_put(settings, (enum settings_scope)scope, bytes_of(rows[i]->name),
                         bytes_of(rows[i]->value));
    }
}

struct bytes settings_text(struct db_txn *txn, struct settings_place place, enum setting_id id,
                           struct arena *arena)
{
    struct bytes name = bytes_of(setting_row(id)->name);

    for (unsigned scope = SETTINGS_SCOPES; scope-- > 0;) {
        char reason[SETTINGS_REASON_SIZE];
        struct key key;
        struct bytes value;
        uint64_t of;
        if (place_id(&place, (enum settings_scope)scope, &of) &&
            db_get(txn, TABLE_SETTING, setting_key(&key, (Pr__SettingScope)scope, of, name),
                   &value) == ERR_OK &&
            value.len > 0 && settings_check(name, (enum settings_scope)scope, value, reason))
            return arena_copy(arena, value);
    }
    return setting_default(id);
}

int64_t settings_number(struct db_txn *txn, struct settings_place place, enum setting_id id)
{
    struct arena arena;
    int64_t number;

    arena_init(&arena);
    number = setting_number_of(id, settings_text(txn, place, id, &arena));
    arena_fini(&arena);
    return number;
}

void settings_rows(struct db_txn *txn, Pr__SettingScope scope, uint64_t id, struct arena *arena,
                   Pr__Setting ***rows, size_t *count)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    size_t room = 0;
    struct bytes all = setting_key(&prefix, scope, id, BYTES(""));
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_SETTING, all);

    *rows = NULL;
    *count = 0;
    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        Pr__Setting *row = arena_alloc(arena, sizeof(*row));
        if (*count == room) {
            Pr__Setting **wider;
            room = room == 0 ? 16 : 2 * room;
            wider = arena_alloc(arena, room * sizeof(*wider));
            if (*count > 0)
                memcpy(wider, *rows, *count * sizeof(*wider));
            *rows = wider;
        }
        pr__setting__init(row);
        row->name = arena_string(arena, bytes_skip(key, all.len));
        row->value = arena_string(arena, value);
        (*rows)[(*count)++] = row;
    }
    db_cursor_close(&cursor);
}

bool settings_scope_find(struct db_txn *txn, Pr__SettingScope scope, struct bytes name,
                         struct arena *arena, uint64_t *id)
{
    const Pr__TenantRecord *tenant;
    const Pr__DomainRecord *domain;
    const Pr__AccountRecord *account;

    *id = 0;
    switch ((int)scope) {
    case PR__SETTING_SCOPE__SETTING_CLUSTER:
        return name.len == 0;
    case PR__SETTING_SCOPE__SETTING_TENANT:
        tenant = directory_tenant(txn, name, arena);
        *id = tenant != NULL ? tenant->id : 0;
        return tenant != NULL;
    case PR__SETTING_SCOPE__SETTING_DOMAIN:
        domain = directory_domain(txn, name, arena);
        *id = domain != NULL ? domain->id : 0;
        return domain != NULL;
    case PR__SETTING_SCOPE__SETTING_ACCOUNT:
        account = directory_account(txn, name, arena);
        *id = account != NULL ? account->id : 0;
        return account != NULL;
    default:
        return false;
    }
}

/* One more than what the record counts, which begins with 0. */
uint64_t settings_version(struct db_txn *txn)
{
    struct arena arena;
    const Pr__ClusterRecord *cluster;
    uint64_t version;

    arena_init(&arena);
    cluster = directory_cluster(txn, &arena);
    version = cluster != NULL ? cluster->settings_version + 1 : 0;
    arena_fini(&arena);
    return version;
}

uint64_t firewall_version(struct db_txn *txn)
{
    struct arena arena;
    const Pr__ClusterRecord *cluster;
    uint64_t version;

    arena_init(&arena);
    cluster = directory_cluster(txn, &arena);
    version = cluster != NULL ? cluster->firewall_version + 1 : 0;
    arena_fini(&arena);
    return version;
}
