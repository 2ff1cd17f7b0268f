/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: as text, on the wire, and of addresses. */
#include <stdio.h>

#include "node/base/check.h"
#include "node/runtime/dns_internal.h"

enum { LABEL_MAX = 63, WIRE_MAX = 255 };

/* A backslash would begin an escape, which no name of ours needs. */
static bool is_plain(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && byte != '\\';
}

bool dns_name_normal(const char *name, char normal[DNS_TEXT_MAX + 1])
{
    size_t len = strlen(name), label = 0;

    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0) {
        normal[0] = '\0';
        return name[0] == '.'; /* the root */
    }
    if (len > DNS_TEXT_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)name[i];
        if (!is_plain(byte))
            return false;
        if (byte == '.' && label == 0)
            return false;
        label = byte == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
        normal[i] = (char)byte_lower(byte);
    }
    normal[len] = '\0';
    return label > 0;
}

static size_t write_byte(char *at, uint8_t byte)
{
    byte = byte_lower(byte);
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
        byte == '_') {
        *at = (char)byte;
        return 1;
    }
    return (size_t)snprintf(at, 5, "\\%03u", byte);
}

const char *dns_name_take(struct bytes *wire, struct arena *arena)
{
    char text[DNS_NAME_SIZE];
    size_t used = 0, at = 0;

    for (;;) {
        if (at >= wire->len || at >= WIRE_MAX)
            return NULL;
        size_t label = wire->at[at++];
        if (label == 0)
            break;
        /* Over 63 it would be a pointer, and there is nothing that it could point into. */
        if (label > LABEL_MAX || label > wire->len - at || at + label >= WIRE_MAX)
            return NULL;
        if (used > 0)
            text[used++] = '.';
        for (size_t i = 0; i < label; i++)
            used += write_byte(text + used, wire->at[at++]);
    }
    CHECK(used < sizeof(text));
    *wire = bytes_skip(*wire, at);
    return arena_string(arena, bytes_from(text, used));
}

/* "7.2.0.192" or "1.0.0...", without a zone. */
static size_t reverse(const struct address *address, char *text, size_t size)
{
    const uint8_t *bytes = address->bytes;
    size_t used = 0;

    if (address_is_v4(address))
        return (size_t)snprintf(text, size, "%u.%u.%u.%u", bytes[15], bytes[14], bytes[13],
                                bytes[12]);
    for (size_t i = 16; i-- > 0;)
        used += (size_t)snprintf(text + used, size - used, "%x.%x%s", bytes[i] & 15,
                                 bytes[i] >> 4, i > 0 ? "." : "");
    return used;
}

void dns_reverse_name(const struct address *address, char name[DNS_NAME_SIZE])
{
    size_t used = reverse(address, name, DNS_NAME_SIZE);

    snprintf(name + used, DNS_NAME_SIZE - used, "%s",
             address_is_v4(address) ? ".in-addr.arpa" : ".ip6.arpa");
}

bool dns_list_name(const struct address *address, const char *zone, char name[DNS_NAME_SIZE])
{
    char normal[DNS_TEXT_MAX + 1];
    size_t used = reverse(address, name, DNS_NAME_SIZE);
    bool good = dns_name_normal(zone, normal) && normal[0] != '\0' &&
                used + 1 + strlen(normal) <= DNS_TEXT_MAX;

    if (good)
        snprintf(name + used, DNS_NAME_SIZE - used, ".%s", normal);
    else
        name[0] = '\0';
    return good;
}
