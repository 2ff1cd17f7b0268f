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

#define SETTINGS(id) SETTING_JUDGE_##id##_ENABLED, SETTING_JUDGE_##id##_WEIGHT
const struct policy_judge policy_judges[] = {
    {"fcrdns", SETTINGS(FCRDNS), judge_fcrdns, true,
     "give your host's address a name (PTR) that leads back to the address"},
    {"generic_name", SETTINGS(GENERIC_NAME), judge_generic_name, true,
     "give your mail host a name of its own, or send through your provider"},
    {"helo", SETTINGS(HELO), policy_judge_helo, false,
     "let your mail host say its own full name in EHLO"},
    {"dnsbl", SETTINGS(DNSBL), policy_judge_dnsbl, true,
     "your host's address is on lists of senders of abuse, have it taken off"},
    {"dnswl", SETTINGS(DNSWL), policy_judge_dnswl, true, "ask the recipient's postmaster"},
    {"network", SETTINGS(NETWORK), policy_judge_network, false,
     "too much abuse comes from your network, send from another one"},
    {"greylist", SETTINGS(GREYLIST), judge_greylist, false, "try again later"},
    {"new_domain", SETTINGS(NEW_DOMAIN), judge_new_domain, true,
     "publish SPF, DMARC and MX records for the sender's domain"},
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
        if (facts->unasked && judge->of_dns) {
            snprintf(sum->by[i].words, sizeof(sum->by[i].words), "not asked");
            continue;
        }
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
