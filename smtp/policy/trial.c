/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One recipient's verdict: settings, then facts, then the sender's domain, then the greylist;
 * each step may end it. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/idn.h"
#include "smtp/policy/internal.h"
#include "smtp/policy/verdict.h"

struct policy_trial {
    struct policy_client *client;
    struct policy_trial *next;
    struct policy_trial **self;
    struct arena trial_arena;
    struct policy_question question;
    struct bytes sender_domain; /* A-labels in lower case; empty: null sender, or none such */
    char organisation[SENDERS_NAME_SIZE]; /* of it; "": likewise */
    policy_done *done;
    void *context;
    struct settings_of *settings;
    uint64_t settings_ticket;
    uint64_t store_ticket;
    struct loop_timer *timer; /* of facts, then of the end */
    bool waits_for_facts;
    struct policy_sum sum;
    struct policy_verdict verdict;
};

static void trial_free(struct policy_trial *trial)
{
    struct policy *policy = trial->client->policy;

    if (trial->settings_ticket != 0)
        settings_cache_cancel(policy->settings, trial->settings_ticket);
    if (trial->store_ticket != 0)
        store_cancel(policy->config.store, trial->store_ticket);
    loop_timer_stop(&trial->timer);
    settings_release(&trial->settings);
    *trial->self = trial->next;
    if (trial->next != NULL)
        trial->next->self = trial->self;
    arena_fini(&trial->trial_arena);
    free(trial);
}

void policy_cancel(struct policy_trial **trial)
{
    if (*trial != NULL)
        trial_free(*trial);
    *trial = NULL;
}

/* ---- the end ---- */

static void log_verdict(const struct policy_trial *trial, bool dry)
{
    struct policy_client *client = trial->client;
    char peer[ADDRESS_TEXT_SIZE];
    char words[VERDICT_WORDS_SIZE];
    char score[VERDICT_SCORE_SIZE];

    if (!client_refusal_shows(client))
        return;
    address_text(&client->facts.client, peer);
    verdict_words(&trial->sum, words);
    verdict_score(trial->sum.score, score);
    log_info(NULL, dry ? "policy would refuse" : "policy refuses",
             LOG_FIELDS(LOG_U64("conn", client->conn_id), LOG_TEXT("peer", peer),
                        LOG_TEXT("name", client->facts.name),
                        LOG_BYTES("helo", trial->question.helo),
                        LOG_BYTES("sender", trial->question.sender),
                        LOG_BYTES("recipient", trial->question.recipient),
                        LOG_TEXT("trace", trial->verdict.trace),
                        LOG_U64("code", trial->verdict.refusal.code),
                        LOG_TEXT("why", trial->verdict.why), LOG_TEXT("score", score),
                        LOG_TEXT("judges", words)));
}

/* From a timer, with nothing else of the trial under way. */
static void on_end(void *context)
{
    struct policy_trial *trial = context;
    struct policy_client *client = trial->client;
    struct policy_verdict verdict = trial->verdict;
    policy_done *done = trial->done;
    void *done_context = trial->context;
    bool refused = verdict.refusal.code != 0;

    trial->timer = NULL;
    if (refused) {
        bool dry = setting_on(&trial->settings->settings, SETTING_POLICY_DRY_RUN);
        log_verdict(trial, dry);
        refused = !dry;
    } else if (trial->sum.score <= 0 && client->facts.reverse == POLICY_REVERSE_CONFIRMED) {
        client->facts.familiar = true;
        familiar_note(client->policy->familiar, &client->facts.client,
                      clock_monotonic_ms() + client->policy->config.times->familiar_ms);
    }
    if (!refused)
        client_accepted(client, &trial->question, trial->settings, trial->organisation,
                        &trial->sum);
    trial_free(trial);
    verdict.refusal.text = verdict.text;
    done(done_context, refused ? &verdict.refusal : NULL);
}

static void end(struct policy_trial *trial)
{
    loop_timer_stop(&trial->timer);
    trial->waits_for_facts = false;
    trial->timer = loop_timer_start(trial->client->policy->config.loop, 0, 0, on_end, trial);
}

static void make_trace(struct policy_trial *trial)
{
    struct request_id id = store_request_id();

    request_id_format(&id, trial->verdict.trace);
}

