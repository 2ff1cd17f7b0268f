# SPDX-License-Identifier: GPL-2.0-or-later
# cmake -DIN=replies.rules -DOUT=builtin.c -P embed.cmake: the file as a C array.
file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR len "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUT} "/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <stdint.h>
extern const uint8_t classify_builtin_text[];
extern const size_t classify_builtin_len;
const uint8_t classify_builtin_text[] = {
${hex}};
const size_t classify_builtin_len = ${len};
")
