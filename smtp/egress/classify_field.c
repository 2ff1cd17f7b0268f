/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a rule. */
#include "smtp/egress/classify_internal.h"

#include <stdio.h>

struct field {
    struct rule *rule;
    char *reason;
    size_t reason_size;
};

static const char *read_provider(struct field *field, struct bytes value)
{
    struct rule *rule = field->rule;

    while (value.len > 0) {
        if (rule->provider_count == RULE_PROVIDERS_MAX)
            return "more than 8 providers";
        if (!word_name(word_take(&value), rule->providers[rule->provider_count]))
            return "no name of a provider";
        rule->provider_count++;
    }
    return NULL;
}

static const char *read_phase(struct field *field, struct bytes value)
{
    enum classify_phase phase;

    if (field->rule->phases == ALL_PHASES)
        field->rule->phases = 0;
    while (value.len > 0) {
        if (!word_phase(word_take(&value), &phase))
            return "no such phase";
        field->rule->phases |= 1u << phase;
    }
    return NULL;
}

static const char *read_code(struct field *field, struct bytes value)
{
    struct rule *rule = field->rule;

    while (value.len > 0) {
        if (rule->code_count == RULE_CODES_MAX)
            return "more than 8 codes";
        if (!word_codes(word_take(&value), &rule->codes[rule->code_count]))
            return "neither 4xx, 5xx nor a code of these";
        rule->code_count++;
    }
    return NULL;
}

static const char *read_status(struct field *field, struct bytes value)
{
    struct rule *rule = field->rule;

    while (value.len > 0) {
        if (rule->status_count == RULE_STATUSES_MAX)
            return "more than 16 statuses";
        if (!word_statuses(word_take(&value), &rule->statuses[rule->status_count]))
            return "no status like 4.7.28, x.7.28, 5.7.x or 5.7.606-649";
        rule->status_count++;
    }
    return NULL;
}

static const char *add_pattern(struct field *field, struct bytes value,
                               struct pattern **patterns, size_t most, size_t *count)
{
    if (*count == most)
        return "too many patterns";
    patterns[*count] = pattern_compile(value, field->reason, field->reason_size);
    if (patterns[*count] == NULL)
        return field->reason;
    ++*count;
    return NULL;
}

static const char *read_match(struct field *field, struct bytes value)
{
    return add_pattern(field, value, field->rule->matches, RULE_MATCHES_MAX,
                       &field->rule->match_count);
}

static const char *read_unless(struct field *field, struct bytes value)
{
    return add_pattern(field, value, field->rule->unless, RULE_UNLESS_MAX,
                       &field->rule->unless_count);
}

static const char *read_class(struct field *field, struct bytes value)
{
    field->rule->has_class = word_class(value, &field->rule->shown.class);
    return field->rule->has_class ? NULL : "no such class";
}

static const char *read_scope(struct field *field, struct bytes value)
{
    field->rule->has_scope = word_scope(value, &field->rule->shown.scope);
    return field->rule->has_scope ? NULL : "no such scope";
}

static const char *read_also(struct field *field, struct bytes value)
{
    struct classify_rule *shown = &field->rule->shown;

    shown->has_also = word_class(word_take(&value), &shown->also_class) &&
                      word_scope(value, &shown->also_scope);
    return shown->has_also ? NULL : "not a class and a scope";
}

static const char *read_confidence(struct field *field, struct bytes value)
{
    return word_confidence(value, &field->rule->shown.confidence) ? NULL : "not from 0.01 to 1";
}

static const char *read_threshold(struct field *field, struct bytes value)
{
    struct classify_action *action = &field->rule->shown.action;

    return word_count_in(value, &action->threshold_count, &action->threshold_ms)
               ? NULL
               : "not a number and a time like 5/1h";
}

