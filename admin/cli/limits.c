/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What accounts may hold, and the policy for what they no longer hold. */
#include <string.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

#define SIZE_MAX_BYTES ((uint64_t)1 << 50)

/* "500M", "2G", "1000000", "none". False after a message. */
static bool read_size(const struct cli *cli, enum cli_option option, uint64_t *size)
{
    static const char units[] = "KMGT";
    struct bytes text = bytes_of(cli->options[option]);
    uint64_t factor = 1;

    if (strcmp(cli->options[option], "none") == 0) {
        *size = 0;
        return true;
    }
    for (unsigned i = 0; i < 4 && text.len > 1; i++) {
        if (byte_lower(text.at[text.len - 1]) != byte_lower((uint8_t)units[i]))
            continue;
        factor = (uint64_t)1 << (10 * (i + 1));
        text.len--;
        break;
    }
    if (bytes_to_u64(text, size) && *size > 0 && *size <= SIZE_MAX_BYTES / factor) {
        *size *= factor;
        return true;
    }
    cli_fail("\"%s\" is no size: give a number above 0, like 500M or 2G, or none",
             cli->options[option]);
    return false;
}

static bool read_count(const struct cli *cli, uint64_t *count)
{
    const char *text = cli->options[OPTION_MESSAGES];

    if (strcmp(text, "none") == 0) {
        *count = 0;
        return true;
    }
    if (bytes_to_u64(bytes_of(text), count) && *count > 0)
        return true;
    cli_fail("\"%s\" is no number of messages; none is no limit", text);
    return false;
}

/* What to set. False after a message. */
static bool read_limits(struct cli *cli, Pr__AccountQuota *quota)
{
    bool given = cli_has(cli, OPTION_BYTES) || cli_has(cli, OPTION_MESSAGES);

    if (cli_has(cli, OPTION_INHERIT) && cli_has(cli, OPTION_TOGETHER)) {
        cli_fail("what all accounts hold --together is limited here or not at all: "
                 "--bytes none takes the limit away");
        return false;
    }
    if (cli_has(cli, OPTION_INHERIT) && given) {
        cli_fail("--inherit takes all limits from above; give nothing else with it");
        return false;
    }
    return (!cli_has(cli, OPTION_BYTES) || read_size(cli, OPTION_BYTES, &quota->bytes)) &&
           (!cli_has(cli, OPTION_MESSAGES) || read_count(cli, &quota->messages));
}

static const char *limit_text(struct cli *cli, const Pr__AccountQuota *quota, bool many)
{
    if (quota == NULL)
        return "takes the limits from above";
    if (quota->bytes == 0 && quota->messages == 0)
        return many ? "have no limit" : "has no limit";
    if (quota->messages == 0)
        return arena_printf(&cli->arena, "may hold %llu bytes",
                            (unsigned long long)quota->bytes);
    if (quota->bytes == 0)
        return arena_printf(&cli->arena, "may hold %llu messages",
                            (unsigned long long)quota->messages);
    return arena_printf(&cli->arena, "may hold %llu bytes and %llu messages",
                        (unsigned long long)quota->bytes, (unsigned long long)quota->messages);
}

static enum cli_exit quota_set(struct cli *cli, Pr__QuotaSet *set, const char *who)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;

    if (!cli_has(cli, OPTION_BYTES) && !cli_has(cli, OPTION_MESSAGES) &&
        !cli_has(cli, OPTION_INHERIT))
        return cli_fail("give --bytes, --messages (what is not given has no limit), or "
                        "--inherit; `%s show` tells what is set",
                        cli->command->group),
               CLI_USAGE;
    if (!read_limits(cli, &quota))
        return CLI_USAGE;
    set->quota = cli_has(cli, OPTION_INHERIT) ? NULL : &quota;
    set->together = cli_has(cli, OPTION_TOGETHER);
    if (set->together)
        who = "all accounts together of ";
    request.call_case = PR__REQUEST__CALL_QUOTA_SET;
    request.quota_set = set;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_pack("{s:s, s:b, s:b}", "name", cli->arguments[0], "inherit",
                             set->quota == NULL, "together", (int)set->together);
    if (set->quota != NULL)
        output_add_quota(made, set->quota);
    return output_done(cli, made, "%s%s %s", who, cli->arguments[0],
                       limit_text(cli, set->quota, set->together));
}

enum cli_exit cli_account_quota(struct cli *cli)
{
    Pr__QuotaSet set = PR__QUOTA_SET__INIT;

    set.address = cli->arguments[0];
    return quota_set(cli, &set, "");
}

enum cli_exit cli_domain_quota(struct cli *cli)
{
    Pr__QuotaSet set = PR__QUOTA_SET__INIT;

    set.domain = cli->arguments[0];
    return quota_set(cli, &set, "each account of ");
}

enum cli_exit cli_tenant_quota(struct cli *cli)
{
    Pr__QuotaSet set = PR__QUOTA_SET__INIT;

    set.tenant = cli->arguments[0];
    return quota_set(cli, &set, "each account of ");
}

/* ---- the policy ---- */

static json_t *json_of_policy(const Pr__MailPolicy *policy)
{
    return json_pack("{s:I, s:s}", "undelete_days", (json_int_t)policy->undelete_days,
                     "over_quota", policy->over_quota_permanent ? "for-good" : "for-now");
}

static bool read_policy(struct cli *cli, Pr__MailPolicy *policy)
{
    const char *how = cli->options[OPTION_OVER_QUOTA];

    if (!cli_number(cli, OPTION_UNDELETE_DAYS, 0, 3650, &policy->undelete_days))
        return false;
    if (how == NULL)
        return true;
    policy->over_quota_permanent = strcmp(how, "for-good") == 0;
    if (policy->over_quota_permanent || strcmp(how, "for-now") == 0)
        return true;
    cli_fail("--over-quota takes for-now or for-good");
    return false;
}

json_t *cli_mail_policy(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__PolicyShow show = PR__POLICY_SHOW__INIT;
    Pr__PolicySet set = PR__POLICY_SET__INIT;

    request.call_case = PR__REQUEST__CALL_POLICY_SHOW;
    request.policy_show = &show;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_POLICY_SHOW ||
        reply->policy_show->policy == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    Pr__MailPolicy policy = *reply->policy_show->policy;
    if (!cli_has(cli, OPTION_UNDELETE_DAYS) && !cli_has(cli, OPTION_OVER_QUOTA)) {
        cli_remark(reply);
        return json_of_policy(&policy);
    }
    if (!read_policy(cli, &policy))
        return NULL;
    set.policy = &policy;
    pr__request__init(&request);
    request.call_case = PR__REQUEST__CALL_POLICY_SET;
    request.policy_set = &set;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return NULL;
    return json_of_policy(&policy);
}
