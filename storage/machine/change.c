/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that change messages which are there: flags, copies, expunging. */
#include "storage/machine/blob.h"
#include "storage/machine/keyword.h"
#include "storage/machine/message.h"
#include "storage/machine/quota.h"
#include "storage/machine/scope.h"
#include "storage/schema/format.h"

/* The messages that a command names; refuses when they are too many for one command. */
static enum err messages_load(struct apply *apply, const struct account *account,
                              uint32_t mailbox_id, Pr__UidRange *const *uids, size_t uid_count,
                              struct message **messages, size_t *count)
{
    struct range_list ranges;

    if (!range_normal(apply->arena, uids, uid_count, &ranges))
        return apply_refuse(apply, ERR_INVALID, "a range of UIDs that is none");
    if (!message_collect(apply, account, mailbox_id, &ranges, APPLY_MESSAGES_MAX, messages,
                         count))
        return apply_refuse(apply, ERR_TOOBIG, "more than %d messages in one command",
                            APPLY_MESSAGES_MAX);
    return ERR_OK;
}

static void both_store(struct apply *apply, struct account *account,
                       const struct mailbox *mailbox)
{
    mailbox_store(apply->txn, account, mailbox);
    account_store(apply->txn, account);
    event_mailbox(apply, account->id, mailbox->id, mailbox->record.modseq, false);
}

static uint64_t flags_changed(const Pr__FlagsChange *call, uint64_t old, uint64_t named)
{
    switch (call->mode) {
    case PR__FLAGS_CHANGE__MODE__ADD:
        return old | named;
    case PR__FLAGS_CHANGE__MODE__REMOVE:
        return old & ~named;
    default:
        return named;
    }
}

/* Changes what is to be changed; returns how many. */
static size_t flags_apply(struct apply *apply, struct account *account, struct mailbox *mailbox,
                          struct message *messages, size_t count, uint64_t named)
{
    const Pr__FlagsChange *call = apply->command->flags_change;
    struct range_list changed = {0};
    struct range_list failed = {0};
    size_t changes = 0;

    for (size_t i = 0; i < count; i++) {
        struct message *message = &messages[i];
        uint64_t flags = flags_changed(call, message->record.flags, named);

        if (call->unchanged_since_given && message->record.modseq > call->unchanged_since) {
            range_add(apply->arena, &failed, message->uid, message->uid);
        } else if (flags != message->record.flags) {
            message_flags_set(apply, account, mailbox, message->uid, &message->record, flags);
            range_add(apply->arena, &changed, message->uid, message->uid);
            changes++;
        }
    }
    apply->outcome->uids = changed.at;
    apply->outcome->n_uids = changed.count;
    apply->outcome->failed_uids = failed.at;
    apply->outcome->n_failed_uids = failed.count;
    return changes;
}

enum err apply_flags_change(struct apply *apply)
{
    const Pr__FlagsChange *call = apply->command->flags_change;
    struct account account;
    struct mailbox mailbox;
    struct keyword_set keywords;
    struct message *messages;
    size_t count;
    uint64_t named;
    enum err err;

    if (call->mode != PR__FLAGS_CHANGE__MODE__SET &&
        call->mode != PR__FLAGS_CHANGE__MODE__ADD &&
        call->mode != PR__FLAGS_CHANGE__MODE__REMOVE)
        return apply_refuse(apply, ERR_UNSUPPORTED, "a way to change flags that is not known");
    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account,
                               &mailbox)) != ERR_OK ||
        (err = flags_check(apply, call->flags)) != ERR_OK ||
        (err = keyword_check(apply, &account, &mailbox, call->keywords, call->n_keywords,
                             call->mode != PR__FLAGS_CHANGE__MODE__REMOVE, &keywords)) !=
            ERR_OK ||
        (err = messages_load(apply, &account, mailbox.id, call->uids, call->n_uids, &messages,
                             &count)) != ERR_OK)
        return err;
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    if (count == 0) {
        apply->outcome->modseq = mailbox.record.modseq;
        return ERR_OK;
    }
    /* There is a message, so the account was made before. */
    named = call->flags | keyword_make(apply, &account, &mailbox, &keywords);
    if (flags_apply(apply, &account, &mailbox, messages, count, named) > 0 ||
        keywords.added_count > 0)
        both_store(apply, &account, &mailbox);
    apply->outcome->modseq = mailbox.record.modseq;
    return ERR_OK;
}

