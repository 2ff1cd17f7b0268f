/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store of the CLI's test of addresses, settings and queue answers; included by
 * test_cli_addresses.c alone. */

static void asked_texts(const char *before, char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        asked("%s%s", before, texts[i]);
}

static void asked_list(const Pr__ListSettings *list)
{
    if (list != NULL)
        asked(" owner=%s post=%d", list->owner, (int)list->post);
}

/* ---- aliases: a1 and a2 of b.test, and the list l ---- */

static Pr__AliasRecord *make_alias(struct arena *arena, const char *address, bool list)
{
    Pr__AliasRecord *alias = arena_alloc(arena, sizeof(*alias));

    pr__alias_record__init(alias);
    alias->address = text(arena, address);
    alias->tenant = text(arena, "t");
    alias->n_targets = 2;
    alias->targets = arena_alloc(arena, 2 * sizeof(*alias->targets));
    alias->targets[0] = text(arena, "x@b.test");
    alias->targets[1] = text(arena, "y@xn--bcher-kva.test");
    if (list) {
        alias->list = arena_alloc(arena, sizeof(*alias->list));
        pr__list_settings__init(alias->list);
        alias->list->owner = text(arena, "who@b.test");
    }
    return alias;
}

static void answer_aliases(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AliasList *ask = request->alias_list;
    Pr__AliasListAnswer *answer = arena_alloc(arena, sizeof(*answer));
    bool first = ask->after[0] == '\0';
    const char *address = ask->address[0] != '\0' ? ask->address
                          : first                 ? "a1@b.test"
                                                  : "a2@b.test";

    pr__alias_list_answer__init(answer);
    if (ask->address[0] == '\0')
        asked("alias_list %s after=%s", ask->domain, ask->after);
    answer->more = ask->address[0] == '\0' && first;
    if (strncmp(address, "none", 4) != 0 && (address[0] == 'l') == ask->lists) {
        answer->n_aliases = 1;
        answer->aliases = arena_alloc(arena, sizeof(*answer->aliases));
        answer->aliases[0] = make_alias(arena, address, ask->lists);
    }
    reply->answer_case = PR__REPLY__ANSWER_ALIAS_LIST;
    reply->alias_list = answer;
}

static void answer_alias_add(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AliasAdd *add = request->alias_add;

    (void)reply;
    (void)arena;
    asked("alias_add %s", add->address);
    asked_texts(" ", add->targets, add->n_targets);
    asked_list(add->list);
}

static void answer_alias_change(const Pr__Request *request, Pr__Reply *reply,
                                struct arena *arena)
{
    const Pr__AliasChange *change = request->alias_change;

    (void)reply;
    (void)arena;
    asked("alias_change %s", change->address);
    asked_texts(" +", change->add, change->n_add);
    asked_texts(" -", change->remove, change->n_remove);
    if (change->disabled != NULL)
        asked(" disabled=%d", change->disabled->on);
    asked_list(change->list);
}

static void answer_alias_remove(const Pr__Request *request, Pr__Reply *reply,
                                struct arena *arena)
{
    (void)reply;
    (void)arena;
    asked("alias_remove %s", request->alias_remove->address);
}

/* ---- an account with everything ---- */

static void answer_alter(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AccountAlter *alter = request->account_alter;

    (void)reply;
    (void)arena;
    asked("alter %s", alter->address);
    if (alter->forward != NULL) {
        asked(" forward=");
        for (size_t i = 0; i < alter->forward->n_targets; i++)
            asked("%s,", alter->forward->targets[i]);
        asked("%s", alter->forward->keep ? " keep" : "");
    } else if (alter->send_as_add == NULL && alter->send_as_remove == NULL) {
        asked(" set=%u clear=%u", alter->bars_set, alter->bars_clear);
    }
    if (alter->send_as_add != NULL)
        asked_texts(" +", alter->send_as_add->texts, alter->send_as_add->n_texts);
    if (alter->send_as_remove != NULL)
        asked_texts(" -", alter->send_as_remove->texts, alter->send_as_remove->n_texts);
}

