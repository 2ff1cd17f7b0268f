/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/config_table.h"

#include <string.h>

static void print_row(struct buffer *text, const struct config_row *row, const char *indent)
{
    static const char *const shapes[] = {
        [CONFIG_PATH] = "path",         [CONFIG_HOST] = "name",
        [CONFIG_ADDRESS] = "host:port", [CONFIG_WORD] = "name",
        [CONFIG_PREFIXES] = "network",  [CONFIG_SERVERS] = "address",
        [CONFIG_BOOL] = "true or false"};

    buffer_printf(text, "%s%s\n%s    %s\n%s    ", indent, row->name, indent, row->help, indent);
    if (row->kind == CONFIG_UNSIGNED || row->kind == CONFIG_U64) {
        buffer_printf(text, "%llu to %llu, else %llu\n", (unsigned long long)row->least,
                      (unsigned long long)row->most, (unsigned long long)row->number);
        return;
    }
    if (row->kind == CONFIG_BOOL) {
        buffer_printf(text, "true or false, else %s\n", row->number != 0 ? "true" : "false");
        return;
    }
    for (const char *const *choice = row->choices; choice != NULL && *choice != NULL; choice++)
        buffer_printf(text, "%s\"%s\"", choice == row->choices ? "" : " or ", *choice);
    if (row->kind == CONFIG_PREFIXES || row->kind == CONFIG_SERVERS)
        buffer_printf(text, "{ \"%s\", ... }, at most %u", shapes[row->kind],
                      config_list_max(row->kind));
    else if (row->choices == NULL)
        buffer_add_string(text, shapes[row->kind]);
    if (row->text != NULL && row->text[0] != '\0')
        buffer_printf(text, ", else \"%s\"", row->text);
    buffer_add_string(text, "\n");
}

void config_manual(struct buffer *text)
{
    const char *section = "";

    buffer_add_string(text, "The configuration file of one node. name = value, a line each; "
                            "texts in \"quotes\"; # begins a comment.\n\n");
    for (unsigned i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (strcmp(row->section, section) != 0) {
            if (section[0] != '\0')
                buffer_add_string(text, "}\n");
            buffer_printf(text, "\n%s {\n", row->section);
            section = row->section;
        }
        print_row(text, row, section[0] != '\0' ? "    " : "");
    }
    buffer_add_string(text, "}\n");
    for (unsigned i = 0; i < config_listen_rows_count; i++)
        buffer_printf(text,
                      "\nlisten \"%s\" {\n    address = { \"host:port\", ... }\n"
                      "        %s At most %d addresses.\n}\n",
                      config_listen_rows[i].title, config_listen_rows[i].help,
                      CONFIG_ADDRESSES_MAX);
}
