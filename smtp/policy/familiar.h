/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_FAMILIAR_H
#define SMTP_POLICY_FAMILIAR_H

#include "node/runtime/address.h"

/* Addresses (IPv6: /64) whose mail was taken by this process without any objection. A place for
 * each, which a later one may take: what is forgotten waits for a greeting again, no more. */
enum { FAMILIAR_MAX = 8192 };
struct familiar;

struct familiar *familiar_new(uint64_t seed);
void familiar_free(struct familiar **familiar);
void familiar_note(struct familiar *familiar, const struct address *address, uint64_t until_ms);
bool familiar_knows(const struct familiar *familiar, const struct address *address,
                    uint64_t now_ms);

/* The net of an address that counts as one sender: IPv4 /`v4_bits`, IPv6 /64. */
struct address policy_net(const struct address *address, unsigned v4_bits);
/* Loopback, private, shared, link-local, unspecified, multicast. */
bool policy_is_local(const struct address *address);

#endif
