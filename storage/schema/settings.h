/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_SETTINGS_H
#define STORAGE_SCHEMA_SETTINGS_H

#include "node/base/arena.h"
#include "storage/schema/settings_table.h"

/*
 * What operators can set in the directory, for the cluster, a tenant, a domain or an account;
 * the narrower scope wins. Rows are in settings_table.h. The log takes any name and any text;
 * what they mean is decided here, by whoever reads them.
 */

/* As in SettingScope of address.proto; a row's `scopes` has the bits 1 << scope. */
enum settings_scope {
    SETTINGS_CLUSTER = 0,
    SETTINGS_TENANT = 1,
    SETTINGS_DOMAIN = 2,
    SETTINGS_ACCOUNT = 3,
    SETTINGS_SCOPES
};

enum setting_type {
    SETTING_TYPE_SWITCH,   /* on, off: the number is 1 or 0 */
    SETTING_TYPE_NUMBER,   /* decimal, in the row's unit */
    SETTING_TYPE_DURATION, /* 90, 90s, 5m, 2h, 7d: the number is milliseconds */
    SETTING_TYPE_WEIGHT,   /* -12.5: the number is hundredths */
    SETTING_TYPE_CHOICE,   /* one of the row's words: the number is its place */
    SETTING_TYPE_TEXT,     /* of high bytes at the most */
    SETTING_TYPE_MARKS,    /* "none", or address_separators_valid() */
    SETTING_TYPE_ADDRESS,  /* a folded address, or empty */
    SETTING_TYPE_DOMAINS,  /* with blanks in between; each is meant with all below it */
    SETTING_TYPE_ZONES,    /* settings_zone_next() */
    SETTING_TYPE_NETWORKS, /* settings_network_next() */
    SETTING_TYPE_RULE,     /* settings_rule_parse() */
};

struct setting {
    const char *name; /* a family of settings ends in ".*" */
    enum setting_type type;
    unsigned scopes;
    int64_t low; /* of the number */
    int64_t high;
    const char *words; /* the unit; of a choice its words, with '|' in between */
    const char *fallback;
    const char *help;
};

enum { SETTINGS_REASON_SIZE = 160, SETTINGS_FAMILY_MAX = 64 };

/* A constant. `id` is below SETTING_COUNT. */
const struct setting *setting_row(enum setting_id id);
/* By name, or the family that it belongs to; NULL: there is none. */
const struct setting *settings_find(struct bytes name);
/* "on|off", "1 to 100 messages": for operators. */
char *settings_range(const struct setting *row, struct arena *arena);

/* Whether it may be set there to that (an empty value: to nothing). Else `reason` has words. */
bool settings_check(struct bytes name, enum settings_scope scope, struct bytes value,
                    char reason[SETTINGS_REASON_SIZE]);

/* ---- what is in force ---- */

struct settings {
    struct arena *arena;
    struct setting_value {
        struct bytes text; /* never without memory */
        int64_t number;
        bool set; /* else it is the default */
        enum settings_scope scope;
    } of[SETTING_COUNT];
    struct settings_member { /* of families */
        struct bytes name;
        struct bytes text;
    } * members;
    size_t member_count;
};

/* The defaults. `arena` keeps what is put. About 5 KB. */
void settings_init(struct settings *settings, struct arena *arena);
/* The widest scope first: each goes over the one before. What does not pass settings_check() is
 * passed over, so that a value of a newer release does no harm. */
void settings_put(struct settings *settings, enum settings_scope scope, struct bytes name,
                  struct bytes value);

bool setting_on(const struct settings *settings, enum setting_id id);
int64_t setting_number(const struct settings *settings, enum setting_id id);
struct bytes setting_text(const struct settings *settings, enum setting_id id);
/* Of a row of MARKS: "none" is none. */
struct bytes setting_marks(struct bytes value);
/* One of a family, "firewall.address-open"; empty: not set. */
struct bytes setting_member(const struct settings *settings, struct bytes name);

/* What a single text means for a row, as settings_put() would keep it; the row's default when
 * it does not pass. */
int64_t setting_number_of(enum setting_id id, struct bytes value);
struct bytes setting_default(enum setting_id id);

/* ---- lists: each call takes one off the front; false at the end ---- */

/* "zone=weight" or "zone=weight:codes", with blanks in between. Codes are patterns of the
 * answers that count, with commas in between: four parts, each a number, "2-11" or "*". None:
 * all of 127.0.0.0/8. */
struct settings_zone {
    struct bytes name;
    int64_t weight; /* hundredths */
    struct bytes codes;
};
bool settings_zone_next(struct bytes *list, struct settings_zone *zone);
bool settings_code_matches(struct bytes codes, const uint8_t answer[4]);

/* "192.0.2.0/24=weight", "AS64500=weight", with blanks in between. */
struct settings_network {
    struct bytes net; /* schema/net.h reads it */
    int64_t weight;   /* hundredths */
};
bool settings_network_next(struct bytes *list, struct settings_network *network);

/* A domain, "example.net": it is `domain` or one above it. */
bool settings_domains_have(struct bytes list, struct bytes domain);

/*
 * Limits of a rule of the firewall, over those of its table: "off", or "LIMIT" or
 * "LIMIT/LIMIT6" (of IPv6 nets), with or without " per DURATION".
 */
struct settings_rule {
    uint32_t limit;
    bool has_limit_v6;
    uint32_t limit_v6;
    uint32_t window_s; /* 0: as it is */
};
bool settings_rule_parse(struct bytes text, struct settings_rule *rule);

#endif
