/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MODEL_H
#define TESTS_UNIT_STORAGE_MODEL_H

#include "tests/unit/storage/lab.h"

/*
 * Accounts and mailboxes as anybody would write them down: arrays, searched from the front.
 * Each step makes a random command, applies it to the lab, says what must come out, and changes
 * the model likewise.
 */
enum {
    MODEL_GROUP = 2,
    MODEL_ACCOUNTS = 3,
    MODEL_NAMES_MAX = 64,
    MODEL_MESSAGES_MAX = 400,
    MODEL_KEYWORDS = 6,
};

struct model_message {
    uint32_t uid;
    uint64_t flags;
    unsigned keywords; /* bits of model_keywords */
    unsigned size;     /* also what the body is made of */
};

struct model_mailbox {
    uint32_t id;
    uint32_t uid_next;
    uint32_t special;
    struct model_message messages[MODEL_MESSAGES_MAX];
    unsigned count;
    /* What a client last saw, and when: the changes since then must lead to what is there. */
    uint64_t seen_modseq;
    struct model_message seen[MODEL_MESSAGES_MAX];
    unsigned seen_count;
};

struct model_name {
    char text[128];
    bool subscribed;
    struct model_mailbox *mailbox; /* NULL: only subscribed */
};

struct model_account {
    uint64_t id;
    uint32_t group; /* MODEL_GROUP, until a test moves it */
    bool frozen;    /* takes no commands */
    bool gone;
    uint32_t mailboxes; /* the last id */
    struct model_name names[MODEL_NAMES_MAX];
    unsigned name_count;
};

struct model {
    struct lab lab;
    uint64_t seed;
    uint32_t group; /* of the account that the step is about */
    bool keep;      /* what is expunged can be brought back */
    struct model_account accounts[MODEL_ACCOUNTS];
};

extern const char *const model_keywords[MODEL_KEYWORDS];

void model_open(struct model *model, uint64_t seed);
/* What is there from the newest format on is in use from here on. */
void model_newest(struct model *model);
void model_close(struct model *model);
/* One command; aborts when what comes out is not what must. */
void model_step(struct model *model);
/* Compares all that can be asked about an account; with `look`, the client looks again. */
void model_compare(struct model *model, struct model_account *account, bool look);

/* For the files of the model. */
uint32_t model_below(struct model *model, uint32_t number);
Pr__Outcome *model_apply(struct model *model, Pr__Command *command);
struct model_name *model_any_mailbox(struct model *model, struct model_account *account);
struct model_mailbox *model_mailbox_new(struct model_account *account, const char *text);
struct model_name *model_name_get(struct model_account *account, const char *text);
void model_names_clean(struct model_account *account);
void model_step_create(struct model *model, struct model_account *account);
void model_step_delete(struct model *model, struct model_account *account);
void model_step_rename(struct model *model, struct model_account *account);
void model_step_subscribe(struct model *model, struct model_account *account);

struct model_name *model_name_find(struct model_account *account, const char *text);
void model_fill(unsigned size, uint8_t *body);

#endif
