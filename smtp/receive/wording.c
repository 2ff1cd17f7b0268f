/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/wording.h"

#include <stdarg.h>
#include <stdio.h>

#include "node/mail/date.h"
#include "smtp/message/sanitize.h"
#include "smtp/protocol/trace.h"

/* A field made of what is in the directory; one that cannot be written is left out. */
__attribute__((format(printf, 3, 4))) static void
add_field(struct buffer *header, struct bytes name, const char *format, ...)
{
    struct buffer value = BUFFER_EMPTY;
    va_list arguments;
    char text[SMTP_FIELD_LINE_SIZE_MAX];

    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len > 0 && (size_t)len < sizeof(text) &&
        smtp_field_add(&value, name, bytes_of(text)) == ERR_OK)
        buffer_add(header, buffer_bytes(&value));
    buffer_fini(&value);
}

/* "staff@example.net" as "staff.example.net" (RFC 2919 section 2). */
static void add_list_id(struct buffer *header, const struct destination *destination)
{
    struct bytes address = destination->list;
    size_t at = bytes_find(address, '@');
    struct bytes domain = bytes_skip(address, at + 1);

    if (destination->list_description.len > 0)
        add_field(header, BYTES("List-Id"), "%.*s <%.*s.%.*s>",
                  BYTES_ARG(destination->list_description), (int)at, (const char *)address.at,
                  BYTES_ARG(domain));
    else
        add_field(header, BYTES("List-Id"), "<%.*s.%.*s>", (int)at, (const char *)address.at,
                  BYTES_ARG(domain));
}

/* RFC 2369, 2919; Precedence keeps automatic replies away. */
static void add_list_fields(struct buffer *header, const struct destination *destination)
{
    struct bytes address = destination->list;
    size_t at = bytes_find(address, '@');
    struct bytes domain = bytes_skip(address, at + 1);

    add_list_id(header, destination);
    add_field(header, BYTES("List-Post"), "<mailto:%.*s>", BYTES_ARG(address));
    add_field(header, BYTES("List-Owner"), "<mailto:%.*s-owner@%.*s>", (int)at,
              (const char *)address.at, BYTES_ARG(domain));
    add_field(header, BYTES("Precedence"), "list");
}

/* Bounces go to the list's owner; no list: the envelope's sender. */
static struct bytes list_sender(struct arena *arena, struct bytes list)
{
    size_t at = bytes_find(list, '@');
    struct bytes domain = bytes_skip(list, at + 1);

    if (list.len == 0)
        return bytes_from(NULL, 0);
    return bytes_of(arena_printf(arena, "%.*s-bounces@%.*s", (int)at, (const char *)list.at,
                                 BYTES_ARG(domain)));
}

void wording_open(struct copy *copy, const struct visitor *visitor,
                  const struct smtp_envelope *envelope, const char *trace_id,
                  struct arena *message_arena)
{
    const struct receive_config *config = &visitor->receive->config;
    struct arena arena;

    arena_init(&arena);
    const struct smtp_trace trace = {
        .envelope = envelope,
        .return_path = list_sender(&arena, copy->list),
        .hostname = config->hostname,
        .peer_address = visitor->login != NULL && login_hides_client(visitor->login)
                            ? ""
                            : visitor_peer(visitor),
        .tls_text = conn_tls_text(visitor->conn),
        .trace_id = trace_id,
        .seconds = (int64_t)(clock_wall_ms() / 1000),
    };
    smtp_trace_write(&trace, &copy->prepend);
    if (copy->list.len > 0)
        add_list_fields(&copy->append, copy->destination);
    if (copy->forward.len > 0)
        add_field(&copy->prepend, BYTES("Delivered-To"), "%.*s", BYTES_ARG(copy->forward));
    unsigned drop = visitor->login != NULL ? SMTP_DROP_ON_SUBMISSION : SMTP_DROP_ON_RECEPTION;
    if (copy->list.len > 0)
        drop |= SMTP_DROP_LIST;
    struct smtp_header_edit_config edit = {
        .drop = drop,
        .authserv_ids = &visitor->receive->authserv_id,
        .authserv_id_count = 1,
        .authserv_domain = bytes_of(visitor->receive->organisation),
        .prepend = buffer_bytes(&copy->prepend),
        .append = buffer_bytes(&copy->append),
    };
    if (visitor->login != NULL) {
        char date[MAIL_DATE_TEXT_SIZE];
        mail_date_format((struct mail_date){.seconds = trace.seconds}, date);
        edit.date = arena_copy(message_arena, bytes_of(date));
        edit.message_id =
            bytes_of(arena_printf(message_arena, "<%s@%s>", trace_id, config->hostname));
    }
    copy->edit = smtp_header_edit_new(&edit);
    arena_fini(&arena);
}
