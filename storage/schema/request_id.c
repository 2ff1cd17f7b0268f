/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/request_id.h"

#define TIME_SIZE 6

struct request_id request_id_make(uint64_t wall_ms, const uint8_t random[10])
{
    struct request_id id;

    for (unsigned i = 0; i < TIME_SIZE; i++)
        id.bytes[i] = (uint8_t)(wall_ms >> (8 * (TIME_SIZE - 1 - i)));
    memcpy(id.bytes + TIME_SIZE, random, REQUEST_ID_SIZE - TIME_SIZE);
    return id;
}

uint64_t request_id_time_ms(const struct request_id *id)
{
    uint64_t wall_ms = 0;

    for (unsigned i = 0; i < TIME_SIZE; i++)
        wall_ms = wall_ms << 8 | id->bytes[i];
    return wall_ms;
}

/* Each step can be undone, so that ids which differ stay different. */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

struct request_id request_id_of_part(const struct request_id *id, uint32_t part)
{
    struct request_id made = *id;
    uint8_t *end = made.bytes + REQUEST_ID_SIZE;
    uint64_t number = 0;

    if (part == 0)
        return made;
    for (unsigned i = 8; i > 0; i--)
        number = number << 8 | *(end - i);
    number = mix(number + part * 0x9e3779b97f4a7c15u);
    for (unsigned i = 1; i <= 8; i++, number >>= 8)
        *(end - i) = (uint8_t)number;
    return made;
}

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

void request_id_format(const struct request_id *id, char text[REQUEST_ID_TEXT_SIZE])
{
    unsigned bits = 0;
    unsigned pending = 2; /* 130 bits in 26 digits: two zero bits go ahead of the 128 */

    for (size_t i = 0; i < REQUEST_ID_SIZE; i++) {
        bits = (bits << 8 | id->bytes[i]) & 0xffff;
        pending += 8;
        while (pending >= 5) {
            pending -= 5;
            *text++ = digits[bits >> pending & 31];
        }
    }
    *text = '\0';
}

/* 32: none. */
static unsigned digit_value(uint8_t typed)
{
    uint8_t lower = byte_lower(typed);
    unsigned value = 0;

    if (lower == 'i' || lower == 'l')
        return 1;
    if (lower == 'o')
        return 0;
    while (value < 32 && (uint8_t)digits[value] != lower)
        value++;
    return value;
}

bool request_id_parse(struct bytes text, struct request_id *id)
{
    unsigned bits = 0;
    unsigned pending = 0;
    size_t len = 0;

    if (text.len != REQUEST_ID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned value = digit_value(text.at[i]);
        if (value == 32 || (i == 0 && value > 7)) /* two of the 130 bits are zero */
            return false;
        bits = (bits << 5 | value) & 0xffff;
        pending += i == 0 ? 3 : 5;
        if (pending >= 8) {
            pending -= 8;
            id->bytes[len++] = (uint8_t)(bits >> pending);
        }
    }
    return true;
}
