/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin/cli/cli.h"
#include "node/base/check.h"

/* What getopt_long() gives for the first option; '?' is none of them. */
enum { OPTION_FIRST = 256 };

#define FOR_ALL (WITH(CONFIG) | WITH(RUN) | WITH(JSON) | WITH(HELP) | WITH(VERSION))

#define OPTION_NAME(name, text, argument, help) text,
static const char *const names[] = {CLI_OPTIONS(OPTION_NAME)};
#undef OPTION_NAME

static const struct option *long_options(void)
{
#define LONG_OPTION(name, text, argument, help)                                                \
    {text, (argument) != NULL ? required_argument : no_argument, NULL,                         \
     OPTION_FIRST + OPTION_##name},
    static const struct option rows[] = {CLI_OPTIONS(LONG_OPTION){NULL, 0, NULL, 0}};
#undef LONG_OPTION
    return rows;
}

/*
 * `cluster rebalance --run` was promised to operators, but --run takes the folder of the
 * sockets: where no folder follows it, it is --start.
 */
static void read_rebalance_run(int argc, char **argv)
{
    static char start[] = "--start";
    bool rebalance = false;

    for (int i = 1; i < argc; i++) {
        rebalance = rebalance || strcmp(argv[i], "rebalance") == 0;
        if (rebalance && strcmp(argv[i], "--run") == 0 &&
            (i + 1 == argc || argv[i + 1][0] == '-'))
            argv[i] = start;
    }
}

/* All options, wherever they stand; what is left are words. */
static bool read_options(struct cli *cli, int argc, char **argv)
{
    int found;

    read_rebalance_run(argc, argv);
    cli->given = arena_alloc(&cli->arena, (size_t)argc * sizeof(*cli->given));
    optind = 1;
    while ((found = getopt_long(argc, argv, "", long_options(), NULL)) != -1) {
        int option = found - OPTION_FIRST;
        if (option < 0 || option >= OPTION_COUNT) {
            fprintf(stderr, "postraft: `postraft --help` shows the options\n");
            return false;
        }
        cli->options[option] = optarg != NULL ? optarg : "";
        cli->given[cli->given_count++] = (struct cli_given){(enum cli_option)option, optarg};
    }
    cli->arguments = argv + optind;
    cli->argument_count = (unsigned)(argc - optind);
    return true;
}

/* Takes a word off the front of the command's text; false: that is another word. */
static bool takes_word(const char **text, const char *word)
{
    size_t len = strcspn(*text, " ");

    if (strlen(word) != len || strncmp(*text, word, len) != 0)
        return false;
    *text += len;
    *text += **text == ' ';
    return true;
}

/* How many of the words are the command's name; 0: it is another. */
static unsigned name_words(const struct cli_command *command, char *const *words,
                           unsigned count)
{
    const char *verb = command->verb;
    unsigned taken = 1;

    if (count == 0 || strcmp(command->group, words[0]) != 0)
        return 0;
    while (*verb != '\0' && taken < count && takes_word(&verb, words[taken]))
        taken++;
    return *verb == '\0' ? taken : 0;
}

static const struct cli_command *find_command(char *const *words, unsigned count,
                                              unsigned *taken)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if ((*taken = name_words(&cli_commands[i], words, count)) > 0)
            return &cli_commands[i];
    return NULL;
}

static bool check_options(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    cli_options allowed = FOR_ALL | command->allowed | command->required;

    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (cli->options[i] != NULL && (allowed & CLI_OPTION_BIT(i)) == 0) {
            fprintf(stderr, "postraft: \"%s %s\" takes no --%s\n", command->group,
                    command->verb, names[i]);
            return false;
        }
        if (cli->options[i] == NULL && (command->required & CLI_OPTION_BIT(i)) != 0) {
            fprintf(stderr, "postraft: \"%s %s\" needs --%s\n", command->group, command->verb,
                    names[i]);
            return false;
        }
    }
    return true;
}

static bool check_arguments(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    bool optional = strchr(command->arguments, '[') != NULL;
    unsigned most = strstr(command->arguments, "...") != NULL
                        ? UINT_MAX
                        : command->argument_count + (optional ? 1 : 0);

    if (cli->argument_count >= command->argument_count && cli->argument_count <= most)
        return true;
    if (cli->argument_count > most)
        fprintf(stderr, "postraft: \"%s\" is too much for \"%s %s\"; see --help\n",
                cli->arguments[most], command->group, command->verb);
    else
        fprintf(stderr, "postraft: \"%s %s\" needs %s\n", command->group, command->verb,
                command->arguments);
    return false;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *status)
{
    *status = CLI_USAGE;
    if (!read_options(cli, argc, argv))
        return false;
    if (cli_has(cli, OPTION_VERSION)) {
        printf("postraft %s\n", POSTRAFT_VERSION);
        *status = CLI_OK;
        return false;
    }
    const char *group = cli->argument_count > 0 ? cli->arguments[0] : NULL;
    const char *verb = cli->argument_count > 1 ? cli->arguments[1] : NULL;
    unsigned words = 0;
    cli->command = find_command(cli->arguments, cli->argument_count, &words);
    bool begun = group != NULL && cli_has_verbs(group, verb); /* a command, half of its name */
    if (cli_has(cli, OPTION_HELP) && (cli->command != NULL || group == NULL || begun)) {
        cli_help(cli, group, verb);
        *status = CLI_OK;
        return false;
    }
    if (cli->command == NULL && group != NULL) {
        cli_unknown(group, verb);
        return false;
    }
    if (cli->command == NULL) {
        fprintf(stderr, "postraft: which command? `postraft --help` shows them\n");
        return false;
    }
    cli->arguments += words;
    cli->argument_count -= words;
    return check_options(cli) && check_arguments(cli);
}

char **cli_values(struct cli *cli, enum cli_option option, size_t *count)
{
    char **values = arena_alloc(&cli->arena, cli->given_count * sizeof(*values));

    *count = 0;
    for (unsigned i = 0; i < cli->given_count; i++)
        if (cli->given[i].option == option)
            values[(*count)++] = cli->given[i].value;
    return values;
}

bool cli_number(const struct cli *cli, enum cli_option option, uint32_t least, uint32_t most,
                uint32_t *number)
{
    uint64_t value = 0;

    if (!cli_has(cli, option))
        return true;
    if (!bytes_to_u64(bytes_of(cli->options[option]), &value) || value < least ||
        value > most) {
        cli_fail("--%s takes a number from %u to %u", names[option], (unsigned)least,
                 (unsigned)most);
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

enum cli_exit cli_fail(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fputs("postraft: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return CLI_FAILED;
}
