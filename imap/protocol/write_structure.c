/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/write.h"

#include <inttypes.h>

#include "node/base/check.h"

static void write_part(struct buffer *out, const struct mail_part *part, bool extended,
                       unsigned depth);

static void write_parameters(struct buffer *out, const struct mail_parameter *parameters,
                             size_t count)
{
    if (count == 0) {
        buffer_add_string(out, "NIL");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        buffer_add_byte(out, i > 0 ? ' ' : '(');
        imap_write_string(out, parameters[i].name);
        buffer_add_byte(out, ' ');
        imap_write_string(out, parameters[i].value);
    }
    buffer_add_byte(out, ')');
}

static void write_disposition(struct buffer *out, const struct mail_part *part)
{
    if (part->disposition.at == NULL) {
        buffer_add_string(out, "NIL");
        return;
    }
    buffer_add_byte(out, '(');
    imap_write_string(out, part->disposition);
    buffer_add_byte(out, ' ');
    write_parameters(out, part->disposition_parameters, part->disposition_parameter_count);
    buffer_add_byte(out, ')');
}

/* "en" or ("en" "de") of a header "en, de". */
static void write_language(struct buffer *out, struct bytes language)
{
    bool is_list = bytes_find(language, ',') < language.len;

    if (!is_list) {
        imap_write_nstring(out, language);
        return;
    }
    buffer_add_byte(out, '(');
    for (bool first = true;; first = false) {
        size_t len = bytes_find(language, ',');
        buffer_add_string(out, first ? "" : " ");
        imap_write_string(out, bytes_trim(bytes_from(language.at, len)));
        if (len == language.len)
            break;
        language = bytes_skip(language, len + 1);
    }
    buffer_add_byte(out, ')');
}

/* Disposition, language and location: the end of both extended forms. */
static void write_common_extension(struct buffer *out, const struct mail_part *part)
{
    buffer_add_byte(out, ' ');
    write_disposition(out, part);
    buffer_add_byte(out, ' ');
    write_language(out, part->language);
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, part->location);
}

/* The grammar wants a part where a message has none, or none that was looked into. */
static void write_empty_text(struct buffer *out, bool extended)
{
    buffer_add_string(out, "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0");
    buffer_add_string(out, extended ? " NIL NIL NIL NIL)" : ")");
}

static void write_multipart(struct buffer *out, const struct mail_part *part, bool extended,
                            unsigned depth)
{
    for (const struct mail_part *child = part->children; child != NULL; child = child->next)
        write_part(out, child, extended, depth + 1);
    if (part->children == NULL)
        write_empty_text(out, extended);
    buffer_add_byte(out, ' ');
    imap_write_string(out, part->subtype);
    if (!extended)
        return;
    buffer_add_byte(out, ' ');
    write_parameters(out, part->parameters, part->parameter_count);
    write_common_extension(out, part);
}

static void write_inner_message(struct buffer *out, const struct mail_part *part, bool extended,
                                unsigned depth)
{
    static const struct mail_envelope nothing;

    buffer_add_byte(out, ' ');
    imap_write_envelope(out, part->envelope != NULL ? part->envelope : &nothing);
    buffer_add_byte(out, ' ');
    if (part->children != NULL)
        write_part(out, part->children, extended, depth + 1);
    else
        write_empty_text(out, extended);
}

static void write_single(struct buffer *out, const struct mail_part *part, bool extended,
                         unsigned depth)
{
    bool is_message = bytes_equal(part->type, BYTES("MESSAGE")) &&
                      bytes_equal(part->subtype, BYTES("RFC822"));

    imap_write_string(out, part->type);
    buffer_add_byte(out, ' ');
    imap_write_string(out, part->subtype);
    buffer_add_byte(out, ' ');
    write_parameters(out, part->parameters, part->parameter_count);
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, part->id);
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, part->description);
    buffer_add_byte(out, ' ');
    imap_write_string(out, part->encoding);
    buffer_printf(out, " %" PRIu64, part->body_len);
    if (is_message)
        write_inner_message(out, part, extended, depth);
    if (is_message || bytes_equal(part->type, BYTES("TEXT")))
        buffer_printf(out, " %" PRIu64, part->lines);
    if (!extended)
        return;
    buffer_add_byte(out, ' ');
    imap_write_nstring(out, part->md5);
    write_common_extension(out, part);
}

/* Recursion ends where the summary's depth does. */
static void write_part(struct buffer *out, const struct mail_part *part, bool extended,
                       unsigned depth)
{
    CHECK(depth <= 2 * MAIL_PART_DEPTH_MAX);
    buffer_add_byte(out, '(');
    if (bytes_equal(part->type, BYTES("MULTIPART")))
        write_multipart(out, part, extended, depth);
    else
        write_single(out, part, extended, depth);
    buffer_add_byte(out, ')');
}

void imap_write_structure(struct buffer *out, const struct mail_part *part, bool extended)
{
    write_part(out, part, extended, 0);
}
