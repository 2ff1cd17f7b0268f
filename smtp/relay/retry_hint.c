/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/retry.h"

/*
 * What a refusal for now says of the next attempt: that it is greylisting, or a time. One run
 * over the words of the text; hostile text can do no more than have us come back within the
 * bounds.
 */

enum {
    NUMBER_DIGITS_MAX = 6,
    WORD_SIZE_MAX = 32, /* longer ones mean nothing */
};

/* What was read so far. */
struct reading {
    bool greylisted;  /* "greylisted", "gray-listed", "grey listed" */
    bool colour;      /* the word before was "grey" */
    bool later;       /* it is asked to come again */
    bool before_time; /* the word before was one that times stand behind */
    bool has_number;  /* and then there was a number, whose unit is to come */
    uint64_t number;
    uint64_t seconds; /* the first time that was found; 0: none */
};

static bool is_one_of(struct bytes word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (bytes_equal_nocase(word, bytes_of(*list)))
            return true;
    return false;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_word_byte(uint8_t byte)
{
    uint8_t lower = byte_lower(byte);

    return (lower >= 'a' && lower <= 'z') || byte >= 128;
}

static uint64_t unit_seconds(struct bytes word)
{
    static const char *const seconds[] = {"s", "sec", "secs", "second", "seconds", NULL};
    static const char *const minutes[] = {"m", "min", "mins", "minute", "minutes", NULL};
    static const char *const hours[] = {"h", "hr", "hrs", "hour", "hours", NULL};

    if (is_one_of(word, seconds))
        return 1;
    if (is_one_of(word, minutes))
        return 60;
    return is_one_of(word, hours) ? 3600 : 0;
}

static void take_word(struct reading *reading, struct bytes word)
{
    static const char *const times_follow[] = {"in", "after", "for", "wait", "within", NULL};
    static const char *const passed_over[] = {"about",         "at",     "least", "another",
                                              "approximately", "approx", "until", NULL};
    static const char *const later[] = {"again",   "retry",    "wait", "later",
                                        "back",    "resend",   "try",  "retried",
                                        "delayed", "deferred", NULL};
    static const char *const colours[] = {"grey", "gray", NULL};
    static const char *const grey_words[] = {
        "greylist", "graylist", "greylisted", "graylisted", "greylisting", "graylisting", NULL};
    static const char *const listed[] = {"list", "listed", "listing", NULL};
    bool colour = reading->colour;

    if (word.len > WORD_SIZE_MAX)
        word.len = 0;
    if (reading->has_number && reading->seconds == 0)
        reading->seconds = reading->number * unit_seconds(word);
    reading->has_number = false;
    reading->colour = is_one_of(word, colours);
    if (is_one_of(word, grey_words) || (colour && is_one_of(word, listed)))
        reading->greylisted = true;
    if (is_one_of(word, later))
        reading->later = true;
    if (!is_one_of(word, passed_over))
        reading->before_time = is_one_of(word, times_follow);
}

/* A number that is too long is none. */
static struct bytes take_digits(struct bytes text, uint64_t *number, bool *fine)
{
    size_t len = 0;

    *number = 0;
    for (; len < text.len && is_digit(text.at[len]); len++)
        if (len < NUMBER_DIGITS_MAX)
            *number = *number * 10 + (text.at[len] - (uint8_t)'0');
    *fine = len > 0 && len <= NUMBER_DIGITS_MAX;
    return bytes_skip(text, len);
}

/* "300" whose unit is to come, "04:56", "00:04:56"; not what is part of an address or status.
 */
static struct bytes take_number(struct reading *reading, struct bytes text)
{
    uint64_t total = 0;
    unsigned parts = 0;
    bool fine = true;

    for (;;) {
        uint64_t number;
        bool piece_fine;
        text = take_digits(text, &number, &piece_fine);
        fine = fine && piece_fine && parts < 3;
        if (fine)
            total = total * 60 + number;
        parts++;
        if (text.len < 2 || text.at[0] != ':' || !is_digit(text.at[1]))
            break;
        text = bytes_skip(text, 1);
    }
    bool joined = text.len >= 2 && (text.at[0] == '.' || text.at[0] == '-') &&
                  (is_digit(text.at[1]) || is_word_byte(text.at[1]));
    fine = fine && !joined && reading->before_time;
    if (fine && parts > 1 && reading->seconds == 0)
        reading->seconds = total;
    reading->has_number = fine && parts == 1;
    reading->number = total;
    reading->before_time = false;
    reading->colour = false;
    while (joined && text.len > 0 && text.at[0] != ' ')
        text = bytes_skip(text, 1);
    return text;
}

static void read_text(struct reading *reading, struct bytes text)
{
    while (text.len > 0) {
        size_t len = 0;
        if (is_digit(text.at[0])) {
            text = take_number(reading, text);
            continue;
        }
        while (len < text.len && is_word_byte(text.at[len]))
            len++;
        if (len > 0)
            take_word(reading, bytes_from(text.at, len));
        text = bytes_skip(text, len > 0 ? len : 1);
    }
}

uint64_t retry_hint_ms(const struct retry_config *config, unsigned code, struct bytes text,
                       uint64_t random)
{
    struct reading reading = {0};

    if (code < 400 || code > 499)
        return 0;
    if (text.len > RETRY_HINT_SIZE_MAX)
        text.len = RETRY_HINT_SIZE_MAX;
    read_text(&reading, text);
    bool has_time = reading.seconds > 0 && (reading.later || reading.greylisted);
    if (!has_time && !reading.greylisted)
        return 0;
    uint64_t wait_ms = has_time ? reading.seconds * 1000 : config->hint_least_ms;
    if (wait_ms < config->hint_least_ms)
        wait_ms = config->hint_least_ms;
    /* Some later, never earlier: who comes a second too early may have to wait anew. */
    wait_ms += random % (wait_ms * config->jitter_percent / 100 + 1);
    return wait_ms < config->hint_most_ms ? wait_ms : config->hint_most_ms;
}
