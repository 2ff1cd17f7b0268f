/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Second secrets of accounts. */
#include "admin/cli/output.h"
#include "node/base/check.h"

enum { FOR_IMAP = 1, FOR_SUBMISSION = 2 };

const struct output_column output_app_passwords[] = {
    {"id", "ID", OUTPUT_NUMBER},
    {"name", "APP PASSWORD", OUTPUT_TEXT},
    {"for", "FOR", OUTPUT_TEXTS},
    {"created_ms", "MADE", OUTPUT_TIME},
};
const size_t output_app_passwords_count = OUTPUT_COUNT(output_app_passwords);

json_t *json_of_app_passwords(const Pr__AccountSecrets *secrets)
{
    json_t *rows = json_array();

    for (size_t i = 0; secrets != NULL && i < secrets->n_app_passwords; i++) {
        const Pr__AppPassword *password = secrets->app_passwords[i];
        json_t *row = json_object();
        json_t *scopes = json_array();
        if (password->scopes == 0 || (password->scopes & FOR_IMAP) != 0)
            CHECK(json_array_append_new(scopes, json_string("imap")) == 0);
        if (password->scopes == 0 || (password->scopes & FOR_SUBMISSION) != 0)
            CHECK(json_array_append_new(scopes, json_string("submission")) == 0);
        output_add(row, "id", json_integer((json_int_t)password->id));
        output_add(row, "name", json_of_text(password->name));
        output_add(row, "for", scopes);
        output_add(row, "created_ms", json_integer((json_int_t)password->created_ms));
        CHECK(json_array_append_new(rows, row) == 0);
    }
    return rows;
}

/* "imap,submission"; false after a message. */
static bool read_scopes(const struct cli *cli, uint32_t *scopes)
{
    struct bytes rest = bytes_of(cli->options[OPTION_FOR]);

    *scopes = 0;
    if (!cli_has(cli, OPTION_FOR))
        return true;
    while (rest.len > 0) {
        size_t comma = bytes_find(rest, ',');
        struct bytes word = bytes_from(rest.at, comma);
        rest = bytes_skip(rest, comma < rest.len ? comma + 1 : comma);
        if (bytes_equal(word, BYTES("imap")))
            *scopes |= FOR_IMAP;
        else if (bytes_equal(word, BYTES("submission")))
            *scopes |= FOR_SUBMISSION;
        else
            *scopes = UINT32_MAX;
    }
    if (*scopes > 0 && *scopes <= (FOR_IMAP | FOR_SUBMISSION))
        return true;
    cli_fail("--for takes imap, submission, or both with a comma between");
    return false;
}

enum cli_exit cli_app_password_add(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AppPasswordMake make = PR__APP_PASSWORD_MAKE__INIT;

    make.address = cli->arguments[0];
    make.name = cli->arguments[1];
    if (!read_scopes(cli, &make.scopes))
        return CLI_USAGE;
    request.call_case = PR__REQUEST__CALL_APP_PASSWORD_MAKE;
    request.app_password_make = &make;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return CLI_FAILED;
    if (reply->answer_case != PR__REPLY__ANSWER_APP_PASSWORD_MAKE)
        return cli_fail("the store gave another answer");
    const Pr__AppPasswordMakeAnswer *made = reply->app_password_make;
    json_t *shown = json_pack("{s:I, s:o, s:s}", "id", (json_int_t)made->id, "name",
                              json_of_text(make.name), "password", made->password);
    CHECK(shown != NULL);
    output_add_address(shown, "address", make.address);
    return output_done(cli, shown,
                       "app password %llu (%s) of %s: %s\nit is shown this once; it needs no "
                       "one-time code",
                       (unsigned long long)made->id, make.name, make.address, made->password);
}

enum cli_exit cli_app_password_list(struct cli *cli)
{
    const Pr__AccountShowAnswer *answer = cli_account_fetch(cli, cli->arguments[0]);

