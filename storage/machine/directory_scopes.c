/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_scopes.h"

#include "storage/machine/scope.h"
#include "storage/schema/format.h"

/* ---- rows ---- */

Pr__ScopeRecord *directory_scope_load(struct apply *apply, Pr__ScopeKind kind, uint64_t id)
{
    struct key key;

    return directory_load(apply->txn, TABLE_SCOPE_GRANT,
                          key_scope(&key, DIRECTORY_GROUP, (uint8_t)kind, id),
                          &pr__scope_record__descriptor, apply->arena);
}

static void scope_put(struct apply *apply, const Pr__ScopeRecord *scope)
{
    struct key key;

    directory_store(apply, TABLE_SCOPE_GRANT,
                    key_scope(&key, DIRECTORY_GROUP, (uint8_t)scope->kind, scope->id),
                    &scope->base);
    apply->events->scopes_changed = true;
}

void directory_scope_forget(struct apply *apply, Pr__ScopeKind kind, uint64_t id)
{
    struct key key;

    if (db_delete(apply->txn, TABLE_SCOPE_GRANT,
                  key_scope(&key, DIRECTORY_GROUP, (uint8_t)kind, id)))
        apply->events->scopes_changed = true;
}

/* ---- parts ---- */

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A group's part; NULL: it has none. */
static Pr__ScopeShare *part_find(const Pr__ScopeRecord *scope, uint32_t group)
{
    for (size_t i = 0; i < scope->n_shares; i++)
        if (scope->shares[i]->group == group)
            return scope->shares[i];
    return NULL;
}

/* A new one in its place, of nothing. */
static Pr__ScopeShare *part_make(struct apply *apply, Pr__ScopeRecord *scope, uint32_t group)
{
    size_t count = scope->n_shares;
    size_t at = 0;
    Pr__ScopeShare **wider = arena_alloc(apply->arena, (count + 1) * sizeof(*wider));
    Pr__ScopeShare *part = arena_alloc(apply->arena, sizeof(*part));

    pr__scope_share__init(part);
    part->kind = scope->kind;
    part->scope_id = scope->id;
    part->limit = scope->limit;
    part->group = group;
    while (at < count && scope->shares[at]->group < group)
        at++;
    for (size_t i = 0; i < count; i++)
        wider[i < at ? i : i + 1] = scope->shares[i];
    wider[at] = part;
    scope->shares = wider;
    scope->n_shares = count + 1;
    return part;
}

/* A part of nothing leaves the list. */
static void part_settle(Pr__ScopeRecord *scope, const Pr__ScopeShare *part)
{
    size_t kept = 0;

    if ((scope->total->bytes != 0 && part->granted_bytes != 0) ||
        (scope->total->messages != 0 && part->granted_messages != 0))
        return;
    for (size_t i = 0; i < scope->n_shares; i++)
        if (scope->shares[i] != part)
            scope->shares[kept++] = scope->shares[i];
    scope->n_shares = kept;
}

/* Ascends over all groups: a part that was gone does not begin anew. */
static void part_changed(Pr__ScopeRecord *scope, Pr__ScopeShare *part)
{
    part->version = ++scope->version;
    part->limit = scope->limit;
}

static void others_sum(const Pr__ScopeRecord *scope, const Pr__ScopeShare *part,
                       uint64_t *messages, uint64_t *bytes)
{
    *messages = *bytes = 0;
    for (size_t i = 0; i < scope->n_shares; i++) {
        if (scope->shares[i] == part)
            continue;
        *messages = sum(*messages, scope->shares[i]->granted_messages);
        *bytes = sum(*bytes, scope->shares[i]->granted_bytes);
    }
}

static Pr__ScopeShare *answer(struct apply *apply, const Pr__ScopeShare *part)
{
    Pr__ScopeShare *share = arena_alloc(apply->arena, sizeof(*share));

    *share = *part;
    apply->outcome->share = share;
    return share;
}

/* ---- limits ---- */

static Pr__ScopeRecord *scope_make(struct apply *apply, Pr__ScopeKind kind, uint64_t id,
                                   const char *name)
{
    Pr__ScopeRecord *scope = arena_alloc(apply->arena, sizeof(*scope));

    pr__scope_record__init(scope);
    scope->kind = kind;
    scope->id = id;
    scope->name = arena_string(apply->arena, bytes_of(name));
    return scope;
}

