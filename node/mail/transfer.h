/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_TRANSFER_H
#define NODE_MAIL_TRANSFER_H

#include "node/base/bytes.h"

/* The byte that the two hexadecimal digits at the start of `text` stand for, or -1. */
int transfer_hex_byte(struct bytes text);

#endif
