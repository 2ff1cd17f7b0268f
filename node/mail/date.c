/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/date.h"

#include <stdio.h>

#include "node/mail/lexer.h"

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* RFC 5322 section 4.3. The letters of the armed forces, and names that nobody knows, mean
 * nothing certain and are read as UTC. */
static const struct {
    struct bytes name;
    int hours;
} zones[] = {
    {BYTES_INIT("EDT"), -4}, {BYTES_INIT("EST"), -5}, {BYTES_INIT("CDT"), -5},
    {BYTES_INIT("CST"), -6}, {BYTES_INIT("MDT"), -6}, {BYTES_INIT("MST"), -7},
    {BYTES_INIT("PDT"), -7}, {BYTES_INIT("PST"), -8},
};

struct civil {
    int64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* from 1 */
    unsigned hour;
    unsigned minute;
    unsigned second; /* 60 in a leap second */
};

enum { DAY_SECONDS = 86400, ERA_DAYS = 146097, ERA_YEARS = 400 };
#define EPOCH_DAYS 719468            /* from 0000-03-01 to 1970-01-01 */
#define SECONDS_LEAST (-62167219200) /* 0000-01-01 */
#define SECONDS_MOST 253402300799    /* 9999-12-31 23:59:59 */

/* Years are counted from March, so that the leap day is the last one of its year. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - (ERA_YEARS - 1)) / ERA_YEARS;
    int64_t year_of_era = year - era * ERA_YEARS;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

static int64_t floor_divide(int64_t number, int64_t divisor)
{
    return number / divisor - (number % divisor < 0);
}

static struct civil civil_from_seconds(int64_t seconds)
{
    int64_t days = floor_divide(seconds, DAY_SECONDS);
    int64_t second_of_day = seconds - days * DAY_SECONDS;
    days += EPOCH_DAYS;
    int64_t era = floor_divide(days, ERA_DAYS);
    int64_t day_of_era = days - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct civil){
        .year = year_of_era + era * ERA_YEARS + (month <= 2),
        .month = (unsigned)month,
        .day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
        .hour = (unsigned)(second_of_day / 3600),
        .minute = (unsigned)(second_of_day / 60 % 60),
        .second = (unsigned)(second_of_day % 60),
    };
}

static bool is_real(const struct civil *civil)
{
    static const unsigned char lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = civil->year % 4 == 0 && (civil->year % 100 != 0 || civil->year % 400 == 0);

    if (civil->month < 1 || civil->month > 12 || civil->day < 1 ||
        civil->day > lengths[civil->month - 1])
        return false;
    return (civil->month != 2 || civil->day < 29 || is_leap) && civil->hour < 24 &&
           civil->minute < 60 && civil->second <= 60;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    byte = byte_lower(byte);
    return byte >= 'a' && byte <= 'z';
}

/* Exactly `least` to `most` digits. */
static bool read_number(struct bytes *at, size_t least, size_t most, unsigned *number)
{
    struct bytes digits = lexer_run(at, is_digit);
    uint64_t value = 0;

    if (digits.len < least || digits.len > most || !bytes_to_u64(digits, &value))
        return false;
    *number = (unsigned)value;
    return true;
}

static bool read_month(struct bytes *at, unsigned *month)
{
    struct bytes name = lexer_run(at, is_letter);

    for (*month = 1; *month <= 12; ++*month)
        if (bytes_equal_nocase(name, bytes_of(month_names[*month - 1])))
            return true;
    return false;
}

static bool read_offset(struct bytes *at, int *minutes)
{
    unsigned number;
    bool is_west = at->len > 0 && at->at[0] == '-';

    if (!is_west && (at->len == 0 || at->at[0] != '+'))
        return false;
    *at = bytes_skip(*at, 1);
    if (!read_number(at, 4, 4, &number) || number % 100 > 59 || number / 100 > 23)
        return false;
    *minutes = (int)(number / 100 * 60 + number % 100);
    *minutes = is_west ? -*minutes : *minutes;
    return true;
}

static bool read_zone(struct bytes *at, int *minutes)
{
    *minutes = 0;
    if (at->len > 0 && is_letter(at->at[0])) {
        struct bytes name = lexer_run(at, is_letter);
        for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
            if (bytes_equal_nocase(name, zones[i].name))
                *minutes = zones[i].hours * 60;
        return true;
    }
    return at->len == 0 || read_offset(at, minutes);
}

static int64_t seconds_of(const struct civil *civil, int zone_minutes)
{
    return days_from_civil(civil->year, civil->month, civil->day) * DAY_SECONDS +
           civil->hour * 3600 + civil->minute * 60 + civil->second - (int64_t)zone_minutes * 60;
}

static bool accept_colon(struct bytes *at)
{
    lexer_skip(at, NULL);
    bool is_there = lexer_accept(at, ':');
    lexer_skip(at, NULL);
    return is_there;
}

