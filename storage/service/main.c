/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/log.h"
#include "node/mail/text.h"
#include "storage/service/service.h"

/*
 * postraft-store: the only process of a node that has a disk. It keeps the node's replicas, and
 * is the one door to them.
 */

static void on_handed_over(void *context)
{
    struct service *service = context;
    loop_stop(service->loop);
}

static void on_stop(void *context)
{
    struct service *service = context;

    if (service->stopping)
        return;
    service->stopping = true;
    log_info(NULL, "stopping", NULL);
    if (service->replicator != NULL)
        replication_hand_over(service, on_handed_over, service);
    else
        loop_stop(service->loop);
}

int main(int argc, char **argv)
{
    struct process process;
    struct service service;
    int status;

    /* Queries and password hashes share the pool. */
    setenv("UV_THREADPOOL_SIZE", "8", 1);
    if (!process_start(&process, argc, argv, "postraft-store", &status))
        return status;
    /* What lies outside of the data folder is read before the sandbox shuts it away; threads
     * come after, so that all of them are inside. */
    struct mail_charsets *charsets = mail_charsets_open();
    enum err err = service_init(&service, &process);
    process_sandbox(&process, process.config.folder);
    if (err == ERR_OK)
        err = service_open(&service);
    if (err == ERR_OK) {
        process_ready(&process, on_stop, &service);
        loop_run(process.loop);
    } else {
        log_error(NULL, "cannot start", LOG_FIELDS(LOG_TEXT("error", err_text(err))));
    }
    service_close(&service);
    mail_charsets_close(&charsets);
    status = process_end(&process);
    if (service.fenced)
        return 2;
    return err == ERR_OK ? status : err == ERR_INVALID || err == ERR_MALFORMED ? 2 : 1;
}