/* What is limited from now on is nobody's yet: parts of it were boundless. */
static void parts_reset(Pr__ScopeRecord *scope, bool messages, bool bytes)
{
    for (size_t i = 0; i < scope->n_shares; i++) {
        if (messages)
            scope->shares[i]->granted_messages = 0;
        if (bytes)
            scope->shares[i]->granted_bytes = 0;
        part_changed(scope, scope->shares[i]);
    }
}

/* Where more is given out than there is from now on, groups give back what they do not use. */
static void lowered(struct apply *apply, Pr__ScopeRecord *scope)
{
    uint64_t messages;
    uint64_t bytes;

    others_sum(scope, NULL, &messages, &bytes);
    messages = scope->total->messages != 0 && messages > scope->total->messages
                   ? messages - scope->total->messages
                   : 0;
    bytes = scope->total->bytes != 0 && bytes > scope->total->bytes
                ? bytes - scope->total->bytes
                : 0;
    if (messages == 0 && bytes == 0)
        return;
    scope->wanted_ms = apply->command->time_ms;
    scope->wanted_messages = messages;
    scope->wanted_bytes = bytes;
}

uint64_t directory_scope_limit(struct apply *apply, Pr__ClusterRecord *cluster,
                               Pr__ScopeKind kind, uint64_t id, const char *name,
                               Pr__AccountQuota *total)
{
    Pr__ScopeRecord *scope = directory_scope_load(apply, kind, id);
    bool messages;
    bool bytes;

    if (total == NULL || (total->messages == 0 && total->bytes == 0)) {
        directory_scope_forget(apply, kind, id);
        return 0;
    }
    if (scope == NULL)
        scope = scope_make(apply, kind, id, name);
    messages = total->messages != 0 && (scope->total == NULL || scope->total->messages == 0);
    bytes = total->bytes != 0 && (scope->total == NULL || scope->total->bytes == 0);
    scope->total = total;
    if (messages || bytes) {
        scope->limit = larger(cluster->next_limit, 1);
        cluster->next_limit = scope->limit + 1;
        parts_reset(scope, messages, bytes);
    }
    lowered(apply, scope);
    scope_put(apply, scope);
    return scope->limit;
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void directory_scope_moved(struct apply *apply, Pr__ScopeKind kind, uint64_t id, uint32_t from,
                           uint32_t to, uint64_t messages, uint64_t bytes)
{
    Pr__ScopeRecord *scope = id != 0 ? directory_scope_load(apply, kind, id) : NULL;
    Pr__ScopeShare *part;

    if (scope == NULL || (messages == 0 && bytes == 0))
        return;
    if ((part = part_find(scope, from)) != NULL) {
        if (scope->total->messages != 0)
            part->granted_messages = difference(part->granted_messages, messages);
        if (scope->total->bytes != 0)
            part->granted_bytes = difference(part->granted_bytes, bytes);
        part_changed(scope, part);
        part_settle(scope, part);
    }
    if ((part = part_find(scope, to)) == NULL)
        part = part_make(apply, scope, to);
    part->granted_messages =
        scope->total->messages != 0 ? sum(part->granted_messages, messages) : SCOPE_UNLIMITED;
    part->granted_bytes =
        scope->total->bytes != 0 ? sum(part->granted_bytes, bytes) : SCOPE_UNLIMITED;
    part_changed(scope, part);
    scope_put(apply, scope);
}

/* ---- what groups ask for ---- */

/* Messages, or bytes, of one ask. */
struct asked {
    uint64_t total;  /* 0: no limit */
    uint64_t others; /* the parts of all other groups */
    uint64_t part;   /* the group's own: what it uses at least */
    uint64_t used;
    uint64_t need;
    uint64_t want;
};

/* By how much what is needed goes beyond the limit. */
static uint64_t asked_lacks(const struct asked *asked)
{
    uint64_t all = sum(asked->others, larger(asked->part, sum(asked->used, asked->need)));

    if (asked->total == 0 || asked->need == 0)
        return 0;
    return all > asked->total ? all - asked->total : 0;
}

static uint64_t asked_part(const struct asked *asked)
{
    uint64_t room = asked->total > asked->others ? asked->total - asked->others : 0;
    uint64_t most = sum(asked->used, larger(asked->need, asked->want));

    if (asked->total == 0)
        return SCOPE_UNLIMITED;
    return larger(asked->part, most < room ? most : room);
}

static bool is_sending(const struct apply *apply, const Pr__ScopeShare *share)
{
    return share->kind == PR__SCOPE_KIND__SCOPE_SENDING &&
           apply_format(apply) >= FORMAT_ADDRESSES;
}

static enum err ask_check(struct apply *apply, const Pr__ScopeShare *share)
{
    if (share == NULL ||
        (share->kind != PR__SCOPE_KIND__SCOPE_DOMAIN &&
         share->kind != PR__SCOPE_KIND__SCOPE_TENANT && !is_sending(apply, share)) ||
        share->scope_id == 0 || share->limit == 0)
        return apply_refuse(apply, ERR_INVALID, "no scope, or no limit on it");
    if (share->group == DIRECTORY_GROUP || directory_group_load(apply, share->group) == NULL)
        return apply_refuse(apply, ERR_NOTFOUND, "there is no mail group %u", share->group);
    return ERR_OK;
}

/* The limit is gone: the group forgets what it had of it. */
static enum err ask_ended(struct apply *apply, const Pr__ScopeShare *share)
{
    Pr__ScopeShare *ended = answer(apply, share);

    ended->version = SCOPE_ENDED;
    ended->granted_bytes = ended->granted_messages = SCOPE_UNLIMITED;
    ended->used_bytes = ended->used_messages = 0;
    ended->need_bytes = ended->need_messages = 0;
    return ERR_OK;
}

/* The part as the group has it, when it has heard of the last change of it: it may have given
 * something back. Never less than what it uses. */
static void part_told(Pr__ScopeShare *part, const Pr__ScopeShare *share)
{
    if (part->version == share->version && part->limit == share->limit) {
        if (share->granted_bytes < part->granted_bytes)
            part->granted_bytes = share->granted_bytes;
        if (share->granted_messages < part->granted_messages)
            part->granted_messages = share->granted_messages;
    }
    part->granted_bytes = larger(part->granted_bytes, share->used_bytes);
    part->granted_messages = larger(part->granted_messages, share->used_messages);
}

static enum err ask_refuse(struct apply *apply, Pr__ScopeRecord *scope, uint64_t messages,
                           uint64_t bytes)
{
    scope->wanted_ms = apply->command->time_ms;
    scope->wanted_messages = messages;
    scope->wanted_bytes = bytes;
    scope_put(apply, scope);
    if (scope->kind == PR__SCOPE_KIND__SCOPE_SENDING)
        return apply_refuse(
            apply, ERR_QUOTA,
            "tenant %s may send to %llu recipients in an hour and %llu in a day (0: no limit): "
            "%llu and %llu are too many",
            scope->name, (unsigned long long)scope->total->messages,
            (unsigned long long)scope->total->bytes, (unsigned long long)messages,
            (unsigned long long)bytes);
    return apply_refuse(
        apply, ERR_QUOTA,
        "%s %s lacks %llu bytes and %llu messages: what it may hold is held, or "
        "given out to groups",
        scope->kind == PR__SCOPE_KIND__SCOPE_DOMAIN ? "domain" : "tenant", scope->name,
        (unsigned long long)bytes, (unsigned long long)messages);
}

enum err apply_scope_ask(struct apply *apply)
{
    const Pr__ScopeAsk *call = apply->command->scope_ask;
    Pr__ScopeShare *share = call->share;
    Pr__ScopeRecord *scope;
    Pr__ScopeShare *part;
    enum err err;

    if ((err = ask_check(apply, share)) != ERR_OK)
        return err;
    scope = is_sending(apply, share)
                ? directory_sending_scope(apply, call)
                : directory_scope_load(apply, share->kind, share->scope_id);
    if (scope == NULL)
        return ask_ended(apply, share);
    directory_sending_tell(scope, share);
    part = part_find(scope, share->group);
    if (part == NULL)
        part = part_make(apply, scope, share->group);
    if (scope->limit != share->limit) {
        answer(apply, part);
        return apply_refuse(apply, ERR_CONFLICT, "the limit is another one");
    }
    struct asked messages = {
        scope->total->messages, 0, 0, share->used_messages, call->need_messages,
        call->want_messages};
    struct asked bytes = {scope->total->bytes, 0, 0, share->used_bytes, call->need_bytes,
                          call->want_bytes};

    part_told(part, share);
    messages.part = part->granted_messages;
    bytes.part = part->granted_bytes;
    others_sum(scope, part, &messages.others, &bytes.others);
    part_changed(scope, part);
    if (asked_lacks(&messages) > 0 || asked_lacks(&bytes) > 0) {
        answer(apply, part);
        part_settle(scope, part);
        return ask_refuse(apply, scope, asked_lacks(&messages), asked_lacks(&bytes));
    }
    part->granted_messages = asked_part(&messages);
    part->granted_bytes = asked_part(&bytes);
    scope_put(apply, scope);
    answer(apply, part);
    return ERR_OK;
}

enum err apply_scope_returned(struct apply *apply)
{
    const Pr__ScopeShare *share = apply->command->scope_returned->share;
    Pr__ScopeRecord *scope;
    Pr__ScopeShare *part;
    enum err err;

    if ((err = ask_check(apply, share)) != ERR_OK)
        return err;
    scope = directory_scope_load(apply, share->kind, share->scope_id);
    part = scope != NULL ? part_find(scope, share->group) : NULL;
    if (part == NULL || scope->limit != share->limit || part->version != share->version) {
        if (part != NULL)
            answer(apply, part);
        return apply_refuse(apply, ERR_CONFLICT, "what is granted has changed");
    }
    part_told(part, share);
    part_changed(scope, part);
    part_settle(scope, part);
    scope_put(apply, scope);
    answer(apply, part);
    return ERR_OK;
}

/* ---- numbers of domains ---- */

uint64_t directory_domain_number(Pr__ClusterRecord *cluster)
{
    uint64_t id = larger(cluster->next_domain_id, 1);

    cluster->next_domain_id = id + 1;
    return id;
}

/* The domains behind `from` without a number, at most `limit`; *next: where to go on, "" when
 * that were all. */
static struct directory_rows domains_unnumbered(struct apply *apply, struct bytes from,
                                                unsigned limit, const char **next)
{
    struct directory_rows rows = {arena_alloc(apply->arena, limit * sizeof(*rows.at)), 0};
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_DOMAIN, key_group(&prefix, DIRECTORY_GROUP));
    bool more = db_cursor_seek(cursor, key_name(&at, DIRECTORY_GROUP, from), &key, &row);

    *next = "";
    for (unsigned looks = 0; more; looks++, more = db_cursor_next(cursor, &key, &row)) {
        Pr__DomainRecord *domain;

        if (rows.count == limit || looks == DOMAINS_NUMBER_LOOKS_MAX)
            break;
        if (bytes_equal(key_behind_group(key), from))
            continue;
        domain =
            directory_unpack(apply->txn, row, &pr__domain_record__descriptor, apply->arena);
        if (domain == NULL)
            break;
        if (domain->id == 0)
            rows.at[rows.count++] = domain;
        *next = domain->name;
    }
    if (!more)
        *next = "";
    db_cursor_close(&cursor);
    return rows;
}

enum err apply_domains_number(struct apply *apply)
{
    const Pr__DomainsNumber *call = apply->command->domains_number;
    unsigned limit = call->limit < DOMAINS_NUMBER_MAX ? call->limit : DOMAINS_NUMBER_MAX;
    Pr__ClusterRecord *cluster = directory_cluster_load(apply);
    struct directory_rows rows;
    const char *next;

    if (cluster == NULL)
        return apply->outcome->err;
    if (limit == 0 || strlen(call->from) > DIRECTORY_DOMAIN_SIZE_MAX)
        return apply_refuse(apply, ERR_INVALID, "no domains, or a name that none has");
    rows = domains_unnumbered(apply, bytes_of(call->from), limit, &next);
    for (size_t i = 0; i < rows.count; i++) {
        Pr__DomainRecord *domain = rows.at[i];
        domain->id = directory_domain_number(cluster);
        directory_domain_store(apply, domain);
    }
    if (rows.count > 0)
        directory_cluster_store(apply, cluster);
    apply->outcome->id = rows.count;
    apply->outcome->text = arena_string(apply->arena, bytes_of(next));
    return ERR_OK;
}
