/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/senders.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/path.h"
#include "smtp/policy/sender_check.h"
#include "smtp/policy/verdict.h"
#include "storage/schema/entry.h"
#include "storage/schema/sender_findings.h"

enum { HOUR_MS = 60 * 60 * 1000 };

/* What is kept of a domain; another one may take its place. */
struct kept {
    char domain[SENDERS_NAME_SIZE];
    Pr__SenderDomain *row; /* of the store; NULL: none, or it was too long ago */
    uint64_t until_ms;
    uint64_t checked_ms; /* when a check was begun here last; 0: never */
    uint64_t hour_ms;    /* when the hour began that `count` is of */
    uint64_t count;
};

struct check {
    struct check *next;
    struct senders *senders;
    struct sender_check *check;
    char domain[SENDERS_NAME_SIZE];
};

struct senders {
    struct senders_config config;
    struct kept *at[SENDERS_KEPT_MAX];
    struct check *checks;
    unsigned check_count;
};

struct senders *senders_new(const struct senders_config *config)
{
    struct senders *senders = calloc(1, sizeof(*senders));

    CHECK(senders != NULL);
    senders->config = *config;
    return senders;
}

static void forget_row(struct kept *kept)
{
    if (kept->row != NULL)
        pr__sender_domain__free_unpacked(kept->row, NULL);
    kept->row = NULL;
}

void senders_free(struct senders **senders)
{
    struct senders *ending = *senders;

    if (ending == NULL)
        return;
    *senders = NULL;
    while (ending->checks != NULL) {
        struct check *check = ending->checks;
        ending->checks = check->next;
        sender_check_cancel(&check->check);
        free(check);
    }
    for (unsigned i = 0; i < SENDERS_KEPT_MAX; i++) {
        if (ending->at[i] != NULL)
            forget_row(ending->at[i]);
        free(ending->at[i]);
    }
    free(ending);
}

bool senders_organisation(struct bytes domain, char organisation[SENDERS_NAME_SIZE])
{
    const psl_ctx_t *suffixes = psl_builtin();
    char name[SENDERS_NAME_SIZE] = "";
    const char *registered;

    if (domain.len >= sizeof(name) || !mail_domain_valid(domain))
        return false;
    for (size_t i = 0; i < domain.len; i++)
        name[i] = (char)byte_lower(domain.at[i]);
    registered = suffixes != NULL ? psl_registrable_domain(suffixes, name) : NULL;
    snprintf(organisation, SENDERS_NAME_SIZE, "%s", registered != NULL ? registered : name);
    return true;
}

/* ---- what is kept ---- */

static size_t place(const char *domain)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *domain != '\0'; domain++)
        hash = (hash ^ (uint8_t)*domain) * 0x100000001b3u;
    return (hash ^ hash >> 29) % SENDERS_KEPT_MAX;
}

static struct kept *kept_find(const struct senders *senders, const char *domain)
{
    struct kept *kept = senders->at[place(domain)];

    return kept != NULL && strcmp(kept->domain, domain) == 0 ? kept : NULL;
}

static struct kept *kept_take(struct senders *senders, const char *domain)
{
    struct kept **kept = &senders->at[place(domain)];

    if (kept_find(senders, domain) != NULL)
        return *kept;
    if (*kept == NULL)
        *kept = calloc(1, sizeof(**kept));
    CHECK(*kept != NULL);
    forget_row(*kept);
    **kept = (struct kept){.count = 0};
    snprintf((*kept)->domain, sizeof((*kept)->domain), "%s", domain);
    return *kept;
}

/* What a row of the store means, when its domain is not being checked any more. */
static void judge(const Pr__SenderDomain *row, const struct settings *settings,
                  struct senders_verdict *verdict)
{
    struct sender_sum sum = {.verdict = row->verdict};

