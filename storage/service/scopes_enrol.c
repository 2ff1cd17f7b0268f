/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/scopes_enrol.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"

/* One look and the command that follows. With `owner` NULL nobody cares any more. */
struct step {
    struct scopes_enrol *owner;
    struct service *service;
    uint32_t group;
    struct read_job job;
    uint64_t from; /* then: where to go on; 0: that were all */
    bool all;      /* also accounts that are counted: whether it is where they should be */
    struct arena step_arena;
    Pr__ScopeEnrol enrol;
};

struct scopes_enrol {
    struct service *service;
    uint32_t group;
    struct step *step;
    uint64_t next_ms;
    uint64_t from;
    bool passed;  /* all accounts were looked at once */
    char *domain; /* to number behind; NULL: all have their numbers */
};

struct scopes_enrol *scopes_enrol_new(struct service *service, uint32_t group)
{
    struct scopes_enrol *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->service = service;
    made->group = group;
    if (group == DIRECTORY_GROUP) {
        made->domain = strdup("");
        CHECK(made->domain != NULL);
    }
    return made;
}

void scopes_enrol_free(struct scopes_enrol **enrol)
{
    struct scopes_enrol *closing = *enrol;

    if (closing == NULL)
        return;
    *enrol = NULL;
    if (closing->step != NULL)
        closing->step->owner = NULL;
    free(closing->domain);
    free(closing);
}

static struct step *step_new(struct scopes_enrol *enrol)
{
    struct step *step = calloc(1, sizeof(*step));

    CHECK(step != NULL);
    step->owner = enrol;
    step->service = enrol->service;
    step->group = enrol->group;
    arena_init(&step->step_arena);
    enrol->step = step;
    return step;
}

static void step_end(struct step *step, uint64_t pause_ms)
{
    struct scopes_enrol *owner = step->owner;

    arena_fini(&step->step_arena);
    free(step);
    if (owner == NULL)
        return;
    owner->step = NULL;
    owner->next_ms = clock_monotonic_ms() + pause_ms;
}

/* ---- the directory: numbers of domains ---- */

static void on_numbered(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct step *step = context;
    struct scopes_enrol *owner = step->owner;
    bool good = err == ERR_OK && outcome->err == ERR_OK;

    (void)index;
    if (owner != NULL && good) {
        free(owner->domain);
        owner->domain = outcome->text[0] != '\0' ? strdup(outcome->text) : NULL;
        CHECK(outcome->text[0] == '\0' || owner->domain != NULL);
    }
    step_end(step, good ? 0 : SCOPES_ENROL_PASS_MS);
}

static void number_send(struct scopes_enrol *enrol)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__DomainsNumber number = PR__DOMAINS_NUMBER__INIT;

    number.from = enrol->domain;
    number.limit = SCOPES_NUMBER_STEP;
    command.call_case = PR__COMMAND__CALL_DOMAINS_NUMBER;
    command.domains_number = &number;
    write_start(enrol->service, DIRECTORY_GROUP, &command,
                clock_monotonic_ms() + SCOPES_ENROL_WRITE_MS, on_numbered, step_new(enrol));
}

/* ---- mail groups: accounts ---- */

static void pass_on(struct step *step)
{
    struct scopes_enrol *owner = step->owner;

    if (owner != NULL) {
        owner->from = step->from;
        owner->passed = owner->passed || step->from == 0;
    }
    step_end(step, step->from != 0 ? 0 : SCOPES_ENROL_PASS_MS);
}

static void on_enrolled(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index)
{
    struct step *step = context;

    (void)index;
    if (err == ERR_OK)
        err = (enum err)outcome->err;
    if (err != ERR_OK) {
        step_end(step, SCOPES_ENROL_PASS_MS); /* from the same account on */
        return;
    }
    log_debug(NULL, "accounts are counted for their domain and tenant",
              LOG_FIELDS(LOG_U64("group", step->group), LOG_U64("accounts", outcome->id)));
    pass_on(step);
}

static void on_looked(struct read_job *job, enum err err, uint64_t index)
{
    struct step *step = job->context;
    Pr__Command command = PR__COMMAND__INIT;

    (void)index;
    if (step->owner == NULL || err != ERR_OK) {
        step_end(step, SCOPES_ENROL_PASS_MS);
    } else if (step->enrol.n_accounts == 0) {
        pass_on(step);
    } else {
        command.call_case = PR__COMMAND__CALL_SCOPE_ENROL;
        command.scope_enrol = &step->enrol;
        write_start(step->service, step->group, &command,
                    clock_monotonic_ms() + SCOPES_ENROL_WRITE_MS, on_enrolled, step);
    }
}

static void account_look(struct step *step, struct db_txn *directory,
                         const struct scopes_account *account)
{
    struct arena *arena = &step->step_arena;
    Pr__AccountScopes *scopes;
    Pr__ScopeEnrolment *enrolment;

    if (!step->all && account->domain_id != 0 && account->tenant_id != 0)
        return;
    scopes = scopes_of_account_id(directory, account->account_id, arena);
    if (scopes == NULL ||
        ((scopes->domain_id == 0 || scopes->domain_id == account->domain_id) &&
         (scopes->tenant_id == 0 || scopes->tenant_id == account->tenant_id)))
        return;
    enrolment = arena_alloc(arena, sizeof(*enrolment));
    pr__scope_enrolment__init(enrolment);
    enrolment->account_id = account->account_id;
    enrolment->scopes = scopes;
    step->enrol.accounts[step->enrol.n_accounts++] = enrolment;
}

/* In a pool thread. */
static void look_work(struct read_job *job, struct db_txn *txn)
{
    struct step *step = job->context;
    struct scopes_account accounts[SCOPES_ENROL_STEP];
    struct db_txn *directory = db_read_begin(service_db(step->service, DIRECTORY_GROUP));
    unsigned looked = 0;
    unsigned count;

    step->enrol.accounts =
        arena_alloc(&step->step_arena, SCOPES_ENROL_STEP * sizeof(*step->enrol.accounts));
    do {
        step->from = scopes_accounts(txn, step->group, step->from, SCOPES_ENROL_STEP, accounts,
                                     SCOPES_ENROL_STEP, &count);
        for (unsigned i = 0; i < count; i++)
            account_look(step, directory, &accounts[i]);
        looked += SCOPES_ENROL_STEP;
    } while (step->from != 0 && step->enrol.n_accounts == 0 && looked < SCOPES_ENROL_LOOKS);
    db_abort(&directory);
}

static void look_start(struct scopes_enrol *enrol, uint64_t now_ms)
{
    struct step *step = step_new(enrol);

    pr__scope_enrol__init(&step->enrol);
    step->from = enrol->from;
    step->all = !enrol->passed;
    step->job = (struct read_job){
        .service = enrol->service,
        .group = enrol->group,
        .deadline_ms = now_ms + SCOPES_ENROL_WRITE_MS,
        .work = look_work,
        .done = on_looked,
        .context = step,
    };
    read_start(&step->job);
}

void scopes_enrol_tick(struct scopes_enrol *enrol, uint64_t now_ms)
{
    if (enrol->step != NULL || enrol->service->stopping || now_ms < enrol->next_ms ||
        service_format(enrol->service, enrol->group) < FORMAT_SCOPES)
        return;
    if (enrol->group != DIRECTORY_GROUP)
        look_start(enrol, now_ms);
    else if (enrol->domain != NULL)
        number_send(enrol);
}
