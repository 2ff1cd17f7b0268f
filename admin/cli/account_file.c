/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/cli/output.h"
#include "node/base/check.h"
#include "storage/schema/entry.h"

/*
 * Many accounts from a file. As many calls are under way as the store takes at once; those that
 * wait there with the same password share its hash, so that a thousand accounts with one first
 * password take a moment. A line that is refused does not stop the others.
 */
#define LINE_MS 60000
#define SHOWN_MAX 20 /* refusals that are printed one by one */

struct import {
    struct cli *cli;
    FILE *file;
    unsigned line;
    unsigned under_way;
    unsigned added;
    unsigned refused;
    bool end;
    json_t *problems;
};

struct import_line {
    struct import *import;
    unsigned number;
    char address[];
};

static void import_problem(struct import *import, unsigned line, const char *address,
                           const char *text)
{
    import->refused++;
    if (import->refused <= SHOWN_MAX)
        fprintf(stderr, "postraft: line %u: %s: %s\n", line, address, text);
    json_t *shown = json_string(address); /* NULL when it is no UTF-8 */
    if (shown == NULL)
        shown = json_null();
    json_t *made =
        json_pack("{s:I, s:o, s:s}", "line", (json_int_t)line, "address", shown, "text", text);
    CHECK(json_array_append_new(import->problems, made) == 0);
}

static void import_go_on(struct import *import);

static void import_answered(void *context, enum err err, const Pr__Reply *reply)
{
    struct import_line *line = context;
    struct import *import = line->import;

    import->under_way--;
    if (err == ERR_OK && reply->err == ERR_OK)
        import->added++;
    else
        import_problem(import, line->number, line->address,
                       err != ERR_OK            ? err_text(err)
                       : reply->text[0] != '\0' ? reply->text
                                                : err_text((enum err)reply->err));
    free(line);
    import_go_on(import);
}

/* One account; `tab` is where the address ends. */
static void import_send(struct import *import, char *text, char *tab)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate create = PR__ACCOUNT_CREATE__INIT;
    struct request_id id = store_request_id();
    size_t len = (size_t)(tab - text);
    struct import_line *line = malloc(sizeof(*line) + len + 1);

    CHECK(line != NULL);
    *tab = '\0';
    line->import = import;
    line->number = import->line;
    memcpy(line->address, text, len + 1);
    create.address = text;
    create.password = tab + 1;
    create.weak = cli_has(import->cli, OPTION_WEAK);
    request.request_id = field_of_bytes(bytes_from(id.bytes, sizeof(id.bytes)));
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &create;
    import->under_way++;
    store_call(import->cli->client, &request, LINE_MS, import_answered, line);
}

static void import_go_on(struct import *import)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t len;

    while (!import->end && import->under_way < CLI_PARALLEL) {
        len = getline(&text, &room, import->file);
        if (len < 0) {
            import->end = true;
            break;
        }
        import->line++;
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            text[--len] = '\0';
        if (len == 0 || text[0] == '#')
            continue;
        char *tab = strchr(text, '\t');
        if (tab == NULL)
            import_problem(import, import->line, text,
                           "no TAB and password behind the address");
        else
            import_send(import, text, tab);
    }
    free(text);
    if (import->end && import->under_way == 0)
        loop_stop(import->cli->loop);
}

static void import_begin(void *context)
{
    import_go_on(context);
}

enum cli_exit cli_account_add_file(struct cli *cli)
{
    const char *path = cli->options[OPTION_FILE];
    bool input = strcmp(path, "-") == 0;
    struct import import = {
        .cli = cli,
        .file = input ? stdin : fopen(path, "re"),
        .problems = NULL,
    };

    if (import.file == NULL)
        return cli_fail("%s: %s", path, strerror(errno));
    if (!cli_connect(cli)) {
        if (!input)
            fclose(import.file);
        return CLI_FAILED;
    }
    import.problems = json_array();
    uint64_t begun_ms = clock_monotonic_ms();
    loop_post(cli->loop, import_begin, &import);
    loop_run(cli->loop);
    uint64_t took_ms = clock_monotonic_ms() - begun_ms;
    if (!input)
        fclose(import.file);
    if (import.refused > SHOWN_MAX)
        fprintf(stderr, "postraft: and %u lines more\n", import.refused - SHOWN_MAX);
    enum cli_exit status =
        output_done(cli,
                    json_pack("{s:I, s:I, s:o, s:I}", "added", (json_int_t)import.added,
                              "refused", (json_int_t)import.refused, "problems",
                              import.problems, "took_ms", (json_int_t)took_ms),
                    "%u accounts added in %.1f s, %u refused", import.added,
                    (double)took_ms / 1000, import.refused);
    return import.refused > 0 ? CLI_FAILED : status;
}
