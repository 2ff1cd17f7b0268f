/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/buffer.h"
#include "node/base/log.h"
#include "node/runtime/tls.h"
#include "node/supervisor/supervisor.h"

enum { FILE_SIZE_MAX = 512 * 1024 };

static bool read_all(int fd, struct buffer *text)
{
    ssize_t len;

    do {
        len = read(fd, buffer_reserve(text, 4096), 4096);
        if (len > 0)
            buffer_added(text, (size_t)len);
    } while (len > 0 && buffer_len(text) <= FILE_SIZE_MAX);
    return len == 0;
}

static bool read_file(struct supervisor *supervisor, int folder, const char *path,
                      struct bytes *text)
{
    struct buffer buffer = BUFFER_EMPTY;
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read_all(fd, &buffer);

    if (good)
        *text = arena_copy(&supervisor->arena, buffer_bytes(&buffer));
    else if (errno != ENOENT || folder == AT_FDCWD)
        log_error(NULL, "cannot read",
                  LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("reason", strerror(errno))));
    if (fd >= 0)
        close(fd);
    buffer_fini(&buffer);
    return good;
}

/* Under another name first, so that a half-written key is never found. */
static bool write_file(int folder, const char *name, struct bytes text)
{
    static const char other[] = "new.pem";

    unlinkat(folder, other, 0);
    int fd = openat(folder, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len &&
                fsync(fd) == 0 && renameat(folder, other, folder, name) == 0;
    if (!good)
        log_error(NULL, "cannot keep the self-signed certificate",
                  LOG_FIELDS(LOG_TEXT("file", name), LOG_TEXT("reason", strerror(errno))));
    if (fd >= 0)
        close(fd);
    return good;
}

/* One file for both, so that they cannot fail to match. */
static bool self_signed(struct supervisor *supervisor, struct bytes *pair)
{
    static const char name[] = "self-signed.pem";
    struct bytes certificate, key;
    const char *path = arena_printf(&supervisor->arena, "%s/tls", supervisor->config.folder);

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        log_error(NULL, "cannot make folder",
                  LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("reason", strerror(errno))));
        return false;
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool good = folder >= 0 && read_file(supervisor, folder, name, pair);
    if (!good && folder >= 0 && errno == ENOENT) {
        tls_self_signed(supervisor->config.hostname, &supervisor->arena, &certificate, &key);
        *pair = bytes_of(arena_printf(&supervisor->arena, "%.*s%.*s", BYTES_ARG(certificate),
                                      BYTES_ARG(key)));
        good = write_file(folder, name, *pair) && fsync(folder) == 0;
        if (good)
            log_info(NULL, "made a self-signed certificate",
                     LOG_FIELDS(LOG_TEXT("hostname", supervisor->config.hostname)));
    }
    if (folder >= 0)
        close(folder);
    return good;
}

bool tls_files_read(struct supervisor *supervisor)
{
    const struct config *config = &supervisor->config;
    struct bytes certificate, key, pair;
    struct tls_context *context;

    if (config->tls_certificate[0] == '\0') {
        if (!self_signed(supervisor, &pair))
            return false;
        certificate = key = pair;
    } else {
        if (!read_file(supervisor, AT_FDCWD, config->tls_certificate, &certificate) ||
            !read_file(supervisor, AT_FDCWD, config->tls_key, &key))
            return false;
        pair = bytes_of(arena_printf(&supervisor->arena, "%.*s\n%.*s", BYTES_ARG(certificate),
                                     BYTES_ARG(key)));
    }
    /* Better now than in every front end. */
    if (tls_context_new(certificate, key, &context) != ERR_OK)
        return false;
    tls_context_free(&context);
    supervisor->tls_pem = pair;
    return true;
}
