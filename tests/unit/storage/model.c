/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/model.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/flags.h"
#include "storage/schema/format.h"

enum { BODY_SIZE_MAX = 9000 };

const char *const model_keywords[MODEL_KEYWORDS] = {"$Junk", "$Forwarded", "work",
                                                    "Later", "x",          "NotJunk"};

uint32_t model_below(struct model *model, uint32_t number)
{
    return lab_random(&model->seed, number);
}

void model_fill(unsigned size, uint8_t *body)
{
    for (unsigned i = 0; i < size; i++)
        body[i] = (uint8_t)(i * 7 + size);
}

struct model_name *model_name_find(struct model_account *account, const char *text)
{
    for (unsigned i = 0; i < account->name_count; i++)
        if (strcmp(account->names[i].text, text) == 0)
            return &account->names[i];
    return NULL;
}

struct model_name *model_name_get(struct model_account *account, const char *text)
{
    struct model_name *name = model_name_find(account, text);

    if (name != NULL)
        return name;
    CHECK(account->name_count < MODEL_NAMES_MAX);
    name = &account->names[account->name_count++];
    *name = (struct model_name){.subscribed = false};
    snprintf(name->text, sizeof(name->text), "%s", text);
    return name;
}

/* Names that name nothing go. */
void model_names_clean(struct model_account *account)
{
    for (unsigned i = 0; i < account->name_count;) {
        if (account->names[i].mailbox == NULL && !account->names[i].subscribed)
            account->names[i] = account->names[--account->name_count];
        else
            i++;
    }
}

struct model_mailbox *model_mailbox_new(struct model_account *account, const char *text)
{
    struct model_name *name = model_name_get(account, text);

    name->mailbox = calloc(1, sizeof(*name->mailbox));
    CHECK(name->mailbox != NULL);
    name->mailbox->id = ++account->mailboxes;
    name->mailbox->uid_next = 1;
    return name->mailbox;
}

void model_open(struct model *model, uint64_t seed)
{
    static const char *const defaults[] = {"INBOX", "Drafts", "Sent",
                                           "Junk",  "Trash",  "Archive"};

    memset(model, 0, sizeof(*model));
    lab_open(&model->lab);
    model->seed = seed;
    for (unsigned i = 0; i < MODEL_ACCOUNTS; i++) {
        struct model_account *account = &model->accounts[i];
        account->id = 100 + i;
        account->group = MODEL_GROUP;
        for (uint32_t j = 0; j < 6; j++) {
            model_mailbox_new(account, defaults[j])->special = j + 1;
            model_name_get(account, defaults[j])->subscribed = true;
        }
    }
}

void model_newest(struct model *model)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    raise.format = FORMAT_NEWEST;
    CHECK(lab_apply(&model->lab, MODEL_GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))
              ->err == ERR_OK);
    model->keep = true;
    model->lab.scopes = true;
}

void model_close(struct model *model)
{
    for (unsigned i = 0; i < MODEL_ACCOUNTS; i++)
        for (unsigned j = 0; j < model->accounts[i].name_count; j++)
            free(model->accounts[i].names[j].mailbox);
    lab_close(&model->lab);
}

Pr__Outcome *model_apply(struct model *model, Pr__Command *command)
{
    Pr__Outcome *outcome;
    Pr__Outcome *again;

    model->lab.now_ms += model_below(model, 5000);
    if (model_below(model, 2))
        command->request_id = lab_id(&model->lab);
    outcome = lab_apply(&model->lab, model->group, command);
    if (command->request_id.len > 0 && model_below(model, 4) == 0) {
        again = lab_apply(&model->lab, model->group, command);
        CHECK(again->err == outcome->err && again->id == outcome->id &&
              again->modseq == outcome->modseq && again->n_uids == outcome->n_uids);
    }
    return outcome;
}

struct model_name *model_any_mailbox(struct model *model, struct model_account *account)
{
    struct model_name *name;

    do
        name = &account->names[model_below(model, account->name_count)];
    while (name->mailbox == NULL);
    return name;
}

static struct model_message *message_add(struct model_mailbox *mailbox, unsigned size)
{
    struct model_message *message = &mailbox->messages[mailbox->count++];

    CHECK(mailbox->count <= MODEL_MESSAGES_MAX);
    *message = (struct model_message){.uid = mailbox->uid_next++, .size = size};
    return message;
}

static Pr__Body *body_make(struct model *model, unsigned *size)
{
    uint8_t body[BODY_SIZE_MAX];

    *size = 1 + model_below(model, model_below(model, 3) == 0 ? BODY_SIZE_MAX : 100);
    model_fill(*size, body);
    return lab_body(&model->lab, bytes_from(body, *size), *size);
}

