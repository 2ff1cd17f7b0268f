/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "admin/cli/cli.h"

#define OPTION_ROW(name, text, argument, help) {text, argument, help},
static const struct {
    const char *name;
    const char *argument;
    const char *help;
} options[] = {CLI_OPTIONS(OPTION_ROW)};
#undef OPTION_ROW

#define FOR_ALL (WITH(CONFIG) | WITH(RUN) | WITH(JSON) | WITH(HELP))

/* A name, and behind it, or below it when it is long, what it is. */
static void print_row(const char *left, const char *text)
{
    if (strlen(left) > 24)
        printf("  %s\n  %-24s %s\n", left, "", text);
    else
        printf("  %-24s %s\n", left, text);
}

static void print_option(enum cli_option option)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s%s%s", options[option].name,
             options[option].argument != NULL ? " " : "",
             options[option].argument != NULL ? options[option].argument : "");
    print_row(left, options[option].help);
}

static void print_options(const char *title, cli_options set)
{
    if (set == 0)
        return;
    printf("\n%s:\n", title);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if ((set & CLI_OPTION_BIT(i)) != 0)
            print_option((enum cli_option)i);
}

static void print_command(const struct cli_command *command)
{
    char left[96];

    snprintf(left, sizeof(left), "%s%s%s%s%s", command->group,
             command->verb[0] != '\0' ? " " : "", command->verb,
             command->arguments[0] != '\0' ? " " : "", command->arguments);
    print_row(left, command->summary);
}

static const struct {
    const char *group;
    const char *verb;
    const char *line;
} examples[] = {
    {"alias", "add", "alias add info@example.net ann@example.net bob@other.test"},
    {"alias", "change",
     "alias change info@example.net --add eve@example.net --remove bob@other.test"},
    {"list", "add",
     "list add news@example.net --owner ann@example.net --post owner - < members"},
    {"list", "change", "list change news@example.net --post members"},
    {"forward", "set", "forward set ann@example.net ann@other.test --keep"},
    {"domain", "route", "domain route example.org --alias-of example.net"},
    {"domain", "route", "domain route example.net --catch-all ann@example.net"},
    {"account", "disable", "account disable ann@example.net --send"},
    {"account", "rights", "account rights ann@example.net --add @example.org"},
    {"account", "app-password add",
     "account app-password add ann@example.net phone --for imap"},
    {"setting", "set", "setting set mail.outbound on --tenant example"},
    {"setting", "help", "setting help mail.separators"},
    {"address", "explain", "address explain info@example.net --from bob@other.test"},
    {"queue", "list", "queue list --to other.test"},
    {"queue", "hold", "queue hold 2/17 --reason \"asked the customer\""},
};

static void print_examples(const struct cli_command *command)
{
    bool first = true;

    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        if (strcmp(examples[i].group, command->group) != 0 ||
            strcmp(examples[i].verb, command->verb) != 0)
            continue;
        printf("%s  postraft %s\n", first ? "\nexamples:\n" : "", examples[i].line);
        first = false;
    }
}

static void help_command(const struct cli_command *command)
{
    printf("usage: postraft %s%s%s%s%s", command->group, command->verb[0] != '\0' ? " " : "",
           command->verb, command->arguments[0] != '\0' ? " " : "", command->arguments);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if ((command->required & CLI_OPTION_BIT(i)) != 0)
            printf(" --%s %s", options[i].name, options[i].argument);
    printf(" [options]\n\n%c%s.\n",
           command->summary[0] >= 'a' ? command->summary[0] - ('a' - 'A') : command->summary[0],
           command->summary + 1);
    print_options("needed", command->required);
    print_options("options", command->allowed);
    print_options("with every command", FOR_ALL);
    print_examples(command);
}

void cli_help(const struct cli *cli, const char *group, const char *verb)
{
    if (cli->command != NULL && verb != NULL) {
        help_command(cli->command);
        return;
    }
    printf("usage: postraft %s [options]\n\ncommands:\n",
           group != NULL ? group : "COMMAND ...");
    for (size_t i = 0; i < cli_command_count; i++)
        if (group == NULL || strcmp(group, cli_commands[i].group) == 0)
            print_command(&cli_commands[i]);
    print_options("with every command", FOR_ALL | (group == NULL ? WITH(VERSION) : 0));
    printf("\n`postraft %s --help` tells more of one.\n",
           group != NULL ? group : "COMMAND VERB");
}

/* Says which there are: of the group, if there is one of that name. */
void cli_unknown(const char *group, const char *verb)
{
    bool known = false;
    const char *last = "";

    for (size_t i = 0; i < cli_command_count; i++)
        known = known || strcmp(group, cli_commands[i].group) == 0;
    if (!known)
        fprintf(stderr, "postraft: there is no command \"%s\"; there are:", group);
    else if (verb != NULL)
        fprintf(stderr, "postraft: there is no command \"%s %s\"; there are:", group, verb);
    else
        fprintf(stderr, "postraft: \"%s\" alone is no command; there are:", group);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (known && strcmp(group, command->group) == 0)
            fprintf(stderr, " \"%s %s\"", group, command->verb);
        else if (!known && strcmp(last, command->group) != 0)
            fprintf(stderr, " %s", command->group);
        last = command->group;
    }
    fprintf(stderr, " (postraft --help)\n");
}
