/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/judges.h"

#include <stdio.h>

#include "node/base/check.h"

enum { UNCONFIRMED_PERCENT = 60, UNCHECKED_PERCENT = 50 };

const struct policy_listing *policy_facts_listing(const struct policy_facts *facts,
                                                  struct bytes zone)
{
    for (unsigned i = 0; i < facts->listing_count; i++)
        if (bytes_equal_nocase(bytes_of(facts->listings[i].zone), zone))
            return &facts->listings[i];
    return NULL;
}

static void judge_fcrdns(const struct policy_facts *facts, const struct settings *settings,
                         int64_t weight, struct policy_judgement *judgement)
{
    (void)settings;
    if (facts->reverse == POLICY_REVERSE_NONE) {
        judgement->score = weight;
        snprintf(judgement->words, sizeof(judgement->words), "address without a name");
    } else if (facts->reverse == POLICY_REVERSE_UNCONFIRMED) {
        judgement->score = weight * UNCONFIRMED_PERCENT / 100;
        snprintf(judgement->words, sizeof(judgement->words), "%.100s does not lead back",
                 facts->name);
    }
}

static void judge_generic_name(const struct policy_facts *facts,
                               const struct settings *settings, int64_t weight,
                               struct policy_judgement *judgement)
{
    (void)settings;
    if (facts->name[0] == '\0' || !policy_name_generic(facts->name, &facts->client))
        return;
    judgement->score = weight;
    snprintf(judgement->words, sizeof(judgement->words), "%.100s is made of the address",
             facts->name);
}

static void judge_greylist(const struct policy_facts *facts, const struct settings *settings,
                           int64_t weight, struct policy_judgement *judgement)
{
    (void)settings;
    if (facts->familiar || weight == 0)
        return;
    judgement->score = weight;
    snprintf(judgement->words, sizeof(judgement->words), "not seen before");
}

static void judge_new_domain(const struct policy_facts *facts, const struct settings *settings,
                             int64_t weight, struct policy_judgement *judgement)
{
    (void)settings;
    if (facts->sender == POLICY_SENDER_SUSPECT) {
        judgement->score = weight;
        snprintf(judgement->words, sizeof(judgement->words), "sender's domain is suspect");
    } else if (facts->sender == POLICY_SENDER_UNCHECKED) {
        judgement->score = weight * UNCHECKED_PERCENT / 100;
        snprintf(judgement->words, sizeof(judgement->words),
                 "sender's domain could not be checked");
    }
}

const struct policy_judge policy_judges[] = {
    {"fcrdns", SETTING_JUDGE_FCRDNS_ENABLED, SETTING_JUDGE_FCRDNS_WEIGHT, judge_fcrdns,
     "give your host's address a name (PTR) that leads back to the address"},
    {"generic_name", SETTING_JUDGE_GENERIC_NAME_ENABLED, SETTING_JUDGE_GENERIC_NAME_WEIGHT,
     judge_generic_name,
     "give your mail host a name of its own, or send through your provider"},
    {"helo", SETTING_JUDGE_HELO_ENABLED, SETTING_JUDGE_HELO_WEIGHT, policy_judge_helo,
     "let your mail host say its own full name in EHLO"},
    {"dnsbl", SETTING_JUDGE_DNSBL_ENABLED, SETTING_JUDGE_DNSBL_WEIGHT, policy_judge_dnsbl,
     "your host's address is on lists of senders of abuse, have it taken off"},
    {"dnswl", SETTING_JUDGE_DNSWL_ENABLED, SETTING_JUDGE_DNSWL_WEIGHT, policy_judge_dnswl,
     "ask the recipient's postmaster"},
    {"network", SETTING_JUDGE_NETWORK_ENABLED, SETTING_JUDGE_NETWORK_WEIGHT,
     policy_judge_network, "too much abuse comes from your network, send from another one"},
    {"greylist", SETTING_JUDGE_GREYLIST_ENABLED, SETTING_JUDGE_GREYLIST_WEIGHT, judge_greylist,
     "try again later"},
    {"new_domain", SETTING_JUDGE_NEW_DOMAIN_ENABLED, SETTING_JUDGE_NEW_DOMAIN_WEIGHT,
     judge_new_domain, "publish SPF, DMARC and MX records for the sender's domain"},
};
const unsigned policy_judge_count = sizeof(policy_judges) / sizeof(policy_judges[0]);
_Static_assert(sizeof(policy_judges) / sizeof(policy_judges[0]) <= POLICY_JUDGES_MAX,
               "all judges fit into a sum");

void policy_judge_all(const struct policy_facts *facts, const struct settings *settings,
                      struct policy_sum *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (unsigned i = 0; i < policy_judge_count; i++) {
        const struct policy_judge *judge = &policy_judges[i];
        if (!setting_on(settings, judge->enabled))
            continue;
        judge->judge(facts, settings, setting_number(settings, judge->weight), &sum->by[i]);
        sum->score += sum->by[i].score;
        if (sum->by[i].score > sum->by[sum->worst].score)
            sum->worst = i;
    }
}

bool policy_is_welcome(const struct policy_facts *facts, const struct settings *settings)
{
    struct policy_judgement judgement = {0};

    if (!setting_on(settings, SETTING_JUDGE_DNSWL_ENABLED))
        return false;
    policy_judge_dnswl(facts, settings, 100, &judgement);
    return judgement.score < 0;
}
