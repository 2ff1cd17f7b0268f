/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDER_DOMAIN_LIKENESS_H
#define STORAGE_SERVICE_SENDER_DOMAIN_LIKENESS_H

#include "node/base/bytes.h"

/*
 * Whether a domain is made to be taken for another one. What is compared is the label that was
 * registered, "paypal" of "www.paypal.co.uk", by its skeleton: characters that look alike are
 * the same (Unicode's UTS 39: Cyrillic and Latin "a", "rn" and "m"; and figures for letters).
 *
 *   LIKENESS_LOOKS  the labels differ, their skeletons do not
 *   LIKENESS_NEAR   that; or one letter more, less, other or changed over in labels of 6 and
 *                   more, two in such of 12 and more; or the protected name, of 5 and more,
 *                   stands in it between hyphens: "paypal-billing"
 *
 * The same label below another suffix is no likeness, and labels under 4 letters have none. One
 * costs some microseconds; an engine of its own for each thread.
 */
enum likeness_how { LIKENESS_LOOKS, LIKENESS_NEAR };

struct likeness;

/* Of a domain in A-labels. NULL: there are no tables of characters, or it is no domain. */
struct likeness *likeness_new(struct bytes domain);
void likeness_free(struct likeness **likeness);

/* That domain is the same, or one below the same registered one. */
bool likeness_same(const struct likeness *likeness, struct bytes other);
bool likeness_with(const struct likeness *likeness, struct bytes other, enum likeness_how how);

#endif
