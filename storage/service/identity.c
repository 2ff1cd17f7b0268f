/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/schema/entry.h"

#define FILE_TITLE "postraft identity 1"

enum { CHECKSUM_SIZE = 32 };

static void checksum(struct bytes content, uint8_t sum[CHECKSUM_SIZE])
{
    CHECK(crypto_generichash(sum, CHECKSUM_SIZE, content.at, content.len, NULL, 0) == 0);
}

static const char *file_path(const char *folder, const char *name, struct arena *arena)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

static enum err io_problem(const char *path, const char *what, struct arena *arena,
                           const char **problem)
{
    *problem = arena_printf(arena, "%s: cannot %s: %s", path, what, strerror(errno));
    return ERR_IO;
}

/* Reads all of a file whose size is within the limit. */
static enum err read_whole(int fd, const char *path, struct arena *arena, struct bytes *whole,
                           const char **problem)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return io_problem(path, "read it", arena, problem);
    if (status.st_size > IDENTITY_SIZE_MAX) {
        *problem = arena_printf(arena, "%s: larger than any such file is", path);
        return ERR_MALFORMED;
    }
    size_t len = (size_t)status.st_size;
    uint8_t *room = arena_alloc(arena, len);
    size_t done = 0;
    while (done < len) {
        ssize_t got = read(fd, room + done, len - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return io_problem(path, "read it", arena, problem);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *whole = bytes_from(room, done);
    return ERR_OK;
}

enum err identity_file_read(const char *folder, const char *name, const char *title,
                            struct arena *arena, struct bytes *content, const char **problem)
{
    const char *path = file_path(folder, name, arena);
    struct bytes first = bytes_of(title);
    struct bytes whole = {NULL, 0};
    uint8_t sum[CHECKSUM_SIZE];

    *problem = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return ERR_NOTFOUND;
    if (fd < 0)
        return io_problem(path, "open it", arena, problem);
    enum err err = read_whole(fd, path, arena, &whole, problem);
    close(fd);
    if (err != ERR_OK)
        return err;

    size_t header = first.len + 1 + CHECKSUM_SIZE;
    if (whole.len < header || memcmp(whole.at, first.at, first.len) != 0 ||
        whole.at[first.len] != '\n') {
        *problem = arena_printf(arena, "%s: does not begin with \"%s\"", path, title);
        return ERR_MALFORMED;
    }
    *content = bytes_skip(whole, header);
    checksum(*content, sum);
    if (sodium_memcmp(sum, whole.at + first.len + 1, CHECKSUM_SIZE) != 0) {
        *problem = arena_printf(arena, "%s: damaged, its checksum is wrong", path);
        return ERR_MALFORMED;
    }
    return ERR_OK;
}

static bool write_whole(int fd, struct bytes rest)
{
    while (rest.len > 0) {
        ssize_t put = write(fd, rest.at, rest.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        rest = bytes_skip(rest, (size_t)put);
    }
    return true;
}

static enum err sync_folder(const char *folder, struct arena *arena, const char **problem)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    enum err err = good ? ERR_OK : io_problem(folder, "write it", arena, problem);
    if (fd >= 0)
        close(fd);
    return err;
}

enum err identity_file_write(const char *folder, const char *name, const char *title,
                             struct bytes content, struct arena *arena, const char **problem)
{
    const char *path = file_path(folder, name, arena);
    const char *fresh = arena_printf(arena, "%s.new", path);
    struct buffer whole = BUFFER_EMPTY;
    uint8_t sum[CHECKSUM_SIZE];

    *problem = NULL;
    CHECK(content.len <= IDENTITY_SIZE_MAX / 2);
    checksum(content, sum);
    buffer_printf(&whole, "%s\n", title);
    buffer_add(&whole, bytes_from(sum, sizeof(sum)));
    buffer_add(&whole, content);

    int fd =
        open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    bool good = fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 &&
                write_whole(fd, buffer_bytes(&whole)) && fsync(fd) == 0;
    enum err err = good ? ERR_OK : io_problem(fresh, "write it", arena, problem);
    if (fd >= 0 && close(fd) < 0 && err == ERR_OK)
        err = io_problem(fresh, "write it", arena, problem);
    sodium_memzero(whole.memory, whole.size); /* keys */
    buffer_fini(&whole);
    if (err == ERR_OK && rename(fresh, path) < 0)
        err = io_problem(path, "replace it", arena, problem);
    return err == ERR_OK ? sync_folder(folder, arena, problem) : err;
}

enum err identity_file_remove(const char *folder, const char *name, struct arena *arena,
                              const char **problem)
{
    const char *path = file_path(folder, name, arena);

    *problem = NULL;
    if (unlink(path) < 0)
        return errno == ENOENT ? ERR_OK : io_problem(path, "remove it", arena, problem);
    return sync_folder(folder, arena, problem);
}

bool identity_file_exists(const char *folder, const char *name)
{
    struct arena path_arena;
    struct stat status;

    arena_init(&path_arena);
    bool there = lstat(file_path(folder, name, &path_arena), &status) == 0;
    arena_fini(&path_arena);
    return there;
}

enum err identity_load(const char *folder, struct arena *arena, Pr__Identity **identity,
                       const char **problem)
{
    ProtobufCAllocator allocator = arena_allocator(arena);
    struct bytes content = {NULL, 0};

    *identity = NULL;
    enum err err =
        identity_file_read(folder, IDENTITY_FILE, FILE_TITLE, arena, &content, problem);
    if (err != ERR_OK)
        return err;
    Pr__Identity *read = pr__identity__unpack(&allocator, content.len, content.at);
    if (read == NULL || read->node_id == 0 || read->cluster_id[0] == '\0' ||
        read->key.len == 0 || read->certificate.len == 0 || read->authority.len == 0) {
        *problem = arena_printf(arena, "%s/" IDENTITY_FILE ": not a node's identity", folder);
        return ERR_MALFORMED;
    }
    *identity = read;
    return identity_file_remove(folder, IDENTITY_MARK, arena, problem);
}

enum err identity_save(const char *folder, const Pr__Identity *identity, struct arena *arena,
                       const char **problem)
{
    struct buffer packed = BUFFER_EMPTY;

    message_pack(&identity->base, &packed);
    enum err err = identity_file_write(folder, IDENTITY_FILE, FILE_TITLE, buffer_bytes(&packed),
                                       arena, problem);
    sodium_memzero(packed.memory, packed.size);
    buffer_fini(&packed);
    return err;
}