static void refuse(struct policy_trial *trial, enum verdict_kind kind, const char *detail)
{
    const struct settings *settings = &trial->settings->settings;

    make_trace(trial);
    verdict_make(&trial->verdict, kind, &trial->sum, detail,
                 (uint64_t)setting_number(settings, SETTING_GREYLIST_WAIT));
    end(trial);
}

/* ---- the greylist ---- */

static void on_greylist(void *context, enum err err, const Pr__Reply *reply)
{
    struct policy_trial *trial = context;

    trial->store_ticket = 0;
    if (greylist_passed(err, reply))
        end(trial);
    else
        refuse(trial, VERDICT_GREY, "");
}

static void ask_greylist(struct policy_trial *trial)
{
    const struct greylist_question question = {
        .sender_domain = trial->organisation[0] != '\0' ? bytes_of(trial->organisation)
                                                        : trial->sender_domain,
        .recipient = trial->question.recipient,
        .account_id = trial->question.account_id,
        .group = trial->question.group,
    };

    trial->store_ticket =
        greylist_ask(trial->client, &question, &trial->settings->settings, on_greylist, trial);
}

/* ---- the sum ---- */

static void sum_up(struct policy_trial *trial, enum policy_sender sender)
{
    struct policy_facts *facts = &trial->client->facts;

    client_settle(trial->client, trial->question.helo);
    facts->sender = sender;
    policy_judge_all(facts, &trial->settings->settings, &trial->sum);
}

static bool over(const struct policy_trial *trial, enum setting_id score)
{
    return trial->sum.score >= setting_number(&trial->settings->settings, score);
}

static void after_sender(struct policy_trial *trial, enum policy_sender sender)
{
    const struct settings *settings = &trial->settings->settings;

    sum_up(trial, sender);
    if (over(trial, SETTING_POLICY_REJECT_SCORE))
        refuse(trial, VERDICT_REJECT, "");
    else if ((sender == POLICY_SENDER_SUSPECT || over(trial, SETTING_POLICY_GREY_SCORE)) &&
             !client_skips_greylist(trial->client, settings, trial->sender_domain))
        ask_greylist(trial);
    else
        end(trial);
}

/* ---- the sender's domain ---- */

/* Of the domain itself, not of one below it: that may have MX records of its own. */
static bool is_null_mx(const struct policy_trial *trial, const struct senders_verdict *verdict)
{
    return verdict->null_mx && bytes_equal(trial->sender_domain, bytes_of(trial->organisation));
}

static void take_sender(struct policy_trial *trial, const struct senders_verdict *verdict)
{
    const struct settings *settings = &trial->settings->settings;
    uint64_t hour_max = (uint64_t)setting_number(settings, SETTING_NEWDOMAIN_SUSPECT_HOUR);

    if (is_null_mx(trial, verdict)) {
        refuse(trial, VERDICT_NULL_MX, "null MX (RFC 7505)");
        return;
    }
    switch (verdict->answer) {
    case SENDERS_WAIT:
        refuse(trial, VERDICT_NEW_DOMAIN, "");
        break;
    case SENDERS_BAD:
        refuse(trial, VERDICT_BAD_DOMAIN, verdict->reason);
        break;
    case SENDERS_SUSPECT:
        if (!senders_count(trial->client->policy->senders, trial->organisation, hour_max,
                           clock_monotonic_ms()))
            refuse(trial, VERDICT_SUSPECT_RATE, verdict->reason);
        else
            after_sender(trial, POLICY_SENDER_SUSPECT);
        break;
    case SENDERS_UNCHECKED:
        after_sender(trial, POLICY_SENDER_UNCHECKED);
        break;
    default:
        after_sender(trial, verdict->answer == SENDERS_GOOD ? POLICY_SENDER_GOOD
                                                            : POLICY_SENDER_UNKNOWN);
        break;
    }
}

static void on_sender(void *context, enum err err, const Pr__Reply *reply)
{
    struct policy_trial *trial = context;
    struct senders_verdict verdict;

    trial->store_ticket = 0;
    senders_take(trial->client->policy->senders, trial->organisation,
                 &trial->settings->settings, err, reply, &verdict);
    take_sender(trial, &verdict);
}

