/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What operators say of addresses: aliases, lists, forwards, rights, settings. */
#include "storage/service/addresses.h"

#include "storage/schema/entry.h"
#include "storage/service/operator.h"

/* Replaces a text of the call by the address as it is looked up. */
static bool fold(struct service_call *call, char **text)
{
    struct bytes address;

    if (!operator_address(call, *text, &address))
        return false;
    *text = arena_string(&call->call_arena, address);
    return true;
}

static bool fold_all(struct service_call *call, char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!fold(call, &texts[i]))
            return false;
    return true;
}

static bool fold_domain(struct service_call *call, char **text)
{
    struct bytes domain;

    if (!operator_domain(call, *text, &domain))
        return false;
    *text = arena_string(&call->call_arena, domain);
    return true;
}

static bool fold_list(struct service_call *call, Pr__ListSettings *list)
{
    return list == NULL || fold(call, &list->owner);
}

/* "name@example.net", or "@example.net" for all of a domain. */
static bool fold_right(struct service_call *call, char **text)
{
    char *domain = *text + 1;

    if ((*text)[0] != '@')
        return fold(call, text);
    if (!fold_domain(call, &domain))
        return false;
    *text = arena_printf(&call->call_arena, "@%s", domain);
    return true;
}

static bool fold_rights(struct service_call *call, Pr__TextList *list)
{
    for (size_t i = 0; list != NULL && i < list->n_texts; i++)
        if (!fold_right(call, &list->texts[i]))
            return false;
    return true;
}

static void propose(struct service_call *call, Pr__Command *command,
                    Pr__Command__CallCase call_case)
{
    command->call_case = call_case;
    write_call(call, DIRECTORY_GROUP, command);
}

void alias_add_call(struct service_call *call)
{
    Pr__AliasAdd *add = call->request->alias_add;
    Pr__Command command = PR__COMMAND__INIT;

    if (!fold(call, &add->address) || !fold_all(call, add->targets, add->n_targets) ||
        !fold_list(call, add->list))
        return;
    command.alias_add = add;
    propose(call, &command, PR__COMMAND__CALL_ALIAS_ADD);
}

void alias_change_call(struct service_call *call)
{
    Pr__AliasChange *change = call->request->alias_change;
    Pr__Command command = PR__COMMAND__INIT;

    if (!fold(call, &change->address) || !fold_all(call, change->add, change->n_add) ||
        !fold_all(call, change->remove, change->n_remove) || !fold_list(call, change->list))
        return;
    command.alias_change = change;
    propose(call, &command, PR__COMMAND__CALL_ALIAS_CHANGE);
}

void alias_remove_call(struct service_call *call)
{
    Pr__Command command = PR__COMMAND__INIT;

    if (!fold(call, &call->request->alias_remove->address))
        return;
    command.alias_remove = call->request->alias_remove;
    propose(call, &command, PR__COMMAND__CALL_ALIAS_REMOVE);
}

void domain_route_call(struct service_call *call)
{
    Pr__DomainRoute *route = call->request->domain_route;
    Pr__DomainRouting *routing = route->routing;
    Pr__Command command = PR__COMMAND__INIT;

    if (!fold_domain(call, &route->name))
        return;
    if (routing != NULL &&
        ((routing->alias_of[0] != '\0' && !fold_domain(call, &routing->alias_of)) ||
         (routing->forward_to[0] != '\0' && !fold_domain(call, &routing->forward_to)) ||
         !fold_all(call, routing->catch_all, routing->n_catch_all)))
        return;
    command.domain_route = route;
    propose(call, &command, PR__COMMAND__CALL_DOMAIN_ROUTE);
}

void account_alter_call(struct service_call *call)
{
    Pr__AccountAlter *alter = call->request->account_alter;
    Pr__Command command = PR__COMMAND__INIT;

    if (!fold(call, &alter->address) || !fold_rights(call, alter->send_as_add) ||
        !fold_rights(call, alter->send_as_remove))
        return;
    if (alter->forward != NULL &&
        !fold_all(call, alter->forward->targets, alter->forward->n_targets))
        return;
    command.account_alter = alter;
    propose(call, &command, PR__COMMAND__CALL_ACCOUNT_ALTER);
}
