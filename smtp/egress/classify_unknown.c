/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/egress/classify_unknown.h"

#include <stdlib.h>

#include "node/base/check.h"

struct slot {
    struct classify_unknown_entry shown;
    uint64_t times_ms[UNKNOWN_TELL_COUNT]; /* a ring, of the last ones */
    uint64_t told_ms;
    bool told;
};

/* The first `count` slots are used. */
struct classify_unknown {
    size_t count;
    struct slot slots[UNKNOWN_TEMPLATES_MAX];
};

struct classify_unknown *classify_unknown_new(void)
{
    struct classify_unknown *unknown = calloc(1, sizeof(*unknown));

    CHECK(unknown != NULL);
    return unknown;
}

void classify_unknown_free(struct classify_unknown **unknown)
{
    free(*unknown);
    *unknown = NULL;
}

static struct bytes cut(struct bytes text, size_t most)
{
    return (struct bytes){text.at, text.len < most ? text.len : most};
}

static struct slot *find(struct classify_unknown *unknown, struct bytes provider,
                         uint64_t template_id)
{
    for (size_t i = 0; i < unknown->count; i++) {
        struct slot *slot = &unknown->slots[i];
        if (slot->shown.template_id == template_id &&
            bytes_equal(bytes_of(slot->shown.provider), provider))
            return slot;
    }
    return NULL;
}

/* True when `slot` is the one to go of the two. */
static bool goes_before(const struct slot *slot, const struct slot *other, uint64_t now_ms)
{
    bool old = now_ms - slot->shown.last_ms >= UNKNOWN_KEEP_MS;
    bool other_old = now_ms - other->shown.last_ms >= UNKNOWN_KEEP_MS;

    if (old != other_old)
        return old;
    if (slot->shown.count != other->shown.count)
        return slot->shown.count < other->shown.count;
    return slot->shown.last_ms < other->shown.last_ms;
}

static struct slot *make_room(struct classify_unknown *unknown, uint64_t now_ms)
{
    struct slot *least = &unknown->slots[0];

    if (unknown->count < UNKNOWN_TEMPLATES_MAX)
        return &unknown->slots[unknown->count++];
    for (size_t i = 1; i < unknown->count; i++)
        if (goes_before(&unknown->slots[i], least, now_ms))
            least = &unknown->slots[i];
    return least;
}

static void copy_shown(char *to, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        to[i] = text.at[i] < ' ' || text.at[i] == 0x7f ? '?' : (char)text.at[i];
    to[text.len] = '\0';
}

static struct slot *add(struct classify_unknown *unknown, struct bytes provider,
                        const struct classify_reply *reply, uint64_t template_id,
                        uint64_t now_ms)
{
    struct slot *slot = make_room(unknown, now_ms);

    memset(slot, 0, sizeof(*slot));
    slot->shown.template_id = template_id;
    slot->shown.phase = reply->phase;
    slot->shown.code = reply->code;
    slot->shown.first_ms = now_ms;
    memcpy(slot->shown.provider, provider.at, provider.len);
    copy_shown(slot->shown.sample, cut(reply->text, UNKNOWN_SAMPLE_MAX));
    return slot;
}

static unsigned count_recent(const struct slot *slot, uint64_t now_ms)
{
    unsigned recent = 0;

    for (size_t i = 0; i < UNKNOWN_TELL_COUNT && i < slot->shown.count; i++)
        recent += now_ms - slot->times_ms[i] < UNKNOWN_TELL_MS;
    return recent;
}

const struct classify_unknown_entry *
classify_unknown_count(struct classify_unknown *unknown, const struct classify_reply *reply,
                       const struct classify_verdict *verdict, uint64_t now_ms)
{
    struct bytes provider = cut(reply->provider, UNKNOWN_PROVIDER_MAX);

    if (verdict->basis == CLASSIFY_BY_RULE || reply->code == 0 || reply->text.len == 0)
        return NULL;
    struct slot *slot = find(unknown, provider, verdict->template_id);
    if (slot == NULL)
        slot = add(unknown, provider, reply, verdict->template_id, now_ms);
    slot->times_ms[slot->shown.count % UNKNOWN_TELL_COUNT] = now_ms;
    slot->shown.count++;
    slot->shown.last_ms = now_ms;
    slot->shown.hour_count = count_recent(slot, now_ms);
    if (slot->shown.hour_count < UNKNOWN_TELL_COUNT ||
        (slot->told && now_ms - slot->told_ms < UNKNOWN_TELL_MS))
        return NULL;
    slot->told = true;
    slot->told_ms = now_ms;
    return &slot->shown;
}

const struct classify_unknown_entry *
classify_unknown_next(const struct classify_unknown *unknown, size_t *at)
{
    return *at < unknown->count ? &unknown->slots[(*at)++].shown : NULL;
}
