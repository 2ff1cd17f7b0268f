/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/idn.h"

#include <idn2.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "node/mail/domain.h"
#include "node/mail/unicode.h"
#include "node/mail/utf8.h"

/*
 * Labels that are ASCII already are names of the DNS and pass as they are: hosts have labels
 * with hyphens in places, and A-labels of characters, that IDNA has no U-label for, and mail
 * comes from them. Only what is not ASCII has to be right by IDNA.
 */

static struct bytes lower_copy(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = byte_lower(text.at[i]);
    return bytes_from(copy, text.len);
}

static bool is_ascii(struct bytes text)
{
    return utf8_ascii_prefix(text) == text.len;
}

/* The length of the dot at the start of `text`, or 0: the full stop, and those that UTS 46 maps
 * to it (U+3002, U+FF0E, U+FF61). */
static size_t dot_size(struct bytes text)
{
    if (text.at[0] == '.')
        return 1;
    if (text.len < 3)
        return 0;
    bool is_wide = memcmp(text.at, "\xE3\x80\x82", 3) == 0 ||
                   memcmp(text.at, "\xEF\xBC\x8E", 3) == 0 ||
                   memcmp(text.at, "\xEF\xBD\xA1", 3) == 0;
    return is_wide ? 3 : 0;
}

/* The label at the start of `rest`, which is moved behind its dot. */
static struct bytes take_label(struct bytes *rest, bool *is_last)
{
    size_t len = 0;

    while (len < rest->len && dot_size(bytes_skip(*rest, len)) == 0)
        len++;
    struct bytes label = bytes_from(rest->at, len);
    *is_last = len == rest->len;
    *rest = bytes_skip(*rest, len);
    if (!*is_last)
        *rest = bytes_skip(*rest, dot_size(*rest));
    return label;
}

static enum err err_from_idn2(int code)
{
    CHECK(code != IDN2_MALLOC);
    if (code == IDN2_OK)
        return ERR_OK;
    bool is_big = code == IDN2_TOO_BIG_DOMAIN || code == IDN2_TOO_BIG_LABEL ||
                  code == IDN2_PUNYCODE_BIG_OUTPUT;
    return is_big ? ERR_TOOBIG : ERR_MALFORMED;
}

/* Appends the A-label. `label` is not ASCII, has no NUL and is valid UTF-8. */
static enum err add_a_label(struct bytes label, struct arena *arena, struct buffer *ascii)
{
    uint8_t *found = NULL;
    const char *text = arena_string(arena, label);
    int code =
        idn2_lookup_u8((const uint8_t *)text, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

    if (code == IDN2_OK)
        buffer_add_string(ascii, (const char *)found);
    idn2_free(found);
    return err_from_idn2(code);
}

static enum err add_labels(struct bytes domain, struct arena *arena, struct buffer *ascii)
{
    bool is_last = false;
    enum err err = ERR_OK;

    while (err == ERR_OK && !is_last) {
        struct bytes label = take_label(&domain, &is_last);
        if (is_ascii(label))
            buffer_add(ascii, label);
        else
            err = add_a_label(label, arena, ascii);
        if (!is_last)
            buffer_add_byte(ascii, '.');
    }
    return err;
}

/* RFC 5893 section 2: one label from right to left makes every label of the name subject to the
 * rule, and so the labels that stay ASCII. */
static bool order_is_clear(struct bytes domain)
{
    bool is_last = false;

    if (!unicode_has_rtl(domain))
        return true;
    while (!is_last)
        if (!unicode_bidi_rule_holds(take_label(&domain, &is_last)))
            return false;
    return true;
}

static enum err check_text(struct bytes domain)
{
    if (domain.len > MAIL_DOMAIN_UTF8_SIZE_MAX)
        return ERR_TOOBIG;
    for (size_t len; domain.len > 0; domain = bytes_skip(domain, len)) {
        uint32_t code_point;
        len = utf8_sequence(domain);
        if (len == 0 || domain.at[0] == '\0')
            return ERR_MALFORMED;
        code_point = unicode_code_point(domain, len);
        /* IDNA has its own rule for the joiners. */
        if (unicode_is_unseen(code_point) && !unicode_is_joiner(code_point))
            return ERR_MALFORMED;
    }
    return ERR_OK;
}

enum err mail_domain_to_ascii(struct bytes domain, struct arena *arena, struct bytes *ascii)
{
    struct buffer text = BUFFER_EMPTY;
    enum err err = check_text(domain);

