/* test_imap_grammar.c: commands, good and bad, by family; the examples of the RFCs are among them.
 * Every good one is cut at every place, and none of its beginnings is called bad. */
#include "tests/unit/imap_dump.h"

#include "server/imap/command_table.h"
#include "storage/base/limits.h"

#include <check.h>

struct example {
	const char *in;   /* without tag and CRLF */
	const char *want; /* as dumped, without tag; or "BAD why" */
};

static size_t cut_at(void *data, size_t left)
{
	size_t *at = data;
	size_t n = *at == 0 || *at > left ? left : *at;

	*at = 0;
	return n;
}

static void check_prefixes(struct span line)
{
	for (size_t i = 0; i < line.bytes; i++) {
		struct imap_command cmd;
		struct arena a;
		const char *why = "";
		char *prefix = malloc(i == 0 ? 1 : i);

		memcpy(prefix, line.at, i);
		arena_init(&a);
		ck_assert_msg(command_parse(span_of(prefix, i), &a, &cmd, &why) == PARSE_MORE,
			      "\"%.*s\" of \"%s\" is not MORE but: %s", (int)i, line.at, line.at,
			      why);
		arena_free(&a);
		free(prefix);
	}
}

static void check(const struct example *e)
{
	struct buf in = { 0 }, want = { 0 }, out = { 0 };
	bool bad = strncmp(e->want, "BAD", 3) == 0;
	const char *why = bad ? e->want + strlen("BAD") + (e->want[3] == ' ') : "";

	buf_printf(&in, "t %s\r\n", e->in);
	buf_putc(&in, '\0');
	struct span line = span_of(in.at, in.bytes - 1);
	for (size_t i = 0; i < line.bytes; i++) {
		size_t at = i;

		buf_reset(&out);
		dump_stream(line, cut_at, &at, (struct dump_policy){ 0 }, &out);
		buf_putc(&out, '\0');
		if (bad)
			ck_assert_msg(strncmp(out.at, "BAD (", 5) == 0 &&
					      strncmp(out.at + 5, why, strlen(why)) == 0,
				      "%s: %s is not: %s", e->in, out.at, e->want);
		buf_reset(&want);
		buf_printf(&want, "OK t %s\n", e->want);
		buf_putc(&want, '\0');
		if (!bad)
			ck_assert_msg(strcmp(out.at, want.at) == 0, "%s: %s is not: %s", e->in,
				      out.at, want.at);
	}
	if (!bad)
		check_prefixes(line);
	buf_free(&in);
	buf_free(&want);
	buf_free(&out);
}

static const struct example simple[] = {
	{ "CAPABILITY", "CAPABILITY" },
	{ "CHECK", "CHECK" },
	{ "CLOSE", "CLOSE" },
	{ "IDLE", "IDLE" },
	{ "NAMESPACE", "NAMESPACE" },
	{ "STARTTLS", "STARTTLS" },
	{ "UNSELECT", "UNSELECT" },
	{ "EXPUNGE", "EXPUNGE" },
	{ "EXPUNGE 1", "BAD Unexpected argument" },
	{ "UID EXPUNGE 3000:3002", "UID EXPUNGE 3000:3002" }, /* RFC 4315 */
	{ "UID EXPUNGE", "BAD Missing argument" },
	{ "LOGIN SMITH SESAME", "LOGIN 'SMITH''SESAME'" },
	{ "LOGIN \"a \\\"\\\\b\" \"\"", "LOGIN 'a \"\\b'''" },
	{ "LOGIN \"\xc3\xa4\" x]y", "LOGIN '\xc3\xa4''x]y'" },
	{ "LOGIN  a b", "BAD Expected an atom or a string" },
	{ "LOGIN a b ", "BAD Unexpected argument" },
	{ "LOGIN a", "BAD Missing argument" },
	{ "LOGIN a b c", "BAD Unexpected argument" },
	{ "LOGIN a \"b", "BAD Quoted string not closed" },
	{ "LOGIN a \"b\\c\"", "BAD Only" },
	{ "LOGIN a (b)", "BAD Expected an atom or a string" },
	{ "LOGIN a b%", "BAD Unexpected argument" },
	{ "LOGIN \xc3\xa4 b", "BAD Expected an atom" },
	{ "AUTHENTICATE PLAIN", "AUTHENTICATE 'PLAIN'" },
	{ "AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", /* RFC 4959 */
	  "AUTHENTICATE 'PLAIN''dGVzdAB0ZXN0AHRlc3Q='" },
	{ "AUTHENTICATE EXTERNAL =", "AUTHENTICATE 'EXTERNAL'''" },
	{ "AUTHENTICATE SCRAM-SHA-256 a b", "BAD Unexpected argument" },
	{ "ENABLE CONDSTORE X-GOOD-IDEA", "ENABLE 'CONDSTORE' 'X-GOOD-IDEA'" }, /* RFC 5161 */
	{ "ENABLE CONDSTORE UTF8=ACCEPT QRESYNC IMAP4rev2 a b c d e f",
	  "ENABLE 'CONDSTORE' 'UTF8=ACCEPT' 'QRESYNC' 'IMAP4rev2' 'a' 'b' 'c' 'd' 'e' 'f'" },
	{ "ENABLE", "BAD Missing argument" },
	{ "ID (\"name\" \"sodr\" \"version\" \"19.34\" \"x\" NIL)", /* RFC 2971 */
	  "ID 'name''sodr' 'version''19.34' 'x'=nil" },
	{ "ID NIL", "ID" },
	{ "ID ()", "ID" },
	{ "ID", "BAD Missing argument" },
	{ "ID x", "BAD Expected ( or NIL" },
	{ "ID (\"name\")", "BAD" },
	{ "ID (NIL NIL)", "BAD Expected a string" },
	{ "COMPRESS DEFLATE", "COMPRESS'DEFLATE'" },
	{ "COMPRESS", "BAD Missing argument" },
	{ "RENAME blurdybloop sarasoop", "RENAME 'blurdybloop' 'sarasoop'" },
	{ "RENAME inbox old-mail", "RENAME 'INBOX' 'old-mail'" },
	{ "RENAME a", "BAD Missing argument" },
	{ "DELETE foo/bar", "DELETE 'foo/bar'" },
	{ "SUBSCRIBE #news.comp.mail.mime", "SUBSCRIBE '#news.comp.mail.mime'" },
	{ "UNSUBSCRIBE \"a b\"", "UNSUBSCRIBE 'a b'" },
	{ "DELETE Entw&APw-rfe", "DELETE 'Entw\xc3\xbcrfe'" },
	{ "DELETE Entw&APw", "DELETE fault=2" },
	{ "DELETE \"\"", "DELETE fault=1" },
	{ "DELETE a//b", "DELETE fault=3" },
	{ "COPY 2:4 MEETING", "COPY 2:4 'MEETING'" },
	{ "UID COPY 2:4,* MEETING", "UID COPY 2:4,* 'MEETING'" },
	{ "UID MOVE 42:69 foo", "UID MOVE 42:69 'foo'" }, /* RFC 6851 */
	{ "MOVE $ foo", "MOVE $ 'foo'" },
	{ "MOVE 1 ", "BAD Expected an atom" },
	{ "UID CHECK", "BAD Unknown command" },
};

