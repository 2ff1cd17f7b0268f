/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_H
#define SMTP_EGRESS_CLASSIFY_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * What a remote host's refusal is about: our address, the sender's domain, the content, the
 * recipient ... Rules decide, by provider, phase, code, status (RFC 3463) and a pattern on the
 * text, in which addresses, names and ids have been replaced (classify_normal.h); the first one
 * that fits counts, those of named providers before the others. Where none fits, words, status
 * and code give a guess, and the reply is unknown.
 *
 * Rules are data (replies.rules says how they are written). Each brings examples; a file in
 * which one of them is not classified by its own rule is refused. Time is linear in the text,
 * whatever it says (classify_pattern.h). No socket, clock or random source.
 *
 * Only what a remote host said is classified, never our own words about it (a suspended
 * address, no route): those would feed upon themselves.
 */

/* name in C, name in a rules file */
#define CLASSIFY_CLASSES(X)                                                                    \
    X(IP_BLOCK, "ip-block")                                                                    \
    X(IP_RATE, "ip-rate")                                                                      \
    X(NETBLOCK, "netblock")                                                                    \
    X(RATE_DOMAIN, "rate-domain")                                                              \
    X(REPUTATION_DOMAIN, "reputation-domain")                                                  \
    X(AUTH, "auth")                                                                            \
    X(CONTENT, "content")                                                                      \
    X(MAILBOX, "mailbox")                                                                      \
    X(MBOX_FULL, "mbox-full")                                                                  \
    X(RCPT_RATE, "rcpt-rate")                                                                  \
    X(POLICY, "policy")                                                                        \
    X(CONFIG, "config")                                                                        \
    X(GREYLIST, "greylist")                                                                    \
    X(TRANSIENT, "transient")                                                                  \
    X(PROTOCOL, "protocol")

/* Whom it concerns. A row is one source address at one provider. */
#define CLASSIFY_SCOPES(X)                                                                     \
    X(ROW, "row")                                                                              \
    X(ROWS, "rows")             /* the source address at each provider that the rule names */  \
    X(ROW_DOMAIN, "row-domain") /* the source address at this recipient's domain only */       \
    X(FAMILY, "family")         /* IPv4 or IPv6 of the source address, at the provider */      \
    X(PREFIX, "prefix")         /* the source address's network, at the provider */            \
    X(ADDRESS, "address")       /* the source address, at all providers */                     \
    X(TENANT, "tenant")                                                                        \
    X(DOMAIN, "domain") /* of the sender, its signature or its links, as the class says */     \
    X(URL, "url")                                                                              \
    X(MESSAGE, "message") /* and the campaign that it belongs to */                            \
    X(RECIPIENT, "recipient")                                                                  \
    X(PROVIDER, "provider")

#define CLASSIFY_PHASES(X)                                                                     \
    X(CONNECT, "connect")                                                                      \
    X(GREETING, "greeting")                                                                    \
    X(HELLO, "hello")                                                                          \
    X(TLS, "tls")                                                                              \
    X(MAIL, "mail")                                                                            \
    X(RCPT, "rcpt")                                                                            \
    X(DATA, "data")                                                                            \
    X(FINAL, "final") /* the reply to the final dot or the last chunk */

/* What to do besides what has numbers of its own. */
#define CLASSIFY_FLAGS(X)                                                                      \
    X(HOLD, "hold")       /* whom the scope names; nothing is redirected for it */             \
    X(RECHECK, "recheck") /* ask the DNSBLs about the address or domain now */                 \
    X(PROBE, "probe")     /* slow start afterwards, one connection first */                    \
    X(DISABLE, "disable") /* take the source address out until somebody has mended it */       \
    X(ALERT, "alert")                                                                          \
    X(SUPPRESS, "suppress") /* the recipient does not exist */                                 \
    X(REQUIRE_TLS, "require-tls")                                                              \
    X(SAME_ADDRESS, "same-address") /* retry from the very same source address */

#define CLASSIFY_ENUM(name, text) CLASSIFY_##name,
enum classify_class { CLASSIFY_CLASSES(CLASSIFY_ENUM) CLASSIFY_CLASS_COUNT };
#undef CLASSIFY_ENUM
#define CLASSIFY_ENUM(name, text) CLASSIFY_SCOPE_##name,
enum classify_scope { CLASSIFY_SCOPES(CLASSIFY_ENUM) CLASSIFY_SCOPE_COUNT };
#undef CLASSIFY_ENUM
#define CLASSIFY_ENUM(name, text) CLASSIFY_AT_##name,
enum classify_phase { CLASSIFY_PHASES(CLASSIFY_ENUM) CLASSIFY_PHASE_COUNT };
#undef CLASSIFY_ENUM
#define CLASSIFY_ENUM(name, text) CLASSIFY_FLAG_##name,
enum classify_flag { CLASSIFY_FLAGS(CLASSIFY_ENUM) CLASSIFY_FLAG_COUNT };
#undef CLASSIFY_ENUM

