/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/mail/charset.h"

/*
 * Mail says ISO-8859-1 and even US-ASCII where it means windows-1252; the printable characters
 * of the former are the same in the latter. Likewise GB2312 means GB18030, KS_C_5601 means UHC,
 * Shift_JIS means CP932, ISO-8859-9 means windows-1254 and TIS-620 means CP874.
 *
 * Names are kept in lower case and without separators ("iso-8859-1" is "iso88591"), sorted.
 */
static const struct alias {
    const char *name;
    enum charset_kind kind;
    const char *iconv_name;
} aliases[] = {
    {"866", CHARSET_ICONV, "CP866"},
    {"ansix341968", CHARSET_ASCII, NULL},
    {"ansix341986", CHARSET_ASCII, NULL},
    {"ascii", CHARSET_ASCII, NULL},
    {"big5", CHARSET_ICONV, "BIG5-HKSCS"},
    {"big5hkscs", CHARSET_ICONV, "BIG5-HKSCS"},
    {"cp1250", CHARSET_ICONV, "CP1250"},
    {"cp1251", CHARSET_ICONV, "CP1251"},
    {"cp1252", CHARSET_LATIN, NULL},
    {"cp1253", CHARSET_ICONV, "CP1253"},
    {"cp1254", CHARSET_ICONV, "CP1254"},
    {"cp1255", CHARSET_ICONV, "CP1255"},
    {"cp1256", CHARSET_ICONV, "CP1256"},
    {"cp1257", CHARSET_ICONV, "CP1257"},
    {"cp1258", CHARSET_ICONV, "CP1258"},
    {"cp437", CHARSET_ICONV, "CP437"},
    {"cp850", CHARSET_ICONV, "CP850"},
    {"cp852", CHARSET_ICONV, "CP852"},
    {"cp866", CHARSET_ICONV, "CP866"},
    {"cp874", CHARSET_ICONV, "CP874"},
    {"cp932", CHARSET_ICONV, "CP932"},
    {"cp936", CHARSET_ICONV, "GB18030"},
    {"cp949", CHARSET_ICONV, "UHC"},
    {"cp950", CHARSET_ICONV, "BIG5-HKSCS"},
    {"cseuckr", CHARSET_ICONV, "UHC"},
    {"csiso2022jp", CHARSET_ICONV, "ISO-2022-JP"},
    {"csshiftjis", CHARSET_ICONV, "CP932"},
    {"euccn", CHARSET_ICONV, "GB18030"},
    {"eucjp", CHARSET_ICONV, "EUC-JP"},
    {"euckr", CHARSET_ICONV, "UHC"},
    {"euctw", CHARSET_ICONV, "EUC-TW"},
    {"gb18030", CHARSET_ICONV, "GB18030"},
    {"gb2312", CHARSET_ICONV, "GB18030"},
    {"gbk", CHARSET_ICONV, "GB18030"},
    {"ibm437", CHARSET_ICONV, "CP437"},
    {"ibm850", CHARSET_ICONV, "CP850"},
    {"ibm852", CHARSET_ICONV, "CP852"},
    {"ibm866", CHARSET_ICONV, "CP866"},
    {"iso2022jp", CHARSET_ICONV, "ISO-2022-JP"},
    {"iso2022jp1", CHARSET_ICONV, "ISO-2022-JP-2"},
    {"iso2022jp2", CHARSET_ICONV, "ISO-2022-JP-2"},
    {"iso2022jp3", CHARSET_ICONV, "ISO-2022-JP-3"},
    {"iso2022kr", CHARSET_ICONV, "ISO-2022-KR"},
    {"iso88591", CHARSET_LATIN, NULL},
    {"iso885910", CHARSET_ICONV, "ISO-8859-10"},
    {"iso885911", CHARSET_ICONV, "CP874"},
    {"iso885913", CHARSET_ICONV, "ISO-8859-13"},
    {"iso885914", CHARSET_ICONV, "ISO-8859-14"},
    {"iso885915", CHARSET_ICONV, "ISO-8859-15"},
    {"iso885916", CHARSET_ICONV, "ISO-8859-16"},
    {"iso88592", CHARSET_ICONV, "ISO-8859-2"},
    {"iso88593", CHARSET_ICONV, "ISO-8859-3"},
    {"iso88594", CHARSET_ICONV, "ISO-8859-4"},
    {"iso88595", CHARSET_ICONV, "ISO-8859-5"},
    {"iso88596", CHARSET_ICONV, "ISO-8859-6"},
    {"iso88597", CHARSET_ICONV, "ISO-8859-7"},
    {"iso88598", CHARSET_ICONV, "ISO-8859-8"},
    {"iso88598e", CHARSET_ICONV, "ISO-8859-8"},
    {"iso88598i", CHARSET_ICONV, "ISO-8859-8"},
    {"iso88599", CHARSET_ICONV, "CP1254"},
    {"koi8r", CHARSET_ICONV, "KOI8-R"},
    {"koi8ru", CHARSET_ICONV, "KOI8-U"},
    {"koi8u", CHARSET_ICONV, "KOI8-U"},
    {"ksc5601", CHARSET_ICONV, "UHC"},
    {"ksc56011987", CHARSET_ICONV, "UHC"},
    {"latin1", CHARSET_LATIN, NULL},
    {"latin2", CHARSET_ICONV, "ISO-8859-2"},
    {"latin9", CHARSET_ICONV, "ISO-8859-15"},
    {"macintosh", CHARSET_ICONV, "MACINTOSH"},
    {"shiftjis", CHARSET_ICONV, "CP932"},
    {"sjis", CHARSET_ICONV, "CP932"},
    {"tis620", CHARSET_ICONV, "CP874"},
    {"uhc", CHARSET_ICONV, "UHC"},
    {"unicode11utf7", CHARSET_ICONV, "UTF-7"},
    {"unicode11utf8", CHARSET_UTF8, NULL},
    {"usascii", CHARSET_ASCII, NULL},
    {"utf16", CHARSET_ICONV, "UTF-16"},
    {"utf16be", CHARSET_ICONV, "UTF-16BE"},
    {"utf16le", CHARSET_ICONV, "UTF-16LE"},
    {"utf32", CHARSET_ICONV, "UTF-32"},
    {"utf7", CHARSET_ICONV, "UTF-7"},
    {"utf8", CHARSET_UTF8, NULL},
    {"utf8mb4", CHARSET_UTF8, NULL},
    {"viscii", CHARSET_ICONV, "VISCII"},
    {"win1251", CHARSET_ICONV, "CP1251"},
    {"windows1250", CHARSET_ICONV, "CP1250"},
    {"windows1251", CHARSET_ICONV, "CP1251"},
    {"windows1252", CHARSET_LATIN, NULL},
    {"windows1253", CHARSET_ICONV, "CP1253"},
    {"windows1254", CHARSET_ICONV, "CP1254"},
    {"windows1255", CHARSET_ICONV, "CP1255"},
    {"windows1256", CHARSET_ICONV, "CP1256"},
    {"windows1257", CHARSET_ICONV, "CP1257"},
    {"windows1258", CHARSET_ICONV, "CP1258"},
    {"windows31j", CHARSET_ICONV, "CP932"},
    {"windows874", CHARSET_ICONV, "CP874"},
    {"windows949", CHARSET_ICONV, "UHC"},
    {"xgbk", CHARSET_ICONV, "GB18030"},
    {"xsjis", CHARSET_ICONV, "CP932"},
    {"xunicode20utf7", CHARSET_ICONV, "UTF-7"},
    {"xunknown", CHARSET_ASCII, NULL},
};

size_t charset_count(void)
{
    return sizeof(aliases) / sizeof(aliases[0]);
}

const char *charset_iconv_name(size_t index)
{
    return aliases[index].iconv_name;
}

static int compare(const void *name, const void *alias)
{
    return strcmp(name, ((const struct alias *)alias)->name);
}

enum charset_kind charset_find(struct bytes name, const char **iconv_name)
{
    char key[32];
    size_t len = 0;

    *iconv_name = NULL;
    name = bytes_trim(bytes_from(name.at, bytes_find(name, '*')));
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = byte_lower(name.at[i]);
        if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')))
            continue;
        if (len + 1 == sizeof(key))
            return CHARSET_ASCII;
        key[len++] = (char)byte;
    }
    key[len] = '\0';
    const struct alias *alias =
        bsearch(key, aliases, charset_count(), sizeof(aliases[0]), compare);
    if (alias == NULL)
        return CHARSET_ASCII;
    *iconv_name = alias->iconv_name;
    return alias->kind;
}
