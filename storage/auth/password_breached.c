/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/hex.h"
#include "storage/auth/password_strength.h"

enum {
    DIGITS_MIN = 12, /* 48 bits: one in 300,000 good passwords is refused for a list of 10^9 */
    DIGITS_MAX = 2 * AUTH_SHA1_SIZE,
    LINE_SIZE_MAX = 128, /* with its end */
    WINDOW = 2 * LINE_SIZE_MAX,
};

struct password_breached {
    int fd;
    off_t size;
    size_t digits; /* of each line's digest */
};

/* Reads from `at` as much as there is, up to `size`. */
static enum err read_at(int fd, off_t at, char *window, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t got = pread(fd, window + *len, size - *len, at + (off_t)*len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            return ERR_OK;
        *len += (size_t)got;
    }
    return ERR_OK;
}

/* The first line that begins at or behind `at`: its digest and where it ends. `start` is at the
 * file's size when there is none. */
struct line {
    off_t start;
    off_t end; /* behind its LF */
    size_t digits;
    char digest[LINE_SIZE_MAX]; /* upper case */
};

static enum err parse_line(struct bytes text, struct line *line)
{
    size_t len = text.len > 0 && text.at[text.len - 1] == '\r' ? text.len - 1 : text.len;
    size_t digits = bytes_find(bytes_from(text.at, len), ':');

    if (digits < DIGITS_MIN || digits > DIGITS_MAX)
        return ERR_MALFORMED;
    for (size_t i = 0; i < digits; i++) {
        uint8_t digit = byte_lower(text.at[i]);
        if ((digit < '0' || digit > '9') && (digit < 'a' || digit > 'f'))
            return ERR_MALFORMED;
        line->digest[i] = (char)digit;
    }
    for (size_t i = digits + 1; i < len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return ERR_MALFORMED;
    line->digits = digits;
    return ERR_OK;
}

static enum err read_line(const struct password_breached *breached, off_t at, struct line *line)
{
    char window[WINDOW + 1];
    size_t len;
    off_t from = at > 0 ? at - 1 : 0; /* the byte before tells whether a line begins at `at` */
    enum err err = read_at(breached->fd, from, window, WINDOW, &len);

    if (err != ERR_OK)
        return err;
    struct bytes rest = bytes_from(window, len);
    if (at > 0) {
        size_t end = bytes_find(rest, '\n');
        if (end == rest.len && from + (off_t)len < breached->size)
            return ERR_MALFORMED; /* a line that is too long */
        rest = bytes_skip(rest, end + 1);
    }
    line->start = from + (off_t)(len - rest.len);
    if (rest.len == 0) {
        line->start = breached->size;
        return ERR_OK;
    }
    size_t length = bytes_find(rest, '\n');
    if (length == rest.len && line->start + (off_t)rest.len < breached->size)
        return ERR_MALFORMED;
    line->end = line->start + (off_t)length + 1;
    return parse_line(bytes_from(rest.at, length), line);
}

enum err password_breached_open(const char *path, struct password_breached **breached)
{
    struct password_breached *opened = calloc(1, sizeof(*opened));
    struct stat stat;
    struct line line;
    enum err err = ERR_IO;

    CHECK(opened != NULL);
    *breached = NULL;
    opened->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (opened->fd < 0) {
        err = errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
        goto fail;
    }
    if (fstat(opened->fd, &stat) != 0)
        goto fail;
    err = ERR_MALFORMED;
    if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
        goto fail;
    opened->size = stat.st_size;
    err = read_line(opened, 0, &line);
    if (err != ERR_OK)
        goto fail;
    opened->digits = line.digits;
    if (opened->size > WINDOW) /* the last lines have to look like the first */
        err = read_line(opened, opened->size - LINE_SIZE_MAX, &line);
    if (err == ERR_OK && line.digits != opened->digits)
        err = ERR_MALFORMED;
    if (err != ERR_OK)
        goto fail;
    *breached = opened;
    return ERR_OK;
fail:
    password_breached_close(&opened);
    return err;
}

void password_breached_close(struct password_breached **breached)
{
    if (*breached == NULL)
        return;
    if ((*breached)->fd >= 0)
        close((*breached)->fd);
    free(*breached);
    *breached = NULL;
}

/*
 * Lines below `low` are smaller than what is looked for; those that begin at `high` or behind
 * it are larger. Each round halves the bytes between.
 */
enum err password_breached_find(const struct password_breached *breached, struct bytes password)
{
    uint8_t digest[AUTH_SHA1_SIZE];
    char wanted[2 * AUTH_SHA1_SIZE + 1];
    struct line line;
    off_t low = 0;
    off_t high = breached->size;

    CHECK(EVP_Digest(password.at, password.len, digest, NULL, EVP_sha1(), NULL) == 1);
    hex_encode(bytes_from(digest, sizeof(digest)), wanted);
    while (low < high) {
        off_t middle = low + (high - low) / 2;
        enum err err = read_line(breached, middle, &line);
        if (err != ERR_OK)
            return err;
        if (line.start >= high) { /* no line begins in the upper half */
            high = middle;
            continue;
        }
        if (line.digits != breached->digits)
            return ERR_MALFORMED;
        int order = memcmp(line.digest, wanted, line.digits);
        if (order == 0)
            return ERR_OK;
        if (order < 0)
            low = line.end;
        else
            high = middle;
    }
    return ERR_NOTFOUND;
}
