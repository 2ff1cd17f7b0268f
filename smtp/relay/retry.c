/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/retry.h"

#include "node/base/check.h"

#define MINUTE_MS (UINT64_C(60) * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define YEAR_MS (366 * DAY_MS) /* no time of a configuration is longer */

enum { JITTER_PERCENT_MAX = 50, BY_SECONDS_MAX = 999999999 };

const struct retry_config retry_defaults = {
    .steps_ms = {2 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 20 * MINUTE_MS, 40 * MINUTE_MS,
                 60 * MINUTE_MS, 2 * HOUR_MS, 4 * HOUR_MS},
    .step_count = 8,
    .jitter_percent = 20,
    .expire_ms = 5 * DAY_MS,
    .expire_null_ms = 2 * DAY_MS,
    .delays_ms = {4 * HOUR_MS, 24 * HOUR_MS},
    .delay_count = 2,
    .hint_least_ms = 5 * MINUTE_MS,
    .hint_most_ms = 15 * MINUTE_MS,
    .hint_attempts = 5,
};

const char *retry_config_fault(const struct retry_config *config)
{
    if (config->step_count < 1 || config->step_count > RETRY_STEPS_MAX)
        return "no steps, or too many";
    for (unsigned i = 0; i < config->step_count; i++)
        if (config->steps_ms[i] == 0 || config->steps_ms[i] > YEAR_MS)
            return "a step of no time, or of over a year";
    if (config->jitter_percent > JITTER_PERCENT_MAX)
        return "jitter of over 50 %";
    if (config->expire_ms == 0 || config->expire_ms > YEAR_MS || config->expire_null_ms == 0 ||
        config->expire_null_ms > YEAR_MS)
        return "given up at once, or after over a year";
    if (config->delay_count > RETRY_DELAYS_MAX)
        return "too many notices of delay";
    for (unsigned i = 0; i < config->delay_count; i++)
        if (config->delays_ms[i] == 0 ||
            (i > 0 && config->delays_ms[i] <= config->delays_ms[i - 1]))
            return "notices of delay that do not ascend";
    if (config->hint_least_ms == 0 || config->hint_least_ms > config->hint_most_ms ||
        config->hint_most_ms > YEAR_MS)
        return "bounds of hints that are none";
    return NULL;
}

/* Of times long past and far off, no sum wraps. */
static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t retry_begin_ms(uint64_t accepted_ms, uint64_t hold_until_ms)
{
    return hold_until_ms > accepted_ms ? hold_until_ms : accepted_ms;
}

uint64_t retry_after_ms(const struct retry_config *config, unsigned attempts, uint64_t random)
{
    unsigned step = attempts == 0 ? 0 : attempts - 1;

    if (step >= config->step_count)
        step = config->step_count - 1;
    uint64_t base = config->steps_ms[step];
    uint64_t jitter = base * config->jitter_percent / 100;
    return base - jitter + random % (2 * jitter + 1);
}

uint64_t retry_expires_ms(const struct retry_config *config, uint64_t begin_ms,
                          bool null_sender)
{
    return add_capped(begin_ms, null_sender ? config->expire_null_ms : config->expire_ms);
}

bool retry_expired(const struct retry_config *config, uint64_t begin_ms, bool null_sender,
                   uint64_t now_ms)
{
    return now_ms >= retry_expires_ms(config, begin_ms, null_sender);
}

bool retry_delay_due(const struct retry_config *config, uint64_t begin_ms, uint64_t by_ms,
                     unsigned told, uint64_t now_ms)
{
    unsigned due = by_ms != 0 && now_ms >= by_ms;

    for (unsigned i = 0; i < config->delay_count; i++)
        due += now_ms >= add_capped(begin_ms, config->delays_ms[i]);
    return due > told;
}

bool retry_by_over(struct retry_by by, uint64_t now_ms)
{
    /* What is left is said in whole seconds, and with mode R it has to be one at least. */
    return by.mode == RETRY_BY_RETURN && add_capped(now_ms, 1000) > by.until_ms;
}

/* Rounded down: the next host must not have more time than there is. */
static int32_t seconds_left(struct retry_by by, uint64_t now_ms)
{
    bool late = now_ms > by.until_ms;
    uint64_t seconds =
        late ? (now_ms - by.until_ms + 999) / 1000 : (by.until_ms - now_ms) / 1000;

    if (seconds > BY_SECONDS_MAX)
        seconds = BY_SECONDS_MAX;
    return late ? -(int32_t)seconds : (int32_t)seconds;
}

struct retry_by_hop retry_by_hop(struct retry_by by, bool offered, uint32_t least_s,
                                 uint64_t now_ms)
{
    struct retry_by_hop hop = {RETRY_BY_UNSAID, 0};

    if (by.mode == RETRY_BY_NONE)
        return hop;
    int32_t seconds = seconds_left(by, now_ms);
    if (by.mode == RETRY_BY_NOTIFY && !offered) {
        hop.verdict = RETRY_BY_RELAYED;
    } else if (by.mode == RETRY_BY_RETURN &&
               (!offered || seconds < 1 || (uint32_t)seconds < least_s)) {
        hop.verdict = RETRY_BY_REFUSED;
    } else {
        hop.verdict = RETRY_BY_SAY;
        hop.seconds = seconds;
    }
    return hop;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct retry_plan retry_plan(const struct retry_config *config, const struct retry_facts *facts,
                             uint64_t now_ms, uint64_t random)
{
    struct retry_plan plan = {RETRY_AGAIN, 0, false};
    struct retry_by by = facts->by;

    CHECK(facts->attempts > 0);
    if (retry_by_over(by, now_ms)) {
        plan.verdict = RETRY_BY_FAILED;
        return plan;
    }
    if (retry_expired(config, facts->begin_ms, facts->null_sender, now_ms)) {
        plan.verdict = RETRY_EXPIRED;
        return plan;
    }
    uint64_t until_ms = retry_expires_ms(config, facts->begin_ms, facts->null_sender);
    if (by.mode != RETRY_BY_NONE && by.until_ms > now_ms)
        until_ms = earlier(until_ms, by.until_ms);
    if (facts->attempts < config->hint_attempts)
        plan.after_ms = retry_hint_ms(config, facts->code, facts->reply, random);
    if (plan.after_ms == 0)
        plan.after_ms = retry_after_ms(config, facts->attempts, random);
    plan.after_ms = earlier(plan.after_ms, until_ms - now_ms);
    plan.delay_due =
        retry_delay_due(config, facts->begin_ms, by.mode == RETRY_BY_NOTIFY ? by.until_ms : 0,
                        facts->delays_told, now_ms);
    return plan;
}