static Pr__AccountSecrets *make_secrets(struct arena *arena)
{
    static const char *const names[] = {"twice", "tablet", "twice"};
    Pr__AccountSecrets *secrets = arena_alloc(arena, sizeof(*secrets));

    pr__account_secrets__init(secrets);
    secrets->totp = true;
    secrets->n_app_passwords = 3;
    secrets->app_passwords = arena_alloc(arena, 3 * sizeof(*secrets->app_passwords));
    for (size_t i = 0; i < 3; i++) {
        Pr__AppPassword *password = arena_alloc(arena, sizeof(*password));
        pr__app_password__init(password);
        password->id = i + 7;
        password->name = text(arena, names[i]);
        secrets->app_passwords[i] = password;
    }
    return secrets;
}

static void answer_show(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__AccountShowAnswer *answer = arena_alloc(arena, sizeof(*answer));
    Pr__AccountRecord *account = arena_alloc(arena, sizeof(*account));

    asked("show %s", request->account_show->address);
    pr__account_show_answer__init(answer);
    pr__account_record__init(account);
    account->address = request->account_show->address;
    account->bars = PR__ACCOUNT_BAR__BAR_SEND | PR__ACCOUNT_BAR__BAR_RECEIVE;
    account->n_send_as = 1;
    account->send_as = arena_alloc(arena, sizeof(*account->send_as));
    account->send_as[0] = text(arena, "@c.test");
    answer->account = account;
    answer->secrets = make_secrets(arena);
    reply->answer_case = PR__REPLY__ANSWER_ACCOUNT_SHOW;
    reply->account_show = answer;
}

static void answer_app_make(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AppPasswordMake *make = request->app_password_make;

    asked("app_make %s %s %u", make->address, make->name, make->scopes);
    reply->answer_case = PR__REPLY__ANSWER_APP_PASSWORD_MAKE;
    reply->app_password_make = arena_alloc(arena, sizeof(*reply->app_password_make));
    pr__app_password_make_answer__init(reply->app_password_make);
    reply->app_password_make->password = text(arena, "abcd-efgh");
}

static void answer_app_remove(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    (void)reply;
    (void)arena;
    asked("app_remove %s %llu", request->app_password_remove->address,
          (unsigned long long)request->app_password_remove->id);
}

static void answer_totp(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    asked("totp %s %s", request->totp_make->address, request->totp_make->off ? "off" : "on");
    reply->answer_case = PR__REPLY__ANSWER_TOTP_MAKE;
    reply->totp_make = arena_alloc(arena, sizeof(*reply->totp_make));
    pr__totp_make_answer__init(reply->totp_make);
    reply->totp_make->secret = text(arena, "KEY");
    reply->totp_make->uri = text(arena, "otpauth://totp/x");
}

/* ---- a domain with a catch-all and a separator of its own ---- */

static void answer_domain(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__DomainRecord *domain = arena_alloc(arena, sizeof(*domain));
    Pr__DomainRouting *routing = arena_alloc(arena, sizeof(*routing));
    Pr__TextValue *marks = arena_alloc(arena, sizeof(*marks));

    asked("domain_show %s", request->domain_show->name);
    pr__domain_record__init(domain);
    pr__domain_routing__init(routing);
    pr__text_value__init(marks);
    domain->name = request->domain_show->name;
    domain->tenant = text(arena, strcmp(domain->name, "t2.test") == 0 ? "t2" : "");
    domain->routing = routing;
    routing->n_catch_all = 1;
    routing->catch_all = arena_alloc(arena, sizeof(*routing->catch_all));
    routing->catch_all[0] = text(arena, "c@b.test");
    routing->separators = marks;
    marks->text = text(arena, "-");
    reply->answer_case = PR__REPLY__ANSWER_DOMAIN_SHOW;
    reply->domain_show = arena_alloc(arena, sizeof(*reply->domain_show));
    pr__domain_show_answer__init(reply->domain_show);
    reply->domain_show->domain = domain;
}

static void answer_route(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__DomainRouting *routing = request->domain_route->routing;

    (void)reply;
    (void)arena;
    asked("route %s", request->domain_route->name);
    if (routing == NULL) {
        asked(" nothing");
        return;
    }
    if (routing->alias_of[0] != '\0')
        asked(" alias=%s", routing->alias_of);
    if (routing->n_catch_all > 0)
        asked(" all=");
    for (size_t i = 0; i < routing->n_catch_all; i++)
        asked("%s,", routing->catch_all[i]);
    if (routing->forward_to[0] != '\0')
        asked(" to=%s", routing->forward_to);
    if (routing->separators != NULL)
        asked(" marks=%s", routing->separators->text);
}

