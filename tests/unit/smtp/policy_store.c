/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "storage/schema/sender_findings.h"
#include "unit/smtp/policy_lab.h"

struct lab_store lab_store;

struct call {
    struct call *next;
    uint64_t ticket;
    struct arena call_arena;
    Pr__Request *request;
    store_done *done;
    void *context;
};

struct store_client {
    struct loop *loop;
    struct call *calls;
    uint64_t newest;
    struct loop_timer *timer;
};

static struct store_client *the_client;

static void answer_all(void *context);

static void wake(struct store_client *client)
{
    if (client->timer == NULL)
        client->timer = loop_timer_start(client->loop, 0, 0, answer_all, client);
}

void lab_set(int scope, uint64_t id, const char *name, const char *value)
{
    unsigned at = lab_store.setting_count++;

    CHECK(at < LAB_SETTINGS_MAX);
    lab_store.settings[at].scope = scope;
    lab_store.settings[at].id = id;
    lab_store.settings[at].name = name;
    lab_store.settings[at].value = value;
    lab_store.version++;
    if (the_client != NULL)
        wake(the_client);
}

bool lab_is_polled(void *context)
{
    (void)context;
    for (const struct call *call = the_client->calls; call != NULL; call = call->next)
        if (call->request->call_case == PR__REQUEST__CALL_SETTINGS_READ &&
            call->request->settings_read->version == lab_store.version)
            return true;
    return lab_store.fails || lab_store.silent;
}

struct store_client *lab_store_open(struct loop *loop)
{
    the_client = calloc(1, sizeof(*the_client));
    CHECK(the_client != NULL);
    the_client->loop = loop;
    memset(&lab_store, 0, sizeof(lab_store));
    lab_store.version = 1;
    return the_client;
}

static void call_free(struct call *call)
{
    arena_fini(&call->call_arena);
    free(call);
    lab_store.open--;
}

void store_client_free(struct store_client **client)
{
    while ((*client)->calls != NULL) {
        struct call *call = (*client)->calls;
        (*client)->calls = call->next;
        call_free(call);
    }
    loop_timer_stop(&(*client)->timer);
    free(*client);
    *client = NULL;
    the_client = NULL;
}

struct loop *store_client_loop(const struct store_client *client)
{
    return client->loop;
}

void store_random(void *memory, size_t len)
{
    memset(memory, 7, len);
}

struct request_id store_request_id(void)
{
    static const uint8_t random[10];

    return request_id_make(clock_wall_ms(), random);
}

static void answer_settings(const Pr__SettingsRead *asked, Pr__Reply *reply,
                            struct arena *arena)
{
    Pr__SettingsReadAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__settings_read_answer__init(answer);
    lab_store.settings_reads++;
    answer->version = lab_store.version;
    answer->settings =
        arena_alloc(arena, lab_store.setting_count * sizeof(*answer->settings) + 1);
    for (unsigned i = 0; i < lab_store.setting_count; i++) {
        if (lab_store.settings[i].scope != (int)asked->scope ||
            lab_store.settings[i].id != asked->id)
            continue;
        Pr__Setting *row = arena_alloc(arena, sizeof(*row));
        pr__setting__init(row);
        row->name = arena_string(arena, bytes_of(lab_store.settings[i].name));
        row->value = arena_string(arena, bytes_of(lab_store.settings[i].value));
        answer->settings[answer->n_settings++] = row;
    }
    reply->answer_case = PR__REPLY__ANSWER_SETTINGS_READ;
    reply->settings_read = answer;
}

static void answer_greylist(const Pr__GreylistAsk *asked, Pr__Reply *reply, struct arena *arena)
{
    Pr__GreylistAnswer *answer = arena_alloc(arena, sizeof(*answer));

    pr__greylist_answer__init(answer);
    lab_store.greylist_asks++;
    CHECK(asked->key.len == 16);
    for (unsigned i = 0; i < lab_store.key_count; i++)
        answer->passed = answer->passed || memcmp(lab_store.keys[i], asked->key.data, 16) == 0;
    CHECK(lab_store.key_count < LAB_KEYS_MAX);
    memcpy(lab_store.keys[lab_store.key_count++], asked->key.data, 16);
    reply->answer_case = PR__REPLY__ANSWER_GREYLIST;
    reply->greylist = answer;
}

static void take_findings(const Pr__SenderDomain *told, unsigned at)
{
    struct arena arena;
    struct settings settings;
    struct sender_sum sum;

    arena_init(&arena);
    settings_init(&settings, &arena);
    sender_findings_judge(&settings, told->findings, told->n_findings, &sum);
    lab_store.domains[at].verdict = (int)sum.verdict;
    snprintf(lab_store.domains[at].reason, sizeof(lab_store.domains[at].reason), "%s",
             sum.words);
    CHECK(told->n_findings <= LAB_FINDINGS_MAX);
    lab_store.domains[at].finding_count = (unsigned)told->n_findings;
    for (size_t i = 0; i < told->n_findings; i++) {
        struct lab_finding *finding = &lab_store.domains[at].findings[i];
        finding->kind = (int)told->findings[i]->kind;
        finding->answer = told->findings[i]->answer;
        snprintf(finding->detail, sizeof(finding->detail), "%s", told->findings[i]->detail);
    }
    arena_fini(&arena);
}

