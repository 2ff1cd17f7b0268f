/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_EGRESS_CLASSIFY_LAB_H
#define TESTS_UNIT_EGRESS_CLASSIFY_LAB_H

/* Replies and what they have to become by the rules that are built in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "smtp/egress/classify.h"

#define OURS "192.0.2.1"
#define OURS_V6 "2001:db8::25"

struct expected {
    const char *provider;
    enum classify_phase phase;
    const char *reply; /* the code in front; lines broken at '\n' */
    enum classify_class class;
    enum classify_scope scope;
    const char *list; /* NULL: not looked at */
};

static inline struct classify_verdict lab_ask(struct classify_rules *rules,
                                              const char *provider, enum classify_phase phase,
                                              const char *text)
{
    struct classify_reply reply = {
        .provider = bytes_of(provider),
        .phase = phase,
        .code = (unsigned)(text[0] - '0') * 100 + (unsigned)(text[1] - '0') * 10 +
                (unsigned)(text[2] - '0'),
        .text = bytes_of(text),
        .source = strstr(text, OURS_V6) != NULL ? BYTES(OURS_V6) : BYTES(OURS),
    };
    struct classify_verdict verdict;

    classify(rules, &reply, &verdict);
    return verdict;
}

static inline void lab_expect(struct classify_rules *rules, const struct expected *expected,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct expected *want = &expected[i];
        struct classify_verdict got = lab_ask(rules, want->provider, want->phase, want->reply);
        if (got.class != want->class || got.scope != want->scope ||
            (want->list != NULL && strcmp(want->list, got.list) != 0))
            fail_msg("%s: %s\nbecomes %s %s list '%s' by rule %s, not %s %s list '%s'",
                     want->provider, want->reply, classify_class_name(got.class),
                     classify_scope_name(got.scope), got.list,
                     got.rule != NULL ? got.rule->name : "none",
                     classify_class_name(want->class), classify_scope_name(want->scope),
                     want->list != NULL ? want->list : "any");
    }
}

static inline struct classify_rules *lab_rules(void)
{
    struct classify_rules *rules;
    struct classify_error error;

    if (classify_load(classify_builtin(), &rules, &error) != ERR_OK)
        fail_msg("line %u: %s", error.line, error.reason);
    return rules;
}

#endif