static const struct example sets[] = {
	{ "COPY 1 x", "COPY 1 'x'" },
	{ "COPY 5:2 x", "COPY 2:5 'x'" },
	{ "COPY 5:2,1,3:7,9,10 x", "COPY 1:7,9:10 'x'" },
	{ "COPY * x", "COPY * 'x'" },
	{ "COPY *:* x", "COPY * 'x'" },
	{ "COPY *:4 x", "COPY 4:* 'x'" },
	{ "COPY 4:*,2,*,7:* x", "COPY 2,4:* 'x'" },
	{ "COPY 2,4,6,1 x", "COPY 1:2,4,6 'x'" },
	{ "COPY 1:4294967295 x", "COPY 1:4294967295 'x'" },
	{ "COPY 4294967295,1:4294967295 x", "COPY 1:4294967295 'x'" },
	{ "COPY 1:4294967296 x", "BAD Invalid message set" },
	{ "COPY 0 x", "BAD Invalid message set" },
	{ "COPY 1:0 x", "BAD Invalid message set" },
	{ "COPY 01 x", "BAD Invalid message set" },
	{ "COPY 1,,2 x", "BAD Invalid message set" },
	{ "COPY 1, x", "BAD Invalid message set" },
	{ "COPY 1: x", "BAD Invalid message set" },
	{ "COPY 1:2:3 x", "BAD Missing space" },
	{ "COPY -1 x", "BAD Invalid message set" },
	{ "COPY 1-2 x", "BAD Missing space" },
	{ "COPY $,1 x", "BAD Missing space" },
	{ "COPY 1,$ x", "BAD Invalid message set" },
	{ "COPY x y", "BAD Invalid message set" },
	{ "COPY ** y", "BAD Missing space" },
};

