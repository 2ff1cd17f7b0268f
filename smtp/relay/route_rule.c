/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes that the operator says, and addresses in place of names. */
#include "smtp/relay/route_internal.h"

/* How narrow a pattern is that fits; 0: it does not. */
static size_t fits(struct bytes pattern, struct bytes domain)
{
    if (bytes_equal(pattern, BYTES("*")))
        return 1;
    if (bytes_equal_nocase(pattern, domain))
        return SIZE_MAX;
    if (pattern.len < 2 || pattern.at[0] != '.' || pattern.len >= domain.len)
        return 0;
    return bytes_equal_nocase(pattern, bytes_skip(domain, domain.len - pattern.len))
               ? pattern.len
               : 0;
}

const struct route_rule *route_rule_find(const struct routes_config *config, const char *domain)
{
    const struct route_rule *best = NULL;
    size_t narrowest = 0;

    for (unsigned i = 0; i < config->rule_count; i++) {
        size_t narrow = fits(bytes_of(config->rules[i].pattern), bytes_of(domain));
        if (narrow > narrowest) {
            narrowest = narrow;
            best = &config->rules[i];
        }
    }
    return best != NULL && best->host[0] != '\0' ? best : NULL;
}

bool route_literal_parse(const char *literal, struct address *address)
{
    struct bytes text = bytes_of(literal);
    const struct bytes tag = BYTES("ipv6:");

    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    text = bytes_from(text.at + 1, text.len - 2);
    bool tagged = bytes_start_nocase(text, tag);
    if (tagged)
        text = bytes_skip(text, tag.len);
    bool v6 = bytes_find(text, ':') < text.len;
    return v6 == tagged && address_parse(text, address);
}
