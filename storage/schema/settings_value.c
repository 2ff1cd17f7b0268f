/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of settings that have a form: numbers, times, lists. */
#include "storage/schema/settings_value.h"

#include "storage/schema/net.h"
#include "storage/schema/settings.h"

enum { HUNDREDTHS_MAX = 1000000, ZONE_NAME_SIZE_MAX = 200, ZONES_MAX = 64, NETWORKS_MAX = 500 };

bool value_number(struct bytes text, int64_t *number)
{
    uint64_t value;

    if (text.len < 1 || text.len > 15 || !bytes_to_u64(text, &value))
        return false;
    *number = (int64_t)value;
    return true;
}

bool value_duration(struct bytes text, int64_t *milliseconds)
{
    static const struct {
        uint8_t unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    int64_t each = 1000;

    for (size_t i = 0; text.len > 0 && i < sizeof(units) / sizeof(*units); i++)
        if (text.at[text.len - 1] == units[i].unit) {
            each = units[i].ms;
            text.len--;
            break;
        }
    if (text.len > 9 || !value_number(text, milliseconds))
        return false;
    *milliseconds *= each;
    return true;
}

bool value_weight(struct bytes text, int64_t *hundredths)
{
    bool minus = text.len > 0 && text.at[0] == '-';
    size_t dot;
    struct bytes part;
    int64_t more = 0;

    text = bytes_skip(text, minus);
    dot = bytes_find(text, '.');
    if (!value_number(bytes_from(text.at, dot), hundredths) || *hundredths > HUNDREDTHS_MAX)
        return false;
    part = bytes_skip(text, dot + 1);
    if (dot < text.len && (part.len < 1 || part.len > 2 || !value_number(part, &more)))
        return false;
    *hundredths = *hundredths * 100 + (part.len == 1 ? 10 * more : more);
    if (minus)
        *hundredths = -*hundredths;
    return true;
}

bool value_word(struct bytes text, const char *words, int64_t *place)
{
    struct bytes rest = bytes_of(words);

    for (*place = 0; rest.len > 0; ++*place) {
        struct bytes word = {rest.at, bytes_find(rest, '|')};
        if (bytes_equal(word, text))
            return true;
        rest = bytes_skip(rest, word.len + 1);
    }
    return false;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* The next word between blanks; false at the end. */
static bool word_next(struct bytes *list, struct bytes *word)
{
    size_t len = 0;

    while (list->len > 0 && is_blank(list->at[0]))
        *list = bytes_skip(*list, 1);
    while (len < list->len && !is_blank(list->at[len]))
        len++;
    *word = bytes_from(list->at, len);
    *list = bytes_skip(*list, len);
    return len > 0;
}

bool value_domain(struct bytes name)
{
    size_t label = 0;

    if (name.len < 1 || name.len > ZONE_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (byte == '.' ? label == 0 || name.at[i - 1] == '-'
                        : !letter && byte != '_' && (byte != '-' || label == 0))
            return false;
        label = byte == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0 && name.at[name.len - 1] != '-';
}

/* ---- zones ---- */

/* A part of a code: "7", "2-11", "*". */
static bool part_range(struct bytes part, int64_t *low, int64_t *high)
{
    size_t dash = bytes_find(part, '-');

    if (bytes_equal(part, BYTES("*"))) {
        *low = 0;
        *high = 255;
        return true;
    }
    if (!value_number(bytes_from(part.at, dash), low))
        return false;
    *high = *low;
    if (dash < part.len && !value_number(bytes_skip(part, dash + 1), high))
        return false;
    return *low <= *high && *high <= 255;
}

/* False for what is no code. */
static bool code_match(struct bytes code, const uint8_t answer[4], bool *matches)
{
    *matches = true;
    for (unsigned i = 0; i < 4; i++) {
        struct bytes part = {code.at, bytes_find(code, '.')};
        int64_t low;
        int64_t high;
        if (!part_range(part, &low, &high) || (i < 3) != (part.len < code.len))
            return false;
        *matches = *matches && answer[i] >= low && answer[i] <= high;
        code = bytes_skip(code, part.len + 1);
    }
    return true;
}

static bool codes_match(struct bytes codes, const uint8_t answer[4], bool *valid)
{
    bool any = false;

    *valid = true;
    while (codes.len > 0 && *valid) {
        struct bytes code = {codes.at, bytes_find(codes, ',')};
        bool matches = false;
        *valid = code_match(code, answer, &matches) && code.len + 1 != codes.len;
        any = any || (*valid && matches);
        codes = bytes_skip(codes, code.len + 1);
    }
    return any;
}

bool settings_code_matches(struct bytes codes, const uint8_t answer[4])
{
    bool valid;

    if (codes.len == 0)
        return answer[0] == 127;
    return codes_match(codes, answer, &valid);
}

/* "key=weight" or, with `codes`, "key=weight:codes". */
static bool weighted(struct bytes word, struct bytes *key, int64_t *weight, struct bytes *codes)
{
    size_t equal = bytes_find(word, '=');
    struct bytes rest = bytes_skip(word, equal + 1);
    size_t colon = codes != NULL ? bytes_find(rest, ':') : rest.len;

    *key = bytes_from(word.at, equal);
    if (codes != NULL) {
        *codes = bytes_skip(rest, colon + 1);
        if (colon < rest.len && codes->len == 0)
            return false;
    }
    return equal < word.len && value_weight(bytes_from(rest.at, colon), weight);
}

static bool zone_parse(struct bytes word, struct settings_zone *zone)
{
    static const uint8_t any[4];
    bool valid = true;

    if (!weighted(word, &zone->name, &zone->weight, &zone->codes) || !value_domain(zone->name))
        return false;
    codes_match(zone->codes, any, &valid);
    return valid;
}

bool settings_zone_next(struct bytes *list, struct settings_zone *zone)
{
    struct bytes word;

    while (word_next(list, &word))
        if (zone_parse(word, zone))
            return true;
    return false;
}

bool value_zones(struct bytes list)
{
    struct settings_zone zone;
    struct bytes word;

    for (unsigned count = 0; word_next(&list, &word); count++)
        if (!zone_parse(word, &zone) || count == ZONES_MAX)
            return false;
    return true;
}

/* ---- networks ---- */

static bool network_parse(struct bytes word, struct settings_network *network)
{
    struct net net;

    return weighted(word, &network->net, &network->weight, NULL) &&
           net_parse(network->net, &net);
}

bool settings_network_next(struct bytes *list, struct settings_network *network)
{
    struct bytes word;

    while (word_next(list, &word))
        if (network_parse(word, network))
            return true;
    return false;
}

bool value_networks(struct bytes list)
{
    struct settings_network network;
    struct bytes word;

    for (unsigned count = 0; word_next(&list, &word); count++)
        if (!network_parse(word, &network) || count == NETWORKS_MAX)
            return false;
    return true;
}

/* ---- domains ---- */

bool value_domains(struct bytes list)
{
    struct bytes word;

    while (word_next(&list, &word))
        if (!value_domain(word))
            return false;
    return true;
}

static bool is_below(struct bytes domain, struct bytes above)
{
    struct bytes end;

    if (domain.len < above.len)
        return false;
    end = bytes_skip(domain, domain.len - above.len);
    return bytes_equal(end, above) && (end.len == domain.len || end.at[-1] == '.');
}

bool settings_domains_have(struct bytes list, struct bytes domain)
{
    struct bytes word;

    while (word_next(&list, &word))
        if (is_below(domain, word))
            return true;
    return false;
}

/* ---- rules ---- */

static bool limit_parse(struct bytes text, uint32_t *limit)
{
    int64_t number;

    if (!value_number(text, &number) || number > 10000000)
        return false;
    *limit = (uint32_t)number;
    return true;
}

bool settings_rule_parse(struct bytes text, struct settings_rule *rule)
{
    struct bytes limits;
    struct bytes word;
    int64_t window_ms;
    size_t slash;

    *rule = (struct settings_rule){0};
    if (!word_next(&text, &limits))
        return false;
    if (word_next(&text, &word)) {
        if (!bytes_equal(word, BYTES("per")) || !word_next(&text, &word) ||
            !value_duration(word, &window_ms) || window_ms < 1000 ||
            window_ms > (int64_t)30 * 86400000 || word_next(&text, &word))
            return false;
        rule->window_s = (uint32_t)(window_ms / 1000);
    }
    if (bytes_equal(limits, BYTES("off"))) {
        rule->has_limit_v6 = true;
        return rule->window_s == 0;
    }
    slash = bytes_find(limits, '/');
    rule->has_limit_v6 = slash < limits.len;
    return limit_parse(bytes_from(limits.at, slash), &rule->limit) &&
           (!rule->has_limit_v6 || limit_parse(bytes_skip(limits, slash + 1), &rule->limit_v6));
}