static const struct example selects[] = {
	{ "SELECT inbox", "SELECT 'INBOX'" },
	{ "EXAMINE \"Blurdy bloop\"", "EXAMINE 'Blurdy bloop'" },
	{ "SELECT INBOX (CONDSTORE)", "SELECT 'INBOX' condstore" },
	{ "SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
	  "SELECT 'INBOX' qresync 67890007 20050715194045000 known 41,43:211,214:541" },
	{ "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 "
	  "(1,3 41,43)) CONDSTORE)",
	  "SELECT 'INBOX' condstore qresync 67890007 90060115194045000 known 41:211,214:541 match "
	  "1,3 41,43" },
	{ "SELECT INBOX (QRESYNC (67890007 1))", "SELECT 'INBOX' qresync 67890007 1" },
	{ "SELECT INBOX (QRESYNC (67890007 0 (5:6 7:8)))",
	  "SELECT 'INBOX' qresync 67890007 0 match 5:6 7:8" },
	{ "SELECT INBOX (QRESYNC (1 9223372036854775807))",
	  "SELECT 'INBOX' qresync 1 9223372036854775807" },
	/* Evolution; libetpan without the outer parentheses */
	{ "SELECT box (QRESYNC (7 9 1:120 (1,39,93 1,40,94)))",
	  "SELECT 'box' qresync 7 9 known 1:120 match 1,39,93 1,40,94" },
	{ "SELECT box QRESYNC (7 9)", "SELECT 'box' qresync 7 9" },
	{ "SELECT box CONDSTORE", "SELECT 'box' condstore" },
	{ "SELECT", "BAD Missing argument" },
	{ "SELECT a b", "BAD Unknown SELECT parameter" },
	{ "SELECT a ()", "BAD Expected a SELECT parameter" },
	{ "SELECT a (QRESYNC)", "BAD Missing space" },
	{ "SELECT a (QRESYNC 1)", "BAD Expected (" },
	{ "SELECT a (QRESYNC ())", "BAD Expected a number" },
	{ "SELECT a (QRESYNC (1))", "BAD Missing space" },
	{ "SELECT a (QRESYNC (0 1))", "BAD Expected a number from 1" },
	{ "SELECT a (QRESYNC (1 9223372036854775808))", "BAD Number too large" },
	{ "SELECT a (QRESYNC (1 18446744073709551617))", "BAD Number too large" },
	{ "SELECT a (QRESYNC (1 2 1:*))", "BAD * and $ are not allowed" },
	{ "SELECT a (QRESYNC (1 2 $))", "BAD * and $ are not allowed" },
	{ "SELECT a (QRESYNC (1 2 1 (1:2 5)))", "BAD Sequence match data differ" },
	{ "SELECT a (QRESYNC (1 2 1 (1:* 5:6)))", "BAD * and $ are not allowed" },
	{ "SELECT a (QRESYNC (1 2 1 3))", "BAD Expected (" },
	{ "SELECT a (QRESYNC (1 2 (1 2) 3))", "BAD Expected )" },
	{ "SELECT a (QRESYNC (1 2) QRESYNC (1 2))", "BAD QRESYNC given twice" },
	{ "SELECT a (QRESYNC (1 2)", "BAD" },
	{ "SELECT a (CONDSTORE) x", "BAD Unexpected argument" },
	{ "STATUS blurdybloop (UIDNEXT MESSAGES)", "STATUS 'blurdybloop' items=5" },
	{ "STATUS inbox (RECENT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE APPENDLIMIT MAILBOXID)",
	  "STATUS 'INBOX' items=506" },
	{ "STATUS a ()", "BAD Expected a STATUS item" },
	{ "STATUS a (X)", "BAD Unknown STATUS item" },
	{ "STATUS a MESSAGES", "BAD Expected (" },
	{ "STATUS a", "BAD Missing argument" },
	{ "CREATE owatagusiam/", "CREATE 'owatagusiam'/" },
	{ "CREATE MySpecial (USE (\\Drafts \\Sent))", "CREATE 'MySpecial' use=36" }, /* RFC 6154 */
	{ "CREATE x (USE (\\All \\Archive \\Flagged \\Junk \\Trash))", "CREATE 'x' use=91" },
	{ "CREATE x (USE ())", "CREATE 'x' use=0" },
	{ "CREATE x (USE (\\Important))", "CREATE 'x' use=0?" },
	{ "CREATE x (USE (Drafts))", "BAD Expected a flag" },
	{ "CREATE x (USE)", "BAD Missing space" },
	{ "CREATE x ()", "BAD Expected a CREATE parameter" },
	{ "CREATE x (FOO)", "BAD Unknown CREATE parameter" },
	{ "CREATE x y", "BAD Expected (" },
};

static const struct example lists[] = {
	{ "LIST \"\" \"\"", "LIST '' ''" },
	{ "LIST #news.comp.mail.misc \"\"", "LIST '#news.comp.mail.misc' ''" },
	{ "LIST /usr/staff/jones \"\"", "LIST '/usr/staff/jones' ''" },
	{ "LIST ~/Mail/ %", "LIST '~/Mail/' '%'" },
	{ "LIST \"\" a*%]b", "LIST '' 'a*%]b'" },
	{ "LSUB \"#news.\" \"comp.mail.*\"", "LSUB '#news.' 'comp.mail.*'" },
	/* RFC 5258, 5 */
	{ "LIST (SUBSCRIBED) \"\" \"*\"", "LIST extended select=1 return=0 status=0 '' '*'" },
	{ "LIST () \"\" \"%\" RETURN (CHILDREN)",
	  "LIST extended select=0 return=2 status=0 '' '%'" },
	{ "LIST (REMOTE) \"\" \"%\" RETURN (CHILDREN)",
	  "LIST extended select=2 return=2 status=0 '' '%'" },
	{ "LIST (REMOTE SUBSCRIBED) \"\" \"*\"",
	  "LIST extended select=3 return=0 status=0 '' '*'" },
	{ "LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")",
	  "LIST extended select=0 return=0 status=0 '' 'INBOX' 'Drafts' 'Sent/%'" },
	{ "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"",
	  "LIST extended select=5 return=0 status=0 '' '*'" },
	{ "LIST \"\" % RETURN ()", "LIST extended select=0 return=0 status=0 '' '%'" },
	{ "LIST \"\" \"%\" RETURN (STATUS (MESSAGES UNSEEN))", /* RFC 5819 */
	  "LIST extended select=0 return=8 status=17 '' '%'" },
	{ "LIST (SPECIAL-USE) \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)", /* RFC 6154 */
	  "LIST extended select=8 return=5 status=0 '' '*'" },
	/* imapflow */
	{ "LIST \"\" \"*\" RETURN (STATUS (MESSAGES RECENT) SUBSCRIBED)",
	  "LIST extended select=0 return=9 status=3 '' '*'" },
	{ "LIST (RECURSIVEMATCH) \"\" *", "BAD RECURSIVEMATCH needs SUBSCRIBED" },
	{ "LIST (RECURSIVEMATCH REMOTE) \"\" *", "BAD RECURSIVEMATCH needs SUBSCRIBED" },
	{ "LIST (X) \"\" *", "BAD Unknown LIST selection option" },
	{ "LIST \"\" * RETURN (X)", "BAD Unknown LIST return option" },
	{ "LIST \"\" * RETURN (STATUS)", "BAD" },
	{ "LIST \"\" * RETURN (STATUS ())", "BAD Expected a STATUS item" },
	{ "LIST \"\" * X ()", "BAD Expected RETURN" },
	{ "LIST \"\" ()", "BAD Expected a pattern" },
	{ "LIST \"\" (a b", "BAD" },
	{ "LIST \"\"", "BAD Missing argument" },
	{ "LIST * *", "BAD Expected an atom" },
	{ "LSUB \"\" (a b)", "BAD Expected a pattern" },
};

