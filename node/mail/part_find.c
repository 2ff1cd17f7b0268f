/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/summary.h"

static bool is_multipart(const struct mail_part *part)
{
    return bytes_equal_nocase(part->type, BYTES("MULTIPART"));
}

/* `root` is the root of a message: of a multipart its part `number`, else part 1 is the root.
 */
static const struct mail_part *part_of_message(const struct mail_part *root, uint32_t number)
{
    if (!is_multipart(root))
        return number == 1 ? root : NULL;
    const struct mail_part *part = number > 0 ? root->children : NULL;
    for (; part != NULL && number > 1; number--)
        part = part->next;
    return part;
}

const struct mail_part *mail_part_find(const struct mail_summary *summary,
                                       const uint32_t *numbers, size_t count)
{
    const struct mail_part *part = summary->root;
    bool is_root = true; /* of the message or of a message inside it */

    for (size_t i = 0; i < count && part != NULL; i++) {
        if (!is_root && !is_multipart(part)) {
            part = part->children; /* a message goes on inside; others have no children */
            if (part == NULL)
                return NULL;
        }
        part = part_of_message(part, numbers[i]);
        is_root = false;
    }
    return part;
}
