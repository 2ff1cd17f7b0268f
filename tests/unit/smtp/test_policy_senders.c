/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Senders' domains: who is checked, and what comes of it. */
#include "smtp/policy/verdict.h"
#include "unit/smtp/policy_world.h"

#define KIND(name) ((int)PR__SENDER_FINDING_KIND__SENDER_##name)

static bool is_judged(void *context)
{
    (void)context;
    return lab_store.domain_count > 0 && lab_store.domains[0].verdict != 0;
}

static bool second_is_judged(void *context)
{
    (void)context;
    return lab_store.domain_count > 1 && lab_store.domains[1].verdict != 0;
}

static void test_new_domains(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.exempt", "known.example");
    connect_from(world, "198.51.100.7");
    assert_int_equal(verdict(world, "a@sub.known.example"), 250);
    assert_int_equal(verdict(world, ""), 250);
    assert_int_equal(lab_store.domain_asks, 0);
    assert_int_equal(verdict(world, "a@sub.good.example"), 450);
    assert_non_null(strstr(world->text, "4.7.1 New sending domain, being checked, try again "
                                        "in 10 minutes"));
    run_until(world->loop, is_judged, world);
    assert_string_equal(lab_store.domains[0].name, "good.example");
    assert_string_equal(lab_store.domains[0].reason, "");
    assert_int_equal(lab_store.domains[0].verdict, 1);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    unsigned asks = lab_store.domain_asks;
    assert_int_equal(verdict(world, "b@other.good.example"), 250);
    assert_int_equal(lab_store.domain_asks, asks); /* it is remembered here */

    assert_int_equal(verdict(world, "a@lonely.example"), 450);
    run_until(world->loop, second_is_judged, world);
    assert_string_equal(lab_store.domains[1].reason,
                        "domain has neither MX nor address, domain has neither SPF nor DMARC");
    assert_int_equal(verdict(world, "a@broken.example"), 450);
    assert_int_equal(lab_store.domains[2].verdict, 0);
    lab_store.domains[2].first_ms -= 31 * 60 * 1000;
    assert_int_equal(verdict(world, "a@broken.example"), 250);
    assert_int_equal(lab_store.domains[2].verdict, 0);
    close_world(world);
}

/* More than the day's share are not put off. */
static void test_new_domains_of_a_day(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.day", "1");
    connect_from(world, "198.51.100.7");
    assert_int_equal(verdict(world, "a@one.example"), 450);
    assert_int_equal(verdict(world, "a@two.example"), 250);
    assert_int_equal(verdict(world, "a@one.example"), 450);
    assert_int_equal(lab_store.domain_count, 1);
    close_world(world);
}

static void test_suspects(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.suspect_hour", "2");
    connect_from(world, "198.51.100.7");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"bad.example", "null.example", "odd.example"};
        snprintf(lab_store.domains[i].name, sizeof(lab_store.domains[i].name), "%s", names[i]);
        lab_store.domains[i].verdict = i == 0 ? 3 : 2;
        snprintf(lab_store.domains[i].reason, sizeof(lab_store.domains[i].reason), "words");
        lab_store.domains[i].finding_count = i == 1;
        lab_store.domains[i].findings[0].kind = KIND(NULL_MX);
    }
    lab_store.domain_count = 3;
    assert_int_equal(verdict(world, "a@bad.example"), 550);
    assert_non_null(strstr(world->text, "5.7.1 Sender's domain is refused: words"));
    assert_int_equal(verdict(world, "a@null.example"), 550);
    assert_non_null(strstr(world->text, "5.7.27 "));
    assert_int_equal(verdict(world, "a@sub.null.example"), 450); /* may have an MX: suspect */
    assert_non_null(strstr(world->text, "Greylisted"));
    assert_int_equal(verdict(world, "a@odd.example"), 450);
    assert_int_equal(verdict(world, "a@odd.example"), 250);
    assert_int_equal(verdict(world, "a@odd.example"), 450);
    assert_non_null(strstr(world->text, "in an hour"));
    close_world(world);
}

