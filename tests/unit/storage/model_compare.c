/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the queries say, held against the model. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/model.h"

struct comparing {
    struct model *model;
    struct model_account *account;
    struct query_account query;
    struct db_txn *txn;
    struct arena arena;
};

/* The keywords of a message by the names in the answer, as bits of the model. */
static unsigned keyword_bits(uint64_t flags, char **names, size_t count)
{
    unsigned bits = 0;

    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < MODEL_KEYWORDS; j++)
            if (flags >> (KEYWORD_FIRST_BIT + i) & 1 &&
                strcmp(names[i], model_keywords[j]) == 0)
                bits |= 1u << j;
    return bits;
}

static void body_compare(const Pr__MessageInfo *info, unsigned size)
{
    uint8_t *body = malloc(size);

    CHECK(body != NULL);
    model_fill(size, body);
    CHECK(info->n_blocks == 1);
    CHECK(bytes_equal(bytes_of_field(info->blocks[0]), bytes_from(body, size)));
    free(body);
}

static void messages_compare(struct comparing *comparing, const struct model_mailbox *mailbox)
{
    Pr__Fetch call = PR__FETCH__INIT;
    unsigned at = 0;
    uint32_t from = 1;

    call.mailbox_id = mailbox->id;
    call.with_body = true;
    call.bytes_max = 20000;
    call.n_uids = 1;
    while (from != 0) {
        Pr__FetchAnswer page = PR__FETCH_ANSWER__INIT;
        call.uids = lab_ranges(&comparing->model->lab, 1, (uint32_t[]){from, UINT32_MAX});
        CHECK(query_fetch(comparing->txn, comparing->query, &call, &comparing->arena, &page) ==
              ERR_OK);
        for (size_t i = 0; i < page.n_messages; i++, at++) {
            const struct model_message *want = &mailbox->messages[at];
            const Pr__MessageInfo *info = page.messages[i];
            CHECK(at < mailbox->count && info->uid == want->uid);
            CHECK((info->flags & FLAGS_SYSTEM) == want->flags);
            CHECK(keyword_bits(info->flags, page.keywords, page.n_keywords) == want->keywords);
            CHECK(info->size == want->size);
            body_compare(info, want->size);
        }
        from = page.next_uid;
    }
    CHECK(at == mailbox->count);
}

static void open_compare(struct comparing *comparing, const struct model_name *name)
{
    const struct model_mailbox *mailbox = name->mailbox;
    Pr__MailboxOpen call = PR__MAILBOX_OPEN__INIT;
    Pr__MailboxOpenAnswer answer = PR__MAILBOX_OPEN_ANSWER__INIT;
    unsigned at = 0;

    call.name = arena_string(&comparing->arena, bytes_of(name->text));
    CHECK(query_mailbox_open(comparing->txn, comparing->query, &call, &comparing->arena,
                             &answer) == ERR_OK);
    CHECK(answer.info->id == mailbox->id && answer.info->uid_next == mailbox->uid_next);
    CHECK(answer.info->special_use == mailbox->special);
    for (size_t i = 0; i < answer.n_uids; i++)
        for (uint32_t uid = answer.uids[i]->first; uid <= answer.uids[i]->last; uid++)
            CHECK(at < mailbox->count && mailbox->messages[at++].uid == uid);
    CHECK(at == mailbox->count);
}

static bool vanished(const Pr__ChangesAnswer *answer, uint32_t uid)
{
    for (size_t i = 0; i < answer->n_vanished; i++)
        if (uid >= answer->vanished[i]->first && uid <= answer->vanished[i]->last)
            return true;
    return false;
}

static const Pr__MessageInfo *changed(const Pr__ChangesAnswer *answer, uint32_t uid)
{
    for (size_t i = 0; i < answer->n_messages; i++)
        if (answer->messages[i]->uid == uid)
            return answer->messages[i];
    return NULL;
}

