/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stranger's web server and zone say: nothing but what is promised comes out, and a
 * policy that was read, written down again, is the same one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct bytes text)
{
    const struct bytes twice[] = {text, text};
    char id[MTA_STS_ID_SIZE];

    enum err err = mta_sts_record_choose(&text, 1, id);
    CHECK((err == ERR_OK) == (id[0] != '\0'));
    if (err == ERR_NOTFOUND)
        return;
    CHECK(strlen(id) < MTA_STS_ID_SIZE);
    CHECK(bytes_equal(bytes_from(text.at, 7), BYTES("v=STSv1")));
    CHECK(mta_sts_record_choose(twice, 2, id) == ERR_NOTFOUND && id[0] == '\0');
}

/* A host that the pattern is about, and one that it is not. */
static void check_pattern(const struct mta_sts_policy *policy, struct bytes pattern)
{
    struct mta_sts_policy single = {
        .mode = policy->mode, .patterns = &pattern, .pattern_count = 1};
    bool wild = pattern.at[0] == '*';
    char host[300];

    snprintf(host, sizeof(host), "%s%.*s", wild ? "x" : "",
             BYTES_ARG(bytes_skip(pattern, wild ? 1 : 0)));
    CHECK(mta_sts_policy_allows(policy, host) && mta_sts_policy_allows(&single, host));
    snprintf(host, sizeof(host), "x.%s%.*s", wild ? "x" : "",
             BYTES_ARG(bytes_skip(pattern, wild ? 1 : 0)));
    CHECK(!mta_sts_policy_allows(&single, host));
}

static void check_again(const struct mta_sts_policy *policy, struct arena *arena)
{
    struct mta_sts_policy again;
    char *text = arena_printf(arena, "version: STSv1\nmode: %s\nmax_age: %u\n",
                              mta_sts_mode_text(policy->mode), policy->max_age_s);

    for (unsigned i = 0; i < policy->pattern_count && i < 20; i++) {
        check_pattern(policy, policy->patterns[i]);
        text = arena_printf(arena, "%smx: %.*s\n", text, BYTES_ARG(policy->patterns[i]));
    }
    CHECK(mta_sts_policy_parse(bytes_of(text), arena, &again) == ERR_OK);
    CHECK(again.mode == policy->mode && again.max_age_s == policy->max_age_s);
    for (unsigned i = 0; i < again.pattern_count; i++)
        CHECK(bytes_equal(again.patterns[i], policy->patterns[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct mta_sts_policy policy;
    /* Memory that ends where the input does. */
    uint8_t *copy = malloc(size > 0 ? size : 1);

    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    check_record(bytes_from(copy, size));
    arena_init(&arena);
    if (mta_sts_policy_parse(bytes_from(copy, size), &arena, &policy) == ERR_OK) {
        free(copy); /* nothing of it is borrowed */
        copy = NULL;
        CHECK(policy.max_age_s <= MTA_STS_AGE_MAX_S && policy.pattern_count <= MTA_STS_MX_MAX);
        CHECK(policy.mode == MTA_STS_NONE || policy.pattern_count > 0);
        check_again(&policy, &arena);
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
