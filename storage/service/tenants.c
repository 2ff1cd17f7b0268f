/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/limits.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "storage/service/scopes_usage.h"
#include "storage/service/sending_tenants.h"

/* The tenant as it is kept: lower case. NULL: the call has been refused. */
static char *tenant_name(struct service_call *call, const char *typed)
{
    char *name = arena_string(&call->call_arena, bytes_of(typed));
    size_t len = strlen(name);
    bool good = len > 0 && len <= OPERATOR_TENANT_SIZE_MAX;

    for (size_t i = 0; good && i < len; i++) {
        name[i] = (char)byte_lower((uint8_t)name[i]);
        bool word = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        bool sign = name[i] == '.' || name[i] == '-' || name[i] == '_';
        good = word || (sign && i > 0);
    }
    if (good)
        return name;
    call_fail(call, ERR_INVALID, "a tenant's name has 1 to 64 letters, digits and . - _");
    return NULL;
}

void tenant_add_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TenantAdd add = PR__TENANT_ADD__INIT;

    add.name = tenant_name(call, call->request->tenant_add->name);
    if (add.name == NULL)
        return;
    command.call_case = PR__COMMAND__CALL_TENANT_ADD;
    command.tenant_add = &add;
    write_call(call, DIRECTORY_GROUP, &command);
}

void tenant_remove_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TenantRemove remove = PR__TENANT_REMOVE__INIT;

    remove.name = tenant_name(call, call->request->tenant_remove->name);
    if (remove.name == NULL)
        return;
    command.call_case = PR__COMMAND__CALL_TENANT_REMOVE;
    command.tenant_remove = &remove;
    write_call(call, DIRECTORY_GROUP, &command);
}

/* ---- lists ---- */

static unsigned page_limit(uint32_t asked, bool with_usage)
{
    unsigned limit = listing_limit(asked);

    return with_usage && limit > SCOPES_USAGE_PAGE ? SCOPES_USAGE_PAGE : limit;
}

/* Whether the groups count for domains and tenants. */
static bool usage_known(const struct service_call *call)
{
    return service_format(call->service, DIRECTORY_GROUP) >= FORMAT_SCOPES;
}

/* A remark for the operator: whose mail is missing in the sums. */
static void silent_tell(struct service_call *call, Pr__Reply *reply, const uint32_t *silent,
                        size_t count)
{
    struct arena *arena = &call->call_arena;
    const char *groups = "";

    for (size_t i = 0; i < count; i++)
        groups = arena_printf(arena, "%s %u", groups, silent[i]);
    if (count > 0)
        reply->text = arena_printf(
            arena, "%s%sthese groups do not answer, what they hold is not counted:%s",
            reply->text, reply->text[0] != '\0' ? "; " : "", groups);
}

static void tenants_counted(struct service_call *call, Pr__ScopeUsage **usages,
                            uint32_t *silent, size_t silent_count)
{
    Pr__Reply *reply = call->context;

    reply->tenant_list->usages = usages;
    reply->tenant_list->n_usages = reply->tenant_list->n_tenants;
    reply->tenant_list->silent_groups = silent;
    reply->tenant_list->n_silent_groups = silent_count;
    silent_tell(call, reply, silent, silent_count);
    call_reply(call, reply);
}

static void tenants_listed(struct service_call *call, Pr__Reply *reply)
{
    const Pr__TenantListAnswer *answer = reply->tenant_list;
    uint64_t *ids = arena_alloc(&call->call_arena, answer->n_tenants * sizeof(*ids));

    for (size_t i = 0; i < answer->n_tenants; i++)
        ids[i] = answer->tenants[i]->id;
    call->context = reply;
    scopes_usage_start(call,
                       call->request->tenant_list->with_sending ? PR__SCOPE_KIND__SCOPE_SENDING
                                                                : PR__SCOPE_KIND__SCOPE_TENANT,
                       ids, answer->n_tenants, tenants_counted);
}

static void sendings_fill(struct db_txn *txn, struct arena *arena, Pr__TenantListAnswer *answer)
{
    answer->sendings = arena_alloc(arena, answer->n_tenants * sizeof(*answer->sendings));
    answer->n_sendings = answer->n_tenants;
    for (size_t i = 0; i < answer->n_tenants; i++)
        answer->sendings[i] = sending_tenant_total(txn, answer->tenants[i]->id, arena);
}

