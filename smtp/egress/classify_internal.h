/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_INTERNAL_H
#define SMTP_EGRESS_CLASSIFY_INTERNAL_H

#include "node/base/arena.h"
#include "smtp/egress/classify.h"
#include "smtp/egress/classify_normal.h"
#include "smtp/egress/classify_pattern.h"

enum {
    RULES_MAX = 1024,
    RULE_PROVIDERS_MAX = 8,
    RULE_CODES_MAX = 8,
    RULE_STATUSES_MAX = 16,
    RULE_MATCHES_MAX = 8,
    RULE_UNLESS_MAX = 4,
    RULE_TESTS_MAX = 16,
    EXAMPLES_MAX = 4096,
    LINE_MAX_BYTES = 2048,
};

#define ALL_PHASES ((1u << CLASSIFY_PHASE_COUNT) - 1)

struct code_range {
    unsigned first;
    unsigned last;
};

/* class 0: 4 or 5 */
struct status_range {
    unsigned class;
    unsigned subject;
    unsigned first;
    unsigned last;
};

struct rule {
    struct classify_rule shown;
    char providers[RULE_PROVIDERS_MAX][CLASSIFY_NAME_MAX + 1];
    size_t provider_count; /* 0: any */
    unsigned phases;       /* bits 1u << enum classify_phase */
    struct code_range codes[RULE_CODES_MAX];
    size_t code_count; /* 0: any */
    struct status_range statuses[RULE_STATUSES_MAX];
    size_t status_count;                       /* 0: any, and none */
    struct pattern *matches[RULE_MATCHES_MAX]; /* one of them fits */
    size_t match_count;                        /* 0: any text */
    struct pattern *unless[RULE_UNLESS_MAX];   /* none of them fits */
    size_t unless_count;
    char list[CLASSIFY_NAME_MAX + 1]; /* that this wording belongs to; "": none */
    bool zone;                        /* the <domain> at the end of the match is a list */
    size_t test_count;
    bool has_class;
    bool has_scope;
    bool has_source;
};

/* A reply of the file, and what it must become. */
struct example {
    size_t rule;               /* its number, or SIZE_MAX: none must fit */
    enum classify_class class; /* where none must fit */
    unsigned phases;           /* 0: all of the rule's */
    unsigned code;
    struct bytes text; /* in the arena */
    unsigned line;
};

struct classify_rules {
    struct rule *rules;
    size_t count;
    size_t size;
    struct lists lists;
    struct example *examples;
    size_t example_count;
    size_t example_size;
    struct arena arena;
    struct pattern_scratch *scratch;
    struct normal normal;
};

/* ---- words of the file (classify_words.c): false where it is none ---- */
/* Cuts the first word off, and the space behind it. */
struct bytes word_take(struct bytes *rest);
bool word_class(struct bytes word, enum classify_class *class);
bool word_scope(struct bytes word, enum classify_scope *scope);
bool word_phase(struct bytes word, enum classify_phase *phase);
bool word_flag(struct bytes word, enum classify_flag *flag);
/* Lower-case letters, digits and '-', up to CLASSIFY_NAME_MAX. */
bool word_name(struct bytes word, char name[CLASSIFY_NAME_MAX + 1]);
/* "90s", "10m", "2h", "1d", up to 30 days. */
bool word_duration(struct bytes word, uint64_t *ms);
/* "5/1h", the count from 1 on */
bool word_count_in(struct bytes word, unsigned *count, uint64_t *ms);
/* "1", "0.5", "0.95", not 0 */
bool word_confidence(struct bytes word, unsigned *percent);
/* "421", "4xx" */
bool word_codes(struct bytes word, struct code_range *range);
/* "4.7.28", "x.7.28", "5.7.606-649", "5.7.x" */
bool word_statuses(struct bytes word, struct status_range *range);
/* "4.7.28" */
bool word_status(struct bytes word, unsigned part[3]);
bool word_number(struct bytes word, unsigned most, unsigned *number);

/* True for classes that say something of our address; only those may slow it down. */
bool class_is_of_address(enum classify_class class);

/* ---- a field of a rule (classify_field.c) ---- */

/* NULL, or why the value is wrong. `reason` is where a longer text may be put. */
const char *rule_field(struct rule *rule, struct bytes keyword, struct bytes value,
                       char *reason, size_t reason_size);

/* NULL, or what the whole rule lacks. */
const char *rule_complete(const struct rule *rule);

/* ---- examples (classify_examples.c) ---- */

/* A line "[@phase] 550 5.7.1 text"; "\n" in it breaks a line. NULL, or what is wrong. */
const char *example_add(struct classify_rules *rules, size_t rule, enum classify_class class,
                        struct bytes value, unsigned line);

/* False with *error where one becomes something else. */
bool examples_check(struct classify_rules *rules, struct classify_error *error);

/* ---- without a rule (classify_guess.c) ---- */
void classify_guess(const struct classify_reply *reply, const struct normal *normal,
                    const unsigned status[3], struct classify_verdict *verdict);

#endif
