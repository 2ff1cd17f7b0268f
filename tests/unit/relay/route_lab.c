/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/relay/route_lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

enum { ROWS_MAX = 600, DATA_MAX = 8192, ASKED_MAX = 4096 };

struct lab lab;

static struct row {
    char name[DNS_NAME_SIZE];
    enum dns_type type;
    enum dns_result result;
    unsigned how;
    uint32_t ttl_s;
    char data[DATA_MAX];
} * rows;
static unsigned row_count;
static char aliases[8][2][256];
static unsigned alias_count;
static uint32_t row_ttl_s;

struct asking {
    struct asking *next;
    uint64_t ticket;
    char name[DNS_NAME_SIZE];
    enum dns_type type;
    struct loop_timer *timer;
    void (*done)(void *context, const struct dns_answer *answer);
    void *context;
    bool held;
};
static struct asking *askings;
static uint64_t last_ticket;
static struct {
    char name[300];
    enum dns_type type;
} asked[ASKED_MAX];

/* ---- time ---- */

uint64_t __real_clock_monotonic_ms(void);
uint64_t __wrap_clock_monotonic_ms(void);
struct loop_timer *__real_loop_timer_start(struct loop *loop, uint64_t delay_ms,
                                           uint64_t repeat_ms, void (*fired)(void *context),
                                           void *context);
struct loop_timer *__wrap_loop_timer_start(struct loop *loop, uint64_t delay_ms,
                                           uint64_t repeat_ms, void (*fired)(void *context),
                                           void *context);

uint64_t __wrap_clock_monotonic_ms(void)
{
    return lab.clock_ms != 0 ? lab.clock_ms : __real_clock_monotonic_ms();
}

struct loop_timer *__wrap_loop_timer_start(struct loop *loop, uint64_t delay_ms,
                                           uint64_t repeat_ms, void (*fired)(void *context),
                                           void *context)
{
    return __real_loop_timer_start(
        loop, delay_ms == 60000 && lab.lookup_ms != 0 ? lab.lookup_ms : delay_ms, repeat_ms,
        fired, context);
}

/* ---- rows ---- */

static struct row *add_row(const char *name, enum dns_type type, unsigned how)
{
    lab_forget(name, type);
    assert_true(row_count < ROWS_MAX);
    struct row *row = &rows[row_count++];
    *row = (struct row){.type = type, .how = how, .ttl_s = row_ttl_s};
    snprintf(row->name, sizeof(row->name), "%s", name);
    return row;
}

void lab_row(const char *name, enum dns_type type, unsigned how, const char *data)
{
    struct row *row = add_row(name, type, how);

    assert_true(strlen(data) < DATA_MAX);
    snprintf(row->data, sizeof(row->data), "%s", data);
    row->result = DNS_OK;
}

void lab_none(const char *name, enum dns_type type, unsigned how, enum dns_result result)
{
    add_row(name, type, how)->result = result;
}

void lab_ttl(uint32_t ttl_s)
{
    row_ttl_s = ttl_s;
}

void lab_alias(const char *name, const char *target)
{
    assert_true(alias_count < 8);
    snprintf(aliases[alias_count][0], sizeof(aliases[0][0]), "%s", name);
    snprintf(aliases[alias_count++][1], sizeof(aliases[0][1]), "%s", target);
}

void lab_forget(const char *name, enum dns_type type)
{
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].type == type && strcmp(rows[i].name, name) == 0)
            rows[i--] = rows[--row_count];
}

static const struct row *find_row(const char *name, enum dns_type type, bool *exists)
{
    const struct row *found = NULL;

    *exists = false;
    for (unsigned i = 0; i < row_count; i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        *exists = true;
        if (rows[i].type == type)
            found = &rows[i];
    }
    return found;
}

static const char *target_of(const char *name)
{
    for (unsigned i = 0; i < alias_count; i++)
        if (strcmp(aliases[i][0], name) == 0)
            return aliases[i][1];
    return name;
}

/* ---- answers ---- */

