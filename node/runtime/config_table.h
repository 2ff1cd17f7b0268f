/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_CONFIG_TABLE_H
#define NODE_RUNTIME_CONFIG_TABLE_H

#include "node/runtime/config.h"

/* The language of the configuration file, a row a setting; inside this folder only. */
enum config_kind {
    CONFIG_PATH,          /* absolute */
    CONFIG_HOST,          /* a host name */
    CONFIG_ADDRESS,       /* "host:port", numeric */
    CONFIG_LOCAL_ADDRESS, /* the same, or "unix:/path" */
    CONFIG_WORD,          /* a user's name and the like */
    CONFIG_CHOICE,        /* one of `choices` */
    CONFIG_SWITCH,        /* a choice of two, the second of them is true */
    CONFIG_BOOL,
    CONFIG_UNSIGNED,
    CONFIG_U64,
    CONFIG_PREFIXES, /* a list of networks */
    CONFIG_SERVERS,  /* a list of addresses, with or without a port */
    CONFIG_SOURCES,  /* a list of addresses without a port */
    CONFIG_ROUTES,   /* a list of "domain=host:port" */
    CONFIG_TIMES,    /* a list of lengths of time */
};

#define CONFIG_LOCAL "unix:"

struct config_row {
    const char *section; /* "" : at the top */
    const char *name;
    enum config_kind kind;
    size_t offset; /* in struct config */
    const char *text;
    uint64_t number, least, most; /* the default and the range; a bool is a number too */
    const char *const *choices;   /* ends with NULL */
    const char *help;
};

extern const struct config_row config_rows[];
extern const unsigned config_rows_count;

/* The titles that `listen` may have. */
struct config_listen_row {
    const char *title;
    size_t offset; /* of the struct config_listener */
    bool local;    /* addresses may be paths */
    const char *help;
};
extern const struct config_listen_row config_listen_rows[];
extern const unsigned config_listen_rows_count;

/* How many entries a list of this kind may have; 0: it is no list. */
unsigned config_list_max(enum config_kind kind);

/* NULL when `text` is fine for the row, else what is wrong with it. The empty text is always
 * fine: it stands for "not set". Of a list it is one entry, which must not be empty. */
const char *config_text_problem(enum config_kind kind, const char *const *choices,
                                const char *text);

/* What a route consists of, in its text. False: it is none. */
struct config_route_parts {
    struct bytes domain;
    struct bytes host; /* a name; empty: none, or an address */
    bool literal;
    struct address address; /* with `literal` */
    unsigned port;          /* 0: none is given */
};
bool config_route_split(struct bytes text, struct config_route_parts *parts);

/* "90", "90s", "5m", "4h", "5d": 1 second to CONFIG_TIME_MAX_S. False: it is none. */
bool config_time_read(struct bytes text, unsigned *seconds);

#endif
