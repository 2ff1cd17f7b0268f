/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/runtime/config.h"
#include "node/runtime/config_table.h"

struct loaded {
    struct arena arena;
    struct config config;
    const char *problem;
    enum err err;
};

/* The file's name in a problem is cut off: what comes is "line: text". */
static void load_text(struct loaded *loaded, const char *text)
{
    char path[] = "/tmp/test-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    arena_init(&loaded->arena);
    loaded->problem = NULL;
    loaded->err = config_load(path, &loaded->arena, &loaded->config, &loaded->problem);
    if (loaded->problem != NULL) {
        assert_memory_equal(loaded->problem, path, strlen(path));
        loaded->problem += strlen(path) + 1;
    }
    unlink(path);
}

static void everything_has_a_default(void **state)
{
    struct loaded loaded;
    (void)state;
    load_text(&loaded, "");
    assert_int_equal(loaded.err, ERR_OK);
    assert_string_equal(loaded.config.folder, "/var/lib/postraft");
    assert_string_equal(loaded.config.run, "/run/postraft");
    assert_true(strlen(loaded.config.hostname) > 0);
    assert_string_equal(loaded.config.log_level, "info");
    assert_false(loaded.config.log_json);
    assert_string_equal(loaded.config.tls_certificate, "");
    assert_int_equal(loaded.config.smtp.count, 0);
    assert_int_equal(loaded.config.lmtp.count, 0);
    assert_int_equal(loaded.config.proxy_networks.count, 0);
    assert_int_equal(loaded.config.xclient_networks.count, 0);
    assert_int_equal(loaded.config.dns_servers.count, 0);
    assert_string_equal(loaded.config.dns_trust_anchor, "/usr/share/dns/root.key");
    assert_int_equal(loaded.config.dns_timeout_ms, 5000);
    assert_string_equal(loaded.config.network_map_file, "/var/lib/location/database.db");
    assert_int_equal(loaded.config.submission_recipients_max, 100);
    assert_int_equal(loaded.config.memory_mb, 0);
    assert_int_equal(loaded.config.processes_imap, 1);
    assert_int_equal(loaded.config.processes_relay, 1);
    assert_int_equal(loaded.config.relay_addresses.count, 0);
    assert_int_equal(loaded.config.relay_port, 25);
    assert_string_equal(loaded.config.user_relay, "");
    assert_false(loaded.config.relay_prefer_ipv6);
    assert_int_equal(loaded.config.relay_routes.count, 0);
    assert_string_equal(loaded.config.relay_authorities, "");
    assert_true(loaded.config.durability_cross_dc);
    assert_int_equal(loaded.config.durability_grace_s, 30);
    assert_int_equal(loaded.config.message_bytes_max, 52428800);
    assert_int_equal(loaded.config.connections_address_max, 50);
    arena_fini(&loaded.arena);
}

#define RELAY_TEXT                                                                             \
    "users { store = \"a\" smtp = \"b\" imap = \"c\" operator = \"d\"\n"                       \
    "        relay = \"e\" }\n"                                                                \
    "processes { smtp = 2 imap = 3 relay = 0 }\n"                                              \
    "relay { addresses = { \"192.0.2.25\", \"2001:db8::25\" } port = 2525\n"                   \
    "        prefer_ipv6 = true networks = { \"10.0.0.0/8\" } expire_s = 60\n"                 \
    "        routes = { \"Example.com=MX.example.net:2526\", \".x.example=h\",\n"              \
    "                   \"*=[2001:db8::1]\", \"y=[192.0.2.1]:587\",\n"                         \
    "                   \".z=[ipv6:::1]:25\", \"w=\" }\n"                                      \
    "        authorities = \"/ca.pem\" connections = 7 connections_provider = 3\n"             \
    "        retry = { \"1\", \"2s\", \"3m\", \"4h\" } expire_notice_s = 4\n"                  \
    "        delay = { \"30d\" } }\n"

