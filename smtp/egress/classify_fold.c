/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of a reply that differ from one reply to the next: addresses, names, links, ids. */
#include "smtp/egress/classify_fold.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
    LOCAL_PART_MAX = 64, /* RFC 5321 section 4.5.3.1.1 */
    ID_MAX = 255,
    ID_LEAST = 8,
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_alpha(uint8_t byte)
{
    uint8_t lower = byte_lower(byte);
    return lower >= 'a' && lower <= 'z';
}

static bool is_alnum(uint8_t byte)
{
    return is_digit(byte) || is_alpha(byte);
}

static bool is_hex(uint8_t byte)
{
    uint8_t lower = byte_lower(byte);
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

static uint8_t at(struct bytes text, size_t i)
{
    return i < text.len ? text.at[i] : ' ';
}

static bool one_of(uint8_t byte, const char *set)
{
    return byte != 0 && strchr(set, byte) != NULL;
}

/* ---- addresses ---- */

static bool to_octets(const char *text, uint8_t octets[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET6, text, octets) == 1)
        return true;
    memcpy(octets, mapped, sizeof(mapped));
    return inet_pton(AF_INET, text, octets + sizeof(mapped)) == 1;
}

static bool is_mapped(const uint8_t octets[16])
{
    for (size_t i = 0; i < 10; i++)
        if (octets[i] != 0)
            return false;
    return octets[10] == 0xff && octets[11] == 0xff;
}

void own_address_set(struct own_address *own, struct bytes text)
{
    char *write = own->backwards;

    *own = (struct own_address){.known = false};
    if (text.len == 0 || text.len >= sizeof(own->text))
        return;
    for (size_t i = 0; i < text.len; i++)
        own->text[i] = (char)byte_lower(text.at[i]);
    own->known = to_octets(own->text, own->octets);
    if (!own->known)
        return;
    if (is_mapped(own->octets)) {
        snprintf(own->backwards, sizeof(own->backwards), "%u.%u.%u.%u.", own->octets[15],
                 own->octets[14], own->octets[13], own->octets[12]);
        return;
    }
    for (size_t i = 16; i-- > 0;) {
        static const char digits[] = "0123456789abcdef";
        *write++ = digits[own->octets[i] & 15];
        *write++ = '.';
        *write++ = digits[own->octets[i] >> 4];
        *write++ = '.';
    }
    *write = '\0';
}

