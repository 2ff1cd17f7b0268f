/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "node/base/bytes.h"
#include "node/base/check.h"

/* What earlier releases wrote: tests/fixtures/FORMAT/NAME.zst, unpacked; the caller frees it.
 */
static inline struct bytes fixture_read(const char *name)
{
    char path[512];
    static uint8_t packed[1024 * 1024];

    CHECK(snprintf(path, sizeof(path), "%s/%s.zst", FIXTURES, name) < (int)sizeof(path));
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t len = fread(packed, 1, sizeof(packed), file);
    fclose(file);
    size_t size = (size_t)ZSTD_getFrameContentSize(packed, len);
    uint8_t *at = malloc(size);
    CHECK(at != NULL && ZSTD_decompress(at, size, packed, len) == size);
    return bytes_from(at, size);
}

/* The same as a file in `folder`. */
static inline void fixture_write(const char *name, const char *folder, const char *as)
{
    struct bytes content = fixture_read(name);
    char path[512];

    CHECK(snprintf(path, sizeof(path), "%s/%s", folder, as) < (int)sizeof(path));
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(content.at, 1, content.len, file) == content.len);
    CHECK(fclose(file) == 0);
    free((void *)(uintptr_t)content.at);
}

#endif