    if (row->settled || row->n_findings == 0)
        snprintf(sum.words, sizeof(sum.words), "%.190s", row->reason);
    else
        sender_findings_judge(settings, row->findings, row->n_findings, &sum);
    switch (sum.verdict) {
    case PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT:
        verdict->answer = SENDERS_SUSPECT;
        break;
    case PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD:
        verdict->answer = SENDERS_BAD;
        break;
    default:
        verdict->answer = SENDERS_GOOD;
        break;
    }
    verdict->null_mx = sum.null_mx;
    verdict->score = sum.score;
    snprintf(verdict->reason, sizeof(verdict->reason), "%s", sum.words);
}

bool senders_known(const struct senders *senders, const char *domain,
                   const struct settings *settings, uint64_t now_ms,
                   struct senders_verdict *verdict)
{
    const struct kept *kept = kept_find(senders, domain);

    *verdict = (struct senders_verdict){.answer = SENDERS_UNKNOWN};
    if (kept == NULL || kept->row == NULL || kept->until_ms <= now_ms)
        return false;
    judge(kept->row, settings, verdict);
    return true;
}

static void keep(struct senders *senders, const Pr__SenderDomain *row, const char *domain,
                 uint64_t now_ms)
{
    struct kept *kept = kept_take(senders, domain);
    struct buffer packed = BUFFER_EMPTY;

    forget_row(kept);
    message_pack(&row->base, &packed);
    kept->row = pr__sender_domain__unpack(NULL, buffer_len(&packed), buffer_bytes(&packed).at);
    buffer_fini(&packed);
    CHECK(kept->row != NULL); /* our own */
    bool good =
        row->verdict == PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD && row->n_findings == 0;
    kept->until_ms = now_ms + (good ? SENDERS_GOOD_MS : SENDERS_OTHER_MS);
}

bool senders_count(struct senders *senders, const char *domain, uint64_t hour_max,
                   uint64_t now_ms)
{
    struct kept *kept = kept_take(senders, domain);

    if (now_ms - kept->hour_ms >= HOUR_MS) {
        kept->hour_ms = now_ms;
        kept->count = 0;
    }
    return kept->count < hour_max && ++kept->count > 0;
}

/* ---- checks ---- */

static void on_told(void *context, enum err err, const Pr__Reply *reply)
{
    (void)context;
    if (err != ERR_OK || reply->err != ERR_OK)
        log_warn(NULL, "what was found out about a sender's domain could not be kept",
                 LOG_FIELDS(
                     LOG_TEXT("reason", err_text(err != ERR_OK ? err : (enum err)reply->err))));
}

static void tell_store(struct senders *senders, const char *domain,
                       Pr__SenderFinding **findings, size_t count)
{
    char name[SENDERS_NAME_SIZE];
    Pr__Request request;
    Pr__SenderDomainAsk call;
    Pr__SenderDomain row;

    pr__request__init(&request);
    pr__sender_domain_ask__init(&call);
    pr__sender_domain__init(&row);
    snprintf(name, sizeof(name), "%s", domain);
    row.name = name;
    row.verdict = PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD; /* the store weighs it */
    row.judged_ms = clock_wall_ms();
    row.seen_ms = row.judged_ms;
    row.findings = findings;
    row.n_findings = count;
    call.name = name;
    call.verdict = &row;
    request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_ASK;
    request.sender_domain_ask = &call;
    store_call(senders->config.store, &request, senders->config.store_ms, on_told, NULL);
}

static void on_checked(void *context, const struct sender_found *found)
{
    struct check *check = context;
    struct senders *senders = check->senders;
    struct check **at = &senders->checks;
    struct arena check_arena;
    Pr__SenderFinding **findings;
    struct sender_sum sum;
    char score[VERDICT_SCORE_SIZE];
    size_t count;

    arena_init(&check_arena);
    bool known = sender_findings(found, &check_arena, &findings, &count);
    sender_findings_judge(settings_cache_cluster(senders->config.settings), findings, count,
                          &sum);
    verdict_score(sum.score, score);
    log_info(NULL, "a sender's domain was checked",
             LOG_FIELDS(LOG_TEXT("domain", check->domain),
                        LOG_TEXT("found", !known       ? "too little"
                                          : count == 0 ? "nothing"
                                                       : sum.words),
                        LOG_TEXT("score", score)));
    if (known)
        tell_store(senders, check->domain, findings, count);
    arena_fini(&check_arena);
    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    senders->check_count--;
    free(check);
}

