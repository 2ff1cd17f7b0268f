/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/mta_sts.h"

#include "node/base/check.h"

enum { NAME_LEN_MAX = 32, LABEL_MAX = 63, HOST_MAX = 253, AGE_DIGITS_MAX = 10 };

static const struct bytes version = BYTES_INIT("STSv1");

static bool is_alphanumeric(uint8_t byte)
{
    byte = byte_lower(byte);
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

/* Of a field, in records and policies alike. */
static bool is_name(struct bytes name)
{
    if (name.len == 0 || name.len > NAME_LEN_MAX || !is_alphanumeric(name.at[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!is_alphanumeric(name.at[i]) && name.at[i] != '_' && name.at[i] != '-' &&
            name.at[i] != '.')
            return false;
    return true;
}

/* ---- the record ---- */

/* Up to the next ";", without blanks around it; the ";" goes, too. */
static struct bytes take_field(struct bytes *rest)
{
    size_t len = bytes_find(*rest, ';');
    struct bytes field = bytes_trim(bytes_from(rest->at, len));

    *rest = bytes_skip(*rest, len + 1);
    return field;
}

static bool is_record(struct bytes text)
{
    const struct bytes start = BYTES("v=STSv1");

    if (text.len <= start.len || !bytes_equal(bytes_from(text.at, start.len), start))
        return false;
    text = bytes_trim(bytes_skip(text, start.len));
    return text.len > 0 && text.at[0] == ';';
}

static bool take_id(struct bytes value, char id[MTA_STS_ID_SIZE])
{
    if (value.len == 0 || value.len >= MTA_STS_ID_SIZE)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (!is_alphanumeric(value.at[i]))
            return false;
    if (id[0] == '\0') {
        memcpy(id, value.at, value.len);
        id[value.len] = '\0';
    }
    return true;
}

static bool is_extension_value(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] <= ' ' || value.at[i] >= 0x7f || value.at[i] == '=')
            return false;
    return value.len > 0;
}

static enum err parse_record(struct bytes text, char id[MTA_STS_ID_SIZE])
{
    id[0] = '\0';
    take_field(&text); /* the version */
    while (text.len > 0) {
        struct bytes field = take_field(&text);
        size_t name_len = bytes_find(field, '=');
        struct bytes name = bytes_from(field.at, name_len);
        struct bytes value = bytes_skip(field, name_len + 1);
        if (field.len == 0 && text.len == 0)
            break; /* behind the last ";" */
        if (name_len == field.len || !is_name(name) ||
            !(bytes_equal(name, BYTES("id")) ? take_id(value, id) : is_extension_value(value)))
            return ERR_MALFORMED;
    }
    return id[0] != '\0' ? ERR_OK : ERR_MALFORMED;
}

enum err mta_sts_record_choose(const struct bytes *texts, unsigned count,
                               char id[MTA_STS_ID_SIZE])
{
    const struct bytes *chosen = NULL;

    id[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        if (!is_record(texts[i]))
            continue;
        if (chosen != NULL)
            return ERR_NOTFOUND;
        chosen = &texts[i];
    }
    if (chosen == NULL)
        return ERR_NOTFOUND;
    enum err err = parse_record(*chosen, id);
    if (err != ERR_OK)
        id[0] = '\0';
    return err;
}

/* ---- the policy ---- */

struct parser {
    struct mta_sts_policy *policy;
    struct arena *arena;
    struct bytes *patterns;
    bool has_version, has_mode, has_max_age;
    bool full; /* of patterns */
};

static bool take_version(struct parser *parser, struct bytes value)
{
    parser->has_version = true;
    return bytes_equal(value, version);
}

static bool take_mode(struct parser *parser, struct bytes value)
{
    for (enum mta_sts_mode mode = MTA_STS_NONE; mode <= MTA_STS_ENFORCE; mode++) {
        if (!bytes_equal(value, bytes_of(mta_sts_mode_text(mode))))
            continue;
        if (!parser->has_mode)
            parser->policy->mode = mode;
        return parser->has_mode = true;
    }
    return false;
}

static bool take_max_age(struct parser *parser, struct bytes value)
{
    uint64_t age_s;

    if (value.len > AGE_DIGITS_MAX || !bytes_to_u64(value, &age_s))
        return false;
    if (!parser->has_max_age)
        parser->policy->max_age_s =
            age_s < MTA_STS_AGE_MAX_S ? (uint32_t)age_s : MTA_STS_AGE_MAX_S;
    return parser->has_max_age = true;
}

static bool is_host(struct bytes host)
{
    size_t label = 0;

    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.at[i];
        if (byte == '.' ? label == 0 : !is_alphanumeric(byte) && byte != '-' && byte != '_')
            return false;
        label = byte == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0 && host.len <= HOST_MAX;
}

static struct bytes without_dot(struct bytes host)
{
    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool take_mx(struct parser *parser, struct bytes value)
{
    struct mta_sts_policy *policy = parser->policy;
    bool wild = value.len > 2 && value.at[0] == '*' && value.at[1] == '.';

    value = without_dot(value);
    if (!is_host(wild ? bytes_skip(value, 2) : value))
        return false;
    parser->full = policy->pattern_count == MTA_STS_MX_MAX;
    if (parser->full)
        return false;
    char *lower = arena_string(parser->arena, value);
    for (char *at = lower; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    parser->patterns[policy->pattern_count++] = bytes_from(lower, value.len);
    return true;
}

/* A field that a later version may bring: any printable text. */
static bool skip_extension(struct bytes name, struct bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < ' ' || value.at[i] == 0x7f)
            return false;
    return is_name(name) && value.len > 0;
}

static const struct field {
    struct bytes name;
    bool (*take)(struct parser *parser, struct bytes value);
} fields[] = {
    {BYTES_INIT("version"), take_version},
    {BYTES_INIT("mode"), take_mode},
    {BYTES_INIT("max_age"), take_max_age},
    {BYTES_INIT("mx"), take_mx},
};

static bool take_line(struct parser *parser, struct bytes line)
{
    size_t name_len = bytes_find(line, ':');
    struct bytes name = bytes_from(line.at, name_len);
    struct bytes value = bytes_trim(bytes_skip(line, name_len + 1));

    if (name_len == line.len)
        return bytes_trim(line).len == 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        if (bytes_equal(name, fields[i].name))
            return fields[i].take(parser, value);
    return skip_extension(name, value);
}

enum err mta_sts_policy_parse(struct bytes body, struct arena *arena,
                              struct mta_sts_policy *policy)
{
    struct parser parser = {.policy = policy, .arena = arena};

    *policy = (struct mta_sts_policy){.mode = MTA_STS_NONE};
    if (body.len > MTA_STS_POLICY_SIZE_MAX)
        return ERR_TOOBIG;
    parser.patterns = arena_alloc(arena, MTA_STS_MX_MAX * sizeof(*parser.patterns));
    policy->patterns = parser.patterns;
    while (body.len > 0) {
        size_t len = bytes_find(body, '\n');
        struct bytes line = bytes_from(body.at, len);
        body = bytes_skip(body, len + 1);
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (!take_line(&parser, line))
            return parser.full ? ERR_TOOBIG : ERR_MALFORMED;
    }
    if (!parser.has_version || !parser.has_mode || !parser.has_max_age ||
        (policy->mode != MTA_STS_NONE && policy->pattern_count == 0))
        return ERR_MALFORMED;
    return ERR_OK;
}

bool mta_sts_policy_allows(const struct mta_sts_policy *policy, const char *host)
{
    struct bytes name = without_dot(bytes_of(host));
    struct bytes parent = bytes_skip(name, bytes_find(name, '.'));

    for (unsigned i = 0; i < policy->pattern_count; i++) {
        struct bytes pattern = policy->patterns[i];
        if (pattern.at[0] != '*' && bytes_equal_nocase(pattern, name))
            return true;
        /* With one label in front at least, and one only. */
        if (pattern.at[0] == '*' && parent.len < name.len && parent.len > 0 &&
            bytes_equal_nocase(bytes_skip(pattern, 1), parent))
            return true;
    }
    return false;
}

const char *mta_sts_mode_text(enum mta_sts_mode mode)
{
    static const char *const texts[] = {
        [MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce"};

    CHECK((unsigned)mode < sizeof(texts) / sizeof(*texts));
    return texts[mode];
}
