/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/err.h"

#include "node/base/check.h"

#define ERR_ROW(name, text) [ERR_##name] = {#name, text},
static const struct {
    const char *name;
    const char *text;
} rows[] = {ERR_LIST(ERR_ROW)};
#undef ERR_ROW

const char *err_text(enum err err)
{
    CHECK((unsigned)err < ERR_COUNT);
    return rows[err].text;
}

const char *err_name(enum err err)
{
    CHECK((unsigned)err < ERR_COUNT);
    return rows[err].name;
}
