/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/egress/classify_normal.h"

#include <stdio.h>

#include "smtp/egress/classify_fold.h"

enum { FRAGMENT_MAX = 24 };

struct folder {
    struct normal *out;
    const struct lists *lists;
    struct own_address own;
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_alnum(uint8_t byte)
{
    uint8_t lower = byte_lower(byte);
    return is_digit(byte) || (lower >= 'a' && lower <= 'z');
}

/* ---- joining ---- */

/* "5.7.28" and one colon, dash or the like behind it. */
static size_t take_status(struct bytes text, char status[12])
{
    size_t len = 0;
    unsigned dots = 0;

    if (text.len < 5 || text.at[1] != '.' ||
        (text.at[0] != '2' && text.at[0] != '4' && text.at[0] != '5'))
        return 0;
    while (len < text.len && len < 9) {
        if (text.at[len] == '.' && len + 1 < text.len && is_digit(text.at[len + 1]))
            dots++;
        else if (!is_digit(text.at[len]))
            break;
        len++;
    }
    if (dots != 2 || (len < text.len && (is_alnum(text.at[len]) || text.at[len] == '.')))
        return 0;
    if (status[0] == '\0') {
        memcpy(status, text.at, len);
        status[len] = '\0';
    }
    if (len < text.len && strchr(":-,;", text.at[len]) != NULL && text.at[len] != '\0')
        len++;
    return len;
}

/* "550-5.7.1 " at the start of a line, or within one that somebody joined. */
static size_t take_repeated(struct bytes text, unsigned code, bool line_start, char status[12])
{
    char digits[4];
    size_t len = 0;

    snprintf(digits, sizeof(digits), "%03u", code % 1000);
    if (bytes_start_nocase(text, bytes_of(digits)) &&
        (text.len == 3 || text.at[3] == '-' || text.at[3] == ' ')) {
        len = text.len == 3 ? 3 : 4;
        size_t more = take_status(bytes_skip(text, len), status);
        return more > 0 || line_start ? len + more : 0;
    }
    char again[12] = "";
    len = take_status(text, again);
    if (len == 0 || (!line_start && strcmp(again, status) != 0))
        return 0;
    if (status[0] == '\0')
        memcpy(status, again, sizeof(again));
    return len;
}

static void join_byte(struct normal *out, uint8_t byte)
{
    bool space = byte <= ' ' || byte == 0x7f || byte == '<' || byte == '>';

    if (out->joined_len == NORMAL_TEXT_MAX)
        return;
    if (space && (out->joined_len == 0 || out->joined[out->joined_len - 1] == ' '))
        return;
    out->joined[out->joined_len++] = (char)(space ? ' ' : byte);
}

static void join(struct normal *out, unsigned code, struct bytes text)
{
    bool line_start = true;
    bool word_start = true;

    for (size_t i = 0; i < text.len;) {
        uint8_t byte = text.at[i];
        if (word_start && is_digit(byte)) {
            size_t len = take_repeated(bytes_skip(text, i), code, line_start, out->status);
            if (len > 0) {
                join_byte(out, ' ');
                line_start = false;
                i += len;
                continue;
            }
        }
        line_start = byte == '\n' || byte == '\r' || (line_start && byte == ' ');
        word_start = byte <= ' ';
        join_byte(out, byte);
        i++;
    }
    while (out->joined_len > 0 && out->joined[out->joined_len - 1] == ' ')
        out->joined_len--;
    out->joined[out->joined_len] = '\0';
}

/* ---- replacing ---- */

static void add_byte(struct normal *out, uint8_t byte)
{
    if (out->len == NORMAL_TEXT_MAX)
        return;
    if (byte == ' ' && (out->len == 0 || out->text[out->len - 1] == ' '))
        return;
    out->text[out->len++] = (char)byte_lower(byte);
}

static void add_text(struct normal *out, const char *text)
{
    for (; *text != '\0'; text++)
        add_byte(out, (uint8_t)*text);
}

static bool contains_nocase(struct bytes text, const char *wanted)
{
    struct bytes part = bytes_of(wanted);

    for (; part.len > 0 && text.len >= part.len; text = bytes_skip(text, 1))
        if (bytes_start_nocase(text, part))
            return true;
    return false;
}

/* True where one is named; our own address in the name or behind it stays to be seen. */
static bool add_list(struct folder *folder, struct bytes host, struct bytes path)
{
    const struct list_entry *entry = lists_find(folder->lists, host, path);
    struct normal *out = folder->out;

    if (entry == NULL)
        return false;
    if (out->list == NULL)
        out->list = entry;
    add_text(out, entry->domains ? "<domainlist:" : "<iplist:");
    add_text(out, entry->name);
    add_byte(out, '>');
    if (folder->own.known && (contains_nocase(host, folder->own.backwards) ||
                              contains_nocase(path, folder->own.text)))
        add_text(out, " <sip>");
    return true;
}

/* Some hosts put their code there. */
static void add_fragment(struct normal *out, struct bytes link)
{
    struct bytes fragment = bytes_skip(link, bytes_find(link, '#'));
    struct bytes word = bytes_skip(fragment, 1);

    if (word.len == 0 || word.len > FRAGMENT_MAX || fold_id(word) > 0)
        return;
    for (size_t i = 0; i < fragment.len; i++)
        add_byte(out, fragment.at[i]);
}

static void add_url(struct folder *folder, struct bytes url)
{
    size_t scheme = bytes_start_nocase(url, BYTES("https://"))  ? 8
                    : bytes_start_nocase(url, BYTES("http://")) ? 7
                                                                : 0;
    struct bytes link = bytes_skip(url, scheme);
    size_t host = fold_host_length(link);

    if (!add_list(folder, (struct bytes){link.at, host}, bytes_skip(link, host)))
        add_text(folder->out, "<url>");
    add_fragment(folder->out, link);
}

static void add_ip(struct folder *folder, const struct fold_ip *ip)
{
    struct normal *out = folder->out;
    bool own = own_address_is(&folder->own, ip);

    if (out->len >= 5 && memcmp(out->text + out->len - 5, "ipv6:", 5) == 0)
        out->len -= 5;
    if (ip->network)
        add_text(out, own ? "<sip-net>" : "<ip-net>");
    else
        add_text(out, own ? "<sip>" : "<ip>");
}

static void add_domain(struct folder *folder, struct bytes domain, size_t start)
{
    struct normal *out = folder->out;

    if (add_list(folder, domain, (struct bytes){NULL, 0}))
        return;
    add_text(out, "<domain>");
    if (out->domain_count < NORMAL_DOMAINS_MAX)
        out->domains[out->domain_count++] = (struct normal_domain){
            .end = out->len, .start_read = start, .len_read = domain.len};
}

/* Something at `start`, which is the start of a word, and can be replaced: its length, or 0. */
static size_t replace(struct folder *folder, struct bytes whole, size_t start)
{
    struct bytes text = bytes_skip(whole, start);
    struct fold_ip ip;
    /* Not the end of 1.2.3.4.5. */
    bool after_dot = start >= 2 && whole.at[start - 1] == '.' && is_alnum(whole.at[start - 2]);
    size_t len = after_dot ? 0 : fold_ip(text, &ip);

    if (len > 0) {
        add_ip(folder, &ip);
    } else if ((len = fold_email(text)) > 0) {
        add_text(folder->out, "<email>");
    } else if ((len = fold_url(text)) > 0) {
        add_url(folder, (struct bytes){text.at, len});
    } else if ((len = fold_domain(text)) > 0) {
        add_domain(folder, (struct bytes){text.at, len}, start);
    } else if ((len = fold_id(text)) > 0) {
        add_text(folder->out, "<id>");
    }
    return len;
}

static void replace_all(struct folder *folder)
{
    struct normal *out = folder->out;
    struct bytes text = {(const uint8_t *)out->joined, out->joined_len};
    bool inside = false; /* a word: nothing begins here */

    for (size_t i = 0; i < text.len;) {
        uint8_t byte = text.at[i];
        bool starts =
            !inside && (is_alnum(byte) || (byte == ':' && (i == 0 || text.at[i - 1] != ':')));
        size_t len = starts ? replace(folder, text, i) : 0;
        if (len > 0) {
            i += len;
            inside = is_alnum(text.at[i - 1]);
            continue;
        }
        add_byte(out, byte);
        inside = is_alnum(byte);
        i++;
    }
    while (out->len > 0 && out->text[out->len - 1] == ' ')
        out->len--;
    out->text[out->len] = '\0';
}

/* FNV-1a, 64 bits: the same on every node and in every version. Numbers do not count. */
static uint64_t hash_template(const struct normal *normal)
{
    uint64_t hash = 0xcbf29ce484222325u;
    bool inside = false;

    for (size_t i = 0; i < normal->len; i++) {
        uint8_t byte = (uint8_t)normal->text[i];
        if (is_digit(byte) && !inside) {
            size_t end = i;
            while (end < normal->len && is_digit((uint8_t)normal->text[end]))
                end++;
            if (end == normal->len || !is_alnum((uint8_t)normal->text[end])) {
                byte = '#';
                i = end - 1;
            }
        }
        inside = is_alnum(byte);
        hash = (hash ^ byte) * 0x100000001b3u;
    }
    return hash;
}

void normal_make(const struct lists *lists, unsigned code, struct bytes text,
                 struct bytes source, struct normal *normal)
{
    struct folder folder = {.out = normal, .lists = lists};

