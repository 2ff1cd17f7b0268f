/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/base/log.h"

static char output[4 * LOG_LINE_MAX];

/* Writes one event with standard error turned to a file; `output` is what came. */
static void capture(enum log_level level, const struct log_context *context, const char *event,
                    const struct log_field *fields)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    log_line(level, context, event, fields);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    output[fread(output, 1, sizeof(output) - 1, file)] = '\0';
    fclose(file);
}

/* Behind the time, whose form is checked here. */
static const char *behind_time(bool json)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    const char *at = output + (json ? strlen("{\"time\":\"") : 0);

    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == 'd')
            assert_in_range(at[i], '0', '9');
        else
            assert_int_equal(at[i], form[i]);
    }
    return at + sizeof(form) - 1;
}

static void test_a_line_of_each_kind(void **state)
{
    const struct log_field *outer =
        LOG_FIELDS(LOG_TEXT("node", "n1"), LOG_U64("conn", UINT64_MAX));
    const struct log_context node = {NULL, outer};
    const struct log_context empty = {&node, NULL};
    const struct log_field *fields =
        LOG_FIELDS(LOG_I64("balance", INT64_MIN), LOG_BYTES("peer", BYTES("a b")),
                   LOG_TEXT("nothing", NULL), LOG_TEXT("plain", "x"));

    (void)state;
    log_init("unit", LOG_LEVEL_INFO, false);
    capture(LOG_LEVEL_WARN, &empty, "it happened", fields);
    assert_string_equal(behind_time(false),
                        " level=warn program=unit event=\"it happened\" node=n1 "
                        "conn=18446744073709551615 balance=-9223372036854775808 "
                        "peer=\"a b\" nothing=\"\" plain=x\n");
    log_init("unit", LOG_LEVEL_INFO, true);
    capture(LOG_LEVEL_INFO, &empty, "it happened", fields);
    assert_string_equal(behind_time(true),
                        "\",\"level\":\"info\",\"program\":\"unit\",\"event\":\"it happened\","
                        "\"node\":\"n1\",\"conn\":18446744073709551615,"
                        "\"balance\":-9223372036854775808,\"peer\":\"a b\",\"nothing\":\"\","
                        "\"plain\":\"x\"}\n");
}

static void test_levels(void **state)
{
    (void)state;
    log_init("unit", LOG_LEVEL_WARN, false);
    capture(LOG_LEVEL_INFO, NULL, "quiet", NULL);
    assert_string_equal(output, "");
    capture(LOG_LEVEL_ERROR, NULL, "loud", NULL);
    assert_string_equal(behind_time(false), " level=error program=unit event=loud\n");
}

/* Whatever a value holds, the line has one line end and no field but ours. */
static void test_a_value_stays_a_value(void **state)
{
    static const char hostile[] =
        "x\n2026 level=error event=\"y\" a=b\r\t\0\x1B[31m\x7F\xC3\xA4"
        "\\\"},{\"time\":1}";
    struct bytes value = bytes_from(hostile, sizeof(hostile) - 1);

    (void)state;
    log_init("unit", LOG_LEVEL_INFO, false);
    capture(LOG_LEVEL_INFO, NULL, "e", LOG_FIELDS(LOG_BYTES("v", value), LOG_U64("end", 1)));
    const char *line = strstr(output, " v=");
    assert_non_null(line);
    assert_string_equal(line,
                        " v=\"x\\u000a2026 level=error event=\\u0022y\\u0022 a=b\\u000d\\u0009"
                        "\\u0000\\u001b[31m\\u007f\\u00c3\\u00a4\\u005c\\u0022},{"
                        "\\u0022time\\u0022:1}\" end=1\n");
    log_init("unit", LOG_LEVEL_INFO, true);
    capture(LOG_LEVEL_INFO, NULL, "e", LOG_FIELDS(LOG_BYTES("v", value), LOG_U64("end", 1)));
    line = strstr(output, "\"v\":");
    assert_non_null(line);
    assert_string_equal(
        line, "\"v\":\"x\\u000a2026 level=error event=\\u0022y\\u0022 a=b\\u000d\\u0009"
              "\\u0000\\u001b[31m\\u007f\\u00c3\\u00a4\\u005c\\u0022},{"
              "\\u0022time\\u0022:1}\",\"end\":1}\n");
    /* Without quotes an equals sign would start a field in a reader's eyes. */
    log_init("unit", LOG_LEVEL_INFO, false);
    capture(LOG_LEVEL_INFO, NULL, "e", LOG_FIELDS(LOG_TEXT("v", "a=b"), LOG_TEXT("w", "")));
    assert_non_null(strstr(output, " v=\"a=b\" w=\"\"\n"));
}

/* For every length around the limit: whole fields or none, and a line that is closed. */
static void test_long_lines_are_cut_at_a_field(void **state)
{
    static char text[LOG_LINE_MAX + 100];

    (void)state;
    for (int json = 0; json < 2; json++) {
        bool was_cut = false;
        bool was_whole = false;
        log_init("unit", LOG_LEVEL_INFO, json == 1);
        for (size_t len = LOG_LINE_MAX - 200; len < sizeof(text) - 1; len++) {
            memset(text, 'v', len);
            text[len] = '\0';
            capture(LOG_LEVEL_INFO, NULL, "e",
                    LOG_FIELDS(LOG_TEXT("first", "1"), LOG_TEXT("long", text),
                               LOG_TEXT("last", "z")));
            size_t size = strlen(output);
            assert_in_range(size, 1, LOG_LINE_MAX);
            assert_ptr_equal(strchr(output, '\n'), output + size - 1);
            bool has_long = strstr(output, "long") != NULL;
            bool has_text = strstr(output, text) != NULL;
            assert_int_equal(has_long, has_text);
            was_cut |= !has_long;
            was_whole |= has_long;
            /* Nothing comes behind a field that was left out. */
            if (!has_long)
                assert_null(strstr(output, "last"));
            if (json == 1)
                assert_string_equal(output + size - 2, "}\n");
        }
        assert_true(was_cut && was_whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_of_each_kind),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_a_value_stays_a_value),
        cmocka_unit_test(test_long_lines_are_cut_at_a_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
