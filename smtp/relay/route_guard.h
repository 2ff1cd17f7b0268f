/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_ROUTE_GUARD_H
#define SMTP_RELAY_ROUTE_GUARD_H

#include "node/runtime/address.h"

/*
 * Where no mail server of the internet can be: loopback, private, link-local, multicast,
 * unspecified and reserved addresses (RFC 6890 and the registries that it founded). Mail that
 * went there on a stranger's word would reach our own insides. IPv4 is looked at in whatever
 * IPv6 it is wrapped: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
 *
 * Returns in a word what it is, "private"; NULL: nothing speaks against it.
 */
const char *route_guard(const struct address *address);

#endif
