/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a domain's mail goes, beside its accounts and aliases; and where an address's does. */
#include <stdio.h>

#include "admin/cli/output.h"
#include "node/base/check.h"

void output_add_routing(json_t *row, const Pr__DomainRouting *routing)
{
    if (routing == NULL)
        return;
    if (routing->alias_of[0] != '\0')
        output_add_address(row, "alias_of", routing->alias_of);
    if (routing->n_catch_all > 0)
        output_add_addresses(row, "catch_all", routing->catch_all, routing->n_catch_all);
    if (routing->forward_to[0] != '\0')
        output_add_address(row, "forward_to", routing->forward_to);
    if (routing->separators != NULL)
        output_add(row, "separators",
                   json_of_text(routing->separators->text[0] != '\0' ? routing->separators->text
                                                                     : "none"));
}

const Pr__DomainRecord *cli_domain_fetch(struct cli *cli, const char *name)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainShow ask = PR__DOMAIN_SHOW__INIT;

    ask.name = arena_string(&cli->arena, bytes_of(name));
    request.call_case = PR__REQUEST__CALL_DOMAIN_SHOW;
    request.domain_show = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_DOMAIN_SHOW ||
        reply->domain_show->domain == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    return reply->domain_show->domain;
}

bool cli_domain_named(struct cli *cli, char **name)
{
    bool argument = cli->argument_count > 0;

    if (argument && cli_has(cli, OPTION_DOMAIN)) {
        cli_fail("name the domain once");
        return false;
    }
    if (!argument && !cli_has(cli, OPTION_DOMAIN))
        return true;
    const Pr__DomainRecord *domain =
        cli_domain_fetch(cli, argument ? cli->arguments[0] : cli->options[OPTION_DOMAIN]);
    if (domain == NULL)
        return false;
    *name = domain->name;
    return true;
}

/* The options over what is there: an alias of another domain has nothing else, and unknown
 * addresses go one way. */
static bool read_routing(struct cli *cli, Pr__DomainRouting *routing, Pr__TextValue *marks)
{
    bool catch_all = cli_has(cli, OPTION_CATCH_ALL);
    bool forward = cli_has(cli, OPTION_FORWARD_TO);

    if (cli_has(cli, OPTION_NONE) + cli_has(cli, OPTION_ALIAS_OF) + catch_all + forward > 1) {
        cli_fail("--alias-of, --catch-all, --forward-to and --none exclude each other");
        return false;
    }
    if (cli_has(cli, OPTION_ALIAS_OF)) {
        pr__domain_routing__init(routing);
        routing->alias_of = arena_string(&cli->arena, bytes_of(cli->options[OPTION_ALIAS_OF]));
    } else if (cli_has(cli, OPTION_NONE)) {
        pr__domain_routing__init(routing);
    } else {
        routing->alias_of = arena_string(&cli->arena, bytes_of(NULL));
    }
    if (catch_all || forward) {
        routing->n_catch_all = 0;
        routing->forward_to = arena_string(&cli->arena, bytes_of(NULL));
    }
    if (catch_all)
        routing->catch_all = cli_values(cli, OPTION_CATCH_ALL, &routing->n_catch_all);
    if (forward)
        routing->forward_to =
            arena_string(&cli->arena, bytes_of(cli->options[OPTION_FORWARD_TO]));
    if (!cli_has(cli, OPTION_SEPARATORS))
        return true;
    const char *text = cli->options[OPTION_SEPARATORS];
    marks->text = arena_string(&cli->arena, bytes_of(strcmp(text, "none") == 0 ? "" : text));
    routing->separators = strcmp(text, "default") == 0 ? NULL : marks;
    return true;
}

static const struct output_column routing_columns[] = {
    {"name", "domain", OUTPUT_ADDRESS},
    {"alias_of", "alias of", OUTPUT_ADDRESS},
    {"catch_all", "catch-all", OUTPUT_ADDRESSES},
    {"forward_to", "forwarded to", OUTPUT_ADDRESS},
    {"separators", "separators", OUTPUT_TEXT},
};

static enum cli_exit show_routing(struct cli *cli, const Pr__DomainRecord *domain)
{
    json_t *made = json_object();

    output_add_address(made, "name", domain->name);
    output_add_routing(made, domain->routing);
    return output_record(cli, made, routing_columns, OUTPUT_COUNT(routing_columns));
}

enum cli_exit cli_domain_route(struct cli *cli)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__DomainRoute route = PR__DOMAIN_ROUTE__INIT;
    Pr__DomainRouting routing = PR__DOMAIN_ROUTING__INIT;
    Pr__TextValue marks = PR__TEXT_VALUE__INIT;
    const Pr__DomainRecord *domain = cli_domain_fetch(cli, cli->arguments[0]);

    if (domain == NULL)
        return CLI_FAILED;
    if (!cli_has(cli, OPTION_ALIAS_OF) && !cli_has(cli, OPTION_CATCH_ALL) &&
        !cli_has(cli, OPTION_FORWARD_TO) && !cli_has(cli, OPTION_SEPARATORS) &&
        !cli_has(cli, OPTION_NONE))
        return show_routing(cli, domain);
    if (domain->routing != NULL)
        routing = *domain->routing;
    if (!read_routing(cli, &routing, &marks))
        return CLI_USAGE;
    bool empty = routing.alias_of[0] == '\0' && routing.n_catch_all == 0 &&
                 routing.forward_to[0] == '\0' && routing.separators == NULL;
    route.name = cli->arguments[0];
    route.routing = empty ? NULL : &routing;
    request.call_case = PR__REQUEST__CALL_DOMAIN_ROUTE;
    request.domain_route = &route;
    if (cli_call(cli, &request, CLI_CALL_MS) == NULL)
        return CLI_FAILED;
    domain = cli_domain_fetch(cli, cli->arguments[0]);
    return domain != NULL ? show_routing(cli, domain) : CLI_FAILED;
}