/* "" or the only kind of finding, or -1: too little is known. */
static int finding_of(const struct sender_found *found)
{
    struct arena arena;
    Pr__SenderFinding **findings;
    size_t count;

    arena_init(&arena);
    bool known = sender_findings(found, &arena, &findings, &count);
    assert_true(count <= 1 && (known || count == 0));
    int kind = !known ? -1 : count == 1 ? (int)findings[0]->kind : 0;
    arena_fini(&arena);
    return kind;
}

static void test_findings(void **state)
{
    const struct sender_found good = {
        .soa = SENDER_PRESENT,
        .ns = SENDER_PRESENT,
        .mx = SENDER_PRESENT,
        .mx_address = SENDER_PRESENT,
        .spf = SENDER_PRESENT,
        .dmarc = SENDER_ABSENT,
    };
    struct sender_found found = good;

    (void)state;
    assert_int_equal(finding_of(&good), 0);
    found.spf = SENDER_ABSENT;
    assert_int_equal(finding_of(&found), KIND(UNPUBLISHED));
    found.spf = SENDER_NOT_KNOWN;
    assert_int_equal(finding_of(&found), -1);
    found = good;
    found.mx_address = SENDER_ABSENT;
    assert_int_equal(finding_of(&found), KIND(LOST_MX));
    found = good;
    found.null_mx = true;
    assert_int_equal(finding_of(&found), KIND(NULL_MX));
    found = (struct sender_found){.soa = SENDER_ABSENT,
                                  .ns = SENDER_ABSENT,
                                  .mx = SENDER_ABSENT,
                                  .address = SENDER_ABSENT,
                                  .spf = SENDER_ABSENT,
                                  .dmarc = SENDER_ABSENT};
    assert_int_equal(finding_of(&found), KIND(ABSENT));
    found.ns = SENDER_NOT_KNOWN;
    found.spf = SENDER_NOT_KNOWN;
    assert_int_equal(finding_of(&found), KIND(NO_MX));
    found.mx = SENDER_NOT_KNOWN;
    assert_int_equal(finding_of(&found), -1);
    found = good;
    found.listed_count = 1;
    found.listed[0] = (struct sender_listed){.zone = "bad.example", .answer = {127, 0, 1, 2}};
    assert_int_equal(finding_of(&found), KIND(LISTED));
    found.listed[0].young = true;
    assert_int_equal(finding_of(&found), KIND(YOUNG));
    found = (struct sender_found){0};
    assert_int_equal(finding_of(&found), -1);
}

/* Lists of domains, by their answers; one that lists the world does not count. */
static void test_zones(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.zones", "dbl.example=20:127.0.1.2 dbl.example=1 deaf.example=20");
    lab_set(0, 0, "newdomain.age_zones", "young.example=4");
    lab_set(2, 4, "judge.domain_listed.weight", "0.1");
    connect_from(world, "198.51.100.7");
    assert_int_equal(verdict(world, "a@spam.example"), 450);
    run_until(world->loop, is_judged, world);
    assert_int_equal(lab_store.domains[0].finding_count, 2);
    assert_string_equal(lab_store.domains[0].findings[0].detail, "dbl.example");
    assert_int_equal(lab_store.domains[0].findings[0].answer, 0x7f000102);
    assert_string_equal(lab_store.domains[0].findings[1].detail, "young.example");
    /* Of the recipient's own settings: 21 * 0.1 and 4 are suspect, not bad. */
    assert_int_equal(verdict(world, "a@spam.example"), 450);
    assert_non_null(strstr(world->text, "Greylisted"));
    lab_set(2, 4, "judge.domain_age.enabled", "off");
    assert_int_equal(verdict(world, "a@spam.example"), 250);
    lab_set(2, 4, "judge.domain_listed.weight", "1");
    assert_int_equal(verdict(world, "a@spam.example"), 550);
    assert_non_null(strstr(world->text, "listed by dbl.example"));
    close_world(world);
}