    normal->len = 0;
    normal->joined_len = 0;
    normal->domain_count = 0;
    normal->list = NULL;
    normal->status[0] = '\0';
    own_address_set(&folder.own, source);
    join(normal, code,
         (struct bytes){text.at, text.len < CLASSIFY_TEXT_MAX ? text.len : CLASSIFY_TEXT_MAX});
    replace_all(&folder);
    normal->template_id = hash_template(normal);
}

/* ---- lists ---- */

/* "dbl.*" is each name that begins so. */
static bool is_below(struct bytes host, struct bytes suffix)
{
    if (suffix.len > 2 && suffix.at[suffix.len - 1] == '*') {
        struct bytes front = {suffix.at, suffix.len - 2};
        return bytes_start_nocase(host, front) &&
               (host.len == front.len || host.at[front.len] == '.');
    }
    if (host.len < suffix.len ||
        !bytes_equal_nocase(bytes_skip(host, host.len - suffix.len), suffix))
        return false;
    return host.len == suffix.len || host.at[host.len - suffix.len - 1] == '.';
}

const struct list_entry *lists_find(const struct lists *lists, struct bytes host,
                                    struct bytes path)
{
    const struct list_entry *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < lists->count; i++) {
        const struct list_entry *entry = &lists->entries[i];
        struct bytes suffix = bytes_of(entry->host);
        struct bytes begins = bytes_of(entry->path);
        size_t len = suffix.len * sizeof(entry->path) + begins.len;
        if (len > best_len && is_below(host, suffix) && bytes_start_nocase(path, begins)) {
            best = entry;
            best_len = len;
        }
    }
    return best;
}
