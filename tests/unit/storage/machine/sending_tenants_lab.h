/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_MACHINE_SENDING_TENANTS_LAB_H
#define TESTS_UNIT_STORAGE_MACHINE_SENDING_TENANTS_LAB_H

#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "tests/unit/storage/machine/scope_lab.h"

/*
 * Two tenants, acme and beta, whose accounts send from groups 1 to 3, and commands between
 * these and the directory that are on their way.
 */
enum {
    GROUPS = 3, /* 1 to 3 */
    TENANTS = 2,
    QUEUE_MAX = 24,
    HOUR_MAX = 60,
    DAY_MAX = 400,
    RECIPIENTS_MAX = 5,
    SENT_MAX = 4096,
};
#define MINUTE_MS ((uint64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define OF_SENDING PR__SCOPE_KIND__SCOPE_SENDING

enum letter_kind { ASK, GRANT, RETURN, RETURNED };

/* A command that is on its way. */
struct letter {
    enum letter_kind kind;
    unsigned tenant;
    Pr__ScopeShare share;
    uint32_t need;
    uint32_t want;
};

struct tenant {
    uint64_t id;
    uint64_t hour_max;
    uint64_t day_max;
    unsigned refused;
    /* All that was accepted, as anybody would write it down. */
    unsigned count;
    uint64_t times[SENT_MAX];
    uint32_t recipients[SENT_MAX];
};

struct tenants_world {
    struct lab lab;
    uint64_t seed;
    uint64_t now_ms;               /* by a clock that is right */
    uint64_t ahead_ms[GROUPS + 1]; /* of the leaders' */
    uint64_t ahead_max_ms;
    uint64_t settings_version;
    struct letter letters[QUEUE_MAX];
    unsigned letter_count;
    struct tenant tenants[TENANTS];
};

extern struct tenants_world tenants_world;

uint32_t tenants_below(uint32_t number);
Pr__Outcome *tenants_apply(uint32_t group, Pr__Command *command);
Pr__ScopeRecord *tenants_record_of(unsigned tenant);
Pr__ScopeShare *tenants_row_of(uint32_t group, unsigned tenant);
const Pr__ScopeShare *tenants_part_of(const Pr__ScopeRecord *record, uint32_t group);
uint64_t tenants_sent_since(const struct tenant *tenant, uint64_t span_ms);
void tenants_check(unsigned tenant);
Pr__Outcome *tenants_submit(uint32_t group, unsigned tenant, uint32_t recipients,
                            ProtobufCBinaryData id);
enum err tenants_write_one(uint32_t group, unsigned tenant, uint32_t recipients);
Pr__Outcome *tenants_ask(const struct letter *letter);
void tenants_letter_deliver(struct letter letter);
void tenants_all_letters(void);
void tenants_duty(uint32_t group, unsigned tenant, bool all);
void tenants_pass(uint64_t time_ms);
void tenants_limit(unsigned tenant, uint64_t hour_max, uint64_t day_max);
void tenants_open(uint64_t seed, uint64_t ahead_max_ms);
void tenants_close(void);
enum err tenants_write_until_refused(uint32_t group, unsigned tenant, uint32_t recipients);

#endif
