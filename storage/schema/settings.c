/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/settings.h"

#include <stdio.h>

#include "node/base/check.h"
#include "storage/schema/address.h"
#include "storage/schema/settings_value.h"

#define IN_C 1u  /* cluster */
#define IN_CT 3u /* tenant too */
#define IN_CD 7u /* domain too */
#define IN_CA 15u
#define MINUTE_MS 60000
#define DAY_MAX_MS 86400000
#define SETTING_ROW(id, name, type, scopes, low, high, words, fallback, help)                  \
    {name, SETTING_TYPE_##type, scopes, low, high, words, fallback, help},
static const struct setting rows[SETTING_COUNT] = {SETTINGS_TABLE(SETTING_ROW)};
#undef SETTING_ROW

enum { VALUE_SIZE_MAX = 8192, ADDRESS_SIZE_MAX = 64 + 1 + 253 };

const struct setting *setting_row(enum setting_id id)
{
    CHECK((unsigned)id < SETTING_COUNT);
    return &rows[id];
}

/* "firewall." of "firewall.*"; empty: the row is no family. */
static struct bytes family_of(const struct setting *row)
{
    struct bytes name = bytes_of(row->name);

    return name.at[name.len - 1] == '*' ? bytes_from(name.at, name.len - 1)
                                        : bytes_from(name.at, 0);
}

static bool is_member(struct bytes name, struct bytes family)
{
    struct bytes rest = bytes_skip(name, family.len);

    if (family.len == 0 || rest.len == 0 ||
        !bytes_equal(bytes_from(name.at, family.len), family))
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if ((rest.at[i] < 'a' || rest.at[i] > 'z') && (rest.at[i] < '0' || rest.at[i] > '9') &&
            rest.at[i] != '-')
            return false;
    return true;
}

const struct setting *settings_find(struct bytes name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct bytes family = family_of(&rows[i]);
        if (family.len > 0 ? is_member(name, family)
                           : bytes_equal(name, bytes_of(rows[i].name)))
            return &rows[i];
    }
    return NULL;
}

static bool line_valid(struct bytes text, size_t max)
{
    if (text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == 0x7f || (text.at[i] < ' ' && strchr("\t\n\r", text.at[i]) == NULL))
            return false;
    return true;
}

static bool address_valid(struct bytes text)
{
    struct bytes local;
    struct bytes domain;

    if (text.len == 0)
        return true;
    if (text.len > ADDRESS_SIZE_MAX || !address_split(text, &local, &domain))
        return false;
    for (size_t i = 0; i < local.len; i++)
        if (local.at[i] <= ' ' || local.at[i] == 0x7f || local.at[i] == '@')
            return false;
    return value_domain(domain);
}

static bool in_range(const struct setting *row, bool is_number, const int64_t *number)
{
    return is_number && *number >= row->low && *number <= row->high;
}

/* The number is 0 for what is none. */
static bool value_parse(const struct setting *row, struct bytes text, int64_t *number)
{
    struct settings_rule rule;

    *number = 0;
    switch (row->type) {
    case SETTING_TYPE_SWITCH:
        return value_word(text, "off|on", number);
    case SETTING_TYPE_CHOICE:
        return value_word(text, row->words, number);
    case SETTING_TYPE_NUMBER:
        return in_range(row, value_number(text, number), number);
    case SETTING_TYPE_DURATION:
        return in_range(row, value_duration(text, number), number);
    case SETTING_TYPE_WEIGHT:
        return in_range(row, value_weight(text, number), number);
    case SETTING_TYPE_TEXT:
        return line_valid(text, (size_t)row->high);
    case SETTING_TYPE_MARKS:
        return bytes_equal(text, BYTES("none")) || address_separators_valid(text);
    case SETTING_TYPE_ADDRESS:
        return address_valid(text);
    case SETTING_TYPE_DOMAINS:
        return value_domains(text);
    case SETTING_TYPE_ZONES:
        return value_zones(text);
    case SETTING_TYPE_NETWORKS:
        return value_networks(text);
    case SETTING_TYPE_RULE:
        return text.len == 0 || settings_rule_parse(text, &rule);
    }
    return false;
}

static const char *weight_text(int64_t hundredths, char text[32])
{
    snprintf(text, 32, "%g", (double)hundredths / 100);
    return text;
}

char *settings_range(const struct setting *row, struct arena *arena)
{
    char low[32];
    char high[32];

    switch (row->type) {
    case SETTING_TYPE_SWITCH:
        return arena_string(arena, BYTES("on|off"));
    case SETTING_TYPE_CHOICE:
        return arena_string(arena, bytes_of(row->words));
    case SETTING_TYPE_NUMBER:
        return arena_printf(arena, "%lld to %lld%s%s", (long long)row->low,
                            (long long)row->high, row->words[0] != '\0' ? " " : "", row->words);
    case SETTING_TYPE_DURATION:
        return arena_printf(arena, "%llds to %llds, as 90s, 5m, 2h, 7d",
                            (long long)row->low / 1000, (long long)row->high / 1000);
    case SETTING_TYPE_WEIGHT:
        return arena_printf(arena, "%s to %s", weight_text(row->low, low),
                            weight_text(row->high, high));
    case SETTING_TYPE_TEXT:
        return arena_printf(arena, "text of %lld bytes at the most", (long long)row->high);
    case SETTING_TYPE_MARKS:
        return arena_string(arena, BYTES("none, or some of + - _ = # ~ ! / % & * ^ $ |"));
    case SETTING_TYPE_ADDRESS:
        return arena_string(arena, BYTES("an address"));
    case SETTING_TYPE_DOMAINS:
        return arena_string(arena, BYTES("domains, with blanks in between"));
    case SETTING_TYPE_ZONES:
        return arena_string(arena, BYTES("ZONE=WEIGHT[:CODES] ..."));
    case SETTING_TYPE_NETWORKS:
        return arena_string(arena, BYTES("NET=WEIGHT ..."));
    case SETTING_TYPE_RULE:
        return arena_string(arena, BYTES("off, or LIMIT[/LIMIT6][ per DURATION]"));
    }
    return arena_string(arena, BYTES(""));
}

