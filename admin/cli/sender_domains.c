/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains that mail came from, and what the cluster thinks of them. */
#include "admin/cli/output.h"
#include "node/base/check.h"

static const struct {
    const char *word;
    Pr__SenderDomainVerdict verdict;
} verdicts[] = {
    {"checking", PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING},
    {"good", PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_GOOD},
    {"suspect", PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT},
    {"bad", PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_BAD},
};
#define VERDICTS (sizeof(verdicts) / sizeof(verdicts[0]))

static const struct output_column columns[] = {
    {"name", "DOMAIN", OUTPUT_ADDRESS},      {"verdict", "VERDICT", OUTPUT_TEXT},
    {"first_ms", "FIRST SEEN", OUTPUT_TIME}, {"judged_ms", "JUDGED", OUTPUT_TIME},
    {"seen_ms", "LAST SEEN", OUTPUT_TIME},   {"reason", "WHY", OUTPUT_TEXT},
};

static json_t *json_of_sender(const Pr__SenderDomain *domain)
{
    json_t *made = json_object();
    const char *word = "unknown";

    for (size_t i = 0; i < VERDICTS; i++)
        if (verdicts[i].verdict == domain->verdict)
            word = verdicts[i].word;
    output_add_address(made, "name", domain->name);
    output_add(made, "verdict", json_string(word));
    output_add(made, "first_ms", json_integer((json_int_t)domain->first_ms));
    output_add(made, "judged_ms", json_integer((json_int_t)domain->judged_ms));
    output_add(made, "seen_ms", json_integer((json_int_t)domain->seen_ms));
    output_add(made, "reason", json_of_text(domain->reason));
    return made;
}

enum cli_exit cli_sender_list(struct cli *cli)
{
    Pr__SenderDomainList ask = PR__SENDER_DOMAIN_LIST__INIT;
    json_t *rows = json_array();
    bool more = true;

    if (cli->argument_count > 0)
        ask.name = cli->arguments[0];
    while (more) {
        Pr__Request request = PR__REQUEST__INIT;
        request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_LIST;
        request.sender_domain_list = &ask;
        const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
        if (reply == NULL || reply->answer_case != PR__REPLY__ANSWER_SENDER_DOMAIN_LIST) {
            json_decref(rows);
            return CLI_FAILED;
        }
        cli_remark(reply);
        const Pr__SenderDomainListAnswer *answer = reply->sender_domain_list;
        for (size_t i = 0; i < answer->n_domains; i++) {
            CHECK(json_array_append_new(rows, json_of_sender(answer->domains[i])) == 0);
            ask.after = answer->domains[i]->name;
        }
        more = answer->more && answer->n_domains > 0;
    }
    return output_list(cli, cli_has(cli, OPTION_JSON) ? "sender_domains" : "domains", rows,
                       columns, OUTPUT_COUNT(columns));
}

enum cli_exit cli_sender_set(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__SenderDomainPut put = PR__SENDER_DOMAIN_PUT__INIT;
    Pr__SenderDomain domain = PR__SENDER_DOMAIN__INIT;
    Pr__SenderDomain *domains[] = {&domain};
    size_t i = 0;

    while (i < VERDICTS && strcmp(verdicts[i].word, cli->arguments[1]) != 0)
        i++;
    if (i == VERDICTS)
        return cli_fail("a domain is good, suspect or bad; checking has it looked at anew"),
               CLI_USAGE;
    domain.name = cli->arguments[0];
    domain.verdict = verdicts[i].verdict;
    if (cli_has(cli, OPTION_REASON))
        domain.reason = arena_string(&cli->arena, bytes_of(cli->options[OPTION_REASON]));
    put.domains = domains;
    put.n_domains = 1;
    request.call_case = PR__REQUEST__CALL_SENDER_DOMAIN_PUT;
    request.sender_domain_put = &put;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    json_t *made = json_pack("{s:s}", "verdict", verdicts[i].word);
    output_add_address(made, "name", domain.name);
    if (domain.verdict == PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_CHECKING)
        return output_done(cli, made, "%s is looked at anew when mail from it comes",
                           domain.name);
    return output_done(cli, made, "mail from %s is taken to be %s", domain.name,
                       verdicts[i].word);
}