static bool from_ends(struct world *world, const char *address)
{
    size_t at = bytes_find(bytes_of(address), '@');
    struct mail_address one = {.local = bytes_from(address, at),
                               .domain = bytes_skip(bytes_of(address), at + 1)};
    const struct mail_address_list addresses = {&one, 1};

    world->answered = false;
    world->code = 250;
    world->text[0] = '\0';
    if (policy_from_try(world->client, &addresses, world_done, world) == NULL)
        return true;
    assert_false(world->answered);
    run_until(world->loop, is_answered, world);
    return false;
}

/* The code of a message's end. */
static unsigned from(struct world *world, const char *address)
{
    run_until(world->loop, lab_is_polled, NULL);
    from_ends(world, address);
    return world->code;
}

static void know(unsigned at, const char *name, int verdict, int kind)
{
    snprintf(lab_store.domains[at].name, sizeof(lab_store.domains[at].name), "%s", name);
    lab_store.domains[at].verdict = verdict;
    lab_store.domains[at].finding_count = kind != 0;
    lab_store.domains[at].findings[0].kind = kind;
    snprintf(lab_store.domains[at].reason, sizeof(lab_store.domains[at].reason), "words");
    if (lab_store.domain_count <= at)
        lab_store.domain_count = at + 1;
}

static void test_from(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    connect_from(world, "198.51.100.5"); /* never familiar */
    know(0, "good.example", 1, 0);
    know(1, "bad.example", 3, 0);
    know(2, "odd.example", 2, KIND(UNPUBLISHED));
    know(3, "null.example", 2, KIND(NULL_MX));
    policy_client_mail(world->client);
    assert_true(from_ends(world, "a@bad.example")); /* nobody was accepted */
    assert_int_equal(verdict(world, "a@good.example"), 250);
    assert_true(from_ends(world, "b@sub.good.example")); /* RCPT has looked at it */
    assert_true(from_ends(world, "nobody"));
    assert_int_equal(from(world, "a@bad.example"), 550);
    assert_non_null(strstr(world->text, "5.7.1 Domain in From is refused: words"));
    assert_int_equal(from(world, "a@later.example"), 450);
    assert_non_null(strstr(world->text, "4.7.1 New domain in From, being checked"));
    assert_int_equal(from(world, "a@odd.example"), 450);
    assert_non_null(strstr(world->text, "Greylisted"));
    assert_int_equal(policy_client_note(world->client)->score, 300);
    assert_int_equal(from(world, "a@odd.example"), 250);
    assert_int_equal(from(world, "a@null.example"), 450); /* suspect; not 5.7.27 */
    assert_int_equal(from(world, "a@null.example"), 250);
    lab_store.fails = true;
    assert_int_equal(from(world, "a@unheard.example"), 250);
    lab_store.fails = false;
    close_world(world);
}

/* Who else gets it: the mildest settings count. */
static void test_from_places(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(2, 4, "newdomain.exempt", "exempt.example");
    connect_from(world, "198.51.100.7");
    know(0, "good.example", 1, 0);
    know(1, "bad.example", 3, 0);
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    assert_int_equal(from(world, "a@exempt.example"), 250);
    assert_int_equal(from(world, "a@bad.example"), 550);
    assert_null(try_from(world, "a@good.example", true)); /* postmaster@ */
    assert_true(from_ends(world, "a@bad.example"));
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    assert_int_equal(from(world, "a@bad.example"), 550);
    lab_set(2, 4, "policy.dry_run", "on");
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    assert_int_equal(from(world, "a@bad.example"), 250);
    lab_set(2, 4, "policy.dry_run", "off");
    lab_set(2, 4, "newdomain.from", "off");
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    assert_int_equal(from(world, "a@bad.example"), 250);
    /* The other domain wants to know, and does not get its way. */
    lab_set(2, 4, "newdomain.from", "on");
    lab_set(2, 9, "newdomain.from", "off");
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    try_other(world, "a@good.example", 9);
    run_until(world->loop, is_answered, world);
    assert_int_equal(world->code, 250);
    assert_int_equal(from(world, "a@bad.example"), 250);
    lab_set(2, 9, "newdomain.from", "on");
    lab_set(2, 9, "judge.domain_published.enabled", "off");
    know(2, "odd.example", 2, KIND(UNPUBLISHED));
    unsigned asks = lab_store.greylist_asks;
    connect_from(world, "198.51.100.5"); /* never familiar */
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    try_other(world, "a@good.example", 9);
    run_until(world->loop, is_answered, world);
    assert_int_equal(from(world, "a@odd.example"), 250);
    assert_int_equal(lab_store.greylist_asks, asks); /* it is taken for one of them anyway */
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    try_other(world, "a@good.example", 9);
    run_until(world->loop, is_answered, world);
    assert_int_equal(from(world, "a@bad.example"), 550);
    close_world(world);
}