bool settings_check(struct bytes name, enum settings_scope scope, struct bytes value,
                    char reason[SETTINGS_REASON_SIZE])
{
    static const char *const scopes[SETTINGS_SCOPES] = {"the cluster", "a tenant", "a domain",
                                                        "an account"};
    const struct setting *row = settings_find(name);
    struct arena arena;
    int64_t number;

    reason[0] = '\0';
    if (row == NULL) {
        snprintf(reason, SETTINGS_REASON_SIZE, "there is no setting %.*s",
                 (int)(name.len < 64 ? name.len : 64), (const char *)name.at);
        return false;
    }
    if ((unsigned)scope >= SETTINGS_SCOPES || !(row->scopes >> scope & 1)) {
        snprintf(reason, SETTINGS_REASON_SIZE, "%s is not set for %s", row->name,
                 (unsigned)scope < SETTINGS_SCOPES ? scopes[scope] : "that");
        return false;
    }
    if (value.len == 0 || (value.len <= VALUE_SIZE_MAX && value_parse(row, value, &number)))
        return true;
    arena_init(&arena);
    snprintf(reason, SETTINGS_REASON_SIZE, "%s is: %s", row->name, settings_range(row, &arena));
    arena_fini(&arena);
    return false;
}

/* ---- what is in force ---- */

void settings_init(struct settings *settings, struct arena *arena)
{
    settings->arena = arena;
    settings->members = NULL;
    settings->member_count = 0;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct setting_value *value = &settings->of[i];
        *value = (struct setting_value){.text = bytes_of(rows[i].fallback)};
        if (family_of(&rows[i]).len == 0)
            CHECK(value_parse(&rows[i], value->text, &value->number));
    }
}

static void member_put(struct settings *settings, struct bytes name, struct bytes value)
{
    struct settings_member *member = NULL;

    for (size_t i = 0; i < settings->member_count; i++)
        if (bytes_equal(settings->members[i].name, name))
            member = &settings->members[i];
    if (member == NULL) {
        if (settings->member_count == SETTINGS_FAMILY_MAX)
            return;
        if (settings->members == NULL)
            settings->members =
                arena_alloc(settings->arena, SETTINGS_FAMILY_MAX * sizeof(*settings->members));
        member = &settings->members[settings->member_count++];
        member->name = arena_copy(settings->arena, name);
    }
    member->text = arena_copy(settings->arena, value);
}

void settings_put(struct settings *settings, enum settings_scope scope, struct bytes name,
                  struct bytes value)
{
    const struct setting *row = settings_find(name);
    struct setting_value *to;
    int64_t number;

    if (row == NULL || (unsigned)scope >= SETTINGS_SCOPES || !(row->scopes >> scope & 1) ||
        value.len == 0 || value.len > VALUE_SIZE_MAX || !value_parse(row, value, &number))
        return;
    if (family_of(row).len > 0) {
        member_put(settings, name, value);
        return;
    }
    to = &settings->of[row - rows];
    *to = (struct setting_value){arena_copy(settings->arena, value), number, true, scope};
}

struct bytes setting_marks(struct bytes value)
{
    return bytes_equal(value, BYTES("none")) ? BYTES("") : value;
}

bool setting_on(const struct settings *settings, enum setting_id id)
{
    CHECK(setting_row(id)->type == SETTING_TYPE_SWITCH);
    return settings->of[id].number != 0;
}

int64_t setting_number(const struct settings *settings, enum setting_id id)
{
    CHECK((unsigned)id < SETTING_COUNT);
    return settings->of[id].number;
}

struct bytes setting_text(const struct settings *settings, enum setting_id id)
{
    CHECK((unsigned)id < SETTING_COUNT);
    return settings->of[id].text;
}

struct bytes setting_member(const struct settings *settings, struct bytes name)
{
    for (size_t i = 0; i < settings->member_count; i++)
        if (bytes_equal(settings->members[i].name, name))
            return settings->members[i].text;
    return BYTES("");
}

int64_t setting_number_of(enum setting_id id, struct bytes value)
{
    const struct setting *row = setting_row(id);
    int64_t number;

    if (!value_parse(row, value, &number))
        CHECK(value_parse(row, bytes_of(row->fallback), &number));
    return number;
}

struct bytes setting_default(enum setting_id id)
{
    return bytes_of(setting_row(id)->fallback);
}
