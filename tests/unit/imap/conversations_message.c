/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/conversations.h"

const struct conversation conversations_message[] = {
    {"FETCH of headers",
     SELECT "c FETCH 1:* ALL\r\n"
            "d FETCH 1:3 FAST\r\n",
     SELECTED
     "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE 156 "
     "ENVELOPE (\"Fri, 20 Nov 2026 08:00:00 +0100\" \"Hello\" ((\"Bob\" NIL \"bob\" "
     "\"example.net\")) ((\"Bob\" NIL \"bob\" \"example.net\")) ((\"Bob\" NIL \"bob\" "
     "\"example.net\")) ((NIL NIL \"ann\" \"example.org\")) NIL NIL NIL "
     "\"<1@example.net>\"))\r\n"
     "* 2 FETCH (FLAGS () INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE 232 ENVELOPE "
     "(NIL \"Parts\" ((\"Carl\" NIL \"carl\" \"example.net\")) ((\"Carl\" NIL \"carl\" "
     "\"example.net\")) ((\"Carl\" NIL \"carl\" \"example.net\")) NIL NIL NIL NIL NIL))\r\n"
     "* 3 FETCH (FLAGS (\\Deleted) INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE 14 "
     "ENVELOPE (NIL \"3\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
     "c OK Done\r\n"
     "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE "
     "156)\r\n"
     "* 2 FETCH (FLAGS () INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE 232)\r\n"
     "* 3 FETCH (FLAGS (\\Deleted) INTERNALDATE \"21-Nov-2026 22:09:30 +0100\" RFC822.SIZE "
     "14)\r\n"
     "d OK Done\r\n",
     false},
    {"FETCH of structures", SELECT "c FETCH 1:2 (BODYSTRUCTURE BODY)\r\n",
     SELECTED
     "* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 20 2 NIL NIL NIL NIL) "
     "BODY (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 20 2))\r\n"
     "* 2 FETCH (BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" (\"charset\" \"utf-8\") NIL NIL \"7BIT\" 3 "
     "1 NIL NIL NIL NIL)(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 22 (NIL \"Inside\" NIL "
     "NIL NIL NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 3 1 NIL NIL NIL "
     "NIL) 3 NIL NIL NIL NIL) \"MIXED\" (\"boundary\" \"b\") NIL NIL NIL) BODY ((\"TEXT\" "
     "\"PLAIN\" (\"charset\" \"utf-8\") NIL NIL \"7BIT\" 3 1)(\"MESSAGE\" \"RFC822\" NIL NIL "
     "NIL \"7BIT\" 22 (NIL \"Inside\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" NIL "
     "NIL NIL \"7BIT\" 3 1) 3) \"MIXED\"))\r\n"
     "c OK Done\r\n",
     false},
    {"FETCH of parts",
     SELECT "c FETCH 2 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[1.MIME] "
            "BODY.PEEK[2] BODY.PEEK[3] BODY.PEEK[2.1] BODY.PEEK[1.HEADER])\r\n",
     SELECTED "* 2 FETCH (BODY[1] {3}\r\n"
              "one BODY[2.HEADER] {19}\r\n"
              "Subject: Inside\r\n"
              "\r\n"
              " BODY[2.TEXT] {3}\r\n"
              "two BODY[1.MIME] {43}\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "\r\n"
              " BODY[2] {22}\r\n"
              "Subject: Inside\r\n"
              "\r\n"
              "two BODY[3] NIL BODY[2.1] {3}\r\n"
              "two BODY[1.HEADER] NIL)\r\n"
              "c OK Done\r\n",
     false},
    {"FETCH of header fields",
     SELECT "c FETCH 1 (BODY.PEEK[HEADER.FIELDS (subject FROM)] BODY.PEEK[HEADER.FIELDS.NOT "
            "(Date)]<0.20> BODY.PEEK[TEXT]<3.4> BODY.PEEK[TEXT]<100.1>)\r\n"
            "d FETCH 3 (BODY[HEADER] RFC822.HEADER)\r\n"
            "e FETCH 2 BODY.PEEK[2.HEADER.FIELDS (Subject)]\r\n",
     SELECTED "* 1 FETCH (BODY[HEADER.FIELDS (subject FROM)] {47}\r\n"
              "From: Bob <bob@example.net>\r\n"
              "Subject: Hello\r\n"
              "\r\n"
              " BODY[HEADER.FIELDS.NOT (Date)]<0> {20}\r\n"
              "From: Bob <bob@examp BODY[TEXT]<3> {4}\r\n"
              "Ann, BODY[TEXT]<100> {0}\r\n"
              ")\r\n"
              "c OK Done\r\n"
              "* 3 FETCH (FLAGS (\\Deleted \\Seen) BODY[HEADER] {14}\r\n"
              "Subject: 3\r\n"
              "\r\n"
              " RFC822.HEADER {14}\r\n"
              "Subject: 3\r\n"
              "\r\n"
              ")\r\n"
              "d OK Done\r\n"
              "* 2 FETCH (BODY[2.HEADER.FIELDS (Subject)] {19}\r\n"
              "Subject: Inside\r\n"
              "\r\n"
              ")\r\n"
              "e OK Done\r\n",
     false},
    {"reading sets Seen",
     SELECT "c FETCH 2 BODY[]<0.4>\r\n"
            "d FETCH 2 (FLAGS)\r\n"
            "e FETCH 3 (UID RFC822.TEXT FLAGS)\r\n"
            "f NOOP\r\n",
     SELECTED "* 2 FETCH (FLAGS (\\Seen) BODY[]<0> {4}\r\n"
              "From)\r\n"
              "c OK Done\r\n"
              "* 2 FETCH (FLAGS (\\Seen))\r\n"
              "d OK Done\r\n"
              "* 3 FETCH (UID 3 RFC822.TEXT {0}\r\n"
              " FLAGS (\\Deleted \\Seen))\r\n"
              "e OK Done\r\n"
              "f OK Done\r\n",
     false},
    {"FETCH by pages and by UID",
     SELECT "!page 1\n"
            "c UID FETCH 1:2,3:* (RFC822.SIZE)\r\n"
            "d UID FETCH 7:9 FLAGS\r\n"
            "e UID FETCH 9:* UID\r\n",
     SELECTED "* 1 FETCH (UID 1 RFC822.SIZE 156)\r\n"
              "* 2 FETCH (UID 2 RFC822.SIZE 232)\r\n"
              "* 3 FETCH (UID 3 RFC822.SIZE 14)\r\n"
              "c OK Done\r\n"
              "d OK Done\r\n"
              "* 3 FETCH (UID 3)\r\n"
              "e OK Done\r\n",
     false},
    {"numbers that are not there",
     SELECT "c FETCH 4 FLAGS\r\n"
            "d FETCH 0 FLAGS\r\n"
            "e FETCH 1:2:3 FLAGS\r\n"
            "f FETCH 4294967296 FLAGS\r\n"
            "g STORE 9 FLAGS ()\r\n"
            "h COPY 9 Sent\r\n"
            "i SEARCH 9\r\n",
     SELECTED "c BAD There is no message with such a number\r\n"
              "d BAD Wrong arguments: a number over 0 is missing\r\n"
              "e BAD Wrong arguments: a space is missing\r\n"
              "f BAD Wrong arguments: a number is missing or too large\r\n"
              "g BAD There is no message with such a number\r\n"
              "h BAD There is no message with such a number\r\n"
              "* SEARCH\r\n"
              "i OK Done\r\n",
     false},
    {"syntax of FETCH",
     SELECT "c FETCH 1 (FLAGS\r\n"
            "d FETCH 1 BODY[1.]\r\n"
            "e FETCH 1 BODY[MIME]\r\n"
            "f FETCH 1 BODY[0]\r\n"
            "g FETCH 1 BODY[]<0.0>\r\n"
            "h FETCH 1 FROB\r\n"
            "i FETCH 1 FLAGS UID\r\n",
     SELECTED "c BAD Wrong arguments: a list has no end\r\n"
              "d BAD Wrong arguments: a wrong section\r\n"
              "e BAD Wrong arguments: MIME needs a part number\r\n"
              "f BAD Wrong arguments: a number over 0 is missing\r\n"
              "g BAD Wrong arguments: a number over 0 is missing\r\n"
              "h BAD Wrong arguments: an unknown item\r\n"
              "i BAD Wrong arguments: too many arguments\r\n",
     false},
    {"STORE",
     SELECT "c STORE 1:2 +FLAGS ($Forwarded \\Flagged)\r\n"
            "d UID STORE 1 -FLAGS.SILENT \\Seen\r\n"
            "e STORE 3 FLAGS \\Answered \\Draft\r\n"
            "f STORE 1 FLAGS (\\Recent)\r\n"
            "g STORE 1 FLAG ()\r\n"
            "h FETCH 1:* FLAGS\r\n",
     SELECTED "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n"
              "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded "
              "\\*)] Flags that can be changed\r\n"
              "* 1 FETCH (FLAGS (\\Flagged \\Seen $Forwarded))\r\n"
              "* 2 FETCH (FLAGS (\\Flagged $Forwarded))\r\n"
              "c OK Done\r\n"
              "d OK Done\r\n"
              "* 3 FETCH (FLAGS (\\Answered \\Draft))\r\n"
              "e OK Done\r\n"
              "f BAD Wrong arguments: an unknown system flag\r\n"
              "g BAD Wrong arguments: only flags can be stored\r\n"
              "* 1 FETCH (FLAGS (\\Flagged $Forwarded))\r\n"
              "* 2 FETCH (FLAGS (\\Flagged $Forwarded))\r\n"
              "* 3 FETCH (FLAGS (\\Answered \\Draft))\r\n"
              "h OK Done\r\n",
     false},
    {"SEARCH",
     SELECT "c SEARCH UNSEEN\r\n"
            "d UID SEARCH OR SUBJECT hello NOT SEEN\r\n"
            "e SEARCH 2:3 DELETED\r\n"
            "f SEARCH CHARSET KOI8-R ALL\r\n"
            "g SEARCH CHARSET UTF-8 TEXT {6}\r\n"
            "Inside\r\n"
            "h SEARCH FROM\r\n"
            "i SEARCH NEW\r\n"
            "j SEARCH (OR (SEEN) (DELETED))\r\n",
     SELECTED "* SEARCH 2 3\r\n"
              "c OK Done\r\n"
              "* SEARCH 1 2 3\r\n"
              "d OK Done\r\n"
              "* SEARCH 3\r\n"
              "e OK Done\r\n"
              "f NO [BADCHARSET (US-ASCII UTF-8)] The character set is not known\r\n"
              "+ OK\r\n"
              "* SEARCH 2\r\n"
              "g OK Done\r\n"
              "h BAD Wrong arguments: a space is missing\r\n"
              "* SEARCH\r\n"
              "i OK Done\r\n"
              "* SEARCH 1 3\r\n"
              "j OK Done\r\n",
     false},
    {"SEARCH with results",
     SELECT "c SEARCH RETURN (MIN MAX COUNT ALL) ALL\r\n"
            "d UID SEARCH RETURN () 1:2\r\n"
            "e UID SEARCH RETURN (SAVE COUNT) DELETED\r\n"
            "f FETCH $ FLAGS\r\n"
            "g SEARCH RETURN (SAVE MIN) ALL\r\n"
            "h UID COPY $ Sent\r\n"
            "i SEARCH RETURN (ALL COUNT) SUBJECT nothing\r\n",
     SELECTED "* ESEARCH (TAG \"c\") MIN 1 MAX 3 ALL 1:3 COUNT 3\r\n"
              "c OK Done\r\n"
              "* ESEARCH (TAG \"d\") UID ALL 1:2\r\n"
              "d OK Done\r\n"
              "* ESEARCH (TAG \"e\") UID COUNT 1\r\n"
              "e OK Done\r\n"
              "* 3 FETCH (FLAGS (\\Deleted))\r\n"
              "f OK Done\r\n"
              "* ESEARCH (TAG \"g\") MIN 1\r\n"
              "g OK Done\r\n"
              "h OK [COPYUID 1003 1 1] Done\r\n"
              "* ESEARCH (TAG \"i\") COUNT 0\r\n"
              "i OK Done\r\n",
     false},
    {"a write whose answer is lost",
     SELECT "!lost 8\n"
            "c FETCH 1 FLAGS\r\n"
            "!lost 8\n"
            "d STORE 1 +FLAGS \\Seen\r\n"
            "e NOOP\r\n",
     SELECTED "c NO [UNAVAILABLE] The mail store does not answer, try again later\r\n"
              "* BYE [UNAVAILABLE] It is not known whether the last command was carried out, "
              "look before trying again\r\n"
              "<CLOSE>",
     false},
    {"a write whose answer is cut off",
     SELECT "!lost 14\n"
            "d STORE 1 +FLAGS \\Seen\r\n",
     SELECTED "* BYE [UNAVAILABLE] It is not known whether the last command was carried out, "
              "look before trying again\r\n"
              "<CLOSE>",
     false},
    {"errors of the store",
     SELECT "!fail 10\n"
            "c FETCH 1 FLAGS\r\n"
            "!fail 8\n"
            "d STORE 1 +FLAGS \\Seen\r\n"
            "!later 1\n"
            "!fail 8\n"
            "e COPY 1 Sent\r\n"
            "!fail 9\n"
            "f NOOP\r\n"
            "!fail 10\n"
            "g FETCH 2 BODY[TEXT]<0.3>\r\n"
            "!later 1\n"
            "!fail 10\n"
            "h FETCH 2 BODY[TEXT]<0.3>\r\n"
            "!fail 17\n"
            "i FETCH 1 FLAGS\r\n",
     SELECTED "c NO [UNAVAILABLE] The mail store is not available, try again later\r\n"
              "d NO [UNAVAILABLE] The mail store does not answer, try again later\r\n"
              "e NO [UNAVAILABLE] The mail store does not answer, try again later\r\n"
              "f OK Done\r\n"
              "g NO [UNAVAILABLE] The mail store is not available, try again later\r\n"
              "* 2 FETCH (BODY[TEXT]<0> {3}\r\n"
              "--b)\r\n"
              "h OK Done\r\n"
              "* BYE [UNAVAILABLE] The session has ended, log in again\r\n"
              "<CLOSE>",
     false},
    {NULL, NULL, NULL, false},
};
