/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "node/mail/path.h"
#include "smtp/policy/judges.h"

/* Rules of what a client says it is called (RFC 5321 section 4.1.4): the worst that holds
 * counts. */

static bool is_literal(struct bytes helo)
{
    return helo.len > 0 && helo.at[0] == '[';
}

static bool literal_address(struct bytes helo, struct address *address)
{
    struct bytes inside = bytes_skip(helo, 1);

    if (!is_literal(helo) || inside.len == 0 || inside.at[inside.len - 1] != ']')
        return false;
    inside.len--;
    if (bytes_start_nocase(inside, BYTES("IPv6:")))
        inside = bytes_skip(inside, 5);
    return address_parse(inside, address);
}

static bool is_ours(const struct policy_facts *facts)
{
    return bytes_equal_nocase(facts->helo, bytes_of(facts->hostname));
}

static bool is_localhost(const struct policy_facts *facts)
{
    static const char *const names[] = {"localhost", "localhost.localdomain",
                                        "localhost.local"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_equal_nocase(facts->helo, bytes_of(names[i])))
            return true;
    return false;
}

static bool is_bare_address(const struct policy_facts *facts)
{
    struct address address;

    return address_parse(facts->helo, &address);
}

static bool is_others_literal(const struct policy_facts *facts)
{
    struct address address;

    return literal_address(facts->helo, &address) && !address_equal(&address, &facts->client);
}

static bool is_own_literal(const struct policy_facts *facts)
{
    struct address address;

    return literal_address(facts->helo, &address) && address_equal(&address, &facts->client);
}

static bool is_malformed(const struct policy_facts *facts)
{
    return !is_literal(facts->helo) && !is_bare_address(facts) &&
           !mail_domain_valid(facts->helo);
}

static bool is_not_qualified(const struct policy_facts *facts)
{
    return !is_literal(facts->helo) && bytes_find(facts->helo, '.') + 1 >= facts->helo.len;
}

static bool is_missing(const struct policy_facts *facts)
{
    return facts->helo_name == POLICY_HELO_MISSING;
}

static const struct rule {
    bool (*holds)(const struct policy_facts *facts);
    unsigned percent; /* of the judge's weight */
    const char *words;
} rules[] = {
    {is_ours, 150, "it says it is this host"},
    {is_localhost, 100, "it says it is localhost"},
    {is_others_literal, 100, "it names an address that is not its own"},
    {is_bare_address, 100, "it says an address for a name, without brackets"},
    {is_not_qualified, 75, "it says a name without a domain"},
    {is_malformed, 75, "it says what can be no name"},
    {is_missing, 60, "it says a name that does not exist"},
    {is_own_literal, 25, "it says its address for a name"},
};

void policy_judge_helo(const struct policy_facts *facts, const struct settings *settings,
                       int64_t weight, struct policy_judgement *judgement)
{
    const struct rule *worst = NULL;

    (void)settings;
    if (facts->helo.len == 0)
        return;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if ((worst == NULL || rules[i].percent > worst->percent) && rules[i].holds(facts))
            worst = &rules[i];
    if (worst == NULL)
        return;
    judgement->score = weight * worst->percent / 100;
    snprintf(judgement->words, sizeof(judgement->words), "%s", worst->words);
}