static void answer_explain(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__AddressExplain *ask = request->address_explain;
    Pr__AddressExplainAnswer *answer = arena_alloc(arena, sizeof(*answer));

    asked("explain %s from=%s", ask->address, ask->sender);
    pr__address_explain_answer__init(answer);
    answer->resolved = arena_alloc(arena, sizeof(*answer->resolved));
    pr__resolve_answer__init(answer->resolved);
    answer->err = strncmp(ask->address, "a@", 2) == 0 ? ERR_DENIED : ERR_OK;
    answer->resolved->domain_local = strstr(ask->address, "@none.test") == NULL;
    answer->resolved->trouble = PR__RESOLVE_ANSWER__TROUBLE__LIST_CLOSED;
    answer->n_steps = 2;
    answer->steps = arena_alloc(arena, 2 * sizeof(*answer->steps));
    answer->steps[0] = text(arena, "first");
    answer->steps[1] = text(arena, "second");
    reply->answer_case = PR__REPLY__ANSWER_ADDRESS_EXPLAIN;
    reply->address_explain = answer;
}

/* ---- settings ---- */

static void answer_put(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__SettingPut *put = request->setting_put;

    (void)reply;
    (void)arena;
    asked("put %d %s %s=%s", (int)put->scope, put->scope_name, put->setting->name,
          put->setting->value);
}

static void answer_settings(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    Pr__SettingListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    asked("settings %d %s", (int)request->setting_list->scope,
          request->setting_list->scope_name);
    pr__setting_list_answer__init(answer);
    answer->n_settings = 1;
    answer->settings = arena_alloc(arena, sizeof(*answer->settings));
    answer->settings[0] = arena_alloc(arena, sizeof(**answer->settings));
    pr__setting__init(answer->settings[0]);
    answer->settings[0]->name = text(arena, "mail.full");
    answer->settings[0]->value = text(arena, "permanent");
    reply->answer_case = PR__REPLY__ANSWER_SETTING_LIST;
    reply->setting_list = answer;
}

/* ---- the queue: 2/17 and 3/1, a message a page ---- */

#define QUEUED_TRACE "01kap5w8p0abcdefgh0123456j"

static Pr__QueueRecord *make_queued(struct arena *arena, uint64_t id)
{
    struct request_id *delivery = arena_alloc(arena, sizeof(*delivery));
    Pr__QueueRecord *record = arena_alloc(arena, sizeof(*record));

    pr__queue_record__init(record);
    record->id = id;
    CHECK(request_id_parse(BYTES(QUEUED_TRACE), delivery));
    record->delivery_id = (ProtobufCBinaryData){sizeof(delivery->bytes), delivery->bytes};
    record->n_recipients = 1;
    record->recipients = arena_alloc(arena, sizeof(*record->recipients));
    record->recipients[0] = arena_alloc(arena, sizeof(**record->recipients));
    pr__queue_recipient__init(record->recipients[0]);
    record->recipients[0]->address = text(arena, "x@c.test");
    record->recipients[0]->last_reply = text(arena, "no such host");
    record->n_destinations = 1;
    record->destinations = arena_alloc(arena, sizeof(*record->destinations));
    record->destinations[0] = arena_alloc(arena, sizeof(**record->destinations));
    pr__queue_destination__init(record->destinations[0]);
    record->destinations[0]->domain = text(arena, "c.test");
    return record;
}

static void answer_queue(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__QueueList *ask = request->queue_list;
    Pr__QueueListAnswer *answer = arena_alloc(arena, sizeof(*answer));
    bool first = ask->after_group == 0 || ask->id != 0;
    char trace_text[REQUEST_ID_TEXT_SIZE];
    struct request_id trace;

    pr__queue_list_answer__init(answer);
    if (ask->id == 0)
        asked("queue %s %s %llu/%llu", ask->sender, ask->domain,
              (unsigned long long)ask->after_group, (unsigned long long)ask->after_id);
    if (ask->delivery_id.len == sizeof(trace.bytes)) {
        memcpy(trace.bytes, ask->delivery_id.data, sizeof(trace.bytes));
        request_id_format(&trace, trace_text);
        asked(" trace=%s", trace_text);
    }
    if (ask->id != 99) {
        answer->n_messages = answer->n_groups = 1;
        answer->messages = arena_alloc(arena, sizeof(*answer->messages));
        answer->groups = arena_alloc(arena, sizeof(*answer->groups));
        answer->messages[0] = make_queued(arena, first ? 17 : 1);
        answer->groups[0] = first ? 2 : 3;
    }
    answer->more = first && ask->id == 0;
    answer->after_group = 2;
    answer->after_id = 17;
    reply->answer_case = PR__REPLY__ANSWER_QUEUE_LIST;
    reply->queue_list = answer;
}

