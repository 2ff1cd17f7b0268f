/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/check.h"

enum { BAR_WIDTH = 30 };

/* What the signal's handler says; set before it is installed. */
static char interrupted_text[256];

static void on_interrupt(int number)
{
    ssize_t put = write(STDERR_FILENO, interrupted_text, strlen(interrupted_text));

    (void)number;
    (void)put;
    _exit(CLI_INTERRUPTED);
}

void progress_begin(struct progress *progress, const struct cli *cli, const char *title,
                    const char *look)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    *progress = (struct progress){.cli = cli, .title = title, .look = look};
    snprintf(
        interrupted_text, sizeof(interrupted_text),
        "\npostraft: this command ends, the cluster's work goes on; `postraft %s` shows how "
        "far it is\n",
        look);
    sigaction(SIGINT, &action, NULL);
}

static void show_json(const struct progress *progress, uint64_t left, const char *detail)
{
    json_t *event = json_pack("{s:s, s:I, s:I, s:s}", "event", "progress", "done",
                              (json_int_t)(progress->total - left), "total",
                              (json_int_t)progress->total, "detail", detail);
    CHECK(event != NULL);
    char *text = json_dumps(event, JSON_COMPACT);
    CHECK(text != NULL);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(event);
}

static void show_bar(struct progress *progress, uint64_t left, const char *detail)
{
    uint64_t done = progress->total - left;
    unsigned full =
        progress->total == 0 ? BAR_WIDTH : (unsigned)(BAR_WIDTH * done / progress->total);
    char bar[BAR_WIDTH + 1];

    for (unsigned i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %llu/%llu %s\033[K", progress->title, bar,
            (unsigned long long)done, (unsigned long long)progress->total, detail);
    fflush(stderr);
    progress->drawn = true;
}

void progress_show(struct progress *progress, uint64_t left, const char *detail)
{
    bool news = !progress->begun || left != progress->left_before ||
                strcmp(detail, progress->detail_before) != 0;

    if (left > progress->total)
        progress->total = left;
    else if (progress->begun && left > progress->left_before)
        left = progress->left_before; /* what is taken up again was not forgotten */
    progress->begun = true;
    progress->left_before = left;
    snprintf(progress->detail_before, sizeof(progress->detail_before), "%s", detail);
    if (cli_has(progress->cli, OPTION_JSON)) {
        if (news)
            show_json(progress, left, detail);
    } else if (isatty(STDERR_FILENO)) {
        show_bar(progress, left, detail);
    } else if (news) {
        fprintf(stderr, "%s: %llu of %llu%s%s\n", progress->title,
                (unsigned long long)(progress->total - left),
                (unsigned long long)progress->total, detail[0] != '\0' ? ", " : "", detail);
    }
}

void progress_end(struct progress *progress)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(SIGINT, &action, NULL);
    if (progress->drawn)
        fputc('\n', stderr);
    progress->drawn = false;
}

static void on_waited(void *context)
{
    loop_stop(context);
}

void progress_wait(struct cli *cli)
{
    struct loop_timer *timer =
        loop_timer_start(cli->loop, PROGRESS_LOOK_MS, 0, on_waited, cli->loop);

    loop_run(cli->loop);
    loop_timer_stop(&timer);
}

const Pr__NodeListAnswer *progress_nodes(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__NodeList ask = PR__NODE_LIST__INIT;

    request.call_case = PR__REQUEST__CALL_NODE_LIST;
    request.node_list = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_NODE_LIST) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->node_list;
}

const Pr__GroupListAnswer *progress_groups(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__GroupList ask = PR__GROUP_LIST__INIT;

    request.call_case = PR__REQUEST__CALL_GROUP_LIST;
    request.group_list = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_GROUP_LIST) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->group_list;
}

const Pr__NodeStatus *progress_node(const Pr__NodeListAnswer *nodes, const char *named)
{
    uint64_t number = 0;
    bool is_number = bytes_to_u64(bytes_of(named), &number);

    for (size_t i = 0; i < nodes->n_nodes; i++)
        if (bytes_equal_nocase(bytes_of(nodes->nodes[i]->node->name), bytes_of(named)))
            return nodes->nodes[i];
    for (size_t i = 0; i < nodes->n_nodes && is_number; i++)
        if (nodes->nodes[i]->node->id == number)
            return nodes->nodes[i];
    return NULL;
}
