/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PROXY header: whatever comes, the answer does not depend on how it was cut, and nothing
 * behind the header is looked at.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool over(enum proxy_outcome outcome)
{
    return outcome == PROXY_CLIENT || outcome == PROXY_LOCAL;
}

/* From memory that ends where the input does. */
static enum proxy_outcome parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    enum proxy_outcome outcome = proxy_header_parse(bytes_from(copy, size), header);
    free(copy);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    enum proxy_outcome outcome = parse(data, size, &whole);

    CHECK(!over(outcome) || (whole.len <= PROXY_V2_SIZE_MAX && whole.len <= size));
    CHECK(outcome != PROXY_MORE || size < PROXY_V2_SIZE_MAX);
    for (size_t len = 0; len < size && len <= PROXY_V2_SIZE_MAX; len++) {
        enum proxy_outcome before = parse(data, len, &part);
        if (over(outcome))
            CHECK(before == (len < whole.len ? PROXY_MORE : outcome));
        else
            CHECK(before == PROXY_MORE || before == PROXY_MALFORMED);
        if (before == PROXY_MALFORMED)
            CHECK(outcome == PROXY_MALFORMED); /* no byte mends it */
        if (before == PROXY_CLIENT)
            CHECK(address_equal(&part.client, &whole.client));
    }
    return 0;
}
