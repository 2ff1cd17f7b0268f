/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ADMIN_CLI_OUTPUT_H
#define ADMIN_CLI_OUTPUT_H

#include <jansson.h>

#include "admin/cli/cli.h"

/*
 * What a command found, once as JSON. With --json that is printed; else it is shown as a table
 * or as lines, by the columns of the list.
 */
enum output_kind {
    OUTPUT_TEXT,
    OUTPUT_NUMBER,
    OUTPUT_BYTES,     /* a size for people */
    OUTPUT_TIME,      /* milliseconds since 1970 */
    OUTPUT_YES,       /* a truth value */
    OUTPUT_ADDRESS,   /* or domain, or @domain: shown in the letters that users write */
    OUTPUT_ADDRESSES, /* an array of these */
    OUTPUT_TEXTS,     /* an array */
    OUTPUT_MEMBERS,
    OUTPUT_STATES, /* the replicas that are not whole */
};

struct output_column {
    const char *key;
    const char *title;
    enum output_kind kind;
};

/* {"<name>": rows}, or a table. Takes `rows` over. */
enum cli_exit output_list(const struct cli *cli, const char *name, json_t *rows,
                          const struct output_column *columns, size_t column_count);
/* `record`, or a line a column. Takes it over. */
enum cli_exit output_record(const struct cli *cli, json_t *record,
                            const struct output_column *columns, size_t column_count);
/* `record`, or the sentence. Takes it over. */
__attribute__((format(printf, 3, 4))) enum cli_exit
output_done(const struct cli *cli, json_t *record, const char *format, ...);

/* Only the table, for a list inside something else; borrows. */
void output_table(const json_t *rows, const struct output_column *columns, size_t column_count);

/* The row whose `key` is `value`, by any case; the caller's, or NULL. */
json_t *output_find(const json_t *rows, const char *key, const char *value);

/* JSON of the schema's messages. */
json_t *json_of_node(const Pr__NodeStatus *node);
json_t *json_of_group(const Pr__GroupStatus *group);
json_t *json_of_mailbox(const Pr__MailboxInfo *mailbox);
json_t *json_of_account(const Pr__AccountRecord *account);
json_t *json_of_domain(const Pr__DomainRecord *domain);
/* Text of the store; what is no UTF-8 is shown as unreadable. */
json_t *json_of_text(const char *text);
/* Adds an address, or a domain, or an array of these, as the directory has them; where their
 * domains look otherwise to users, also as these write them, under KEY_unicode. */
void output_add_address(json_t *row, const char *key, const char *address);
void output_add_addresses(json_t *row, const char *key, char *const *addresses, size_t count);
/* That form of an address or a domain, in `arena`. */
char *output_unicode(struct arena *arena, const char *address);
void output_add(json_t *row, const char *key, json_t *value);
/* Adds quota_bytes and quota_messages; 0: no limit. NULL adds nothing. */
void output_add_quota(json_t *row, const Pr__AccountQuota *quota);
/* Adds what a domain or tenant holds and may hold: total_bytes, total_messages (where there is
 * a limit), used_bytes, used_messages, complete and shares (when it is known). NULL: not. */
void output_add_usage(json_t *row, const Pr__AccountQuota *total, const Pr__ScopeUsage *usage,
                      bool complete);
/* A table of the shares, unless --json has printed them. */
void output_shares(const struct cli *cli, const json_t *row);

/* An account as the store shows it; NULL after a message. accounts.c */
const Pr__AccountShowAnswer *cli_account_fetch(struct cli *cli, const char *address);
/* A domain; NULL after a message. routes.c */
const Pr__DomainRecord *cli_domain_fetch(struct cli *cli, const char *name);
/* "2026-11-22 10:00:00", by the clock of this machine. */
char *output_time(struct arena *arena, uint64_t time_ms);
/* Whether the first argument is that name, or a first part of it before a dot; yes for none. */
bool cli_setting_asked(const struct cli *cli, const char *name);
/* What is set there; NULL after a message. */
const Pr__SettingListAnswer *cli_settings_fetch(struct cli *cli, Pr__SettingScope scope,
                                                const char *name);
/* "tenant acme" */
const char *cli_scope_text(struct cli *cli, Pr__SettingScope scope, const char *name);
/* A line on standard error if mail for an address would be refused: for what changes where mail
 * goes, which is no fault by itself (targets may come later). */
void cli_refused_remark(struct cli *cli, const char *address);
/* Whether the cluster has it; asked of the way that mail for it would go. */
bool cli_domain_is_ours(struct cli *cli, const char *domain);
/* The domain that the first argument or --domain names, as the store has it; where none is
 * named *name stays. False after a message: there is no such domain. */
bool cli_domain_named(struct cli *cli, char **name);
/* Adds alias_of, catch_all, forward_to and separators, where they are given. */
void output_add_routing(json_t *row, const Pr__DomainRouting *routing);
/* ["login", ...]: what those bars bar from. bars.c */
json_t *json_of_bars(uint32_t bars);
/* secrets.c */
json_t *json_of_app_passwords(const Pr__AccountSecrets *secrets);
extern const struct output_column output_app_passwords[];
extern const size_t output_app_passwords_count;

/* What happens to expunged mail and to mail for full accounts, after it was set by the options
 * if there are any of them; NULL after a message. limits.c */
json_t *cli_mail_policy(struct cli *cli);

extern const struct output_column output_nodes[];
extern const size_t output_nodes_count;
extern const struct output_column output_groups[];
extern const size_t output_groups_count;

#define OUTPUT_COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

#endif
