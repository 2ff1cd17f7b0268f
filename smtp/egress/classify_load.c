/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rules file, line by line. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/egress/classify_internal.h"

struct loader {
    struct classify_rules *rules;
    struct classify_error *error;
    unsigned line;
};

static void refuse(struct loader *loader, const char *why)
{
    loader->error->line = loader->line;
    if (why != loader->error->reason)
        snprintf(loader->error->reason, sizeof(loader->error->reason), "%s", why);
}

static struct rule *current(struct loader *loader)
{
    struct classify_rules *rules = loader->rules;
    return rules->count == 0 ? NULL : &rules->rules[rules->count - 1];
}

/* ---- lists ---- */

static const char *add_entry(struct lists *lists, const char *name, bool domains,
                             struct bytes where)
{
    size_t slash = bytes_find(where, '/');

    if (lists->count == LIST_ENTRIES_MAX)
        return "too many names of lists";
    struct list_entry *entry = &lists->entries[lists->count];
    if (slash < 3 || slash > CLASSIFY_ZONE_MAX || where.len - slash >= sizeof(entry->path) ||
        bytes_find((struct bytes){where.at, slash}, '.') == slash)
        return "no host, or host and path, of a list";
    for (size_t i = 0; i < where.len; i++)
        if (where.at[i] <= ' ' || where.at[i] >= 0x7f || byte_lower(where.at[i]) != where.at[i])
            return "the host and path of a list are lower-case ASCII";
    *entry = (struct list_entry){.domains = domains};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    memcpy(entry->host, where.at, slash);
    memcpy(entry->path, where.at + slash, where.len - slash);
    lists->count++;
    return NULL;
}

/* "NAME ip|domain HOST[/PATH]..." */
static const char *read_list(struct lists *lists, struct bytes value)
{
    char name[CLASSIFY_NAME_MAX + 1];
    const char *wrong = NULL;

    if (!word_name(word_take(&value), name))
        return "no name of a list";
    struct bytes kind = word_take(&value);
    bool domains = bytes_equal(kind, BYTES("domain"));
    if (!domains && !bytes_equal(kind, BYTES("ip")))
        return "a list is of kind ip or domain";
    if (value.len == 0)
        return "no host of the list";
    while (value.len > 0 && wrong == NULL)
        wrong = add_entry(lists, name, domains, word_take(&value));
    return wrong;
}

static bool list_exists(const struct lists *lists, const char *name)
{
    for (size_t i = 0; i < lists->count; i++)
        if (strcmp(lists->entries[i].name, name) == 0)
            return true;
    return false;
}

/* ---- rules ---- */

static bool finish_rule(struct loader *loader)
{
    struct rule *rule = current(loader);
    const char *wrong = rule == NULL ? NULL : rule_complete(rule);

    if (wrong == NULL)
        return true;
    refuse(loader, wrong);
    loader->error->line = rule->shown.line;
    return false;
}

static const char *begin_rule(struct loader *loader, struct bytes value)
{
    struct classify_rules *rules = loader->rules;
    char name[CLASSIFY_NAME_MAX + 1];

    if (!word_name(value, name))
        return "no name of a rule: lower-case letters, digits and '-', at most 47";
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->rules[i].shown.name, name) == 0)
            return "there is a rule of this name";
    if (rules->count == RULES_MAX)
        return "too many rules";
    if (rules->count == rules->size) {
        rules->size = rules->size == 0 ? 64 : rules->size * 2;
        rules->rules = realloc(rules->rules, rules->size * sizeof(*rules->rules));
        CHECK(rules->rules != NULL);
    }
    struct rule *rule = &rules->rules[rules->count++];
    *rule = (struct rule){.phases = ALL_PHASES};
    memcpy(rule->shown.name, name, sizeof(name));
    rule->shown.confidence = 100;
    rule->shown.action.threshold_count = 1;
    rule->shown.line = loader->line;
    return NULL;
}

static const char *read_test(struct loader *loader, struct bytes value)
{
    struct rule *rule = current(loader);

    if (rule->test_count++ == RULE_TESTS_MAX)
        return "more than 16 examples";
    return example_add(loader->rules, loader->rules->count - 1, rule->shown.class, value,
                       loader->line);
}

