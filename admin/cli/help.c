/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin/cli/cli.h"

#define OPTION_ROW(name, text, argument, help) {text, argument, help},
static const struct {
    const char *name;
    const char *argument;
    const char *help;
} options[] = {CLI_OPTIONS(OPTION_ROW)};
#undef OPTION_ROW

#define FOR_ALL (WITH(CONFIG) | WITH(RUN) | WITH(JSON) | WITH(HELP))

/* What an option means to one command, where that is more than its row says. */
static const struct {
    const char *group;
    const char *verb;
    enum cli_option option;
    const char *argument;
    const char *help;
} meanings[] = {
    {"domain", "add", OPTION_TENANT, "NAME", "the tenant that owns it"},
    {"account", "add", OPTION_FILE, "FILE", "lines of address, TAB, password; - is the input"},
    {"list", "add", OPTION_FILE, "FILE", "lines with a member each; - is the input"},
    {"list", "add-member", OPTION_FILE, "FILE", "lines with a member each; - is the input"},
    {"list", "remove-member", OPTION_FILE, "FILE", "lines with a member each; - is the input"},
    {"account", "undelete", OPTION_TO, "NAME", "into this mailbox, made if it has to be"},
    {"queue", "list", OPTION_TO, "DOMAIN", "only mail to this domain"},
    {"queue", "list", OPTION_FROM, "ADDRESS", "only of this sender; <> is the null sender"},
    {"queue", "hold", OPTION_TO, "DOMAIN", "all with a recipient of this domain"},
    {"queue", "hold", OPTION_FROM, "ADDRESS", "all of this sender; <> is the null sender"},
    {"queue", "release", OPTION_TO, "DOMAIN", "all with a recipient of this domain"},
    {"queue", "release", OPTION_FROM, "ADDRESS", "all of this sender; <> is the null sender"},
    {"queue", "retry", OPTION_TO, "DOMAIN", "all with a recipient of this domain"},
    {"queue", "retry", OPTION_FROM, "ADDRESS", "all of this sender; <> is the null sender"},
    {"queue", "drop", OPTION_TO, "DOMAIN", "all with a recipient of this domain"},
    {"queue", "drop", OPTION_FROM, "ADDRESS", "all of this sender; <> is the null sender"},
    {"alias", "list", OPTION_TO, "ADDRESS", "only those that name this address"},
    {"list", "list", OPTION_TO, "ADDRESS", "only those with this member"},
};

enum { LEFT_WIDTH = 24, TEXT_LEAST = 30 };

/* Columns of the terminal; 0: it is none, and lines may be long. */
static unsigned terminal_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col;
}

/* At blanks, with the next lines below the first. The text is ASCII. */
static void print_wrapped(const char *text)
{
    unsigned width = terminal_width();
    size_t room = width > LEFT_WIDTH + 3 + TEXT_LEAST ? width - LEFT_WIDTH - 3 : SIZE_MAX;

    while (strlen(text) > room) {
        size_t cut = room;
        while (cut > 0 && text[cut] != ' ')
            cut--;
        if (cut == 0)
            break;
        printf("%.*s\n  %*s ", (int)cut, text, LEFT_WIDTH, "");
        text += cut + 1;
    }
    printf("%s\n", text);
}

/* A name, and behind it, or below it when it is long, what it is. */
static void print_row(const char *left, const char *text)
{
    if (strlen(left) > LEFT_WIDTH)
        printf("  %s\n  %*s ", left, LEFT_WIDTH, "");
    else
        printf("  %-*s ", LEFT_WIDTH, left);
    print_wrapped(text);
}

static void print_option(const struct cli_command *command, enum cli_option option)
{
    const char *argument = options[option].argument;
    const char *help = options[option].help;
    char left[64];

    for (size_t i = 0; command != NULL && i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].option != option || strcmp(meanings[i].group, command->group) != 0 ||
            strcmp(meanings[i].verb, command->verb) != 0)
            continue;
        argument = meanings[i].argument;
        help = meanings[i].help;
    }
    snprintf(left, sizeof(left), "--%s%s%s", options[option].name, argument != NULL ? " " : "",
             argument != NULL ? argument : "");
    print_row(left, help);
}

static void print_options(const struct cli_command *command, const char *title, cli_options set)
{
    if (set == 0)
        return;
    printf("\n%s:\n", title);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if ((set & CLI_OPTION_BIT(i)) != 0)
            print_option(command, (enum cli_option)i);
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
    {"queue", "hold", "queue hold --from ann@example.net --reason \"her password was stolen\""},
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
    print_options(command, "needed", command->required);
    print_options(command, "options", command->allowed);
    print_options(command, "with every command", FOR_ALL);
    print_examples(command);
}

/* Whether it is one of the group, and of those whose verb begins with that word. */
static bool is_within(const struct cli_command *command, const char *group, const char *word)
{
    size_t len = word != NULL ? strlen(word) : 0;

    return strcmp(group, command->group) == 0 &&
           (word == NULL ||
            (strncmp(word, command->verb, len) == 0 && command->verb[len] == ' '));
}

bool cli_has_verbs(const char *group, const char *word)
{
    bool found = false;

    for (size_t i = 0; i < cli_command_count; i++)
        found = found || is_within(&cli_commands[i], group, word);
    return found;
}

void cli_help(const struct cli *cli, const char *group, const char *verb)
{
    if (cli->command != NULL) {
        help_command(cli->command);
        return;
    }
    printf("usage: postraft %s%s%s VERB ... [options]\n\ncommands:\n",
           group != NULL ? group : "GROUP", verb != NULL ? " " : "", verb != NULL ? verb : "");
    for (size_t i = 0; i < cli_command_count; i++)
        if (group == NULL || is_within(&cli_commands[i], group, verb))
            print_command(&cli_commands[i]);
    print_options(NULL, "with every command", FOR_ALL | (group == NULL ? WITH(VERSION) : 0));
    printf("\n`postraft %s%s%s VERB --help` tells more of one.\n",
           group != NULL ? group : "GROUP", verb != NULL ? " " : "", verb != NULL ? verb : "");
}

/* Says which there are: of the group, if there is one of that name. */
void cli_unknown(const char *group, const char *verb)
{
    bool known = cli_has_verbs(group, NULL);
    bool half = verb != NULL && cli_has_verbs(group, verb);
    const char *last = "";

    if (!known)
        fprintf(stderr, "postraft: there is no command \"%s\"; there are:", group);
    else if (half)
        fprintf(stderr, "postraft: \"%s %s\" wants a word more; there are:", group, verb);
    else if (verb != NULL)
        fprintf(stderr, "postraft: there is no command \"%s %s\"; there are:", group, verb);
    else
        fprintf(stderr, "postraft: \"%s\" alone is no command; there are:", group);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *command = &cli_commands[i];
        if (known && is_within(command, group, half ? verb : NULL))
            fprintf(stderr, " \"%s %s\"", group, command->verb);
        else if (!known && strcmp(last, command->group) != 0)
            fprintf(stderr, " %s", command->group);
        last = command->group;
    }
    fprintf(stderr, " (postraft --help)\n");
}
