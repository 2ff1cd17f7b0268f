/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a message: what is known of the domain in its From. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/idn.h"
#include "smtp/policy/internal.h"
#include "smtp/policy/verdict.h"

enum { DOMAINS_MAX = 4 }; /* of one From; more are left out */

/* What the settings of one place make of it; the first of them that a message is taken by is
 * the last that is looked at. */
struct policy_from {
    struct policy_client *client;
    char domains[DOMAINS_MAX][SENDERS_NAME_SIZE];
    unsigned domain_count;
    unsigned domain; /* that is looked at */
    struct senders_verdict verdicts[POLICY_PLACES_MAX];
    bool refused[POLICY_PLACES_MAX];
    unsigned place; /* that the greylist is asked for */
    uint64_t store_ticket;
    struct loop_timer *timer;
    policy_done *done;
    void *context;
    struct policy_verdict verdict; /* the mildest so far; its code is 0: none */
};

/* ---- the transaction ---- */

void policy_client_mail(struct policy_client *client)
{
    for (unsigned i = 0; i < client->place_count; i++)
        settings_release(&client->places[i].settings);
    client->place_count = 0;
    client->spared = false;
    client->organisation[0] = '\0';
    client->note = (struct policy_note){.score = 0};
    arena_reset(&client->mail_arena);
}

static void note(struct policy_client *client, const struct policy_sum *sum)
{
    if (sum->score <= client->note.score)
        return;
    client->note.score = sum->score;
    verdict_words(sum, client->note.words);
}

const struct policy_note *policy_client_note(const struct policy_client *client)
{
    return &client->note;
}

void client_accepted(struct policy_client *client, const struct policy_question *question,
                     struct settings_of *settings, const char *organisation,
                     const struct policy_sum *sum)
{
    struct policy_place *place = client->places;

    if (settings == NULL) {
        client->spared = true;
        return;
    }
    note(client, sum);
    snprintf(client->organisation, sizeof(client->organisation), "%s", organisation);
    while (place < client->places + client->place_count &&
           (place->tenant_id != question->tenant_id || place->domain_id != question->domain_id))
        place++;
    if (place < client->places + client->place_count ||
        client->place_count == POLICY_PLACES_MAX)
        return;
    client->place_count++;
    settings->holders++;
    *place = (struct policy_place){
        .tenant_id = question->tenant_id,
        .domain_id = question->domain_id,
        .settings = settings,
        .account_id = question->account_id,
        .group = question->group,
        .recipient = arena_copy(&client->mail_arena, question->recipient),
    };
}

/* ---- the end ---- */

void policy_from_cancel(struct policy_from **from)
{
    struct policy_from *ending = *from;

    if (ending == NULL)
        return;
    *from = NULL;
    ending->client->from = NULL;
    if (ending->store_ticket != 0)
        store_cancel(ending->client->policy->config.store, ending->store_ticket);
    loop_timer_stop(&ending->timer);
    free(ending);
}

static void on_end(void *context)
{
    struct policy_from *from = context;
    struct policy_verdict verdict = from->verdict;
    policy_done *done = from->done;
    void *done_context = from->context;

    from->timer = NULL;
    policy_from_cancel(&from);
    verdict.refusal.text = verdict.text;
    done(done_context, verdict.refusal.code != 0 ? &verdict.refusal : NULL);
}

static void end(struct policy_from *from)
{
    from->timer = loop_timer_start(from->client->policy->config.loop, 0, 0, on_end, from);
}

static void log_verdict(const struct policy_from *from, const struct policy_verdict *verdict,
                        const char *reason, bool dry)
{
    struct policy_client *client = from->client;
    char peer[ADDRESS_TEXT_SIZE];

    if (!client_refusal_shows(client))
        return;
    address_text(&client->facts.client, peer);
    log_info(NULL, dry ? "policy would refuse" : "policy refuses",
             LOG_FIELDS(LOG_U64("conn", client->conn_id), LOG_TEXT("peer", peer),
                        LOG_TEXT("name", client->facts.name),
                        LOG_TEXT("from", from->domains[from->domain]),
                        LOG_TEXT("trace", verdict->trace),
                        LOG_U64("code", verdict->refusal.code), LOG_TEXT("why", verdict->why),
                        LOG_TEXT("reason", reason)));
}

