/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/format.h"
#include "storage/machine/apply.h"

unsigned apply_format(const struct apply *apply)
{
    return apply->record.format < FORMAT_FIRST ? FORMAT_FIRST : apply->record.format;
}

enum err apply_format_raise(struct apply *apply)
{
    uint32_t format = apply->command->format_raise->format;

    if (format > FORMAT_NEWEST)
        return apply_refuse(apply, ERR_UNSUPPORTED, "format %u is not known here", format);
    if (format > apply_format(apply)) {
        apply->record.format = (uint8_t)format;
        if (apply->group == 0)
            apply->events->directory_changed = true;
    }
    return ERR_OK;
}