static void ask_sender(struct policy_trial *trial)
{
    struct senders *senders = trial->client->policy->senders;
    const struct settings *settings = &trial->settings->settings;
    struct senders_verdict verdict;

    if (senders == NULL || trial->organisation[0] == '\0' ||
        !setting_on(settings, SETTING_JUDGE_NEW_DOMAIN_ENABLED) ||
        settings_domains_have(setting_text(settings, SETTING_NEWDOMAIN_EXEMPT),
                              trial->sender_domain) ||
        policy_is_welcome(&trial->client->facts, settings))
        after_sender(trial, POLICY_SENDER_UNKNOWN);
    else if (senders_known(senders, trial->organisation, settings, clock_monotonic_ms(),
                           &verdict))
        take_sender(trial, &verdict);
    else
        trial->store_ticket =
            senders_ask(senders, trial->organisation, settings, on_sender, trial);
}

/* ---- facts ---- */

static void facts_ready(void *context)
{
    struct policy_trial *trial = context;

    trial->timer = NULL;
    trial->waits_for_facts = false;
    sum_up(trial, POLICY_SENDER_UNKNOWN);
    if (over(trial, SETTING_POLICY_REJECT_SCORE))
        refuse(trial, VERDICT_REJECT, "");
    else
        ask_sender(trial);
}

void trials_look(struct policy_client *client)
{
    struct loop *loop = client->policy->config.loop;

    for (struct policy_trial *trial = client->trials; trial != NULL; trial = trial->next) {
        if (!trial->waits_for_facts || client_is_gathering(client, &trial->settings->settings))
            continue;
        trial->waits_for_facts = false;
        loop_timer_stop(&trial->timer);
        trial->timer = loop_timer_start(loop, 0, 0, facts_ready, trial);
    }
}

static void with_settings(struct policy_trial *trial)
{
    struct policy_client *client = trial->client;
    const struct settings *settings = &trial->settings->settings;
    bool gathering;

    client_gather(client, settings, trial->question.helo);
    gathering = client_is_gathering(client, settings);
    trial->waits_for_facts = gathering;
    trial->timer = loop_timer_start(client->policy->config.loop,
                                    gathering ? client->policy->config.times->facts_ms : 0, 0,
                                    facts_ready, trial);
}

static void on_settings(void *context, struct settings_of *of)
{
    struct policy_trial *trial = context;

    trial->settings_ticket = 0;
    trial->settings = of;
    if (of != NULL)
        with_settings(trial);
    else
        end(trial); /* nobody can say what the policy is */
}

/* ---- the beginning ---- */

static void take_domain(struct policy_trial *trial)
{
    struct mail_path sender;

    if (trial->question.sender.len == 0 ||
        mail_address_read(trial->question.sender, &trial->trial_arena, &sender) != ERR_OK)
        return;
    trial->sender_domain = sender.domain;
    senders_organisation(sender.domain, trial->organisation);
}

struct policy_trial *policy_try(struct policy_client *client,
                                const struct policy_question *question, policy_done *done,
                                void *context)
{
    struct policy *policy = client->policy;

    if (client->exempt || question->role) {
        client_accepted(client, question, NULL, "", NULL);
        return NULL;
    }
    struct policy_trial *trial = calloc(1, sizeof(*trial));
    CHECK(trial != NULL);
    arena_init(&trial->trial_arena);
    trial->client = client;
    trial->question = *question;
    trial->question.helo = arena_copy(&trial->trial_arena, question->helo);
    trial->question.sender = arena_copy(&trial->trial_arena, question->sender);
    trial->question.recipient = arena_copy(&trial->trial_arena, question->recipient);
    trial->done = done;
    trial->context = context;
    trial->next = client->trials;
    trial->self = &client->trials;
    if (trial->next != NULL)
        trial->next->self = &trial->next;
    client->trials = trial;
    take_domain(trial);
    trial->settings =
        settings_cache_now(policy->settings, question->tenant_id, question->domain_id);
    if (trial->settings != NULL)
        with_settings(trial);
    else
        trial->settings_ticket = settings_cache_ask(policy->settings, question->tenant_id,
                                                    question->domain_id, on_settings, trial);
    return trial;
}
