/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/conversations.h"

#define LOGIN "a LOGIN ann@example.org secret\r\n"
#define CAPABILITIES                                                                           \
    "IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE CHILDREN CREATE-SPECIAL-USE ESEARCH "           \
    "LIST-EXTENDED LIST-STATUS MOVE NAMESPACE SEARCHRES SPECIAL-USE STATUS=SIZE UIDPLUS "      \
    "UNSELECT APPENDLIMIT=1000000"
#define LOGGED_IN "a OK [CAPABILITY " CAPABILITIES "] Logged in\r\n"
#define SELECT LOGIN "b SELECT INBOX\r\n"
#define FLAGS                                                                                  \
    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"                              \
    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags that "    \
    "can be changed\r\n"
#define SELECTED                                                                               \
    LOGGED_IN FLAGS "* 3 EXISTS\r\n* 0 RECENT\r\n"                                             \
                    "* OK [UIDVALIDITY 1001] UIDs are valid\r\n"                               \
                    "* OK [UIDNEXT 4] The next UID\r\n"                                        \
                    "b OK [READ-WRITE] Selected\r\n"

const struct conversation conversations[] = {
    {"log in and out", LOGIN "b LOGOUT\r\n",
     LOGGED_IN "* BYE Logging out\r\nb OK Done\r\n<CLOSE>", false},
    {"select", SELECT, SELECTED, false},
    {"fetch flags", SELECT "c FETCH 1:* (UID FLAGS)\r\n",
     SELECTED "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS ())\r\n"
              "* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\nc OK Done\r\n",
     false},
};
const size_t conversation_count = sizeof(conversations) / sizeof(conversations[0]);
