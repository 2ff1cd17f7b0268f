/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/schedule.h"

#include <stdio.h>
#include <time.h>

/* `count` digits at the start of `text`, or -1. */
static int take_digits(struct bytes *text, size_t count)
{
    int number = 0;

    if (text->len < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return -1;
        number = number * 10 + (text->at[i] - '0');
    }
    *text = bytes_skip(*text, count);
    return number;
}

static bool take_byte(struct bytes *text, uint8_t byte)
{
    bool fine = text->len > 0 && byte_lower(text->at[0]) == byte_lower(byte);

    *text = bytes_skip(*text, fine);
    return fine;
}

/* Number and the byte behind it; 0 where nothing has to stand there. */
static bool take_field(struct bytes *text, size_t count, uint8_t behind, int *number)
{
    *number = take_digits(text, count);
    return *number >= 0 && (behind == 0 || take_byte(text, behind));
}

/* ".123": counts for nothing here. */
static bool take_fraction(struct bytes *text)
{
    size_t len = 0;

    if (!take_byte(text, '.'))
        return true;
    while (len < text->len && text->at[len] >= '0' && text->at[len] <= '9')
        len++;
    *text = bytes_skip(*text, len);
    return len > 0;
}

/* "Z" or "+01:00", in seconds east of UTC. */
static bool take_zone(struct bytes *text, int *offset_s)
{
    int hours = 0;
    int minutes = 0;
    bool west = false;

    *offset_s = 0;
    if (take_byte(text, 'Z'))
        return text->len == 0;
    west = take_byte(text, '-');
    if (!west && !take_byte(text, '+'))
        return false;
    if (!take_field(text, 2, ':', &hours) || !take_field(text, 2, 0, &minutes))
        return false;
    *offset_s = (hours * 60 + minutes) * (west ? -60 : 60);
    return hours < 24 && minutes < 60 && text->len == 0;
}

bool smtp_date_time_parse(struct bytes text, int64_t *seconds)
{
    enum { YEAR_MIN = 1970 };
    struct tm tm = {.tm_isdst = 0};
    int offset_s;

    if (!take_field(&text, 4, '-', &tm.tm_year) || !take_field(&text, 2, '-', &tm.tm_mon) ||
        !take_field(&text, 2, 'T', &tm.tm_mday) || !take_field(&text, 2, ':', &tm.tm_hour) ||
        !take_field(&text, 2, ':', &tm.tm_min) || !take_field(&text, 2, 0, &tm.tm_sec) ||
        !take_fraction(&text) || !take_zone(&text, &offset_s))
        return false;
    if (tm.tm_year < YEAR_MIN || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    /* A leap second is the next one; a day that the month has not shows as another day. */
    int second = tm.tm_sec;
    tm.tm_sec = 0;
    *seconds = (int64_t)timegm(&tm) + second - offset_s;
    return tm.tm_mday == day;
}

void smtp_date_time_format(int64_t seconds, char text[SMTP_DATE_TIME_SIZE])
{
    time_t time = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&time, &tm) == NULL ||
        strftime(text, SMTP_DATE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
}

bool smtp_interval_parse(struct bytes text, uint32_t *seconds)
{
    enum { DIGITS_MAX = 9 };
    uint64_t number;

    if (text.len > DIGITS_MAX || !bytes_to_u64(text, &number))
        return false;
    *seconds = (uint32_t)number;
    return number > 0;
}

bool smtp_deliver_by_parse(struct bytes text, struct smtp_deliver_by *deliver_by)
{
    enum { DIGITS_MAX = 9 };
    size_t len = bytes_find(text, ';');
    struct bytes number = {text.at, len};
    struct bytes mode = bytes_skip(text, len + 1);
    bool negative = take_byte(&number, '-');
    uint64_t seconds;

    if (!negative)
        take_byte(&number, '+');
    if (number.len > DIGITS_MAX || !bytes_to_u64(number, &seconds))
        return false;
    *deliver_by = (struct smtp_deliver_by){
        .given = true,
        .seconds = negative ? -(int32_t)seconds : (int32_t)seconds,
    };
    deliver_by->returns = take_byte(&mode, 'R');
    if (!deliver_by->returns && !take_byte(&mode, 'N'))
        return false;
    deliver_by->traced = take_byte(&mode, 'T');
    return mode.len == 0 && (!deliver_by->returns || deliver_by->seconds > 0);
}
