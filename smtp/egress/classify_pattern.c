/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/egress/classify_pattern.h"

#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "node/base/check.h"

enum {
    /* Three ints a state, two sets, and room for what is added twice before it is seen. */
    WORKSPACE_INTS = PATTERN_STATES_MAX * 3 * 2 * 8,
    NESTED_CALLS_MAX = 1, /* no pattern that is allowed needs a second one */
    HEAP_MAX_KIB = 64,
};

struct pattern {
    pcre2_code *code;
};

struct pattern_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    uint64_t failures;
    int workspace[WORKSPACE_INTS];
};

/* ---- what may be written ---- */

struct syntax {
    struct bytes text;
    size_t at;
    const char *wrong;
    struct {
        bool repeats;  /* something in this group does */
        size_t states; /* of the group so far */
        size_t last;   /* of the last thing in it, which a repeat would multiply */
        bool last_repeats;
    } groups[PATTERN_DEPTH_MAX + 1];
    size_t depth;
};

static uint8_t peek(const struct syntax *syntax)
{
    return syntax->at < syntax->text.len ? syntax->text.at[syntax->at] : 0;
}

static void thing(struct syntax *syntax, size_t states, bool repeats)
{
    syntax->groups[syntax->depth].states += states;
    syntax->groups[syntax->depth].last = states;
    syntax->groups[syntax->depth].last_repeats = repeats;
}

static void read_escape(struct syntax *syntax)
{
    uint8_t byte = peek(syntax);
    bool letter =
        (byte_lower(byte) >= 'a' && byte_lower(byte) <= 'z') || (byte >= '0' && byte <= '9');

    syntax->at++;
    if (byte < ' ' || byte >= 0x7f)
        syntax->wrong = "a '\\' at the end";
    else if (letter && strchr("bdswDSW", byte) == NULL)
        syntax->wrong = "a back reference, or an escape that is not allowed";
    else
        thing(syntax, 1, false);
}

static void read_class(struct syntax *syntax)
{
    if (peek(syntax) == '^')
        syntax->at++;
    for (size_t count = 0; syntax->at < syntax->text.len; count++) {
        uint8_t byte = syntax->text.at[syntax->at++];
        if (byte == ']' && count > 0) {
            thing(syntax, 1, false);
            return;
        }
        if (byte == '[') {
            syntax->wrong = "a '[' within [...]; write \\[";
            return;
        }
        if (byte == '\\') {
            read_escape(syntax);
            if (syntax->wrong != NULL)
                return;
            syntax->groups[syntax->depth].states--; /* it is a part of the class only */
        }
    }
    syntax->wrong = "a '[' without a ']'";
}

static void open_group(struct syntax *syntax)
{
    if (peek(syntax) == '*') {
        syntax->wrong = "a verb";
    } else if (peek(syntax) == '?') {
        syntax->at++;
        if (peek(syntax) != ':')
            syntax->wrong = "a look-around, an atomic group or an option";
        syntax->at++;
    }
    if (syntax->depth == PATTERN_DEPTH_MAX)
        syntax->wrong = "groups nested too deeply";
    if (syntax->wrong != NULL)
        return;
    syntax->depth++;
    memset(&syntax->groups[syntax->depth], 0, sizeof(syntax->groups[0]));
}

static void close_group(struct syntax *syntax)
{
    if (syntax->depth == 0) {
        syntax->wrong = "a ')' without a '('";
        return;
    }
    size_t states = syntax->groups[syntax->depth].states + 1;
    bool repeats = syntax->groups[syntax->depth].repeats;
    syntax->depth--;
    thing(syntax, states, repeats);
    if (repeats)
        syntax->groups[syntax->depth].repeats = true;
}

/* The largest number in {n}, {n,} or {n,m}; 0 is wrong. */
static size_t read_bounds(struct syntax *syntax)
{
    size_t number[2] = {0, 0};
    size_t which = 0;

    for (; peek(syntax) != '}'; syntax->at++) {
        uint8_t byte = peek(syntax);
        if (byte == ',' && which == 0 && syntax->text.at[syntax->at - 1] != '{')
            which = 1;
        else if (byte >= '0' && byte <= '9' && number[which] <= PATTERN_REPEAT_MAX)
            number[which] = number[which] * 10 + (size_t)(byte - '0');
        else
            return 0;
    }
    syntax->at++;
    if (number[0] > PATTERN_REPEAT_MAX || number[1] > PATTERN_REPEAT_MAX ||
        (which == 1 && number[1] != 0 && number[1] < number[0]))
        return 0;
    return number[0] > number[1] ? number[0] + which : number[1];
}

static void read_repeat(struct syntax *syntax, uint8_t byte)
{
    size_t most = byte == '{' ? read_bounds(syntax) : 1;

    if (most == 0)
        syntax->wrong = "a '{' that is not {n}, {n,} or {n,m} of at most 100; write \\{";
    else if (syntax->groups[syntax->depth].last == 0)
        syntax->wrong = "a repeat of nothing";
    else if (syntax->groups[syntax->depth].last_repeats && byte != '?')
        syntax->wrong = "a repeat within a repeat";
    else if (peek(syntax) == '+' || peek(syntax) == '?')
        syntax->wrong = "a possessive or lazy repeat";
    if (syntax->wrong != NULL)
        return;
    syntax->groups[syntax->depth].states += syntax->groups[syntax->depth].last * (most - 1);
    syntax->groups[syntax->depth].last_repeats = true;
    if (byte != '?')
        syntax->groups[syntax->depth].repeats = true;
}

