/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/addresses_lab.h"

#include "node/base/check.h"

static struct lab the_lab;
struct lab *const lab = &the_lab;

static struct addresses_question question;
static struct addresses_answer answer;

void addresses_lab_open(void)
{
    directory_lab_open(lab, FORMAT_ADDRESSES);
    CHECK(directory_lab_role(lab)->err == ERR_OK);
    CHECK(directory_lab_account(lab, "ann@acme.example")->err == ERR_OK);
    CHECK(directory_lab_account(lab, "bob@acme.example")->err == ERR_OK);
    CHECK(directory_lab_account(lab, "cid@bar.example")->err == ERR_OK);
    question = (struct addresses_question){.sender = BYTES("mia@far.example"),
                                           .now_s = (int64_t)(lab->now_ms / 1000),
                                           .explain = true};
}

void addresses_lab_sender(const char *sender)
{
    question.sender = bytes_of(arena_string(&lab->arena, bytes_of(sender)));
    question.any_sender = false;
}

void addresses_lab_anybody(void)
{
    question.any_sender = true;
}

void addresses_lab_days_later(int days)
{
    question.now_s += (int64_t)days * 24 * 60 * 60;
}

struct addresses_answer *addresses_lab_last(void)
{
    return &answer;
}

static const char *refusal(enum err err)
{
    static const char *const troubles[] = {"NONE", "DISABLED", "LIST_CLOSED", "LOOP",
                                           "OUTBOUND_OFF"};

    CHECK(answer.message.n_targets == 0 && answer.account_count == 0);
    if (err != ERR_DENIED) {
        CHECK(answer.message.trouble == PR__RESOLVE_ANSWER__TROUBLE__NONE);
        return err_name(err);
    }
    CHECK(answer.message.trouble != PR__RESOLVE_ANSWER__TROUBLE__NONE);
    return answer.message.permanent
               ? arena_printf(&lab->arena, "%s for good", troubles[answer.message.trouble])
               : troubles[answer.message.trouble];
}

const char *addresses_lab_ask(const char *address)
{
    struct db_txn *txn = db_read_begin(lab->db);
    char *text = arena_string(&lab->arena, BYTES(""));
    size_t account = 0;
    enum err err;

    question.address = bytes_of(address);
    err = addresses_resolve(txn, &question, &lab->arena, &answer);
    CHECK(db_commit(&txn) == ERR_OK);
    if (err != ERR_OK)
        return refusal(err);
    CHECK(answer.message.group != 0 && answer.message.n_targets > 0);
    for (size_t i = 0; i < answer.message.n_targets; i++) {
        const Pr__ResolvedTarget *target = answer.message.targets[i];
        const char *to = target->remote;
        CHECK((target->account_id != 0) != (target->remote[0] != '\0'));
        if (target->account_id != 0) {
            CHECK(answer.accounts[account].record->id == target->account_id);
            to = answer.accounts[account++].record->address;
        }
        text = arena_printf(&lab->arena, "%s%s%s%s%s", text, i > 0 ? " " : "", to,
                            target->sender[0] != '\0' ? "<" : "", target->sender);
    }
    CHECK(account == answer.account_count);
    return text;
}