static void fill_record(struct dns_record *record, enum dns_type type, char *text)
{
    static uint8_t data[32][32 * 1024];
    static unsigned used;
    unsigned numbers[3];
    int at = 0;

    *record = (struct dns_record){.address = {{0}}};
    if (type == DNS_A || type == DNS_AAAA) {
        assert_true(address_parse(bytes_of(text), &record->address));
    } else if (type == DNS_MX) {
        assert_int_equal(sscanf(text, "%u %n", &numbers[0], &at), 1);
        record->mx.preference = (uint16_t)numbers[0];
        record->mx.host = strcmp(text + at, ".") == 0 ? "" : text + at;
    } else {
        assert_int_equal(
            sscanf(text, "%u %u %u %n", &numbers[0], &numbers[1], &numbers[2], &at), 3);
        size_t len = strlen(text + at);
        uint8_t *to = data[used++ % 32];
        /* "x9000": so many bytes */
        if (text[at] == 'x')
            memset(to, 'x', len = strtoul(text + at + 1, NULL, 10));
        else
            memcpy(to, text + at, len);
        record->tlsa.usage = (uint8_t)numbers[0];
        record->tlsa.selector = (uint8_t)numbers[1];
        record->tlsa.matching = (uint8_t)numbers[2];
        record->tlsa.data = bytes_from(to, len);
    }
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_record *left = a, *right = b;

    return (int)left->mx.preference - (int)right->mx.preference;
}

static void unlink_asking(struct asking *asking)
{
    struct asking **link = &askings;

    while (*link != asking)
        link = &(*link)->next;
    *link = asking->next;
    lab.open--;
}

static void on_asked(void *context)
{
    struct asking *asking = context;
    static struct dns_record records[DNS_RECORDS_MAX];
    bool exists, target_exists;
    const char *target = target_of(asking->name);
    char data[DATA_MAX];
    struct dns_answer answer = {.type = asking->type,
                                .name = asking->name,
                                .target = target,
                                .reason = "",
                                .ttl_s = row_ttl_s,
                                .records = records};

    find_row(asking->name, asking->type, &exists);
    const struct row *row = find_row(target, asking->type, &target_exists);
    exists = exists || target_exists;
    answer.result = row != NULL ? row->result : exists ? DNS_NODATA : DNS_NXDOMAIN;
    if (row != NULL) {
        answer.secure = (row->how & SIGNED) != 0;
        answer.ttl_s = row->ttl_s;
        snprintf(data, sizeof(data), "%s", row->data);
        char *save = NULL;
        for (char *item = strtok_r(data, ",", &save); item != NULL;
             item = strtok_r(NULL, ",", &save)) {
            item += strspn(item, " ");
            fill_record(&records[answer.count++], asking->type, item);
        }
        if (asking->type == DNS_MX)
            qsort(records, answer.count, sizeof(*records), by_preference);
    }
    if (dns_trouble(answer.result))
        answer.ttl_s = 0;
    unlink_asking(asking);
    asking->done(asking->context, &answer);
    free(asking);
}

uint64_t dns_query(struct dns *dns, const char *name, enum dns_type type,
                   void (*done)(void *context, const struct dns_answer *answer), void *context)
{
    struct asking *asking = calloc(1, sizeof(*asking));
    bool exists;

    (void)dns;
    assert_non_null(asking);
    *asking = (struct asking){.next = askings,
                              .ticket = ++last_ticket,
                              .type = type,
                              .done = done,
                              .context = context};
    snprintf(asking->name, sizeof(asking->name), "%s", name);
    askings = asking;
    assert_true(lab.asked < ASKED_MAX);
    snprintf(asked[lab.asked].name, sizeof(asked[0].name), "%s", name);
    asked[lab.asked++].type = type;
    if (++lab.open > lab.open_most)
        lab.open_most = lab.open;
    const struct row *row = find_row(name, type, &exists);
    asking->held = row != NULL && (row->how & HELD) != 0;
    if (!asking->held && (row == NULL || (row->how & SILENT) == 0))
        asking->timer = __real_loop_timer_start(lab.loop, 0, 0, on_asked, asking);
    return asking->ticket;
}

void dns_cancel(struct dns *dns, uint64_t ticket)
{
    (void)dns;
    for (struct asking *asking = askings; asking != NULL; asking = asking->next) {
        if (asking->ticket != ticket)
            continue;
        unlink_asking(asking);
        loop_timer_stop(&asking->timer);
        free(asking);
        return;
    }
}

