/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/fake_internal.h"

#include <stdio.h>

#include "node/base/check.h"
#include "storage/schema/flags.h"

static const struct {
    const char *name;
    unsigned special_use;
    bool exists;
    bool subscribed;
} first_mailboxes[] = {
    {"INBOX", SPECIAL_INBOX, true, true},
    {"Drafts", SPECIAL_DRAFTS, true, false},
    {"Sent", SPECIAL_SENT, true, true},
    {"Work", SPECIAL_NONE, true, false},
    {"Work/B\xc3\xbc\x63her", SPECIAL_NONE, true, true},
    {"Work Old", SPECIAL_NONE, true, false},
    {"Lost/Deep/Leaf", SPECIAL_NONE, true, true},
    {"Gone", SPECIAL_NONE, false, true},
};

struct fake_mailbox *fake_mailbox_add(struct fake_store *store, const char *name)
{
    CHECK(store->mailbox_count < FAKE_MAILBOXES_MAX);
    struct fake_mailbox *mailbox = &store->mailboxes[store->mailbox_count++];
    *mailbox = (struct fake_mailbox){.id = (uint32_t)store->mailbox_count, .uid_next = 1};
    snprintf(mailbox->name, sizeof(mailbox->name), "%s", name);
    mailbox->exists = true;
    return mailbox;
}

void fake_store_init(struct fake_store *store)
{
    *store = (struct fake_store){.modseq = 100, .codec = body_codec_new()};
    arena_init(&store->arena);
    for (size_t i = 0; i < sizeof(first_mailboxes) / sizeof(first_mailboxes[0]); i++) {
        struct fake_mailbox *mailbox = fake_mailbox_add(store, first_mailboxes[i].name);
        mailbox->exists = first_mailboxes[i].exists;
        mailbox->subscribed = first_mailboxes[i].subscribed;
        mailbox->special_use = first_mailboxes[i].special_use;
    }
}

void fake_store_fini(struct fake_store *store)
{
    fake_store_forget_login(store);
    body_codec_free(&store->codec);
    arena_fini(&store->arena);
}

struct fake_mailbox *fake_mailbox_named(struct fake_store *store, const char *name)
{
    for (size_t i = 0; i < store->mailbox_count; i++)
        if (strcmp(store->mailboxes[i].name, name) == 0 && store->mailboxes[i].exists)
            return &store->mailboxes[i];
    return NULL;
}

struct fake_mailbox *fake_mailbox_of(struct fake_store *store, uint32_t id)
{
    return id > 0 && id <= store->mailbox_count ? &store->mailboxes[id - 1] : NULL;
}

uint32_t fake_store_deliver(struct fake_store *store, uint32_t mailbox, struct bytes body,
                            uint64_t flags)
{
    struct fake_mailbox *box = fake_mailbox_of(store, mailbox);

    if (store->message_count == FAKE_MESSAGES_MAX)
        return 0;
    store->messages[store->message_count++] = (struct fake_message){
        .mailbox = mailbox,
        .uid = box->uid_next++,
        .flags = flags,
        .modseq = ++store->modseq,
        .internal_s = 1795295370, /* 21-Nov-2026 21:09:30 +0000 */
        .internal_zone = 60,
        .body = arena_copy(&store->arena, body),
    };
    return box->uid_next - 1;
}

struct fake_message *fake_message_of(struct fake_store *store, uint32_t mailbox, uint32_t uid)
{
    for (size_t i = 0; i < store->message_count; i++) {
        struct fake_message *message = &store->messages[i];
        if (message->mailbox == mailbox && message->uid == uid && !message->expunged)
            return message;
    }
    return NULL;
}

void fake_store_expunge(struct fake_store *store, uint32_t mailbox, uint32_t uid)
{
    struct fake_message *message = fake_message_of(store, mailbox, uid);

    CHECK(message != NULL);
    message->expunged = true;
    message->modseq = ++store->modseq;
}

void fake_store_set_flags(struct fake_store *store, uint32_t mailbox, uint32_t uid,
                          uint64_t flags)
{
    struct fake_message *message = fake_message_of(store, mailbox, uid);

    CHECK(message != NULL);
    message->flags = flags;
    message->modseq = ++store->modseq;
}

uint64_t fake_keyword_bit(struct fake_store *store, const char *name)
{
    size_t i = 0;

    while (i < store->keyword_count && strcmp(store->keywords[i], name) != 0)
        i++;
    if (i == FAKE_KEYWORDS_MAX)
        return 0;
    if (i == store->keyword_count)
        snprintf(store->keywords[store->keyword_count++], sizeof(store->keywords[0]), "%s",
                 name);
    return 1ULL << (KEYWORD_FIRST_BIT + i);
}

bool fake_uids_have(Pr__UidRange *const *ranges, size_t count, uint32_t uid)
{
    for (size_t i = 0; i < count; i++)
        if (uid >= ranges[i]->first && uid <= ranges[i]->last)
            return true;
    return false;
}

struct fake_uids fake_uids_new(struct arena *arena)
{
    return (struct fake_uids){
        arena_alloc(arena, FAKE_MESSAGES_MAX * 2 * sizeof(Pr__UidRange *)), 0, arena};
}

void fake_uids_add(struct fake_uids *list, uint32_t uid)
{
    if (list->count > 0 && list->at[list->count - 1]->last + 1 == uid) {
        list->at[list->count - 1]->last = uid;
        return;
    }
    Pr__UidRange *range = arena_alloc(list->arena, sizeof(*range));
    pr__uid_range__init(range);
    range->first = range->last = uid;
    list->at[list->count++] = range;
}

static bool should_fail(struct fake_store *store)
{
    if (store->fail == ERR_OK)
        return false;
    if (store->fail_after > 0) {
        store->fail_after--;
        return false;
    }
    return true;
}

Pr__Reply *fake_store_answer(struct fake_store *store, const Pr__Request *request,
                             struct arena *arena)
{
    struct fake_call call = {store, request, arena, arena_alloc(arena, sizeof(Pr__Reply)),
                             arena_alloc(arena, sizeof(Pr__Outcome))};

    pr__reply__init(call.reply);
    pr__outcome__init(call.outcome);
    if (should_fail(store)) {
        call.reply->err = store->fail;
        store->fail = ERR_OK;
        return call.reply;
    }
    if (fake_answer_read(&call))
        return call.reply;
    CHECK(fake_answer_write(&call));
    call.reply->outcome = call.outcome;
    return call.reply;
}
