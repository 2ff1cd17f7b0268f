/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The replies that a rules file brings, and whether they become what it says. */
#include "smtp/egress/classify_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

/* Our own address in the examples (RFC 5737, RFC 3849). */
#define OWN_V4 "192.0.2.1"
#define OWN_V6 "2001:db8::25"

/* With "\n" made a line's end. */
static struct bytes unescape(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool end = text.at[i] == '\\' && i + 1 < text.len && text.at[i + 1] == 'n';
        copy[len++] = end ? '\n' : text.at[i];
        i += end;
    }
    return (struct bytes){copy, len};
}

const char *example_add(struct classify_rules *rules, size_t rule, enum classify_class class,
                        struct bytes value, unsigned line)
{
    struct example example = {.rule = rule, .class = class, .line = line};
    enum classify_phase phase;
    struct code_range code;

    if (value.len > 0 && value.at[0] == '@') {
        struct bytes word = word_take(&value);
        if (!word_phase(bytes_skip(word, 1), &phase))
            return "no such phase";
        example.phases = 1u << phase;
        value = bytes_trim(value);
    }
    if (value.len < 3 || !word_codes((struct bytes){value.at, 3}, &code) ||
        code.first != code.last || (value.len > 3 && value.at[3] != ' ' && value.at[3] != '-'))
        return "an example begins with a reply code";
    if (rules->example_count == EXAMPLES_MAX)
        return "too many examples";
    example.code = code.first;
    example.text = unescape(&rules->arena, value);
    if (rules->example_count == rules->example_size) {
        rules->example_size = rules->example_size == 0 ? 64 : rules->example_size * 2;
        rules->examples =
            realloc(rules->examples, rules->example_size * sizeof(*rules->examples));
        CHECK(rules->examples != NULL);
    }
    rules->examples[rules->example_count++] = example;
    return NULL;
}

static bool contains(struct bytes text, struct bytes part)
{
    return memmem(text.at, text.len, part.at, part.len) != NULL;
}

/* The first phase and provider of the rule with which it becomes something else. */
static bool play(struct classify_rules *rules, const struct example *example,
                 struct classify_verdict *verdict, enum classify_phase *where)
{
    const struct rule *rule =
        example->rule < rules->count ? &rules->rules[example->rule] : NULL;
    unsigned phases = example->phases != 0 ? example->phases
                      : rule != NULL       ? rule->phases
                                           : 1u << CLASSIFY_AT_FINAL;
    size_t providers = rule != NULL && rule->provider_count > 0 ? rule->provider_count : 1;

    for (size_t i = 0; i < providers; i++)
        for (unsigned phase = 0; phase < CLASSIFY_PHASE_COUNT; phase++) {
            if ((phases & 1u << phase) == 0)
                continue;
            struct classify_reply reply = {
                .provider = rule != NULL ? bytes_of(rule->providers[i]) : BYTES(""),
                .phase = (enum classify_phase)phase,
                .code = example->code,
                .text = example->text,
                .source =
                    contains(example->text, BYTES(OWN_V6)) ? BYTES(OWN_V6) : BYTES(OWN_V4),
            };
            *where = reply.phase;
            classify(rules, &reply, verdict);
            if (verdict->rule != (rule != NULL ? &rule->shown : NULL) ||
                (rule == NULL && verdict->class != example->class))
                return false;
        }
    return true;
}

static const char *name_of(const struct classify_verdict *verdict)
{
    return verdict->rule != NULL ? verdict->rule->name : "none";
}

/* One rule takes all examples of another: that one can go, or stands too far down. */
static bool is_shadowed(struct classify_rules *rules, size_t number, const char **by)
{
    struct classify_verdict verdict;
    enum classify_phase phase;

    for (size_t i = 0; i < rules->example_count; i++) {
        if (rules->examples[i].rule != number)
            continue;
        if (play(rules, &rules->examples[i], &verdict, &phase) || verdict.rule == NULL)
            return false;
        *by = verdict.rule->name;
    }
    return true;
}

bool examples_check(struct classify_rules *rules, struct classify_error *error)
{
    struct classify_verdict verdict;
    enum classify_phase phase;
    const char *by = NULL;

    for (size_t i = 0; i < rules->example_count; i++) {
        const struct example *example = &rules->examples[i];
        if (play(rules, example, &verdict, &phase))
            continue;
        error->line = example->line;
        const char *got = name_of(&verdict);
        const char *class = classify_class_name(verdict.class);
        if (example->rule >= rules->count) {
            snprintf(error->reason, sizeof(error->reason),
                     "the example becomes %s by rule %s, not %s without a rule", class, got,
                     classify_class_name(example->class));
        } else if (is_shadowed(rules, example->rule, &by)) {
            error->line = rules->rules[example->rule].shown.line;
            snprintf(error->reason, sizeof(error->reason), "rule %s is shadowed by rule %s",
                     rules->rules[example->rule].shown.name, by);
        } else {
            play(rules, example, &verdict, &phase);
            snprintf(error->reason, sizeof(error->reason),
                     "the example becomes %s by rule %s at %s; its text is read as: %.300s",
                     class, got, classify_phase_name(phase), rules->normal.text);
        }
        return false;
    }
    return true;
}
