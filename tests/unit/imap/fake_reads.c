/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/fake_internal.h"

#include "node/mail/summary.h"
#include "storage/schema/entry.h"

static char **keyword_names(struct fake_store *store, struct arena *arena, size_t *count)
{
    char **names = arena_alloc(arena, FAKE_KEYWORDS_MAX * sizeof(names[0]));

    for (size_t i = 0; i < store->keyword_count; i++)
        names[i] = store->keywords[i];
    *count = store->keyword_count;
    return names;
}

static Pr__MailboxInfo *info_of(struct fake_store *store, const struct fake_mailbox *mailbox,
                                struct arena *arena)
{
    Pr__MailboxInfo *info = arena_alloc(arena, sizeof(*info));

    pr__mailbox_info__init(info);
    info->id = mailbox->id;
    info->name = arena_string(arena, bytes_of(mailbox->name));
    info->special_use = mailbox->special_use;
    info->subscribed = mailbox->subscribed;
    info->exists = mailbox->exists;
    info->uid_validity = 1000 + mailbox->id;
    info->uid_next = mailbox->uid_next;
    info->highest_modseq = store->modseq;
    for (size_t i = 0; i < store->message_count; i++) {
        const struct fake_message *message = &store->messages[i];
        if (message->mailbox != mailbox->id || message->expunged)
            continue;
        info->messages++;
        info->unseen += !(message->flags & FLAG_SEEN);
        info->deleted += (message->flags & FLAG_DELETED) != 0;
        info->deleted_size += message->flags & FLAG_DELETED ? message->body.len : 0;
        info->size += message->body.len;
    }
    return info;
}

static void answer_list(struct fake_call *call)
{
    Pr__MailboxListAnswer *answer = arena_alloc(call->arena, sizeof(*answer));

    pr__mailbox_list_answer__init(answer);
    answer->mailboxes =
        arena_alloc(call->arena, call->store->mailbox_count * sizeof(answer->mailboxes[0]));
    for (size_t i = 0; i < call->store->mailbox_count; i++)
        if (call->store->mailboxes[i].exists || call->store->mailboxes[i].subscribed)
            answer->mailboxes[answer->n_mailboxes++] =
                info_of(call->store, &call->store->mailboxes[i], call->arena);
    call->reply->answer_case = PR__REPLY__ANSWER_MAILBOX_LIST;
    call->reply->mailbox_list = answer;
}

static void answer_open(struct fake_call *call)
{
    struct fake_mailbox *mailbox =
        fake_mailbox_named(call->store, call->request->mailbox_open->name);
    struct fake_uids uids = fake_uids_new(call->arena);

    if (mailbox == NULL) {
        call->reply->err = ERR_NOTFOUND;
        return;
    }
    Pr__MailboxOpenAnswer *answer = arena_alloc(call->arena, sizeof(*answer));
    pr__mailbox_open_answer__init(answer);
    answer->info = info_of(call->store, mailbox, call->arena);
    if (!call->request->mailbox_open->with_deleted_size)
        answer->info->deleted_size = 0;
    for (size_t i = 0; i < call->store->message_count; i++)
        if (call->store->messages[i].mailbox == mailbox->id &&
            !call->store->messages[i].expunged)
            fake_uids_add(&uids, call->store->messages[i].uid);
    if (!call->request->mailbox_open->only_status) {
        answer->uids = uids.at;
        answer->n_uids = uids.count;
        answer->keywords = keyword_names(call->store, call->arena, &answer->n_keywords);
    }
    call->reply->answer_case = PR__REPLY__ANSWER_MAILBOX_OPEN;
    call->reply->mailbox_open = answer;
}

static Pr__MessageInfo *message_info(struct fake_call *call, const struct fake_message *message)
{
    Pr__MessageInfo *info = arena_alloc(call->arena, sizeof(*info));

    pr__message_info__init(info);
    info->uid = message->uid;
    info->flags = message->flags;
    info->modseq = message->modseq;
    info->internal_s = message->internal_s;
    info->internal_zone = message->internal_zone;
    info->size = message->body.len;
    return info;
}

static void answer_changes(struct fake_call *call)
{
    const Pr__Changes *asked = call->request->changes;
    struct fake_store *store = call->store;
    struct fake_uids vanished = fake_uids_new(call->arena);
    Pr__ChangesAnswer *answer = arena_alloc(call->arena, sizeof(*answer));

    pr__changes_answer__init(answer);
    answer->info = info_of(store, fake_mailbox_of(store, asked->mailbox_id), call->arena);
    answer->messages =
        arena_alloc(call->arena, store->message_count * sizeof(answer->messages[0]));
    for (size_t i = 0; i < store->message_count; i++) {
        const struct fake_message *message = &store->messages[i];
        if (message->mailbox != asked->mailbox_id || message->modseq <= asked->since_modseq)
            continue;
        if (message->expunged)
            fake_uids_add(&vanished, message->uid);
        else
            answer->messages[answer->n_messages++] = message_info(call, message);
    }
    answer->vanished = vanished.at;
    answer->n_vanished = vanished.count;
    answer->keywords = keyword_names(store, call->arena, &answer->n_keywords);
    call->reply->answer_case = PR__REPLY__ANSWER_CHANGES;
    call->reply->changes = answer;
}

