/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/egress/classify.h"

#include "smtp/egress/classify_internal.h"

/* A reply on its way through the rules. */
struct question {
    const struct classify_reply *reply;
    const struct normal *normal;
    struct bytes text;
    bool has_status;
    unsigned status[3];
};

static bool is_of_provider(const struct rule *rule, struct bytes provider)
{
    for (size_t i = 0; i < rule->provider_count; i++)
        if (bytes_equal(bytes_of(rule->providers[i]), provider))
            return true;
    return false;
}

static bool has_code(const struct rule *rule, unsigned code)
{
    for (size_t i = 0; i < rule->code_count; i++)
        if (code >= rule->codes[i].first && code <= rule->codes[i].last)
            return true;
    return rule->code_count == 0;
}

static bool has_status(const struct rule *rule, const struct question *question)
{
    for (size_t i = 0; i < rule->status_count && question->has_status; i++) {
        const struct status_range *range = &rule->statuses[i];
        if ((range->class == 0 || range->class == question->status[0]) &&
            range->subject == question->status[1] && question->status[2] >= range->first &&
            question->status[2] <= range->last)
            return true;
    }
    return rule->status_count == 0;
}

/* *end: behind the match, or 0 where the rule has no pattern. */
static bool has_text(struct classify_rules *rules, const struct rule *rule, struct bytes text,
                     size_t *end)
{
    bool found = rule->match_count == 0;
    size_t ignored;

    *end = 0;
    for (size_t i = 0; i < rule->match_count && !found; i++)
        found = pattern_find(rule->matches[i], rules->scratch, text, end);
    for (size_t i = 0; i < rule->unless_count && found; i++)
        found = !pattern_find(rule->unless[i], rules->scratch, text, &ignored);
    return found;
}

static const struct rule *find_rule(struct classify_rules *rules,
                                    const struct question *question, size_t *end)
{
    const struct classify_reply *reply = question->reply;

    for (int named = 1; named >= 0; named--)
        for (size_t i = 0; i < rules->count; i++) {
            const struct rule *rule = &rules->rules[i];
            if ((rule->provider_count > 0) != (named == 1) ||
                (named == 1 && !is_of_provider(rule, reply->provider)))
                continue;
            if ((rule->phases & 1u << reply->phase) != 0 && has_code(rule, reply->code) &&
                has_status(rule, question) && has_text(rules, rule, question->text, end))
                return rule;
        }
    return NULL;
}

/* The name in the text comes before the rule's: it is more exact (which of a vendor's lists).
 */
static void find_list(const struct classify_rules *rules, const struct rule *rule, size_t end,
                      struct classify_verdict *verdict)
{
    const struct normal *normal = &rules->normal;
    struct bytes name = {NULL, 0};

    if (normal->list != NULL) {
        name = bytes_of(normal->list->name);
        verdict->list_of_domains = normal->list->domains;
    } else if (rule != NULL && rule->zone) {
        for (size_t i = 0; i < normal->domain_count; i++)
            if (normal->domains[i].end == end)
                name = bytes_from(normal->joined + normal->domains[i].start_read,
                                  normal->domains[i].len_read);
        verdict->list_is_zone = name.len > 0;
    } else if (rule != NULL) {
        name = bytes_of(rule->list);
        for (size_t i = 0; i < rules->lists.count && name.len > 0; i++)
            if (bytes_equal(name, bytes_of(rules->lists.entries[i].name)))
                verdict->list_of_domains = rules->lists.entries[i].domains;
    }
    for (size_t i = 0; i < name.len && i < CLASSIFY_ZONE_MAX; i++)
        verdict->list[i] = (char)byte_lower(name.at[i]);
}

/* What stands in the text is what the host wrote; the caller's may be derived after all. */
static void read_status(struct question *question)
{
    struct bytes text = bytes_of(question->normal->status);
    unsigned class = question->reply->code / 100;

    question->has_status = word_status(text, question->status) && question->status[0] == class;
    if (!question->has_status)
        question->has_status = word_status(question->reply->status, question->status) &&
                               question->status[0] == class;
}

void classify(struct classify_rules *rules, const struct classify_reply *reply,
              struct classify_verdict *verdict)
{
    struct normal *normal = &rules->normal;
    struct question question = {.reply = reply, .normal = normal};
    const struct rule *rule = NULL;
    size_t end = 0;

    *verdict = (struct classify_verdict){.list = ""};
    normal_make(&rules->lists, reply->code, reply->code == 0 ? BYTES("") : reply->text,
                reply->source, normal);
    question.text = bytes_from(normal->text, normal->len);
    verdict->template_id = normal->template_id;
    verdict->names_source =
        strstr(normal->text, "<sip>") != NULL || strstr(normal->text, "<sip-net>") != NULL;
    read_status(&question);
    if (reply->code >= 400)
        rule = find_rule(rules, &question, &end);
    find_list(rules, rule, end, verdict);
    if (rule == NULL) {
        classify_guess(reply, normal, question.has_status ? question.status : NULL, verdict);
        return;
    }
    verdict->class = rule->shown.class;
    verdict->scope = rule->shown.scope;
    verdict->confidence = rule->shown.confidence;
    verdict->basis = CLASSIFY_BY_RULE;
    verdict->rule = &rule->shown;
}