/* The policy of one place; that of another may take the message. */
static void refuse(struct policy_from *from, unsigned place, enum verdict_kind kind)
{
    const struct settings *settings = &from->client->places[place].settings->settings;
    const char *reason = from->verdicts[place].reason;
    const struct policy_sum none = {.score = 0};
    struct policy_verdict verdict = {.why = ""};
    struct request_id id = store_request_id();
    bool dry = setting_on(settings, SETTING_POLICY_DRY_RUN);

    request_id_format(&id, verdict.trace);
    verdict_make(&verdict, kind, &none, reason,
                 (uint64_t)setting_number(settings, SETTING_GREYLIST_WAIT));
    log_verdict(from, &verdict, reason, dry);
    from->refused[place] = !dry;
    if (!dry &&
        (from->verdict.refusal.code == 0 || verdict.refusal.code < from->verdict.refusal.code))
        from->verdict = verdict;
}

/* ---- one domain after the other ---- */

static void look_up(struct policy_from *from);

static bool is_refused(const struct policy_from *from)
{
    for (unsigned i = 0; i < from->client->place_count; i++)
        if (!from->refused[i])
            return false;
    return true;
}

/* Filters of content are told what kept nobody from taking it. */
static void note_suspect(struct policy_from *from, const struct senders_verdict *verdict)
{
    struct policy_note *to = &from->client->note;

    if (verdict->score <= to->score)
        return;
    to->score = verdict->score;
    snprintf(to->words, sizeof(to->words), "from=%lld.%02lld (%s: %s)",
             (long long)(verdict->score / 100), (long long)(verdict->score % 100),
             from->domains[from->domain], verdict->reason);
}

static void next_domain(struct policy_from *from)
{
    if (is_refused(from)) {
        end(from);
        return;
    }
    from->verdict.refusal.code = 0;
    memset(from->refused, 0, sizeof(from->refused));
    if (++from->domain < from->domain_count)
        look_up(from);
    else
        end(from);
}

static void next_place(struct policy_from *from);

static void on_greylist(void *context, enum err err, const Pr__Reply *reply)
{
    struct policy_from *from = context;

    from->store_ticket = 0;
    if (!greylist_passed(err, reply))
        refuse(from, from->place, VERDICT_GREY);
    from->place++;
    next_place(from);
}

/* Asks the greylist for the next place that wants it; else goes on to the next domain. */
static void next_place(struct policy_from *from)
{
    struct policy_client *client = from->client;
    struct bytes domain = bytes_of(from->domains[from->domain]);

    for (; from->place < client->place_count; from->place++) {
        const struct policy_place *place = &client->places[from->place];
        if (from->refused[from->place] ||
            from->verdicts[from->place].answer != SENDERS_SUSPECT ||
            client_skips_greylist(client, &place->settings->settings, domain))
            continue;
        const struct greylist_question question = {
            .sender_domain = domain,
            .recipient = place->recipient,
            .account_id = place->account_id,
            .group = place->group,
        };
        from->store_ticket =
            greylist_ask(client, &question, &place->settings->settings, on_greylist, from);
        return;
    }
    next_domain(from);
}

static bool is_taken(const struct policy_from *from)
{
    for (unsigned i = 0; i < from->client->place_count; i++) {
        enum senders_answer answer = from->verdicts[i].answer;
        if (answer != SENDERS_WAIT && answer != SENDERS_BAD && answer != SENDERS_SUSPECT)
            return true;
    }
    return false;
}

/* The places' verdicts are there. */
static void weigh(struct policy_from *from)
{
    struct policy_client *client = from->client;
    const char *domain = from->domains[from->domain];
    uint64_t hour_max = UINT64_MAX; /* the lowest counts the message, once */

    if (is_taken(from)) {
        next_domain(from);
        return;
    }
    for (unsigned i = 0; i < client->place_count; i++) {
        const struct senders_verdict *verdict = &from->verdicts[i];
        if (verdict->answer == SENDERS_WAIT)
            refuse(from, i, VERDICT_NEW_FROM);
        else if (verdict->answer == SENDERS_BAD)
            refuse(from, i, VERDICT_BAD_FROM);
        else if (verdict->answer == SENDERS_SUSPECT) {
            uint64_t number = (uint64_t)setting_number(&client->places[i].settings->settings,
                                                       SETTING_NEWDOMAIN_SUSPECT_HOUR);
            hour_max = number < hour_max ? number : hour_max;
            note_suspect(from, verdict);
        }
    }
    if (hour_max != UINT64_MAX &&
        !senders_count(client->policy->senders, domain, hour_max, clock_monotonic_ms())) {
        for (unsigned i = 0; i < client->place_count; i++)
            if (from->verdicts[i].answer == SENDERS_SUSPECT)
                refuse(from, i, VERDICT_SUSPECT_RATE);
    }
    from->place = 0;
    next_place(from);
}