bool own_address_is(const struct own_address *own, const struct fold_ip *ip)
{
    unsigned whole = ip->bits / 8;
    unsigned rest = ip->bits % 8;

    if (!own->known || memcmp(own->octets, ip->octets, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return (own->octets[whole] & mask) == (ip->octets[whole] & mask);
}

/* "/24" behind an address of `most` bits. */
static size_t take_bits(struct bytes text, unsigned most, unsigned *bits)
{
    size_t i = 1;
    unsigned number = 0;

    if (at(text, 0) != '/' || !is_digit(at(text, 1)))
        return 0;
    while (i <= 3 && is_digit(at(text, i)))
        number = number * 10 + (unsigned)(text.at[i++] - '0');
    if (is_alnum(at(text, i)) || number > most)
        return 0;
    *bits = number;
    return i;
}

size_t fold_ip(struct bytes text, struct fold_ip *ip)
{
    char copy[INET6_ADDRSTRLEN];
    size_t len = 0;

    while (len < text.len && len + 1 < sizeof(copy) &&
           (is_hex(text.at[len]) || text.at[len] == '.' || text.at[len] == ':'))
        len++;
    /* A sentence's full stop, or a colon behind it, is none of it; "::" may be. */
    while (len > 0 &&
           (text.at[len - 1] == '.' ||
            (text.at[len - 1] == ':' && (len < 2 || text.at[len - 2] != ':' || len < 3))))
        len--;
    struct bytes colon = {text.at, len};
    if (bytes_find(colon, '.') < len && bytes_find(colon, ':') < len &&
        bytes_find(colon, '.') < bytes_find(colon, ':'))
        len = bytes_find(colon, ':'); /* 192.0.2.1:25 */
    if (len < 2)
        return 0;
    uint8_t next = at(text, len);
    if (is_alnum(next) || next == '-' || next == '_' ||
        (next == '.' && is_alnum(at(text, len + 1))))
        return 0;
    memcpy(copy, text.at, len);
    copy[len] = '\0';
    if (!to_octets(copy, ip->octets))
        return 0;
    bool v4 = strchr(copy, ':') == NULL;
    ip->bits = v4 ? 32 : 128;
    size_t more = take_bits(bytes_skip(text, len), ip->bits, &ip->bits);
    ip->network = more > 0;
    ip->bits += v4 ? 96 : 0;
    return len + more;
}

/* ---- names and links ---- */

size_t fold_domain(struct bytes text)
{
    size_t len = 0;
    size_t last = 0; /* where the last label begins */
    size_t before = 0;

    while (len < text.len && len <= CLASSIFY_ZONE_MAX) {
        uint8_t byte = text.at[len];
        if (byte == '.') {
            if (!is_alnum(at(text, len + 1)) && at(text, len + 1) != '_')
                break;
            before = last;
            last = len + 1;
        } else if (!is_alnum(byte) && byte != '-' && byte != '_') {
            break;
        }
        len++;
    }
    if (last == 0 || len > CLASSIFY_ZONE_MAX || len - last < 2)
        return 0;
    struct bytes top = {text.at + last, len - last};
    if (!bytes_start_nocase(top, BYTES("xn--")))
        for (size_t i = 0; i < top.len; i++)
            if (!is_alpha(top.at[i]))
                return 0;
    /* "policy.Please see": the space behind a full stop was forgotten */
    bool capital = top.at[0] <= 'Z' && top.at[1] >= 'a';
    if (capital && !(text.at[before] >= 'A' && text.at[before] <= 'Z'))
        return 0;
    return len;
}

size_t fold_email(struct bytes text)
{
    size_t local = 0;

    while (local < text.len && local <= LOCAL_PART_MAX &&
           (is_alnum(text.at[local]) || one_of(text.at[local], ".!#$%&'*+/=?^_`{|}~-")))
        local++;
    if (local == 0 || local > LOCAL_PART_MAX || at(text, local) != '@')
        return 0;
    struct bytes rest = bytes_skip(text, local + 1);
    if (at(rest, 0) == '[') {
        struct bytes literal = {rest.at, rest.len < 64 ? rest.len : 64};
        size_t end = bytes_find(literal, ']');
        return end < literal.len ? local + 1 + end + 1 : 0;
    }
    size_t domain = 0;
    while (domain < rest.len && domain < CLASSIFY_ZONE_MAX &&
           (is_alnum(rest.at[domain]) || one_of(rest.at[domain], ".-_") ||
            rest.at[domain] >= 0x80))
        domain++;
    while (domain > 0 && rest.at[domain - 1] == '.')
        domain--;
    return domain == 0 ? 0 : local + 1 + domain;
}

static size_t to_end_of_link(struct bytes text, size_t len)
{
    while (len < text.len && text.at[len] > ' ' && !one_of(text.at[len], "\"'()[]{}<>,;"))
        len++;
    while (len > 0 && one_of(text.at[len - 1], ".:!?"))
        len--;
    return len;
}

size_t fold_host_length(struct bytes link)
{
    size_t len = 0;

    while (len < link.len && len <= CLASSIFY_ZONE_MAX &&
           (is_alnum(link.at[len]) || one_of(link.at[len], ".-_")))
        len++;
    return len;
}

size_t fold_url(struct bytes text)
{
    static const char *const starts[] = {"http://", "https://", "www."};

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct bytes start = bytes_of(starts[i]);
        if (bytes_start_nocase(text, start) && is_alnum(at(text, start.len)))
            return to_end_of_link(text, start.len);
    }
    /* A link without a scheme. */
    size_t domain = fold_domain(text);
    if (domain > 0 && at(text, domain) == '/' && at(text, domain + 1) > ' ')
        return to_end_of_link(text, domain);
    return 0;
}

/* ---- ids ---- */

static bool looks_like_id(struct bytes word)
{
    size_t digits = 0, turns = 0, hex = 0, upper = 0, lower = 0;

    for (size_t i = 0; i < word.len; i++) {
        uint8_t byte = word.at[i];
        digits += is_digit(byte);
        hex += is_hex(byte) || byte == '-';
        upper += byte >= 'A' && byte <= 'Z';
        lower += byte >= 'a' && byte <= 'z';
        turns += i > 0 && ((is_digit(byte) && is_alpha(word.at[i - 1])) ||
                           (is_alpha(byte) && is_digit(word.at[i - 1])));
    }
    /* Codes that providers put into brackets turn once (S3150, OFR006_102, AS77712344). */
    return word.len >= ID_LEAST &&
           ((digits >= 1 && hex == word.len) || (digits >= 2 && turns >= 3) ||
            (digits >= 6 && turns >= 2 && word.len >= 10) ||
            (digits >= 2 && turns >= 2 && upper && lower && word.len >= 14) ||
            (digits >= 1 && upper && lower && word.len >= 24));
}

size_t fold_id(struct bytes text)
{
    static const char *const sets[] = {"+/=_-", "_-", ""};

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        size_t len = 0;
        while (len < text.len && len < ID_MAX &&
               (is_alnum(text.at[len]) || one_of(text.at[len], sets[i])))
            len++;
        size_t whole = len;
        while (len > 0 && !is_alnum(text.at[len - 1]))
            len--;
        if (looks_like_id((struct bytes){text.at, len}))
            return text.at[whole - 1] == '=' ? whole : len;
    }
    return 0;
}