static void check_relay(const struct config *config)
{
    static const struct config_route routes[] = {{"example.com", "mx.example.net", 2526},
                                                 {".x.example", "h", 0},
                                                 {"*", "[IPv6:2001:db8::1]", 0},
                                                 {"y", "[192.0.2.1]", 587},
                                                 {".z", "[IPv6:::1]", 25},
                                                 {"w", "", 0}};
    static const unsigned times_s[] = {1, 2, 180, 4 * 3600};
    char text[ADDRESS_TEXT_SIZE];

    assert_string_equal(config->user_relay, "e");
    assert_int_equal(config->processes_relay, 0);
    assert_int_equal(config->relay_addresses.count, 2);
    address_text(&config->relay_addresses.at[1], text);
    assert_string_equal(text, "2001:db8::25");
    assert_int_equal(config->relay_port, 2525);
    assert_true(config->relay_prefer_ipv6);
    assert_int_equal(config->relay_networks.count, 1);
    assert_int_equal(config->relay_networks.at[0].bits, 104);
    assert_int_equal(config->relay_routes.count, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_string_equal(config->relay_routes.at[i].domain, routes[i].domain);
        assert_string_equal(config->relay_routes.at[i].host, routes[i].host);
        assert_int_equal(config->relay_routes.at[i].port, routes[i].port);
    }
    assert_string_equal(config->relay_authorities, "/ca.pem");
    assert_int_equal(config->relay_connections_max, 7);
    assert_int_equal(config->relay_connections_provider_max, 3);
    assert_int_equal(config->relay_retry.count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(config->relay_retry.at_s[i], times_s[i]);
    assert_int_equal(config->relay_expire_s, 60);
    assert_int_equal(config->relay_expire_notice_s, 4);
    assert_int_equal(config->relay_delay.count, 1);
    assert_int_equal(config->relay_delay.at_s[0], 30 * 24 * 3600);
}

static void a_whole_file_is_read(void **state)
{
    struct loaded loaded;
    (void)state;
    load_text(&loaded,
              "# one node\n"
              "folder = \"/srv/mail\"\nrun = \"/srv/run\"\n"
              "hostname = \"mx1.example.net\"\n"
              "log { level = \"warn\" json = true }\n"
              "cluster { raft = \"127.0.1.1:7101\" rpc = \"127.0.1.1:7102\"\n"
              "          join = \"[::1]:7103\" election_ms = 900 heartbeat_ms = 150 }\n"
              "listen \"smtp\" { address = { \"127.0.1.1:2525\", \"[::1]:2525\" } }\n"
              "listen \"imaps\" { address = { \"127.0.1.1:9930\" } }\n"
              "listen \"submission\" { address = { \"127.0.1.1:5870\" } }\n"
              "listen \"submissions\" { address = { \"127.0.1.1:4650\" } }\n"
              "listen \"lmtp\" { address = { \"127.0.1.1:2400\", \"unix:/run/l.sock\" } }\n"
              "proxy { networks = { \"192.0.2.0/28\", \"2001:db8::1\" } }\n"
              "xclient { networks = { \"127.0.0.1\" } }\n"
              "dns { servers = { \"192.0.2.53\", \"[::1]:5353\" } trust_anchor = \"\"\n"
              "      timeout_ms = 2500 }\n"
              "network_map { file = \"/srv/map.db\" }\n"
              "tls { certificate = \"/c.pem\" key = \"/k.pem\" }\n" RELAY_TEXT
              "durability { policy = \"majority\" grace_s = 7 }\n"
              "limits { message_bytes = 1048576 recipients = 200 connections = 300\n"
              "         connections_address = 4 submission_recipients = 20\n"
              "         auth_failures = 9 memory_mb = 512 }\n"
              "storage { map_bytes = 1099511627776 log_retain_bytes = 2147483648 }\n");
    const struct config *config = &loaded.config;
    assert_int_equal(loaded.err, ERR_OK);
    assert_string_equal(config->folder, "/srv/mail");
    assert_string_equal(config->hostname, "mx1.example.net");
    assert_string_equal(config->log_level, "warn");
    assert_true(config->log_json);
    assert_string_equal(config->cluster_raft, "127.0.1.1:7101");
    assert_string_equal(config->cluster_join, "[::1]:7103");
    assert_int_equal(config->election_ms, 900);
    assert_int_equal(config->heartbeat_ms, 150);
    assert_int_equal(config->smtp.count, 2);
    assert_string_equal(config->smtp.addresses[1], "[::1]:2525");
    assert_int_equal(config->imap.count, 0);
    assert_string_equal(config->imaps.addresses[0], "127.0.1.1:9930");
    assert_string_equal(config->tls_key, "/k.pem");
    assert_string_equal(config->user_operator, "d");
    assert_int_equal(config->processes_smtp, 2);
    assert_int_equal(config->processes_imap, 3);
    assert_false(config->durability_cross_dc);
    assert_int_equal(config->durability_grace_s, 7);
    assert_int_equal(config->message_bytes_max, 1048576);
    assert_int_equal(config->recipients_max, 200);
    assert_int_equal(config->connections_max, 300);
    assert_int_equal(config->connections_address_max, 4);
    assert_string_equal(config->submission.addresses[0], "127.0.1.1:5870");
    assert_string_equal(config->submissions.addresses[0], "127.0.1.1:4650");
    assert_int_equal(config->lmtp.count, 2);
    assert_string_equal(config->lmtp.addresses[1], "unix:/run/l.sock");
    assert_int_equal(config->proxy_networks.count, 2);
    assert_int_equal(config->proxy_networks.at[0].bits, 124);
    assert_int_equal(config->proxy_networks.at[1].bits, 128);
    assert_int_equal(config->proxy_networks.at[1].address.bytes[15], 1);
    assert_int_equal(config->xclient_networks.count, 1);
    assert_int_equal(config->dns_servers.count, 2);
    assert_string_equal(config->dns_servers.at[1], "[::1]:5353");
    assert_string_equal(config->dns_trust_anchor, "");
    assert_int_equal(config->dns_timeout_ms, 2500);
    assert_string_equal(config->network_map_file, "/srv/map.db");
    check_relay(config);
    assert_int_equal(config->submission_recipients_max, 20);
    assert_int_equal(config->auth_failures_max, 9);
    assert_int_equal(config->memory_mb, 512);
    assert_true(config->map_bytes == 1099511627776);
    assert_true(config->log_retain_bytes == 2147483648);
    arena_fini(&loaded.arena);
}

#define NO_TIME " is not a time like 90s, 5m, 4h or 5d, up to 30 days"
#define NO_ROUTE " is not a route like example.com=host:25 or *=[192.0.2.1]"

static void what_is_wrong_is_said_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"\nfoldr = \"/a\"\n", "2: no such option 'foldr'"},
        {"log {\n level = \"loud\" }\n",
         "2: level = \"loud\" is not one of the values that there are"},
        {"folder = \"srv\"\n", "1: folder = \"srv\" is not an absolute path"},
        {"\n\nhostname = \"a b\"\n", "3: hostname = \"a b\" is not a host name"},
        {"processes { smtp = 65 }\n", "1: smtp = 65 is not between 0 and 64"},
        {"processes { smtp = -1 }\n", "1: smtp = -1 is not between 0 and 64"},
        {"limits {\n\n message_bytes = 10 }\n",
         "3: message_bytes = 10 is not between 65536 and 1073741824"},
        {"cluster { raft = \"localhost:1\" }\n",
         "1: raft = \"localhost:1\" is not an address like 192.0.2.1:25 or [2001:db8::1]:25"},
        {"cluster { raft = \"127.0.0.1:0\" }\n",
         "1: raft = \"127.0.0.1:0\" is not an address like 192.0.2.1:25 or [2001:db8::1]:25"},
        {"users { smtp = \"a:b\" }\n", "1: smtp = \"a:b\" is not a name"},
        {"listen \"pop3\" { }\n", "1: there is no listen \"pop3\""},
        {"listen \"smtp\" { address = { \"1.2.3.4\" } }\n",
         "1: address \"1.2.3.4\" is not an address like 192.0.2.1:25 or [2001:db8::1]:25"},
        {"listen \"smtp\" { address = { \"unix:/run/s\" } }\n",
         "1: address \"unix:/run/s\" is not an address like 192.0.2.1:25 or [2001:db8::1]:25"},
        {"listen \"lmtp\" { address = { \"unix:run/s\" } }\n",
         "1: address \"unix:run/s\" has no absolute path"},
        {"listen \"lmtp\" { address = { \"/run/s\" } }\n",
         "1: address \"/run/s\" is not an address like 127.0.0.1:24 or unix:/path"},
        {"proxy {\n networks = { \"192.0.2.0/24\",\n \"192.0.2.1/24\" } }\n",
         "3: networks \"192.0.2.1/24\" is not a network like 192.0.2.0/24 or 2001:db8::/32"},
        {"xclient { networks = { \"\" } }\n", "1: networks \"\" is empty"},
        {"dns { servers = { \"ns1.example\" } }\n",
         "1: servers \"ns1.example\" is not an address like 192.0.2.53 or [2001:db8::1]:53"},
        {"dns { servers = { \"::1\", \"::2\", \"::3\", \"::4\", \"::5\", \"::6\", \"::7\",\n"
         "\"::8\", \"::9\" } }\n",
         "2: servers: more than 8"},
        {"relay { addresses = { \"192.0.2.25:25\" } }\n",
         "1: addresses \"192.0.2.25:25\" is not an address like 192.0.2.1 or 2001:db8::1"},
        {"relay { routes = { \"a.example\" } }\n", "1: routes \"a.example\"" NO_ROUTE},
        {"relay { routes = { \"=h\" } }\n", "1: routes \"=h\"" NO_ROUTE},
        {"relay { retry = { \"0s\" } }\n", "1: retry \"0s\"" NO_TIME},
        {"relay { retry = { \"5 m\" } }\n", "1: retry \"5 m\"" NO_TIME},
        {"relay { retry = { \"h\" } }\n", "1: retry \"h\"" NO_TIME},
        {"relay { retry = { \"31d\" } }\n", "1: retry \"31d\"" NO_TIME},
        {"relay { delay = { \"4h\", \"4h\" } }\n", " relay: delay must ascend"},
        {"relay { routes = { \"a=:25\" } }\n", "1: routes \"a=:25\"" NO_ROUTE},
        {"relay { routes = { \"*.a=h\" } }\n", "1: routes \"*.a=h\"" NO_ROUTE},
        {"relay { routes = { \".=h\" } }\n", "1: routes \".=h\"" NO_ROUTE},
        {"relay { routes = { \"a=h:0\" } }\n", "1: routes \"a=h:0\"" NO_ROUTE},
        {"relay { routes = { \"a=h:65536\" } }\n", "1: routes \"a=h:65536\"" NO_ROUTE},
        {"relay { routes = { \"a=[::1\" } }\n", "1: routes \"a=[::1\"" NO_ROUTE},
        {"relay { routes = { \"a=[h]\" } }\n", "1: routes \"a=[h]\"" NO_ROUTE},
        {"relay { routes = { \"a=::1\" } }\n", "1: routes \"a=::1\"" NO_ROUTE},
        {"tls { key = \"/k\" }\n", " tls: certificate and key belong together"},
        {"cluster { election_ms = 100 heartbeat_ms = 60 }\n",
         " cluster: election_ms must be at least twice heartbeat_ms"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded loaded;
        load_text(&loaded, cases[i].text);
        assert_int_equal(loaded.err, ERR_INVALID);
        assert_non_null(loaded.problem);
        assert_string_equal(loaded.problem, cases[i].problem);
        arena_fini(&loaded.arena);
    }
}

