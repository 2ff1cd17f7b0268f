/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_FOLD_H
#define SMTP_EGRESS_CLASSIFY_FOLD_H

#include <netinet/in.h>

#include "smtp/egress/classify_normal.h"

/* Our own address in the forms in which replies name it. */
struct own_address {
    bool known;
    uint8_t octets[16];               /* IPv4 mapped */
    char text[INET6_ADDRSTRLEN];      /* as given, lower case */
    char backwards[64 + sizeof(".")]; /* as DNSBLs are asked */
};

void own_address_set(struct own_address *own, struct bytes text);

/*
 * What begins at the front of `text`: how many bytes, 0 if it is no such thing. Each looks at a
 * bounded number of bytes, but for links, which end only with the word.
 */
size_t fold_url(struct bytes text);
size_t fold_email(struct bytes text);
size_t fold_domain(struct bytes text);
size_t fold_id(struct bytes text);

/* An address, or a network with "/bits". */
struct fold_ip {
    uint8_t octets[16]; /* IPv4 mapped */
    bool network;
    unsigned bits; /* of the mapped form */
};
size_t fold_ip(struct bytes text, struct fold_ip *ip);

/* Of a link without its scheme: where the host ends. */
size_t fold_host_length(struct bytes link);

bool own_address_is(const struct own_address *own, const struct fold_ip *ip);

#endif