static void check_begin(struct senders *senders, const char *domain, uint64_t now_ms)
{
    struct kept *kept = kept_take(senders, domain);

    if (senders->check_count == SENDERS_CHECKS_MAX ||
        (kept->checked_ms != 0 && now_ms - kept->checked_ms < SENDERS_AGAIN_MS))
        return;
    for (const struct check *check = senders->checks; check != NULL; check = check->next)
        if (strcmp(check->domain, domain) == 0)
            return;
    struct check *check = calloc(1, sizeof(*check));
    CHECK(check != NULL);
    kept->checked_ms = now_ms;
    check->senders = senders;
    snprintf(check->domain, sizeof(check->domain), "%s", domain);
    check->next = senders->checks;
    senders->checks = check;
    senders->check_count++;
    const struct settings *settings = settings_cache_cluster(senders->config.settings);
    const struct sender_check_config config = {
        .loop = senders->config.loop,
        .dns = senders->config.dns,
        .zones = senders->config.zones,
        .bad_zones = setting_text(settings, SETTING_NEWDOMAIN_ZONES),
        .young_zones = setting_text(settings, SETTING_NEWDOMAIN_AGE_ZONES),
        .budget_ms = senders->config.check_ms,
    };
    check->check = sender_check_start(&config, domain, on_checked, check);
}

/* ---- asking ---- */

uint64_t senders_ask(struct senders *senders, const char *domain,
                     const struct settings *settings, store_done *done, void *context)
{
    char name[SENDERS_NAME_SIZE];
    Pr__Request request;
    Pr__SenderDomainAsk call;

    pr__request__init(&request);
    pr__sender_domain_ask__init(&call);
    snprintf(name, sizeof(name), "%s", domain);
    call.name = name;
    call.day_max = (uint64_t)setting_number(settings, SETTING_NEWDOMAIN_DAY);
    call.ask = call.day_max > 0;
    request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_ASK;
    request.sender_domain_ask = &call;
    return store_call(senders->config.store, &request, senders->config.store_ms, done, context);
}

static enum senders_answer while_checked(struct senders *senders, const char *domain,
                                         const struct settings *settings,
                                         const Pr__SenderDomainAnswer *answer)
{
    uint64_t wait_ms = (uint64_t)setting_number(settings, SETTING_NEWDOMAIN_WAIT);
    uint64_t delay_max_ms = (uint64_t)setting_number(settings, SETTING_NEWDOMAIN_DELAY_MAX);
    uint64_t wall_ms = clock_wall_ms();
    uint64_t age_ms =
        wall_ms > answer->domain->first_ms ? wall_ms - answer->domain->first_ms : 0;

    if (answer->first || age_ms >= wait_ms)
        check_begin(senders, domain, clock_monotonic_ms());
    return age_ms >= delay_max_ms ? SENDERS_UNCHECKED : SENDERS_WAIT;
}

void senders_take(struct senders *senders, const char *domain, const struct settings *settings,
                  enum err err, const Pr__Reply *reply, struct senders_verdict *verdict)
{
    const Pr__SenderDomainAnswer *answer =
        err == ERR_OK && reply->err == ERR_OK &&
                reply->answer_case == PR__REPLY__ANSWER_SENDER_DOMAIN
            ? reply->sender_domain
            : NULL;
    uint64_t now_ms = clock_monotonic_ms();

    *verdict = (struct senders_verdict){.answer = SENDERS_UNKNOWN};
    if (answer == NULL || answer->domain == NULL)
        return;
    if (answer->domain->verdict == PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING) {
        verdict->answer = while_checked(senders, domain, settings, answer);
        return;
    }
    if (answer->first) /* the verdict is old: it counts until there is another */
        check_begin(senders, domain, now_ms);
    keep(senders, answer->domain, domain, now_ms);
    judge(answer->domain, settings, verdict);
}
