/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ADMIN_CLI_CLI_H
#define ADMIN_CLI_CLI_H

#include "node/base/arena.h"
#include "node/base/bytes.h"
#include "storage/client/client.h"

/*
 * `postraft`, what operators type. A command is a row of the table in commands.c; the row says
 * which options it takes, the help is printed from it, and its handler makes one or more calls
 * to the local store and prints what came of them.
 */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* refused, or could not be done; one line says why */
    CLI_USAGE = 2,
    CLI_INTERRUPTED = 130, /* the wait was; what was begun goes on */
};

/* The options. A row is the bit, the name, what follows it (NULL: nothing), and the help. */
#define CLI_OPTIONS(X)                                                                         \
    X(CONFIG, "config", "FILE", "the node's configuration (/etc/postraft/postraft.conf)")      \
    X(RUN, "run", "DIR", "the folder of the node's sockets, instead of --config")              \
    X(JSON, "json", NULL, "print JSON")                                                        \
    X(HELP, "help", NULL, "print this")                                                        \
    X(VERSION, "version", NULL, "print the version")                                           \
    X(NAME, "name", "NAME", "name of the cluster")                                             \
    X(NODE, "node", "NAME", "name of this node")                                               \
    X(DATA_CENTER, "data-center", "NAME", "data center that this node stands in")              \
    X(GROUPS, "groups", "COUNT", "mail groups to begin with, 1 to 64 (4)")                     \
    X(VALID, "valid", "SECONDS", "how long the token can be used (3600)")                      \
    X(TENANT, "tenant", "NAME", "of this tenant")                                              \
    X(DOMAIN, "domain", "DOMAIN", "of this domain")                                            \
    X(PASSWORD_FILE, "password-file", "FILE", "first line is the password; - is the input")    \
    X(GENERATE, "generate", NULL, "make a password up, and print it")                          \
    X(FILE, "file", "FILE", "lines of it; - is the input")                                     \
    X(WEAK, "weak", NULL, "take the password even if the rule says that it is too weak")       \
    X(WITNESS, "witness", NULL, "it votes and keeps the log, but no mail: for a third place")  \
    X(TOKEN_FILE, "token-file", "FILE", "first line is the token; - is the input")             \
    X(UNDO, "undo", NULL, "let it keep mail again")                                            \
    X(NO_WAIT, "no-wait", NULL, "do not wait until it is done")                                \
    X(FORCE, "force", NULL, "in spite of what is at risk")                                     \
    X(REPLICAS, "replicas", "COUNT", "voters of each mail group, 3 or 5")                      \
    X(MIN_DCS, "min-dcs", "COUNT", "data centers that these stand in at least; 0: no demand")  \
    X(DURABILITY, "durability", "POLICY",                                                      \
      "cross-dc, majority, or local: as each node's configuration says")                       \
    X(GRACE, "grace", "SECONDS", "with cross-dc: others may be unreachable for so long")       \
    X(PLAN, "plan", NULL, "show the moves, change nothing; this is the default")               \
    X(START, "start", NULL, "begin the moves (--run as the last word is the same)")            \
    X(STOP, "stop", NULL, "forget the moves that have not begun")                              \
    X(LOST, "i-have-lost", "NODES", "nodes that do not come back, separated by commas")        \
    X(CHECK, "check", NULL, "only look, change nothing")                                       \
    X(SINCE, "since", "TIME", "expunged since: 2026-11-22, 2026-11-22T10:00, 3h, 2d")          \
    X(MAILBOX, "mailbox", "NAME", "only what was in this mailbox")                             \
    X(TO, "to", "NAME", "only to this")                                                        \
    X(LIST, "list", NULL, "only show what there is")                                           \
    X(BYTES, "bytes", "SIZE", "how much an account may hold: 500M, 2G; none: no limit")        \
    X(MESSAGES, "messages", "COUNT", "how many messages; none: no limit")                      \
    X(TOGETHER, "together", NULL, "what all of its accounts hold together, not each of them")  \
    X(INHERIT, "inherit", NULL, "take the limits of the domain, or the tenant")                \
    X(UNDELETE_DAYS, "undelete-days", "DAYS", "how long expunged mail can be brought back")    \
    X(OVER_QUOTA, "over-quota", "HOW",                                                         \
      "mail to a full account: refuse it temporarily or for good")                             \
    X(REPAIR, "repair", NULL, "fetch the state of groups anew whose rows are alone here")      \
    X(STATUS, "status", NULL, "only show how far it is, or how it ended")                      \
    X(GROUP, "group", "NUMBER", "the mail group to move to")                                   \
    X(CANCEL, "cancel", NULL, "leave it where it is")                                          \
    X(ADD, "add", "ADDRESS", "one more; can be given several times")                           \
    X(REMOVE, "remove", "ADDRESS", "one less; can be given several times")                     \
    X(DISABLE, "disable", NULL, "refuse mail for it")                                          \
    X(ENABLE, "enable", NULL, "take mail for it again")                                        \
    X(OWNER, "owner", "ADDRESS", "who answers for the list, and gets its bounces")             \
    X(POST, "post", "WHO", "who may write to the list: anyone, members, owner")                \
    X(DESCRIPTION, "description", "TEXT", "what it is, for the List-Id of its messages")       \
    X(KEEP, "keep", NULL, "the INBOX gets it as well")                                         \
    X(ALIAS_OF, "alias-of", "DOMAIN", "every address here is the same as there")               \
    X(CATCH_ALL, "catch-all", "ADDRESS",                                                       \
      "who gets mail for addresses that are not known; can be given several times")            \
    X(FORWARD_TO, "forward-to", "DOMAIN",                                                      \
      "of another host, which gets what is not known here")                                    \
    X(SEPARATORS, "separators", "MARKS",                                                       \
      "that part an address from a sub-address; none, or default: as mail.separators says")    \
    X(NONE, "none", NULL, "nothing of all that")                                               \
    X(LOGIN, "login", NULL, "logging in")                                                      \
    X(SEND, "send", NULL, "submitting mail")                                                   \
    X(RECEIVE, "receive", NULL, "getting mail")                                                \
    X(FOR, "for", "WHAT",                                                                      \
      "imap, submission, or both with a comma between; for all if not given")                  \
    X(ACCOUNT, "account", "ADDRESS", "of this account")                                        \
    X(FROM, "from", "ADDRESS", "of this sender; <> is the null sender")                        \
    X(ID, "id", "TRACE", "of the delivery whose reply had this id=")                           \
    X(REASON, "reason", "TEXT", "words for other operators")                                   \
    X(BANS, "bans", NULL, "only bans")                                                         \
    X(DURING, "during", "TIME", "for so long: 10m, 2h, 7d; for good if not given")             \
    X(YES, "yes", NULL, "do not ask")