static const char *check_syntax(struct bytes text)
{
    struct syntax syntax = {.text = text};

    while (syntax.at < text.len && syntax.wrong == NULL) {
        uint8_t byte = text.at[syntax.at++];
        if (byte < ' ' || byte == 0x7f)
            syntax.wrong = "a control character";
        else if (byte == '\\')
            read_escape(&syntax);
        else if (byte == '[')
            read_class(&syntax);
        else if (byte == '(')
            open_group(&syntax);
        else if (byte == ')')
            close_group(&syntax);
        else if (byte == '?' || byte == '*' || byte == '+' || byte == '{')
            read_repeat(&syntax, byte);
        else if (byte == '|' || byte == '^' || byte == '$')
            syntax.groups[syntax.depth].last = 0;
        else
            thing(&syntax, 1, false);
        if (syntax.groups[syntax.depth].states > PATTERN_STATES_MAX)
            syntax.wrong = "too many states";
    }
    if (syntax.wrong == NULL && syntax.depth > 0)
        syntax.wrong = "a '(' without a ')'";
    return syntax.wrong;
}

/* ---- compiling and matching ---- */

static pcre2_code *compile(struct bytes text, char *reason, size_t reason_size)
{
    static const char before[] = "(?:.*)(?:";
    char whole[sizeof(before) + PATTERN_LEN_MAX + 1];
    int number = 0;
    size_t offset = 0;
    uint32_t back_references = 0;
    uint32_t options = PCRE2_ANCHORED | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY |
                       PCRE2_NO_AUTO_CAPTURE | PCRE2_NO_AUTO_POSSESS;
    int len = snprintf(whole, sizeof(whole), "%s%.*s)", before, BYTES_ARG(text));

    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)whole, (size_t)len, options, &number, &offset, NULL);
    if (code == NULL) {
        uint8_t words[120];
        pcre2_get_error_message(number, words, sizeof(words));
        snprintf(reason, reason_size, "pattern: %s", (const char *)words);
        return NULL;
    }
    pcre2_pattern_info(code, PCRE2_INFO_BACKREFMAX, &back_references);
    CHECK(back_references == 0);
    return code;
}

struct pattern *pattern_compile(struct bytes text, char *reason, size_t reason_size)
{
    const char *wrong = text.len == 0                ? "is empty"
                        : text.len > PATTERN_LEN_MAX ? "too long"
                                                     : check_syntax(text);
    size_t end = 0;

    if (wrong != NULL) {
        snprintf(reason, reason_size, "pattern: %s", wrong);
        return NULL;
    }
    struct pattern *pattern = calloc(1, sizeof(*pattern));
    CHECK(pattern != NULL);
    pattern->code = compile(text, reason, reason_size);
    if (pattern->code == NULL) {
        pattern_free(&pattern);
        return NULL;
    }
    struct pattern_scratch *scratch = pattern_scratch_new();
    bool empty = pattern_find(pattern, scratch, BYTES(""), &end);
    pattern_scratch_free(&scratch);
    if (empty) {
        snprintf(reason, reason_size, "pattern: fits the empty text");
        pattern_free(&pattern);
    }
    return pattern;
}

void pattern_free(struct pattern **pattern)
{
    if (*pattern == NULL)
        return;
    pcre2_code_free((*pattern)->code);
    free(*pattern);
    *pattern = NULL;
}

struct pattern_scratch *pattern_scratch_new(void)
{
    struct pattern_scratch *scratch = calloc(1, sizeof(*scratch));

    CHECK(scratch != NULL);
    scratch->data = pcre2_match_data_create(1, NULL);
    scratch->context = pcre2_match_context_create(NULL);
    CHECK(scratch->data != NULL && scratch->context != NULL);
    pcre2_set_match_limit(scratch->context, NESTED_CALLS_MAX);
    pcre2_set_depth_limit(scratch->context, NESTED_CALLS_MAX);
    pcre2_set_heap_limit(scratch->context, HEAP_MAX_KIB);
    return scratch;
}

void pattern_scratch_free(struct pattern_scratch **scratch)
{
    if (*scratch == NULL)
        return;
    pcre2_match_data_free((*scratch)->data);
    pcre2_match_context_free((*scratch)->context);
    free(*scratch);
    *scratch = NULL;
}

bool pattern_find(const struct pattern *pattern, struct pattern_scratch *scratch,
                  struct bytes text, size_t *end)
{
    int found =
        pcre2_dfa_match(pattern->code, text.at, text.len, 0, PCRE2_DFA_SHORTEST, scratch->data,
                        scratch->context, scratch->workspace, WORKSPACE_INTS);

    if (found < 0) {
        scratch->failures += found != PCRE2_ERROR_NOMATCH;
        return false;
    }
    *end = pcre2_get_ovector_pointer(scratch->data)[1];
    return true;
}

uint64_t pattern_failures(const struct pattern_scratch *scratch)
{
    return scratch->failures;
}
