/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    const char *program;
    enum log_level least;
    bool json;
} settings = {"postraft", LOG_LEVEL_INFO, false};

/* A line under construction. Once `full` is set, nothing more is added. */
struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool full;
};

#define TAIL_ROOM 4 /* for the closing quote, brace and newline */

static void add(struct line *line, const char *text, size_t len)
{
    if (line->full || len > sizeof(line->text) - TAIL_ROOM - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Control characters, quotes, backslashes and bytes over 126 become \u00XX: one line stays one
 * line. */
static void add_escaped(struct line *line, struct bytes value)
{
    for (size_t i = 0; i < value.len && !line->full; i++) {
        uint8_t byte = value.at[i];
        if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\') {
            add(line, (const char *)&value.at[i], 1);
        } else {
            char escape[8];
            int len = snprintf(escape, sizeof(escape), "\\u%04x", byte);
            add(line, escape, (size_t)len);
        }
    }
}

static bool is_plain(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] <= ' ' || value.at[i] > '~' || value.at[i] == '"' ||
            value.at[i] == '\\' || value.at[i] == '=')
            return false;
    return value.len > 0;
}

static void add_value(struct line *line, struct bytes value, bool quoted)
{
    size_t before = line->len;

    if (quoted)
        add(line, "\"", 1);
    add_escaped(line, value);
    if (quoted)
        add(line, "\"", 1);
    if (line->full)
        line->len = before;
}

static void add_field(struct line *line, const char *key, struct bytes value, bool number)
{
    size_t before = line->len;

    if (settings.json) {
        add(line, ",\"", 2);
        add(line, key, strlen(key));
        add(line, "\":", 2);
    } else {
        add(line, " ", 1);
        add(line, key, strlen(key));
        add(line, "=", 1);
    }
    add_value(line, value, !number && (settings.json || !is_plain(value)));
    if (line->full)
        line->len = before;
}

static void add_fields(struct line *line, const struct log_field *field)
{
    char digits[24];

    for (; field != NULL && field->kind != LOG_FIELD_END; field++) {
        struct bytes value = BYTES_INIT("");
        bool number = false;
        switch (field->kind) {
        case LOG_FIELD_END:
            break;
        case LOG_FIELD_TEXT:
            value = bytes_of(field->text);
            break;
        case LOG_FIELD_BYTES:
            value = field->bytes;
            break;
        case LOG_FIELD_U64:
            value = bytes_from(digits, (size_t)snprintf(digits, sizeof(digits), "%llu",
                                                        (unsigned long long)field->u64));
            number = true;
            break;
        case LOG_FIELD_I64:
            value = bytes_from(digits, (size_t)snprintf(digits, sizeof(digits), "%lld",
                                                        (long long)field->i64));
            number = true;
            break;
        }
        add_field(line, field->key, value, number);
    }
}

static void add_context(struct line *line, const struct log_context *context)
{
    if (context == NULL)
        return;
    add_context(line, context->parent);
    add_fields(line, context->fields);
}

void log_init(const char *program, enum log_level least, bool json)
{
    settings.program = program;
    settings.least = least;
    settings.json = json;
}

void log_line(enum log_level level, const struct log_context *context, const char *event,
              const struct log_field *fields)
{
    struct line line = {.len = 0};
    struct timespec now;
    struct tm utc;
    char stamp[40];

    if (level < settings.least)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(stamp + len, sizeof(stamp) - len, ".%03ldZ", now.tv_nsec / 1000000);
    if (settings.json) {
        add(&line, "{\"time\":\"", 9);
        add(&line, stamp, len);
        add(&line, "\"", 1);
    } else {
        add(&line, stamp, len);
    }
    add_field(&line, "level", bytes_of(level_names[level]), false);
    add_field(&line, "program", bytes_of(settings.program), false);
    add_field(&line, "event", bytes_of(event), false);
    add_context(&line, context);
    add_fields(&line, fields);
    line.full = false;
    if (settings.json)
        line.text[line.len++] = '}';
    line.text[line.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.len);
    (void)written; /* nobody is left to be told */
}