/* Whether a place wants to know. */
static bool is_asked(const struct policy_from *from, unsigned place)
{
    const struct settings *settings = &from->client->places[place].settings->settings;

    return setting_on(settings, SETTING_JUDGE_NEW_DOMAIN_ENABLED) &&
           setting_on(settings, SETTING_NEWDOMAIN_FROM) &&
           !settings_domains_have(setting_text(settings, SETTING_NEWDOMAIN_EXEMPT),
                                  bytes_of(from->domains[from->domain])) &&
           !policy_is_welcome(&from->client->facts, settings);
}

static void on_sender(void *context, enum err err, const Pr__Reply *reply)
{
    struct policy_from *from = context;
    struct policy_client *client = from->client;

    from->store_ticket = 0;
    for (unsigned i = 0; i < client->place_count; i++)
        if (is_asked(from, i))
            senders_take(client->policy->senders, from->domains[from->domain],
                         &client->places[i].settings->settings, err, reply, &from->verdicts[i]);
    weigh(from);
}

/* One that spares the message ends it: its settings do not want to know. */
static void look_up(struct policy_from *from)
{
    struct policy_client *client = from->client;
    struct senders *senders = client->policy->senders;
    const char *domain = from->domains[from->domain];
    uint64_t now_ms = clock_monotonic_ms();

    memset(from->verdicts, 0, sizeof(from->verdicts));
    for (unsigned i = 0; i < client->place_count; i++) {
        const struct settings *settings = &client->places[i].settings->settings;
        if (!is_asked(from, i)) {
            next_domain(from);
            return;
        }
        if (senders_known(senders, domain, settings, now_ms, &from->verdicts[i]))
            continue;
        from->store_ticket = senders_ask(senders, domain, settings, on_sender, from);
        return;
    }
    weigh(from);
}

/* ---- the beginning ---- */

static void on_begin(void *context)
{
    struct policy_from *from = context;

    from->timer = NULL;
    look_up(from);
}

/* Each organisation once, without the envelope's, which RCPT has looked at. */
static void add_domain(struct policy_from *from, struct bytes domain, struct arena *arena)
{
    char *organisation = from->domains[from->domain_count];
    struct bytes ascii;
    bool is_new = mail_domain_to_ascii(domain, arena, &ascii) == ERR_OK &&
                  senders_organisation(ascii, organisation) &&
                  strcmp(organisation, from->client->organisation) != 0;

    for (unsigned i = 0; is_new && i < from->domain_count; i++)
        is_new = strcmp(organisation, from->domains[i]) != 0;
    from->domain_count += is_new;
}

struct policy_from *policy_from_try(struct policy_client *client,
                                    const struct mail_address_list *addresses,
                                    policy_done *done, void *context)
{
    struct arena domains_arena;

    CHECK(client->from == NULL);
    if (client->exempt || client->spared || client->place_count == 0 ||
        client->policy->senders == NULL)
        return NULL;
    struct policy_from *from = calloc(1, sizeof(*from));
    CHECK(from != NULL);
    from->client = client;
    from->done = done;
    from->context = context;
    arena_init(&domains_arena);
    for (size_t i = 0; i < addresses->count && from->domain_count < DOMAINS_MAX; i++)
        if (addresses->at[i].group == MAIL_ADDRESS_PLAIN)
            add_domain(from, addresses->at[i].domain, &domains_arena);
    arena_fini(&domains_arena);
    if (from->domain_count == 0) {
        free(from);
        return NULL;
    }
    client->from = from;
    from->timer = loop_timer_start(client->policy->config.loop, 0, 0, on_begin, from);
    return from;
}
