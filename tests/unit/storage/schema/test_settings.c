/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of settings, and the forms of their values. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/settings.h"

static bool check(const char *name, enum settings_scope scope, const char *value)
{
    char reason[SETTINGS_REASON_SIZE];
    bool good = settings_check(bytes_of(name), scope, bytes_of(value), reason);

    assert_int_equal(good, reason[0] == '\0');
    return good;
}

/* Each row can be found, explained, set to its default, and its default is in its range. */
static void test_rows(void **state)
{
    struct arena arena;
    struct settings *settings;

    (void)state;
    arena_init(&arena);
    settings = arena_alloc(&arena, sizeof(*settings));
    settings_init(settings, &arena);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const struct setting *row = setting_row((enum setting_id)i);
        size_t len = strlen(row->name);
        bool family = row->name[len - 1] == '*';
        assert_true(len <= 64 && strlen(row->help) > 0);
        assert_true(strlen(settings_range(row, &arena)) > 0);
        assert_int_not_equal(row->scopes & 1u << SETTINGS_CLUSTER, 0);
        assert_true(row->low <= row->high);
        if (family)
            continue;
        assert_ptr_equal(settings_find(bytes_of(row->name)), row);
        assert_true(check(row->name, SETTINGS_CLUSTER, row->fallback));
        assert_true(
            bytes_equal(setting_text(settings, (enum setting_id)i), bytes_of(row->fallback)));
        assert_int_equal(setting_number(settings, (enum setting_id)i),
                         setting_number_of((enum setting_id)i, bytes_of(row->fallback)));
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(row->name, setting_row((enum setting_id)k)->name);
    }
    assert_false(setting_on(settings, SETTING_MAIL_OUTBOUND));
    assert_true(setting_on(settings, SETTING_JUDGE_DNSBL_ENABLED));
    assert_int_equal(setting_number(settings, SETTING_GREYLIST_WAIT), 300000);
    assert_int_equal(setting_number(settings, SETTING_JUDGE_FCRDNS_WEIGHT), 250);
    assert_int_equal(setting_number(settings, SETTING_SENDING_CLASS), SENDING_CLASS_NORMAL);
    assert_int_equal(setting_number(settings, SETTING_SENDING_NEW_DAY), 200);
    arena_fini(&arena);
}

static void test_scopes(void **state)
{
    (void)state;
    assert_true(check("mail.outbound", SETTINGS_ACCOUNT, "on"));
    assert_true(check("mail.separators", SETTINGS_DOMAIN, "-"));
    assert_false(check("mail.separators", SETTINGS_ACCOUNT, "-"));
    assert_true(check("sending.new_days", SETTINGS_TENANT, "3"));
    assert_false(check("sending.new_days", SETTINGS_DOMAIN, "3"));
    assert_true(check("oauth.issuer", SETTINGS_CLUSTER, "https://login.example"));
    assert_false(check("oauth.issuer", SETTINGS_TENANT, "https://login.example"));
    assert_false(check("mail.outbound", (enum settings_scope)4, "on"));
    assert_false(check("mail.inbound", SETTINGS_CLUSTER, "on"));
    assert_false(check("", SETTINGS_CLUSTER, "on"));
    assert_false(check("mail", SETTINGS_CLUSTER, "on"));
}

