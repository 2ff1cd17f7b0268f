/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/domain.h"

#include <arpa/inet.h>

#include "node/mail/path.h"
#include "node/mail/utf8.h"

enum { LABEL_SIZE_MAX = 63 };

size_t domain_utf8_character(struct bytes text)
{
    size_t len = utf8_sequence(text);
    bool is_c1 = len == 2 && text.at[0] == 0xC2 && text.at[1] < 0xA0;
    bool is_separator = len == 3 && text.at[0] == 0xE2 && text.at[1] == 0x80 &&
                        (text.at[2] == 0xA8 || text.at[2] == 0xA9);

    return len < 2 || is_c1 || is_separator ? 0 : len;
}

static bool is_letter_or_digit(uint8_t byte)
{
    byte = byte_lower(byte);
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

static bool label_valid(struct bytes label, bool utf8_allowed)
{
    if (label.len == 0 || label.len > LABEL_SIZE_MAX || label.at[0] == '-' ||
        label.at[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len;) {
        size_t len = is_letter_or_digit(label.at[i]) || label.at[i] == '-' ? 1 : 0;
        if (len == 0 && utf8_allowed)
            len = domain_utf8_character(bytes_skip(label, i));
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static bool is_number(struct bytes label)
{
    for (size_t i = 0; i < label.len; i++)
        if (label.at[i] < '0' || label.at[i] > '9')
            return false;
    return true;
}

bool domain_name_valid(struct bytes domain, bool utf8_allowed)
{
    if (domain.len == 0 || domain.len > MAIL_DOMAIN_SIZE_MAX)
        return false;
    for (;;) {
        struct bytes label = bytes_from(domain.at, bytes_find(domain, '.'));
        if (!label_valid(label, utf8_allowed))
            return false;
        if (label.len == domain.len)
            return !is_number(label);
        domain = bytes_skip(domain, label.len + 1);
    }
}

bool mail_domain_valid(struct bytes domain)
{
    return domain_name_valid(domain, false);
}

bool domain_literal_valid(struct bytes literal)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    int family = AF_INET;

    if (literal.len < 2 || literal.at[0] != '[' || literal.at[literal.len - 1] != ']')
        return false;
    literal = bytes_from(literal.at + 1, literal.len - 2);
    if (bytes_start_nocase(literal, BYTES("IPv6:"))) {
        family = AF_INET6;
        literal = bytes_skip(literal, 5);
    }
    if (literal.len >= sizeof(text) || bytes_find(literal, '\0') < literal.len)
        return false;
    if (literal.len > 0)
        memcpy(text, literal.at, literal.len);
    text[literal.len] = '\0';
    return inet_pton(family, text, &address) == 1;
}
