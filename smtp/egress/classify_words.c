/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of a rules file. */
#include "node/base/check.h"
#include "smtp/egress/classify_internal.h"

#define NAME(name, text) text,
static const char *const class_names[] = {CLASSIFY_CLASSES(NAME)};
static const char *const scope_names[] = {CLASSIFY_SCOPES(NAME)};
static const char *const phase_names[] = {CLASSIFY_PHASES(NAME)};
static const char *const flag_names[] = {CLASSIFY_FLAGS(NAME)};
#undef NAME

static const uint64_t duration_ms_max = (uint64_t)30 * 24 * 3600 * 1000;

const char *classify_class_name(enum classify_class class)
{
    CHECK(class < CLASSIFY_CLASS_COUNT);
    return class_names[class];
}

const char *classify_scope_name(enum classify_scope scope)
{
    CHECK(scope < CLASSIFY_SCOPE_COUNT);
    return scope_names[scope];
}

const char *classify_phase_name(enum classify_phase phase)
{
    CHECK(phase < CLASSIFY_PHASE_COUNT);
    return phase_names[phase];
}

const char *classify_flag_name(enum classify_flag flag)
{
    CHECK(flag < CLASSIFY_FLAG_COUNT);
    return flag_names[flag];
}

static bool find(const char *const *names, size_t count, struct bytes word, unsigned *found)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(bytes_of(names[i]), word)) {
            *found = (unsigned)i;
            return true;
        }
    return false;
}

struct bytes word_take(struct bytes *rest)
{
    size_t len = 0;

    while (len < rest->len && rest->at[len] != ' ' && rest->at[len] != '\t')
        len++;
    struct bytes word = {rest->at, len};
    *rest = bytes_trim(bytes_skip(*rest, len));
    return word;
}

bool word_class(struct bytes word, enum classify_class *class)
{
    unsigned found;
    bool ok = find(class_names, CLASSIFY_CLASS_COUNT, word, &found);
    if (ok)
        *class = (enum classify_class)found;
    return ok;
}

bool word_scope(struct bytes word, enum classify_scope *scope)
{
    unsigned found;
    bool ok = find(scope_names, CLASSIFY_SCOPE_COUNT, word, &found);
    if (ok)
        *scope = (enum classify_scope)found;
    return ok;
}

bool word_phase(struct bytes word, enum classify_phase *phase)
{
    unsigned found;
    bool ok = find(phase_names, CLASSIFY_PHASE_COUNT, word, &found);
    if (ok)
        *phase = (enum classify_phase)found;
    return ok;
}

bool word_flag(struct bytes word, enum classify_flag *flag)
{
    unsigned found;
    bool ok = find(flag_names, CLASSIFY_FLAG_COUNT, word, &found);
    if (ok)
        *flag = (enum classify_flag)found;
    return ok;
}

bool word_name(struct bytes word, char name[CLASSIFY_NAME_MAX + 1])
{
    if (word.len == 0 || word.len > CLASSIFY_NAME_MAX)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t byte = word.at[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-')
            return false;
    }
    memcpy(name, word.at, word.len);
    name[word.len] = '\0';
    return true;
}

bool word_number(struct bytes word, unsigned most, unsigned *number)
{
    uint64_t wide;

    if (word.len > 9 || !bytes_to_u64(word, &wide) || wide > most)
        return false;
    *number = (unsigned)wide;
    return true;
}

bool word_duration(struct bytes word, uint64_t *ms)
{
    static const struct {
        uint8_t unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60 * 1000}, {'h', 3600 * 1000}, {'d', 24 * 3600 * 1000}};
    unsigned number;

    if (word.len < 2 ||
        !word_number((struct bytes){word.at, word.len - 1}, 1000 * 1000, &number) ||
        number == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].unit == word.at[word.len - 1]) {
            *ms = number * units[i].ms;
            return *ms <= duration_ms_max;
        }
    return false;
}

bool word_count_in(struct bytes word, unsigned *count, uint64_t *ms)
{
    size_t slash = bytes_find(word, '/');

    return slash < word.len &&
           word_number((struct bytes){word.at, slash}, 1000 * 1000, count) && *count > 0 &&
           word_duration(bytes_skip(word, slash + 1), ms);
}

bool word_confidence(struct bytes word, unsigned *percent)
{
    struct bytes digits = bytes_skip(word, 2);

    if (bytes_equal(word, BYTES("1"))) {
        *percent = 100;
        return true;
    }
    if (word.len < 3 || word.len > 4 || word.at[0] != '0' || word.at[1] != '.' ||
        !word_number(digits, 99, percent))
        return false;
    if (digits.len == 1)
        *percent *= 10;
    return *percent > 0;
}

bool word_codes(struct bytes word, struct code_range *range)
{
    unsigned code;

    if (bytes_equal(word, BYTES("4xx")) || bytes_equal(word, BYTES("5xx"))) {
        range->first = (unsigned)(word.at[0] - '0') * 100;
        range->last = range->first + 99;
        return true;
    }
    if (word.len != 3 || !word_number(word, 599, &code) || code < 400)
        return false;
    *range = (struct code_range){code, code};
    return true;
}

static struct bytes take_part(struct bytes *rest)
{
    size_t len = bytes_find(*rest, '.');
    struct bytes part = {rest->at, len};
    *rest = bytes_skip(*rest, len + 1);
    return part;
}

bool word_status(struct bytes word, unsigned part[3])
{
    for (size_t i = 0; i < 3; i++)
        if (!word_number(take_part(&word), 999, &part[i]))
            return false;
    return word.len == 0 && (part[0] == 2 || part[0] == 4 || part[0] == 5);
}

bool word_statuses(struct bytes word, struct status_range *range)
{
    struct bytes class = take_part(&word);
    struct bytes subject = take_part(&word);
    size_t dash = bytes_find(word, '-');

    range->class = 0;
    if (!bytes_equal(class, BYTES("x")) &&
        (!word_number(class, 5, &range->class) || range->class < 4))
        return false;
    if (!word_number(subject, 999, &range->subject))
        return false;
    range->first = 0;
    range->last = 999;
    if (bytes_equal(word, BYTES("x")))
        return true;
    if (!word_number((struct bytes){word.at, dash}, 999, &range->first))
        return false;
    range->last = range->first;
    return dash == word.len || (word_number(bytes_skip(word, dash + 1), 999, &range->last) &&
                                range->last > range->first);
}

bool class_is_of_address(enum classify_class class)
{
    return class == CLASSIFY_IP_BLOCK || class == CLASSIFY_IP_RATE ||
           class == CLASSIFY_NETBLOCK || class == CLASSIFY_CONFIG || class == CLASSIFY_POLICY ||
           class == CLASSIFY_TRANSIENT || class == CLASSIFY_PROTOCOL;
}