/* A configuration from before there was a relay does not make it root. */
static void the_relay_is_somebody(void **state)
{
    struct loaded loaded;
    (void)state;
    load_text(&loaded, "users { store = \"a\" smtp = \"b\" }\n");
    assert_int_equal(loaded.err, ERR_OK);
    assert_string_equal(loaded.config.user_relay, "b");
    arena_fini(&loaded.arena);
}

static void what_is_no_file_is_said_too(void **state)
{
    static const char *const broken[] = {"log {",
                                         "folder = ",
                                         "listen { }",
                                         "= = =",
                                         "listen \"smtp\" {} listen \"smtp\" {}",
                                         "processes { smtp = many }",
                                         "log { json = perhaps }"};
    struct loaded loaded;
    const char *problem;
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        load_text(&loaded, broken[i]);
        assert_int_equal(loaded.err, ERR_INVALID);
        assert_non_null(loaded.problem);
        arena_fini(&loaded.arena);
    }
    arena_init(&loaded.arena);
    assert_int_equal(config_load("/nowhere/c", &loaded.arena, &loaded.config, &problem),
                     ERR_NOTFOUND);
    assert_string_equal(problem, "/nowhere/c: cannot be read");
    arena_fini(&loaded.arena);
}

static void every_kind_of_port_is_found(void **state)
{
    static const char *const names[] = {"smtp", "submission", "submissions",
                                        "lmtp", "imap",       "imaps"};
    struct loaded loaded;
    const char *name;
    (void)state;
    load_text(&loaded, "listen \"lmtp\" { address = { \"127.0.1.1:2400\" } }\n");
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const struct config_listener *listener = config_listener_at(&loaded.config, i, &name);
        assert_non_null(listener);
        assert_string_equal(name, names[i]);
        assert_int_equal(listener->count, strcmp(name, "lmtp") == 0);
    }
    assert_null(config_listener_at(&loaded.config, sizeof(names) / sizeof(*names), &name));
    arena_fini(&loaded.arena);
}

