/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/path.h"

#include "node/mail/domain.h"
#include "node/mail/lexer.h"

/* RFC 5321 section 4.1.2, nothing more: each reader moves `at` behind what it took. */

static bool is_atext(uint8_t byte)
{
    return byte > ' ' && byte < 127 && strchr("()<>[]:;@\\,.\"", byte) == NULL;
}

/* Atoms with single dots between them. */
static bool read_dot_string(struct bytes *at, bool utf8_allowed, struct bytes *local)
{
    bool after_dot = true;
    size_t len = 0;

    for (; len < at->len; len++) {
        size_t wide = utf8_allowed ? domain_utf8_character(bytes_skip(*at, len)) : 0;
        if (at->at[len] == '.') {
            if (after_dot)
                return false;
            after_dot = true;
            continue;
        }
        if (!is_atext(at->at[len]) && wide == 0)
            break;
        len += wide > 0 ? wide - 1 : 0;
        after_dot = false;
    }
    *local = bytes_from(at->at, len);
    *at = bytes_skip(*at, len);
    return !after_dot;
}

/* Behind the opening quote up to and with the closing one. `text` has room for all of `at`. */
static bool read_quoted(struct bytes *at, bool utf8_allowed, uint8_t *text, size_t *text_len)
{
    while (at->len > 0 && at->at[0] != '"') {
        size_t wide = utf8_allowed ? domain_utf8_character(*at) : 0;
        size_t len = wide > 0 ? wide : 1;
        if (at->at[0] == '\\') {
            *at = bytes_skip(*at, 1);
            if (at->len == 0)
                return false;
        }
        if (wide == 0 && (at->at[0] < ' ' || at->at[0] > '~'))
            return false;
        memcpy(text + *text_len, at->at, len);
        *text_len += len;
        *at = bytes_skip(*at, len);
    }
    return lexer_accept(at, '"');
}

static bool is_domain_byte(uint8_t byte)
{
    return byte > ' ' && byte != 127 && strchr("()<>[]:;@\\,\"", byte) == NULL;
}

static bool read_domain(struct bytes *at, bool utf8_allowed, struct bytes *domain)
{
    if (at->len > 0 && at->at[0] == '[') {
        size_t len = bytes_find(*at, ']');
        len += len < at->len;
        *domain = bytes_from(at->at, len);
        *at = bytes_skip(*at, len);
        return domain_literal_valid(*domain);
    }
    *domain = lexer_run(at, is_domain_byte);
    return domain_name_valid(*domain, utf8_allowed);
}

/* "@a,@b:", read over (RFC 5321 appendix C). */
static bool read_route(struct bytes *at, bool utf8_allowed)
{
    struct bytes domain;

    if (at->len == 0 || at->at[0] != '@')
        return true;
    do {
        if (!lexer_accept(at, '@') || !read_domain(at, utf8_allowed, &domain))
            return false;
    } while (lexer_accept(at, ','));
    return lexer_accept(at, ':');
}

static struct bytes lower_copy(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = byte_lower(text.at[i]);
    return bytes_from(copy, text.len);
}

/* `at` is at most MAIL_PATH_SIZE_MAX long, so all that is read and kept here is. */
static enum err read_mailbox(struct bytes *at, bool utf8_allowed, struct arena *arena,
                             struct mail_path *path)
{
    uint8_t text[MAIL_PATH_SIZE_MAX];
    struct bytes local = {text, 0};
    struct bytes domain = {NULL, 0};

    if (lexer_accept(at, '"')) {
        if (!read_quoted(at, utf8_allowed, text, &local.len))
            return ERR_MALFORMED;
    } else if (!read_dot_string(at, utf8_allowed, &local)) {
        return ERR_MALFORMED;
    }
    if (local.len > MAIL_LOCAL_SIZE_MAX)
        return ERR_TOOBIG;
    if (lexer_accept(at, '@')) {
        if (!read_domain(at, utf8_allowed, &domain))
            return domain.len > MAIL_DOMAIN_SIZE_MAX ? ERR_TOOBIG : ERR_MALFORMED;
    } else if (!bytes_equal_nocase(local, BYTES("postmaster"))) {
        return ERR_MALFORMED;
    }
    path->local = arena_copy(arena, local);
    path->domain = domain.len > 0 ? lower_copy(arena, domain) : domain;
    return ERR_OK;
}

/* What of `text` may be looked at: a path that is longer is too big, wherever it ends. */
static struct bytes window(struct bytes text)
{
    size_t len = text.len < MAIL_PATH_SIZE_MAX ? text.len : MAIL_PATH_SIZE_MAX;
    return bytes_from(text.at, len);
}

enum err mail_path_parse(struct bytes *text, bool null_allowed, bool utf8_allowed,
                         struct arena *arena, struct mail_path *path)
{
    struct bytes at = window(*text);
    bool is_cut = at.len < text->len;
    enum err err = ERR_MALFORMED;

    *path = (struct mail_path){.is_null = false};
    if (!lexer_accept(&at, '<'))
        return ERR_MALFORMED;
    if (null_allowed && lexer_accept(&at, '>')) {
        *path = (struct mail_path){.local = BYTES(""), .domain = BYTES(""), .is_null = true};
        *text = bytes_skip(*text, 2);
        return ERR_OK;
    }
    if (read_route(&at, utf8_allowed))
        err = read_mailbox(&at, utf8_allowed, arena, path);
    if (err == ERR_OK && !lexer_accept(&at, '>'))
        err = ERR_MALFORMED;
    if (err == ERR_OK)
        *text = bytes_skip(*text, (size_t)(at.at - text->at));
    else if (is_cut && at.len == 0)
        err = ERR_TOOBIG;
    return err;
}

static enum err parse_address(struct bytes text, bool utf8_allowed, struct arena *arena,
                              struct mail_path *path)
{
    *path = (struct mail_path){.is_null = false};
    if (text.len > MAIL_PATH_SIZE_MAX - 2)
        return ERR_TOOBIG;
    enum err err = read_mailbox(&text, utf8_allowed, arena, path);
    if (err != ERR_OK)
        return err;
    return text.len == 0 && path->domain.len > 0 ? ERR_OK : ERR_MALFORMED;
}

enum err mail_address_parse(struct bytes text, struct arena *arena, struct mail_path *path)
{
    return parse_address(text, false, arena, path);
}

enum err mail_address_parse_utf8(struct bytes text, struct arena *arena, struct mail_path *path)
{
    return parse_address(text, true, arena, path);
}

static bool needs_quotes(struct bytes local)
{
    struct bytes at = local;
    struct bytes atoms;

    return !read_dot_string(&at, true, &atoms) || at.len > 0;
}

struct bytes mail_path_format(struct arena *arena, const struct mail_path *path)
{
    bool is_quoted = needs_quotes(path->local);
    uint8_t *text = arena_alloc(arena, 2 * path->local.len + path->domain.len + 4);
    size_t len = 0;

    if (path->is_null)
        return bytes_from(text, 0);
    if (is_quoted)
        text[len++] = '"';
    for (size_t i = 0; i < path->local.len; i++) {
        if (is_quoted && (path->local.at[i] == '"' || path->local.at[i] == '\\'))
            text[len++] = '\\';
        text[len++] = path->local.at[i];
    }
    if (is_quoted)
        text[len++] = '"';
    if (path->domain.len > 0) {
        text[len++] = '@';
        memcpy(text + len, path->domain.at, path->domain.len);
        len += path->domain.len;
    }
    return bytes_from(text, len);
}
