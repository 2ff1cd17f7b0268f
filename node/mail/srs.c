/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/srs.h"

#include <sodium.h>

#include "node/base/check.h"
#include "node/mail/domain.h"

enum { DAY_SIZE = 2, DAY_COUNT = 1024, DAY_SECONDS = 86400, MARK_SIZE = 4 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const char *mail_srs_text(enum mail_srs result)
{
    static const char *const texts[] = {
        [MAIL_SRS_OK] = "ok",         [MAIL_SRS_UNCHANGED] = "unchanged",
        [MAIL_SRS_TOO_LONG] = "long", [MAIL_SRS_NOT_SRS] = "no rewritten sender",
        [MAIL_SRS_FORGED] = "forged", [MAIL_SRS_EXPIRED] = "expired",
    };
    return texts[result];
}

/* "SRS0" or "SRS1" and a separator. */
static bool has_mark(struct bytes local, char digit)
{
    return local.len > MARK_SIZE && bytes_start_nocase(local, BYTES("SRS")) &&
           local.at[3] == (uint8_t)digit && strchr("=+-", local.at[MARK_SIZE]) != NULL &&
           local.at[MARK_SIZE] != '\0';
}

bool mail_srs_is(struct bytes local)
{
    return has_mark(local, '0') || has_mark(local, '1');
}

/* Cuts off what is before the next '='. */
static bool take_part(struct bytes *rest, struct bytes *part)
{
    size_t len = bytes_find(*rest, '=');

    *part = bytes_from(rest->at, len);
    if (len == rest->len)
        return false;
    *rest = bytes_skip(*rest, len + 1);
    return true;
}

static void sign(struct bytes key, char digit, struct bytes text, char hash[MAIL_SRS_HASH_SIZE])
{
    crypto_auth_hmacsha256_state state;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    uint8_t byte = (uint8_t)digit;

    CHECK(key.len >= MAIL_SRS_KEY_SIZE_MIN);
    crypto_auth_hmacsha256_init(&state, key.at, key.len);
    crypto_auth_hmacsha256_update(&state, &byte, 1);
    for (size_t i = 0; i < text.len; i++) {
        byte = byte_lower(text.at[i]);
        crypto_auth_hmacsha256_update(&state, &byte, 1);
    }
    crypto_auth_hmacsha256_final(&state, mac);
    for (size_t i = 0; i < MAIL_SRS_HASH_SIZE; i++)
        hash[i] = letters[mac[i] & 31];
    sodium_memzero(&state, sizeof(state));
}

/* Looks at every key and every letter, whatever it finds. */
static bool verify(const struct mail_srs_keys *keys, char digit, struct bytes text,
                   struct bytes given)
{
    char folded[MAIL_SRS_HASH_SIZE];
    char hash[MAIL_SRS_HASH_SIZE];
    bool found = false;

    if (given.len != MAIL_SRS_HASH_SIZE)
        return false;
    for (size_t i = 0; i < MAIL_SRS_HASH_SIZE; i++) {
        uint8_t byte = byte_lower(given.at[i]);
        folded[i] = (char)(byte >= 'a' && byte <= 'z' ? byte - ('a' - 'A') : byte);
    }
    for (size_t i = 0; i < keys->count; i++) {
        sign(keys->at[i], digit, text, hash);
        found |= sodium_memcmp(hash, folded, MAIL_SRS_HASH_SIZE) == 0;
    }
    return found;
}

static unsigned day_of(int64_t now)
{
    CHECK(now >= 0);
    return (unsigned)(now / DAY_SECONDS % DAY_COUNT);
}

static int letter_value(uint8_t byte)
{
    uint8_t lower = byte_lower(byte);

    if (lower >= 'a' && lower <= 'z')
        return lower - 'a';
    return byte >= '2' && byte <= '7' ? byte - '2' + 26 : -1;
}

/* One day ahead is a clock. */
static bool day_is_fresh(struct bytes text, int64_t now, unsigned age_days_max)
{
    int high = letter_value(text.at[0]);
    int low = letter_value(text.at[1]);

    if (high < 0 || low < 0)
        return false;
    unsigned age = (day_of(now) - (unsigned)(high * 32 + low)) % DAY_COUNT;
    return age <= age_days_max || age == DAY_COUNT - 1;
}

static void check_clean(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.at[i] >= ' ' && text.at[i] != 127);
}

/* As other hosts count it: with the quotes that it has to be written with. */
static bool fits(const struct mail_path *path, struct arena *arena)
{
    struct bytes text = mail_path_format(arena, path);

    return text.len - path->domain.len - 1 <= MAIL_LOCAL_SIZE_MAX &&
           text.len <= MAIL_PATH_SIZE_MAX - 2;
}

/* `text` is what is signed. */
static enum mail_srs finish(const struct mail_srs_keys *keys, char digit, struct bytes text,
                            struct bytes forwarder, struct arena *arena,
                            struct mail_path *rewritten)
{
    char hash[MAIL_SRS_HASH_SIZE];
    struct mail_path path = {.domain = arena_copy(arena, forwarder)};

    /* Before it is signed: what a sender chose may be long. */
    if (text.len > MAIL_LOCAL_SIZE_MAX)
        return MAIL_SRS_TOO_LONG;
    sign(keys->at[0], digit, text, hash);
    path.local = bytes_of(arena_printf(arena, "SRS%c=%.*s=%.*s", digit, MAIL_SRS_HASH_SIZE,
                                       hash, BYTES_ARG(text)));
    if (!fits(&path, arena))
        return MAIL_SRS_TOO_LONG;
    *rewritten = path;
    return MAIL_SRS_OK;
}

