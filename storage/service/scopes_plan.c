/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/scopes_plan.h"

/* What is granted where the limit says nothing, and the version of a share whose limit is gone
 * (types.proto). */
#define UNLIMITED UINT64_MAX
#define ENDED UINT64_MAX

uint64_t scopes_plan_add(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

uint64_t scopes_plan_less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* What is different between kinds of scopes. */
struct kind {
    struct scopes_amount chunk_min;
    struct scopes_amount chunk_max;
    struct scopes_amount ahead_min;
    bool keeps; /* what is not used, until it is wanted */
};

static const struct kind held = {
    .chunk_min = {SCOPES_CHUNK_BYTES_MIN, SCOPES_CHUNK_MESSAGES_MIN},
    .chunk_max = {SCOPES_CHUNK_BYTES_MAX, SCOPES_CHUNK_MESSAGES_MAX},
    .ahead_min = {SCOPES_AHEAD_BYTES_MIN, SCOPES_AHEAD_MESSAGES_MIN},
};
static const struct kind sent = {
    .chunk_min = {SCOPES_CHUNK_SENDING_MIN, SCOPES_CHUNK_SENDING_MIN},
    .chunk_max = {SCOPES_CHUNK_SENDING_MAX, SCOPES_CHUNK_SENDING_MAX},
    .ahead_min = {SCOPES_AHEAD_SENDING_MIN, SCOPES_AHEAD_SENDING_MIN},
    .keeps = true,
};

static const struct kind *kind_of(Pr__ScopeKind kind)
{
    return kind == PR__SCOPE_KIND__SCOPE_SENDING ? &sent : &held;
}

static struct scopes_amount granted_of(const Pr__ScopeShare *share)
{
    return (struct scopes_amount){share->granted_bytes, share->granted_messages};
}

static struct scopes_amount used_of(const Pr__ScopeShare *share)
{
    return (struct scopes_amount){share->used_bytes, share->used_messages};
}

static struct scopes_amount granted_in_all(const Pr__ScopeRecord *record)
{
    struct scopes_amount sum = {0, 0};

    for (size_t i = 0; i < record->n_shares; i++) {
        sum.bytes = scopes_plan_add(sum.bytes, record->shares[i]->granted_bytes);
        sum.messages = scopes_plan_add(sum.messages, record->shares[i]->granted_messages);
    }
    return sum;
}

static uint64_t chunk(uint64_t total, uint64_t granted, unsigned groups, uint64_t least,
                      uint64_t most)
{
    uint64_t size = total / SCOPES_CHUNK_PARTS;
    uint64_t left = scopes_plan_less(total, granted) / 2 / (groups > 0 ? groups : 1);

    if (total == 0)
        return 0;
    if (size < least)
        size = least;
    if (size > most)
        size = most;
    return size < left ? size : left;
}

struct scopes_amount scopes_plan_chunk(const Pr__ScopeRecord *record, unsigned groups)
{
    struct scopes_amount granted = granted_in_all(record);
    const struct kind *kind = kind_of(record->kind);

    if (record->total == NULL)
        return (struct scopes_amount){0, 0};
    return (struct scopes_amount){
        .bytes = chunk(record->total->bytes, granted.bytes, groups, kind->chunk_min.bytes,
                       kind->chunk_max.bytes),
        .messages = chunk(record->total->messages, granted.messages, groups,
                          kind->chunk_min.messages, kind->chunk_max.messages),
    };
}

static bool fits(uint64_t granted, uint64_t used, uint64_t more)
{
    return granted == UNLIMITED || (used <= granted && more <= granted - used);
}

bool scopes_plan_fits(const Pr__ScopeShare *share, struct scopes_amount need)
{
    return fits(share->granted_bytes, share->used_bytes, need.bytes) &&
           fits(share->granted_messages, share->used_messages, need.messages);
}

static void ask_fill(const Pr__ScopeShare *share, struct scopes_amount need,
                     struct scopes_amount want, Pr__ScopeAsk *ask)
{
    ask->share->kind = share->kind;
    ask->share->scope_id = share->scope_id;
    ask->share->group = share->group;
    ask->share->limit = share->limit;
    ask->share->version = share->version;
    ask->share->granted_bytes = share->granted_bytes;
    ask->share->granted_messages = share->granted_messages;
    ask->need_bytes = need.bytes;
    ask->need_messages = need.messages;
    ask->want_bytes = scopes_plan_add(share->used_bytes, want.bytes);
    ask->want_messages = scopes_plan_add(share->used_messages, want.messages);
}

void scopes_plan_ask(const Pr__ScopeShare *share, struct scopes_amount need,
                     struct scopes_amount want, Pr__ScopeAsk *ask)
{
    need.bytes = scopes_plan_add(share->used_bytes, need.bytes);
    need.messages = scopes_plan_add(share->used_messages, need.messages);
    ask_fill(share, need, want, ask);
}

void scopes_plan_tell(const Pr__ScopeShare *row, uint64_t limit, struct scopes_amount want,
                      Pr__ScopeAsk *ask)
{
    ask_fill(row, (struct scopes_amount){0, 0}, want, ask);
    if (limit > row->limit) { /* what it was granted, it is no more */
        ask->share->limit = limit;
        ask->share->version = 0;
        ask->share->granted_bytes = ask->share->granted_messages = 0;
    }
}

/* ---- the duty of a group's leader ---- */

static const Pr__ScopeShare *share_of(const Pr__ScopeRecord *record, uint32_t group)
{
    for (size_t i = 0; i < record->n_shares; i++)
        if (record->shares[i]->group == group)
            return record->shares[i];
    return NULL;
}

/* What to keep beyond what is used; false: all that is there. More than two parts are too much,
 * and all of it is when others want it. */
static bool keeps_less(const struct kind *kind, uint64_t granted, uint64_t used, uint64_t part,
                       bool all, uint64_t *keep)
{
    uint64_t surplus = granted == UNLIMITED ? 0 : scopes_plan_less(granted, used);

    *keep = granted == UNLIMITED ? UNLIMITED : surplus;
    if (surplus == 0 || (!all && (kind->keeps || scopes_plan_less(surplus, part) <= part)))
        return false;
    *keep = all ? 0 : part;
    return true;
}

/* Where more is granted than there is, the part is nothing: nobody keeps what is not used. */
static bool give_back(const struct scopes_look *look, struct scopes_amount part,
                      struct scopes_step *step)
{
    const Pr__ScopeRecord *record = look->record;
    struct scopes_amount granted = granted_of(look->row);
    struct scopes_amount used = used_of(look->row);
    bool any = record->wanted_bytes == 0 && record->wanted_messages == 0;
    bool bytes = look->wanted && (any || record->wanted_bytes > 0);
    bool messages = look->wanted && (any || record->wanted_messages > 0);
    const struct kind *kind = kind_of(record->kind);
    bool less =
        keeps_less(kind, granted.bytes, used.bytes, part.bytes, bytes, &step->amount.bytes);

    less |= keeps_less(kind, granted.messages, used.messages, part.messages, messages,
                       &step->amount.messages);
    if (less)
        step->duty = SCOPES_DUTY_RETURN;
    return less;
}

static bool is_low(uint64_t granted, uint64_t used, uint64_t part, uint64_t least)
{
    return granted != UNLIMITED && part >= least && scopes_plan_less(granted, used) < part / 4;
}

static bool ask_ahead(const struct scopes_look *look, struct scopes_amount part,
                      struct scopes_step *step)
{
    struct scopes_amount granted = granted_of(look->row);
    struct scopes_amount used = used_of(look->row);
    struct scopes_amount least = kind_of(look->record->kind)->ahead_min;

    if (look->wanted || (used.bytes == 0 && used.messages == 0) ||
        (!is_low(granted.bytes, used.bytes, part.bytes, least.bytes) &&
         !is_low(granted.messages, used.messages, part.messages, least.messages)))
        return false;
    *step = (struct scopes_step){.duty = SCOPES_DUTY_ASK, .amount = part};
    return true;
}

/* Whether anything is left to be granted. */
static bool is_room(const Pr__ScopeRecord *record)
{
    struct scopes_amount sum = granted_in_all(record);
    const Pr__AccountQuota *total = record->total;

    return total != NULL && ((total->bytes > 0 && sum.bytes < total->bytes) ||
                             (total->messages > 0 && sum.messages < total->messages));
}

static struct scopes_step in_step(const struct scopes_look *look, const Pr__ScopeShare *share)
{
    const Pr__ScopeShare *row = look->row;
    struct scopes_step step = {.duty = SCOPES_DUTY_NONE};
    struct scopes_amount part = scopes_plan_chunk(look->record, look->groups);

    if (row->granted_bytes < share->granted_bytes ||
        row->granted_messages < share->granted_messages) {
        step.duty = SCOPES_DUTY_TOLD;
        return step;
    }
    if (row->used_bytes > share->granted_bytes ||
        row->used_messages > share->granted_messages) {
        if (is_room(look->record))
            step.duty = SCOPES_DUTY_ASK;
        return step;
    }
    if (!give_back(look, part, &step))
        ask_ahead(look, part, &step);
    return step;
}

struct scopes_step scopes_plan_duty(const struct scopes_look *look)
{
    const Pr__ScopeShare *row = look->row;
    const Pr__ScopeShare *share;
    struct scopes_step step = {.duty = SCOPES_DUTY_NONE};

    if (look->record == NULL || look->record->limit < row->limit) {
        /* The limit is gone, or the directory here is older than the row: who leads the
         * directory knows. */
        if (row->limit != 0 && row->version != ENDED)
            step.duty = SCOPES_DUTY_ASK;
        return step;
    }
    share = share_of(look->record, row->group);
    if (share == NULL) {
        bool heard = look->record->limit == row->limit;
        bool uses = row->used_bytes > 0 || row->used_messages > 0;
        if (!heard || (uses && is_room(look->record)))
            step.duty = SCOPES_DUTY_ASK;
        return step;
    }
    if (look->record->limit > row->limit) {
        step = (struct scopes_step){.duty = SCOPES_DUTY_GRANT, .share = share};
        return step;
    }
    if (share->version != row->version) {
        step.share = share;
        if (share->version > row->version)
            step.duty = SCOPES_DUTY_GRANT;
        return step;
    }
    return in_step(look, share);
}
