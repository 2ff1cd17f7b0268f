/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/sender_check.h"

#define KIND(name) PR__SENDER_FINDING_KIND__SENDER_##name

enum { KINDS_MAX = 4 + SENDER_LISTED_MAX };

struct list {
    struct arena *arena;
    Pr__SenderFinding **at;
    size_t count;
};

static void add(struct list *list, Pr__SenderFindingKind kind, const char *detail,
                const uint8_t *answer)
{
    Pr__SenderFinding *finding = arena_alloc(list->arena, sizeof(*finding));

    pr__sender_finding__init(finding);
    finding->kind = kind;
    finding->detail = arena_string(list->arena, bytes_of(detail));
    if (answer != NULL)
        finding->answer = (uint32_t)answer[0] << 24 | (uint32_t)answer[1] << 16 |
                          (uint32_t)answer[2] << 8 | answer[3];
    list->at[list->count++] = finding;
}

static void add_mail(struct list *list, const struct sender_found *found)
{
    if (found->null_mx)
        add(list, KIND(NULL_MX), "", NULL);
    else if (found->mx == SENDER_ABSENT && found->address == SENDER_ABSENT)
        add(list, KIND(NO_MX), "", NULL);
    else if (found->mx == SENDER_PRESENT && found->mx_address == SENDER_ABSENT)
        add(list, KIND(LOST_MX), "", NULL);
}

bool sender_findings(const struct sender_found *found, struct arena *arena,
                     Pr__SenderFinding ***findings, size_t *count)
{
    struct list list = {arena, arena_alloc(arena, KINDS_MAX * sizeof(*list.at)), 0};

    if (found->soa == SENDER_ABSENT && found->ns == SENDER_ABSENT) {
        add(&list, KIND(ABSENT), "", NULL); /* the rest follows from it */
    } else {
        add_mail(&list, found);
        if (found->spf == SENDER_ABSENT && found->dmarc == SENDER_ABSENT)
            add(&list, KIND(UNPUBLISHED), "", NULL);
    }
    for (unsigned i = 0; i < found->listed_count; i++)
        add(&list, found->listed[i].young ? KIND(YOUNG) : KIND(LISTED), found->listed[i].zone,
            found->listed[i].answer);
    *findings = list.at;
    *count = list.count;
    bool exists = found->soa == SENDER_PRESENT || found->ns == SENDER_PRESENT;
    bool takes = found->mx_address == SENDER_PRESENT || found->address == SENDER_PRESENT;
    bool says = found->spf == SENDER_PRESENT || found->dmarc == SENDER_PRESENT;
    return list.count > 0 || (exists && takes && says);
}
