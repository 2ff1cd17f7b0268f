/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_LOG_H
#define NODE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/bytes.h"

/*
 * One event, one line on standard error: a JSON object when log_init() was told so, else
 * key=value. Values are escaped, so that a peer's text can never start a line or a field of its
 * own. A line is at most LOG_LINE_MAX bytes; what is longer is cut at a field. Safe to call
 * from any thread.
 *
 * Never log passwords, message text, or keys.
 */
#define LOG_LINE_MAX 2048

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
    const char *key;
    enum { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_BYTES, LOG_FIELD_U64, LOG_FIELD_I64 } kind;
    union {
        const char *text;
        struct bytes bytes;
        uint64_t u64;
        int64_t i64;
    };
};

#define LOG_TEXT(name, value)                                                                  \
    {                                                                                          \
        .key = (name), .kind = LOG_FIELD_TEXT, .text = (value)                                 \
    }
#define LOG_BYTES(name, value)                                                                 \
    {                                                                                          \
        .key = (name), .kind = LOG_FIELD_BYTES, .bytes = (value)                               \
    }
#define LOG_U64(name, value)                                                                   \
    {                                                                                          \
        .key = (name), .kind = LOG_FIELD_U64, .u64 = (value)                                   \
    }
#define LOG_I64(name, value)                                                                   \
    {                                                                                          \
        .key = (name), .kind = LOG_FIELD_I64, .i64 = (value)                                   \
    }

/*
 * A context that lines inherit fields from (node, conn, queue_id). It and its fields are
 * borrowed and must outlive its use. `parent` may be NULL. `fields` ends with a LOG_FIELD_END
 * (all zero) row.
 */
struct log_context {
    const struct log_context *parent;
    const struct log_field *fields;
};

/* `program` is borrowed. Before the first call: level INFO, key=value, program "postraft". */
void log_init(const char *program, enum log_level least, bool json);

/* `context` and `fields` may be NULL. Does nothing when lines of that level are not written. */
void log_line(enum log_level level, const struct log_context *context, const char *event,
              const struct log_field *fields);

/* log_info(context, "event name", LOG_FIELDS(LOG_U64("bytes", n), LOG_TEXT("peer", text))). */
#define LOG_FIELDS(...)                                                                        \
    (const struct log_field[])                                                                 \
    {                                                                                          \
        __VA_ARGS__,                                                                           \
        {                                                                                      \
            .key = NULL                                                                        \
        }                                                                                      \
    }
#define log_debug(context, event, fields) log_line(LOG_LEVEL_DEBUG, context, event, fields)
#define log_info(context, event, fields) log_line(LOG_LEVEL_INFO, context, event, fields)
#define log_warn(context, event, fields) log_line(LOG_LEVEL_WARN, context, event, fields)
#define log_error(context, event, fields) log_line(LOG_LEVEL_ERROR, context, event, fields)

#endif
