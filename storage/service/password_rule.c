/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/password_rule.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/auth/password_strength.h"
#include "storage/query/directory.h"
#include "storage/query/settings.h"
#include "storage/schema/address.h"

struct checking {
    struct arena arena;
    struct password_rule rule;
    struct password_owner owner;
    struct bytes password;
    const char *list_path; /* "": none */
    enum err list_err;     /* why nothing is known of the list */
    enum password_verdict verdict;
    char why[PASSWORD_WHY_SIZE];
    password_rule_done *done;
    void *context;
};

/* The list is opened for each password: what takes its place counts at once, and nothing of it
 * is kept that could be of another file. */
static void check_in_pool(void *context)
{
    struct checking *checking = context;
    struct password_breached *list = NULL;
    enum err open_err = ERR_OK;

    if (checking->list_path[0] != '\0')
        open_err = password_breached_open(checking->list_path, &list);
    checking->rule.breached = list;
    checking->verdict =
        password_strength_check(&checking->rule, &checking->owner, checking->password,
                                checking->why, &checking->list_err);
    if (open_err != ERR_OK)
        checking->list_err = open_err;
    password_breached_close(&list);
}

static void checked(void *context)
{
    struct checking *checking = context;

    if (checking->list_err != ERR_OK)
        log_error(NULL, "the list of stolen passwords cannot be read, and refuses nobody",
                  LOG_FIELDS(LOG_TEXT("path", checking->list_path),
                             LOG_TEXT("reason", err_text(checking->list_err))));
    checking->done(checking->context,
                   checking->verdict == PASSWORD_GOOD ? NULL : checking->why);
    arena_fini(&checking->arena);
    free(checking);
}

static void rule_read(struct checking *checking, struct service *service)
{
    struct settings_place place = {0};
    struct bytes local;
    struct bytes name;
    struct db_txn *txn = service_directory_begin(service);

    if (address_split(checking->owner.address, &local, &name)) {
        const Pr__DomainRecord *domain = directory_domain(txn, name, &checking->arena);
        if (domain != NULL) {
            place = settings_place_domain(txn, domain, &checking->arena);
            checking->owner.tenant = bytes_of(domain->tenant);
        }
    }
    checking->rule.characters_min =
        (unsigned)settings_number(txn, place, SETTING_PASSWORD_LENGTH);
    checking->rule.score_min = (unsigned)settings_number(txn, place, SETTING_PASSWORD_GUESSES);
    db_abort(&txn);
}

void password_rule_check(struct service *service, struct bytes address, struct bytes password,
                         password_rule_done *done, void *context)
{
    struct checking *checking = calloc(1, sizeof(*checking));

    CHECK(checking != NULL);
    arena_init(&checking->arena);
    checking->owner.address = bytes_of(arena_string(&checking->arena, address));
    checking->password = password;
    checking->list_path = service->config->passwords_breached;
    checking->done = done;
    checking->context = context;
    rule_read(checking, service);
    loop_work(service->loop, check_in_pool, checked, checking);
}
