/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/header_octets.h"

#include "smtp/message/header_edit.h"

/* RFC 3629 section 4. Returns the faults. */
static unsigned take_wide(struct header_octets *octets, uint8_t byte)
{
    if (octets->tails > 0) {
        bool fits = byte >= octets->least && byte <= octets->most;
        octets->tails = fits ? octets->tails - 1 : 0;
        octets->least = 0x80;
        octets->most = 0xBF;
        return fits ? SMTP_FAULT_8BIT : SMTP_FAULT_8BIT | SMTP_FAULT_NOT_UTF8;
    }
    if (byte < 0xC2 || byte > 0xF4)
        return SMTP_FAULT_8BIT | SMTP_FAULT_NOT_UTF8;
    octets->tails = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    octets->least = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    octets->most = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return SMTP_FAULT_8BIT;
}

static unsigned take_ascii(struct header_octets *octets, uint8_t byte)
{
    unsigned faults = octets->tails > 0 ? SMTP_FAULT_NOT_UTF8 : 0;
    bool is_control =
        (byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n') || byte == 127;

    octets->tails = 0;
    if (is_control || (byte == '\n') != (octets->last_byte == '\r'))
        faults |= SMTP_FAULT_CONTROL;
    return faults;
}

unsigned header_octets_take(struct header_octets *octets, struct bytes text)
{
    unsigned faults = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        octets->line_size++;
        if (byte < 0x80)
            faults |= take_ascii(octets, byte);
        else
            faults |=
                take_wide(octets, byte) | (octets->last_byte == '\r' ? SMTP_FAULT_CONTROL : 0U);
        if (byte == '\n' && octets->last_byte == '\r') {
            if (octets->line_size - 2 > SMTP_EDIT_LINE_SIZE_MAX)
                faults |= SMTP_FAULT_LONG_LINE;
            octets->line_size = 0;
        }
        octets->last_byte = byte;
    }
    return faults;
}

unsigned header_octets_end(struct header_octets *octets)
{
    unsigned faults = octets->tails > 0 ? SMTP_FAULT_NOT_UTF8 : 0;

    if (octets->last_byte == '\r')
        faults |= SMTP_FAULT_CONTROL;
    if (octets->line_size > SMTP_EDIT_LINE_SIZE_MAX)
        faults |= SMTP_FAULT_LONG_LINE;
    return faults;
}
