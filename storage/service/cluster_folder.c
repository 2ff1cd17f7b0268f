/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/cluster_folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/service/cluster.h"
#include "storage/service/identity.h"
#include "storage/service/node_log.h"

/* A state, or a log of an early format, is an LMDB environment in a folder of its own. */
static const char *const environment_files[] = {"data.mdb", "lock.mdb"};

/* The next folder inside `folder` that holds an environment or the journal; NULL at the end. */
static const char *next_environment(DIR *listing, const char *folder, struct arena *arena)
{
    const struct dirent *entry;

    while ((entry = readdir(listing)) != NULL) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        const char *path = arena_printf(arena, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, NODE_LOG_JOURNAL) == 0 ||
            stat(arena_printf(arena, "%s/%s", path, environment_files[0]), &status) == 0)
            return path;
    }
    return NULL;
}

bool cluster_folder_used(const char *folder, bool *half_made)
{
    struct arena path_arena;
    DIR *listing = opendir(folder);
    bool used = false;

    arena_init(&path_arena);
    if (listing != NULL) {
        used = next_environment(listing, folder, &path_arena) != NULL;
        closedir(listing);
    }
    *half_made = used && identity_file_exists(folder, IDENTITY_MARK) &&
                 !identity_file_exists(folder, IDENTITY_FILE);
    arena_fini(&path_arena);
    return used;
}

enum err cluster_folder_clear(const char *folder, struct arena *arena, const char **problem)
{
    bool half_made = false;

    *problem = NULL;
    if (!cluster_folder_used(folder, &half_made) || !half_made)
        return ERR_OK;
    DIR *listing = opendir(folder);
    const char *path;
    enum err err = listing != NULL ? ERR_OK : ERR_IO;
    while (err == ERR_OK && (path = next_environment(listing, folder, arena)) != NULL) {
        for (size_t i = 0; i < sizeof(environment_files) / sizeof(environment_files[0]); i++)
            if (unlink(arena_printf(arena, "%s/%s", path, environment_files[i])) < 0 &&
                errno != ENOENT)
                err = ERR_IO;
        journal_files_remove(path);
        if (rmdir(path) < 0 && errno != ENOENT)
            err = ERR_IO;
    }
    if (err != ERR_OK)
        *problem = arena_printf(arena, "%s: cannot remove what was half made: %s", folder,
                                strerror(errno));
    if (listing != NULL)
        closedir(listing);
    return err;
}

bool cluster_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > CLUSTER_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool sign = c == '.' || c == '-' || c == '_';
        if (!word && (!sign || i == 0))
            return false;
    }
    return true;
}

bool cluster_address_valid(const char *address)
{
    static const char *const wildcards[] = {"0.0.0.0", "[::]", "*"};
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;
    uint64_t port = 0;

    if (colon == NULL || colon == address || !bytes_to_u64(bytes_of(colon + 1), &port) ||
        port == 0 || port > UINT16_MAX)
        return false;
    struct bytes host = bytes_from(address, (size_t)(colon - address));
    for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++)
        if (bytes_equal(host, bytes_of(wildcards[i])))
            return false;
    return true;
}

const char *cluster_node_problem(const struct config *config, const char *node_name,
                                 const char *data_center, struct arena *arena)
{
    const struct {
        const char *name;
        const char *address;
    } addresses[] = {
        {"raft", config->cluster_raft},
        {"rpc", config->cluster_rpc},
        {"join", config->cluster_join},
    };

    if (!cluster_name_valid(node_name))
        return "a node's name has 1 to 64 letters, digits and . - _";
    if (!cluster_name_valid(data_center))
        return "a data center's name has 1 to 64 letters, digits and . - _";
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        if (!cluster_address_valid(addresses[i].address))
            return arena_printf(arena,
                                "the configuration's cluster { %s = \"%s\" } is no address "
                                "that other nodes can reach (host:port, no wildcard)",
                                addresses[i].name,
                                addresses[i].address == NULL ? "" : addresses[i].address);
    return NULL;
}