/* ---- where would it go ---- */

static const struct {
    enum err err;
    const char *word;
    const char *sentence;
} results[] = {
    {ERR_OK, "accepted", "mail is accepted"},
    {ERR_NOTFOUND, "unknown", "mail is refused: nobody has this address"},
    {ERR_DENIED, "refused", "mail is refused"},
};

static const char *result_of(const Pr__AddressExplainAnswer *answer, bool words)
{
    static const char *const troubles[] = {
        NULL,
        "mail is refused: it is disabled, or a list without members",
        "mail is refused: this sender may not write to the list",
        "mail is refused: it leads back to itself, or to too many addresses",
        "mail is refused: it would leave the cluster, and mail.outbound or mail.forward do not "
        "let it",
    };
    unsigned trouble = (unsigned)answer->resolved->trouble;

    if (answer->err == ERR_NOTFOUND && !answer->resolved->domain_local)
        return words ? "mail is refused: the domain is not ours" : "not-ours";
    if (words && answer->err == ERR_DENIED && trouble > 0 &&
        trouble < sizeof(troubles) / sizeof(troubles[0]))
        return troubles[trouble];
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].err == (enum err)answer->err)
            return words ? results[i].sentence : results[i].word;
    return err_text((enum err)answer->err);
}

static json_t *json_of_targets(const Pr__ResolveAnswer *resolved)
{
    json_t *targets = json_array();

    for (size_t i = 0; i < resolved->n_targets; i++) {
        const Pr__ResolvedTarget *target = resolved->targets[i];
        json_t *made = json_object();
        if (target->account_id != 0)
            output_add(made, "account_id", json_integer((json_int_t)target->account_id));
        else
            output_add_address(made, "remote", target->remote);
        if (target->sender[0] != '\0')
            output_add(made, "sender", json_of_text(target->sender));
        CHECK(json_array_append_new(targets, made) == 0);
    }
    return targets;
}

/* NULL after a message. */
static const Pr__AddressExplainAnswer *fetch_explain(struct cli *cli, const char *address,
                                                     const char *sender)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AddressExplain ask = PR__ADDRESS_EXPLAIN__INIT;

    ask.address = arena_string(&cli->arena, bytes_of(address));
    ask.sender = arena_string(&cli->arena, bytes_of(sender));
    request.call_case = PR__REQUEST__CALL_ADDRESS_EXPLAIN;
    request.address_explain = &ask;
    const Pr__Reply *reply = cli_call(cli, &request, CLI_CALL_MS);
    if (reply == NULL)
        return NULL;
    if (reply->answer_case != PR__REPLY__ANSWER_ADDRESS_EXPLAIN ||
        reply->address_explain->resolved == NULL) {
        cli_fail("the store gave another answer");
        return NULL;
    }
    cli_remark(reply);
    return reply->address_explain;
}

void cli_refused_remark(struct cli *cli, const char *address)
{
    const Pr__AddressExplainAnswer *answer = fetch_explain(cli, address, NULL);

    if (answer != NULL && answer->err != ERR_OK)
        fprintf(stderr, "postraft: as it is now, %s (`postraft address explain %s`)\n",
                result_of(answer, true), address);
}

bool cli_domain_is_ours(struct cli *cli, const char *domain)
{
    const Pr__AddressExplainAnswer *answer =
        fetch_explain(cli, arena_printf(&cli->arena, "postmaster@%s", domain), NULL);

    return answer != NULL && answer->resolved->domain_local;
}

enum cli_exit cli_address_explain(struct cli *cli)
{
    const char *address = cli->arguments[0];
    const Pr__AddressExplainAnswer *answer =
        fetch_explain(cli, address, cli->options[OPTION_FROM]);

    if (answer == NULL)
        return CLI_FAILED;
    json_t *made = json_object();
    json_t *steps = json_array();
    for (size_t i = 0; i < answer->n_steps; i++) {
        CHECK(json_array_append_new(steps, json_of_text(answer->steps[i])) == 0);
        if (!cli_has(cli, OPTION_JSON))
            printf("%3zu  %s\n", i + 1, answer->steps[i]);
    }
    output_add_address(made, "address", address);
    output_add(made, "result", json_string(result_of(answer, false)));
    output_add(made, "text", json_string(result_of(answer, true)));
    output_add(made, "permanent", json_boolean(answer->resolved->permanent));
    if (answer->resolved->list[0] != '\0')
        output_add_address(made, "list", answer->resolved->list);
    output_add(made, "targets", json_of_targets(answer->resolved));
    output_add(made, "steps", steps);
    return output_done(cli, made, "%s", result_of(answer, true));
}
