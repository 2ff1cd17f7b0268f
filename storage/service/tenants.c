/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"

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

static void fill_tenants(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                         Pr__Reply *reply)
{
    const Pr__TenantList *ask = request->tenant_list;
    Pr__TenantListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__tenant_list_answer__init(answer);
    answer->more = directory_tenants(txn, bytes_of(ask->after), listing_limit(ask->limit),
                                     arena, &answer->tenants, &answer->n_tenants);
    reply->answer_case = PR__REPLY__ANSWER_TENANT_LIST;
    reply->tenant_list = answer;
}

void tenant_list_call(struct service_call *call)
{
    listing_call(call, fill_tenants);
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

static void fill_domains(const Pr__Request *request, struct db_txn *txn, struct arena *arena,
                         Pr__Reply *reply)
{
    const Pr__DomainList *ask = request->domain_list;
    Pr__DomainListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__domain_list_answer__init(answer);
    answer->more = directory_domains(txn, bytes_of(ask->tenant), bytes_of(ask->after),
                                     listing_limit(ask->limit), arena, &answer->domains,
                                     &answer->n_domains);
    reply->answer_case = PR__REPLY__ANSWER_DOMAIN_LIST;
    reply->domain_list = answer;
}

void domain_list_call(struct service_call *call)
{
    listing_call(call, fill_domains);
}
