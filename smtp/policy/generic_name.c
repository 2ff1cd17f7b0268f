/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "smtp/policy/judges.h"

/* Names that providers give to lines by a formula. */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The decimal numbers in the name, 0 to 255, in order; "012" is 12. Others are passed over. */
static unsigned numbers_in(const char *name, unsigned numbers[], unsigned max)
{
    unsigned count = 0;

    while (*name != '\0' && count < max) {
        if (!is_digit(*name)) {
            name++;
            continue;
        }
        unsigned value = 0;
        unsigned digits = 0;
        for (; is_digit(*name); name++, digits++)
            value = digits < 4 ? value * 10 + (unsigned)(*name - '0') : 1000;
        if (digits <= 3 && value <= 255)
            numbers[count++] = value;
    }
    return count;
}

/* How many of the address's numbers stand in a row in the name, forwards or backwards; at least
 * the last two of the address have to be among them to count. */
static unsigned row_of(const unsigned numbers[], unsigned count, const uint8_t octets[4])
{
    unsigned best = 0;

    for (unsigned at = 0; at < count; at++) {
        unsigned forwards = 0;
        unsigned backwards = 0;
        for (unsigned first = 0; first < 3; first++) {
            unsigned run = 0;
            while (first + run < 4 && at + run < count &&
                   numbers[at + run] == octets[first + run])
                run++;
            if (first + run == 4 && run > forwards)
                forwards = run;
        }
        while (backwards < 4 && at + backwards < count &&
               numbers[at + backwards] == octets[3 - backwards])
            backwards++;
        if (forwards > best)
            best = forwards;
        if (backwards > best)
            best = backwards;
    }
    return best >= 2 ? best : 0;
}

static bool has_word(const char *name)
{
    static const char *const words[] = {"dyn",  "dhcp",   "pool",   "ppp",   "dsl",  "cable",
                                        "dial", "broad",  "client", "cust",  "user", "host",
                                        "ip",   "mobile", "wifi",   "fiber", "ftth", "res"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

static bool generic_v4(const char *name, const uint8_t octets[4])
{
    unsigned numbers[32];
    char text[32];
    unsigned row = row_of(numbers, numbers_in(name, numbers, 32), octets);

    if (row >= 3 || (row == 2 && has_word(name)))
        return true;
    snprintf(text, sizeof(text), "%02x%02x%02x%02x", octets[0], octets[1], octets[2],
             octets[3]);
    if (strstr(name, text) != NULL)
        return true;
    snprintf(text, sizeof(text), "%03u%03u%03u%03u", octets[0], octets[1], octets[2],
             octets[3]);
    return strstr(name, text) != NULL;
}

/* The last 64 bits, or the whole address without zeros in front, whatever stands between. */
static bool generic_v6(const char *name, const uint8_t bytes[16])
{
    char digits[POLICY_NAME_SIZE];
    char text[33];
    size_t len = 0;

    for (; *name != '\0' && len + 1 < sizeof(digits); name++)
        if (is_digit(*name) || (*name >= 'a' && *name <= 'f'))
            digits[len++] = *name;
        else if (*name != '-' && *name != '.' && *name != ':')
            digits[len++] = '#';
    digits[len] = '\0';
    for (unsigned i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    if (strstr(digits, text + 16) != NULL)
        return true;
    for (unsigned i = 0; i < 16; i++) { /* nibbles, backwards */
        text[2 * i] = "0123456789abcdef"[bytes[15 - i] & 15];
        text[2 * i + 1] = "0123456789abcdef"[bytes[15 - i] >> 4];
    }
    text[16] = '\0';
    return strstr(digits, text) != NULL;
}

bool policy_name_generic(const char *name, const struct address *address)
{
    return address_is_v4(address) ? generic_v4(name, address->bytes + 12)
                                  : generic_v6(name, address->bytes);
}