static void answer_queue_alter(const Pr__Request *request, Pr__Reply *reply,
                               struct arena *arena)
{
    const Pr__QueueChange *change = request->queue_alter->change;

    asked("queue_alter %u", request->queue_alter->group);
    for (size_t i = 0; i < change->n_ids; i++)
        asked(" %llu", (unsigned long long)change->ids[i]);
    asked(" action=%d %s", (int)change->action, change->reason);
    reply->answer_case = PR__REPLY__ANSWER_QUEUE_ALTER;
    reply->queue_alter = arena_alloc(arena, sizeof(*reply->queue_alter));
    pr__queue_alter_answer__init(reply->queue_alter);
    reply->queue_alter->changed = change->ids[0] == 404 ? 0 : (uint32_t)change->n_ids;
}

/* ---- senders' domains: one, and none ---- */

static void answer_senders(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__SenderDomainList *ask = request->sender_domain_list;
    Pr__SenderDomainListAnswer *answer = arena_alloc(arena, sizeof(*answer));

    asked("senders %s", ask->name);
    pr__sender_domain_list_answer__init(answer);
    answer->n_domains = strcmp(ask->name, "none.test") != 0;
    answer->domains = arena_alloc(arena, sizeof(*answer->domains));
    answer->domains[0] = arena_alloc(arena, sizeof(**answer->domains));
    pr__sender_domain__init(answer->domains[0]);
    answer->domains[0]->name = text(arena, "xn--bcher-kva.test");
    answer->domains[0]->verdict = PR__SENDER_DOMAIN_VERDICT__SENDER_DOMAIN_SUSPECT;
    reply->answer_case = PR__REPLY__ANSWER_SENDER_DOMAIN_LIST;
    reply->sender_domain_list = answer;
}

static void answer_sender_put(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    const Pr__SenderDomain *domain = request->sender_domain_put->domains[0];

    (void)reply;
    (void)arena;
    asked("sender_put %s %d %s", domain->name, (int)domain->verdict, domain->reason);
}

static const struct {
    Pr__Request__CallCase call;
    void (*answer)(const Pr__Request *request, Pr__Reply *reply, struct arena *arena);
} answers[] = {
    {PR__REQUEST__CALL_ALIAS_LIST, answer_aliases},
    {PR__REQUEST__CALL_ALIAS_ADD, answer_alias_add},
    {PR__REQUEST__CALL_ALIAS_CHANGE, answer_alias_change},
    {PR__REQUEST__CALL_ALIAS_REMOVE, answer_alias_remove},
    {PR__REQUEST__CALL_ACCOUNT_ALTER, answer_alter},
    {PR__REQUEST__CALL_ACCOUNT_SHOW, answer_show},
    {PR__REQUEST__CALL_APP_PASSWORD_MAKE, answer_app_make},
    {PR__REQUEST__CALL_APP_PASSWORD_REMOVE, answer_app_remove},
    {PR__REQUEST__CALL_TOTP_MAKE, answer_totp},
    {PR__REQUEST__CALL_DOMAIN_SHOW, answer_domain},
    {PR__REQUEST__CALL_DOMAIN_ROUTE, answer_route},
    {PR__REQUEST__CALL_ADDRESS_EXPLAIN, answer_explain},
    {PR__REQUEST__CALL_SETTING_PUT, answer_put},
    {PR__REQUEST__CALL_SETTING_LIST, answer_settings},
    {PR__REQUEST__CALL_SENDER_DOMAIN_LIST, answer_senders},
    {PR__REQUEST__CALL_SENDER_DOMAIN_PUT, answer_sender_put},
    {PR__REQUEST__CALL_QUEUE_LIST, answer_queue},
    {PR__REQUEST__CALL_QUEUE_ALTER, answer_queue_alter},
};

static bool answer_call(const Pr__Request *request, Pr__Reply *reply, struct arena *arena)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (answers[i].call == request->call_case) {
            answers[i].answer(request, reply, arena);
            return true;
        }
    }
    return false;
}