/* What a client saw once, with what has changed since, must be what is there. */
static void changes_compare(struct comparing *comparing, const struct model_mailbox *mailbox)
{
    Pr__Changes call = PR__CHANGES__INIT;
    Pr__ChangesAnswer answer = PR__CHANGES_ANSWER__INIT;
    unsigned at = 0;
    unsigned seen = 0;

    call.mailbox_id = mailbox->id;
    call.since_modseq = mailbox->seen_modseq;
    CHECK(query_changes(comparing->txn, comparing->query, &call, &comparing->arena, &answer) ==
          ERR_OK);
    CHECK(answer.info->exists && answer.info->messages == mailbox->count && !answer.more);
    for (uint32_t uid = 1; uid < mailbox->uid_next; uid++) {
        const Pr__MessageInfo *info = changed(&answer, uid);
        const struct model_message *was = NULL;
        const struct model_message *is = NULL;
        if (seen < mailbox->seen_count && mailbox->seen[seen].uid == uid)
            was = &mailbox->seen[seen++];
        if (at < mailbox->count && mailbox->messages[at].uid == uid)
            is = &mailbox->messages[at++];
        CHECK(!vanished(&answer, uid) || is == NULL);
        CHECK(is != NULL || info == NULL);
        if (is == NULL && was != NULL)
            CHECK(vanished(&answer, uid));
        if (is != NULL && was == NULL)
            CHECK(info != NULL);
        if (is != NULL && info == NULL)
            CHECK(was->flags == is->flags && was->keywords == is->keywords);
        if (info != NULL) {
            CHECK((info->flags & FLAGS_SYSTEM) == is->flags);
            CHECK(keyword_bits(info->flags, answer.keywords, answer.n_keywords) ==
                  is->keywords);
            CHECK(info->modseq > call.since_modseq);
        }
    }
}

static void mailbox_compare(struct comparing *comparing, const Pr__MailboxInfo *info,
                            const struct model_name *name, bool look)
{
    struct model_mailbox *mailbox = name->mailbox;
    uint32_t unseen = 0;
    uint32_t deleted = 0;
    uint64_t size = 0;

    for (unsigned i = 0; i < mailbox->count; i++) {
        unseen += !(mailbox->messages[i].flags & FLAG_SEEN);
        deleted += (mailbox->messages[i].flags & FLAG_DELETED) != 0;
        size += mailbox->messages[i].size;
    }
    CHECK(info->exists && info->id == mailbox->id && info->messages == mailbox->count);
    CHECK(info->unseen == unseen && info->deleted == deleted && info->size == size);
    CHECK(info->highest_modseq >= mailbox->seen_modseq);
    open_compare(comparing, name);
    messages_compare(comparing, mailbox);
    changes_compare(comparing, mailbox);
    if (look) {
        mailbox->seen_modseq = info->highest_modseq;
        mailbox->seen_count = mailbox->count;
        memcpy(mailbox->seen, mailbox->messages, sizeof(mailbox->seen));
    }
}

static void account_compare(struct comparing *comparing, bool look)
{
    Pr__MailboxList call = PR__MAILBOX_LIST__INIT;
    Pr__MailboxListAnswer answer = PR__MAILBOX_LIST_ANSWER__INIT;

    call.with_status = true;
    CHECK(query_mailbox_list(comparing->txn, comparing->query, &call, &comparing->arena,
                             &answer) == ERR_OK);
    CHECK(answer.n_mailboxes == comparing->account->name_count);
    for (size_t i = 0; i < answer.n_mailboxes; i++) {
        const Pr__MailboxInfo *info = answer.mailboxes[i];
        const struct model_name *name = model_name_find(comparing->account, info->name);
        CHECK(name != NULL && name->subscribed == info->subscribed);
        CHECK((i == 0) == (strcmp(info->name, "INBOX") == 0));
        CHECK(i < 2 || strcmp(answer.mailboxes[i - 1]->name, info->name) < 0);
        if (name->mailbox != NULL)
            mailbox_compare(comparing, info, name, look);
        else
            CHECK(!info->exists);
    }
}

void model_compare(struct model *model, struct model_account *account, bool look)
{
    struct comparing comparing = {
        .model = model,
        .account = account,
        .query = {account->group, account->id},
        .txn = db_read_begin(model->lab.db),
    };
    Pr__MailboxList call = PR__MAILBOX_LIST__INIT;
    Pr__MailboxListAnswer answer = PR__MAILBOX_LIST_ANSWER__INIT;

    arena_init(&comparing.arena);
    if (account->gone)
        CHECK(query_mailbox_list(comparing.txn, comparing.query, &call, &comparing.arena,
                                 &answer) == ERR_NOTFOUND);
    else
        account_compare(&comparing, look);
    arena_fini(&comparing.arena);
    CHECK(db_commit(&comparing.txn) == ERR_OK);
}