    if (answer == NULL)
        return CLI_FAILED;
    return output_list(cli, cli_has(cli, OPTION_JSON) ? "app_passwords" : "app passwords",
                       json_of_app_passwords(answer->secrets), output_app_passwords,
                       output_app_passwords_count);
}

/* By its number, or by a name that one alone has. 0 after a message. */
static uint64_t find_app_password(struct cli *cli, const char *typed)
{
    const Pr__AccountShowAnswer *answer = cli_account_fetch(cli, cli->arguments[0]);
    uint64_t number = 0;
    uint64_t found = 0;
    unsigned named = 0;

    if (answer == NULL)
        return 0;
    bool is_number = bytes_to_u64(bytes_of(typed), &number);
    for (size_t i = 0; answer->secrets != NULL && i < answer->secrets->n_app_passwords; i++) {
        const Pr__AppPassword *password = answer->secrets->app_passwords[i];
        if (is_number && password->id == number)
            return number;
        if (strcmp(password->name, typed) == 0) {
            found = password->id;
            named++;
        }
    }
    if (named == 1)
        return found;
    cli_fail(named == 0 ? "%s has no app password \"%s\"; `postraft account app-password list` "
                          "shows those it has"
                        : "%s has several app passwords \"%s\": give the number of one",
             cli->arguments[0], typed);
    return 0;
}

enum cli_exit cli_app_password_remove(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AppPasswordRemove remove = PR__APP_PASSWORD_REMOVE__INIT;

    remove.address = cli->arguments[0];
    remove.id = find_app_password(cli, cli->arguments[1]);
    if (remove.id == 0 ||
        !cli_confirm(cli, arena_printf(&cli->arena, "Remove the app password %s of %s?",
                                       cli->arguments[1], remove.address)))
        return CLI_FAILED;
    request.call_case = PR__REQUEST__CALL_APP_PASSWORD_REMOVE;
    request.app_password_remove = &remove;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    return output_done(cli, json_pack("{s:I}", "removed", (json_int_t)remove.id),
                       "app password %s of %s removed", cli->arguments[1], remove.address);
}

static const Pr__TotpMakeAnswer *totp_call(struct cli *cli, bool off)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__TotpMake make = PR__TOTP_MAKE__INIT;

    make.address = cli->arguments[0];
    make.off = off;
    request.call_case = PR__REQUEST__CALL_TOTP_MAKE;
    request.totp_make = &make;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case == PR__REPLY__ANSWER_TOTP_MAKE)
        return reply->totp_make;
    cli_fail("the store gave another answer");
    return NULL;
}

enum cli_exit cli_totp_on(struct cli *cli)
{
    const Pr__AccountShowAnswer *answer = cli_account_fetch(cli, cli->arguments[0]);

    if (answer == NULL)
        return CLI_FAILED;
    if (answer->secrets != NULL && answer->secrets->totp &&
        !cli_confirm(cli, arena_printf(&cli->arena,
                                       "%s has a key already, which then counts no longer. "
                                       "Make a new one?",
                                       cli->arguments[0])))
        return CLI_FAILED;
    const Pr__TotpMakeAnswer *made = totp_call(cli, false);
    if (made == NULL)
        return CLI_FAILED;
    json_t *shown =
        json_pack("{s:b, s:s, s:s}", "totp", 1, "secret", made->secret, "uri", made->uri);
    CHECK(shown != NULL);
    output_add_address(shown, "address", cli->arguments[0]);
    return output_done(
        cli, shown,
        "%s now logs in with its password and a code of six digits behind it, or "
        "with app passwords\nkey: %s\n%s\nboth are shown this once",
        cli->arguments[0], made->secret, made->uri);
}

enum cli_exit cli_totp_off(struct cli *cli)
{
    if (totp_call(cli, true) == NULL)
        return CLI_FAILED;
    json_t *shown = json_pack("{s:b}", "totp", 0);
    output_add_address(shown, "address", cli->arguments[0]);
    return output_done(cli, shown, "%s logs in without one-time codes", cli->arguments[0]);
}