static const struct {
    const char *name;
    const char *value;
    bool good;
} forms[] = {
    {"mail.outbound", "on", true},
    {"mail.outbound", "off", true},
    {"mail.outbound", "On", false},
    {"mail.outbound", "o", false},
    {"mail.outbound", "on|off", false},
    {"mail.outbound", "", true},
    {"sending.class", "mass", true},
    {"sending.class", "normal|new", false},
    {"sending.day", "0", true},
    {"sending.day", "10000000", true},
    {"sending.day", "10000001", false},
    {"sending.day", "-1", false},
    {"sending.day", "1 ", false},
    {"sending.day", "99999999999999999999999", false},
    {"sending.message_recipients", "0", false},
    {"greylist.wait", "90", true},
    {"greylist.wait", "90s", true},
    {"greylist.wait", "24h", true},
    {"greylist.wait", "25h", false},
    {"greylist.wait", "1d", true},
    {"greylist.wait", "1w", false},
    {"greylist.wait", "d", false},
    {"greylist.wait", "999999999d", false},
    {"greylist.wait", "9999999999", false},
    {"policy.reject_score", "7.5", true},
    {"policy.reject_score", "7.25", true},
    {"policy.reject_score", "7.255", false},
    {"policy.reject_score", "7.", false},
    {"policy.reject_score", ".5", false},
    {"policy.reject_score", "-1", false},
    {"judge.dnswl.weight", "-1.5", true},
    {"judge.dnswl.weight", "--1", false},
    {"judge.dnswl.weight", "-100", true},
    {"judge.dnswl.weight", "-100.01", false},
    {"mail.separators", "+-", true},
    {"mail.separators", "none", true},
    {"mail.separators", "++", false},
    {"mail.separators", ".", false},
    {"mail.separators", "a", false},
    {"mail.separators", "@", false},
    {"mail.separators", "+-_=#~!/%", false},
    {"mail.postmaster", "ann@acme.example", true},
    {"mail.postmaster", "postmaster@localhost", true},
    {"mail.postmaster", "ann", false},
    {"mail.postmaster", "ann@", false},
    {"mail.postmaster", "a nn@acme.example", false},
    {"mail.postmaster", "a@b@acme.example", false},
    {"mail.postmaster", "ann@acme..example", false},
    {"mail.postmaster", "ann@-acme.example", false},
    {"newdomain.exempt", "a.example b.example\nc.example", true},
    {"newdomain.exempt", "a.example, b.example", false},
    {"newdomain.exempt", "A.example", false},
    {"dnsbl.zones", "zen.example=4", true},
    {"dnsbl.zones", "zen.example=4:127.0.0.2-11,127.0.1.* list.example=2.5", true},
    {"dnsbl.zones", "zen.example", false},
    {"dnsbl.zones", "zen.example=", false},
    {"dnsbl.zones", "=4", false},
    {"dnsbl.zones", "zen.example=4:", false},
    {"dnsbl.zones", "zen.example=4:127.0.0", false},
    {"dnsbl.zones", "zen.example=4:127.0.0.2.3", false},
    {"dnsbl.zones", "zen.example=4:127.0.0.256", false},
    {"dnsbl.zones", "zen.example=4:127.0.0.9-2", false},
    {"dnsbl.zones", "zen.example=4:127.0.0.2,", false},
    {"network.list", "AS64500=3 192.0.2.0/24=-2 2001:db8::/32=1", true},
    {"network.list", "192.0.2.1/24=2", false},
    {"network.list", "AS64500", false},
    {"firewall.address-open", "50", true},
    {"firewall.address-open", "off", true},
    {"firewall.address-open", "50/200 per 1h", true},
    {"firewall.address-open", "off per 1h", false},
    {"firewall.address-open", "50 per", false},
    {"firewall.address-open", "50 per 31d", false},
    {"firewall.address-open", "50 per 1h more", false},
    {"firewall.address-open", "50/", false},
    {"firewall.", "50", false},
    {"firewall.Upper", "50", false},
    {"oauth.claim", "preferred_username", true},
    {"oauth.claim",
     "with\x01"
     "control",
     false},
};

static void test_forms(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        if (check(forms[i].name, SETTINGS_CLUSTER, forms[i].value) != forms[i].good)
            fail_msg("%s = '%s' should be %s", forms[i].name, forms[i].value,
                     forms[i].good ? "taken" : "refused");
}

