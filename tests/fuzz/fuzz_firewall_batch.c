/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/check.h"
#include "node/firewall/tally.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small tables, so that a short input fills and evicts. */
static struct firewall_tally *new_tally(void)
{
    struct firewall_tally_config config = {.seed = {1, 2}};
    struct firewall_tally *tally = firewall_tally_new(&config);

    firewall_tally_set_leading(tally, true);
    return tally;
}

static void check_bans(struct firewall_tally *tally, uint64_t now_s)
{
    struct firewall_ban ban;

    while (firewall_tally_next(tally, now_s, &ban)) {
        CHECK(ban.until_s > now_s && ban.since_s <= now_s && ban.scope != 0);
        CHECK(ban.until_s - now_s <= firewall_ladder_s(FIREWALL_LADDER_STEPS));
        CHECK(ban.exempt_count <= FIREWALL_EXEMPT_MAX);
        CHECK(memchr(ban.evidence, 0, sizeof(ban.evidence)) != NULL);
    }
}

/* What is read is within the limits, is read the same again when it is written, and is counted.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct firewall_batch batch;
    struct firewall_batch again;
    struct buffer first = BUFFER_EMPTY;
    struct buffer second = BUFFER_EMPTY;

    if (firewall_batch_decode(bytes_from(data, size), &batch) != ERR_OK) {
        CHECK(batch.records == NULL && batch.count == 0);
        return 0;
    }
    CHECK(batch.count <= FIREWALL_BATCH_RECORDS_MAX);
    firewall_batch_encode(&batch, &first);
    CHECK(buffer_len(&first) <= FIREWALL_BATCH_SIZE_MAX);
    CHECK(firewall_batch_decode(buffer_bytes(&first), &again) == ERR_OK);
    firewall_batch_encode(&again, &second);
    CHECK(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    struct firewall_tally *tally = new_tally();
    for (uint64_t now_s = 1800000000; now_s < 1800000600; now_s += 200) {
        firewall_tally_merge(tally, &batch, now_s);
        check_bans(tally, now_s);
    }
    for (size_t i = 0; i < batch.count && i < 4; i++) {
        buffer_clear(&first);
        firewall_tally_explain(tally, &batch.records[i].address, batch.records[i].network,
                               1800000600, &first);
    }
    firewall_tally_free(&tally);
    firewall_batch_fini(&batch);
    firewall_batch_fini(&again);
    buffer_fini(&first);
    buffer_fini(&second);
    return 0;
}
