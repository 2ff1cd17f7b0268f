/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records, from the bytes that somebody on the network chose. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/dns_internal.h"

enum { RCODE_NXDOMAIN = 3, TLSA_DATA_MIN = 1 };

bool dns_trouble(enum dns_result result)
{
    return result == DNS_SERVFAIL || result == DNS_TIMEOUT || result == DNS_BOGUS;
}

const char *dns_result_text(enum dns_result result)
{
    static const char *const texts[] = {
        [DNS_OK] = "ok",
        [DNS_NODATA] = "nodata",
        [DNS_NXDOMAIN] = "nxdomain",
        [DNS_SERVFAIL] = "servfail",
        [DNS_TIMEOUT] = "timeout",
        [DNS_BOGUS] = "bogus",
    };

    CHECK((unsigned)result < sizeof(texts) / sizeof(*texts));
    return texts[result];
}

static uint16_t take16(struct bytes *wire)
{
    uint16_t number = (uint16_t)(wire->at[0] << 8 | wire->at[1]);

    *wire = bytes_skip(*wire, 2);
    return number;
}

static uint32_t take32(struct bytes *wire)
{
    uint32_t high = take16(wire);

    return high << 16 | take16(wire);
}

static bool read_name(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    record->name = dns_name_take(&wire, arena);
    return record->name != NULL && wire.len == 0;
}

static bool read_a(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    (void)arena;
    if (wire.len != 4)
        return false;
    memset(record->address.bytes + 10, 0xff, 2);
    memcpy(record->address.bytes + 12, wire.at, 4);
    return true;
}

static bool read_aaaa(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    (void)arena;
    if (wire.len != 16)
        return false;
    memcpy(record->address.bytes, wire.at, 16);
    return true;
}

static bool read_mx(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    if (wire.len < 3)
        return false;
    record->mx.preference = take16(&wire);
    record->mx.host = dns_name_take(&wire, arena);
    return record->mx.host != NULL && wire.len == 0;
}

/* Strings of up to 255 bytes each, of which there is one at least. */
static bool read_txt(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    uint8_t *text = arena_alloc(arena, wire.len);
    size_t used = 0;

    if (wire.len == 0 || wire.len > DNS_TEXT_SIZE_MAX)
        return false;
    while (wire.len > 0) {
        size_t len = wire.at[0];
        if (len > wire.len - 1)
            return false;
        memcpy(text + used, wire.at + 1, len);
        used += len;
        wire = bytes_skip(wire, 1 + len);
    }
    record->text = bytes_from(text, used);
    return true;
}

static bool read_tlsa(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    if (wire.len < 3 + TLSA_DATA_MIN)
        return false;
    record->tlsa.usage = wire.at[0];
    record->tlsa.selector = wire.at[1];
    record->tlsa.matching = wire.at[2];
    record->tlsa.data = arena_copy(arena, bytes_skip(wire, 3));
    return true;
}

static bool read_soa(struct bytes wire, struct arena *arena, struct dns_record *record)
{
    record->soa.primary = dns_name_take(&wire, arena);
    record->soa.mailbox = record->soa.primary != NULL ? dns_name_take(&wire, arena) : NULL;
    if (record->soa.mailbox == NULL || wire.len != 20)
        return false;
    record->soa.serial = take32(&wire);
    record->soa.refresh_s = take32(&wire);
    record->soa.retry_s = take32(&wire);
    record->soa.expire_s = take32(&wire);
    record->soa.minimum_s = take32(&wire);
    return true;
}

static const struct {
    enum dns_type type;
    bool (*read)(struct bytes wire, struct arena *arena, struct dns_record *record);
} readers[] = {
    {DNS_A, read_a},   {DNS_AAAA, read_aaaa}, {DNS_NS, read_name},   {DNS_PTR, read_name},
    {DNS_MX, read_mx}, {DNS_TXT, read_txt},   {DNS_TLSA, read_tlsa}, {DNS_SOA, read_soa},
};

static bool read_record(enum dns_type type, struct bytes wire, struct arena *arena,
                        struct dns_record *record)
{
    *record = (struct dns_record){.address = {{0}}};
    for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++)
        if (readers[i].type == type)
            return readers[i].read(wire, arena, record);
    return false;
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_record *left = a, *right = b;

    return (int)left->mx.preference - (int)right->mx.preference;
}

void dns_answer_records(enum dns_type type, char *const *data, const int *len,
                        struct arena *arena, struct dns_answer *answer)
{
    unsigned there = 0, count = 0;

    while (data[there] != NULL && there < DNS_RECORDS_MAX)
        there++;
    struct dns_record *records = arena_alloc(arena, there * sizeof(*records));
    for (unsigned i = 0; i < there; i++)
        if (len[i] >= 0 &&
            read_record(type, bytes_from(data[i], (size_t)len[i]), arena, &records[count]))
            count++;
    if (type == DNS_MX)
        qsort(records, count, sizeof(*records), by_preference);
    answer->records = records;
    answer->count = count;
}

static enum dns_result result_of(const struct ub_result *result)
{
    if (result->bogus)
        return DNS_BOGUS;
    if (result->nxdomain || result->rcode == RCODE_NXDOMAIN)
        return DNS_NXDOMAIN;
    if (result->rcode != 0)
        return DNS_SERVFAIL;
    return result->havedata ? DNS_OK : DNS_NODATA;
}

void dns_answer_fill(const struct ub_result *result, struct arena *arena,
                     struct dns_answer *answer)
{
    answer->result = result_of(result);
    if (dns_trouble(answer->result)) {
        if (result->why_bogus != NULL)
            answer->reason = arena_string(arena, bytes_of(result->why_bogus));
        else if (answer->result == DNS_SERVFAIL)
            answer->reason = arena_printf(arena, "rcode %d", result->rcode);
        return;
    }
    answer->secure = result->secure != 0;
    answer->ttl_s = result->ttl > 0 ? (uint32_t)result->ttl : 0;
    if (result->canonname != NULL) {
        char normal[DNS_TEXT_MAX + 1];
        if (dns_name_normal(result->canonname, normal))
            answer->target = arena_string(arena, bytes_of(normal));
    }
    if (answer->result != DNS_OK)
        return;
    dns_answer_records(answer->type, result->data, result->len, arena, answer);
    if (answer->count == 0) {
        answer->result = DNS_SERVFAIL;
        answer->secure = false;
        answer->ttl_s = 0;
        answer->reason = "malformed records";
    }
}
