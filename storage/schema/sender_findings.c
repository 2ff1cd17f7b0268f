/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/sender_findings.h"

#include <stdio.h>

#define KIND(name) PR__SENDER_FINDING_KIND__SENDER_##name
#define VERDICT(name) PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_##name
#define JUDGE(name) SETTING_JUDGE_##name##_ENABLED, SETTING_JUDGE_##name##_WEIGHT

static const struct row {
    Pr__SenderFindingKind kind;
    enum setting_id enabled;
    enum setting_id weight;
    const char *words;
    enum setting_id zones; /* SETTING_COUNT: none */
} rows[] = {
    {KIND(ABSENT), JUDGE(DOMAIN_EXISTS), "domain does not exist", SETTING_COUNT},
    {KIND(NULL_MX), JUDGE(DOMAIN_MX), "null MX (RFC 7505)", SETTING_COUNT},
    {KIND(NO_MX), JUDGE(DOMAIN_MX), "domain has neither MX nor address", SETTING_COUNT},
    {KIND(LOST_MX), JUDGE(DOMAIN_MX), "MX hosts of the domain have no address", SETTING_COUNT},
    {KIND(UNPUBLISHED), JUDGE(DOMAIN_PUBLISHED), "domain has neither SPF nor DMARC",
     SETTING_COUNT},
    {KIND(LISTED), JUDGE(DOMAIN_LISTED), "domain is listed by ", SETTING_NEWDOMAIN_ZONES},
    {KIND(YOUNG), JUDGE(DOMAIN_AGE), "domain is new by ", SETTING_NEWDOMAIN_AGE_ZONES},
    {KIND(SIMILAR), JUDGE(DOMAIN_SIMILAR), "domain looks like ", SETTING_COUNT},
};

static const struct row *row_of(const Pr__SenderFinding *finding)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].kind == finding->kind)
            return &rows[i];
    return NULL; /* of a newer release */
}

/* A zone may stand in a list several times, with other codes and weights. */
static int64_t weight_of_zones(struct bytes list, const Pr__SenderFinding *finding)
{
    const uint8_t answer[4] = {(uint8_t)(finding->answer >> 24),
                               (uint8_t)(finding->answer >> 16),
                               (uint8_t)(finding->answer >> 8), (uint8_t)finding->answer};
    struct settings_zone zone;
    int64_t weight = 0;

    while (settings_zone_next(&list, &zone))
        if (bytes_equal_nocase(zone.name, bytes_of(finding->detail)) &&
            settings_code_matches(zone.codes, answer))
            weight += zone.weight;
    return weight;
}

static void add(const struct settings *settings, const Pr__SenderFinding *finding,
                struct sender_sum *sum)
{
    const struct row *row = row_of(finding);
    size_t used = strlen(sum->words);

    if (row == NULL || !setting_on(settings, row->enabled))
        return;
    int64_t weight = setting_number(settings, row->weight);
    if (row->zones != SETTING_COUNT)
        weight = weight * weight_of_zones(setting_text(settings, row->zones), finding) / 100;
    if (weight == 0)
        return;
    sum->score += weight;
    if (finding->kind == KIND(NULL_MX))
        sum->null_mx = true;
    snprintf(sum->words + used, sizeof(sum->words) - used, "%s%s%.100s", used > 0 ? ", " : "",
             row->words, finding->detail);
}

void sender_findings_judge(const struct settings *settings, Pr__SenderFinding *const *findings,
                           size_t count, struct sender_sum *sum)
{
    *sum = (struct sender_sum){.verdict = VERDICT(GOOD)};
    for (size_t i = 0; i < count && i < SENDER_FINDINGS_MAX; i++)
        add(settings, findings[i], sum);
    if (sum->score >= setting_number(settings, SETTING_NEWDOMAIN_BAD_SCORE))
        sum->verdict = VERDICT(BAD);
    else if (sum->score >= setting_number(settings, SETTING_NEWDOMAIN_SUSPECT_SCORE))
        sum->verdict = VERDICT(SUSPECT);
}
