/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_NORMAL_H
#define SMTP_EGRESS_CLASSIFY_NORMAL_H

#include "smtp/egress/classify.h"

/*
 * The text that patterns see: lines joined, codes and statuses in front of them left out, lower
 * case, one space between words, and in place of what differs from reply to reply:
 *
 *   <sip>             our own address, also when it is written backwards in a DNSBL's name
 *   <sip-net>         a network that it lies in
 *   <ip> <ip-net>     other addresses and networks
 *   <email> <domain> <url>; a link's short fragment stays behind it: <url>#bl000001
 *   <iplist:NAME>     a name or link of a list in the rules file, <domainlist:NAME> likewise
 *   <id>              hexadecimal, base64 and queue ids, numbers of 8 digits and more
 *
 * A '<' or '>' of the remote host's own becomes a space, so that it cannot write these itself.
 * The time is linear in the length of the text, which is cut at CLASSIFY_TEXT_MAX.
 */
enum {
    NORMAL_TEXT_MAX = CLASSIFY_TEXT_MAX,
    NORMAL_DOMAINS_MAX = 8,
    LIST_ENTRIES_MAX = 512,
};

/* A name or link by which texts speak of a list. */
struct list_entry {
    char name[CLASSIFY_NAME_MAX + 1];
    char host[CLASSIFY_ZONE_MAX + 1]; /* itself and all below it; "dbl.*": all that begins so */
    char path[64];                    /* a link's path begins so; "": any, or no link at all */
    bool domains;                     /* a list of domains, not of addresses */
};

struct lists {
    struct list_entry *entries;
    size_t count;
};

/* A domain that became <domain>, where that ends in `text`. */
struct normal_domain {
    size_t end;
    size_t start_read; /* in the text that was read, see `joined` */
    size_t len_read;
};

struct normal {
    char text[NORMAL_TEXT_MAX + 1];
    size_t len;
    uint64_t template_id;
    char status[12];               /* that stood in front of the text; "": none did */
    const struct list_entry *list; /* the first one named; NULL: none */
    struct normal_domain domains[NORMAL_DOMAINS_MAX];
    size_t domain_count;
    char joined[NORMAL_TEXT_MAX + 1]; /* as it was read: joined, not replaced */
    size_t joined_len;
};

void normal_make(const struct lists *lists, unsigned code, struct bytes text,
                 struct bytes source, struct normal *normal);

/* The entry that fits best, or NULL. `path` begins with '/', or is empty. */
const struct list_entry *lists_find(const struct lists *lists, struct bytes host,
                                    struct bytes path);

#endif
