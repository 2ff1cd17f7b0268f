/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/node_log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/log.h"
#include "storage/schema/format.h"

enum { PATH_SIZE = 4096 };

static bool is_there(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0;
}

/* A journal that is there is whole: what is left of the log before is of no use. */
static void lmdb_remove(const char *folder)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char path[PATH_SIZE];

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/" NODE_LOG_LMDB "/%s", folder, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/" NODE_LOG_LMDB, folder);
    if (rmdir(path) != 0 && errno != ENOENT)
        log_warn(NULL, "the log of the release before is not removed",
                 LOG_FIELDS(LOG_TEXT("folder", path)));
}

enum err node_log_open(const struct node_log_config *config, struct node_log *log)
{
    char journal[PATH_SIZE];
    char lmdb[PATH_SIZE];
    struct journal_config in_files = {
        .folder = journal, .written = config->written, .context = config->context};
    struct log_lmdb_config in_lmdb = {.folder = lmdb,
                                      .map_bytes = config->map_bytes,
                                      .written = config->written,
                                      .context = config->context};
    enum err err = ERR_OK;

    *log = (struct node_log){0};
    snprintf(journal, sizeof(journal), "%s/" NODE_LOG_JOURNAL, config->folder);
    snprintf(lmdb, sizeof(lmdb), "%s/" NODE_LOG_LMDB, config->folder);
    bool early = config->format < FORMAT_SCOPES;
    if (!is_there(journal)) {
        bool stays = early;
        if (!early && is_there(lmdb)) {
            err = journal_import(journal, lmdb, config->map_bytes);
            stays = err == ERR_FULL;
        }
        if (stays && !early)
            log_warn(NULL, "no room to copy the log: it stays as it is until the next start",
                     LOG_FIELDS(LOG_TEXT("folder", lmdb)));
        if (stays)
            err = log_lmdb_open(&in_lmdb, &log->lmdb);
    }
    if (err == ERR_OK && log->lmdb == NULL) {
        err = journal_open(&in_files, &log->journal);
        if (err == ERR_OK && is_there(lmdb))
            lmdb_remove(config->folder);
    }
    if (err != ERR_OK)
        log_error(
            NULL, "cannot open the log",
            LOG_FIELDS(LOG_TEXT("folder", config->folder), LOG_TEXT("error", err_text(err))));
    return err;
}

void node_log_close(struct node_log *log)
{
    journal_close(&log->journal);
    log_lmdb_close(&log->lmdb);
}

struct entry_log *node_log_interface(const struct node_log *log)
{
    return log->journal != NULL ? journal_interface(log->journal)
                                : log_lmdb_interface(log->lmdb);
}
