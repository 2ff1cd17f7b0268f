/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tree of search keys: checked, made ready, and evaluated against one message. */
#include <stdlib.h>

#include "node/mail/date.h"
#include "node/mail/text.h"
#include "storage/query/search.h"

enum { SEARCH_TEXT_SIZE_MAX = 4096, SECONDS_A_DAY = 86400 };

typedef bool key_match(struct search_message *message, const struct search_node *node);

static key_match match_all, match_and, match_or, match_not, match_flags_all, match_flags_none,
    match_uid, match_header, match_address, match_subject, match_body, match_text, match_larger,
    match_smaller, match_internal, match_sent, match_modseq;

/* A row a kind, at its number. */
static const struct kind {
    key_match *match;
    enum search_cost cost;
    unsigned children_min;
    unsigned children_max;
} kinds[] = {
    [PR__SEARCH_KEY__KIND__ALL] = {match_all, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__AND] = {match_and, COST_RECORD, 0, QUERY_SEARCH_KEYS_MAX},
    [PR__SEARCH_KEY__KIND__OR] = {match_or, COST_RECORD, 1, QUERY_SEARCH_KEYS_MAX},
    [PR__SEARCH_KEY__KIND__NOT] = {match_not, COST_RECORD, 1, 1},
    [PR__SEARCH_KEY__KIND__FLAGS_ALL] = {match_flags_all, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__FLAGS_NONE] = {match_flags_none, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__KEYWORD] = {match_flags_all, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__UID] = {match_uid, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__HEADER] = {match_header, COST_HEADER, 0, 0},
    [PR__SEARCH_KEY__KIND__FROM] = {match_address, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__TO] = {match_address, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__CC] = {match_address, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__BCC] = {match_address, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__SUBJECT] = {match_subject, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__BODY] = {match_body, COST_BODY, 0, 0},
    [PR__SEARCH_KEY__KIND__TEXT] = {match_text, COST_BODY, 0, 0},
    [PR__SEARCH_KEY__KIND__LARGER] = {match_larger, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__SMALLER] = {match_smaller, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__BEFORE] = {match_internal, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__ON] = {match_internal, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__SINCE] = {match_internal, COST_RECORD, 0, 0},
    [PR__SEARCH_KEY__KIND__SENT_BEFORE] = {match_sent, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__SENT_ON] = {match_sent, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__SENT_SINCE] = {match_sent, COST_SUMMARY, 0, 0},
    [PR__SEARCH_KEY__KIND__MODSEQ] = {match_modseq, COST_RECORD, 0, 0},
};

static bool is_known(const Pr__SearchKey *key)
{
    return (unsigned)key->kind < sizeof(kinds) / sizeof(*kinds);
}

static int cost_compare(const void *a, const void *b)
{
    const struct search_node *const *left = a;
    const struct search_node *const *right = b;

    return ((*left)->cost > (*right)->cost) - ((*left)->cost < (*right)->cost);
}

struct preparing {
    struct arena *arena;
    const struct bytes *keywords;
    unsigned keyword_count;
    unsigned keys;
};

static enum err leaf_prepare(struct preparing *preparing, struct search_node *node)
{
    const Pr__SearchKey *key = node->key;
    struct bytes text = bytes_of(key->text);

    if (text.len > SEARCH_TEXT_SIZE_MAX)
        return ERR_TOOBIG;
    if (text.len > 0)
        node->text = mail_fold(preparing->arena, text);
    node->flags = key->flags;
    if (key->kind == PR__SEARCH_KEY__KIND__UID &&
        !range_normal(preparing->arena, key->uids, key->n_uids, &node->ranges))
        return ERR_INVALID;
    if (key->kind == PR__SEARCH_KEY__KIND__KEYWORD) {
        unsigned number = 0;
        while (number < preparing->keyword_count &&
               !bytes_equal_nocase(preparing->keywords[number], text))
            number++;
        node->never = number == preparing->keyword_count;
        if (!node->never)
            node->flags = (uint64_t)1 << (KEYWORD_FIRST_BIT + number);
    }
    return ERR_OK;
}

static enum err node_prepare(struct preparing *preparing, const Pr__SearchKey *key,
                             unsigned depth, struct search_node **prepared)
{
    struct search_node *node = arena_alloc(preparing->arena, sizeof(*node));
    enum err err;

    if (depth > QUERY_SEARCH_DEPTH_MAX || ++preparing->keys > QUERY_SEARCH_KEYS_MAX ||
        key->n_keys > QUERY_SEARCH_KEYS_MAX)
        return ERR_TOOBIG;
    if (!is_known(key))
        return ERR_UNSUPPORTED;
    if (key->n_keys < kinds[key->kind].children_min ||
        key->n_keys > kinds[key->kind].children_max)
        return ERR_INVALID;
    node->key = key;
    node->cost = kinds[key->kind].cost;
    if ((err = leaf_prepare(preparing, node)) != ERR_OK)
        return err;
    node->children = arena_alloc(preparing->arena, key->n_keys * sizeof(*node->children));
    node->child_count = key->n_keys;
    for (size_t i = 0; i < key->n_keys; i++) {
        err = node_prepare(preparing, key->keys[i], depth + 1, &node->children[i]);
        if (err != ERR_OK)
            return err;
        if (node->children[i]->cost > node->cost)
            node->cost = node->children[i]->cost;
    }
    qsort(node->children, node->child_count, sizeof(*node->children), cost_compare);
    *prepared = node;
    return ERR_OK;
}

enum err search_prepare(struct arena *arena, const Pr__SearchKey *key,
                        const struct bytes *keywords, unsigned keyword_count,
                        struct search_node **root)
{
    struct preparing preparing = {arena, keywords, keyword_count, 0};

