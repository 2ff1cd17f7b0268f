/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/mime_field.h"

#include "node/mail/lexer.h"
#include "node/mail/text.h"
#include "smtp/message/mime_walk.h"

void mime_part_defaults(struct mail_part *part, bool in_digest)
{
    if (part->type.at == NULL) {
        part->type = in_digest ? BYTES("MESSAGE") : BYTES("TEXT");
        part->subtype = in_digest ? BYTES("RFC822") : BYTES("PLAIN");
    }
    if (part->encoding.at == NULL)
        part->encoding = BYTES("7BIT");
}

bool mime_part_is_message(const struct mail_part *part)
{
    bool is_message = bytes_equal(part->type, BYTES("MESSAGE")) &&
                      (bytes_equal(part->subtype, BYTES("RFC822")) ||
                       bytes_equal(part->subtype, BYTES("GLOBAL")));

    return is_message && !bytes_equal(part->encoding, BYTES("BASE64")) &&
           !bytes_equal(part->encoding, BYTES("QUOTED-PRINTABLE"));
}

/* bchars of RFC 2046 section 5.1.1. */
static bool boundary_is_plain(struct bytes boundary)
{
    for (size_t i = 0; i < boundary.len; i++) {
        uint8_t byte = boundary.at[i];
        bool is_letter = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                         (byte >= 'a' && byte <= 'z');
        if (!is_letter && (byte == '\0' || strchr("'()+_,-./:=? ", byte) == NULL))
            return false;
    }
    return boundary.len <= SMTP_MIME_BOUNDARY_SIZE_MAX;
}

struct bytes mime_part_boundary(const struct mail_part *part, unsigned *faults)
{
    struct bytes boundary = {NULL, 0};
    bool found = false;

    for (size_t i = 0; i < part->parameter_count; i++) {
        if (!bytes_equal_nocase(part->parameters[i].name, BYTES("boundary")))
            continue;
        if (found)
            *faults |= SMTP_MIME_ODD_BOUNDARY;
        else
            boundary = part->parameters[i].value;
        found = true;
    }
    while (boundary.len > 0 && lexer_is_space(boundary.at[boundary.len - 1]))
        boundary.len--;
    if (!boundary_is_plain(boundary))
        *faults |= SMTP_MIME_ODD_BOUNDARY;
    if (boundary.len > MAIL_BOUNDARY_SIZE_MAX)
        boundary.len = 0;
    if (boundary.len == 0)
        *faults |= SMTP_MIME_NO_BOUNDARY;
    return boundary;
}

static bool is_no_semicolon(uint8_t byte)
{
    return byte != ';' && byte != '(' && byte != '"';
}

/* Semicolons outside of quotes and comments. */
static size_t count_parameters(struct bytes value, struct buffer *scratch)
{
    size_t count = 0;

    while (lexer_skip(&value, NULL), value.len > 0) {
        if (lexer_accept(&value, ';')) {
            count++;
        } else if (value.at[0] == '"') {
            buffer_truncate(scratch, 0);
            lexer_quoted(&value, scratch);
        } else {
            lexer_run(&value, is_no_semicolon);
        }
    }
    return count;
}

unsigned mime_header_faults(struct bytes header)
{
    struct buffer scratch = BUFFER_EMPTY;
    struct mail_field field;
    unsigned faults = 0;

    while (header.len > 0) {
        if (!mail_field_next(&header, &field)) {
            header = bytes_skip(header, lexer_line_end(header, 0));
            continue;
        }
        bool is_type = bytes_equal_nocase(field.name, BYTES("Content-Type")) ||
                       bytes_equal_nocase(field.name, BYTES("Content-Disposition"));
        if (is_type && count_parameters(field.value, &scratch) > SMTP_MIME_PARAMETER_COUNT_MAX)
            faults |= SMTP_MIME_TOO_MANY_PARAMETERS;
    }
    buffer_fini(&scratch);
    return faults;
}
