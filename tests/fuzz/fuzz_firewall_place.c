/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/firewall/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read, or was probably meant, is read the same again when it is written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[FIREWALL_PLACE_TEXT_SIZE];
    struct firewall_place place;
    struct firewall_place again;

    if (firewall_place_parse(bytes_from(data, size), &place) == ERR_MALFORMED)
        return 0;
    CHECK(place.prefix.bits <= 128);
    firewall_place_text(&place, text);
    CHECK(firewall_place_parse(bytes_of(text), &again) == ERR_OK);
    CHECK(again.network == place.network && again.prefix.bits == place.prefix.bits);
    CHECK(firewall_address_equal(&again.prefix.address, &place.prefix.address));
    CHECK(place.network != 0 || firewall_prefix_holds(&place.prefix, &again.prefix.address));
    return 0;
}
