/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "admin/cli/output.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/buffer.h"
#include "node/base/check.h"

#define JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

static void show_bytes(struct buffer *text, json_int_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    double value = (double)bytes;

    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    buffer_printf(text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void show_time(struct buffer *text, json_int_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char shown[32];

    if (ms == 0) {
        buffer_add_string(text, "-");
        return;
    }
    localtime_r(&seconds, &parts);
    CHECK(strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M:%S", &parts) > 0);
    buffer_add_string(text, shown);
}

/* "1* 2 3s 4!": the leader, a voter, a standby, one that the leader does not hear of. */
static void show_members(struct buffer *text, const json_t *members)
{
    size_t i = 0;
    const json_t *member = NULL;

    json_array_foreach(members, i, member)
    {
        const char *role = json_string_value(json_object_get(member, "role"));
        buffer_printf(text, "%s%lld%s%s%s", i > 0 ? " " : "",
                      (long long)json_integer_value(json_object_get(member, "node")),
                      json_is_true(json_object_get(member, "leader")) ? "*" : "",
                      role != NULL && strcmp(role, "voter") != 0 ? "s" : "",
                      json_is_false(json_object_get(member, "reachable")) ? "!" : "");
    }
}

/* "whole", or "3 partial 12.0 MiB": whose state is not, and how much of a copy has come. */
static void show_states(struct buffer *text, const json_t *states)
{
    size_t begun = buffer_len(text);
    size_t i = 0;
    const json_t *state = NULL;

    json_array_foreach(states, i, state)
    {
        const char *name = json_string_value(json_object_get(state, "state"));
        const json_t *copy = json_object_get(state, "copy");

        if (copy == NULL && (name == NULL || strcmp(name, "partial") != 0))
            continue;
        buffer_printf(text, "%s%lld %s", buffer_len(text) > begun ? " " : "",
                      (long long)json_integer_value(json_object_get(state, "node")),
                      name != NULL ? name : "-");
        if (copy != NULL) {
            buffer_add_byte(text, ' ');
            show_bytes(text, json_integer_value(json_object_get(copy, "bytes")));
        }
    }
    if (buffer_len(text) == begun)
        buffer_add_string(text, "whole");
}

char *output_time(struct arena *arena, uint64_t time_ms)
{
    struct buffer text = BUFFER_EMPTY;

    show_time(&text, (json_int_t)time_ms);
    char *made = arena_string(arena, buffer_bytes(&text));
    buffer_fini(&text);
    return made;
}

static void show_address(struct buffer *text, const json_t *value)
{
    struct arena arena;
    const char *address = json_string_value(value);

    arena_init(&arena);
    buffer_add_string(text, output_unicode(&arena, address != NULL ? address : ""));
    arena_fini(&arena);
}

static void show_array(struct buffer *text, const json_t *values, bool addresses)
{
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(values, i, value)
    {
        buffer_add_string(text, i > 0 ? ", " : "");
        if (addresses)
            show_address(text, value);
        else
            buffer_add_string(text, json_string_value(value));
    }
    if (i == 0)
        buffer_add_byte(text, '-');
}

static void show_value(struct buffer *text, const json_t *value, enum output_kind kind)
{
    if (value == NULL || json_is_null(value))
        buffer_add_string(text, "-");
    else if (kind == OUTPUT_BYTES)
        show_bytes(text, json_integer_value(value));
    else if (kind == OUTPUT_TIME)
        show_time(text, json_integer_value(value));
    else if (kind == OUTPUT_MEMBERS)
        show_members(text, value);
    else if (kind == OUTPUT_STATES)
        show_states(text, value);
    else if (kind == OUTPUT_ADDRESS)
        show_address(text, value);
    else if (kind == OUTPUT_ADDRESSES || kind == OUTPUT_TEXTS)
        show_array(text, value, kind == OUTPUT_ADDRESSES);
    else if (json_is_boolean(value))
        buffer_add_string(text, json_is_true(value) ? "yes" : "no");
    else if (json_is_integer(value))
        buffer_printf(text, "%lld", (long long)json_integer_value(value));
    else
        buffer_add_string(text,
                          json_string_value(value) != NULL ? json_string_value(value) : "");
}

/* The value as text with a NUL behind it. */
static const char *shown(struct buffer *text, const json_t *record,
                         const struct output_column *column)
{
    buffer_clear(text);
    show_value(text, json_object_get(record, column->key), column->kind);
    buffer_add_byte(text, 0);
    return (const char *)buffer_bytes(text).at;
}

void output_table(const json_t *rows, const struct output_column *columns, size_t column_count)
{
    struct libscols_table *table = scols_new_table();
    struct buffer text = BUFFER_EMPTY;
    size_t i = 0;
    const json_t *row = NULL;

    CHECK(table != NULL);
    for (size_t c = 0; c < column_count; c++) {
        bool right = columns[c].kind == OUTPUT_NUMBER || columns[c].kind == OUTPUT_BYTES;
        CHECK(scols_table_new_column(table, columns[c].title, 0, right ? SCOLS_FL_RIGHT : 0) !=
              NULL);
    }
    json_array_foreach(rows, i, row)
    {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        CHECK(line != NULL);
        for (size_t c = 0; c < column_count; c++)
            CHECK(scols_line_set_data(line, c, shown(&text, row, &columns[c])) == 0);
    }
    scols_print_table(table);
    scols_unref_table(table);
    buffer_fini(&text);
}

static void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_FLAGS);

    CHECK(text != NULL);
    puts(text);
    free(text);
}

static enum cli_exit end_output(json_t *value)
{
    json_decref(value);
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_fail("the output could not be written");
    return CLI_OK;
}

enum cli_exit output_list(const struct cli *cli, const char *name, json_t *rows,
                          const struct output_column *columns, size_t column_count)
{
    json_t *list = json_object();

    if (cli_has(cli, OPTION_JSON)) {
        CHECK(json_object_set(list, name, rows) == 0);
        print_json(list);
    } else if (json_array_size(rows) == 0) {
        printf("no %s\n", name);
    } else {
        output_table(rows, columns, column_count);
    }
    json_decref(list);
    return end_output(rows);
}

enum cli_exit output_record(const struct cli *cli, json_t *record,
                            const struct output_column *columns, size_t column_count)
{
    struct buffer text = BUFFER_EMPTY;
    size_t width = 12;

    for (size_t c = 0; c < column_count; c++)
        width = strlen(columns[c].title) > width ? strlen(columns[c].title) : width;
    if (cli_has(cli, OPTION_JSON)) {
        print_json(record);
    } else {
        for (size_t c = 0; c < column_count; c++)
            printf("%-*s %s\n", (int)width, columns[c].title,
                   shown(&text, record, &columns[c]));
    }
    buffer_fini(&text);
    return end_output(record);
}

enum cli_exit output_done(const struct cli *cli, json_t *record, const char *format, ...)
{
    va_list values;

    if (cli_has(cli, OPTION_JSON)) {
        print_json(record);
    } else {
        va_start(values, format);
        vprintf(format, values);
        va_end(values);
        putchar('\n');
    }
    return end_output(record);
}

json_t *output_find(const json_t *rows, const char *key, const char *value)
{
    size_t i = 0;
    json_t *row = NULL;

    json_array_foreach(rows, i, row)
    {
        const char *found = json_string_value(json_object_get(row, key));
        if (bytes_equal_nocase(bytes_of(found), bytes_of(value)))
            return json_incref(row);
    }
    return NULL;
}
