/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/compaction.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/db/compact.h"
#include "storage/service/operator.h"

enum { PATH_SIZE = 4096, STOP_AFTER_MS = 100, BLOCK_BYTES = 512 };

static const char *mark_path(const struct config *config, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/compact", config->folder);
    return path;
}

static bool mark_make(const struct config *config)
{
    char path[PATH_SIZE];
    int fd = open(mark_path(config, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    return fd >= 0 && close(fd) == 0;
}

/* Whether it was there. */
static bool mark_take(const struct config *config)
{
    char path[PATH_SIZE];

    return unlink(mark_path(config, path)) == 0;
}

static void stop(void *context)
{
    (void)context;
    CHECK(raise(SIGTERM) ==
          0); /* as when the supervisor stops it, which then starts it again */
}

void storage_compact_call(struct service_call *call)
{
    struct service *service = call->service;
    Pr__Reply reply = PR__REPLY__INIT;
    char text[] = "the store hands over what it leads, starts anew, and writes its databases "
                  "without their free space first; `postraft storage stat` shows them then";

    if (!mark_make(service->config)) {
        call_fail(call, ERR_IO, "the data folder cannot be written");
        return;
    }
    reply.text = text;
    call_reply(call, &reply);
    loop_timer_start(service->loop, STOP_AFTER_MS, 0, stop, NULL);
}

/* The copy needs no more than the file has blocks; a file may be longer than that. */
static bool has_room(const char *folder)
{
    char path[PATH_SIZE + 16];
    struct statvfs disk;
    struct stat file;

    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    return stat(path, &file) == 0 && statvfs(folder, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize > (uint64_t)file.st_blocks * BLOCK_BYTES;
}

static bool compact_one(const struct config *config, const char *name)
{
    char folder[PATH_SIZE];
    uint64_t before = 0;
    uint64_t after = 0;
    struct stat status;

    snprintf(folder, sizeof(folder), "%s/%s", config->folder, name);
    if (stat(folder, &status) != 0)
        return false;
    enum err err = has_room(folder) ? db_compact(folder, &before, &after) : ERR_FULL;
    if (err == ERR_UNKNOWN)
        replication_disk_failed(name, err);
    if (err == ERR_OK)
        log_info(NULL, "database written anew",
                 LOG_FIELDS(LOG_TEXT("name", name), LOG_U64("before_bytes", before),
                            LOG_U64("after_bytes", after)));
    else
        log_error(NULL, "database left as it is",
                  LOG_FIELDS(LOG_TEXT("name", name), LOG_TEXT("error", err_text(err))));
    return true;
}

void compaction_run(const struct config *config)
{
    char name[32] = "state-0";

    if (!mark_take(config))
        return;
    compact_one(config, "log");
    for (unsigned lane = 0; lane < SERVICE_LANES_MAX && compact_one(config, name); lane++)
        snprintf(name, sizeof(name), "state-%u", lane + 1);
}