/* A delivery is the account's own submission, and may go to another host too. */
static void submission_make(struct model *model, struct model_account *account,
                            Pr__Command *command)
{
    Pr__Deliver *deliver = command->deliver;
    Pr__SendingLimits *limits = arena_alloc(&model->lab.arena, sizeof(*limits));
    Pr__Envelope *envelope = arena_alloc(&model->lab.arena, sizeof(*envelope));
    Pr__QueueRecipient *recipient = arena_alloc(&model->lab.arena, sizeof(*recipient));

    if (!model->lab.scopes || account->gone || model_below(model, 3) == 0)
        return;
    pr__sending_limits__init(limits);
    limits->account_id = account->id;
    limits->recipients = 1 + model_below(model, 5);
    deliver->limits = limits;
    if (model_below(model, 2) == 0)
        return;
    pr__envelope__init(envelope);
    pr__queue_recipient__init(recipient);
    recipient->address = arena_string(&model->lab.arena, BYTES("a@other.example"));
    deliver->envelope = envelope;
    deliver->queue = arena_alloc(&model->lab.arena, sizeof(*deliver->queue));
    deliver->queue[deliver->n_queue++] = recipient;
    deliver->queue_account_id = account->id;
    command->request_id = lab_id(&model->lab);
}

static void step_deliver(struct model *model, struct model_account *account)
{
    struct model_account *other = &model->accounts[model_below(model, MODEL_ACCOUNTS)];
    struct model_account *to[] = {account, other};
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Recipient recipients[2] = {PR__RECIPIENT__INIT, PR__RECIPIENT__INIT};
    Pr__Recipient *list[] = {&recipients[0], &recipients[1]};
    Pr__Handover handover = PR__HANDOVER__INIT;
    Pr__Handover *handovers[] = {&handover};
    Pr__Command *command = LAB_COMMAND(deliver, DELIVER, &deliver);
    unsigned size;
    unsigned added = 0;

    if (other->group != account->group || other->frozen)
        to[1] = other = account;
    deliver.body = body_make(model, &size);
    deliver.recipients = list;
    deliver.n_recipients = 1 + model_below(model, 2);
    for (unsigned i = 0; i < deliver.n_recipients; i++) {
        recipients[i].account_id = to[i]->id;
        if (to[i]->gone || (i > 0 && other == account))
            continue;
        if (model_name_find(to[i], "INBOX")->mailbox->count == MODEL_MESSAGES_MAX)
            return;
    }
    if (model_below(model, 5) == 0) {
        handover.group = 9;
        handover.recipients = list;
        handover.n_recipients = 1;
        deliver.handovers = handovers;
        deliver.n_handovers = 1;
        command->request_id = lab_id(&model->lab);
    }
    submission_make(model, account, command);
    for (unsigned i = 0; i < deliver.n_recipients; i++) {
        if (to[i]->gone || (i > 0 && other == account))
            continue;
        message_add(model_name_find(to[i], "INBOX")->mailbox, size);
        added++;
    }
    Pr__Outcome *outcome = lab_apply(&model->lab, model->group, command);
    CHECK(outcome->err ==
          (added == 0 && deliver.n_handovers == 0 ? (uint32_t)ERR_NOTFOUND : ERR_OK));
    if (deliver.n_handovers > 0 && model_below(model, 2)) {
        Pr__HandoverDone done = PR__HANDOVER_DONE__INIT;
        done.handover_id = 1 + model_below(model, 40);
        CHECK(lab_apply(&model->lab, model->group,
                        LAB_COMMAND(handover_done, HANDOVER_DONE, &done))
                  ->err == ERR_OK);
    }
}

/* Some keywords, by name. */
static unsigned keywords_make(struct model *model, char **list, size_t *count)
{
    unsigned bits = model_below(model, 3) == 0 ? model_below(model, 1 << MODEL_KEYWORDS) : 0;

    *count = 0;
    for (unsigned i = 0; i < MODEL_KEYWORDS; i++)
        if (bits >> i & 1)
            list[(*count)++] = arena_string(&model->lab.arena, bytes_of(model_keywords[i]));
    return bits;
}

static void step_append(struct model *model, struct model_account *account)
{
    struct model_mailbox *mailbox = model_any_mailbox(model, account)->mailbox;
    Pr__Append append = PR__APPEND__INIT;
    char *keywords[MODEL_KEYWORDS];
    struct model_message *message;
    unsigned size;

    if (mailbox->count == MODEL_MESSAGES_MAX)
        return;
    append.account_id = account->id;
    append.mailbox_id = mailbox->id;
    append.body = body_make(model, &size);
    append.flags = model_below(model, 32);
    append.keywords = keywords;
    message = message_add(mailbox, size);
    message->flags = append.flags;
    message->keywords = keywords_make(model, keywords, &append.n_keywords);
    Pr__Outcome *outcome = model_apply(model, LAB_COMMAND(append, APPEND, &append));
    CHECK(outcome->err == ERR_OK && outcome->uids[0]->first == message->uid);
}

/* Two ranges, not in order, that may overlap. */
static Pr__UidRange **uids_make(struct model *model, const struct model_mailbox *mailbox)
{
    uint32_t pairs[4];

    for (unsigned i = 0; i < 4; i += 2) {
        pairs[i] = 1 + model_below(model, mailbox->uid_next);
        pairs[i + 1] = pairs[i] + model_below(model, model_below(model, 4) == 0 ? 50 : 4);
    }
    return lab_ranges(&model->lab, 2, pairs);
}

