/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/buffer.h"
#include "node/mail/srs.h"

enum { DAY = 86400, MAX_DAYS = 21 };
#define NOW ((int64_t)20779 * DAY + 4711) /* 2026-11-22 */

static const struct bytes old_key = BYTES_INIT("0123456789abcdef-old");
static const struct bytes new_key = BYTES_INIT("0123456789abcdef-new");

static struct mail_path path_of(const char *local, const char *domain)
{
    return (struct mail_path){.local = bytes_of(local), .domain = bytes_of(domain)};
}

static enum mail_srs reverse(struct bytes key, int64_t now, struct bytes local,
                             struct arena *arena, struct mail_path *sender)
{
    struct mail_srs_keys keys = {&key, 1};
    return mail_srs_reverse(&keys, now, MAX_DAYS, local, arena, sender);
}

static struct mail_path rewritten(struct bytes key, const char *local, const char *domain,
                                  struct arena *arena)
{
    struct mail_srs_keys keys = {&key, 1};
    struct mail_path sender = path_of(local, domain);
    struct mail_path path;
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &sender, BYTES("fwd.example"), arena, &path),
                     MAIL_SRS_OK);
    assert_true(bytes_equal(path.domain, BYTES("fwd.example")));
    return path;
}

static void assert_text(struct bytes text, const char *want)
{
    if (!bytes_equal(text, bytes_of(want)))
        print_error("%.*s, not %s\n", BYTES_ARG(text), want != NULL ? want : "none");
    assert_true(bytes_equal(text, bytes_of(want)));
}

/* Worked out with Python's hmac: the form on the wire does not change unseen. */
static void test_known(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena);
    assert_text(rewritten(new_key, "Anna.B", "a.example", &arena).local,
                "SRS0=7ARO=JL=a.example=Anna.B");
    assert_text(rewritten(new_key, "SRS0=ABCD=XY=a.example=anna", "one.example", &arena).local,
                "SRS1=5L2M=one.example==ABCD=XY=a.example=anna");
    arena_fini(&arena);
}

static void test_there_and_back(void **state)
{
    static const struct {
        const char *local;
        const char *domain;
    } rows[] = {
        {"anna", "a.example"},
        {"A=b=c", "a.example"},
        {"a b\"c", "a.example"},
        {"x", "[192.0.2.1]"},
        {"x", "[ipv6:2001:db8::1]"},
        {"+-=", "a.example"},
        {"", "a.example"},
        {"\xC3\xA4", "b\xC3\xBC.example"},
        {"SRS0", "a.example"},
        {"SRS0x=1", "a.example"},
        {"SRS1=x", "a.example"},
        {"SRS1=x==", "a.example"},
        {"SRS1=x=b}c==y", "a.example"},
        {"SRS2=x=y", "a.example"},
        {"a@b", "a.example"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mail_path back;
        struct arena arena;
        arena_init(&arena);
        struct mail_path path = rewritten(new_key, rows[i].local, rows[i].domain, &arena);
        assert_true(mail_srs_is(path.local));
        assert_memory_equal(path.local.at, "SRS0=", 5);
        assert_int_equal(reverse(new_key, NOW, path.local, &arena, &back), MAIL_SRS_OK);
        assert_text(back.local, rows[i].local);
        assert_text(back.domain, rows[i].domain);
        arena_fini(&arena);
    }
}

/* Over three forwarders; the bounce goes back from the last to the first at once. */
static void test_chain(void **state)
{
    struct mail_srs_keys old_keys = {&old_key, 1};
    struct mail_path second;
    struct mail_path third;
    struct mail_path back;
    struct mail_path origin;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct mail_path first = rewritten(new_key, "anna", "a.example", &arena);
    assert_int_equal(
        mail_srs_rewrite(&old_keys, NOW, &first, BYTES("two.example"), &arena, &second),
        MAIL_SRS_OK);
    assert_memory_equal(second.local.at, "SRS1=", 5);
    assert_int_equal(
        mail_srs_rewrite(&old_keys, NOW, &second, BYTES("three.example"), &arena, &third),
        MAIL_SRS_OK);
    assert_int_equal(second.local.len, third.local.len);
    assert_int_equal(reverse(old_key, NOW, third.local, &arena, &back), MAIL_SRS_OK);
    assert_true(bytes_equal(back.domain, BYTES("fwd.example")));
    assert_true(bytes_equal(back.local, first.local));
    assert_int_equal(reverse(new_key, NOW, back.local, &arena, &origin), MAIL_SRS_OK);
    assert_text(origin.local, "anna");
    assert_text(origin.domain, "a.example");
    arena_fini(&arena);
}

static void test_separators(void **state)
{
    struct mail_path back;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (const char *separator = "=+-"; *separator != '\0'; separator++) {
        struct mail_path path = rewritten(new_key, "anna", "a.example", &arena);
        char *local = arena_string(&arena, path.local);
        local[4] = *separator;
        assert_int_equal(reverse(new_key, NOW, bytes_of(local), &arena, &back), MAIL_SRS_OK);
        assert_text(back.local, "anna");
        /* The next forwarder keeps it, and so it comes back. */
        path = rewritten(new_key, local, "one.example", &arena);
        assert_int_equal(reverse(new_key, NOW, path.local, &arena, &back), MAIL_SRS_OK);
        assert_text(back.local, local);
        assert_text(back.domain, "one.example");
    }
    arena_fini(&arena);
}

static void test_case(void **state)
{
    struct mail_path back;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    char *local = arena_string(&arena, rewritten(new_key, "Anna", "a.example", &arena).local);
    for (char *at = local; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    assert_int_equal(reverse(new_key, NOW, bytes_of(local), &arena, &back), MAIL_SRS_OK);
    assert_text(back.local, "anna");
    for (char *at = local; *at != '\0'; at++)
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
    assert_int_equal(reverse(new_key, NOW, bytes_of(local), &arena, &back), MAIL_SRS_OK);
    assert_text(back.local, "ANNA");
    assert_text(back.domain, "a.example");
    arena_fini(&arena);
}

static void test_age(void **state)
{
    struct mail_path back;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct bytes local = rewritten(new_key, "anna", "a.example", &arena).local;
    static const struct {
        int days;
        enum mail_srs want;
    } rows[] = {{0, MAIL_SRS_OK},        {1, MAIL_SRS_OK},
                {MAX_DAYS, MAIL_SRS_OK}, {-1, MAIL_SRS_OK},
                {-2, MAIL_SRS_EXPIRED},  {MAX_DAYS + 1, MAIL_SRS_EXPIRED},
                {1022, MAIL_SRS_EXPIRED}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            reverse(new_key, NOW + (int64_t)rows[i].days * DAY, local, &arena, &back),
            rows[i].want);
    arena_fini(&arena);
}

static void test_rotation(void **state)
{
    const struct bytes both[] = {new_key, old_key};
    struct mail_srs_keys keys = {both, 2};
    struct mail_path sender = path_of("anna", "a.example");
    struct mail_path path;
    struct mail_path back;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct bytes old_local = rewritten(old_key, "anna", "a.example", &arena).local;
    assert_int_equal(mail_srs_reverse(&keys, NOW, MAX_DAYS, old_local, &arena, &back),
                     MAIL_SRS_OK);
    assert_int_equal(reverse(new_key, NOW, old_local, &arena, &back), MAIL_SRS_FORGED);
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &sender, BYTES("fwd.example"), &arena, &path),
                     MAIL_SRS_OK);
    assert_int_equal(reverse(new_key, NOW, path.local, &arena, &back), MAIL_SRS_OK);
    assert_int_equal(reverse(old_key, NOW, path.local, &arena, &back), MAIL_SRS_FORGED);
    arena_fini(&arena);
}

