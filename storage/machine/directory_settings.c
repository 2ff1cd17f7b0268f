/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_settings.h"

#include "node/base/check.h"
#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_scopes.h"
#include "storage/machine/utf8.h"

struct bytes setting_key(struct key *key, Pr__SettingScope scope, uint64_t id,
                         struct bytes name)
{
    key_scope(key, DIRECTORY_GROUP, (uint8_t)scope, id);
    CHECK(name.len <= sizeof(key->at) - key->len);
    if (name.len > 0)
        memcpy(key->at + key->len, name.at, name.len);
    key->len += name.len;
    return bytes_from(key->at, key->len);
}

static void settings_changed(struct apply *apply, Pr__ClusterRecord *cluster)
{
    cluster->settings_version++;
    directory_cluster_store(apply, cluster);
    apply->events->settings_changed = true;
}

void directory_settings_forget(struct apply *apply, Pr__SettingScope scope, uint64_t id)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_SETTING, setting_key(&prefix, scope, id, BYTES("")));
    Pr__ClusterRecord *cluster;
    bool any = false;

    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        db_cursor_delete(cursor);
        any = true;
    }
    db_cursor_close(&cursor);
    if (any && (cluster = directory_cluster_load(apply)) != NULL)
        settings_changed(apply, cluster);
}

static bool name_valid(struct bytes name)
{
    if (name.len < 1 || name.len > SETTING_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '.' &&
            byte != '_' && byte != '-')
            return false;
    }
    return true;
}

/* Text of any kind, with lines and tabs. */
static bool value_valid(struct bytes value)
{
    uint32_t character;

    while (value.len > 0)
        if (!utf8_next(&value, &character) || character == 0)
            return false;
    return true;
}

/* The id of the scope that is named; refuses one that is not there. A domain from before
 * format 3 has a number then: it is stored. */
static enum err scope_find(struct apply *apply, Pr__ClusterRecord *cluster,
                           const Pr__SettingPut *call, uint64_t *id)
{
    const char *name = call->scope_name;
    const Pr__TenantRecord *tenant;
    Pr__DomainRecord *domain;
    Pr__AccountRecord *account;
    struct bytes local;
    struct bytes host;
    enum err err;

    *id = 0;
    switch ((int)call->scope) {
    case PR__SETTING_SCOPE__SETTING_CLUSTER:
        return name[0] == '\0' ? ERR_OK
                               : apply_refuse(apply, ERR_INVALID, "a scope without a name");
    case PR__SETTING_SCOPE__SETTING_TENANT:
        if ((tenant = directory_tenant_load(apply, name)) == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no tenant %s", name);
        *id = tenant->id;
        return ERR_OK;
    case PR__SETTING_SCOPE__SETTING_DOMAIN:
        if ((domain = directory_domain_load(apply, bytes_of(name))) == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no domain %s", name);
        if (domain->id == 0) {
            domain->id = directory_domain_number(cluster);
            directory_domain_store(apply, domain);
            directory_cluster_store(apply, cluster);
        }
        *id = domain->id;
        return ERR_OK;
    case PR__SETTING_SCOPE__SETTING_ACCOUNT:
        if ((err = directory_address_check(apply, name, &local, &host, &account)) != ERR_OK)
            return err;
        if (account == NULL)
            return apply_refuse(apply, ERR_NOTFOUND, "there is no account %s", name);
        *id = account->id;
        return ERR_OK;
    default:
        return apply_refuse(apply, ERR_INVALID, "nobody knows whose setting it is");
    }
}

static unsigned settings_count(struct apply *apply, Pr__SettingScope scope, uint64_t id)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_SETTING, setting_key(&prefix, scope, id, BYTES("")));
    unsigned count = 0;

    for (bool more = db_cursor_first(cursor, &key, &value); more && count < SETTINGS_MAX;
         more = db_cursor_next(cursor, &key, &value))
        count++;
    db_cursor_close(&cursor);
    return count;
}

enum err apply_setting_put(struct apply *apply)
{
    const Pr__SettingPut *call = apply->command->setting_put;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct bytes name = bytes_of(call->setting != NULL ? call->setting->name : NULL);
    struct bytes value = bytes_of(call->setting != NULL ? call->setting->value : NULL);
    struct bytes known;
    struct key key;
    uint64_t id;
    enum err err;

    if (cluster == NULL)
        return apply->outcome->err;
    if (!name_valid(name))
        return apply_refuse(apply, ERR_INVALID, "%.*s is no name of a setting",
                            BYTES_ARG(name));
    if (value.len > SETTING_VALUE_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "a value of %zu bytes, more than %d", value.len,
                            SETTING_VALUE_SIZE_MAX);
    if (!value_valid(value))
        return apply_refuse(apply, ERR_INVALID, "the value is no text");
    if ((err = scope_find(apply, cluster, call, &id)) != ERR_OK)
        return err;
    setting_key(&key, call->scope, id, name);
    bool there =
        db_get(apply->txn, TABLE_SETTING, bytes_from(key.at, key.len), &known) == ERR_OK;
    if (there ? bytes_equal(known, value) : value.len == 0)
        return ERR_OK;
    if (!there && settings_count(apply, call->scope, id) >= SETTINGS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%d settings, and no more", SETTINGS_MAX);
    if (value.len > 0)
        db_put(apply->txn, TABLE_SETTING, bytes_from(key.at, key.len), value);
    else
        db_delete(apply->txn, TABLE_SETTING, bytes_from(key.at, key.len));
    settings_changed(apply, cluster);
    return ERR_OK;
}
