/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files. Their blocks are written before they are used, so that a flush writes what is new
 * and nothing else (node/base/file_ahead.h says what that is worth). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/log.h"
#include "raft/journal_internal.h"

enum { NAME_SIZE = 32, FOLDER_SIZE = 4096, ZEROS_SIZE = 256 * 1024 };

#define NAME_AHEAD "ahead.tmp"

enum err journal_complain(const char *event, uint64_t segment, int code)
{
    log_error(NULL, event,
              LOG_FIELDS(LOG_U64("segment", segment), LOG_TEXT("error", strerror(code))));
    return code == ENOSPC || code == EDQUOT || code == EFBIG ? ERR_FULL : ERR_IO;
}

enum err journal_parent_sync(const char *folder)
{
    char path[FOLDER_SIZE];

    snprintf(path, sizeof(path), "%s", folder);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return journal_complain("log: no folder", 0, errno);
    enum err err = fsync(fd) == 0 ? ERR_OK : journal_complain("log: flush failed", 0, errno);
    close(fd);
    return err;
}

static void name_of(uint64_t number, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%016" PRIx64 ".log", number);
}

enum err journal_write_at(int fd, uint64_t at, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t written = pwrite(fd, bytes.at, bytes.len, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return journal_complain("log: write failed", 0, written == 0 ? EIO : errno);
        at += (uint64_t)written;
        bytes = bytes_skip(bytes, (size_t)written);
    }
    return ERR_OK;
}

