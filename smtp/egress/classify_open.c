/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the rules come from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/egress/classify.h"

/* Made from replies.rules by embed.cmake. */
extern const uint8_t classify_builtin_text[];
extern const size_t classify_builtin_len;

struct bytes classify_builtin(void)
{
    return (struct bytes){classify_builtin_text, classify_builtin_len};
}

const char *classify_installed(void)
{
    return CLASSIFY_RULES_PATH;
}

enum err classify_open(const char *path, struct classify_rules **rules,
                       struct classify_error *error)
{
    FILE *file = path == NULL ? NULL : fopen(path, "rbe");

    *rules = NULL;
    *error = (struct classify_error){.line = 0};
    if (file == NULL && (path == NULL || errno == ENOENT || errno == ENOTDIR))
        return classify_load(classify_builtin(), rules, error);
    if (file == NULL) {
        snprintf(error->reason, sizeof(error->reason), "cannot be opened: %s", strerror(errno));
        return ERR_IO;
    }
    /* One byte more than allowed, so that a larger file is seen to be larger. */
    uint8_t *text = malloc(CLASSIFY_FILE_MAX + 1);
    CHECK(text != NULL);
    size_t len = fread(text, 1, CLASSIFY_FILE_MAX + 1, file);
    enum err err = ferror(file) != 0 ? ERR_IO : ERR_OK;
    fclose(file);
    if (err == ERR_OK)
        err = classify_load((struct bytes){text, len}, rules, error);
    else
        snprintf(error->reason, sizeof(error->reason), "cannot be read");
    free(text);
    return err;
}
