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

static bool read_file(struct arena *arena, int folder, const char *path, struct bytes *text)
{
    struct buffer buffer = BUFFER_EMPTY;
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read_all(fd, &buffer);

    if (good)
        *text = arena_copy(arena, buffer_bytes(&buffer));
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
    bool good = folder >= 0 && read_file(&supervisor->tls_arena, folder, name, pair);
    if (!good && folder >= 0 && errno == ENOENT) {
        tls_self_signed(supervisor->config.hostname, &supervisor->tls_arena, &certificate,
                        &key);
        *pair = bytes_of(arena_printf(&supervisor->tls_arena, "%.*s%.*s",
                                      BYTES_ARG(certificate), BYTES_ARG(key)));
        good = write_file(folder, name, *pair) && fsync(folder) == 0;
        if (good)
            log_info(NULL, "made a self-signed certificate",
                     LOG_FIELDS(LOG_TEXT("hostname", supervisor->config.hostname)));
    }
    if (folder >= 0)
        close(folder);
    return good;
}

/* The configured pair as one text, in `arena`, which can be used. */
static bool configured(const struct config *config, struct arena *arena, struct bytes *pair)
{
    struct bytes certificate, key;
    struct tls_context *context;

    if (!read_file(arena, AT_FDCWD, config->tls_certificate, &certificate) ||
        !read_file(arena, AT_FDCWD, config->tls_key, &key))
        return false;
    *pair = bytes_of(arena_printf(arena, "%.*s\n%.*s", BYTES_ARG(certificate), BYTES_ARG(key)));
    /* Better now than in every front end. */
    bool good = tls_context_new(certificate, key, &context) == ERR_OK;
    tls_context_free(&context);
    return good;
}

bool tls_files_read(struct supervisor *supervisor)
{
    struct tls_context *context;

    if (supervisor->config.tls_certificate[0] != '\0')
        return configured(&supervisor->config, &supervisor->tls_arena, &supervisor->tls_pem);
    if (!self_signed(supervisor, &supervisor->tls_pem) ||
        tls_context_new(supervisor->tls_pem, supervisor->tls_pem, &context) != ERR_OK)
        return false;
    tls_context_free(&context);
    return true;
}

void tls_files_reload(struct supervisor *supervisor)
{
    const struct config *config = &supervisor->config;
    struct arena arena;
    struct bytes pair;

    if (config->tls_certificate[0] == '\0') {
        log_info(NULL, "nothing to read again: no certificate is configured", NULL);
        return;
    }
    arena_init(&arena);
    if (!configured(config, &arena, &pair)) {
        arena_fini(&arena);
        log_error(
            NULL,
            "THE NEW CERTIFICATE OR KEY CANNOT BE USED: clients go on getting the old one",
            LOG_FIELDS(LOG_TEXT("certificate", config->tls_certificate),
                       LOG_TEXT("key", config->tls_key)));
        return;
    }
    tls_files_forget(supervisor);
    supervisor->tls_arena = arena;
    supervisor->tls_pem = pair;
    unsigned programs = children_send(supervisor, spawn_send_keys);
    log_info(NULL, "certificate and key were read again",
             LOG_FIELDS(LOG_TEXT("certificate", config->tls_certificate),
                        LOG_U64("programs", programs)));
}

void tls_files_forget(struct supervisor *supervisor)
{
    supervisor->tls_pem = bytes_from(NULL, 0);
    arena_fini(&supervisor->tls_arena);
}