/* "CLASS [@phase] REPLY": none of the rules fits */
static const char *read_guess(struct loader *loader, struct bytes value)
{
    enum classify_class class;

    if (!word_class(word_take(&value), &class))
        return "no such class";
    return example_add(loader->rules, SIZE_MAX, class, bytes_trim(value), loader->line);
}

/* ---- lines ---- */

static bool read_line(struct loader *loader, struct bytes line)
{
    bool inside = line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
    struct bytes value = bytes_trim(line);
    const char *wrong = "no such keyword";

    if (value.len == 0 || value.at[0] == '#')
        return true;
    if (line.len > LINE_MAX_BYTES) {
        refuse(loader, "a line of more than 2048 bytes");
        return false;
    }
    struct bytes keyword = word_take(&value);
    value = bytes_trim(value);
    if (inside && current(loader) == NULL) {
        wrong = "an indented line before the first rule";
    } else if (inside && bytes_equal(keyword, BYTES("test"))) {
        wrong = read_test(loader, value);
    } else if (inside) {
        wrong = rule_field(current(loader), keyword, value, loader->error->reason,
                           sizeof(loader->error->reason));
    } else if (bytes_equal(keyword, BYTES("rule"))) {
        if (!finish_rule(loader))
            return false;
        wrong = begin_rule(loader, value);
    } else if (bytes_equal(keyword, BYTES("list"))) {
        wrong = read_list(&loader->rules->lists, value);
    } else if (bytes_equal(keyword, BYTES("guess"))) {
        wrong = read_guess(loader, value);
    }
    if (wrong != NULL)
        refuse(loader, wrong);
    return wrong == NULL;
}

static bool read_lines(struct loader *loader, struct bytes text)
{
    while (text.len > 0) {
        size_t len = bytes_find(text, '\n');
        struct bytes line = {text.at, len};
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        loader->line++;
        if (!read_line(loader, line))
            return false;
        text = bytes_skip(text, len + 1);
    }
    return finish_rule(loader);
}

static bool check_whole(struct loader *loader)
{
    struct classify_rules *rules = loader->rules;

    loader->line = 0;
    if (rules->count == 0) {
        refuse(loader, "there is no rule");
        return false;
    }
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->rules[i];
        if (rule->list[0] != '\0' && !list_exists(&rules->lists, rule->list)) {
            loader->line = rule->shown.line;
            refuse(loader, "a list that is not defined");
            return false;
        }
    }
    return examples_check(rules, loader->error);
}

enum err classify_load(struct bytes text, struct classify_rules **rules,
                       struct classify_error *error)
{
    *rules = NULL;
    *error = (struct classify_error){.line = 0};
    if (text.len > CLASSIFY_FILE_MAX) {
        snprintf(error->reason, sizeof(error->reason), "larger than 1 MiB");
        return ERR_TOOBIG;
    }
    struct classify_rules *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    arena_init(&made->arena);
    made->scratch = pattern_scratch_new();
    made->lists.entries = calloc(LIST_ENTRIES_MAX, sizeof(*made->lists.entries));
    CHECK(made->lists.entries != NULL);
    struct loader loader = {.rules = made, .error = error};
    if (!read_lines(&loader, text) || !check_whole(&loader)) {
        classify_free(&made);
        return ERR_MALFORMED;
    }
    /* The examples have served. */
    free(made->examples);
    made->examples = NULL;
    arena_reset(&made->arena);
    *rules = made;
    return ERR_OK;
}

static void free_patterns(struct pattern **patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pattern_free(&patterns[i]);
}

void classify_free(struct classify_rules **rules)
{
    if (*rules == NULL)
        return;
    for (size_t i = 0; i < (*rules)->count; i++) {
        struct rule *rule = &(*rules)->rules[i];
        free_patterns(rule->matches, rule->match_count);
        free_patterns(rule->unless, rule->unless_count);
    }
    free((*rules)->rules);
    free((*rules)->lists.entries);
    free((*rules)->examples);
    arena_fini(&(*rules)->arena);
    pattern_scratch_free(&(*rules)->scratch);
    free(*rules);
    *rules = NULL;
}

size_t classify_rule_count(const struct classify_rules *rules)
{
    return rules->count;
}

uint64_t classify_failures(const struct classify_rules *rules)
{
    return pattern_failures(rules->scratch);
}
