/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ADMIN_CLI_ALIASES_H
#define ADMIN_CLI_ALIASES_H

#include "admin/cli/output.h"

/* What commands on aliases and on lists have in common: both are aliases to the store. */

/* One of them, in `cli`'s arena; NULL after a message. */
const Pr__AliasRecord *alias_fetch(struct cli *cli, const char *address, bool list);
/* Changes one; false after a message. */
bool alias_change_call(struct cli *cli, Pr__AliasChange *change);
/* Prints all, of the domain that is the first argument if there is one. */
enum cli_exit alias_list_print(struct cli *cli, bool lists, const char *name,
                               const struct output_column *columns, size_t column_count);
/* Asks, and removes the one that is the first argument: "alias", "list". */
enum cli_exit alias_remove_as(struct cli *cli, const char *what);
/* --disable and --enable, into `value`; false after a message: both are given. */
bool alias_read_disabled(struct cli *cli, Pr__BoolValue *value, Pr__BoolValue **given);

json_t *json_of_alias(const Pr__AliasRecord *alias);

#endif