static void fill_findings(Pr__SenderDomain *row, unsigned at, struct arena *arena)
{
    row->n_findings = lab_store.domains[at].finding_count;
    row->findings = arena_alloc(arena, (row->n_findings + 1) * sizeof(*row->findings));
    for (size_t i = 0; i < row->n_findings; i++) {
        row->findings[i] = arena_alloc(arena, sizeof(*row->findings[i]));
        pr__sender_finding__init(row->findings[i]);
        row->findings[i]->kind = (Pr__SenderFindingKind)lab_store.domains[at].findings[i].kind;
        row->findings[i]->detail = lab_store.domains[at].findings[i].detail;
        row->findings[i]->answer = lab_store.domains[at].findings[i].answer;
    }
}

static void answer_domain(const Pr__SenderDomainAsk *asked, Pr__Reply *reply,
                          struct arena *arena)
{
    Pr__SenderDomainAnswer *answer = arena_alloc(arena, sizeof(*answer));
    unsigned at = 0;

    pr__sender_domain_answer__init(answer);
    lab_store.domain_asks++;
    while (at < lab_store.domain_count && strcmp(lab_store.domains[at].name, asked->name) != 0)
        at++;
    CHECK(at < LAB_DOMAINS_MAX);
    if (at == lab_store.domain_count && !asked->ask && asked->verdict == NULL) {
        reply->err = ERR_NOTFOUND;
        return;
    }
    if (at == lab_store.domain_count && asked->day_max != 0 && at >= asked->day_max) {
        reply->err = ERR_LIMIT; /* all of a test are of one day */
        return;
    }
    if (at == lab_store.domain_count) {
        snprintf(lab_store.domains[at].name, sizeof(lab_store.domains[at].name), "%s",
                 asked->name);
        lab_store.domains[at].first_ms = clock_wall_ms();
        lab_store.domain_count++;
        answer->first = asked->ask;
    }
    if (asked->verdict != NULL)
        take_findings(asked->verdict, at);
    answer->domain = arena_alloc(arena, sizeof(*answer->domain));
    pr__sender_domain__init(answer->domain);
    answer->domain->name = lab_store.domains[at].name;
    answer->domain->verdict = (Pr__SenderDomainVerdict)lab_store.domains[at].verdict;
    answer->domain->first_ms = lab_store.domains[at].first_ms;
    answer->domain->reason = lab_store.domains[at].reason;
    fill_findings(answer->domain, at, arena);
    reply->answer_case = PR__REPLY__ANSWER_SENDER_DOMAIN;
    reply->sender_domain = answer;
}

static bool waits(const struct call *call)
{
    return lab_store.silent ||
           (call->request->call_case == PR__REQUEST__CALL_SETTINGS_READ && !lab_store.fails &&
            call->request->settings_read->version == lab_store.version);
}

static void answer_one(struct call *call)
{
    Pr__Reply reply;

    pr__reply__init(&reply);
    switch (call->request->call_case) {
    case PR__REQUEST__CALL_SETTINGS_READ:
        answer_settings(call->request->settings_read, &reply, &call->call_arena);
        break;
    case PR__REQUEST__CALL_GREYLIST_ASK:
        answer_greylist(call->request->greylist_ask, &reply, &call->call_arena);
        break;
    default:
        CHECK(call->request->call_case == PR__REQUEST__CALL_SENDER_DOMAIN_ASK);
        answer_domain(call->request->sender_domain_ask, &reply, &call->call_arena);
        break;
    }
    call->done(call->context, lab_store.fails ? ERR_TIMEOUT : ERR_OK,
               lab_store.fails ? NULL : &reply);
}

static void answer_all(void *context)
{
    struct store_client *client = context;

    client->timer = NULL;
    for (struct call **at = &client->calls; *at != NULL;) {
        struct call *call = *at;
        if (waits(call)) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        answer_one(call);
        call_free(call);
        at = &client->calls;
    }
}

uint64_t store_call(struct store_client *client, Pr__Request *request, unsigned deadline_ms,
                    store_done *done, void *context)
{
    struct call *call = calloc(1, sizeof(*call));
    struct buffer packed = BUFFER_EMPTY;

    CHECK(call != NULL && deadline_ms > 0);
    arena_init(&call->call_arena);
    ProtobufCAllocator allocator = arena_allocator(&call->call_arena);
    message_pack(&request->base, &packed);
    call->request =
        pr__request__unpack(&allocator, buffer_len(&packed), buffer_bytes(&packed).at);
    CHECK(call->request != NULL);
    buffer_fini(&packed);
    call->ticket = ++client->newest;
    call->done = done;
    call->context = context;
    call->next = client->calls;
    client->calls = call;
    lab_store.open++;
    wake(client);
    return call->ticket;
}

void store_cancel(struct store_client *client, uint64_t ticket)
{
    for (struct call **at = &client->calls; *at != NULL; at = &(*at)->next) {
        struct call *call = *at;
        if (call->ticket != ticket)
            continue;
        *at = call->next;
        call_free(call);
        return;
    }
}
