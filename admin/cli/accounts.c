/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct output_column columns[] = {
    {"id", "ID", OUTPUT_NUMBER},          {"address", "ADDRESS", OUTPUT_ADDRESS},
    {"tenant", "TENANT", OUTPUT_TEXT},    {"group", "GROUP", OUTPUT_NUMBER},
    {"created_ms", "ADDED", OUTPUT_TIME}, {"barred_from", "BARRED FROM", OUTPUT_TEXTS},
};

static const struct output_column show_columns[] = {
    {"address", "address", OUTPUT_ADDRESS},
    {"id", "id", OUTPUT_NUMBER},
    {"tenant", "tenant", OUTPUT_TEXT},
    {"group", "group", OUTPUT_NUMBER},
    {"moves_to", "moves to group", OUTPUT_NUMBER},
    {"moved_messages", "messages there", OUTPUT_NUMBER},
    {"created_ms", "added", OUTPUT_TIME},
    {"messages", "messages", OUTPUT_NUMBER},
    {"size", "size", OUTPUT_BYTES},
    {"quota_bytes", "limit of bytes", OUTPUT_BYTES},
    {"quota_messages", "limit of messages", OUTPUT_NUMBER},
    {"expunged", "expunged, can come back", OUTPUT_NUMBER},
    {"expunged_size", "bytes of these", OUTPUT_BYTES},
    {"barred_from", "barred from", OUTPUT_TEXTS},
    {"forward_to", "forwarded to", OUTPUT_ADDRESSES},
    {"forward_keep", "INBOX gets it too", OUTPUT_YES},
    {"send_as", "may also send as", OUTPUT_ADDRESSES},
    {"password_ms", "password set", OUTPUT_TIME},
    {"scram", "SCRAM", OUTPUT_YES},
    {"totp", "one-time codes", OUTPUT_YES},
};

static const struct output_column mailbox_columns[] = {
    {"name", "MAILBOX", OUTPUT_TEXT},
    {"messages", "MESSAGES", OUTPUT_NUMBER},
    {"unseen", "UNSEEN", OUTPUT_NUMBER},
    {"size", "SIZE", OUTPUT_BYTES},
};

enum cli_exit cli_account_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountCreate create = PR__ACCOUNT_CREATE__INIT;
    const char *password = NULL;
    bool generated = false;

    if (cli_has(cli, OPTION_FILE)) {
        if (cli->argument_count == 0 && !cli_has(cli, OPTION_GENERATE) &&
            !cli_has(cli, OPTION_PASSWORD_FILE))
            return cli_account_add_file(cli);
        cli_fail("--file brings addresses and passwords; give nothing else with it");
        return CLI_USAGE;
    }
    if (cli->argument_count == 0) {
        cli_fail("\"account add\" needs ADDRESS or --file");
        return CLI_USAGE;
    }
    if (!cli_password(cli, &password, &generated))
        return CLI_FAILED;
    create.address = cli->arguments[0];
    create.password = arena_string(&cli->arena, bytes_of(password));
    create.weak = cli_has(cli, OPTION_WEAK);
    request.call_case = PR__REQUEST__CALL_ACCOUNT_CREATE;
    request.account_create = &create;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    uint64_t id = reply->outcome != NULL ? reply->outcome->id : 0;
    json_t *made = json_pack("{s:I}", "id", (json_int_t)id);
    output_add_address(made, "address", create.address);
    if (generated)
        CHECK(json_object_set_new(made, "password", json_string(password)) == 0);
    return output_done(cli, made, "account %s added%s%s", create.address,
                       generated ? "; its password is " : "", generated ? password : "");
}

enum cli_exit cli_account_password(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountSetPassword set = PR__ACCOUNT_SET_PASSWORD__INIT;
    const char *password = NULL;
    bool generated = false;

    if (!cli_password(cli, &password, &generated))
        return CLI_FAILED;
    set.address = cli->arguments[0];
    set.password = arena_string(&cli->arena, bytes_of(password));
    set.weak = cli_has(cli, OPTION_WEAK);
    request.call_case = PR__REQUEST__CALL_ACCOUNT_SET_PASSWORD;
    request.account_set_password = &set;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    output_add_address(made, "address", set.address);
    if (generated)
        CHECK(json_object_set_new(made, "password", json_string(password)) == 0);
    return output_done(cli, made, "account %s has a new password; its sessions have ended%s%s",
                       set.address, generated ? "; the password is " : "",
                       generated ? password : "");
}