static const struct example fetches[] = {
	{ "FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
	  "FETCH 2:4 FLAGS BODY[HEADER.FIELDS (DATE FROM)]" },
	{ "FETCH 1 ALL", "FETCH 1 FLAGS INTERNALDATE SIZE ENVELOPE" },
	{ "FETCH 1 fast", "FETCH 1 FLAGS INTERNALDATE SIZE" },
	{ "FETCH 1 FULL", "FETCH 1 FLAGS INTERNALDATE SIZE ENVELOPE BODY" },
	{ "FETCH 1 BODY", "FETCH 1 BODY" },
	{ "FETCH 1 (BODY BODYSTRUCTURE)", "FETCH 1 BODY STRUCTURE" },
	{ "FETCH 1 BODY[]", "FETCH 1 BODY[]" },
	{ "FETCH 1 BODY.PEEK[]<0.2048>", "FETCH 1 BODY[]<0>+2048~" },
	{ "FETCH 1 body[text]<7.1>", "FETCH 1 BODY[TEXT]<7>+1" },
	{ "FETCH 1 BODY[4.1.MIME]", "FETCH 1 BODY[4.1.MIME]" },
	{ "FETCH 1 BODY[4.2.2.1]", "FETCH 1 BODY[4.2.2.1]" },
	{ "FETCH 1 BODY.PEEK[3.HEADER.FIELDS.NOT (\"Bcc\" \"a b\")]",
	  "FETCH 1 BODY[3.HEADER.FIELDS.NOT (Bcc \"a b\")]~" },
	{ "FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
	  "FETCH 1 SIZE RFC822 RFC822.HEADER~ RFC822.TEXT" },
	{ "FETCH 1 (UID FLAGS INTERNALDATE ENVELOPE MODSEQ EMAILID THREADID SAVEDATE)",
	  "FETCH 1 UID FLAGS INTERNALDATE ENVELOPE MODSEQ EMAILID THREADID SAVEDATE" },
	{ "FETCH 1 (FLAGS FLAGS)", "FETCH 1 FLAGS" },
	{ "FETCH $ (FLAGS)", "FETCH $ FLAGS" },
	{ "FETCH 1 (FLAGS )", "BAD Expected a name" },
	{ "FETCH 1 ( FLAGS)", "BAD Expected a name" },
	{ "FETCH 1 FLAGS ", "BAD Expected (" },
	/* RFC 7162 */
	{ "FETCH 1,2,3 (MODSEQ)", "FETCH 1:3 MODSEQ" },
	{ "FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)", "FETCH 1:* FLAGS since=12345" },
	{ "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
	  "UID FETCH 300:500 FLAGS since=12345 vanished" },
	{ "UID FETCH 1:* FLAGS (VANISHED CHANGEDSINCE 0)", "UID FETCH 1:* FLAGS since=0 vanished" },
	{ "UID FETCH 1 ALL (CHANGEDSINCE 9223372036854775807)",
	  "UID FETCH 1 FLAGS INTERNALDATE SIZE ENVELOPE since=9223372036854775807" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "BAD Number too large" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE -1)", "BAD Expected a number" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE)", "BAD" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", "BAD CHANGEDSINCE given twice" },
	{ "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "BAD VANISHED is only allowed" },
	{ "UID FETCH 1 FLAGS (VANISHED VANISHED CHANGEDSINCE 1)", "BAD Unknown FETCH modifier" },
	{ "UID FETCH 1 FLAGS (VANISHED)", "BAD VANISHED is only allowed" },
	{ "FETCH 1 FLAGS ()", "BAD Expected a FETCH modifier" },
	{ "FETCH 1 FLAGS (X)", "BAD Unknown FETCH modifier" },
	{ "FETCH 1 FLAGS UID", "BAD Expected (" },
	{ "FETCH 1", "BAD Missing argument" },
	{ "FETCH 1 ()", "BAD Expected an item" },
	{ "FETCH 1 (ALL)", "BAD Unknown FETCH item" },
	{ "FETCH 1 (FLAGS", "BAD" },
	{ "FETCH 1 (FLAGS)UID", "BAD Unexpected argument" },
	{ "FETCH 1 X", "BAD Unknown FETCH item" },
	{ "FETCH 1 BODY.PEEK", "BAD Expected [" },
	{ "FETCH 1 BODY[", "BAD" },
	{ "FETCH 1 BODY[FOO]", "BAD Unknown section" },
	{ "FETCH 1 BODY[MIME]", "BAD Unknown section" },
	{ "FETCH 1 BODY[0]", "BAD Expected a number from 1" },
	{ "FETCH 1 BODY[1.0]", "BAD Expected a number from 1" },
	{ "FETCH 1 BODY[1.]", "BAD Expected a name" },
	{ "FETCH 1 BODY[1.2.FOO]", "BAD Unknown section" },
	{ "FETCH 1 BODY[HEADER.FIELDS]", "BAD Missing space" },
	{ "FETCH 1 BODY[HEADER.FIELDS ()]", "BAD Expected names" },
	{ "FETCH 1 BODY[HEADER.FIELDS (a]", "BAD" },
	{ "FETCH 1 BODY[]<0>", "BAD" },
	{ "FETCH 1 BODY[]<0.0>", "BAD Expected a number from 1" },
	{ "FETCH 1 BODY[]<1.4294967296>", "BAD Number too large" },
	{ "FETCH 1 BINARY[1]", "BAD Unknown FETCH item" },
};

static const struct example stores[] = {
	{ "STORE 2:4 +FLAGS (\\Deleted)", "STORE 2:4 + (\\Deleted)" },
	{ "STORE 1 FLAGS ()", "STORE 1 = ()" },
	{ "STORE 1 -flags.silent \\Seen $Junk \\draft", "STORE 1 -silent (\\Seen \\Draft $Junk)" },
	{ "UID STORE 1:* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft a A b)",
	  "UID STORE 1:* = (\\Answered \\Flagged \\Deleted \\Seen \\Draft a b)" },
	{ "STORE $ FLAGS (\\Recent)", "BAD Flag is not one" },
	{ "STORE 1 FLAGS (a b c d e f g h i j k l m n o p q)",
	  "STORE 1 = (a b c d e f g h i j k l m n o p q)" },
	/* RFC 7162, 3.1.3 */
	{ "UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
	  "UID STORE 4,6,8 +silent if<=12121230045 (\\Deleted)" },
	{ "STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)",
	  "STORE 5,7,9 +silent if<=320162338 (\\Deleted)" },
	{ "STORE 100:150 (UNCHANGEDSINCE 212030000000) +FLAGS.SILENT ($Processed)",
	  "STORE 100:150 +silent if<=212030000000 ($Processed)" },
	{ "STORE 1 (UNCHANGEDSINCE 0) -FLAGS \\Seen", "STORE 1 - if<=0 (\\Seen)" },
	{ "STORE 1 (UNCHANGEDSINCE 9223372036854775807) FLAGS x",
	  "STORE 1 = if<=9223372036854775807 (x)" },
	/* libetpan, node-imap */
	{ "UID STORE 4(UNCHANGEDSINCE 7) +FLAGS (\\Seen)", "UID STORE 4 + if<=7 (\\Seen)" },
	{ "STORE 4 UNCHANGEDSINCE 7 +FLAGS (\\Seen)", "STORE 4 + if<=7 (\\Seen)" },
	{ "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS x", "BAD Number too large" },
	{ "STORE 1 UNCHANGEDSINCE FLAGS x", "BAD Expected a number" },
	{ "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS x", "BAD UNCHANGEDSINCE given twice" },
	{ "STORE 1 () FLAGS x", "BAD Expected a STORE modifier" },
	{ "STORE 1 (X) FLAGS x", "BAD Unknown STORE modifier" },
	{ "STORE 1 (UNCHANGEDSINCE 1)FLAGS x", "BAD Missing space" },
	{ "STORE 1(FLAGS x)", "BAD Unknown STORE modifier" },
	{ "STORE 1 UNX 1 FLAGS x", "BAD Unknown STORE modifier" },
	{ "STORE 1 *FLAGS x", "BAD Expected a name" },
	{ "STORE 1 +-FLAGS x", "BAD Unknown STORE item" },
	{ "STORE 1 FLAG x", "BAD Unknown STORE item" },
	{ "STORE 1 FLAGS", "BAD Missing argument" },
	{ "STORE 1 FLAGS \\Bogus", "BAD Flag is not one" },
	{ "STORE 1 FLAGS \\", "BAD Invalid flag" },
	{ "STORE 1 FLAGS \\*", "BAD Invalid flag" },
	{ "STORE 1 FLAGS (a b", "BAD" },
	{ "STORE 1 FLAGS (a\\Seen)", "BAD Expected a space or )" },
	{ "STORE 1 FLAGS \"a\"", "BAD Expected an atom" },
	{ "STORE 1 FLAGS a]", "BAD" },
};

static const struct example searches[] = {
	{ "SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
	  "SEARCH '' and(flag 4 since day8797 not(header'From''Smith'))" },
	{ "SEARCH TEXT \"string not in mailbox\"", "SEARCH '' and(text'string not in mailbox')" },
	{ "SEARCH CHARSET UTF-8 TEXT {6+}\r\n\xc3\xa4\xc3\xb6\xc3\xbc",
	  "SEARCH 'UTF-8' and(text'\xc3\xa4\xc3\xb6\xc3\xbc')" },
	{ "SEARCH CHARSET \"x y\" ALL", "SEARCH 'x y' and(all)" },
	{ "SEARCH ALL", "SEARCH '' and(all)" },
	{ "UID SEARCH 1:*", "UID SEARCH '' and(seq 1:*)" },
	{ "SEARCH 1,5 UID 3:7 $", "SEARCH '' and(seq 1,5 uid 3:7 seq $)" },
	{ "SEARCH UID $", "SEARCH '' and(uid $)" },
	{ "SEARCH *", "SEARCH '' and(seq *)" },
	{ "SEARCH ANSWERED DELETED DRAFT SEEN RECENT",
	  "SEARCH '' and(flag 2 flag 8 flag 16 flag 1 recent)" },
	{ "SEARCH UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN",
	  "SEARCH '' and(not(flag 2) not(flag 8) not(flag 16) not(flag 4) not(flag 1))" },
	{ "SEARCH NEW OLD", "SEARCH '' and(and(recent not(flag 1)) not(recent))" },
	{ "SEARCH KEYWORD $Junk UNKEYWORD x", "SEARCH '' and(keyword'$Junk' not(keyword'x'))" },
	{ "SEARCH BCC a CC b TO c SUBJECT \"\" BODY e",
	  "SEARCH '' and(header'Bcc''a' header'Cc''b' header'To''c' header'Subject' body'e')" },
	{ "SEARCH HEADER \"Message-ID\" <1@x>", "SEARCH '' and(header'Message-ID''<1@x>')" },
	{ "SEARCH HEADER X-Y \"\"", "SEARCH '' and(header'X-Y')" },
	{ "SEARCH LARGER 0 SMALLER 4294967296", "SEARCH '' and(larger smaller 4294967296)" },
	{ "SEARCH BEFORE 2-Jan-1970 ON \"01-Jan-1971\" SENTBEFORE 1-jan-1971 SENTON 1-Jan-1971 "
	  "SENTSINCE 1-Jan-1971",
	  "SEARCH '' and(before day1 on day365 sent_before day365 sent_on day365 sent_since "
	  "day365)" },
	{ "SEARCH SAVEDBEFORE 2-Jan-1970 SAVEDON 3-Jan-1970 SAVEDSINCE 4-Jan-1970 "
	  "SAVEDATESUPPORTED",
	  "SEARCH '' and(saved_before day1 saved_on day2 saved_since day3 savedate?)" },
	{ "SEARCH UNSEEN YOUNGER 259200 OLDER 1", /* RFC 5032 */
	  "SEARCH '' and(not(flag 1) younger 259200 older 1)" },
	{ "SEARCH EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9", /* RFC 8474 */
	  "SEARCH '' and(emailid'M6d99ac3275bb4e' threadid'T64b478a75b7ea9')" },
	{ "SEARCH OR EMAILID 1234 EMAILID 4-_1", "SEARCH '' and(or(emailid'1234' emailid'4-_1'))" },
	/* RFC 7162, 3.1.5 */
	{ "SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "SEARCH '' and(modseq 620162338)" },
	{ "SEARCH OR NOT MODSEQ 720162338 LARGER 50000",
	  "SEARCH '' and(or(not(modseq 720162338) larger 50000))" },
	{ "SEARCH MODSEQ \"/flags/$x\" shared 0", "SEARCH '' and(modseq 0)" },
	{ "SEARCH MODSEQ \"/flags/\\\\Seen\" priv 9223372036854775807",
	  "SEARCH '' and(modseq 9223372036854775807)" },
	/* ESEARCH, RFC 4731 and 5182 */
	{ "SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
	  "SEARCH return=9 '' and(flag 4 since day8797 not(header'From''Smith'))" },
	{ "SEARCH RETURN () ALL", "SEARCH return=4 '' and(all)" },
	{ "UID SEARCH RETURN (MAX ALL SAVE) CHARSET UTF-8 $",
	  "UID SEARCH return=22 'UTF-8' and(seq $)" },
	{ "SEARCH (OR FROM a FROM b) NOT (SEEN)",
	  "SEARCH '' and(and(or(header'From''a' header'From''b')) not(and(flag 1)))" },
	{ "SEARCH OR a", "BAD Unknown search key" },
	{ "SEARCH OR FROM a OR FROM b OR FROM c ALL",
	  "SEARCH '' and(or(header'From''a' header'From''b' header'From''c' all))" },
	{ "SEARCH OR OR SEEN DRAFT ALL", "SEARCH '' and(or(or(flag 1 flag 16) all))" },
	{ "SEARCH OR SEEN ALL ALL", "SEARCH '' and(or(flag 1 all) all)" },
	{ "SEARCH ALL ", "BAD Expected a name" },
	{ "SEARCH (ALL )", "BAD Expected a name" },
	{ "SEARCH", "BAD Missing argument" },
	{ "SEARCH X", "BAD Unknown search key" },
	{ "SEARCH ()", "BAD" },
	{ "SEARCH (ALL", "BAD" },
	{ "SEARCH ALL)", "BAD Unexpected argument" },
	{ "SEARCH NOT", "BAD Missing argument" },
	{ "SEARCH OR ALL", "BAD Missing argument" },
	{ "SEARCH FROM", "BAD Missing argument" },
	{ "SEARCH ON 30-Feb-1994x", "BAD Invalid date" },
	{ "SEARCH ON \"yesterday\"", "BAD Invalid date" },
	{ "SEARCH OLDER 0", "BAD Expected a number from 1" },
	{ "SEARCH OLDER 4294967296", "BAD Number too large" },
	{ "SEARCH LARGER x", "BAD Expected a number" },
	{ "SEARCH MODSEQ 9223372036854775808", "BAD Number too large" },
	{ "SEARCH MODSEQ \"/x/\" all 1", "BAD Unknown MODSEQ entry" },
	{ "SEARCH MODSEQ \"/flags/\" all 1", "BAD Unknown MODSEQ entry" },
	{ "SEARCH MODSEQ \"/flags/x\" any 1", "BAD MODSEQ entry type" },
	{ "SEARCH MODSEQ \"/flags/x\" 1", "BAD MODSEQ entry type" },
	{ "SEARCH EMAILID a.b", "BAD Invalid object id" },
	{ "SEARCH KEYWORD \\Seen", "BAD Expected an atom" },
	{ "SEARCH RETURN (X) ALL", "BAD Unknown SEARCH return option" },
	{ "SEARCH RETURN ALL", "BAD Expected (" },
	{ "SEARCH RETURN (MIN)", "BAD Missing argument" },
	{ "SEARCH ALL CHARSET UTF-8", "BAD Unknown search key" },
	{ "SEARCH UID x", "BAD Invalid message set" },
	{ "SEARCH 0", "BAD Invalid message set" },
};

#define CHECK_ALL(table) \
	START_TEST(table##_examples) \
	{ \
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) \
			check(&table[i]); \
	} \
	END_TEST

CHECK_ALL(simple)
CHECK_ALL(sets)
CHECK_ALL(selects)
CHECK_ALL(lists)
CHECK_ALL(fetches)
CHECK_ALL(stores)
CHECK_ALL(searches)

/* ---- bounds ---- */

static enum parse parse_line(struct buf *line, struct arena *a, struct imap_command *cmd,
			     const char **why)
{
	buf_puts(line, "\r\n");
	enum parse rc = command_parse(buf_span(line), a, cmd, why);
	return rc;
}

/* `count` times `piece` between `from` and `to` is good up to `max` and then bad with `why`. */
static void check_bound(const char *from, const char *piece, const char *to, int max,
			const char *want_why)
{
	for (int more = 0; more < 2; more++) {
		struct buf line = { 0 };
		struct imap_command cmd;
		struct arena a;
		const char *why = "good";

		arena_init(&a);
		buf_puts(&line, from);
		for (int i = 0; i < max + more; i++)
			buf_puts(&line, piece);
		buf_puts(&line, to);
		enum parse rc = parse_line(&line, &a, &cmd, &why);
		ck_assert_msg((rc == PARSE_OK) == (more == 0), "%s %d: %s", from, max + more, why);
		if (more != 0)
			ck_assert_str_eq(why, want_why);
		arena_free(&a);
		buf_free(&line);
	}
}

START_TEST(bounds)
{
	check_bound("a FETCH 1", ",1", " FLAGS", UID_SET_MAX_RANGES - 1,
		    "Too many ranges in a set");
	check_bound("a FETCH 1 (UID", " BODY[]", ")", FETCH_ITEMS_MAX, "Too many items");
	check_bound("a SEARCH ALL", " ALL", "", SEARCH_KEYS_MAX - 2, "Too many search keys");
	check_bound("a SEARCH ", "NOT ", "ALL", SEARCH_NESTING_MAX_LEVELS,
		    "Search is nested too deep");
	check_bound("a ID (\"a\" \"b\"", " \"c\" NIL", ")", ID_FIELDS_MAX - 1,
		    "Too many ID fields");
	check_bound("a STORE 1 FLAGS ", "x", "", KEYWORD_MAX_BYTES, "Keyword too long");
}
END_TEST

START_TEST(many_keywords)
{
	for (int more = 0; more < 2; more++) {
		struct buf line = { 0 };
		struct imap_command cmd;
		struct arena a;
		const char *why = "good";

		arena_init(&a);
		buf_puts(&line, "a STORE 1 FLAGS (\\Seen");
		for (int i = 0; i < FLAGS_PER_COMMAND_MAX + more; i++)
			buf_printf(&line, " k%d", i);
		buf_puts(&line, ")");
		ck_assert_int_eq(parse_line(&line, &a, &cmd, &why),
				 more == 0 ? PARSE_OK : PARSE_BAD);
		arena_free(&a);
		buf_free(&line);
	}
}
END_TEST

/* Parentheses 50 deep are fine, 51 are not, 10,000 do not overflow anything. */
START_TEST(deep_parentheses)
{
	static const int depths[] = { 50, 51, 10000 };

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct buf line = { 0 };
		struct imap_command cmd;
		struct arena a;
		const char *why = "good";

		arena_init(&a);
		buf_puts(&line, "a SEARCH ");
		for (int n = 0; n < depths[i]; n++)
			buf_putc(&line, '(');
		buf_puts(&line, "NEW");
		for (int n = 0; n < depths[i]; n++)
			buf_putc(&line, ')');
		ck_assert_int_eq(parse_line(&line, &a, &cmd, &why),
				 depths[i] <= 50 ? PARSE_OK : PARSE_BAD);
		arena_free(&a);
		buf_free(&line);
	}
}
END_TEST

/* A set of a whole line, in the worst order, costs no time and little memory. */
START_TEST(large_sets)
{
	struct buf line = { 0 };
	struct imap_command cmd;
	struct arena a;
	const char *why = "good";

	arena_init(&a);
	buf_puts(&line, "a FETCH 99999");
	for (uint32_t i = 0; i < 9000; i++)
		buf_printf(&line, ",%u", 30000 - 2 * i);
	buf_puts(&line, " FLAGS");
	ck_assert_int_eq(parse_line(&line, &a, &cmd, &why), PARSE_OK);
	ck_assert_uint_eq(cmd.u.fetch.set.count, 9001);
	ck_assert_uint_eq(cmd.u.fetch.set.at[0].lo, 30000 - 2 * 8999);
	ck_assert_uint_eq(seq_set_size(&cmd.u.fetch.set), 9001);
	arena_free(&a);
	buf_free(&line);
}
END_TEST

/* What a set says, read again, says the same. */
START_TEST(sets_print_stable)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		const char *text = sets[i].in + strlen("COPY ");
		struct seq_set once, twice;
		struct buf first = { 0 }, second = { 0 };
		struct arena a;
		struct cursor c = cursor_of(span_str(text));

		arena_init(&a);
		if (seq_set_parse(&c, &a, &once) == PARSE_OK) {
			seq_set_text(&once, &first);
			buf_putc(&first, ' ');
			c = cursor_of(buf_span(&first));
			ck_assert_int_eq(seq_set_parse(&c, &a, &twice), PARSE_OK);
			seq_set_text(&twice, &second);
			buf_putc(&second, ' ');
			ck_assert(span_eq(buf_span(&first), buf_span(&second)));
		}
		arena_free(&a);
		buf_free(&first);
		buf_free(&second);
	}
}
END_TEST

