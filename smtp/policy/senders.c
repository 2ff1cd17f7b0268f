/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/senders.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/path.h"
#include "smtp/policy/sender_check.h"

enum { HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * HOUR_MS };

/* What is kept of a domain; another one may take its place. */
struct kept {
    char domain[SENDERS_NAME_SIZE];
    enum senders_answer answer; /* until then */
    uint64_t until_ms;
    char reason[SENDERS_REASON_SIZE];
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
    struct loop *loop;
    struct store_client *store;
    struct dns *dns;
    unsigned store_ms;
    unsigned check_ms;
    const psl_ctx_t *suffixes;
    struct kept *at[SENDERS_KEPT_MAX];
    struct check *checks;
    unsigned check_count;
    uint64_t day_ms; /* when the day began that `day_count` is of */
    uint64_t day_count;
};

struct senders *senders_new(struct loop *loop, struct store_client *store, struct dns *dns,
                            unsigned store_ms, unsigned check_ms)
{
    struct senders *senders = calloc(1, sizeof(*senders));

    CHECK(senders != NULL);
    *senders = (struct senders){.loop = loop,
                                .store = store,
                                .dns = dns,
                                .store_ms = store_ms,
                                .check_ms = check_ms,
                                .suffixes = psl_builtin()};
    return senders;
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
    for (unsigned i = 0; i < SENDERS_KEPT_MAX; i++)
        free(ending->at[i]);
    free(ending);
}

bool senders_organisation(const struct senders *senders, struct bytes domain,
                          char organisation[SENDERS_NAME_SIZE])
{
    char name[SENDERS_NAME_SIZE] = "";
    const char *registered;

    if (domain.len >= sizeof(name) || !mail_domain_valid(domain))
        return false;
    for (size_t i = 0; i < domain.len; i++)
        name[i] = (char)byte_lower(domain.at[i]);
    registered =
        senders->suffixes != NULL ? psl_registrable_domain(senders->suffixes, name) : NULL;
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
    **kept = (struct kept){.count = 0};
    snprintf((*kept)->domain, sizeof((*kept)->domain), "%s", domain);
    return *kept;
}

bool senders_known(const struct senders *senders, const char *domain, uint64_t now_ms,
                   enum senders_answer *answer, char reason[SENDERS_REASON_SIZE])
{
    const struct kept *kept = kept_find(senders, domain);