void lab_let_go(void)
{
    for (struct asking *asking = askings; asking != NULL; asking = asking->next) {
        if (asking->held)
            asking->timer = __real_loop_timer_start(lab.loop, 0, 0, on_asked, asking);
        asking->held = false;
    }
}

unsigned lab_asked(const char *name, enum dns_type type)
{
    unsigned count = 0;

    for (unsigned i = 0; i < lab.asked; i++)
        count += asked[i].type == type && strcmp(asked[i].name, name) == 0;
    return count;
}

/* ---- the lab ---- */

int lab_setup(void **state)
{
    static struct address own;
    static struct address_prefix allowed[3];
    static const char *const names[] = {"MX.own.test."};

    (void)state;
    CHECK(address_parse(BYTES("192.0.2.99"), &own));
    CHECK(address_prefix_parse(BYTES("192.0.2.0/24"), &allowed[0]));
    CHECK(address_prefix_parse(BYTES("198.51.100.0/24"), &allowed[1]));
    CHECK(address_prefix_parse(BYTES("2001:db8::/32"), &allowed[2]));
    rows = calloc(ROWS_MAX, sizeof(*rows));
    CHECK(rows != NULL);
    row_count = alias_count = 0;
    row_ttl_s = 300;
    lab = (struct lab){.loop = loop_new()};
    lab.config = (struct routes_config){.loop = lab.loop,
                                        .dns = (struct dns *)&lab, /* never looked into */
                                        .own_names = names,
                                        .own_name_count = 1,
                                        .own_addresses = &own,
                                        .own_address_count = 1,
                                        .allowed = allowed,
                                        .allowed_count = 3,
                                        .seed = 0x5eed};
    lab_routes_new();
    return 0;
}

void lab_routes_new(void)
{
    routes_free(&lab.routes);
    lab.routes = routes_new(&lab.config);
}

int lab_teardown(void **state)
{
    (void)state;
    routes_free(&lab.routes);
    CHECK(askings == NULL && lab.open == 0);
    loop_free(&lab.loop);
    free(rows);
    return 0;
}

static void on_found(void *context, const struct route *route)
{
    const struct route **found = context;

    *found = route_hold(route);
}

static bool is_found(void *context)
{
    return *(const struct route **)context != NULL;
}

const struct route *lab_find(const char *domain)
{
    const struct route *found = NULL;

    route_find(lab.routes, domain, on_found, &found);
    assert_null(found);
    run_until(lab.loop, is_found, &found);
    return found;
}

void lab_expect(const char *domain, enum route_kind kind, const char *status, const char *words)
{
    const struct route *route = lab_find(domain);

    if (route->kind != kind)
        fail_msg("%s: %s (%s), not %s", domain, route_kind_text(route->kind), route->text,
                 route_kind_text(kind));
    assert_string_equal(route->status, status);
    if (strstr(route->text, words) == NULL)
        fail_msg("%s: \"%s\" without \"%s\"", domain, route->text, words);
    assert_int_equal(route->permanent, status[0] == '5');
    assert_int_equal(route->code / 100, status[0] == '\0' ? 0 : status[0] - '0');
    assert_int_equal(route->host_count > 0, kind == ROUTE_GOOD);
    assert_true(strlen(route->text) < ROUTE_TEXT_SIZE);
    route_release(&route);
}

static size_t write_address(char *to, size_t size, const char *before,
                            const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];

    address_text(address, text);
    return (size_t)snprintf(to, size, "%s%s", before, text);
}

const char *lab_hosts(const struct route *route)
{
    static char text[16384];
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < route->host_count; i++) {
        const struct route_host *host = &route->hosts[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? ", " : "",
                                 host->name);
        for (unsigned j = 0; j < host->address_count; j++)
            used += write_address(text + used, sizeof(text) - used, " ", &host->addresses[j]);
    }
    return text;
}

const char *lab_plan(const struct route *route, const struct route_wish *wish)
{
    static char text[2048];
    struct route_plan plan;
    size_t used = 0;

    route_plan(route, wish, &plan);
    text[0] = '\0';
    for (unsigned i = 0; i < plan.count; i++)
        used += write_address(text + used, sizeof(text) - used, i > 0 ? " " : "",
                              &plan.steps[i].address);
    return text;
}