/* Each byte of a good address changed in turn, and the address cut at each place. */
static void test_forged(void **state)
{
    struct mail_path back;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    const struct bytes good[] = {
        rewritten(new_key, "anna", "a.example", &arena).local,
        rewritten(new_key, "SRS0=ABCD=XY=a.example=anna", "one.example", &arena).local,
    };
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 5; i < good[k].len; i++) {
            char *local = arena_string(&arena, good[k]);
            local[i] = local[i] == 'q' || local[i] == 'Q' ? 'z' : 'q';
            assert_int_equal(reverse(new_key, NOW, bytes_of(local), &arena, &back),
                             MAIL_SRS_FORGED);
            assert_null(back.local.at);
        }
        for (size_t len = 5; len < good[k].len; len++)
            assert_int_equal(reverse(new_key, NOW, bytes_from(good[k].at, len), &arena, &back),
                             MAIL_SRS_FORGED);
    }
    /* An SRS1 that carries the rest of a real SRS0 is signed for something else. */
    char *mixed = arena_string(&arena, good[0]);
    mixed[3] = '1';
    assert_int_equal(reverse(new_key, NOW, bytes_of(mixed), &arena, &back), MAIL_SRS_FORGED);
    static const char *const others[] = {"anna", "SRS", "SRS0", "SRS2=a=b=c=d", "srs0x=", ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(reverse(new_key, NOW, bytes_of(others[i]), &arena, &back),
                         MAIL_SRS_NOT_SRS);
    assert_int_equal(reverse(new_key, NOW, BYTES("SRS0=\0=x"), &arena, &back), MAIL_SRS_FORGED);
    arena_fini(&arena);
}

static void test_kept(void **state)
{
    struct mail_srs_keys keys = {&new_key, 1};
    struct mail_path path;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct mail_path null_sender = {.local = BYTES(""), .domain = BYTES(""), .is_null = true};
    assert_int_equal(
        mail_srs_rewrite(&keys, NOW, &null_sender, BYTES("fwd.example"), &arena, &path),
        MAIL_SRS_UNCHANGED);
    assert_true(path.is_null);
    struct mail_path own = path_of("anna", "fwd.example");
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &own, BYTES("fwd.example"), &arena, &path),
                     MAIL_SRS_UNCHANGED);
    assert_text(path.local, "anna");
    /* 64 bytes exactly, and one more; with a quote that has to be escaped, less fits. */
    char local[80];
    size_t room = 64 - strlen("SRS0=HHHH=TT=a.example=");
    memset(local, 'x', sizeof(local));
    local[room] = '\0';
    struct mail_path sender = path_of(local, "a.example");
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &sender, BYTES("fwd.example"), &arena, &path),
                     MAIL_SRS_OK);
    assert_int_equal(path.local.len, 64);
    local[0] = '"';
    sender = path_of(local, "a.example");
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &sender, BYTES("fwd.example"), &arena, &path),
                     MAIL_SRS_TOO_LONG);
    assert_true(bytes_equal(path.local, sender.local));
    local[0] = local[room] = 'x';
    local[room + 1] = '\0';
    sender = path_of(local, "a.example");
    assert_int_equal(mail_srs_rewrite(&keys, NOW, &sender, BYTES("fwd.example"), &arena, &path),
                     MAIL_SRS_TOO_LONG);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),    cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_chain),    cmocka_unit_test(test_separators),
        cmocka_unit_test(test_case),     cmocka_unit_test(test_age),
        cmocka_unit_test(test_rotation), cmocka_unit_test(test_forged),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests_name("node/mail/srs", tests, NULL, NULL);
}