static void the_manual_names_every_setting(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    (void)state;
    config_manual(&text);
    buffer_add_byte(&text, 0);
    const char *manual = (const char *)buffer_bytes(&text).at;
    for (unsigned i = 0; i < config_rows_count; i++) {
        assert_non_null(strstr(manual, config_rows[i].name));
        assert_non_null(strstr(manual, config_rows[i].help));
    }
    for (unsigned i = 0; i < config_listen_rows_count; i++)
        assert_non_null(strstr(manual, config_listen_rows[i].help));
    buffer_fini(&text);
}

/* The page in the tree is what `postraftd --man-config` prints. */
static void the_man_page_is_in_step(void **state)
{
    struct buffer page = BUFFER_EMPTY;
    static char text[64 * 1024];
    FILE *file = fopen(MAN_PAGE, "r");
    (void)state;
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    config_man_page(&page);
    assert_int_equal(len, buffer_len(&page));
    assert_memory_equal(text, buffer_bytes(&page).at, len);
    buffer_fini(&page);
}

/* What lies behind a byte 0 would not be read; what libconfuse does not explain is said anyway.
 */
static void what_is_no_text_is_refused(void **state)
{
    static const struct {
        struct bytes text;
        const char *problem;
    } rows[] = {
        {BYTES_INIT("hostname = \"a.test\"\n\0folder = 1\n"), "has a byte 0"},
        {BYTES_INIT("${HO\x87$){PATH}\n"), "cannot be understood"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char path[] = "/tmp/test-config-XXXXXX";
        struct arena arena;
        struct config config;
        const char *problem = NULL;
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, rows[i].text.at, rows[i].text.len), rows[i].text.len);
        close(fd);
        arena_init(&arena);
        assert_int_equal(config_load(path, &arena, &config, &problem), ERR_INVALID);
        assert_non_null(strstr(problem, rows[i].problem));
        arena_fini(&arena);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_has_a_default),
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(the_relay_is_somebody),
        cmocka_unit_test(what_is_no_file_is_said_too),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(every_kind_of_port_is_found),
        cmocka_unit_test(the_man_page_is_in_step),
        cmocka_unit_test(the_manual_names_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
