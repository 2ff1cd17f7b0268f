/* SPDX-License-Identifier: GPL-2.0-or-later */
/* New passwords: settings of the tenant, and the list of stolen ones as its file changes. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/hex.h"
#include "storage/service/password_rule.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

#define GOOD "lantern orbit gravel tuesday"
#define OTHER "copper meadow bicycle thunder"

static struct lab lab_memory;
static struct lab *const lab = &lab_memory;
static struct config config;
static char path[] = "/tmp/postraft-breached-XXXXXX";
static char why[300];
static unsigned answers;

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    world_begin(lab);
    config = (struct config){.passwords_breached = ""};
    world.service.config = &config;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    memset(path + strlen(path) - 6, 'X', 6);
    world_end();
    lab_close(lab);
    return 0;
}

static void on_done(void *context, const char *words)
{
    (void)context;
    answers++;
    snprintf(why, sizeof(why), "%s", words != NULL ? words : "");
}

/* What is said of it; "" for a good one. */
static const char *ask(const char *address, const char *password)
{
    unsigned before = answers;

    password_rule_check(&world.service, bytes_of(address), bytes_of(password), on_done, NULL);
    assert_int_equal(answers, before); /* never inside the call */
    world_run(world.now_ms + 1);
    assert_int_equal(answers, before + 1);
    return why;
}

/* Takes the place of the list there is, as an operator would do it. */
static void put_list(const char *password, const char *more)
{
    uint8_t digest[20];
    char hex[41];
    char fresh[sizeof(path) + 4];

    assert_int_equal(EVP_Digest(password, strlen(password), digest, NULL, EVP_sha1(), NULL), 1);
    hex_encode(bytes_from(digest, sizeof(digest)), hex);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fprintf(file, "%s:12\n%s", hex, more);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void test_settings(void **state)
{
    (void)state;
    assert_string_equal(ask("ann@acme.example", GOOD), "");
    assert_non_null(strstr(ask("ann@acme.example", "short one"), "at least 12 characters"));
    assert_non_null(strstr(ask("ann@acme.example", "passwordpassword"), "easy to guess"));
    assert_non_null(strstr(ask("ann@acme.example", "acme.example!1"), "little more than"));
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_TENANT, "acme",
                               "password.length", "40"));
    assert_non_null(strstr(ask("ann@acme.example", GOOD), "at least 40 characters"));
    assert_string_equal(ask("x@elsewhere.example", GOOD), ""); /* the cluster's rule */
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_TENANT, "acme",
                               "password.length", "8"));
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_TENANT, "acme",
                               "password.guesses", "0"));
    assert_string_equal(ask("ann@acme.example", "password"), "");
}

static void test_list(void **state)
{
    (void)state;
    config.passwords_breached = path;
    assert_string_equal(ask("ann@acme.example", GOOD), ""); /* there is no file yet */
    put_list(GOOD, "");
    assert_non_null(strstr(ask("ann@acme.example", GOOD), "were stolen elsewhere"));
    assert_string_equal(ask("ann@acme.example", OTHER), "");
    put_list(OTHER, ""); /* counts at once */
    assert_string_equal(ask("ann@acme.example", GOOD), "");
    assert_non_null(strstr(ask("ann@acme.example", OTHER), "were stolen elsewhere"));
    put_list(OTHER, "half a li"); /* not whole: nobody is refused for it */
    assert_string_equal(ask("ann@acme.example", OTHER), "");
    config.passwords_breached = "";
    put_list(OTHER, "");
    assert_string_equal(ask("ann@acme.example", OTHER), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, begin, end),
        cmocka_unit_test_setup_teardown(test_list, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
