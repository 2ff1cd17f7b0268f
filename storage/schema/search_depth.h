/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_SEARCH_DEPTH_H
#define STORAGE_SCHEMA_SEARCH_DEPTH_H

#include "node/base/bytes.h"

/*
 * Whether the search keys of a packed Pr__Request lie at most `depth_max` deep. protobuf-c
 * unpacks them by recursion without a limit, so this comes first. Bytes that are no protobuf
 * message are let through: unpacking refuses them.
 */
bool search_depth_within(struct bytes request, unsigned depth_max);

#endif
