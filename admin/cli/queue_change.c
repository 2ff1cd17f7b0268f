/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of messages in the queue: of those that are named, or of all that --from, --to and
 * --id choose. */
#include <stdlib.h>

#include "admin/cli/output.h"
#include "admin/cli/queue.h"
#include "node/base/check.h"

enum { IDS_A_CALL = 100 };

struct named {
    uint32_t group;
    uint64_t id;
};

struct chosen {
    struct named *of; /* by malloc() */
    size_t count;
    size_t room;
};

static void choose(struct chosen *chosen, uint32_t group, uint64_t id)
{
    if (chosen->count == chosen->room) {
        chosen->room = chosen->room > 0 ? 2 * chosen->room : 64;
        chosen->of = realloc(chosen->of, chosen->room * sizeof(*chosen->of));
        CHECK(chosen->of != NULL);
    }
    chosen->of[chosen->count++] = (struct named){group, id};
}

static enum cli_exit choose_filtered(struct cli *cli, struct chosen *chosen)
{
    Pr__QueueList ask = PR__QUEUE_LIST__INIT;
    bool more = true;

    if (!queue_read_filter(cli, &ask))
        return CLI_USAGE;
    while (more) {
        const Pr__QueueListAnswer *answer = queue_fetch_page(cli, &ask);
        if (answer == NULL)
            return CLI_FAILED;
        for (size_t i = 0; i < answer->n_messages; i++)
            choose(chosen, answer->groups[i], answer->messages[i]->id);
        ask.after_group = answer->after_group;
        ask.after_id = answer->after_id;
        more = answer->more;
    }
    return CLI_OK;
}

static enum cli_exit choose_all(struct cli *cli, struct chosen *chosen)
{
    bool filtered =
        cli_has(cli, OPTION_FROM) || cli_has(cli, OPTION_TO) || cli_has(cli, OPTION_ID);

    if (filtered == (cli->argument_count > 0))
        return cli_fail("name messages as GROUP/ID, or choose them by --from, --to and --id"),
               CLI_USAGE;
    if (filtered)
        return choose_filtered(cli, chosen);
    for (unsigned i = 0; i < cli->argument_count; i++) {
        struct named named;
        if (!queue_read_id(cli->arguments[i], &named.group, &named.id))
            return CLI_USAGE;
        choose(chosen, named.group, named.id);
    }
    return CLI_OK;
}

static int by_group(const void *left, const void *right)
{
    const struct named *one = left;
    const struct named *other = right;

    if (one->group != other->group)
        return one->group < other->group ? -1 : 1;
    return (one->id > other->id) - (one->id < other->id);
}

/* The first ones, which are of one group. False after a message. */
static bool change_some(struct cli *cli, Pr__QueueChange *change, const struct named *first,
                        size_t count, uint64_t *changed)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueAlter alter = PR__QUEUE_ALTER__INIT;

    change->n_ids = count;
    for (size_t i = 0; i < count; i++)
        change->ids[i] = first[i].id;
    alter.group = first->group;
    alter.change = change;
    request.call_case = PR__REQUEST__CALL_QUEUE_ALTER;
    request.queue_alter = &alter;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return false;
    if (reply->answer_case == PR__REPLY__ANSWER_QUEUE_ALTER)
        *changed += reply->queue_alter->changed;
    return true;
}

/* Messages of a group are changed together, so many a call. */
static bool change_all(struct cli *cli, Pr__QueueChange *change, struct chosen *chosen,
                       uint64_t *changed)
{
    uint64_t ids[IDS_A_CALL];

    change->ids = ids;
    qsort(chosen->of, chosen->count, sizeof(*chosen->of), by_group);
    for (size_t at = 0; at < chosen->count;) {
        size_t end = at;
        while (end < chosen->count && end - at < IDS_A_CALL &&
               chosen->of[end].group == chosen->of[at].group)
            end++;
        if (!change_some(cli, change, &chosen->of[at], end - at, changed)) {
            if (*changed > 0)
                cli_fail("%llu messages were changed before that",
                         (unsigned long long)*changed);
            return false;
        }
        at = end;
    }
    return true;
}

static enum cli_exit print_changed(const struct cli *cli, const struct chosen *chosen,
                                   uint64_t changed, const char *done)
{
    json_t *made = json_pack("{s:I, s:I}", "named", (json_int_t)chosen->count, "changed",
                             (json_int_t)changed);
    enum cli_exit status =
        output_done(cli, made, "%llu of %zu message%s %s%s", (unsigned long long)changed,
                    chosen->count, chosen->count == 1 ? "" : "s", done,
                    changed < chosen->count ? "; the others are gone, or were so already" : "");

    /* Nothing of what was named is there: mostly a slip. */
    return changed == 0 && cli->argument_count > 0 ? CLI_FAILED : status;
}

static enum cli_exit alter_all(struct cli *cli, Pr__QueueChange__Action action,
                               const char *done)
{
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;
    struct chosen chosen = {NULL, 0, 0};
    uint64_t changed = 0;
    enum cli_exit status = choose_all(cli, &chosen);

    change.action = action;
    change.reason = arena_string(&cli->arena, bytes_of(cli->options[OPTION_REASON]));
    if (status == CLI_OK && action == PR__QUEUE_CHANGE__ACTION__DROP && chosen.count > 0 &&
        !cli_confirm(cli, arena_printf(&cli->arena, "Forget %zu message%s, and tell nobody?",
                                       chosen.count, chosen.count == 1 ? "" : "s")))
        status = CLI_FAILED;
    if (status == CLI_OK && !change_all(cli, &change, &chosen, &changed))
        status = CLI_FAILED;
    if (status == CLI_OK)
        status = print_changed(cli, &chosen, changed, done);
    free(chosen.of);
    return status;
}

enum cli_exit cli_queue_hold(struct cli *cli)
{
    return alter_all(cli, PR__QUEUE_CHANGE__ACTION__HOLD, "held");
}

enum cli_exit cli_queue_release(struct cli *cli)
{
    return alter_all(cli, PR__QUEUE_CHANGE__ACTION__RELEASE, "released");
}

enum cli_exit cli_queue_retry(struct cli *cli)
{
    return alter_all(cli, PR__QUEUE_CHANGE__ACTION__RETRY, "due now");
}

enum cli_exit cli_queue_drop(struct cli *cli)
{
    return alter_all(cli, PR__QUEUE_CHANGE__ACTION__DROP, "dropped");
}