#define CLI_OPTION_ENUM(name, text, argument, help) OPTION_##name,
enum cli_option { CLI_OPTIONS(CLI_OPTION_ENUM) OPTION_COUNT };
#undef CLI_OPTION_ENUM

/* Bits by option. */
__extension__ typedef unsigned __int128 cli_options;
#define CLI_OPTION_BIT(option) ((cli_options)1 << (option))
#define WITH(name) CLI_OPTION_BIT(OPTION_##name)
_Static_assert(OPTION_COUNT <= 128, "each has its bit");

struct cli;

struct cli_command {
    const char *group;
    const char *verb; /* "" when the group is a command by itself; of one word, or two */
    /* For the help: "TOKEN". With a "[" there may be one more than the count, with "..." any
     * number. */
    const char *arguments;
    unsigned argument_count; /* at least */
    cli_options allowed;     /* beside those that every command takes */
    cli_options required;
    const char *summary;
    enum cli_exit (*run)(struct cli *cli);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

struct cli {
    struct arena arena; /* lives as long as the program */
    const struct cli_command *command;
    const char *options[OPTION_COUNT]; /* the argument, or "" for a flag; NULL: not given */
    struct cli_given {
        enum cli_option option;
        char *value;
    } * given; /* in the order in which they stand: for those that come several times */
    unsigned given_count;
    char **arguments;
    unsigned argument_count;
    struct loop *loop;
    struct store_client *client;
};

/* main(), but for the process. */
int cli_main(int argc, char **argv);

/* options.c: fills options, command and arguments. False: the program ends with *status. */
bool cli_parse(struct cli *cli, int argc, char **argv, int *status);
/* help.c: of the command; or of all of the group, and of a verb's first word, if these are not
 * NULL. */
void cli_help(const struct cli *cli, const char *group, const char *verb);
void cli_unknown(const char *group, const char *verb);
/* Whether there are commands of the group, and such whose verb has that first of two words. */
bool cli_has_verbs(const char *group, const char *word);

static inline bool cli_has(const struct cli *cli, enum cli_option option)
{
    return cli->options[option] != NULL;
}

/* A number option within its limits; false after a message. Not given: *number stays. */
bool cli_number(const struct cli *cli, enum cli_option option, uint32_t least, uint32_t most,
                uint32_t *number);

/* All arguments of an option that can be given several times, in an array of their own. */
char **cli_values(struct cli *cli, enum cli_option option, size_t *count);
/* All arguments from the one at `first` on. A single "-" among them stands for the lines of the
 * input, and --file adds the lines of its file; empty ones and those with # are passed over.
 * NULL after a message. */
char **cli_words(struct cli *cli, unsigned first, size_t *count);

/* "postraft: ..." on standard error, one line. Returns CLI_FAILED. */
__attribute__((format(printf, 1, 2))) enum cli_exit cli_fail(const char *format, ...);
/* The same for a refusal by the store: what it said, or what the error means and what to do. */
enum cli_exit cli_refused(enum err err, const char *text);

/* ---- calls (call.c) ---- */

enum {
    CLI_CALL_MS = 20000,
    CLI_LONG_CALL_MS = 110000, /* init, join, removing an account */
    CLI_CONNECT_MS = 5000,
    CLI_PARALLEL = 64,
};

/* Opens the way to the store, unless it is open. False after a message. cli_call() does it. */
bool cli_connect(struct cli *cli);
/*
 * One call, to its end. The reply lives as long as the program; NULL after a message. A call
 * that changes something gets a request id, so that it happens once.
 */
const Pr__Reply *cli_call(struct cli *cli, Pr__Request *request, unsigned deadline_ms);
/* A reply's remark (it came from a stale state, say) on standard error. */
void cli_remark(const Pr__Reply *reply);

/* ---- what people type (input.c) ---- */

/* The password by --password-file, --generate, a prompt, or the first line of the input. False
 * after a message. *generated tells to print it. */
bool cli_password(struct cli *cli, const char **password, bool *generated);
/* --yes, or "y" on a terminal. False after a message. */
bool cli_confirm(const struct cli *cli, const char *question);

/* The first line of a file, or of the input for "-", without its end; false after a message
 * that says that `what` is missing. */
bool cli_line(struct cli *cli, const char *path, const char *what, const char **line);
/* Whether that word is typed; false after a message. */
bool cli_typed(struct cli *cli, const char *question, const char *word);

/* ---- handlers, a file a group ---- */

enum cli_exit cli_cluster_init(struct cli *cli), cli_cluster_join(struct cli *cli),
    cli_cluster_token(struct cli *cli), cli_cluster_status(struct cli *cli),
    cli_cluster_upgrade(struct cli *cli);
enum cli_exit cli_node_list(struct cli *cli), cli_group_list(struct cli *cli),
    cli_metrics(struct cli *cli);
enum cli_exit cli_storage_stat(struct cli *cli), cli_storage_check(struct cli *cli),
    cli_storage_compact(struct cli *cli);
/* members.c */
enum cli_exit cli_node_add(struct cli *cli), cli_node_show(struct cli *cli),
    cli_node_drain(struct cli *cli), cli_node_remove(struct cli *cli),
    cli_node_replace(struct cli *cli), cli_node_promote(struct cli *cli);
/* groups.c */
enum cli_exit cli_group_add(struct cli *cli), cli_group_show(struct cli *cli),
    cli_group_move_leader(struct cli *cli);
/* policy.c, rebalance.c, recover.c */
enum cli_exit cli_cluster_policy(struct cli *cli), cli_cluster_rebalance(struct cli *cli),
    cli_cluster_recover(struct cli *cli);
enum cli_exit cli_tenant_add(struct cli *cli), cli_tenant_list(struct cli *cli),
    cli_tenant_show(struct cli *cli), cli_tenant_remove(struct cli *cli);
enum cli_exit cli_sending_list(struct cli *cli), cli_sending_show(struct cli *cli);
enum cli_exit cli_domain_add(struct cli *cli), cli_domain_list(struct cli *cli),
    cli_domain_remove(struct cli *cli), cli_domain_show(struct cli *cli);
/* limits.c, undelete.c */
enum cli_exit cli_account_quota(struct cli *cli), cli_domain_quota(struct cli *cli),
    cli_tenant_quota(struct cli *cli), cli_cluster_policy(struct cli *cli);
enum cli_exit cli_account_undelete(struct cli *cli), cli_account_restore(struct cli *cli),
    cli_account_purge(struct cli *cli);
enum cli_exit cli_account_add(struct cli *cli), cli_account_list(struct cli *cli),
    cli_account_show(struct cli *cli), cli_account_remove(struct cli *cli),
    cli_account_password(struct cli *cli);
/* aliases.c, lists.c, forwards.c, routes.c: where mail goes */
enum cli_exit cli_alias_add(struct cli *cli), cli_alias_change(struct cli *cli),
    cli_alias_remove(struct cli *cli), cli_alias_list(struct cli *cli),
    cli_alias_show(struct cli *cli);
enum cli_exit cli_list_add(struct cli *cli), cli_list_change(struct cli *cli),
    cli_list_add_member(struct cli *cli), cli_list_remove_member(struct cli *cli),
    cli_list_remove(struct cli *cli), cli_list_list(struct cli *cli),
    cli_list_show(struct cli *cli);
enum cli_exit cli_forward_set(struct cli *cli), cli_forward_clear(struct cli *cli),
    cli_forward_show(struct cli *cli);
enum cli_exit cli_domain_route(struct cli *cli), cli_address_explain(struct cli *cli);
/* bars.c, secrets.c */
enum cli_exit cli_account_disable(struct cli *cli), cli_account_enable(struct cli *cli),
    cli_account_rights(struct cli *cli);
enum cli_exit cli_app_password_add(struct cli *cli), cli_app_password_list(struct cli *cli),
    cli_app_password_remove(struct cli *cli), cli_totp_on(struct cli *cli),
    cli_totp_off(struct cli *cli);
/* firewall.c */
enum cli_exit cli_firewall_list(struct cli *cli), cli_firewall_allow(struct cli *cli),
    cli_firewall_deny(struct cli *cli), cli_firewall_ban(struct cli *cli),
    cli_firewall_remove(struct cli *cli), cli_firewall_explain(struct cli *cli),
    cli_firewall_rules(struct cli *cli);
/* sender_domains.c */
enum cli_exit cli_sender_list(struct cli *cli), cli_sender_set(struct cli *cli);
/* settings.c, queue.c */
enum cli_exit cli_setting_list(struct cli *cli), cli_setting_set(struct cli *cli),
    cli_setting_unset(struct cli *cli), cli_setting_show(struct cli *cli),
    cli_setting_help(struct cli *cli);
enum cli_exit cli_queue_list(struct cli *cli), cli_queue_show(struct cli *cli),
    cli_queue_hold(struct cli *cli), cli_queue_release(struct cli *cli),
    cli_queue_retry(struct cli *cli), cli_queue_drop(struct cli *cli);
/* move.c */
enum cli_exit cli_account_move(struct cli *cli);
/* account_file.c */
enum cli_exit cli_account_add_file(struct cli *cli);

#endif
