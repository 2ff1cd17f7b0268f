/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/conversations.h"

const struct conversation conversations_mailbox[] = {
    {"GETQUOTA without limits",
     LOGIN "b GETQUOTA \"\"\r\n"
           "c GETQUOTAROOT INBOX\r\n"
           "d GETQUOTA other\r\n"
           "e GETQUOTA\r\n"
           "f GETQUOTAROOT\r\n",
     LOGGED_IN "* QUOTA \"\" ()\r\n"
               "b OK Done\r\n"
               "* QUOTAROOT INBOX \"\"\r\n"
               "* QUOTA \"\" ()\r\n"
               "c OK Done\r\n"
               "d NO [NONEXISTENT] There is no such quota root\r\n"
               "e BAD Wrong arguments: a space is missing\r\n"
               "f BAD Wrong arguments: a space is missing\r\n",
     false},
    {"GETQUOTA with limits",
     LOGIN "!quota 5000 10\n"
           "b GETQUOTA \"\"\r\n"
           "!quota 5000 0\n"
           "c GETQUOTAROOT \"Work Old\"\r\n"
           "!quota 0 10\n"
           "d GETQUOTA \"\"\r\n",
     LOGGED_IN "* QUOTA \"\" (STORAGE 3 4 MESSAGE 7 10)\r\n"
               "b OK Done\r\n"
               "* QUOTAROOT \"Work Old\" \"\"\r\n"
               "* QUOTA \"\" (STORAGE 3 4)\r\n"
               "c OK Done\r\n"
               "* QUOTA \"\" (MESSAGE 7 10)\r\n"
               "d OK Done\r\n",
     false},
    {"STATUS DELETED-STORAGE", LOGIN "b STATUS INBOX (DELETED DELETED-STORAGE)\r\n",
     LOGGED_IN "* STATUS INBOX (DELETED 1 DELETED-STORAGE 14)\r\n"
               "b OK Done\r\n",
     false},
    {"LIST",
     LOGIN "b LIST \"\" *\r\n"
           "c LIST \"\" %\r\n"
           "d LIST \"\" \"\"\r\n"
           "e LIST Work/ %\r\n"
           "f LIST \"\" inb*\r\n"
           "g LIST \"\" (INBOX Work/*) RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN SIZE "
           "DELETED UIDNEXT))\r\n",
     LOGGED_IN "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"
               "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
               "* LIST (\\Noselect \\HasChildren) \"/\" Lost\r\n"
               "* LIST (\\Noselect \\HasChildren) \"/\" Lost/Deep\r\n"
               "* LIST (\\HasNoChildren) \"/\" Lost/Deep/Leaf\r\n"
               "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
               "* LIST (\\HasChildren) \"/\" Work\r\n"
               "* LIST (\\HasNoChildren) \"/\" Work/B&APw-cher\r\n"
               "* LIST (\\HasNoChildren) \"/\" \"Work Old\"\r\n"
               "b OK Done\r\n"
               "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"
               "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
               "* LIST (\\Noselect \\HasChildren) \"/\" Lost\r\n"
               "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
               "* LIST (\\HasChildren) \"/\" Work\r\n"
               "* LIST (\\HasNoChildren) \"/\" \"Work Old\"\r\n"
               "c OK Done\r\n"
               "* LIST (\\Noselect) \"/\" \"\"\r\n"
               "d OK Done\r\n"
               "* LIST (\\HasNoChildren) \"/\" Work/B&APw-cher\r\n"
               "e OK Done\r\n"
               "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
               "f OK Done\r\n"
               "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
               "* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UNSEEN 2 SIZE 402 DELETED 1)\r\n"
               "* LIST (\\HasNoChildren) \"/\" Work/B&APw-cher\r\n"
               "* STATUS Work/B&APw-cher (MESSAGES 0 UIDNEXT 1 UNSEEN 0 SIZE 0 DELETED 0)\r\n"
               "g OK Done\r\n",
     false},
    {"LIST of subscriptions",
     LOGIN "b LSUB \"\" %\r\n"
           "c LSUB \"\" *\r\n"
           "d LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)\r\n"
           "e LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\n"
           "f LIST (SPECIAL-USE) \"\" *\r\n"
           "g LIST (RECURSIVEMATCH) \"\" *\r\n",
     LOGGED_IN
     "* LSUB (\\Noselect \\HasNoChildren) \"/\" Gone\r\n"
     "* LSUB (\\HasNoChildren) \"/\" INBOX\r\n"
     "* LSUB (\\Noselect \\HasChildren) \"/\" Lost\r\n"
     "* LSUB (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
     "* LSUB (\\Noselect \\HasChildren) \"/\" Work\r\n"
     "b OK Done\r\n"
     "* LSUB (\\Noselect \\HasNoChildren) \"/\" Gone\r\n"
     "* LSUB (\\HasNoChildren) \"/\" INBOX\r\n"
     "* LSUB (\\HasNoChildren) \"/\" Lost/Deep/Leaf\r\n"
     "* LSUB (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
     "* LSUB (\\HasNoChildren) \"/\" Work/B&APw-cher\r\n"
     "c OK Done\r\n"
     "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" Gone\r\n"
     "* LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX\r\n"
     "* LIST (\\Subscribed \\HasNoChildren) \"/\" Lost/Deep/Leaf\r\n"
     "* LIST (\\Subscribed \\HasNoChildren \\Sent) \"/\" Sent\r\n"
     "* LIST (\\Subscribed \\HasNoChildren) \"/\" Work/B&APw-cher\r\n"
     "d OK Done\r\n"
     "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" Gone\r\n"
     "* LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX\r\n"
     "* LIST (\\NonExistent \\HasChildren) \"/\" Lost (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
     "* LIST (\\Subscribed \\HasNoChildren \\Sent) \"/\" Sent\r\n"
     "* LIST (\\HasChildren) \"/\" Work (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
     "e OK Done\r\n"
     "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"
     "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
     "f OK Done\r\n"
     "g BAD Wrong arguments: RECURSIVEMATCH cannot stand alone\r\n",
     false},
    {"STATUS",
     LOGIN "b STATUS \"Work/B&APw-cher\" (MESSAGES UIDVALIDITY APPENDLIMIT)\r\n"
           "c STATUS Nowhere (MESSAGES)\r\n"
           "d STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN)\r\n"
           "e STATUS INBOX ()\r\n",
     LOGGED_IN "* STATUS Work/B&APw-cher (MESSAGES 0 UIDVALIDITY 1005 APPENDLIMIT 1000000)\r\n"
               "b OK Done\r\n"
               "c NO [NONEXISTENT] There is no such mailbox\r\n"
               "* STATUS INBOX (MESSAGES 3 RECENT 0 UIDNEXT 4 UNSEEN 2)\r\n"
               "d OK Done\r\n"
               "e BAD Wrong arguments: a name is missing\r\n",
     false},
    {"select and examine",
     LOGIN "b SELECT Nowhere\r\n"
           "c FETCH 1 FLAGS\r\n"
           "d EXAMINE inbox\r\n"
           "e STORE 1 FLAGS ()\r\n"
           "f EXPUNGE\r\n"
           "g FETCH 2 BODY[TEXT]<0.3>\r\n"
           "h SELECT Nowhere\r\n"
           "i FETCH 1 FLAGS\r\n",
     LOGGED_IN "b NO [NONEXISTENT] There is no such mailbox\r\n"
               "c BAD Select a mailbox first\r\n"
               "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
               "* OK [PERMANENTFLAGS ()] Flags that can be changed\r\n"
               "* 3 EXISTS\r\n"
               "* 0 RECENT\r\n"
               "* OK [UIDVALIDITY 1001] UIDs are valid\r\n"
               "* OK [UIDNEXT 4] The next UID\r\n"
               "d OK [READ-ONLY] Selected\r\n"
               "e NO [READ-ONLY] The mailbox is open for reading only\r\n"
               "f NO [READ-ONLY] The mailbox is open for reading only\r\n"
               "* 2 FETCH (BODY[TEXT]<0> {3}\r\n"
               "--b)\r\n"
               "g OK Done\r\n"
               "h NO [NONEXISTENT] There is no such mailbox\r\n"
               "i BAD Select a mailbox first\r\n",
     false},
    {"leaving a mailbox",
     SELECT "c UNSELECT\r\n"
            "d FETCH 1 FLAGS\r\n"
            "e SELECT INBOX\r\n"
            "f CLOSE\r\n"
            "g STATUS INBOX (MESSAGES)\r\n",
     SELECTED "c OK Done\r\n"
              "d BAD Select a mailbox first\r\n"
              "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
              "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags "
              "that can be changed\r\n"
              "* 3 EXISTS\r\n"
              "* 0 RECENT\r\n"
              "* OK [UIDVALIDITY 1001] UIDs are valid\r\n"
              "* OK [UIDNEXT 4] The next UID\r\n"
              "e OK [READ-WRITE] Selected\r\n"
              "f OK Done\r\n"
              "* STATUS INBOX (MESSAGES 2)\r\n"
              "g OK Done\r\n",
     false},
    {"mailboxes",
     LOGIN "b CREATE a/../b\r\n"
           "c CREATE INBOX\r\n"
           "d CREATE \"New Box/\" (USE (\\Junk))\r\n"
           "e RENAME Sent INBOX\r\n"
           "f DELETE INBOX\r\n"
           "g RENAME Sent Out\r\n"
           "h DELETE Out\r\n"
           "i SUBSCRIBE Work\r\n"
           "j UNSUBSCRIBE Nowhere\r\n"
           "k CREATE x*\r\n"
           "l CREATE \"&AGE-\"\r\n"
           "m LIST \"\" (Out Sent New*) RETURN (SUBSCRIBED)\r\n",
     LOGGED_IN "b NO [CANNOT] This can be no mailbox's name\r\n"
               "c NO [ALREADYEXISTS] There is such a mailbox already\r\n"
               "d OK Done\r\n"
               "e NO [ALREADYEXISTS] INBOX is there always\r\n"
               "f NO [CANNOT] INBOX cannot be deleted\r\n"
               "g OK Done\r\n"
               "h OK Done\r\n"
               "i OK Done\r\n"
               "j NO [NONEXISTENT] There is no such mailbox\r\n"
               "k NO [CANNOT] '*' and '%' cannot be in a mailbox's name\r\n"
               "l NO [CANNOT] This can be no mailbox's name\r\n"
               "* LIST (\\HasNoChildren \\Junk) \"/\" \"New Box\"\r\n"
               "m OK Done\r\n",
     false},
    {"COPY, MOVE and EXPUNGE",
     SELECT "c COPY 1 Sent\r\n"
            "d COPY 1 Nowhere\r\n"
            "e UID MOVE 1 Sent\r\n"
            "f EXPUNGE\r\n"
            "g COPY 1 INBOX\r\n"
            "h UID EXPUNGE 1:*\r\n",
     SELECTED "c OK [COPYUID 1003 1 1] Done\r\n"
              "d NO [TRYCREATE] There is no such mailbox\r\n"
              "* OK [COPYUID 1003 1 2] Moved\r\n"
              "* 1 EXPUNGE\r\n"
              "e OK Done\r\n"
              "* 2 EXPUNGE\r\n"
              "f OK Done\r\n"
              "* 2 EXISTS\r\n"
              "g OK [COPYUID 1001 2 4] Done\r\n"
              "h OK Done\r\n",
     false},
    {"UID EXPUNGE",
     SELECT "c STORE 1:* +FLAGS.SILENT \\Deleted\r\n"
            "d UID EXPUNGE 2\r\n"
            "e MOVE 2 Sent\r\n"
            "f EXPUNGE\r\n",
     SELECTED "c OK Done\r\n"
              "* 2 EXPUNGE\r\n"
              "d OK Done\r\n"
              "* OK [COPYUID 1003 3 1] Moved\r\n"
              "* 2 EXPUNGE\r\n"
              "e OK Done\r\n"
              "* 1 EXPUNGE\r\n"
              "f OK Done\r\n",
     false},
    {"news",
     SELECT "!deliver 1\n"
            "c SEARCH ALL\r\n"
            "d NOOP\r\n"
            "!seen 2\n"
            "!expunge 1\n"
            "e FETCH 1:4 FLAGS\r\n"
            "f UID SEARCH ALL\r\n"
            "!deliver 1\n"
            "g CHECK\r\n",
     SELECTED "* SEARCH 1 2 3\r\n"
              "c OK Done\r\n"
              "* 4 EXISTS\r\n"
              "d OK Done\r\n"
              "* 2 FETCH (FLAGS (\\Seen))\r\n"
              "* 3 FETCH (FLAGS (\\Deleted))\r\n"
              "* 4 FETCH (FLAGS ())\r\n"
              "e OK Done\r\n"
              "* SEARCH 2 3 4\r\n"
              "* 1 EXPUNGE\r\n"
              "* 1 FETCH (UID 2 FLAGS (\\Seen))\r\n"
              "f OK Done\r\n"
              "* 4 EXISTS\r\n"
              "g OK Done\r\n",
     false},
    {"IDLE",
     SELECT "!deliver 1\n"
            "c IDLE\r\n"
            "!expunge 2\n"
            "!seen 3\n"
            "DONE\r\n"
            "d IDLE\r\n"
            "nonsense\r\n"
            "e NOOP\r\n",
     SELECTED "+ idling\r\n"
              "* 4 EXISTS\r\n"
              "* 2 EXPUNGE\r\n"
              "* 2 FETCH (UID 3 FLAGS (\\Seen))\r\n"
              "c OK Done\r\n"
              "+ idling\r\n"
              "d BAD DONE is missing\r\n"
              "e OK Done\r\n",
     false},
    {"IDLE without a mailbox",
     LOGIN "b IDLE\r\n"
           "done\r\n"
           "c NOOP\r\n",
     LOGGED_IN "+ idling\r\n"
               "b OK Done\r\n"
               "c OK Done\r\n",
     false},
    {"APPEND",
     SELECT "c APPEND Sent (\\Seen) {20+}\r\n"
            "Subject: x\r\n"
            "\r\n"
            "abcdef\r\n"
            "d APPEND INBOX \" 1-Jan-2026 10:00:00 +0200\" {8}\r\n"
            "abc\r\n"
            "123\r\n"
            "e FETCH * (INTERNALDATE BODY[])\r\n"
            "f APPEND {4}\r\n"
            "Sent {3+}\r\n"
            "xyz\r\n"
            "g STATUS Sent (MESSAGES)\r\n",
     SELECTED
     "c OK [APPENDUID 1003 1] Done\r\n"
     "+ OK\r\n"
     "* 4 EXISTS\r\n"
     "d OK [APPENDUID 1001 4] Done\r\n"
     "* 4 FETCH (FLAGS (\\Seen) INTERNALDATE \"01-Jan-2026 10:00:00 +0200\" BODY[] {8}\r\n"
     "abc\r\n"
     "123)\r\n"
     "e OK Done\r\n"
     "+ OK\r\n"
     "f OK [APPENDUID 1003 2] Done\r\n"
     "* STATUS Sent (MESSAGES 2)\r\n"
     "g OK Done\r\n",
     false},
    {"APPEND refused",
     LOGIN "b APPEND Nowhere {5+}\r\n"
           "12345\r\n"
           "c APPEND Sent {2000000}\r\n"
           "d APPEND Sent {0}\r\n"
           "e APPEND Sent {3+}\r\n"
           "abc {3+}\r\n"
           "def\r\n"
           "f APPEND Sent (\\Frob) {3+}\r\n"
           "abc\r\n"
           "g APPEND Sent\r\n"
           "h APPEND Sent \"x\" {3}\r\n"
           "i NOOP\r\n"
           "j APPEND Sent {3+}\r\n"
           "abc more\r\n"
           "k NOOP\r\n",
     LOGGED_IN "b NO [TRYCREATE] There is no such mailbox\r\n"
               "c NO [TOOBIG] The message is too large\r\n"
               "d NO [CANNOT] The message is empty\r\n"
               "e BAD Wrong arguments: no literal can stand here\r\n"
               "f BAD Wrong arguments: an unknown system flag\r\n"
               "g BAD APPEND needs a message\r\n"
               "h BAD Wrong arguments: a wrong date\r\n"
               "i OK Done\r\n"
               "j BAD Wrong arguments: only one message at a time\r\n"
               "k OK Done\r\n",
     false},
    {NULL, NULL, NULL, false},
};
