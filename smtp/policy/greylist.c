/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>

#include "node/base/check.h"
#include "smtp/policy/internal.h"

enum { GREYLIST_V4_BITS = 24 };

static void add(crypto_generichash_state *state, struct bytes text)
{
    const uint8_t len[2] = {(uint8_t)(text.len >> 8), (uint8_t)text.len};

    crypto_generichash_update(state, len, sizeof(len));
    crypto_generichash_update(state, text.at, text.len);
}

void greylist_key(const struct address *client, struct bytes sender_domain,
                  struct bytes recipient, uint8_t key[16])
{
    static const uint8_t purpose[] = "postraft greylist";
    struct address net = policy_net(client, GREYLIST_V4_BITS);
    crypto_generichash_state state;

    CHECK(crypto_generichash_init(&state, purpose, sizeof(purpose) - 1, 16) == 0);
    add(&state, bytes_from(net.bytes, sizeof(net.bytes)));
    add(&state, sender_domain);
    add(&state, recipient);
    crypto_generichash_final(&state, key, 16);
}

uint64_t greylist_ask(const struct policy_client *client,
                      const struct greylist_question *question, const struct settings *settings,
                      store_done *done, void *context)
{
    const struct policy_config *config = &client->policy->config;
    Pr__Request request;
    Pr__GreylistAsk call;
    uint8_t key[16];

    pr__request__init(&request);
    pr__greylist_ask__init(&call);
    greylist_key(&client->facts.client, question->sender_domain, question->recipient, key);
    call.account_id = question->account_id;
    call.group = question->group;
    call.key.data = key;
    call.key.len = sizeof(key);
    call.wait_ms = (uint64_t)setting_number(settings, SETTING_GREYLIST_WAIT);
    call.keep_ms = (uint64_t)setting_number(settings, SETTING_GREYLIST_KEEP);
    call.passed_keep_ms = (uint64_t)setting_number(settings, SETTING_GREYLIST_PASSED_KEEP);
    request.call_case = PR__REQUEST__CALL_GREYLIST_ASK;
    request.greylist_ask = &call;
    return store_call(config->store, &request, config->times->store_ms, done, context);
}

bool greylist_passed(enum err err, const Pr__Reply *reply)
{
    return err != ERR_OK || reply->err != ERR_OK ||
           reply->answer_case != PR__REPLY__ANSWER_GREYLIST || reply->greylist->passed;
}

bool client_skips_greylist(const struct policy_client *client, const struct settings *settings,
                           struct bytes sender_domain)
{
    const struct policy_facts *facts = &client->facts;
    struct bytes exempt = setting_text(settings, SETTING_GREYLIST_EXEMPT);

    if (!setting_on(settings, SETTING_JUDGE_GREYLIST_ENABLED) || facts->familiar ||
        policy_is_welcome(facts, settings))
        return true;
    return exempt.len > 0 && facts->reverse == POLICY_REVERSE_CONFIRMED &&
           settings_domains_have(exempt, sender_domain) &&
           settings_domains_have(exempt, bytes_of(facts->name));
}