static bool is_domain(struct bytes domain)
{
    return domain_name_valid(domain, true) || domain_literal_valid(domain);
}

/* What an SRS1 carries of a sender that was rewritten before: the first forwarder, and its part
 * behind "SRS0". */
static bool read_first(const struct mail_path *sender, struct bytes *first, struct bytes *rest)
{
    struct bytes hash;

    if (has_mark(sender->local, '0')) {
        *first = sender->domain;
        *rest = bytes_skip(sender->local, MARK_SIZE);
        return true;
    }
    if (!has_mark(sender->local, '1'))
        return false;
    *rest = bytes_skip(sender->local, MARK_SIZE + 1);
    return take_part(rest, &hash) && take_part(rest, first) && is_domain(*first) &&
           rest->len > 0 && strchr("=+-", rest->at[0]) != NULL && rest->at[0] != '\0';
}

enum mail_srs mail_srs_rewrite(const struct mail_srs_keys *keys, int64_t now,
                               const struct mail_path *sender, struct bytes forwarder,
                               struct arena *arena, struct mail_path *rewritten)
{
    struct bytes first;
    struct bytes rest;
    unsigned day = day_of(now);

    CHECK(keys->count > 0 && forwarder.len > 0);
    *rewritten = *sender;
    if (sender->is_null || sender->domain.len == 0 ||
        bytes_equal_nocase(sender->domain, forwarder))
        return MAIL_SRS_UNCHANGED;
    check_clean(sender->local);
    check_clean(sender->domain);
    if (read_first(sender, &first, &rest)) {
        const char *text = arena_printf(arena, "%.*s=%.*s", BYTES_ARG(first), BYTES_ARG(rest));
        return finish(keys, '1', bytes_of(text), forwarder, arena, rewritten);
    }
    const char *text =
        arena_printf(arena, "%c%c=%.*s=%.*s", letters[day / 32], letters[day % 32],
                     BYTES_ARG(sender->domain), BYTES_ARG(sender->local));
    return finish(keys, '0', bytes_of(text), forwarder, arena, rewritten);
}

/* The hash is ours, so an address that is none says that it was signed by another program with
 * our key, or damaged within 20 bits of luck. */
static bool is_address(const struct mail_path *path)
{
    for (size_t i = 0; i < path->local.len; i++)
        if (path->local.at[i] < ' ' || path->local.at[i] == 127)
            return false;
    return path->local.len <= MAIL_LOCAL_SIZE_MAX && is_domain(path->domain);
}

static enum mail_srs reverse_first(const struct mail_srs_keys *keys, int64_t now,
                                   unsigned age_days_max, struct bytes local,
                                   struct mail_path *sender)
{
    struct bytes rest = bytes_skip(local, MARK_SIZE + 1);
    struct bytes hash;
    struct bytes day;

    if (!take_part(&rest, &hash) || !verify(keys, '0', rest, hash) || !take_part(&rest, &day) ||
        day.len != DAY_SIZE || !take_part(&rest, &sender->domain))
        return MAIL_SRS_FORGED;
    sender->local = rest;
    return day_is_fresh(day, now, age_days_max) ? MAIL_SRS_OK : MAIL_SRS_EXPIRED;
}

static enum mail_srs reverse_second(const struct mail_srs_keys *keys, struct bytes local,
                                    struct arena *arena, struct mail_path *sender)
{
    struct bytes rest = bytes_skip(local, MARK_SIZE + 1);
    struct bytes hash;

    if (!take_part(&rest, &hash) || !verify(keys, '1', rest, hash) ||
        !take_part(&rest, &sender->domain) || rest.len == 0)
        return MAIL_SRS_FORGED;
    sender->local = bytes_of(arena_printf(arena, "SRS0%.*s", BYTES_ARG(rest)));
    return has_mark(sender->local, '0') ? MAIL_SRS_OK : MAIL_SRS_FORGED;
}

static struct bytes lower_copy(struct arena *arena, struct bytes text)
{
    uint8_t *copy = arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++)
        copy[i] = byte_lower(text.at[i]);
    return bytes_from(copy, text.len);
}

enum mail_srs mail_srs_reverse(const struct mail_srs_keys *keys, int64_t now,
                               unsigned age_days_max, struct bytes local, struct arena *arena,
                               struct mail_path *sender)
{
    struct mail_path path = {.is_null = false};
    enum mail_srs result;

    CHECK(keys->count > 0);
    CHECK(age_days_max >= 1 && age_days_max <= MAIL_SRS_AGE_DAYS_MAX);
    *sender = path;
    if (!mail_srs_is(local))
        return MAIL_SRS_NOT_SRS;
    if (local.len > MAIL_LOCAL_SIZE_MAX || bytes_find(local, '\0') < local.len)
        return MAIL_SRS_FORGED;
    if (has_mark(local, '0'))
        result = reverse_first(keys, now, age_days_max, local, &path);
    else
        result = reverse_second(keys, local, arena, &path);
    if (result != MAIL_SRS_OK)
        return result;
    if (!is_address(&path))
        return MAIL_SRS_FORGED;
    *sender = (struct mail_path){.local = arena_copy(arena, path.local),
                                 .domain = lower_copy(arena, path.domain)};
    return MAIL_SRS_OK;
}