bool mail_date_parse(struct bytes text, struct mail_date *date)
{
    struct civil civil = {.second = 0};
    unsigned year;

    lexer_skip(&text, NULL);
    if (lexer_run(&text, is_letter).len > 0) {
        lexer_skip(&text, NULL);
        lexer_accept(&text, ',');
        lexer_skip(&text, NULL);
    }
    if (!read_number(&text, 1, 2, &civil.day))
        return false;
    lexer_skip(&text, NULL);
    if (!read_month(&text, &civil.month))
        return false;
    lexer_skip(&text, NULL);
    size_t before = text.len;
    if (!read_number(&text, 2, 4, &year))
        return false;
    size_t digits = before - text.len;
    civil.year = year;
    if (digits == 3 || (digits == 2 && year >= 50))
        civil.year += 1900;
    else if (digits == 2)
        civil.year += 2000;
    lexer_skip(&text, NULL);
    if (!read_number(&text, 1, 2, &civil.hour) || !accept_colon(&text) ||
        !read_number(&text, 2, 2, &civil.minute))
        return false;
    if (accept_colon(&text) && !read_number(&text, 2, 2, &civil.second))
        return false;
    lexer_skip(&text, NULL);
    if (!read_zone(&text, &date->zone_minutes) || !is_real(&civil))
        return false;
    lexer_skip(&text, NULL);
    date->seconds = seconds_of(&civil, date->zone_minutes);
    return text.len == 0;
}

/* What lies outside the years 0 to 9999 is written as the nearest that does not. */
static struct civil local_civil(struct mail_date date)
{
    int64_t seconds = date.seconds;

    if (seconds < SECONDS_LEAST + DAY_SECONDS)
        seconds = SECONDS_LEAST + DAY_SECONDS;
    if (seconds > SECONDS_MOST - DAY_SECONDS)
        seconds = SECONDS_MOST - DAY_SECONDS;
    return civil_from_seconds(seconds + (int64_t)date.zone_minutes * 60);
}

static void write(char text[MAIL_DATE_TEXT_SIZE], struct mail_date date, const char *form,
                  const char *day_name)
{
    struct civil civil = local_civil(date);
    int zone = date.zone_minutes;
    unsigned minutes = (unsigned)(zone < 0 ? -zone : zone);

    snprintf(text, MAIL_DATE_TEXT_SIZE, form, day_name, civil.day % 100,
             month_names[(civil.month - 1) % 12], (unsigned)(civil.year % 10000),
             civil.hour % 100, civil.minute % 100, civil.second % 100, zone < 0 ? '-' : '+',
             minutes / 60 % 100, minutes % 60);
}

void mail_date_format(struct mail_date date, char text[MAIL_DATE_TEXT_SIZE])
{
    struct civil civil = local_civil(date);
    int64_t days = days_from_civil(civil.year, civil.month, civil.day);
    /* 1970-01-01 was a Thursday. */
    size_t weekday = (size_t)(((days + 4) % 7 + 7) % 7);

    write(text, date, "%s, %02u %s %04u %02u:%02u:%02u %c%02u%02u", day_names[weekday]);
}

void mail_date_format_imap(struct mail_date date, char text[MAIL_DATE_TEXT_SIZE])
{
    write(text, date, "%s%02u-%s-%04u %02u:%02u:%02u %c%02u%02u", "");
}

/* "1-Nov-2026" */
static bool read_imap_day(struct bytes *at, size_t least, struct civil *civil)
{
    unsigned year;

    if (!read_number(at, least, 2, &civil->day) || !lexer_accept(at, '-') ||
        !read_month(at, &civil->month) || !lexer_accept(at, '-') ||
        !read_number(at, 4, 4, &year))
        return false;
    civil->year = year;
    return true;
}

bool mail_date_parse_imap(struct bytes text, struct mail_date *date)
{
    struct civil civil = {.second = 0};
    size_t least = lexer_accept(&text, ' ') ? 1 : 2;

    if (least == 1 && (text.len < 2 || text.at[1] != '-'))
        return false;
    if (!read_imap_day(&text, least, &civil) || !lexer_accept(&text, ' ') ||
        !read_number(&text, 2, 2, &civil.hour) || !lexer_accept(&text, ':') ||
        !read_number(&text, 2, 2, &civil.minute) || !lexer_accept(&text, ':') ||
        !read_number(&text, 2, 2, &civil.second) || !lexer_accept(&text, ' ') ||
        !read_offset(&text, &date->zone_minutes) || text.len > 0 || !is_real(&civil))
        return false;
    date->seconds = seconds_of(&civil, date->zone_minutes);
    return true;
}

bool mail_date_parse_imap_day(struct bytes text, int64_t *days)
{
    struct civil civil = {.second = 0};

    if (!read_imap_day(&text, 1, &civil) || text.len > 0 || !is_real(&civil))
        return false;
    *days = days_from_civil(civil.year, civil.month, civil.day);
    return true;
}