    *ascii = (struct bytes){NULL, 0};
    if (err != ERR_OK)
        return err;
    if (!order_is_clear(domain))
        return ERR_MALFORMED;
    err = add_labels(domain, arena, &text);
    if (err == ERR_OK && buffer_len(&text) > MAIL_DOMAIN_SIZE_MAX)
        err = ERR_TOOBIG;
    if (err == ERR_OK && !mail_domain_valid(buffer_bytes(&text)))
        err = ERR_MALFORMED;
    if (err == ERR_OK)
        *ascii = lower_copy(arena, buffer_bytes(&text));
    buffer_fini(&text);
    return err;
}

/* Appends the label in the form to show. */
static void add_u_label(struct bytes label, struct arena *arena, struct buffer *unicode)
{
    struct bytes again = {NULL, 0};
    char *found = NULL;

    if (bytes_start_nocase(label, BYTES("xn--"))) {
        int code = idn2_to_unicode_8z8z(arena_string(arena, label), &found, 0);
        CHECK(code != IDN2_MALLOC);
        if (code == IDN2_OK && mail_domain_to_ascii(bytes_of(found), arena, &again) == ERR_OK &&
            bytes_equal(again, label))
            label = bytes_of(found);
    }
    buffer_add(unicode, label);
    idn2_free(found);
}

struct bytes mail_domain_to_unicode(struct bytes domain, struct arena *arena)
{
    struct buffer unicode = BUFFER_EMPTY;
    struct bytes ascii;
    struct bytes again;
    bool is_last = false;

    if (mail_domain_to_ascii(domain, arena, &ascii) != ERR_OK)
        return lower_copy(arena, domain);
    for (struct bytes rest = ascii; !is_last;) {
        add_u_label(take_label(&rest, &is_last), arena, &unicode);
        if (!is_last)
            buffer_add_byte(&unicode, '.');
    }
    struct bytes shown = arena_copy(arena, buffer_bytes(&unicode));
    buffer_fini(&unicode);
    if (mail_domain_to_ascii(shown, arena, &again) != ERR_OK || !bytes_equal(again, ascii))
        return ascii;
    return shown;
}

bool mail_path_is_utf8(const struct mail_path *path)
{
    return !is_ascii(path->local) || !is_ascii(path->domain);
}

static enum err fold_domain(struct bytes domain, struct arena *arena, struct bytes *folded)
{
    if (domain.len == 0 || domain_literal_valid(domain)) {
        *folded = lower_copy(arena, domain);
        return ERR_OK;
    }
    return mail_domain_to_ascii(domain, arena, folded);
}

enum err mail_address_fold(const struct mail_path *path, struct arena *arena,
                           struct mail_path *folded)
{
    *folded = (struct mail_path){.local = BYTES(""), .domain = BYTES(""), .is_null = true};
    if (path->is_null)
        return ERR_OK;
    folded->is_null = false;
    enum err err = mail_local_fold(path->local, arena, &folded->local);
    if (err == ERR_OK)
        err = fold_domain(path->domain, arena, &folded->domain);
    return err;
}

enum err mail_address_read(struct bytes text, struct arena *arena, struct mail_path *folded)
{
    struct mail_path path;
    enum err err = mail_address_parse_utf8(text, arena, &path);

    *folded = (struct mail_path){.is_null = false};
    return err == ERR_OK ? mail_address_fold(&path, arena, folded) : err;
}
