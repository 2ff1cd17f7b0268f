/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/config.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/config_table.h"

enum { SECTIONS_MAX = 16, ROWS_MAX = 16, PROBLEM_SIZE = 512, TEXT_SIZE_MAX = 256 * 1024 };

/*
 * libconfuse hands its error and validation functions no context, so the load that is under way
 * in this thread is known here.
 */
static _Thread_local struct load {
    const char *path;
    char problem[PROBLEM_SIZE]; /* the first one */
} * load;

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
                                                           va_list args)
{
    char text[PROBLEM_SIZE / 2];

    if (load->problem[0] != '\0')
        return;
    vsnprintf(text, sizeof(text), format, args);
    snprintf(load->problem, sizeof(load->problem), "%s:%d: %s", load->path,
             cfg != NULL ? cfg->line : 0, text);
}

static const struct config_row *row_of(const cfg_t *cfg, const char *name)
{
    for (unsigned i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        bool here = row->section[0] == '\0' ? strcmp(cfg->name, "root") == 0
                                            : strcmp(cfg->name, row->section) == 0;
        if (here && strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static const struct config_listen_row *listen_row_of(const char *title)
{
    for (unsigned i = 0; i < config_listen_rows_count; i++)
        if (strcmp(config_listen_rows[i].title, title) == 0)
            return &config_listen_rows[i];
    return NULL;
}

/* Called for each value as it is read, so that the line number is right. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    const struct config_row *row = row_of(cfg, opt->name);

    CHECK(row != NULL);
    if (row->kind == CONFIG_BOOL)
        return 0;
    if (row->kind == CONFIG_UNSIGNED || row->kind == CONFIG_U64) {
        long number = cfg_opt_getnint(opt, 0);
        if (number >= 0 && (uint64_t)number >= row->least && (uint64_t)number <= row->most)
            return 0;
        cfg_error(cfg, "%s = %ld is not between %llu and %llu", row->name, number,
                  (unsigned long long)row->least, (unsigned long long)row->most);
        return -1;
    }
    const char *text = cfg_opt_getnstr(opt, 0);
    const char *problem = config_text_problem(row->kind, row->choices, text);
    if (problem == NULL)
        return 0;
    cfg_error(cfg, "%s = \"%s\" %s", row->name, text, problem);
    return -1;
}

/* Of a list, each entry; it comes again with every further one. */
static int check_list(cfg_t *cfg, cfg_opt_t *opt, enum config_kind kind, unsigned most)
{
    unsigned count = cfg_opt_size(opt);

    if (count > most) {
        cfg_error(cfg, "%s: more than %u", opt->name, most);
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *text = cfg_opt_getnstr(opt, i);
        const char *problem =
            text[0] == '\0' ? "is empty" : config_text_problem(kind, NULL, text);
        if (problem != NULL) {
            cfg_error(cfg, "%s \"%s\" %s", opt->name, text, problem);
            return -1;
        }
    }
    return 0;
}

static int on_list(cfg_t *cfg, cfg_opt_t *opt)
{
    const struct config_row *row = row_of(cfg, opt->name);

    CHECK(row != NULL);
    return check_list(cfg, opt, row->kind, config_list_max(row->kind));
}

static int on_listen_address(cfg_t *cfg, cfg_opt_t *opt)
{
    const struct config_listen_row *row = listen_row_of(cfg_title(cfg));

    /* on_listen() says that there is no such row. */
    return check_list(cfg, opt,
                      row == NULL || row->local ? CONFIG_LOCAL_ADDRESS : CONFIG_ADDRESS,
                      CONFIG_ADDRESSES_MAX);
}

static int on_listen(cfg_t *cfg, cfg_opt_t *opt)
{
    const char *title = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

    if (listen_row_of(title) != NULL)
        return 0;
    cfg_error(cfg, "there is no listen \"%s\"", title);
    return -1;
}

static cfg_opt_t option_of(const struct config_row *row)
{
    const cfg_opt_t number = CFG_INT(row->name, (long)row->number, CFGF_NONE);
    const cfg_opt_t flag = CFG_BOOL(row->name, row->number != 0, CFGF_NONE);
    const cfg_opt_t text = CFG_STR(row->name, row->text, CFGF_NONE);
    const cfg_opt_t list = CFG_STR_LIST(row->name, "{}", CFGF_NONE);

    if (config_list_max(row->kind) > 0)
        return list;
    if (row->kind == CONFIG_BOOL)
        return flag;
    return row->kind == CONFIG_UNSIGNED || row->kind == CONFIG_U64 ? number : text;
}

/* The rows of one section, which follow each other in the table, as libconfuse wants them. */
struct section {
    const char *name;
    cfg_opt_t options[ROWS_MAX];
    unsigned count;
};

static unsigned sections_of_rows(struct section *sections)
{
    const cfg_opt_t end = CFG_END();
    unsigned count = 0;

    for (unsigned i = 0; i < config_rows_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (count == 0 || strcmp(sections[count - 1].name, row->section) != 0) {
            CHECK(count < SECTIONS_MAX);
            sections[count++] = (struct section){.name = row->section};
        }
        struct section *section = &sections[count - 1];
        CHECK(section->count + 1 < ROWS_MAX);
        section->options[section->count++] = option_of(row);
        section->options[section->count] = end;
    }
    return count;
}

static cfg_t *parser_new(void)
{
    struct section sections[SECTIONS_MAX];
    cfg_opt_t listen[] = {CFG_STR_LIST("address", "{}", CFGF_NONE), CFG_END()};
    cfg_opt_t root[ROWS_MAX + SECTIONS_MAX];
    const cfg_opt_t listen_section =
        CFG_SEC("listen", listen, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    const cfg_opt_t end = CFG_END();
    unsigned count = sections_of_rows(sections), used = sections[0].count;

    CHECK(sections[0].name[0] == '\0' && used + count < ROWS_MAX + SECTIONS_MAX);
    memcpy(root, sections[0].options, used * sizeof(root[0]));
    for (unsigned i = 1; i < count; i++) {
        const cfg_opt_t section = CFG_SEC(sections[i].name, sections[i].options, CFGF_NONE);
        root[used++] = section;
    }
    root[used++] = listen_section;
    root[used] = end;
    cfg_t *cfg = cfg_init(root, CFGF_NONE); /* copies the tables */
    CHECK(cfg != NULL);
    cfg_set_error_function(cfg, on_error);
    for (unsigned i = 0; i < config_rows_count; i++) {
        char path[80];
        const struct config_row *row = &config_rows[i];
        snprintf(path, sizeof(path), "%s%s%s", row->section, row->section[0] != '\0' ? "|" : "",
                 row->name);
        cfg_set_validate_func(cfg, path, config_list_max(row->kind) > 0 ? on_list : on_value);
    }
    cfg_set_validate_func(cfg, "listen|address", on_listen_address);
    cfg_set_validate_func(cfg, "listen", on_listen);
    return cfg;
}

static void take_prefixes(cfg_t *section, const struct config_row *row,
                          struct config_prefixes *prefixes)
{
    prefixes->count = cfg_size(section, row->name);
    for (unsigned i = 0; i < prefixes->count; i++)
        CHECK(address_prefix_parse(bytes_of(cfg_getnstr(section, row->name, i)),
                                   &prefixes->at[i]));
}

static void take_servers(cfg_t *section, const struct config_row *row, struct arena *arena,
                         struct config_servers *servers)
{
    servers->count = cfg_size(section, row->name);
    for (unsigned i = 0; i < servers->count; i++)
        servers->at[i] = arena_string(arena, bytes_of(cfg_getnstr(section, row->name, i)));
}

static void take_sources(cfg_t *section, const struct config_row *row,
                         struct config_sources *sources)
{
    sources->count = cfg_size(section, row->name);
    for (unsigned i = 0; i < sources->count; i++)
        CHECK(address_parse(bytes_of(cfg_getnstr(section, row->name, i)), &sources->at[i]));
}

static const char *in_lower_case(struct arena *arena, struct bytes text)
{
    char *copy = arena_string(arena, text);

    for (char *at = copy; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    return copy;
}

static const char *host_of_route(struct arena *arena, const struct config_route_parts *parts)
{
    char text[ADDRESS_TEXT_SIZE];

    if (!parts->literal)
        return in_lower_case(arena, parts->host);
    address_text(&parts->address, text);
    return arena_printf(arena, "[%s%s]", address_is_v4(&parts->address) ? "" : "IPv6:", text);
}

static void take_routes(cfg_t *section, const struct config_row *row, struct arena *arena,
                        struct config_routes *routes)
{
    routes->count = cfg_size(section, row->name);
    for (unsigned i = 0; i < routes->count; i++) {
        struct config_route_parts parts;
        CHECK(config_route_split(bytes_of(cfg_getnstr(section, row->name, i)), &parts));
        routes->at[i] = (struct config_route){in_lower_case(arena, parts.domain),
                                              host_of_route(arena, &parts), parts.port};
    }
}

static void take_times(cfg_t *section, const struct config_row *row, struct config_times *times)
{
    times->count = cfg_size(section, row->name);
    for (unsigned i = 0; i < times->count; i++)
        CHECK(config_time_read(bytes_of(cfg_getnstr(section, row->name, i)), &times->at_s[i]));
}

static void take_row(cfg_t *cfg, const struct config_row *row, struct arena *arena,
                     struct config *config)
{
    cfg_t *section = row->section[0] != '\0' ? cfg_getsec(cfg, row->section) : cfg;
    void *field = (char *)config + row->offset;

    switch (row->kind) {
    case CONFIG_BOOL:
        *(bool *)field = cfg_getbool(section, row->name) == cfg_true;
        break;
    case CONFIG_UNSIGNED:
        *(unsigned *)field = (unsigned)cfg_getint(section, row->name);
        break;
    case CONFIG_U64:
        *(uint64_t *)field = (uint64_t)cfg_getint(section, row->name);
        break;
    case CONFIG_SWITCH:
        *(bool *)field = strcmp(cfg_getstr(section, row->name), row->choices[1]) == 0;
        break;
    case CONFIG_PREFIXES:
        take_prefixes(section, row, field);
        break;
    case CONFIG_SERVERS:
        take_servers(section, row, arena, field);
        break;
    case CONFIG_SOURCES:
        take_sources(section, row, field);
        break;
    case CONFIG_ROUTES:
        take_routes(section, row, arena, field);
        break;
    case CONFIG_TIMES:
        take_times(section, row, field);
        break;
    case CONFIG_PATH:
    case CONFIG_HOST:
    case CONFIG_ADDRESS:
    case CONFIG_LOCAL_ADDRESS:
    case CONFIG_WORD:
    case CONFIG_CHOICE:
        *(const char **)field = arena_string(arena, bytes_of(cfg_getstr(section, row->name)));
        break;
    }
}

static void take_listeners(cfg_t *cfg, struct arena *arena, struct config *config)
{
    for (unsigned i = 0; i < cfg_size(cfg, "listen"); i++) {
        cfg_t *section = cfg_getnsec(cfg, "listen", i);
        const struct config_listen_row *row = listen_row_of(cfg_title(section));
        struct config_listener *listener = (void *)((char *)config + row->offset);

        listener->count = cfg_size(section, "address");
        for (unsigned j = 0; j < listener->count; j++)
            listener->addresses[j] =
                arena_string(arena, bytes_of(cfg_getnstr(section, "address", j)));
    }
}

const struct config_listener *config_listener_at(const struct config *config, unsigned index,
                                                 const char **name)
{
    if (index >= config_listen_rows_count)
        return NULL;
    *name = config_listen_rows[index].title;
    return (const void *)((const char *)config + config_listen_rows[index].offset);
}

/* How many sections are open behind `text`, which has no errors otherwise: libconfuse takes a
 * file that is cut off inside a section. */
static int open_sections(const char *text)
{
    int depth = 0;

    while (*text != '\0') {
        if (*text == '"' || *text == '\'') {
            char quote = *text++;
            for (; *text != '\0' && *text != quote; text++)
                text += *text == '\\' && text[1] != '\0';
            text += *text != '\0';
        } else if (*text == '#' || strncmp(text, "//", 2) == 0) {
            text += strcspn(text, "\n");
        } else if (strncmp(text, "/*", 2) == 0) {
            const char *end = strstr(text + 2, "*/");
            text = end != NULL ? end + 2 : text + strlen(text);
        } else {
            depth += (*text == '{') - (*text == '}');
            text++;
        }
    }
    return depth;
}

/* The file's text, NULL when it cannot be read or is absurdly large. A byte 0 in it would hide
 * all that follows: *whole is false then. */
static char *read_text(const char *path, struct arena *arena, bool *whole)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t len = 0;

    if (file == NULL)
        return NULL;
    text = arena_alloc(arena, TEXT_SIZE_MAX + 1);
    len = fread(text, 1, TEXT_SIZE_MAX + 1, file);
    bool good = ferror(file) == 0 && len <= TEXT_SIZE_MAX;
    fclose(file);
    *whole = memchr(text, '\0', len) == NULL;
    return good ? text : NULL;
}

/* What no single value shows. */
static const char *whole_problem(struct arena *arena, struct config *config)
{
    if ((config->tls_certificate[0] == '\0') != (config->tls_key[0] == '\0'))
        return "tls: certificate and key belong together";
    if (config->election_ms != 0 && config->heartbeat_ms != 0 &&
        config->heartbeat_ms * 2 > config->election_ms)
        return "cluster: election_ms must be at least twice heartbeat_ms";
    for (unsigned i = 1; i < config->relay_delay.count; i++)
        if (config->relay_delay.at_s[i] <= config->relay_delay.at_s[i - 1])
            return "relay: delay must ascend";
    if (config->user_relay[0] == '\0') /* a configuration from before there was one */
        config->user_relay = config->user_smtp;
    if (config->hostname[0] == '\0') {
        char name[256] = "";
        if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0' ||
            config_text_problem(CONFIG_HOST, NULL, name) != NULL)
            return "hostname is not set, and the machine has no name that could be used";
        config->hostname = arena_string(arena, bytes_of(name));
    }
    return NULL;
}

enum err config_load(const char *path, struct arena *arena, struct config *config,
                     const char **problem)
{
    struct load here = {.path = path};
    struct arena file_arena;
    enum err err = ERR_OK;
    bool has_text = false;

    *config = (struct config){0};
    arena_init(&file_arena);
    const char *text = read_text(path, &file_arena, &has_text);
    if (text == NULL) {
        arena_fini(&file_arena);
        *problem = arena_printf(arena, "%s: cannot be read", path);
        return ERR_NOTFOUND;
    }
    load = &here;
    cfg_t *cfg = parser_new();
    if (!has_text) {
        err = ERR_INVALID;
        *problem = arena_printf(arena, "%s: has a byte 0, so it is no text", path);
    } else if (cfg_parse_buf(cfg, text) != CFG_SUCCESS) {
        err = ERR_INVALID;
        /* Of some errors libconfuse says nothing but that they are there. */
        *problem = here.problem[0] != '\0'
                       ? arena_printf(arena, "%s", here.problem)
                       : arena_printf(arena, "%s:%d: cannot be understood", path, cfg->line);
    } else if (open_sections(text) != 0) {
        err = ERR_INVALID;
        *problem = arena_printf(arena, "%s: ends inside a section", path);
    } else {
        for (unsigned i = 0; i < config_rows_count; i++)
            take_row(cfg, &config_rows[i], arena, config);
        take_listeners(cfg, arena, config);
        const char *whole = whole_problem(arena, config);
        if (whole != NULL) {
            err = ERR_INVALID;
            *problem = arena_printf(arena, "%s: %s", path, whole);
        }
    }
    cfg_free(cfg);
    arena_fini(&file_arena);
    load = NULL;
    return err;
}
