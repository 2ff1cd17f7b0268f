/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any reply, by the rules that are built in: first byte the phase, second the provider, three
 * the code, the rest the text. What comes out is bounded, clean and the same when asked again;
 * nothing that the remote host wrote looks like a placeholder.
 */
#include "node/base/check.h"
#include "smtp/egress/classify.h"
#include "smtp/egress/classify_normal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_normal(unsigned code, struct bytes text, struct bytes source)
{
    static const struct lists none = {NULL, 0};
    static struct normal normal, again;

    normal_make(&none, code, text, source, &normal);
    CHECK(normal.len <= NORMAL_TEXT_MAX && normal.joined_len <= NORMAL_TEXT_MAX);
    CHECK(strlen(normal.text) == normal.len && strlen(normal.joined) == normal.joined_len);
    CHECK(normal.domain_count <= NORMAL_DOMAINS_MAX && normal.list == NULL);
    for (size_t i = 0; i < normal.len; i++) {
        uint8_t byte = (uint8_t)normal.text[i];
        CHECK(byte >= ' ' && byte != 0x7f && !(byte >= 'A' && byte <= 'Z'));
        CHECK(byte != ' ' || (i > 0 && i + 1 < normal.len && normal.text[i + 1] != ' '));
    }
    for (size_t i = 0; i < normal.joined_len; i++)
        CHECK(normal.joined[i] != '<' && normal.joined[i] != '>');
    for (size_t i = 0; i < normal.domain_count; i++) {
        const struct normal_domain *domain = &normal.domains[i];
        CHECK(domain->end <= normal.len && domain->len_read > 3 &&
              domain->start_read + domain->len_read <= normal.joined_len);
    }
    normal_make(&none, code, text, source, &again);
    CHECK(again.template_id == normal.template_id && strcmp(again.text, normal.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const providers[] = {"google", "outlook", "yahoo",   "apple",
                                            "gmx",    "qq",      "netease", "other"};
    static struct classify_rules *rules;
    struct classify_error error;
    struct classify_verdict verdict;

    if (rules == NULL)
        CHECK(classify_load(classify_builtin(), &rules, &error) == ERR_OK);
    if (size < 5)
        return 0;
    struct classify_reply reply = {
        .phase = (enum classify_phase)(data[0] % CLASSIFY_PHASE_COUNT),
        .provider = bytes_of(providers[data[1] % 8]),
        .code = (data[2] % 10u) * 100 + (data[3] % 10u) * 10 + data[4] % 10u,
        .text = bytes_from(data + 5, size - 5),
        .source = data[0] >= 128 ? BYTES("2001:db8::25") : BYTES("192.0.2.1"),
    };
    classify(rules, &reply, &verdict);
    CHECK(verdict.class < CLASSIFY_CLASS_COUNT && verdict.scope < CLASSIFY_SCOPE_COUNT);
    CHECK(verdict.confidence >= 1 && verdict.confidence <= 100);
    CHECK((verdict.rule != NULL) == (verdict.basis == CLASSIFY_BY_RULE));
    CHECK(reply.code >= 400 || verdict.rule == NULL);
    CHECK(verdict.rule != NULL ||
          (verdict.class != CLASSIFY_IP_BLOCK && verdict.class != CLASSIFY_IP_RATE &&
           verdict.class != CLASSIFY_NETBLOCK));
    CHECK(classify_failures(rules) == 0);
    check_normal(reply.code, reply.text, reply.source);
    return 0;
}
