/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps that change the list of mailboxes. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/model.h"

static const char *const names[] = {
    "a", "b",   "a/x", "a/x/y",  "b/x",   "INBOX/z",          "Trash", "a/x/y/z", "Sent",
    "c", "c/d", "a/b", "Drafts", "d/e/f", "\xc3\xa9t\xc3\xa9"};
enum { NAMES = sizeof(names) / sizeof(*names) };

/* Makes what is missing above `text`. */
static void parents_make(struct model_account *account, const char *text)
{
    char parent[128];

    for (const char *slash = strchr(text, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        struct model_name *name;
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - text), text);
        name = model_name_find(account, parent);
        if (name == NULL || name->mailbox == NULL)
            model_mailbox_new(account, parent);
    }
}

void model_step_create(struct model *model, struct model_account *account)
{
    const char *text = names[model_below(model, NAMES)];
    const struct model_name *known = model_name_find(account, text);
    Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
    enum err want = known != NULL && known->mailbox != NULL ? ERR_EXISTS : ERR_OK;

    create.account_id = account->id;
    create.name = arena_string(&model->lab.arena, bytes_of(text));
    Pr__Outcome *outcome =
        model_apply(model, LAB_COMMAND(mailbox_create, MAILBOX_CREATE, &create));
    CHECK(outcome->err == want);
    if (want != ERR_OK)
        return;
    parents_make(account, text);
    CHECK(model_mailbox_new(account, text)->id == outcome->id);
}

void model_step_delete(struct model *model, struct model_account *account)
{
    struct model_name *name = model_any_mailbox(model, account);
    Pr__MailboxDelete call = PR__MAILBOX_DELETE__INIT;
    bool inbox = strcmp(name->text, "INBOX") == 0;

    call.account_id = account->id;
    call.mailbox_id = name->mailbox->id;
    call.keep = model->keep && model_below(model, 2) == 0;
    CHECK(model_apply(model, LAB_COMMAND(mailbox_delete, MAILBOX_DELETE, &call))->err ==
          (inbox ? (uint32_t)ERR_INVALID : ERR_OK));
    if (inbox)
        return;
    free(name->mailbox);
    name->mailbox = NULL;
    model_names_clean(account);
}

static void name_move(struct model_account *account, const char *from, const char *to)
{
    struct model_name *target = model_name_get(account, to);
    struct model_name *source = model_name_find(account, from);

    target->mailbox = source->mailbox;
    target->subscribed = target->subscribed || source->subscribed;
    source->mailbox = NULL;
}

/* What a rename of no INBOX must answer. */
static enum err rename_expected(struct model_account *account, const char *from, const char *to)
{
    size_t len = strlen(from);
    struct model_name *known = model_name_find(account, to);

    if (known != NULL && known->mailbox != NULL)
        return ERR_EXISTS;
    if (strncmp(to, from, len) == 0 && to[len] == '/')
        return ERR_INVALID;
    for (unsigned i = 0; i < account->name_count; i++) {
        const struct model_name *child = &account->names[i];
        char moved[256];
        if (child->mailbox == NULL || strncmp(child->text, from, len) != 0 ||
            child->text[len] != '/')
            continue;
        snprintf(moved, sizeof(moved), "%s%s", to, child->text + len);
        known = model_name_find(account, moved);
        if (known != NULL && known->mailbox != NULL)
            return ERR_EXISTS;
    }
    return ERR_OK;
}

static void inbox_rename(struct model_account *account, const char *to)
{
    struct model_mailbox *fresh;

    parents_make(account, to);
    model_name_find(account, "INBOX")->mailbox->special = SPECIAL_NONE;
    name_move(account, "INBOX", to);
    fresh = model_mailbox_new(account, "INBOX");
    fresh->special = SPECIAL_INBOX;
}

void model_step_rename(struct model *model, struct model_account *account)
{
    const char *to = names[model_below(model, NAMES)];
    const struct model_name *name = model_any_mailbox(model, account);
    Pr__MailboxRename call = PR__MAILBOX_RENAME__INIT;
    char from[128];
    size_t len = strlen(name->text);
    bool inbox = strcmp(name->text, "INBOX") == 0;
    enum err want;

    memcpy(from, name->text, len + 1);
    call.account_id = account->id;
    call.mailbox_id = name->mailbox->id;
    call.name = arena_string(&model->lab.arena, bytes_of(to));
    want = rename_expected(account, inbox ? "no such name" : from, to);
    CHECK(model_apply(model, LAB_COMMAND(mailbox_rename, MAILBOX_RENAME, &call))->err == want);
    if (want != ERR_OK)
        return;
    if (inbox) {
        inbox_rename(account, to);
        return;
    }
    parents_make(account, to);
    for (unsigned i = 0; i < account->name_count; i++) {
        char moved[256];
        char child[128];
        if (account->names[i].mailbox == NULL || strncmp(account->names[i].text, from, len) ||
            account->names[i].text[len] != '/')
            continue;
        memcpy(child, account->names[i].text, sizeof(child));
        snprintf(moved, sizeof(moved), "%s%s", to, child + len);
        name_move(account, child, moved);
    }
    name_move(account, from, to);
    model_names_clean(account);
}

void model_step_subscribe(struct model *model, struct model_account *account)
{
    const char *text = names[model_below(model, NAMES)];
    Pr__MailboxSubscribe call = PR__MAILBOX_SUBSCRIBE__INIT;

    call.account_id = account->id;
    call.name = arena_string(&model->lab.arena, bytes_of(text));
    call.subscribed = model_below(model, 2) == 0;
    CHECK(model_apply(model, LAB_COMMAND(mailbox_subscribe, MAILBOX_SUBSCRIBE, &call))->err ==
          ERR_OK);
    model_name_get(account, text)->subscribed = call.subscribed;
    model_names_clean(account);
}