static ProtobufCBinaryData block_of(struct fake_call *call, struct bytes body, size_t number)
{
    struct buffer frame = BUFFER_EMPTY;
    struct bytes plain = bytes_skip(body, number * BODY_BLOCK_SIZE);

    if (plain.len > BODY_BLOCK_SIZE)
        plain.len = BODY_BLOCK_SIZE;
    body_block_compress(call->store->codec, plain, &frame);
    struct bytes kept = arena_copy(call->arena, buffer_bytes(&frame));
    buffer_fini(&frame);
    return field_of_bytes(kept);
}

static void add_summary(struct fake_call *call, Pr__MessageInfo *info, struct bytes body)
{
    struct mail_scanner *scanner = mail_scanner_new();
    struct mail_summary summary;

    mail_scanner_feed(scanner, body);
    mail_scanner_finish(scanner, call->arena, &summary);
    info->summary = field_of_bytes(mail_summary_encode(&summary, call->arena));
    mail_scanner_free(&scanner);
}

static void answer_fetch(struct fake_call *call)
{
    const Pr__Fetch *asked = call->request->fetch;
    struct fake_store *store = call->store;
    Pr__FetchAnswer *answer = arena_alloc(call->arena, sizeof(*answer));

    pr__fetch_answer__init(answer);
    answer->messages =
        arena_alloc(call->arena, store->message_count * sizeof(answer->messages[0]));
    for (size_t i = 0; i < store->message_count; i++) {
        const struct fake_message *message = &store->messages[i];
        if (message->mailbox != asked->mailbox_id || message->expunged ||
            !fake_uids_have(asked->uids, asked->n_uids, message->uid))
            continue;
        if (store->page != 0 && answer->n_messages == store->page) {
            answer->next_uid = message->uid;
            break;
        }
        Pr__MessageInfo *info = message_info(call, message);
        if (asked->with_summary)
            add_summary(call, info, message->body);
        if (asked->with_body && message->body.len <= BODY_BLOCK_SIZE) {
            info->blocks = arena_alloc(call->arena, sizeof(info->blocks[0]));
            info->blocks[0] = block_of(call, message->body, 0);
            info->n_blocks = 1;
        }
        answer->messages[answer->n_messages++] = info;
    }
    answer->keywords = keyword_names(store, call->arena, &answer->n_keywords);
    call->reply->answer_case = PR__REPLY__ANSWER_FETCH;
    call->reply->fetch = answer;
}

static void answer_body(struct fake_call *call)
{
    const Pr__BodyRead *asked = call->request->body_read;
    const struct fake_message *message =
        fake_message_of(call->store, asked->mailbox_id, asked->uid);

    if (message == NULL ||
        (uint64_t)asked->first_block * BODY_BLOCK_SIZE >= message->body.len) {
        call->reply->err = ERR_NOTFOUND;
        return;
    }
    Pr__BodyReadAnswer *answer = arena_alloc(call->arena, sizeof(*answer));
    pr__body_read_answer__init(answer);
    answer->size = message->body.len;
    answer->blocks = arena_alloc(call->arena, sizeof(answer->blocks[0]));
    answer->blocks[0] = block_of(call, message->body, asked->first_block);
    answer->n_blocks = 1;
    call->reply->answer_case = PR__REPLY__ANSWER_BODY_READ;
    call->reply->body_read = answer;
}

static void answer_search(struct fake_call *call)
{
    const Pr__Search *asked = call->request->search;
    struct fake_uids found = fake_uids_new(call->arena);
    Pr__SearchAnswer *answer = arena_alloc(call->arena, sizeof(*answer));

    pr__search_answer__init(answer);
    for (size_t i = 0; i < call->store->message_count; i++) {
        const struct fake_message *message = &call->store->messages[i];
        if (message->mailbox == asked->mailbox_id && !message->expunged &&
            fake_search_matches(call->store, message, asked->key))
            fake_uids_add(&found, message->uid);
    }
    answer->uids = found.at;
    answer->n_uids = found.count;
    call->reply->answer_case = PR__REPLY__ANSWER_SEARCH;
    call->reply->search = answer;
}

static void answer_quota(struct fake_call *call)
{
    Pr__QuotaReadAnswer *answer = arena_alloc(call->arena, sizeof(*answer));

    pr__quota_read_answer__init(answer);
    answer->messages = 7;
    answer->size = 2049;
    answer->quota = call->store->quota;
    call->reply->answer_case = PR__REPLY__ANSWER_QUOTA_READ;
    call->reply->quota_read = answer;
}

bool fake_answer_read(struct fake_call *call)
{
    switch (call->request->call_case) {
    case PR__REQUEST__CALL_AUTH_STEP:
        fake_answer_auth(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_LIST:
        answer_list(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_OPEN:
        answer_open(call);
        return true;
    case PR__REQUEST__CALL_QUOTA_READ:
        answer_quota(call);
        return true;
    case PR__REQUEST__CALL_MAILBOX_CLOSE:
        return true;
    case PR__REQUEST__CALL_CHANGES:
        answer_changes(call);
        return true;
    case PR__REQUEST__CALL_FETCH:
        answer_fetch(call);
        return true;
    case PR__REQUEST__CALL_BODY_READ:
        answer_body(call);
        return true;
    case PR__REQUEST__CALL_SEARCH:
        answer_search(call);
        return true;
    default:
        return false;
    }
}