/*
 * Which bit of the target a keyword of the source becomes. Keywords that the target has no room
 * for are lost: a copy without a keyword is better than no copy.
 */
static void keywords_map(struct apply *apply, const struct account *account,
                         const struct mailbox *source, struct mailbox *target, uint64_t used,
                         uint64_t map[64])
{
    struct bytes *names;

    keyword_list(apply->txn, account, source->id, source->record.keywords, apply->arena,
                 &names);
    for (unsigned i = 0; i < source->record.keywords; i++) {
        uint64_t bit = (uint64_t)1 << (KEYWORD_FIRST_BIT + i);
        struct keyword_set set = {0};
        struct bytes *known;
        unsigned number = 0;

        if (!(used & bit))
            continue;
        keyword_list(apply->txn, account, target->id, target->record.keywords, apply->arena,
                     &known);
        while (number < target->record.keywords && !bytes_equal_nocase(known[number], names[i]))
            number++;
        if (number < target->record.keywords) {
            set.known = (uint64_t)1 << (KEYWORD_FIRST_BIT + number);
        } else if (target->record.keywords < KEYWORD_COUNT_MAX) {
            set.added = &names[i];
            set.added_count = 1;
        }
        map[KEYWORD_FIRST_BIT + i] = keyword_make(apply, account, target, &set);
    }
}

static uint64_t flags_mapped(uint64_t flags, const uint64_t map[64])
{
    uint64_t mapped = flags & FLAGS_SYSTEM;

    for (unsigned bit = KEYWORD_FIRST_BIT; bit < 64 && flags >> bit != 0; bit++)
        if (flags >> bit & 1)
            mapped |= map[bit];
    return mapped;
}

static void messages_copy(struct apply *apply, struct account *account,
                          const struct mailbox *source, struct mailbox *target,
                          const struct message *messages, size_t count)
{
    struct range_list from = {0};
    struct range_list to = {0};
    uint64_t map[64] = {0};
    uint64_t used = 0;

    for (size_t i = 0; i < count; i++)
        used |= messages[i].record.flags;
    if (source != target)
        keywords_map(apply, account, source, target, used, map);
    for (size_t i = 0; i < count; i++) {
        struct message_record copy = messages[i].record;
        uint32_t uid;

        if (source != target)
            copy.flags = flags_mapped(copy.flags, map);
        copy.saved_s = (int64_t)(apply->command->time_ms / 1000);
        blob_reference(apply, copy.blob);
        uid = message_add(apply, account, target, &copy);
        range_add(apply->arena, &from, messages[i].uid, messages[i].uid);
        range_add(apply->arena, &to, uid, uid);
    }
    apply->outcome->source_uids = from.at;
    apply->outcome->n_source_uids = from.count;
    apply->outcome->uids = to.at;
    apply->outcome->n_uids = to.count;
}