    return node_prepare(&preparing, key, 1, root);
}

bool search_match(struct search_message *message, const struct search_node *node)
{
    return kinds[node->key->kind].match(message, node);
}

static bool match_all(struct search_message *message, const struct search_node *node)
{
    (void)message;
    (void)node;
    return true;
}

static bool match_and(struct search_message *message, const struct search_node *node)
{
    for (size_t i = 0; i < node->child_count; i++)
        if (!search_match(message, node->children[i]))
            return false;
    return true;
}

static bool match_or(struct search_message *message, const struct search_node *node)
{
    for (size_t i = 0; i < node->child_count; i++)
        if (search_match(message, node->children[i]))
            return true;
    return false;
}

static bool match_not(struct search_message *message, const struct search_node *node)
{
    return !search_match(message, node->children[0]);
}

static bool match_flags_all(struct search_message *message, const struct search_node *node)
{
    return !node->never && (message->record.flags & node->flags) == node->flags;
}

static bool match_flags_none(struct search_message *message, const struct search_node *node)
{
    return (message->record.flags & node->flags) == 0;
}

static bool match_uid(struct search_message *message, const struct search_node *node)
{
    size_t low = 0;
    size_t high = node->ranges.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (node->ranges.at[middle]->last < message->uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < node->ranges.count && node->ranges.at[low]->first <= message->uid;
}

static bool match_larger(struct search_message *message, const struct search_node *node)
{
    return node->key->number < 0 || message->record.size > (uint64_t)node->key->number;
}

static bool match_smaller(struct search_message *message, const struct search_node *node)
{
    return node->key->number > 0 && message->record.size < (uint64_t)node->key->number;
}

static bool match_modseq(struct search_message *message, const struct search_node *node)
{
    return node->key->number <= 0 || message->record.modseq >= (uint64_t)node->key->number;
}

/* The day of a time in its own zone. */
static int64_t day_of(int64_t seconds, int zone_minutes)
{
    int64_t days;

    /* Times that are no times come from peers: only days can be told apart from here on. */
    days = seconds / SECONDS_A_DAY;
    seconds = seconds % SECONDS_A_DAY + (int64_t)zone_minutes * 60;
    while (seconds < 0) {
        seconds += SECONDS_A_DAY;
        days--;
    }
    return days + seconds / SECONDS_A_DAY;
}

static bool match_internal(struct search_message *message, const struct search_node *node)
{
    int64_t day = day_of(message->record.internal_s, message->record.internal_zone);

    if (node->key->kind == PR__SEARCH_KEY__KIND__BEFORE)
        return day < node->key->number;
    if (node->key->kind == PR__SEARCH_KEY__KIND__ON)
        return day == node->key->number;
    return day >= node->key->number;
}

/* RFC 3501 section 6.4.4: the Date header, disregarding time and zone. */
static bool match_sent(struct search_message *message, const struct search_node *node)
{
    const struct mail_summary *summary = search_summary(message);
    struct mail_date date;
    int64_t day;

    if (summary == NULL || !mail_date_parse(summary->envelope.date, &date))
        return false;
    day = day_of(date.seconds, date.zone_minutes);
    if (node->key->kind == PR__SEARCH_KEY__KIND__SENT_BEFORE)
        return day < node->key->number;
    if (node->key->kind == PR__SEARCH_KEY__KIND__SENT_ON)
        return day == node->key->number;
    return day >= node->key->number;
}

static bool address_contains(struct search_message *message, const struct mail_address *address,
                             struct bytes needle)
{
    struct arena *arena = &message->message_arena;
    struct bytes name = mail_decode_words(arena, address->name);
    struct buffer text = BUFFER_EMPTY;
    bool contains;

    buffer_add(&text, name);
    if (address->local.len > 0 && address->group == MAIL_ADDRESS_PLAIN) {
        buffer_add_string(&text, " <");
        buffer_add(&text, address->local);
        buffer_add_string(&text, "@");
        buffer_add(&text, address->domain);
        buffer_add_string(&text, ">");
    } else {
        buffer_add(&text, address->local); /* a group's name */
    }
    contains = search_contains(mail_fold(arena, buffer_bytes(&text)), needle);
    buffer_fini(&text);
    return contains;
}

static bool match_address(struct search_message *message, const struct search_node *node)
{
    const struct mail_summary *summary = search_summary(message);
    const struct mail_address_list *list;

    if (summary == NULL)
        return false;
    switch (node->key->kind) {
    case PR__SEARCH_KEY__KIND__FROM:
        list = &summary->envelope.from;
        break;
    case PR__SEARCH_KEY__KIND__TO:
        list = &summary->envelope.to;
        break;
    case PR__SEARCH_KEY__KIND__CC:
        list = &summary->envelope.cc;
        break;
    default:
        list = &summary->envelope.bcc;
    }
    for (size_t i = 0; i < list->count; i++)
        if (address_contains(message, &list->at[i], node->text))
            return true;
    return false;
}

static bool match_subject(struct search_message *message, const struct search_node *node)
{
    const struct mail_summary *summary = search_summary(message);
    struct arena *arena = &message->message_arena;

    if (summary == NULL || summary->envelope.subject.at == NULL)
        return false;
    return search_contains(
        mail_fold(arena, mail_decode_words(arena, summary->envelope.subject)), node->text);
}

static bool match_header(struct search_message *message, const struct search_node *node)
{
    return search_header(message, node->key->name, node->text);
}

static bool match_body(struct search_message *message, const struct search_node *node)
{
    return search_body(message, node->text);
}

static bool match_text(struct search_message *message, const struct search_node *node)
{
    return search_header(message, NULL, node->text) || search_body(message, node->text);
}
