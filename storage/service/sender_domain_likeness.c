/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/sender_domain_likeness.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>

#include "node/base/check.h"
#include "node/mail/idn.h"

enum {
    NAME_SIZE = 256,
    LABEL_SIZE = 64,
    SKELETON_MAX = 192, /* code points; a character may become three */
    LETTERS_MIN = 4,
    NEAR_MIN = 6,
    FAR_MIN = 12,
    PART_MIN = 5,
    SMALL_PALOCHKA = 0x4cf,
};

struct shape {
    char registered[NAME_SIZE];
    char label[LABEL_SIZE];
    int32_t skeleton[SKELETON_MAX];
    unsigned len;
};

struct likeness {
    USpoofChecker *checker;
    struct shape shape;
};

/* Behind the skeleton of UTS 39, which tells upper case from lower: figures are letters. */
static int32_t plain(int32_t point)
{
    static const char from[] = "O03457I1|";
    static const char to[] = "ooeastlll";
    const char *at = point > 0 && point < 0x80 ? strchr(from, point) : NULL;

    if (at != NULL)
        return to[at - from];
    return point >= 'A' && point <= 'Z' ? point - 'A' + 'a' : point;
}

static void add_point(struct shape *shape, int32_t point)
{
    point = plain(point);
    if (point == 'v' && shape->len > 0 && shape->skeleton[shape->len - 1] == 'v')
        shape->skeleton[shape->len - 1] = 'w';
    else if (shape->len < SKELETON_MAX)
        shape->skeleton[shape->len++] = point;
}

/* Most labels are ASCII; of those the skeleton is known: only "m" is not itself. */
static void skeleton_of_ascii(struct shape *shape)
{
    for (const char *at = shape->label; *at != '\0'; at++) {
        if (*at == 'm')
            add_point(shape, 'r');
        add_point(shape, *at == 'm' ? 'n' : *at);
    }
}

static bool skeleton_of_unicode(const USpoofChecker *checker, struct shape *shape)
{
    struct arena label_arena;
    UChar text[SKELETON_MAX];
    UChar skeleton[2 * SKELETON_MAX];
    UErrorCode status = U_ZERO_ERROR;
    int32_t text_len = 0;
    int32_t len = 0;

    arena_init(&label_arena);
    struct bytes label = mail_domain_to_unicode(bytes_of(shape->label), &label_arena);
    u_strFromUTF8(text, SKELETON_MAX, &text_len, (const char *)label.at, (int32_t)label.len,
                  &status);
    for (int32_t i = 0; i < text_len && U_SUCCESS(status); i++)
        if (text[i] == SMALL_PALOCHKA) /* the tables have it as an "i", fonts as an "l" */
            text[i] = 'l';
    len = uspoof_getSkeleton(checker, 0, text, text_len, skeleton, 2 * SKELETON_MAX, &status);
    arena_fini(&label_arena);
    if (U_FAILURE(status))
        return false;
    for (int32_t i = 0; i < len; i++) {
        int32_t point = skeleton[i];
        if (point >= 0xd800 && point < 0xdc00 && i + 1 < len)
            point = 0x10000 + ((point - 0xd800) << 10) + (skeleton[++i] - 0xdc00);
        add_point(shape, point);
    }
    return true;
}

static bool shape_make(const USpoofChecker *checker, struct bytes domain, struct shape *shape)
{
    const psl_ctx_t *suffixes = psl_builtin();
    char name[NAME_SIZE];

    if (domain.len == 0 || domain.len >= NAME_SIZE)
        return false;
    memcpy(name, domain.at, domain.len);
    name[domain.len] = '\0';
    const char *registered = suffixes != NULL ? psl_registrable_domain(suffixes, name) : NULL;
    snprintf(shape->registered, NAME_SIZE, "%s", registered != NULL ? registered : name);
    size_t len = bytes_find(bytes_of(shape->registered), '.');
    if (len == 0 || len >= LABEL_SIZE)
        return false;
    memcpy(shape->label, shape->registered, len);
    shape->label[len] = '\0';
    shape->len = 0;
    if (strncmp(shape->label, "xn--", 4) == 0)
        return skeleton_of_unicode(checker, shape);
    skeleton_of_ascii(shape);
    return true;
}

struct likeness *likeness_new(struct bytes domain)
{
    struct likeness *likeness = calloc(1, sizeof(*likeness));
    UErrorCode status = U_ZERO_ERROR;

    CHECK(likeness != NULL);
    likeness->checker = uspoof_open(&status);
    if (U_FAILURE(status) || !shape_make(likeness->checker, domain, &likeness->shape))
        likeness_free(&likeness);
    return likeness;
}

void likeness_free(struct likeness **likeness)
{
    if (*likeness == NULL)
        return;
    uspoof_close((*likeness)->checker);
    free(*likeness);
    *likeness = NULL;
}

bool likeness_same(const struct likeness *likeness, struct bytes other)
{
    struct bytes mine = bytes_of(likeness->shape.registered);

    if (other.len < mine.len || !bytes_equal(bytes_skip(other, other.len - mine.len), mine))
        return false;
    return other.len == mine.len || other.at[other.len - mine.len - 1] == '.';
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters that have to be put in, left out, replaced or changed over with the next. */
static unsigned distance(const struct shape *a, const struct shape *b)
{
    unsigned rows[3][SKELETON_MAX + 1];

    for (unsigned j = 0; j <= b->len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a->len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b->len; j++) {
            bool same = a->skeleton[i - 1] == b->skeleton[j - 1];
            row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a->skeleton[i - 1] == b->skeleton[j - 2] &&
                a->skeleton[i - 2] == b->skeleton[j - 1])
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a->len % 3][b->len];
}

/* Between hyphens, or the ends. */
static bool has_part(const struct shape *whole, const struct shape *part)
{
    for (unsigned i = 0; i + part->len <= whole->len; i++) {
        unsigned end = i + part->len;
        if ((i == 0 || whole->skeleton[i - 1] == '-') &&
            (end == whole->len || whole->skeleton[end] == '-') &&
            memcmp(whole->skeleton + i, part->skeleton, part->len * sizeof(int32_t)) == 0)
            return true;
    }
    return false;
}

bool likeness_with(const struct likeness *likeness, struct bytes other, enum likeness_how how)
{
    const struct shape *mine = &likeness->shape;
    struct shape theirs;

    if (!shape_make(likeness->checker, other, &theirs) ||
        strcmp(mine->label, theirs.label) == 0 || theirs.len < LETTERS_MIN)
        return false;
    if (mine->len == theirs.len &&
        memcmp(mine->skeleton, theirs.skeleton, mine->len * sizeof(int32_t)) == 0)
        return true;
    if (how == LIKENESS_LOOKS)
        return false;
    unsigned allowed = theirs.len >= FAR_MIN ? 2 : theirs.len >= NEAR_MIN ? 1 : 0;
    if (mine->len <= theirs.len + allowed && theirs.len <= mine->len + allowed &&
        distance(mine, &theirs) <= allowed)
        return true;
    return theirs.len >= PART_MIN && has_part(mine, &theirs);
}