static bool uid_among(Pr__UidRange **ranges, uint32_t uid)
{
    return (uid >= ranges[0]->first && uid <= ranges[0]->last) ||
           (uid >= ranges[1]->first && uid <= ranges[1]->last);
}

static void step_flags(struct model *model, struct model_account *account)
{
    struct model_mailbox *mailbox = model_any_mailbox(model, account)->mailbox;
    Pr__FlagsChange change = PR__FLAGS_CHANGE__INIT;
    char *names_given[MODEL_KEYWORDS];
    unsigned keywords;

    change.account_id = account->id;
    change.mailbox_id = mailbox->id;
    change.uids = uids_make(model, mailbox);
    change.n_uids = 2;
    change.mode = (Pr__FlagsChange__Mode)model_below(model, 3);
    change.flags = model_below(model, 32);
    change.keywords = names_given;
    keywords = keywords_make(model, names_given, &change.n_keywords);
    for (unsigned i = 0; i < mailbox->count; i++) {
        struct model_message *message = &mailbox->messages[i];
        if (!uid_among(change.uids, message->uid))
            continue;
        if (change.mode == PR__FLAGS_CHANGE__MODE__SET) {
            message->flags = change.flags;
            message->keywords = keywords;
        } else if (change.mode == PR__FLAGS_CHANGE__MODE__ADD) {
            message->flags |= change.flags;
            message->keywords |= keywords;
        } else {
            message->flags &= ~change.flags;
            message->keywords &= ~keywords;
        }
    }
    CHECK(model_apply(model, LAB_COMMAND(flags_change, FLAGS_CHANGE, &change))->err == ERR_OK);
}

static void step_copy(struct model *model, struct model_account *account)
{
    struct model_mailbox *source = model_any_mailbox(model, account)->mailbox;
    struct model_mailbox *target = model_any_mailbox(model, account)->mailbox;
    Pr__Copy copy = PR__COPY__INIT;
    unsigned count = source->count;
    unsigned kept = 0;

    copy.account_id = account->id;
    copy.mailbox_id = source->id;
    copy.target_mailbox_id = target->id;
    copy.uids = uids_make(model, source);
    copy.n_uids = 2;
    copy.move = model_below(model, 2) == 0;
    if (target->count + count > MODEL_MESSAGES_MAX)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (!uid_among(copy.uids, source->messages[i].uid))
            continue;
        struct model_message *made = message_add(target, source->messages[i].size);
        made->flags = source->messages[i].flags;
        made->keywords = source->messages[i].keywords;
    }
    for (unsigned i = 0; i < source->count; i++)
        if (!copy.move || i >= count || !uid_among(copy.uids, source->messages[i].uid))
            source->messages[kept++] = source->messages[i];
    source->count = kept;
    CHECK(model_apply(model, LAB_COMMAND(copy, COPY, &copy))->err == ERR_OK);
}

static void step_expunge(struct model *model, struct model_account *account)
{
    struct model_mailbox *mailbox = model_any_mailbox(model, account)->mailbox;
    Pr__Expunge expunge = PR__EXPUNGE__INIT;
    unsigned kept = 0;

    expunge.account_id = account->id;
    expunge.keep = model->keep && model_below(model, 2) == 0;
    expunge.mailbox_id = mailbox->id;
    expunge.uids = uids_make(model, mailbox);
    expunge.n_uids = model_below(model, 2) * 2;
    for (unsigned i = 0; i < mailbox->count; i++) {
        const struct model_message *message = &mailbox->messages[i];
        bool goes = message->flags & FLAG_DELETED &&
                    (expunge.n_uids == 0 || uid_among(expunge.uids, message->uid));
        if (!goes)
            mailbox->messages[kept++] = *message;
    }
    mailbox->count = kept;
    CHECK(model_apply(model, LAB_COMMAND(expunge, EXPUNGE, &expunge))->err == ERR_OK);
}

/* The last account ends once, in small steps. */
static void step_purge(struct model *model, struct model_account *account)
{
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    if (account != &model->accounts[MODEL_ACCOUNTS - 1] || model_below(model, 30) != 0)
        return;
    purge.account_id = account->id;
    purge.limit = 7;
    account->gone = true;
    CHECK(model_apply(model, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge))->err ==
          ERR_CONFLICT);
}

void model_step(struct model *model)
{
    static void (*const steps[])(struct model *, struct model_account *) = {
        step_deliver,      step_deliver,      step_append,          step_append,
        step_flags,        step_flags,        step_flags,           step_copy,
        step_copy,         step_expunge,      step_expunge,         model_step_create,
        model_step_delete, model_step_rename, model_step_subscribe, step_purge,
    };
    struct model_account *account = &model->accounts[model_below(model, MODEL_ACCOUNTS)];

    model->group = account->group;
    if (account->frozen)
        return;
    if (account->gone) {
        Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;
        purge.account_id = account->id;
        purge.limit = 7;
        model_apply(model, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge));
        step_deliver(model, account);
        return;
    }
    steps[model_below(model, sizeof(steps) / sizeof(*steps))](model, account);
}
