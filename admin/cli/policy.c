/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const char *const durabilities[] = {
    [PR__CLUSTER_POLICY__DURABILITY__LOCAL] = "local",
    [PR__CLUSTER_POLICY__DURABILITY__CROSS_DC] = "cross-dc",
    [PR__CLUSTER_POLICY__DURABILITY__MAJORITY] = "majority",
};

enum { DURABILITIES = sizeof(durabilities) / sizeof(durabilities[0]), GRACE_DEFAULT_S = 30 };

static const Pr__ReplicationAnswer *read_policy(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ReplicationRead ask = PR__REPLICATION_READ__INIT;

    request.call_case = PR__REQUEST__CALL_REPLICATION_READ;
    request.replication_read = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_REPLICATION ||
        reply->replication->policy == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->replication;
}

static json_t *json_of_replication(const Pr__ReplicationAnswer *answer)
{
    const Pr__ClusterPolicy *policy = answer->policy;
    bool local = policy->durability == PR__CLUSTER_POLICY__DURABILITY__LOCAL;
    json_t *warnings = json_array();

    for (size_t i = 0; i < answer->n_warnings; i++)
        CHECK(json_array_append_new(warnings, json_string(answer->warnings[i])) == 0);
    return json_pack(
        "{s:I, s:I, s:s, s:I, s:o}", "replicas", (json_int_t)policy->replicas, "min_dcs",
        (json_int_t)policy->min_dcs, "durability",
        (unsigned)policy->durability < DURABILITIES ? durabilities[policy->durability] : "?",
        "grace_s", (json_int_t)(local ? answer->local_grace_s : policy->grace_s), "warnings",
        warnings);
}

static enum cli_exit show_policy(struct cli *cli)
{
    static const struct output_column columns[] = {
        {"replicas", "replicas of a mail group", OUTPUT_NUMBER},
        {"min_dcs", "data centers at least", OUTPUT_NUMBER},
        {"durability", "durability", OUTPUT_TEXT},
        {"grace_s", "grace, in seconds", OUTPUT_NUMBER},
        {"undelete_days", "days that expunged mail can be brought back", OUTPUT_NUMBER},
        {"over_quota", "mail for a full account is refused", OUTPUT_TEXT},
    };
    json_t *record = cli_mail_policy(cli);
    const Pr__ReplicationAnswer *answer = record != NULL ? read_policy(cli) : NULL;

    if (answer == NULL) {
        json_decref(record);
        return CLI_FAILED;
    }
    CHECK(json_object_update_new(record, json_of_replication(answer)) == 0);
    enum cli_exit ended = output_record(cli, record, columns, OUTPUT_COUNT(columns));
    if (ended != CLI_OK || cli_has(cli, OPTION_JSON))
        return ended;
    if (answer->policy->durability == PR__CLUSTER_POLICY__DURABILITY__LOCAL)
        printf("\nDurability is what each node's configuration says; on this node: %s.\n",
               answer->local_cross_dc ? "cross-dc" : "majority");
    for (size_t i = 0; i < answer->n_warnings; i++)
        printf("Note: %s.\n", answer->warnings[i]);
    return CLI_OK;
}

/* The options over what counts now; false after a message. */
static bool change_policy(const struct cli *cli, Pr__ClusterPolicy *policy)
{
    const char *named = cli->options[OPTION_DURABILITY];

    if (!cli_number(cli, OPTION_REPLICAS, 3, 5, &policy->replicas) ||
        !cli_number(cli, OPTION_MIN_DCS, 0, 5, &policy->min_dcs) ||
        !cli_number(cli, OPTION_GRACE, 0, 86400, &policy->grace_s))
        return false;
    if (named == NULL)
        return true;
    if (!cli_has(cli, OPTION_GRACE) &&
        policy->durability == PR__CLUSTER_POLICY__DURABILITY__LOCAL)
        policy->grace_s = GRACE_DEFAULT_S;
    for (unsigned i = 0; i < DURABILITIES; i++)
        if (strcmp(durabilities[i], named) == 0) {
            policy->durability = (Pr__ClusterPolicy__Durability)i;
            return true;
        }
    cli_fail("--durability is cross-dc, majority, or local");
    return false;
}

static bool sets_replication(const struct cli *cli)
{
    return cli_has(cli, OPTION_REPLICAS) || cli_has(cli, OPTION_MIN_DCS) ||
           cli_has(cli, OPTION_DURABILITY) || cli_has(cli, OPTION_GRACE);
}

static enum cli_exit set_replication(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__ReplicationChange change = PR__REPLICATION_CHANGE__INIT;
    const Pr__ReplicationAnswer *answer = read_policy(cli);

    if (answer == NULL)
        return CLI_FAILED;
    Pr__ClusterPolicy policy = *answer->policy;
    if (!change_policy(cli, &policy))
        return CLI_USAGE;
    change.policy = &policy;
    request.call_case = PR__REQUEST__CALL_REPLICATION_CHANGE;
    request.replication_change = &change;
    return cli_call(cli, &request, CLI_CALL_MS) != NULL ? CLI_OK : CLI_FAILED;
}

/* With options it sets what they name, and shows everything then. "show" and "set" may be left
 * out; they are checked against what was meant. */
enum cli_exit cli_cluster_policy(struct cli *cli)
{
    const char *verb = cli->argument_count > 0 ? cli->arguments[0] : NULL;
    bool sets = sets_replication(cli) || cli_has(cli, OPTION_UNDELETE_DAYS) ||
                cli_has(cli, OPTION_OVER_QUOTA);

    if (verb != NULL && strcmp(verb, "set") != 0 && strcmp(verb, "show") != 0) {
        cli_fail("`cluster policy` is followed by show or set");
        return CLI_USAGE;
    }
    if (verb != NULL && sets != (strcmp(verb, "set") == 0)) {
        cli_fail(sets ? "`cluster policy show` changes nothing: it takes none of these options"
                      : "what shall it be? `postraft cluster policy --help` shows the options");
        return CLI_USAGE;
    }
    enum cli_exit ended = sets_replication(cli) ? set_replication(cli) : CLI_OK;
    return ended == CLI_OK ? show_policy(cli) : ended;
}
