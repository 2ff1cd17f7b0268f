/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/config_table.h"

#include <string.h>

/* Which values there are, and which one it is otherwise. */
static void print_values(struct buffer *text, const struct config_row *row)
{
    static const char *const shapes[] = {
        [CONFIG_PATH] = "path",         [CONFIG_HOST] = "name",
        [CONFIG_ADDRESS] = "host:port", [CONFIG_WORD] = "name",
        [CONFIG_PREFIXES] = "network",  [CONFIG_SERVERS] = "address",
        [CONFIG_SOURCES] = "address",   [CONFIG_ROUTES] = "domain=host",
        [CONFIG_TIMES] = "time"};

    if (row->kind == CONFIG_UNSIGNED || row->kind == CONFIG_U64) {
        buffer_printf(text, "%llu to %llu, else %llu", (unsigned long long)row->least,
                      (unsigned long long)row->most, (unsigned long long)row->number);
        return;
    }
    if (row->kind == CONFIG_BOOL) {
        buffer_printf(text, "true or false, else %s", row->number != 0 ? "true" : "false");
        return;
    }
    for (const char *const *choice = row->choices; choice != NULL && *choice != NULL; choice++)
        buffer_printf(text, "%s\"%s\"", choice == row->choices ? "" : " or ", *choice);
    if (config_list_max(row->kind) > 0)
        buffer_printf(text, "{ \"%s\", ... }, at most %u", shapes[row->kind],
                      config_list_max(row->kind));
    else if (row->choices == NULL)
        buffer_add_string(text, shapes[row->kind]);
    if (row->text != NULL && row->text[0] != '\0')
        buffer_printf(text, ", else \"%s\"", row->text);
}

static void print_row(struct buffer *text, const struct config_row *row, const char *indent)
{
    buffer_printf(text, "%s%s\n%s    %s\n%s    ", indent, row->name, indent, row->help, indent);
    print_values(text, row);
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

/* Text for roff: nothing in it is a request, and a hyphen stays one that can be copied. */
static void add_roff(struct buffer *page, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == '\\')
            buffer_add_byte(page, '\\');
        buffer_add_byte(page, (uint8_t)(*text == '\\' ? 'e' : *text));
    }
}

static void add_roff_row(struct buffer *page, const struct config_row *row)
{
    struct buffer values = BUFFER_EMPTY;

    print_values(&values, row);
    buffer_add_byte(&values, '\0');
    buffer_add_string(page, ".TP\n.B ");
    add_roff(page, row->name);
    buffer_add_string(page, "\n");
    add_roff(page, row->help);
    buffer_add_string(page, "\n.br\n");
    add_roff(page, (const char *)buffer_bytes(&values).at);
    buffer_add_string(page, ".\n");
    buffer_fini(&values);
}

void config_man_page(struct buffer *page)
{
    const char *section = NULL;

    buffer_add_string(
        page,
        ".\\\" SPDX-License-Identifier: GPL-2.0-or-later\n"
        ".\\\" Printed by `postraftd --man-config`.\n"
        ".TH POSTRAFT.CONF 5 \"\" \"Postraft\" \"Postraft\"\n"
        ".SH NAME\npostraft.conf \\- configuration of one Postraft node\n"
        ".SH DESCRIPTION\n.I " CONFIG_PATH_DEFAULT "\n"
        "holds only what one node must know to start. Everything else lies in the cluster's "
        "directory and is managed by\n.BR postraft (1).\n"
        "A setting is a line \"name = value\", texts stand in double quotes, lists and "
        "sections in braces, # begins a comment.\n.B postraftd \\-\\-check\n"
        "looks at the file and starts nothing.\n.SH SETTINGS\n");
    for (unsigned i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (section == NULL || strcmp(row->section, section) != 0) {
            section = row->section;
            buffer_printf(page, ".SS %s\n",
                          section[0] != '\0' ? section : "Outside of sections");
        }
        add_roff_row(page, row);
    }
    buffer_add_string(
        page, ".SH PORTS\n"
              ".B listen \"\\fINAME\\fB\" { address = { \"\\fIhost:port\\fB\", ... } }\n"
              ".PP\nAddresses are numeric, IPv6 in brackets.\n");
    for (unsigned i = 0; i < config_listen_rows_count; i++) {
        buffer_printf(page, ".TP\n.B %s\n", config_listen_rows[i].title);
        add_roff(page, config_listen_rows[i].help);
        buffer_add_string(page, "\n");
    }
    buffer_add_string(page,
                      ".SH SIGNALS\nSIGHUP to postraftd: the certificate, its key and the "
                      "network map are read again. All else wants a restart.\n"
                      ".SH SEE ALSO\n.BR postraft (1)\n");
}
