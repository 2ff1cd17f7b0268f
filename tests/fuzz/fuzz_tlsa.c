/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLSA records as a domain may publish them: usage, selector and matching in a byte each, then
 * the length of the data in two bytes. What is counted as usable is what a connection can be
 * proven by: else mail would be sent as if there were no record, or not at all.
 */
#include "node/base/check.h"
#include "node/runtime/tls_expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 8, HEAD = 5 };

static unsigned take(struct bytes input, struct tls_tlsa *records)
{
    unsigned count = 0;

    while (count < RECORDS && input.len >= HEAD) {
        const uint8_t *at = input.at;
        size_t len = (size_t)at[3] << 8 | at[4];
        input = bytes_skip(input, HEAD);
        if (len > input.len)
            len = input.len;
        records[count++] = (struct tls_tlsa){at[0], at[1], at[2], {input.at, len}};
        input = bytes_skip(input, len);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_client *client;
    struct tls_tlsa records[RECORDS];
    SSL *ssl;

    if (client == NULL)
        CHECK(tls_client_new("", &client) == ERR_OK);
    unsigned count = take(bytes_from(data, size), records);
    const struct tls_expect expect = {.rule = TLS_RULE_DANE,
                                      .host = "mx.example.org",
                                      .records = records,
                                      .records_count = count};
    unsigned usable = tls_tlsa_usable(records, count);
    CHECK(usable <= count);
    enum err err = tls_expect_ssl(client, &expect, &ssl);
    CHECK(err == (usable > 0 ? ERR_OK : ERR_MALFORMED));
    SSL_free(ssl);
    return 0;
}
