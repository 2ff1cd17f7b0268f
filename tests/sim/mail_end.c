/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last look: every replica shows the same, all that was promised, and nothing else. */
#include <stdlib.h>

#include "tests/sim/mail.h"
#include "tests/unit/storage/lab.h"

enum { COUNT_SEEDS = 4 };

#define LLU(value) (unsigned long long)(value)

void mail_init(struct world *world)
{
    world->mail = calloc(1, sizeof(*world->mail));
    CHECK(world->mail != NULL);
    for (unsigned group = 0; group < GROUPS_MAX; group++)
        for (unsigned i = 0; i < MAIL_ACCOUNTS; i++) {
            struct mail_account *account = &world->mail->groups[group].accounts[i];
            account->gone_begin = account->gone_end = MAIL_LATER;
            for (uint32_t id = 1; id <= MAIL_DEFAULT_MAILBOXES; id++) {
                struct mail_mailbox *mailbox = mail_mailbox(account, id);
                mailbox->known = true;
                mailbox->made_end = 0;
            }
        }
}

static void account_fini(struct mail_account *account)
{
    for (unsigned i = 0; i < account->mailbox_count; i++) {
        struct mail_mailbox *mailbox = &account->mailboxes[i];
        for (unsigned j = 0; j < mailbox->message_room; j++)
            free(mailbox->messages[j].writes);
        free(mailbox->messages);
        free(mailbox->uid_next.steps);
        free(mailbox->modseq.steps);
    }
    free(account->mailboxes);
}

void mail_fini(struct world *world)
{
    struct mail *mail = world->mail;

    for (unsigned group = 0; group < GROUPS_MAX; group++)
        for (unsigned i = 0; i < MAIL_ACCOUNTS; i++)
            account_fini(&mail->groups[group].accounts[i]);
    for (uint64_t i = 0; i < mail->op_count; i++) {
        buffer_fini(&mail->ops[i]->entry);
        buffer_fini(&mail->ops[i]->reply);
        free(mail->ops[i]);
    }
    free(mail->ops);
    free(mail);
    world->mail = NULL;
}

/* Whether a mailbox of the account may have gone with an unseen message since `begun`. */
static bool mailboxes_stayed(const struct mail_account *account, uint64_t begun)
{
    for (unsigned i = 0; i < account->mailbox_count; i++) {
        const struct mail_mailbox *mailbox = &account->mailboxes[i];
        if (mailbox->removers > 0 ||
            (mailbox->gone_end != MAIL_LATER && mailbox->gone_end > begun))
            return false;
    }
    return account->gone_begin == MAIL_LATER;
}

/* A message of several recipients was seen by each; the others are followed by their UIDs. */
static void op_end(struct world *world, const struct mail_op *op)
{
    const struct mail_group *group = &world->mail->groups[op->group];

    if (op->state == MAIL_OPEN && op->attempts > 0)
        sim_fail(world, "LIVENESS: operation %llu of kind %d is not answered", LLU(op->number),
                 (int)op->kind);
    if ((op->state == MAIL_NEVER || op->state == MAIL_REFUSED) && op->instances > 0)
        sim_fail(world, "GHOST: message %llu was never to be, and is there", LLU(op->number));
    if (op->state != MAIL_DONE || (op->kind != MAIL_DELIVER && op->kind != MAIL_APPEND))
        return;
    for (unsigned i = 0; i < MAIL_ACCOUNTS; i++)
        if ((op->hand_recipients >> i & 1) != 0 && (op->hand_found >> i & 1) == 0 &&
            mailboxes_stayed(&world->mail->groups[op->hand_group].accounts[i], op->begun))
            sim_fail(world, "LOST: message %llu was not handed over to account %u of group %u",
                     LLU(op->number), i, op->hand_group);
    for (unsigned i = 0; i < MAIL_ACCOUNTS; i++)
        if ((op->recipients >> i & 1) != 0 && (op->found >> i & 1) == 0 &&
            mailboxes_stayed(&group->accounts[i], op->begun))
            sim_fail(world, "LOST: message %llu never came to account %u of group %u",
                     LLU(op->number), i, op->group);
}

static bool keeps_state(const struct world *world, unsigned node, unsigned group,
                        const struct replicator_status *status)
{
    for (unsigned i = 0; i < status->member_count; i++)
        if (status->members[i].node_id == node + 1)
            return world->nodes[node].up && status->members[i].role != REPLICATOR_SPARE &&
                   machine_whole(&world->nodes[node].machine, group);
    return false;
}

/* Between the tables of one replica; aborts at what does not fit. */
static void tables_end(struct world *world, unsigned node, unsigned group)
{
    struct lab lab = {.txn = db_read_begin(machine_lane(&world->nodes[node].machine, group))};

    lab_invariants(&lab, mail_group_number(group));
    db_abort(&lab.txn);
}

static void replica_end(struct world *world, unsigned node, unsigned group)
{
    const struct machine_sim *machine = &world->nodes[node].machine;
    uint64_t begun = mail_moment(world);

    if (machine_applied_index(machine, group) != world->truths[group].count) {
        sim_fail(world, "LIVENESS: node %u has applied %llu of %llu of group %u", node + 1,
                 LLU(machine_applied_index(machine, group)), LLU(world->truths[group].count),
                 group);
        return;
    }
    machine_check_digest(machine, group);
    if (mail_handovers_left(world, node, group))
        sim_fail(world, "LIVENESS: group %u has messages to hand over", group);
    for (unsigned i = 0; i < MAIL_ACCOUNTS; i++)
        mail_account_look(world, node, group, i, begun, true);
}

void mail_end(struct world *world)
{
    for (unsigned group = 0; group < world->plan.groups; group++) {
        struct replicator_status status;
        bool counted = false;
        struct node *leader = client_node(world, group, true);
        if (leader == NULL || !replicator_status(leader->replicator, group, &status))
            continue;
        for (unsigned i = 0; i < world->plan.nodes && world->failure[0] == '\0'; i++) {
            if (!keeps_state(world, i, group, &status))
                continue;
            replica_end(world, i, group);
            /* Their tables are equal: one count is enough, and it takes long. */
            if (!counted && world->seed % COUNT_SEEDS == 0 && world->failure[0] == '\0')
                tables_end(world, i, group);
            counted = true;
        }
    }
    for (uint64_t i = 0; i < world->mail->op_count; i++)
        op_end(world, world->mail->ops[i]);
}