enum {
    CLASSIFY_NAME_MAX = 47,          /* of rules, providers and lists */
    CLASSIFY_ZONE_MAX = 253,         /* of a list that has no name here */
    CLASSIFY_TEXT_MAX = 4096,        /* of a reply; what lies behind is not looked at */
    CLASSIFY_FILE_MAX = 1024 * 1024, /* of a rules file */
};

/* What is to be done first. Durations of 0: not this. */
struct classify_action {
    uint64_t throttle_ms;
    unsigned connections; /* while throttled; 0: as the state of the row says */
    unsigned messages;    /* a connection, while throttled; 0: likewise */
    unsigned rate_count;  /* messages in rate_ms, while throttled; 0: likewise */
    uint64_t rate_ms;
    uint64_t suspend_ms;      /* once threshold_count such replies came in threshold_ms */
    unsigned threshold_count; /* at least 1 */
    uint64_t threshold_ms;    /* 0 when the count is 1 */
    uint64_t retry_ms;        /* of what met this reply */
    bool retry;               /* false: as the schedule says */
    uint64_t hold_ms;         /* with CLASSIFY_FLAG_HOLD; 0: until somebody releases it */
    unsigned flags;           /* bits 1u << enum classify_flag */
};

/* A rule as its users see it. Lives as long as the rules. */
struct classify_rule {
    char name[CLASSIFY_NAME_MAX + 1];
    enum classify_class class;
    enum classify_scope scope;
    bool has_also; /* the reply may as well be about this */
    enum classify_class also_class;
    enum classify_scope also_scope;
    unsigned confidence; /* percent, 1..100 */
    struct classify_action action;
    unsigned line; /* of the file */
};

/* Why a file was refused. */
struct classify_error {
    unsigned line; /* from 1; 0: the whole file */
    char reason[512];
};

struct classify_rules;

/*
 * *rules from the text of a file. ERR_MALFORMED with *error otherwise, ERR_TOOBIG for a text of
 * more than CLASSIFY_FILE_MAX. Not for remote text. Free with classify_free().
 */
MUST_CHECK enum err classify_load(struct bytes text, struct classify_rules **rules,
                                  struct classify_error *error);

/*
 * The same from the file at `path`, or from the built-in copy where there is none (and when
 * path is NULL). ERR_IO for a file that cannot be read. Reads the whole file at once: for the
 * start.
 */
MUST_CHECK enum err classify_open(const char *path, struct classify_rules **rules,
                                  struct classify_error *error);

/* Sets NULL; accepts NULL. */
void classify_free(struct classify_rules **rules);

/* Where the file is installed. */
const char *classify_installed(void);

/* The built-in copy of the file. */
struct bytes classify_builtin(void);

size_t classify_rule_count(const struct classify_rules *rules);

/* How often a pattern was given up for want of working memory. Anything but 0 is a bug. */
uint64_t classify_failures(const struct classify_rules *rules);

/* A reply, all borrowed. */
struct classify_reply {
    struct bytes provider; /* "google"; no rule's name: only rules for any provider are asked */
    enum classify_phase phase;
    unsigned code;       /* 421; 0: none came, and the text is not looked at */
    struct bytes status; /* "4.7.28" as the host wrote it; empty: as the text has it */
    struct bytes text;   /* its lines, with or without codes, broken at LF or CRLF or joined */
    struct bytes source; /* our address, as text; empty: not known */
};

enum classify_basis {
    CLASSIFY_BY_RULE,
    CLASSIFY_BY_WORDS, /* greylisting; from here on the reply is unknown */
    CLASSIFY_BY_STATUS,
    CLASSIFY_BY_CODE,
};

struct classify_verdict {
    enum classify_class class;
    enum classify_scope scope;
    unsigned confidence; /* percent */
    enum classify_basis basis;
    const struct classify_rule *rule; /* NULL: no rule fits, the reply is unknown */
    char list[CLASSIFY_ZONE_MAX + 1]; /* that the text names, or the rule; "": none */
    bool list_is_zone; /* `list` is a domain seen in the text, not a name of the file */
    bool list_of_domains;
    bool names_source; /* the text names our address, or a network that it lies in */
    /* Equal for replies that differ in addresses, names, ids and numbers. */
    uint64_t template_id;
};

/* `rules` has working memory in it: one thread at a time. */
void classify(struct classify_rules *rules, const struct classify_reply *reply,
              struct classify_verdict *verdict);

const char *classify_class_name(enum classify_class class);
const char *classify_scope_name(enum classify_scope scope);
const char *classify_phase_name(enum classify_phase phase);
const char *classify_flag_name(enum classify_flag flag);

#endif
