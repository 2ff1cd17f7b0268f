/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/auth/password_strength.h"

#include <sodium.h>
#include <stdio.h>
#include <zxcvbn.h>

#include "node/base/check.h"
#include "node/mail/utf8.h"

enum {
    OWN_WORDS_MAX = 6,
    OWN_WORD_SIZE_MAX = 254,
    OWN_WORD_SIZE_MIN = 3, /* shorter ones stand in many good passwords */
    OWN_REST_MIN = 8,      /* letters and digits that must be left beside one's own names */
    ESTIMATED_MAX = 128,   /* bytes that zxcvbn sees: its work grows faster than the length */
    SCORE_MAX = 4,
};

/* Guesses of zxcvbn's scores 1 to 4, in bits. */
static const double score_bits[SCORE_MAX + 1] = {0, 9.97, 19.93, 26.58, 33.22};

/* Names that an attacker tries first, as words of lower-case letters and digits. */
struct own_words {
    char words[OWN_WORDS_MAX][OWN_WORD_SIZE_MAX + 1];
    size_t count;
};

/* Figures and signs that people write for letters; "l" goes along with "1". */
static uint8_t undisguise(uint8_t byte)
{
    static const char from[] = "013457!|@$l";
    static const char to[] = "oieastiiasi";
    const char *at = byte != 0 ? strchr(from, byte) : NULL;

    return at != NULL ? (uint8_t)to[at - from] : byte;
}

/* Lower case, without anything but letters and digits; what is not ASCII counts as letters. */
static size_t simplify(struct bytes text, bool disguised, char *simple, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len && len + 1 < size; i++) {
        uint8_t byte = byte_lower(text.at[i]);
        if (disguised)
            byte = undisguise(byte);
        if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80)
            simple[len++] = (char)byte;
    }
    simple[len] = '\0';
    return len;
}

static void own_add(struct own_words *own, struct bytes text)
{
    char word[OWN_WORD_SIZE_MAX + 1];

    if (simplify(text, false, word, sizeof(word)) < OWN_WORD_SIZE_MIN ||
        own->count == OWN_WORDS_MAX)
        return;
    memcpy(own->words[own->count++], word, sizeof(word));
}

/* Long ones first, so that taking out a short one leaves nothing of a long one. */
static void own_words_init(struct own_words *own, const struct password_owner *owner)
{
    struct bytes address = owner->address;
    struct bytes local = bytes_from(address.at, bytes_find(address, '@'));
    struct bytes domain = bytes_skip(address, local.len + 1);
    size_t label = bytes_find(domain, '.');

    own->count = 0;
    own_add(own, address);
    own_add(own, domain);
    own_add(own, local);
    own_add(own, owner->tenant);
    own_add(own, bytes_from(domain.at, label));
    own_add(own, bytes_from(local.at, bytes_find(local, '.')));
}

/* Takes every occurrence of `word` out of `text`; true when there was one. */
static bool take_out(char *text, const char *word)
{
    size_t len = strlen(word);
    bool found = false;

    for (char *at = strstr(text, word); at != NULL; at = strstr(at, word)) {
        memmove(at, at + len, strlen(at + len) + 1);
        found = true;
    }
    return found;
}

/* Whether little is left of it without one's own names: "Meyer-2026!", or "m3y3r" disguised. */
static bool is_own_name(const struct own_words *own, struct bytes password, bool disguised)
{
    char rest[AUTH_PASSWORD_SIZE_MAX + 1];
    char word[OWN_WORD_SIZE_MAX + 1];
    bool found = false;

    simplify(password, disguised, rest, sizeof(rest));
    for (size_t i = 0; i < own->count; i++) {
        simplify(bytes_of(own->words[i]), disguised, word, sizeof(word));
        found |= take_out(rest, word);
    }
    bool own_name = found && strlen(rest) < OWN_REST_MIN;
    sodium_memzero(rest, sizeof(rest));
    return own_name;
}

static unsigned score_of(const struct own_words *own, struct bytes password)
{
    char text[ESTIMATED_MAX + 1];
    const char *words[OWN_WORDS_MAX + 1] = {NULL};
    size_t len = password.len < ESTIMATED_MAX ? password.len : ESTIMATED_MAX;
    unsigned score = 0;

    memcpy(text, password.at, len);
    text[len] = '\0';
    for (size_t i = 0; i < own->count; i++)
        words[i] = own->words[i];
    double bits = ZxcvbnMatch(text, words, NULL);
    while (score < SCORE_MAX && bits >= score_bits[score + 1])
        score++;
    sodium_memzero(text, sizeof(text));
    return score;
}

/* Code points, or 0 when it is not UTF-8 or has control characters. */
static size_t characters(struct bytes text)
{
    size_t count = 0;

    while (text.len > 0) {
        size_t len = utf8_sequence(text);
        if (len == 0 || (len == 1 && (text.at[0] < 0x20 || text.at[0] == 0x7f)))
            return 0;
        text = bytes_skip(text, len);
        count++;
    }
    return count;
}

static enum password_verdict judge(const struct password_rule *rule,
                                   const struct password_owner *owner, struct bytes password,
                                   enum err *list)
{
    struct own_words own;

    *list = ERR_OK;
    if (password.len > AUTH_PASSWORD_SIZE_MAX)
        return PASSWORD_LONG;
    size_t count = characters(password);
    if (count == 0 && password.len > 0)
        return PASSWORD_NOT_TEXT;
    if (count < rule->characters_min || count == 0)
        return PASSWORD_SHORT;
    own_words_init(&own, owner);
    if (is_own_name(&own, password, false) || is_own_name(&own, password, true))
        return PASSWORD_OWN_NAME;
    if (rule->breached != NULL) {
        enum err err = password_breached_find(rule->breached, password);
        if (err == ERR_OK)
            return PASSWORD_BREACHED;
        if (err != ERR_NOTFOUND)
            *list = err;
    }
    return score_of(&own, password) < rule->score_min ? PASSWORD_GUESSABLE : PASSWORD_GOOD;
}

enum password_verdict password_strength_check(const struct password_rule *rule,
                                              const struct password_owner *owner,
                                              struct bytes password,
                                              char why[PASSWORD_WHY_SIZE], enum err *list)
{
    static const char *const texts[] = {
        [PASSWORD_GOOD] = "",
        [PASSWORD_NOT_TEXT] = "The password has characters that cannot be typed everywhere, or "
                              "is not UTF-8 text.",
        [PASSWORD_LONG] = "The password is longer than 1024 bytes.",
        [PASSWORD_OWN_NAME] =
            "The password is little more than the address, or the name of the domain or "
            "organisation. These are tried first.",
        [PASSWORD_GUESSABLE] =
            "The password is easy to guess: it is made of common words, names, dates, repeats "
            "or "
            "rows of keys. Four or more words that have nothing to do with each other are "
            "better.",
        [PASSWORD_BREACHED] = "The password is in a list of passwords that were stolen "
                              "elsewhere, and attackers try all of those. Please choose "
                              "another one, and change it where else it is used.",
    };
    enum err list_err;
    enum password_verdict verdict = judge(rule, owner, password, &list_err);

    if (list != NULL)
        *list = list_err;
    if (verdict == PASSWORD_SHORT)
        snprintf(why, PASSWORD_WHY_SIZE,
                 "The password is too short: it needs at least %u characters.",
                 rule->characters_min > 0 ? rule->characters_min : 1);
    else
        snprintf(why, PASSWORD_WHY_SIZE, "%s", texts[verdict]);
    return verdict;
}
