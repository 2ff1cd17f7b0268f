/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "admin/cli/cli.h"
#include "node/base/check.h"

#define GENERATED_SIZE 20

/* One line without its end; false at the end of the file. */
static bool read_line(FILE *file, struct arena *arena, const char **line)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t len = getline(&text, &room, file);

    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    if (len >= 0)
        *line = arena_string(arena, bytes_from(text, (size_t)len));
    free(text);
    return len >= 0;
}

static bool prompt(struct cli *cli, const char *text, const char **line)
{
    struct termios before;
    struct termios silent;

    fputs(text, stderr);
    fflush(stderr);
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool got = read_line(stdin, &cli->arena, line);
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return got;
}

static bool password_prompt(struct cli *cli, const char **password)
{
    const char *again = NULL;

    if (!prompt(cli, "New password: ", password) || !prompt(cli, "The same again: ", &again) ||
        strcmp(*password, again) != 0) {
        cli_fail("the two are not the same; nothing was changed");
        return false;
    }
    return true;
}

bool cli_line(struct cli *cli, const char *path, const char *what, const char **line)
{
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "re");

    if (file == NULL) {
        cli_fail("%s: %s", path, strerror(errno));
        return false;
    }
    bool got = read_line(file, &cli->arena, line) && (*line)[0] != '\0';
    if (!input)
        fclose(file);
    if (!got)
        cli_fail("%s has no %s in its first line", input ? "the input" : path, what);
    return got;
}

/* Letters and digits that are not mistaken for each other; each equally likely. */
static const char *password_generate(struct arena *arena)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    char *text = arena_alloc(arena, GENERATED_SIZE + 1);
    const size_t count = sizeof(letters) - 1;

    for (size_t i = 0; i < GENERATED_SIZE;) {
        uint8_t byte = 0;
        store_random(&byte, sizeof(byte));
        if (byte < 256 / count * count)
            text[i++] = letters[byte % count];
    }
    return text;
}

bool cli_password(struct cli *cli, const char **password, bool *generated)
{
    *generated = cli_has(cli, OPTION_GENERATE);
    if (*generated && cli_has(cli, OPTION_PASSWORD_FILE)) {
        cli_fail("--generate and --password-file exclude each other");
        return false;
    }
    if (*generated) {
        *password = password_generate(&cli->arena);
        return true;
    }
    if (cli_has(cli, OPTION_PASSWORD_FILE))
        return cli_line(cli, cli->options[OPTION_PASSWORD_FILE], "password", password);
    if (isatty(STDIN_FILENO))
        return password_prompt(cli, password);
    return cli_line(cli, "-", "password", password);
}

bool cli_confirm(const struct cli *cli, const char *question)
{
    char answer[16] = "";

    if (cli_has(cli, OPTION_YES))
        return true;
    if (!isatty(STDIN_FILENO)) {
        cli_fail("%s Nobody is there to be asked: give --yes", question);
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    cli_fail("nothing was changed");
    return false;
}

bool cli_typed(struct cli *cli, const char *question, const char *word)
{
    const char *line = "";

    if (!isatty(STDIN_FILENO)) {
        cli_fail("nobody is there to be asked; see --help");
        return false;
    }
    fprintf(stderr, "%s: ", question);
    if (read_line(stdin, &cli->arena, &line) && strcmp(line, word) == 0)
        return true;
    cli_fail("that is not it; nothing was changed");
    return false;
}

/* ---- many words ---- */

struct words {
    char **at;
    size_t count;
    size_t room;
};

static void words_add(struct cli *cli, struct words *words, char *word)
{
    if (words->count == words->room) {
        size_t room = words->room > 0 ? 2 * words->room : 64;
        char **wider = arena_alloc(&cli->arena, room * sizeof(*wider));
        if (words->count > 0)
            memcpy(wider, words->at, words->count * sizeof(*wider));
        words->at = wider;
        words->room = room;
    }
    words->at[words->count++] = word;
}

static bool words_read(struct cli *cli, struct words *words, const char *path)
{
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "re");
    const char *line = "";

    if (file == NULL) {
        cli_fail("%s: %s", path, strerror(errno));
        return false;
    }
    while (read_line(file, &cli->arena, &line)) {
        struct bytes word = bytes_trim(bytes_of(line));
        if (word.len > 0 && word.at[0] != '#')
            words_add(cli, words, arena_string(&cli->arena, word));
    }
    if (!input)
        fclose(file);
    return true;
}

char **cli_words(struct cli *cli, unsigned first, size_t *count)
{
    struct words words = {.at = arena_alloc(&cli->arena, sizeof(*words.at)), .room = 0};

    for (unsigned i = first; i < cli->argument_count; i++) {
        if (strcmp(cli->arguments[i], "-") != 0)
            words_add(cli, &words, cli->arguments[i]);
        else if (!words_read(cli, &words, "-"))
            return NULL;
    }
    if (cli_has(cli, OPTION_FILE) && !words_read(cli, &words, cli->options[OPTION_FILE]))
        return NULL;
    *count = words.count;
    return words.at;
}