enum cli_exit cli_account_remove(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountRemove remove = PR__ACCOUNT_REMOVE__INIT;

    remove.address = cli->arguments[0];
    if (!cli_confirm(cli, arena_printf(&cli->arena, "Remove %s?", remove.address)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_REMOVE;
    request.account_remove = &remove;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_LONG_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    return output_done(cli,
                       json_pack("{s:s, s:s}", "removed", remove.address, "text", reply->text),
                       "%s: %s", remove.address, reply->text);
}

enum cli_exit cli_account_list(struct cli *cli)
{
    Pr__AccountList ask = PR__ACCOUNT_LIST__INIT;
    json_t *rows = json_array();
    bool more = cli_domain_named(cli, &ask.domain);

    if (!more) {
        json_decref(rows);
        return CLI_FAILED;
    }
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_ACCOUNT_LIST;
        request.account_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_ACCOUNT_LIST) {
            json_decref(rows);
            return CLI_FAILED;
        }
        cli_remark(reply);
        const Pr__AccountListAnswer *answer = reply->account_list;
        for (size_t i = 0; i < answer->n_accounts; i++) {
            json_t *row = json_of_account(answer->accounts[i]);
            output_add(row, "barred_from", json_of_bars(answer->accounts[i]->bars));
            CHECK(json_array_append_new(rows, row) == 0);
            ask.after = answer->accounts[i]->address;
        }
        more = answer->more && answer->n_accounts > 0;
    }
    return output_list(cli, "accounts", rows, columns, OUTPUT_COUNT(columns));
}

const Pr__AccountShowAnswer *cli_account_fetch(struct cli *cli, const char *address)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountShow ask = PR__ACCOUNT_SHOW__INIT;

    ask.address = arena_string(&cli->arena, bytes_of(address));
    request.call_case = PR__REQUEST__CALL_ACCOUNT_SHOW;
    request.account_show = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_ACCOUNT_SHOW ||
        reply->account_show->account == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->account_show;
}

static void add_number(json_t *row, const char *key, uint64_t number)
{
    output_add(row, key, json_integer((json_int_t)number));
}

/* What it holds, and may hold. */
static void add_contents(json_t *made, const Pr__AccountShowAnswer *answer)
{
    json_t *mailboxes = json_array();

    for (size_t i = 0; i < answer->n_mailboxes; i++)
        CHECK(json_array_append_new(mailboxes, json_of_mailbox(answer->mailboxes[i])) == 0);
    if (answer->move != NULL) {
        add_number(made, "moves_to", answer->move->to);
        add_number(made, "moved_messages", answer->moved_messages);
    }
    add_number(made, "messages", answer->messages);
    add_number(made, "size", answer->size);
    output_add_quota(made, answer->quota); /* what is in force, not only what it has itself */
    add_number(made, "expunged", answer->expunged);
    add_number(made, "expunged_size", answer->expunged_size);
    output_add(made, "mailboxes", mailboxes);
}

/* What it may do, how it logs in, and where its mail goes. */
static void add_rights(json_t *made, const Pr__AccountShowAnswer *answer)
{
    const Pr__AccountRecord *account = answer->account;
    const Pr__AccountForward *forward = account->forward;
    const Pr__AccountSecrets *secrets = answer->secrets;

    output_add(made, "barred_from", json_of_bars(account->bars));
    output_add_addresses(made, "send_as", account->send_as, account->n_send_as);
    if (forward != NULL && forward->n_targets > 0) {
        output_add_addresses(made, "forward_to", forward->targets, forward->n_targets);
        output_add(made, "forward_keep", json_boolean(forward->keep));
    }
    output_add(made, "app_passwords", json_of_app_passwords(secrets));
    if (secrets == NULL)
        return;
    output_add(made, "scram", json_boolean(secrets->scram));
    output_add(made, "totp", json_boolean(secrets->totp));
    if (secrets->changed_ms > 0)
        add_number(made, "password_ms", secrets->changed_ms);
}

enum cli_exit cli_account_show(struct cli *cli)
{
    const Pr__AccountShowAnswer *answer = cli_account_fetch(cli, cli->arguments[0]);

    if (answer == NULL)
        return CLI_FAILED;
    json_t *made = json_of_account(answer->account);
    add_contents(made, answer);
    add_rights(made, answer);
    json_incref(made);
    enum cli_exit status = output_record(cli, made, show_columns, OUTPUT_COUNT(show_columns));
    if (!cli_has(cli, OPTION_JSON)) {
        const json_t *passwords = json_object_get(made, "app_passwords");
        putchar('\n');
        output_table(json_object_get(made, "mailboxes"), mailbox_columns,
                     OUTPUT_COUNT(mailbox_columns));
        if (json_array_size(passwords) > 0) {
            putchar('\n');
            output_table(passwords, output_app_passwords, output_app_passwords_count);
        }
    }
    json_decref(made);
    return status;
}
