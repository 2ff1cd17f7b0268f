/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/cli.h"

#define OPTION_ROW(name, text, argument, help) {text, argument, help},
static const struct {
    const char *name;
    const char *argument;
    const char *help;
} options[] = {CLI_OPTIONS(OPTION_ROW)};
#undef OPTION_ROW

#define FOR_ALL (WITH(CONFIG) | WITH(RUN) | WITH(JSON) | WITH(HELP))

static void print_option(enum cli_option option)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s%s%s", options[option].name,
             options[option].argument != NULL ? " " : "",
             options[option].argument != NULL ? options[option].argument : "");
    printf("  %-24s %s\n", left, options[option].help);
}

static void print_options(const char *title, uint64_t set)
{
    if (set == 0)
        return;
    printf("\n%s:\n", title);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if ((set & UINT64_C(1) << i) != 0)
            print_option((enum cli_option)i);
}

static void print_command(const struct cli_command *command)
{
    char left[64];

    snprintf(left, sizeof(left), "%s%s%s%s%s", command->group,
             command->verb[0] != '\0' ? " " : "", command->verb,
             command->arguments[0] != '\0' ? " " : "", command->arguments);
    printf("  %-24s %s\n", left, command->summary);
}

static void help_command(const struct cli_command *command)
{
    printf("usage: postraft %s%s%s%s%s", command->group, command->verb[0] != '\0' ? " " : "",
           command->verb, command->arguments[0] != '\0' ? " " : "", command->arguments);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if ((command->required & UINT64_C(1) << i) != 0)
            printf(" --%s %s", options[i].name, options[i].argument);
    printf(" [options]\n\n%c%s.\n",
           command->summary[0] >= 'a' ? command->summary[0] - ('a' - 'A') : command->summary[0],
           command->summary + 1);
    print_options("needed", command->required);
    print_options("options", command->allowed);
    print_options("with every command", FOR_ALL);
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
