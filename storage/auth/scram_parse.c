/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of RFC 5802 section 7. Strict: attributes stand in their order, known ones only
 * once; extensions have the form of attributes and are passed over, but "m=" is refused.
 */
#include "storage/auth/scram_internal.h"

static struct bytes take_attribute(struct bytes *rest)
{
    struct bytes attribute = {rest->at, bytes_find(*rest, ',')};
    *rest = bytes_skip(*rest, attribute.len + 1);
    return attribute;
}

static bool is_attribute(struct bytes attribute, char letter)
{
    return attribute.len > 2 && attribute.at[0] == (uint8_t)letter && attribute.at[1] == '=';
}

/* attr-val of an extension: a letter that this RFC does not use, "=", and something. */
static bool is_extension(struct bytes attribute)
{
    if (attribute.len < 3 || attribute.at[1] != '=')
        return false;
    uint8_t lower = byte_lower(attribute.at[0]);
    return lower >= 'a' && lower <= 'z' && memchr("anmrcsipve", attribute.at[0], 10) == NULL;
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    return true;
}

/* cb-name: letters, digits, "." and "-". */
static bool is_binding_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t lower = byte_lower(name.at[i]);
        if ((lower < 'a' || lower > 'z') && (lower < '0' || lower > '9') && lower != '.' &&
            lower != '-')
            return false;
    }
    return name.len > 0;
}

static bool parse_flag(struct bytes flag, struct scram_first *first)
{
    if (flag.len == 0)
        return false;
    first->flag = flag.at[0];
    if (first->flag == 'n' || first->flag == 'y')
        return flag.len == 1;
    if (!is_attribute(flag, 'p'))
        return false;
    first->binding_name = bytes_skip(flag, 2);
    return is_binding_name(first->binding_name);
}

bool scram_parse_first(struct bytes message, struct scram_first *first)
{
    struct bytes rest = message;

    *first = (struct scram_first){.flag = 0};
    if (message.len > AUTH_SCRAM_MESSAGE_SIZE_MAX || bytes_find(message, 0) < message.len)
        return false;
    if (!parse_flag(take_attribute(&rest), first))
        return false;
    struct bytes authzid = take_attribute(&rest);
    if (authzid.len > 0) {
        if (!is_attribute(authzid, 'a'))
            return false;
        first->authzid = bytes_skip(authzid, 2);
    }
    first->bare = rest;
    if (rest.len == 0) /* cut off */
        return false;
    first->gs2_header = bytes_from(message.at, message.len - rest.len);
    struct bytes name = take_attribute(&rest);
    struct bytes nonce = take_attribute(&rest);
    if (!is_attribute(name, 'n') || !is_attribute(nonce, 'r'))
        return false;
    first->name = bytes_skip(name, 2);
    first->nonce = bytes_skip(nonce, 2);
    while (rest.len > 0)
        if (!is_extension(take_attribute(&rest)))
            return false;
    return message.at[message.len - 1] != ',' && first->nonce.len <= SCRAM_NONCE_SIZE_MAX &&
           is_printable(first->nonce);
}

bool scram_parse_final(struct bytes message, struct scram_final *final)
{
    struct bytes rest = message;

    *final = (struct scram_final){.proof = {NULL, 0}};
    if (message.len > AUTH_SCRAM_MESSAGE_SIZE_MAX || bytes_find(message, 0) < message.len)
        return false;
    struct bytes binding = take_attribute(&rest);
    struct bytes nonce = take_attribute(&rest);
    if (!is_attribute(binding, 'c') || !is_attribute(nonce, 'r'))
        return false;
    final->binding = bytes_skip(binding, 2);
    final->nonce = bytes_skip(nonce, 2);
    for (;;) {
        size_t start = message.len - rest.len;
        struct bytes attribute = take_attribute(&rest);
        if (is_attribute(attribute, 'p')) {
            final->proof = bytes_skip(attribute, 2);
            final->without_proof = bytes_from(message.at, start - 1);
            return start + attribute.len == message.len; /* the proof is last */
        }
        if (!is_extension(attribute))
            return false;
    }
}

bool scram_name_decode(struct bytes escaped, uint8_t *plain, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < escaped.len; i++) {
        if (escaped.at[i] != '=') {
            plain[(*len)++] = escaped.at[i];
            continue;
        }
        struct bytes code = bytes_skip(escaped, i);
        if (code.len < 3 || code.at[1] < '2' || code.at[1] > '3' ||
            code.at[2] != (code.at[1] == '2' ? 'C' : 'D'))
            return false;
        plain[(*len)++] = code.at[1] == '2' ? ',' : '=';
        i += 2;
    }
    return true;
}