    if (kept == NULL || kept->until_ms <= now_ms)
        return false;
    *answer = kept->answer;
    snprintf(reason, SENDERS_REASON_SIZE, "%s", kept->reason);
    return true;
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

static void tell_store(struct senders *senders, const char *domain, enum sender_verdict verdict,
                       const char *reason)
{
    static const Pr__SenderDomainVerdict verdicts[] = {
        [SENDER_VERDICT_GOOD] = PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD,
        [SENDER_VERDICT_SUSPECT] = PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT,
        [SENDER_VERDICT_BAD] = PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD,
    };
    char name[SENDERS_NAME_SIZE];
    char words[SENDERS_REASON_SIZE];
    Pr__Request request;
    Pr__SenderDomainAsk call;
    Pr__SenderDomain row;

    pr__request__init(&request);
    pr__sender_domain_ask__init(&call);
    pr__sender_domain__init(&row);
    snprintf(name, sizeof(name), "%s", domain);
    snprintf(words, sizeof(words), "%s", reason);
    row.name = name;
    row.verdict = verdicts[verdict];
    row.judged_ms = clock_wall_ms();
    row.seen_ms = row.judged_ms;
    row.reason = words;
    call.name = name;
    call.verdict = &row;
    request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_ASK;
    request.sender_domain_ask = &call;
    store_call(senders->store, &request, senders->store_ms, on_told, NULL);
}

static void on_checked(void *context, const struct sender_found *found)
{
    struct check *check = context;
    struct senders *senders = check->senders;
    struct check **at = &senders->checks;
    const char *reason;
    enum sender_verdict verdict = sender_judge(found, &reason);

    log_info(NULL, "a sender's domain was checked",
             LOG_FIELDS(LOG_TEXT("domain", check->domain),
                        LOG_TEXT("verdict", verdict == SENDER_VERDICT_GOOD      ? "good"
                                            : verdict == SENDER_VERDICT_SUSPECT ? "suspect"
                                            : verdict == SENDER_VERDICT_BAD     ? "bad"
                                                                                : "not known"),
                        LOG_TEXT("reason", reason)));
    if (verdict != SENDER_VERDICT_NONE)
        tell_store(senders, check->domain, verdict, reason);
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
    check->check = sender_check_start(senders->loop, senders->dns, domain, senders->check_ms,
                                      on_checked, check);
}

/* ---- asking ---- */

/* False: so many have been put down today that no more are, and mail of others is taken: the
 * checks may be at fault, or somebody makes names up. */
static bool day_has_room(struct senders *senders, uint64_t day_max, uint64_t now_ms)
{
    if (now_ms - senders->day_ms >= DAY_MS) {
        senders->day_ms = now_ms;
        senders->day_count = 0;
    }
    return senders->day_count < day_max;
}

uint64_t senders_ask(struct senders *senders, const struct senders_question *question,
                     store_done *done, void *context)
{
    char name[SENDERS_NAME_SIZE];
    Pr__Request request;
    Pr__SenderDomainAsk call;

    pr__request__init(&request);
    pr__sender_domain_ask__init(&call);
    snprintf(name, sizeof(name), "%s", question->domain);
    call.name = name;
    call.ask = day_has_room(senders, question->day_max, clock_monotonic_ms());
    request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_ASK;
    request.sender_domain_ask = &call;
    return store_call(senders->store, &request, senders->store_ms, done, context);
}

static enum senders_answer while_checked(struct senders *senders,
                                         const struct senders_question *question,
                                         const Pr__SenderDomainAnswer *answer)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wall_ms = clock_wall_ms();
    uint64_t age_ms =
        wall_ms > answer->domain->first_ms ? wall_ms - answer->domain->first_ms : 0;

    if (answer->first || age_ms >= question->wait_ms)
        check_begin(senders, question->domain, now_ms);
    senders->day_count += answer->first ? 1 : 0;
    return age_ms >= question->delay_max_ms ? SENDERS_UNCHECKED : SENDERS_WAIT;
}

enum senders_answer senders_take(struct senders *senders,
                                 const struct senders_question *question, enum err err,
                                 const Pr__Reply *reply, char reason[SENDERS_REASON_SIZE])
{
    const Pr__SenderDomainAnswer *answer =
        err == ERR_OK && reply->err == ERR_OK &&
                reply->answer_case == PR__REPLY__ANSWER_SENDER_DOMAIN
            ? reply->sender_domain
            : NULL;
    uint64_t now_ms = clock_monotonic_ms();
    enum senders_answer found;

    reason[0] = '\0';
    if (answer == NULL || answer->domain == NULL)
        return SENDERS_UNKNOWN;
    snprintf(reason, SENDERS_REASON_SIZE, "%s", answer->domain->reason);
    switch (answer->domain->verdict) {
    case PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD:
        found = SENDERS_GOOD;
        break;
    case PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT:
        found = SENDERS_SUSPECT;
        break;
    case PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD:
        found = SENDERS_BAD;
        break;
    default:
        return while_checked(senders, question, answer);
    }
    if (answer->first) /* the verdict is old: it counts until there is another */
        check_begin(senders, question->domain, now_ms);
    struct kept *kept = kept_take(senders, question->domain);
    kept->answer = found;
    kept->until_ms = now_ms + (found == SENDERS_GOOD ? SENDERS_GOOD_MS : SENDERS_OTHER_MS);
    snprintf(kept->reason, sizeof(kept->reason), "%s", reason);
    return found;
}
