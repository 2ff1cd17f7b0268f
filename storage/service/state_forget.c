/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of a group that this node is no replica of any more. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/service/state_fetch_internal.h"
#include "storage/transfer/forget.h"

enum { FORGET_ROWS = 2000 }; /* in one write transaction; the applier waits meanwhile */

static void in_pool(void *context)
{
    struct state_forget *forget = context;
    struct db *db = service_db(forget->owner->service, forget->group);

    if (!forget->begun)
        forget->err = transfer_forget_begin(db, forget->group, clock_wall_ms());
    forget->begun = true;
    if (forget->err == ERR_OK)
        forget->err = transfer_forget_step(db, forget->group, FORGET_ROWS, &forget->more);
    if (forget->err == ERR_OK && !forget->more)
        forget->err = db_sync(db);
}

static void on_done(void *context)
{
    struct state_forget *forget = context;
    struct state_fetches *fetches = forget->owner;
    uint32_t group = forget->group;

    if (forget->err != ERR_OK)
        replication_disk_failed("state", forget->err);
    if (forget->more) {
        pool_jobs_run(fetches->jobs, in_pool, on_done, forget);
        return;
    }
    for (struct state_forget **link = &fetches->forgets; *link != NULL; link = &(*link)->next) {
        if (*link == forget) {
            *link = forget->next;
            break;
        }
    }
    free(forget);
    log_info(NULL, "the state of a group is gone from this node",
             LOG_FIELDS(LOG_U64("group", group)));
    replication_forgotten(fetches->service, group);
}

void state_forget_start(struct service *service, uint32_t group)
{
    struct state_fetches *fetches = service->state_fetches;
    struct state_forget *forget = calloc(1, sizeof(*forget));

    CHECK(forget != NULL);
    forget->owner = fetches;
    forget->group = group;
    forget->next = fetches->forgets;
    fetches->forgets = forget;
    pool_jobs_run(fetches->jobs, in_pool, on_done, forget);
}
