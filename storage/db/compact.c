/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/db/compact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/db/lmdb.h"

enum { PATH_SIZE = 4096 };

static enum err err_from_errno(int code)
{
    return code == ENOSPC ? ERR_FULL : code == ENOENT ? ERR_NOTFOUND : ERR_IO;
}

static enum err copy(const char *folder, const char *to)
{
    MDB_env *env = NULL;
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_from_errno(errno);
    int code = mdb_env_create(&env);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(env, folder, MDB_RDONLY | MDB_NOTLS, 0600);
    if (code == MDB_SUCCESS)
        code = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    if (env != NULL)
        mdb_env_close(env);
    enum err err = code == MDB_SUCCESS ? ERR_OK : err_from_lmdb(code);
    if (err == ERR_OK && fsync(fd) != 0)
        err = err_from_errno(errno);
    if (close(fd) != 0 && err == ERR_OK)
        err = err_from_errno(errno);
    return err;
}

/* That the name stands for the new file is on disk, too. */
static enum err folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_from_errno(errno);
    enum err err = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return err;
}

enum err db_compact(const char *folder, uint64_t *before_bytes, uint64_t *after_bytes)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    struct stat old;
    struct stat made;

    *before_bytes = *after_bytes = 0;
    if (snprintf(from, sizeof(from), "%s/data.mdb", folder) >= PATH_SIZE ||
        snprintf(to, sizeof(to), "%s/compact.mdb", folder) >= PATH_SIZE)
        return ERR_TOOBIG;
    if (stat(from, &old) != 0)
        return err_from_errno(errno);
    enum err err = copy(folder, to);
    if (err == ERR_OK && stat(to, &made) != 0)
        err = err_from_errno(errno);
    if (err == ERR_OK && rename(to, from) != 0)
        err = err_from_errno(errno);
    if (err != ERR_OK) {
        unlink(to);
        return err;
    }
    *before_bytes = (uint64_t)old.st_size;
    *after_bytes = (uint64_t)made.st_size;
    return folder_sync(folder) == ERR_OK ? ERR_OK : ERR_UNKNOWN;
}
