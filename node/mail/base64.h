/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_BASE64_H
#define NODE_MAIL_BASE64_H

#include <stdint.h>

/* 0 to 63, or -1 when the byte is not of the alphabet. */
int base64_value(uint8_t byte);

#endif
