/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a token says, once its signature is known to be right (RFC 7519 section 4, RFC 8725). */
#include "storage/auth/oauth_internal.h"

static const double seconds_max = 4e11; /* beyond the year 14000: not a date */

/* A NumericDate, which may have a fraction. */
static bool claim_seconds(const json_t *json, double *seconds)
{
    if (!json_is_number(json))
        return false;
    *seconds = json_number_value(json);
    return *seconds >= 0 && *seconds <= seconds_max;
}

static enum auth_token check_times(const struct auth_oauth *oauth, const json_t *claims,
                                   uint64_t now_s)
{
    static const char *const starts[] = {"nbf", "iat"};
    double now = (double)now_s;
    double at;

    if (!claim_seconds(json_object_get(claims, "exp"), &at))
        return AUTH_TOKEN_MALFORMED;
    if (now >= at + oauth->skew_s)
        return AUTH_TOKEN_EXPIRED;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        const json_t *start = json_object_get(claims, starts[i]);
        if (start == NULL)
            continue;
        if (!claim_seconds(start, &at))
            return AUTH_TOKEN_MALFORMED;
        if (now + oauth->skew_s < at)
            return AUTH_TOKEN_EARLY;
    }
    return AUTH_TOKEN_OK;
}

/* `json` is the string, or an array with it. */
static bool is_or_has(const json_t *json, const char *wanted)
{
    size_t i;
    json_t *one;

    if (json_is_string(json))
        return strcmp(json_string_value(json), wanted) == 0;
    json_array_foreach(json, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), wanted) == 0)
            return true;
    }
    return false;
}

static bool has_word(const char *words, const char *wanted)
{
    struct bytes rest = bytes_of(words);

    while (rest.len > 0)
        if (bytes_equal(bytes_take_word(&rest), bytes_of(wanted)))
            return true;
    return false;
}

/* "scope" is words (RFC 8693 section 4.2); some issuers write "scp", as words or as an array.
 */
static bool check_scope(const struct auth_oauth *oauth, const json_t *claims)
{
    static const char *const names[] = {"scope", "scp"};

    if (oauth->scope == NULL)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *scope = json_object_get(claims, names[i]);
        if (json_is_string(scope) ? has_word(json_string_value(scope), oauth->scope)
                                  : is_or_has(scope, oauth->scope))
            return true;
    }
    return false;
}

static bool take_address(const struct auth_oauth *oauth, const json_t *claims,
                         char address[AUTH_CLAIM_SIZE_MAX + 1])
{
    const char *text = json_string_value(json_object_get(claims, oauth->claim));
    const json_t *verified = json_object_get(claims, "email_verified");

    if (text == NULL || text[0] == '\0' || strlen(text) > AUTH_CLAIM_SIZE_MAX)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if ((uint8_t)*at < 0x20 || *at == 0x7f)
            return false;
    if (strcmp(oauth->claim, "email") == 0 && verified != NULL && !json_is_true(verified) &&
        !is_or_has(verified, "true"))
        return false;
    memcpy(address, text, strlen(text) + 1);
    return true;
}

enum auth_token token_claims(const struct auth_oauth *oauth, const json_t *claims,
                             uint64_t now_s, char address[AUTH_CLAIM_SIZE_MAX + 1])
{
    const json_t *issuer = json_object_get(claims, "iss");

    if (!json_is_string(issuer) || strcmp(json_string_value(issuer), oauth->issuer) != 0)
        return AUTH_TOKEN_ISSUER;
    if (!is_or_has(json_object_get(claims, "aud"), oauth->audience))
        return AUTH_TOKEN_AUDIENCE;
    enum auth_token verdict = check_times(oauth, claims, now_s);
    if (verdict != AUTH_TOKEN_OK)
        return verdict;
    if (!check_scope(oauth, claims))
        return AUTH_TOKEN_SCOPE;
    return take_address(oauth, claims, address) ? AUTH_TOKEN_OK : AUTH_TOKEN_CLAIM;
}