static void test_merged(void **state)
{
    struct arena arena;
    struct settings *settings;

    (void)state;
    arena_init(&arena);
    settings = arena_alloc(&arena, sizeof(*settings));
    settings_init(settings, &arena);
    settings_put(settings, SETTINGS_CLUSTER, BYTES("sending.day"), BYTES("10"));
    settings_put(settings, SETTINGS_TENANT, BYTES("sending.day"), BYTES("20"));
    settings_put(settings, SETTINGS_DOMAIN, BYTES("sending.day"), BYTES("many"));
    settings_put(settings, SETTINGS_DOMAIN, BYTES("sending.new_days"), BYTES("1"));
    settings_put(settings, SETTINGS_ACCOUNT, BYTES("no.such"), BYTES("1"));
    settings_put(settings, SETTINGS_ACCOUNT, BYTES("sending.day"), BYTES(""));
    assert_int_equal(setting_number(settings, SETTING_SENDING_DAY), 20);
    assert_int_equal(settings->of[SETTING_SENDING_DAY].scope, SETTINGS_TENANT);
    assert_int_equal(setting_number(settings, SETTING_SENDING_NEW_DAYS), 7);
    assert_false(settings->of[SETTING_SENDING_NEW_DAYS].set);
    assert_int_equal(setting_member(settings, BYTES("firewall.net-open")).len, 0);
    settings_put(settings, SETTINGS_CLUSTER, BYTES("firewall.net-open"), BYTES("5"));
    settings_put(settings, SETTINGS_CLUSTER, BYTES("firewall.net-open"), BYTES("6"));
    settings_put(settings, SETTINGS_CLUSTER, BYTES("firewall.address-open"), BYTES("off"));
    assert_true(bytes_equal(setting_member(settings, BYTES("firewall.net-open")), BYTES("6")));
    assert_int_equal(settings->member_count, 2);
    for (unsigned i = 0; i < 2 * SETTINGS_FAMILY_MAX; i++)
        settings_put(settings, SETTINGS_CLUSTER,
                     bytes_of(arena_printf(&arena, "firewall.r%u", i)), BYTES("1"));
    assert_int_equal(settings->member_count, SETTINGS_FAMILY_MAX);
    arena_fini(&arena);
}

static void test_zones(void **state)
{
    struct bytes list = BYTES(" a.example=4:127.0.0.2-11,127.1.*.7  broken b.example=-1.25\n");
    struct settings_zone zone;

    (void)state;
    assert_true(settings_zone_next(&list, &zone));
    assert_true(bytes_equal(zone.name, BYTES("a.example")));
    assert_int_equal(zone.weight, 400);
    assert_true(settings_code_matches(zone.codes, (const uint8_t[]){127, 0, 0, 2}));
    assert_true(settings_code_matches(zone.codes, (const uint8_t[]){127, 0, 0, 11}));
    assert_false(settings_code_matches(zone.codes, (const uint8_t[]){127, 0, 0, 12}));
    assert_true(settings_code_matches(zone.codes, (const uint8_t[]){127, 1, 99, 7}));
    assert_false(settings_code_matches(zone.codes, (const uint8_t[]){127, 1, 99, 8}));
    assert_true(settings_zone_next(&list, &zone));
    assert_true(bytes_equal(zone.name, BYTES("b.example")));
    assert_int_equal(zone.weight, -125);
    assert_true(settings_code_matches(zone.codes, (const uint8_t[]){127, 255, 0, 1}));
    assert_false(settings_code_matches(zone.codes, (const uint8_t[]){128, 0, 0, 1}));
    assert_false(settings_zone_next(&list, &zone));
}

static void test_networks_domains_rules(void **state)
{
    struct bytes list = BYTES("AS64500=3 192.0.2.0/24=-2.5");
    struct settings_network network;
    struct settings_rule rule;

    (void)state;
    assert_true(settings_network_next(&list, &network));
    assert_true(bytes_equal(network.net, BYTES("AS64500")));
    assert_true(settings_network_next(&list, &network));
    assert_int_equal(network.weight, -250);
    assert_false(settings_network_next(&list, &network));
    list = BYTES("a.example b.example");
    assert_true(settings_domains_have(list, BYTES("b.example")));
    assert_true(settings_domains_have(list, BYTES("x.y.a.example")));
    assert_false(settings_domains_have(list, BYTES("xa.example")));
    assert_false(settings_domains_have(list, BYTES("example")));
    assert_false(settings_domains_have(BYTES(""), BYTES("a.example")));
    assert_true(settings_rule_parse(BYTES("50/200 per 2h"), &rule));
    assert_int_equal(rule.limit, 50);
    assert_true(rule.has_limit_v6);
    assert_int_equal(rule.limit_v6, 200);
    assert_int_equal(rule.window_s, 7200);
    assert_true(settings_rule_parse(BYTES("7"), &rule));
    assert_false(rule.has_limit_v6);
    assert_int_equal(rule.window_s, 0);
    assert_true(settings_rule_parse(BYTES("off"), &rule));
    assert_int_equal(rule.limit + rule.limit_v6, 0);
    assert_true(rule.has_limit_v6);
    assert_false(settings_rule_parse(BYTES(""), &rule));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_forms), cmocka_unit_test(test_merged),
        cmocka_unit_test(test_zones), cmocka_unit_test(test_networks_domains_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