enum err apply_copy(struct apply *apply)
{
    const Pr__Copy *call = apply->command->copy;
    struct account account;
    struct mailbox source;
    struct mailbox other;
    struct mailbox *target = &other;
    struct message *messages;
    size_t count;
    uint64_t size = 0;
    enum err err;

    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account, &source)) !=
            ERR_OK ||
        (err = messages_load(apply, &account, source.id, call->uids, call->n_uids, &messages,
                             &count)) != ERR_OK)
        return err;
    if (call->target_mailbox_id == source.id)
        target = &source; /* allowed: RFC 6851 section 3.3 */
    else if (call->target_mailbox_id == 0 ||
             !mailbox_load(apply->txn, &account, call->target_mailbox_id, &other))
        return apply_refuse(apply, ERR_NOTFOUND, "no such target mailbox");
    if (!message_fits(target, count))
        return apply_refuse(apply, ERR_FULL, "the UIDs of the mailbox are used up");
    for (size_t i = 0; i < count && !call->move; i++)
        size += messages[i].record.size;
    if (!call->move &&
        ((err = quota_check(apply, &account, call->quota, count, size)) != ERR_OK ||
         (count > 0 &&
          (err = scope_check(apply, &account, call->scopes, count, size)) != ERR_OK)))
        return err;
    apply->outcome->uid_validity = target->record.uid_validity;
    apply->outcome->modseq = target->record.modseq;
    if (count == 0)
        return ERR_OK;
    scope_enrol(apply, &account, call->scopes);
    messages_copy(apply, &account, &source, target, messages, count);
    apply->outcome->modseq = target->record.modseq;
    if (call->move) {
        struct range_list removed = {0};
        message_remove(apply, &account, &source, messages, count, false, &removed);
        apply->outcome->modseq = account.record.modseq;
        if (target != &source)
            both_store(apply, &account, &source);
    }
    both_store(apply, &account, target);
    return ERR_OK;
}

/* The uids with \Deleted among the ranges; false when they are too many. */
static bool deleted_collect(struct apply *apply, const struct account *account,
                            uint32_t mailbox_id, const struct range_list *among,
                            struct range_list *deleted)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_DELETED,
                       key_mailbox(&prefix, account->group, account->id, mailbox_id));
    unsigned count = 0;

    for (size_t i = 0; i < among->count; i++) {
        bool more = db_cursor_seek(
            cursor, key_uid(&at, account->group, account->id, mailbox_id, among->at[i]->first),
            &key, &value);
        for (; more && key_last_u32(key) <= among->at[i]->last && count <= APPLY_MESSAGES_MAX;
             more = db_cursor_next(cursor, &key, &value), count++)
            range_add(apply->arena, deleted, key_last_u32(key), key_last_u32(key));
    }
    db_cursor_close(&cursor);
    return count <= APPLY_MESSAGES_MAX;
}

enum err apply_expunge(struct apply *apply)
{
    const Pr__Expunge *call = apply->command->expunge;
    struct account account;
    struct mailbox mailbox;
    struct range_list among;
    struct range_list deleted = {0};
    struct range_list removed = {0};
    struct message *messages;
    size_t count;
    enum err err;

    if ((err = account_mailbox(apply, call->account_id, call->mailbox_id, &account,
                               &mailbox)) != ERR_OK)
        return err;
    if (!range_normal(apply->arena, call->uids, call->n_uids, &among))
        return apply_refuse(apply, ERR_INVALID, "a range of UIDs that is none");
    if (call->n_uids == 0)
        range_add(apply->arena, &among, 1, UINT32_MAX);
    if (!deleted_collect(apply, &account, mailbox.id, &among, &deleted))
        return apply_refuse(apply, ERR_TOOBIG, "more than %d messages in one command",
                            APPLY_MESSAGES_MAX);
    apply->outcome->uid_validity = mailbox.record.uid_validity;
    message_collect(apply, &account, mailbox.id, &deleted, APPLY_MESSAGES_MAX, &messages,
                    &count);
    if (count > 0) {
        message_remove(apply, &account, &mailbox, messages, count,
                       call->keep && apply_format(apply) >= FORMAT_DEPTH, &removed);
        both_store(apply, &account, &mailbox);
    }
    apply->outcome->uids = removed.at;
    apply->outcome->n_uids = removed.count;
    apply->outcome->modseq = mailbox.record.modseq;
    return ERR_OK;
}