/* "throttle 1h connections 1 messages 2 rate 10/1m" */
static const char *read_throttle(struct classify_action *action, struct bytes rest)
{
    if (!word_duration(word_take(&rest), &action->throttle_ms))
        return "throttle without a time like 30m";
    while (rest.len > 0) {
        struct bytes what = word_take(&rest);
        struct bytes number = word_take(&rest);
        bool ok = false;
        if (bytes_equal(what, BYTES("connections")))
            ok = word_number(number, 1000, &action->connections) && action->connections > 0;
        else if (bytes_equal(what, BYTES("messages")))
            ok = word_number(number, 1000, &action->messages) && action->messages > 0;
        else if (bytes_equal(what, BYTES("rate")))
            ok = word_count_in(number, &action->rate_count, &action->rate_ms);
        if (!ok)
            return "throttle knows connections N, messages N and rate N/TIME";
    }
    return NULL;
}

static const char *read_action(struct field *field, struct bytes value)
{
    struct classify_action *action = &field->rule->shown.action;
    struct bytes verb = word_take(&value);
    enum classify_flag flag;

    if (bytes_equal(verb, BYTES("throttle")))
        return read_throttle(action, value);
    if (bytes_equal(verb, BYTES("suspend")))
        return word_duration(value, &action->suspend_ms) ? NULL : "suspend without a time";
    if (bytes_equal(verb, BYTES("retry"))) {
        action->retry = true;
        if (bytes_equal(value, BYTES("now")))
            return NULL;
        return word_duration(value, &action->retry_ms) ? NULL : "retry without a time or `now`";
    }
    if (bytes_equal(verb, BYTES("none")) && value.len == 0)
        return NULL;
    if (!word_flag(verb, &flag))
        return "no such action";
    action->flags |= 1u << flag;
    if (value.len == 0)
        return NULL;
    if (flag != CLASSIFY_FLAG_HOLD || !word_duration(value, &action->hold_ms))
        return "only throttle, suspend, retry and hold have a time";
    return NULL;
}

static const char *read_list(struct field *field, struct bytes value)
{
    return word_name(value, field->rule->list) ? NULL : "no name of a list";
}

static const char *read_zone(struct field *field, struct bytes value)
{
    field->rule->zone = true;
    return bytes_equal(value, BYTES("in-text")) ? NULL : "only `zone in-text` is known";
}

static const char *read_source(struct field *field, struct bytes value)
{
    field->rule->has_source = value.len > 0;
    return value.len > 0 ? NULL : "no source";
}

const char *rule_field(struct rule *rule, struct bytes keyword, struct bytes value,
                       char *reason, size_t reason_size)
{
    static const struct {
        const char *keyword;
        const char *(*read)(struct field *field, struct bytes value);
    } fields[] = {
        {"provider", read_provider}, {"phase", read_phase},
        {"code", read_code},         {"status", read_status},
        {"match", read_match},       {"unless", read_unless},
        {"class", read_class},       {"scope", read_scope},
        {"also", read_also},         {"confidence", read_confidence},
        {"action", read_action},     {"threshold", read_threshold},
        {"list", read_list},         {"zone", read_zone},
        {"source", read_source},
    };
    struct field field = {rule, reason, reason_size};

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (bytes_equal(keyword, bytes_of(fields[i].keyword)))
            return value.len == 0 ? "no value" : fields[i].read(&field, value);
    return "no such keyword";
}

const char *rule_complete(const struct rule *rule)
{
    const struct classify_action *action = &rule->shown.action;
    enum classify_class class = rule->shown.class;
    const unsigned slows = 1u << CLASSIFY_FLAG_PROBE | 1u << CLASSIFY_FLAG_DISABLE;

    if (!rule->has_class || !rule->has_scope || !rule->has_source)
        return "a rule has a class, a scope and a source";
    if (rule->test_count == 0)
        return "a rule has an example";
    if (rule->match_count == 0 && rule->status_count == 0)
        return "a rule has a pattern or a status";
    if (rule->match_count == 0 &&
        (class == CLASSIFY_IP_BLOCK || class == CLASSIFY_IP_RATE || class == CLASSIFY_NETBLOCK))
        return "a status alone never says that it is our address: a pattern is needed";
    if (!class_is_of_address(class) &&
        (action->throttle_ms > 0 || action->suspend_ms > 0 || (action->flags & slows) != 0))
        return "a reply of this class is not about our address, which must not be slowed for "
               "it";
    if (action->threshold_count > 1 && action->suspend_ms == 0)
        return "a threshold without `action suspend`";
    return NULL;
}
