/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_JUDGES_H
#define SMTP_POLICY_JUDGES_H

#include "smtp/policy/facts.h"
#include "storage/schema/settings.h"

/*
 * Judges: each a pure function of facts and settings, with a switch and a weight of its own. A
 * positive score speaks against the client. All scores are hundredths.
 *
 *   fcrdns        no name: all of the weight; a name that does not lead back: 60 % of it
 *   generic_name  the name is made of the address: all of it
 *   helo          the worst rule of helo.c, 0 to 150 % of it
 *   dnsbl, dnswl  the sum of the zones' weights, times it
 *   network       the narrowest net of network.list, else its autonomous system, times it; a
 *                 network that the map calls hostile is 10 more, one that hides who is behind
 *                 it 2 more
 *   greylist      all of it, for clients that are not familiar
 *   new_domain    all of it for a suspect domain, half of it for one that was not checked
 */
enum { POLICY_WORDS_SIZE = 192, POLICY_JUDGES_MAX = 8 };

struct policy_judgement {
    int64_t score;
    char words[POLICY_WORDS_SIZE]; /* for the log; "": nothing to say */
};

struct policy_judge {
    const char *name;
    enum setting_id enabled;
    enum setting_id weight;
    void (*judge)(const struct policy_facts *facts, const struct settings *settings,
                  int64_t weight, struct policy_judgement *judgement);
    bool of_dns;      /* has nothing to say without name servers */
    const char *mend; /* what the client's host can do about it */
};
extern const struct policy_judge policy_judges[];
extern const unsigned policy_judge_count;

/* The sum of all that are switched on. */
struct policy_sum {
    int64_t score;
    struct policy_judgement by[POLICY_JUDGES_MAX]; /* in the order of the table */
    unsigned worst;                                /* the highest; with a score over 0 */
};
void policy_judge_all(const struct policy_facts *facts, const struct settings *settings,
                      struct policy_sum *sum);

/* Lists of good addresses know it. */
bool policy_is_welcome(const struct policy_facts *facts, const struct settings *settings);

/* The single judges; table in judges.c. */
void policy_judge_helo(const struct policy_facts *facts, const struct settings *settings,
                       int64_t weight, struct policy_judgement *judgement);
void policy_judge_network(const struct policy_facts *facts, const struct settings *settings,
                          int64_t weight, struct policy_judgement *judgement);
void policy_judge_dnsbl(const struct policy_facts *facts, const struct settings *settings,
                        int64_t weight, struct policy_judgement *judgement);
void policy_judge_dnswl(const struct policy_facts *facts, const struct settings *settings,
                        int64_t weight, struct policy_judgement *judgement);

/* The host name is made of the address, as those of home lines are: its numbers in it, in
 * either order, in decimal or hexadecimal; or some of them beside a word such as "dynamic". */
bool policy_name_generic(const char *name, const struct address *address);

/* hundredths times hundredths */
static inline int64_t policy_times(int64_t a, int64_t b)
{
    return a * b / 100;
}

#endif
