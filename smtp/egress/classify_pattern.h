/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_PATTERN_H
#define SMTP_EGRESS_CLASSIFY_PATTERN_H

#include "smtp/egress/classify.h"

/*
 * Regular expressions whose time is linear in the text, whatever it says. PCRE2's second
 * matcher reads the text once and keeps all states that the pattern may be in; anchored behind
 * ".*" it does not start anew at each byte. What would make it look elsewhere is refused: back
 * references, look-arounds, atomic groups, conditions, recursion, verbs. So are a repeat within
 * a repeat, and more than PATTERN_STATES_MAX states.
 *
 * Allowed: bytes, . [...] ( ) (?: ) | ? * + {n} {n,m} {n,} ^ $ \b and \d \s \w and their
 * opposites;
 * '\' before anything that is neither letter nor digit. '.' is any byte. Nothing that matches
 * the empty text.
 */
enum {
    PATTERN_LEN_MAX = 512,
    PATTERN_DEPTH_MAX = 8,
    PATTERN_REPEAT_MAX = 100,
    PATTERN_STATES_MAX = 250,
};

struct pattern;
struct pattern_scratch;

/* NULL, with `reason` (at least 160 bytes) filled in. */
struct pattern *pattern_compile(struct bytes text, char *reason, size_t reason_size);
void pattern_free(struct pattern **pattern);

struct pattern_scratch *pattern_scratch_new(void);
void pattern_scratch_free(struct pattern_scratch **scratch);

/* *end: behind the shortest match. False as well when the matcher gave up, see failures. */
bool pattern_find(const struct pattern *pattern, struct pattern_scratch *scratch,
                  struct bytes text, size_t *end);

/* How often the matcher gave up: its working memory was too small. 0 unless there is a bug. */
uint64_t pattern_failures(const struct pattern_scratch *scratch);

#endif