static void fill_tenants(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                         Pr__Reply *reply)
{
    const Pr__TenantList *ask = request->tenant_list;
    Pr__TenantListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__tenant_list_answer__init(answer);
    answer->more = directory_tenants(
        txn, bytes_of(ask->after), page_limit(ask->limit, ask->with_usage || ask->with_sending),
        arena, &answer->tenants, &answer->n_tenants);
    if (ask->with_sending)
        sendings_fill(txn, arena, answer);
    reply->answer_case = PR__REPLY__ANSWER_TENANT_LIST;
    reply->tenant_list = answer;
}

void tenant_list_call(struct service_call *call)
{
    const Pr__TenantList *ask = call->request->tenant_list;
    bool sending =
        ask->with_sending && service_format(call->service, DIRECTORY_GROUP) >= FORMAT_ADDRESSES;
    bool counted = sending || (ask->with_usage && !ask->with_sending && usage_known(call));

    listing_call_then(call, fill_tenants, counted ? tenants_listed : NULL);
}

void domain_add_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__DomainAdd add = PR__DOMAIN_ADD__INIT;
    struct bytes domain;

    if (!operator_domain(call, call->request->domain_add->name, &domain))
        return;
    add.name = arena_string(&call->call_arena, domain);
    add.tenant = tenant_name(call, call->request->domain_add->tenant);
    if (add.tenant == NULL)
        return;
    command.call_case = PR__COMMAND__CALL_DOMAIN_ADD;
    command.domain_add = &add;
    write_call(call, DIRECTORY_GROUP, &command);
}

void domain_remove_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__DomainRemove remove = PR__DOMAIN_REMOVE__INIT;
    struct bytes domain;

    if (!operator_domain(call, call->request->domain_remove->name, &domain))
        return;
    remove.name = arena_string(&call->call_arena, domain);
    command.call_case = PR__COMMAND__CALL_DOMAIN_REMOVE;
    command.domain_remove = &remove;
    write_call(call, DIRECTORY_GROUP, &command);
}

static void domains_counted(struct service_call *call, Pr__ScopeUsage **usages,
                            uint32_t *silent, size_t silent_count)
{
    Pr__Reply *reply = call->context;

    reply->domain_list->usages = usages;
    reply->domain_list->n_usages = reply->domain_list->n_domains;
    reply->domain_list->silent_groups = silent;
    reply->domain_list->n_silent_groups = silent_count;
    silent_tell(call, reply, silent, silent_count);
    call_reply(call, reply);
}

static void domains_listed(struct service_call *call, Pr__Reply *reply)
{
    if (reply->err != ERR_OK) {
        call_reply(call, reply);
        return;
    }
    const Pr__DomainListAnswer *answer = reply->domain_list;
    uint64_t *ids = arena_alloc(&call->call_arena, answer->n_domains * sizeof(*ids));

    for (size_t i = 0; i < answer->n_domains; i++)
        ids[i] = answer->domains[i]->id;
    call->context = reply;
    scopes_usage_start(call, PR__SCOPE_KIND__SCOPE_DOMAIN, ids, answer->n_domains,
                       domains_counted);
}

static void fill_domains(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                         Pr__Reply *reply)
{
    const Pr__DomainList *ask = request->domain_list;
    Pr__DomainListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    if (ask->tenant[0] != '\0' && directory_tenant(txn, bytes_of(ask->tenant), arena) == NULL) {
        reply->err = ERR_NOTFOUND;
        reply->text = arena_printf(arena, "%s%sthere is no tenant %s", reply->text,
                                   reply->text[0] != '\0' ? "; " : "", ask->tenant);
        return;
    }
    pr__domain_list_answer__init(answer);
    answer->more = directory_domains(txn, bytes_of(ask->tenant), bytes_of(ask->after),
                                     page_limit(ask->limit, ask->with_usage), arena,
                                     &answer->domains, &answer->n_domains);
    reply->answer_case = PR__REPLY__ANSWER_DOMAIN_LIST;
    reply->domain_list = answer;
}

void domain_list_call(struct service_call *call)
{
    Pr__DomainList *ask = call->request->domain_list;
    bool counted = ask->with_usage && usage_known(call);

    if (ask->tenant[0] != '\0')
        ask->tenant = tenant_name(call, ask->tenant);
    if (ask->tenant == NULL)
        return;
    listing_call_then(call, fill_domains, counted ? domains_listed : NULL);
}