bool journal_read_at(int fd, uint64_t at, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = pread(fd, bytes, len, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (uint64_t)got;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

static enum err zeros_write(int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[ZEROS_SIZE];
    enum err err = ERR_OK;

    while (from < to && err == ERR_OK) {
        size_t len = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        err = journal_write_at(fd, from, bytes_from(zeros, len));
        from += len;
    }
    return err;
}

static enum err head_write(struct journal *journal, const struct journal_segment *segment)
{
    uint8_t head[JOURNAL_SEGMENT_HEAD_SIZE];

    journal_segment_head_write(head, &(struct journal_segment_head){.number = segment->number,
                                                                    .salt = journal->salt,
                                                                    .size = segment->size});
    enum err err = journal_write_at(segment->fd, 0, bytes_from(head, sizeof(head)));
    if (err == ERR_OK && fsync(segment->fd) != 0)
        err = journal_complain("log: flush failed", segment->number, errno);
    return err;
}

/* The file of the spare under the name that half-made ones have: on disk before its head is
 * another's, since a head of another number than the name's would be damage. */
static int spare_open(struct journal *journal, struct journal_segment *spare)
{
    char name[NAME_SIZE];

    name_of(spare->number, name);
    int code = renameat(journal->folder_fd, name, journal->folder_fd, NAME_AHEAD);
    if (code == 0)
        code = fsync(journal->folder_fd);
    int fd = spare->fd;
    free(spare);
    if (code == 0)
        return fd;
    close(fd);
    return -1;
}

enum err journal_segment_new(struct journal *journal, uint64_t number, uint64_t size,
                             struct journal_segment *spare, struct journal_segment **made)
{
    struct journal_segment *segment = calloc(1, sizeof(*segment));
    bool blank = spare == NULL || spare->size != size;
    char name[NAME_SIZE];

    CHECK(segment != NULL);
    if (spare != NULL && blank)
        journal_segment_remove(journal, &spare);
    *segment = (struct journal_segment){
        .number = number, .size = size, .used = JOURNAL_SEGMENT_HEAD_SIZE};
    segment->fd = blank ? openat(journal->folder_fd, NAME_AHEAD,
                                 O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                        : spare_open(journal, spare);
    enum err err =
        segment->fd >= 0 ? ERR_OK : journal_complain("log: no new file", number, errno);
    if (err == ERR_OK && blank)
        err = zeros_write(segment->fd, 0, size);
    if (err == ERR_OK)
        err = head_write(journal, segment);
    name_of(number, name);
    if (err == ERR_OK &&
        (renameat(journal->folder_fd, NAME_AHEAD, journal->folder_fd, name) != 0 ||
         fsync(journal->folder_fd) != 0))
        err = journal_complain("log: no new file", number, errno);
    if (err != ERR_OK) {
        unlinkat(journal->folder_fd, NAME_AHEAD, 0); /* what it took is free again */
        journal_segment_close(&segment);
        return err;
    }
    *made = segment;
    return ERR_OK;
}

enum err journal_segment_open(struct journal *journal, uint64_t number,
                              struct journal_segment **opened)
{
    uint8_t bytes[JOURNAL_SEGMENT_HEAD_SIZE];
    struct journal_segment_head head;
    struct journal_segment *segment = calloc(1, sizeof(*segment));
    struct stat status;
    char name[NAME_SIZE];

    CHECK(segment != NULL);
    name_of(number, name);
    *segment = (struct journal_segment){.number = number, .used = JOURNAL_SEGMENT_HEAD_SIZE};
    segment->fd = openat(journal->folder_fd, name, O_RDWR | O_CLOEXEC);
    if (segment->fd < 0 || fstat(segment->fd, &status) != 0) {
        int code = errno;
        journal_segment_close(&segment);
        return journal_complain("log: a file does not open", number, code);
    }
    if (!journal_read_at(segment->fd, 0, bytes, sizeof(bytes)) ||
        !journal_segment_head_read(bytes, &head) || head.number != number ||
        head.size < JOURNAL_SEGMENT_HEAD_SIZE || (uint64_t)status.st_size < head.size ||
        (journal->salt != 0 && head.salt != journal->salt)) {
        log_error(NULL, "log: the head of a segment is damaged",
                  LOG_FIELDS(LOG_U64("segment", number)));
        journal_segment_close(&segment);
        return ERR_MALFORMED;
    }
    journal->salt = head.salt;
    segment->size = head.size;
    *opened = segment;
    return ERR_OK;
}

enum err journal_segment_grow(struct journal *journal, struct journal_segment *segment,
                              uint64_t size)
{
    enum err err = zeros_write(segment->fd, segment->size, size);

    /* A head that says more than there is would be damage. */
    if (err == ERR_OK && fsync(segment->fd) != 0)
        err = journal_complain("log: flush failed", segment->number, errno);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&journal->lock);
    segment->size = size;
    pthread_mutex_unlock(&journal->lock);
    return head_write(journal, segment);
}

void journal_segment_close(struct journal_segment **segment)
{
    if (*segment == NULL)
        return;
    if ((*segment)->fd >= 0)
        close((*segment)->fd);
    free(*segment);
    *segment = NULL;
}

void journal_segment_remove(struct journal *journal, struct journal_segment **segment)
{
    char name[NAME_SIZE];

    if (*segment == NULL)
        return;
    name_of((*segment)->number, name);
    unlinkat(journal->folder_fd, name, 0); /* one that stays is found dead when opening */
    journal_segment_close(segment);
}

void journal_files_remove(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *file;

    if (folder == NULL)
        return;
    while ((file = readdir(folder)) != NULL) {
        size_t len = strlen(file->d_name);
        if (len > 4 && (strcmp(file->d_name + len - 4, ".log") == 0 ||
                        strcmp(file->d_name, NAME_AHEAD) == 0))
            unlinkat(dirfd(folder), file->d_name, 0);
    }
    closedir(folder);
    rmdir(path);
}

void journal_segment_add(struct journal *journal, struct journal_segment *segment)
{
    journal->segments = realloc(journal->segments, (journal->segment_count + 1) *
                                                       sizeof(struct journal_segment *));
    CHECK(journal->segments != NULL);
    journal->segments[journal->segment_count++] = segment;
}

struct journal_segment *journal_segment_find(const struct journal *journal, uint64_t number)
{
    unsigned low = 0;
    unsigned high = journal->segment_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (journal->segments[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < journal->segment_count && journal->segments[low]->number == number
               ? journal->segments[low]
               : NULL;
}
