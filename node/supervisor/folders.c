/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/log.h"
#include "node/supervisor/supervisor.h"

static bool failed(const char *path, const char *what)
{
    log_error(NULL, what,
              LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("reason", strerror(errno))));
    return false;
}

/* Makes what is missing of the path; only the last folder is ours. */
static bool make_folder(struct arena *arena, const char *path, mode_t mode,
                        const struct identity *owner)
{
    char *part = arena_string(arena, bytes_of(path));

    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return failed(part, "cannot make folder");
        *slash = '/';
    }
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return failed(path, "cannot make folder");
    int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return failed(path, "cannot open folder");
    bool good =
        fchmod(fd, mode) == 0 && (!owner->change || fchown(fd, owner->uid, owner->gid) == 0);
    if (!good)
        failed(path, "cannot own folder");
    close(fd);
    return good;
}

/* Locked as long as this process lives: two supervisors on one folder would start two stores.
 */
static bool take_pid_file(struct supervisor *supervisor, const char *path)
{
    char text[32];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return failed(path, "cannot write the process id");
    supervisor->pid_file = fd;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return failed(path, "another postraftd is running");
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return failed(path, "cannot write the process id");
    return true;
}

static const char *pid_path(struct supervisor *supervisor)
{
    return arena_printf(&supervisor->arena, "%s/postraftd.pid", supervisor->config.run);
}

bool folders_prepare(struct supervisor *supervisor)
{
    const struct identity *store = &supervisor->store;

    return identity_of(supervisor->config.user_store, &supervisor->store) &&
           make_folder(&supervisor->arena, supervisor->config.run, 0755, store) &&
           take_pid_file(supervisor, pid_path(supervisor)) &&
           make_folder(&supervisor->arena, supervisor->config.folder, 0700, store);
}

void folders_leave(struct supervisor *supervisor)
{
    if (supervisor->pid_file < 0)
        return;
    /* The folder is the store's, and root is nobody there any more (capabilities.c). */
    if (supervisor->store.change)
        setfsuid(supervisor->store.uid);
    unlink(pid_path(supervisor));
    if (supervisor->store.change)
        setfsuid(geteuid());
    close(supervisor->pid_file);
    supervisor->pid_file = -1;
}