static bool store_is_asked(void *context)
{
    (void)context;
    return lab_store.open >= 2; /* settings, and this */
}

/* Who leaves, or is cancelled, while the store is asked. */
static void test_from_left(void **state)
{
    struct world *world = *state;
    struct mail_address slow = {.local = BYTES("a"), .domain = BYTES("slow.example")};
    const struct mail_address_list addresses = {&slow, 1};

    for (unsigned i = 0; i < 3; i++) {
        open_world(world, true);
        lab_set(0, 0, "judge.helo.enabled", "off");
        connect_from(world, "198.51.100.7");
        know(0, "good.example", 1, 0);
        assert_int_equal(verdict(world, "a@good.example"), 250);
        world->answers = 0;
        lab_store.silent = i > 0;
        struct policy_from *asked =
            policy_from_try(world->client, &addresses, world_done, world);
        assert_non_null(asked);
        if (i > 0)
            run_until(world->loop, store_is_asked, NULL);
        unsigned open = lab_store.open;
        if (i == 1) {
            policy_from_cancel(&asked);
            assert_int_equal(lab_store.open, open - 1);
        }
        policy_client_free(&world->client);
        close_world(world);
        assert_int_equal(world->answers, 0);
    }
}

/* Without name servers nobody is held responsible for what they would have said. */
static void test_no_dns(void **state)
{
    struct world *world = *state;

    open_world(world, false);
    lab_set(0, 0, "policy.grey_score", "0");
    lab_set(0, 0, "dnsbl.zones", "bl.example=20");
    lab_set(0, 0, "policy.reject_score", "100");
    lab_set(0, 0, "judge.helo.enabled", "off");
    connect_from(world, "198.51.100.5");
    know(0, "bad.example", 3, 0);
    assert_int_equal(verdict(world, "a@bad.example"), 450);
    assert_non_null(strstr(world->text, "Greylisted"));
    assert_int_equal(verdict(world, "b@bad.example"), 250);
    assert_int_equal(lab_store.domain_asks, 0);
    assert_true(from_ends(world, "a@worse.example"));
    struct policy_sum sum;
    char words[VERDICT_WORDS_SIZE];
    policy_judge_all(&world->client->facts, policy_settings(world->policy), &sum);
    assert_int_equal(sum.score, 0);
    verdict_words(&sum, words);
    assert_non_null(strstr(words, "fcrdns=0.00 (not asked)"));
    assert_non_null(strstr(words, "dnsbl=0.00 (not asked)"));
    assert_non_null(strstr(words, "new_domain=0.00 (not asked)"));
    assert_null(strstr(words, "helo"));
    close_world(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_new_domains),
        WORLD_TEST(test_suspects),
        WORLD_TEST(test_new_domains_of_a_day),
        cmocka_unit_test(test_findings),
        WORLD_TEST(test_zones),
        WORLD_TEST(test_from),
        WORLD_TEST(test_from_places),
        WORLD_TEST(test_from_left),
        WORLD_TEST(test_no_dns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
