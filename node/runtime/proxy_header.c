/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/proxy_header.h"

enum {
    V2_FIXED = 16, /* signature, version and command, family, length */
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_UNSPECIFIED = 0x00,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_UNIX_STREAM = 0x31,
    V2_TCP4_SIZE = 12,
    V2_TCP6_SIZE = 36,
    V2_UNIX_SIZE = 216,
    FIELD_CRC32C = 0x03,
};

static const struct bytes v1_start = BYTES_INIT("PROXY ");
static const struct bytes v2_signature =
    BYTES_INIT("\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A");

static unsigned number16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* As far as both go. */
static bool agree(struct bytes input, struct bytes wanted)
{
    size_t len = input.len < wanted.len ? input.len : wanted.len;

    return memcmp(input.at, wanted.at, len) == 0;
}

/* Decimal, without zeros in front. */
static bool take_port(struct bytes text, uint16_t *port)
{
    uint64_t number;

    if (!bytes_to_u64(text, &number) || number > 65535 || (text.len > 1 && text.at[0] == '0'))
        return false;
    *port = (uint16_t)number;
    return true;
}

/* "TCP4 192.0.2.7 198.51.100.1 4711 25" */
static enum proxy_outcome parse_line(struct bytes line, struct proxy_header *header)
{
    struct bytes family = bytes_take_word(&line);
    struct bytes words[4];
    struct address server;
    uint16_t server_port;

    if (bytes_equal(family, BYTES("UNKNOWN")))
        return PROXY_LOCAL; /* what follows is to be ignored */
    bool v4 = bytes_equal(family, BYTES("TCP4"));
    if (!v4 && !bytes_equal(family, BYTES("TCP6")))
        return PROXY_MALFORMED;
    for (size_t i = 0; i < 3; i++)
        words[i] = bytes_take_word(&line);
    words[3] = line; /* to the end: nothing may follow */
    if (!address_parse(words[0], &header->client) || !address_parse(words[1], &server) ||
        !take_port(words[2], &header->client_port) || !take_port(words[3], &server_port))
        return PROXY_MALFORMED;
    for (size_t i = 0; i < 2; i++)
        if ((bytes_find(words[i], ':') == words[i].len) != v4)
            return PROXY_MALFORMED;
    return PROXY_CLIENT;
}

static enum proxy_outcome parse_v1(struct bytes input, struct proxy_header *header)
{
    size_t size = input.len < PROXY_V1_SIZE_MAX ? input.len : PROXY_V1_SIZE_MAX;
    size_t end = bytes_find(bytes_from(input.at, size), '\r');

    if (end + 1 >= size) /* the line feed has not come, and may not come any more */
        return size < PROXY_V1_SIZE_MAX ? PROXY_MORE : PROXY_MALFORMED;
    if (input.at[end + 1] != '\n')
        return PROXY_MALFORMED;
    header->len = end + 2;
    return parse_line(bytes_skip(bytes_from(input.at, end), v1_start.len), header);
}

static uint32_t crc32c(uint32_t crc, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
    }
    return crc;
}

/* Over the whole header, with zeros where the checksum itself stands. */
static bool checksum_fits(struct bytes whole, const uint8_t *at)
{
    static const uint8_t zeros[4];
    size_t before = (size_t)(at - whole.at);
    uint32_t said = (uint32_t)number16(at) << 16 | number16(at + 2);
    uint32_t crc = crc32c(UINT32_MAX, bytes_from(whole.at, before));

    crc = crc32c(crc, bytes_from(zeros, sizeof(zeros)));
    return ~crc32c(crc, bytes_skip(whole, before + sizeof(zeros))) == said;
}

static bool fields_good(struct bytes whole, struct bytes fields)
{
    while (fields.len > 0) {
        if (fields.len < 3 || fields.len - 3 < number16(fields.at + 1))
            return false;
        size_t len = number16(fields.at + 1);
        if (fields.at[0] == FIELD_CRC32C && (len != 4 || !checksum_fits(whole, fields.at + 3)))
            return false;
        fields = bytes_skip(fields, 3 + len);
    }
    return true;
}

static enum proxy_outcome parse_v2(struct bytes whole, struct proxy_header *header)
{
    static const struct {
        uint8_t family;
        uint16_t size;
        enum proxy_outcome outcome;
    } rows[] = {
        {V2_UNSPECIFIED, 0, PROXY_LOCAL},
        {V2_TCP4, V2_TCP4_SIZE, PROXY_CLIENT},
        {V2_TCP6, V2_TCP6_SIZE, PROXY_CLIENT},
        {V2_UNIX_STREAM, V2_UNIX_SIZE, PROXY_LOCAL}, /* a program beside the proxy */
    };
    struct bytes body = bytes_skip(whole, V2_FIXED);

    if (whole.at[12] == V2_LOCAL)
        return PROXY_LOCAL; /* the rest is to be ignored */
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (whole.at[13] != rows[i].family)
            continue;
        /* Behind an unspecified family may be anything. */
        if (body.len < rows[i].size ||
            (rows[i].size > 0 && !fields_good(whole, bytes_skip(body, rows[i].size))))
            return PROXY_MALFORMED;
        if (rows[i].family == V2_TCP4) {
            memset(header->client.bytes, 0, 10);
            memset(header->client.bytes + 10, 0xff, 2);
            memcpy(header->client.bytes + 12, body.at, 4);
            header->client_port = (uint16_t)number16(body.at + 8);
        } else if (rows[i].family == V2_TCP6) {
            memcpy(header->client.bytes, body.at, 16);
            header->client_port = (uint16_t)number16(body.at + 32);
        }
        return rows[i].outcome;
    }
    return PROXY_MALFORMED;
}

enum proxy_outcome proxy_header_parse(struct bytes input, struct proxy_header *header)
{
    *header = (struct proxy_header){.len = 0};
    if (input.len == 0)
        return PROXY_MORE;
    if (agree(input, v1_start))
        return parse_v1(input, header);
    if (!agree(input, v2_signature))
        return PROXY_MALFORMED;
    /* The earlier, the less a stranger can make us wait for. */
    if (input.len > 12 && input.at[12] != V2_LOCAL && input.at[12] != V2_PROXY)
        return PROXY_MALFORMED;
    if (input.len < V2_FIXED)
        return PROXY_MORE;
    header->len = V2_FIXED + number16(input.at + 14);
    if (header->len > PROXY_V2_SIZE_MAX)
        return PROXY_MALFORMED;
    if (input.len < header->len)
        return PROXY_MORE;
    return parse_v2(bytes_from(input.at, header->len), header);
}