static void check_resolved(const char *text, uint32_t star, const char *want)
{
	struct seq_set set, back;
	struct uidset uids = { 0 };
	struct buf out = { 0 };
	struct arena a;
	struct cursor c = cursor_of(span_str(text));

	arena_init(&a);
	ck_assert_int_eq(seq_set_parse(&c, &a, &set), PARSE_OK);
	seq_set_resolve(&set, star, &uids);
	uidset_text(&uids, &out);
	ck_assert(span_eq(buf_span(&out), span_str(want)));
	seq_set_from_uids(&uids, &a, &back);
	buf_reset(&out);
	seq_set_text(&back, &out);
	ck_assert(span_eq(buf_span(&out), span_str(want)));
	uidset_free(&uids);
	buf_free(&out);
	arena_free(&a);
}

START_TEST(sets_resolve)
{
	check_resolved("1:3,7 ", 100, "1:3,7");
	check_resolved("* ", 100, "100");
	check_resolved("* ", 0, "");
	check_resolved("5:* ", 0, "");
	check_resolved("5:* ", 7, "5:7");
	check_resolved("5:* ", 3, "3");
	check_resolved("1,5:* ", 4, "1,4");
	check_resolved("9,2:* ", 4, "2:4,9");
	check_resolved("1:4294967295 ", 4, "1:4294967295");
}
END_TEST

START_TEST(names_of_kinds)
{
	ck_assert_str_eq(command_kind_name(CMD_NONE), "NONE");
	for (enum command_kind k = CMD_NONE + 1; k < CMD_COUNT; k++)
		ck_assert_ptr_nonnull(command_kind_name(k));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("imap_grammar");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, simple_examples);
	tcase_add_test(t, sets_examples);
	tcase_add_test(t, selects_examples);
	tcase_add_test(t, lists_examples);
	tcase_add_test(t, fetches_examples);
	tcase_add_test(t, stores_examples);
	tcase_add_test(t, searches_examples);
	tcase_add_test(t, bounds);
	tcase_add_test(t, many_keywords);
	tcase_add_test(t, deep_parentheses);
	tcase_add_test(t, large_sets);
	tcase_add_test(t, sets_print_stable);
	tcase_add_test(t, sets_resolve);
	tcase_add_test(t, names_of_kinds);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
