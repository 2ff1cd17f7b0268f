/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records as a name server may send them: the first byte says which type, then each record has
 * its length in two bytes in front. Whatever comes, names are printable, and nothing is read
 * behind a record's end.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/dns_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 128 };

static const enum dns_type types[] = {DNS_A,  DNS_NS,  DNS_SOA,  DNS_PTR,
                                      DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};

static void check_name(const char *name)
{
    char normal[DNS_TEXT_MAX + 1];

    CHECK(name != NULL && strlen(name) < DNS_NAME_SIZE);
    for (const char *at = name; *at != '\0'; at++)
        CHECK((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') ||
              strchr("-_.\\", *at) != NULL);
    /* What has no escape can be asked for. */
    if (name[0] != '\0' && strchr(name, '\\') == NULL)
        CHECK(dns_name_normal(name, normal) && strcmp(normal, name) == 0);
}

static void check_record(enum dns_type type, const struct dns_record *record, size_t size)
{
    if (type == DNS_NS || type == DNS_PTR)
        check_name(record->name);
    if (type == DNS_MX)
        check_name(record->mx.host);
    if (type == DNS_SOA) {
        check_name(record->soa.primary);
        check_name(record->soa.mailbox);
    }
    if (type == DNS_TXT)
        CHECK(record->text.len < size);
    if (type == DNS_TLSA)
        CHECK(record->tlsa.data.len >= 1 && record->tlsa.data.len < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *records[RECORDS + 1];
    int lens[RECORDS + 1];
    struct dns_answer answer = {.result = DNS_OK};
    struct bytes rest = {data, size};
    struct arena arena;
    size_t count = 0;

    if (size == 0)
        return 0;
    answer.type = types[data[0] % (sizeof(types) / sizeof(*types))];
    rest = bytes_skip(rest, 1);
    while (rest.len >= 2 && count < RECORDS) {
        size_t len = (size_t)rest.at[0] << 8 | rest.at[1];
        rest = bytes_skip(rest, 2);
        if (len > rest.len)
            len = rest.len;
        records[count] = malloc(len > 0 ? len : 1); /* of its own, to see a read behind it */
        CHECK(records[count] != NULL);
        memcpy(records[count], rest.at, len);
        lens[count++] = (int)len;
        rest = bytes_skip(rest, len);
    }
    records[count] = NULL;
    arena_init(&arena);
    dns_answer_records(answer.type, records, lens, &arena, &answer);
    CHECK(answer.count <= count && answer.count <= DNS_RECORDS_MAX);
    for (unsigned i = 0; i < answer.count; i++) {
        check_record(answer.type, &answer.records[i], size);
        if (answer.type == DNS_MX && i > 0)
            CHECK(answer.records[i - 1].mx.preference <= answer.records[i].mx.preference);
    }
    arena_fini(&arena);
    for (size_t i = 0; i < count; i++)
        free(records[i]);
    return 0;
}
