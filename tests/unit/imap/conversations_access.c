/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/imap/conversations.h"

const struct conversation conversations_access[] = {
    {"log in and out", LOGIN "b LOGOUT\r\n",
     LOGGED_IN "* BYE Logging out\r\n"
               "b OK Done\r\n"
               "<CLOSE>",
     false},
    {"before login",
     "a NOOP\r\n"
     "b SELECT INBOX\r\n"
     "c FROB\r\n"
     "UID\r\n"
     "x\r\n"
     "d UID NOOP\r\n"
     "\r\n"
     "e STARTTLS\r\n",
     "a OK Done\r\n"
     "b BAD Log in first\r\n"
     "c BAD Unknown command\r\n"
     "UID BAD A command is missing\r\n"
     "x BAD A command is missing\r\n"
     "d BAD Unknown command\r\n"
     "* BAD A line without a tag\r\n"
     "e BAD TLS is not possible here\r\n",
     false},
    {"log in with literals",
     "a LOGIN {15}\r\n"
     "ann@example.org {6+}\r\n"
     "secret\r\n"
     "b NOOP\r\n",
     "+ OK\r\n"
     "a OK [CAPABILITY " CAPABILITIES "] Logged in\r\n"
     "b OK Done\r\n",
     false},
    {"three wrong passwords",
     "a LOGIN ann@example.org a\r\n"
     "b LOGIN ann@example.org b\r\n"
     "c LOGIN ann@example.org c\r\n"
     "d NOOP\r\n",
     "<delay>a NO [AUTHENTICATIONFAILED] Wrong name or password\r\n"
     "<delay>b NO [AUTHENTICATIONFAILED] Wrong name or password\r\n"
     "<delay>c NO [AUTHENTICATIONFAILED] Wrong name or password\r\n"
     "* BYE Too many failed log-ins\r\n"
     "<CLOSE>",
     false},
    {"the store is away at login",
     "!fail 10\n"
     "a LOGIN ann@example.org secret\r\n"
     "b LOGIN ann@example.org secret\r\n",
     "a NO [UNAVAILABLE] Logging in is not possible, try again later\r\n"
     "b OK [CAPABILITY " CAPABILITIES "] Logged in\r\n",
     false},
    {"information",
     LOGIN "b CAPABILITY\r\n"
           "c ID (\"name\" \"x\" \"os\" NIL)\r\n"
           "d ID NIL\r\n"
           "e NAMESPACE\r\n"
           "f ENABLE FOO BAR\r\n",
     LOGGED_IN "* CAPABILITY " CAPABILITIES "\r\n"
               "b OK Done\r\n"
               "* ID (\"name\" \"Postraft\")\r\n"
               "c OK Done\r\n"
               "* ID (\"name\" \"Postraft\")\r\n"
               "d OK Done\r\n"
               "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"
               "e OK Done\r\n"
               "* ENABLED\r\n"
               "f OK Done\r\n",
     false},
    {"a literal is never a command",
     "a FROB {10+}\r\n"
     "x LOGOUT\r\n"
     "\r\n"
     "b NOOP {6+}\r\n"
     "x NOOP\r\n"
     "c NOOP {7}\r\n"
     "d NOOP\r\n"
     " x\r\n",
     "a BAD Unknown command\r\n"
     "b BAD Wrong arguments: too many arguments\r\n"
     "+ OK\r\n"
     "c BAD Lines end with CR and LF\r\n"
     "* BYE Lines end with CR and LF\r\n"
     "<CLOSE>",
     false},
    {"literals that are too large",
     "a {99999999999999999999}\r\n"
     "b NOOP {99999999999999999999}\r\n"
     "c LOGIN {4294967295}\r\n"
     "d LOGIN {-1}\r\n"
     "e NOOP\r\n",
     "a BAD A command is missing\r\n"
     "b NO [TOOBIG] The command is too long\r\n"
     "c NO [TOOBIG] The command is too long\r\n"
     "d BAD Wrong arguments: a literal has no size\r\n"
     "e OK Done\r\n",
     false},
    {"too much to read over",
     "a LOGIN {99999999999+}\r\n"
     "b NOOP\r\n",
     "* BYE The literal is too large\r\n"
     "<CLOSE>",
     false},
    {"too many bad commands",
     "0 BAD\r\n"
     "1 BAD\r\n"
     "2 BAD\r\n"
     "3 BAD\r\n"
     "4 BAD\r\n"
     "5 BAD\r\n"
     "6 BAD\r\n"
     "7 BAD\r\n"
     "8 BAD\r\n"
     "9 BAD\r\n"
     "10 BAD\r\n",
     "0 BAD Unknown command\r\n"
     "1 BAD Unknown command\r\n"
     "2 BAD Unknown command\r\n"
     "3 BAD Unknown command\r\n"
     "4 BAD Unknown command\r\n"
     "5 BAD Unknown command\r\n"
     "6 BAD Unknown command\r\n"
     "7 BAD Unknown command\r\n"
     "8 BAD Unknown command\r\n"
     "9 BAD Unknown command\r\n"
     "* BYE Too many bad commands\r\n"
     "<CLOSE>",
     false},
    {"no password in the clear",
     "a LOGIN ann@example.org secret\r\n"
     "b AUTHENTICATE PLAIN\r\n"
     "c CAPABILITY\r\n"
     "d STARTTLS\r\n"
     "e CAPABILITY\r\n"
     "f LOGIN ann@example.org secret\r\n"
     "g STARTTLS\r\n",
     "a NO [PRIVACYREQUIRED] Passwords are not taken in the clear\r\n"
     "b NO [PRIVACYREQUIRED] Passwords are not taken in the clear\r\n"
     "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE STARTTLS LOGINDISABLED\r\n"
     "c OK Done\r\n"
     "d OK Begin TLS\r\n"
     "<TLS>* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE " MECHANISMS "\r\n"
     "e OK Done\r\n"
     "f OK [CAPABILITY " CAPABILITIES "] Logged in\r\n"
     "g BAD You are logged in already\r\n",
     true},
    {"a bare LF", "a NOOP\nb LOGIN ann@example.org secret\r\n",
     "a BAD Lines end with CR and LF\r\n* BYE Lines end with CR and LF\r\n<CLOSE>", false},
    {"a bare LF behind a literal that was refused", "a FROB {3+}\r\nabc\nb NOOP\r\n",
     "a BAD Unknown command\r\n* BAD Lines end with CR and LF\r\n"
     "* BYE Lines end with CR and LF\r\n<CLOSE>",
     false},
    {"a CR at the end of a literal", "a LOGIN {2+}\r\nx\r\nb NOOP\r\n",
     "a BAD Lines end with CR and LF\r\n* BYE Lines end with CR and LF\r\n<CLOSE>", false},
    {NULL, NULL, NULL, false},
};
