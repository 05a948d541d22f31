/* Address lists, good and bad. */
#include "tests/unit/mail_util.h"

#include "server/mail/address.h"

/* What comes out: (name|route|mailbox|host), ~ for NIL. */
static const struct {
	const char *header;
	const char *list;
} lists[] = {
	{ "foo", "(~|~|foo|MISSING_DOMAIN)" },
	{ "foo bar", "(foo bar|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "foo bar baz", "(foo bar baz|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "\"foo bar\"", "(foo bar|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "\"foo\" bar", "(foo bar|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "foo.bar", "(~|~|foo.bar|MISSING_DOMAIN)" },
	{ "foo . bar", "(foo . bar|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "<foo>", "(~|~|foo|MISSING_DOMAIN)" },
	{ "<>", "(~|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "foo <>", "(foo|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "foo <bar>", "(foo|~|bar|MISSING_DOMAIN)" },
	{ "foo <@x>", "(foo|INVALID_ROUTE|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "<@x:>", "(~|@x|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "<@x:a@b>", "(~|@x|a|b)" },
	{ "<@x,@y:a@b>", "(~|@x,@y|a|b)" },
	{ "<@x,,@y:a@b>", "(~|@x,@y|a|b)" },
	{ "<@x a@b>", "(~|INVALID_ROUTE|a|b)" },
	{ "a@b", "(~|~|a|b)" },
	{ "a@", "(~|~|a|MISSING_DOMAIN)" },
	{ "@b", "(~|~|MISSING_MAILBOX|b)" },
	{ "a@b@c", "(~|~|a|b)" },
	{ "a b@c", "(a b|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "a \"q\" b@c", "(a q b|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "x <a@b@c>", "(x|~|a|SYNTAX_ERROR)" },
	{ "x <a b@c>", "(x|~|a|SYNTAX_ERROR)" },
	{ "x <a@b", "(x|~|a|SYNTAX_ERROR)" },
	{ "x <a@b> y", "(x|~|a|b)" },
	{ "x <a@b> y, z@w", "(x|~|a|b) (~|~|z|w)" },
	{ "a@b c, d@e", "(~|~|a|b) (~|~|d|e)" },
	{ "a@b;c@d", "(~|~|a|b)" },
	{ "a@b; c@d", "(~|~|a|b)" },
	{ "a@[1.2.3.4]", "(~|~|a|[1.2.3.4])" },
	{ "a@[1.2.3.4", "(~|~|a|MISSING_DOMAIN)" },
	{ "\"a b\"@c", "(~|~|a b|c)" },
	{ "\"a\\\"b\"@c", "(~|~|a\"b|c)" },
	{ "\"a@b\"@c", "(~|~|a@b|c)" },
	{ "\"a@b\"", "(a@b|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "\"unclosed <a@b>, c@d", "(~|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "(c) a@b", "(~|~|a|b)" },
	{ "a@b (name)", "(name|~|a|b)" },
	{ "a@b (na(nes)ted)", "(na(nes)ted|~|a|b)" },
	{ "a@b (na\\)me)", "(na)me|~|a|b)" },
	{ "a@b (n1) (n2)", "(n2|~|a|b)" },
	{ "a (x) @ (y) b (z)", "(z|~|a|b)" },
	{ "(just comment)", "NIL" },
	{ "()", "NIL" },
	{ ",", "NIL" },
	{ ",,", "NIL" },
	{ "a@b,", "(~|~|a|b)" },
	{ ",a@b", "(~|~|a|b)" },
	{ "a@b,,c@d", "(~|~|a|b) (~|~|c|d)" },
	{ "a@b, ,c@d", "(~|~|a|b) (~|~|c|d)" },
	{ "g:;", "(~|~|g|~) (~|~|~|~)" },
	{ "g: ;", "(~|~|g|~) (~|~|~|~)" },
	{ "g:a@b;", "(~|~|g|~) (~|~|a|b) (~|~|~|~)" },
	{ "g:a@b,c@d;", "(~|~|g|~) (~|~|a|b) (~|~|c|d) (~|~|~|~)" },
	{ "g:a@b,c@d;,e@f", "(~|~|g|~) (~|~|a|b) (~|~|c|d) (~|~|~|~) (~|~|e|f)" },
	{ "g:a@b,c@d; e@f", "(~|~|g|~) (~|~|a|b) (~|~|c|d) (~|~|~|~)" },
	{ "g:a@b", "(~|~|g|~) (~|~|a|b) (~|~|~|~)" },
	{ "g:", "(~|~|g|~) (~|~|~|~)" },
	{ "g:a@b,,c@d;", "(~|~|g|~) (~|~|a|b) (~|~|c|d) (~|~|~|~)" },
	{ "g:,;", "(~|~|g|~) (~|~|~|~)" },
	{ "g: ,a@b;", "(~|~|g|~) (~|~|a|b) (~|~|~|~)" },
	{ "\"g x\":a@b;", "(~|~|g x|~) (~|~|a|b) (~|~|~|~)" },
	{ "g x:a@b;", "(~|~|g x|~) (~|~|a|b) (~|~|~|~)" },
	{ ":a@b;", "(~|~||~) (~|~|a|b) (~|~|~|~)" },
	{ "g:h:a@b;;", "(~|~|g|~) (~|~|h|MISSING_DOMAIN) (~|~|~|~)" },
	{ "g: x <a@b>, \"y\" <c@d>;", "(~|~|g|~) (x|~|a|b) (y|~|c|d) (~|~|~|~)" },
	{ "g: foo;", "(~|~|g|~) (~|~|foo|MISSING_DOMAIN) (~|~|~|~)" },
	{ "g: foo bar;", "(~|~|g|~) (foo bar|~|MISSING_MAILBOX|MISSING_DOMAIN) (~|~|~|~)" },
	{ "g (c): a@b (d);", "(~|~|g|~) (d|~|a|b) (~|~|~|~)" },
	{ "undisclosed-recipients:;", "(~|~|undisclosed-recipients|~) (~|~|~|~)" },
	{ "undisclosed recipients: ;;", "(~|~|undisclosed recipients|~) (~|~|~|~)" },
	{ "=?utf-8?q?x?= <a@b>", "(=?utf-8?q?x?=|~|a|b)" },
	{ "=?utf-8?q?x=40?= <a@b>", "(=?utf-8?q?x=40?=|~|a|b)" },
	{ "\303\251 <\303\251@\303\251.x>", "(\303\251|~|\303\251|\303\251.x)" },
	{ "x.y <a@b>", "(x.y|~|a|b)" },
	{ ".x <a@b>", "(~|~|.x|MISSING_DOMAIN)" },
	{ "J. R. Foo <a@b>", "(J. R. Foo|~|a|b)" },
	{ "O'Neil, Joe <a@b>", "(~|~|O'Neil|MISSING_DOMAIN) (Joe|~|a|b)" },
	{ "Foo [bar] <a@b>", "(~|~|Foo|MISSING_DOMAIN)" },
	{ "Foo: bar <a@b>", "(~|~|Foo|~) (bar|~|a|b) (~|~|~|~)" },
	{ "Foo; bar <a@b>", "(~|~|Foo|MISSING_DOMAIN)" },
	{ "Foo@bar.com <a@b>", "(~|~|Foo|bar.com)" },
	{ "<a@b> Foo", "(~|~|a|b)" },
	{ "<a@b> (Foo)", "(~|~|a|b)" },
	{ "Foo <a@b> (Bar)", "(Foo|~|a|b)" },
	{ "Foo <a.b.@c>", "(Foo|~|a.b.|c)" },
	{ "Foo <a..b@c>", "(Foo|~|a..b|c)" },
	{ "a..b@c", "(~|~|a..b|c)" },
	{ ".a@b", "(~|~|.a|b)" },
	{ "a.@b", "(~|~|a.|b)" },
	{ "a@b.", "(~|~|a|b.)" },
	{ "a@.b", "(~|~|a|MISSING_DOMAIN)" },
	{ "a@b..c", "(~|~|a|b..c)" },
	{ "a@b c", "(~|~|a|b)" },
	{ "a%b@c", "(~|~|a%b|c)" },
	{ "a!b@c", "(~|~|a!b|c)" },
	{ "foo <a@b>,", "(foo|~|a|b)" },
	{ "foo <a@b>;", "(foo|~|a|b)" },
	{ "foo <a@b>, ;", "(foo|~|a|b) (~|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "\\foo <a@b>", "(~|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "<a@b>,<c@d>", "(~|~|a|b) (~|~|c|d)" },
	{ "<a@b><c@d>", "(~|~|a|b)" },
	{ "a@b <c@d>", "(~|~|a|b)" },
	{ "foo <a (c)@(d) b>", "(foo|~|a|b)" },
	{ "foo < a@b >", "(foo|~|a|b)" },
	{ "foo<a@b>", "(foo|~|a|b)" },
	{ "\"foo\"<a@b>", "(foo|~|a|b)" },
	{ "\"foo\r\n bar\"<a@b>", "(foo bar|~|a|b)" },
	{ "\"foo  bar\"  <a@b>", "(foo  bar|~|a|b)" },
	{ "foo   bar <a@b>", "(foo bar|~|a|b)" },
	{ "\"\"<a@b>", "(~|~|a|b)" },
	{ "\"\" <a@b>", "(~|~|a|b)" },
	{ "\" \" <a@b>", "( |~|a|b)" },
	{ "\"\"@x", "(~|~||x)" },
	{ "a@\"\"", "(~|~|a|MISSING_DOMAIN)" },
	{ "mailto:a@b", "(~|~|mailto|~) (~|~|a|b) (~|~|~|~)" },
	{ "foo <mailto:a@b>", "(foo|~|mailto|SYNTAX_ERROR)" },
	{ "[a@b]", "(~|~|MISSING_MAILBOX|MISSING_DOMAIN)" },
	{ "foo <<a@b>>", "(foo|~|MISSING_MAILBOX|SYNTAX_ERROR)" },
	{ "'a@b' <a@b>", "(~|~|'a|b')" },
	{ "a@b>", "(~|~|a|b)" },
	{ "<<a@b>", "(~|~|MISSING_MAILBOX|SYNTAX_ERROR)" },
};

static void put(struct buf *out, struct span s, char end)
{
	if (s.at == NULL)
		buf_putc(out, '~');
	else
		buf_put_span(out, s);
	buf_putc(out, end);
}

static void put_list(struct buf *out, const struct address_list *list)
{
	if (list->count == 0)
		buf_puts(out, "NIL");
	for (size_t i = 0; i < list->count; i++) {
		buf_puts(out, i == 0 ? "(" : " (");
		put(out, list->at[i].name, '|');
		put(out, list->at[i].route, '|');
		put(out, list->at[i].mailbox, '|');
		put(out, list->at[i].host, ')');
	}
}

START_TEST(lists_good_and_bad)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct address_list list = { 0 };
		struct buf out = { 0 };
		struct arena a;

		arena_init(&a);
		address_parse(&a, span_str(lists[i].header), 10000, &list);
		put_list(&out, &list);
		ck_assert_msg(buf_is(&out, lists[i].list), "%s:\n  is:       %s\n  expected: %s",
			      lists[i].header, buf_z(&out), lists[i].list);
		buf_free(&out);
		arena_free(&a);
	}
}
END_TEST

START_TEST(several_fields_add_up)
{
	struct address_list list = { 0 };
	struct buf out = { 0 };
	struct arena a;

	arena_init(&a);
	address_parse(&a, span_str("a@b"), 10000, &list);
	address_parse(&a, span_str(""), 10000, &list);
	address_parse(&a, span_str("g:;, c@d"), 10000, &list);
	put_list(&out, &list);
	ck_assert(buf_is(&out, "(~|~|a|b) (~|~|g|~) (~|~|~|~) (~|~|c|d)"));
	buf_free(&out);
	arena_free(&a);
}
END_TEST

/* However little room there is, it is not exceeded, and a group that began also ends. */
START_TEST(a_list_is_cut_between_addresses)
{
	const char *text = "a@b, Name <c@d>, Group: e@f, Other <g@h>;, i@j (Last)";

	for (size_t room = 0; room < 400; room++) {
		struct address_list list = { 0 };
		struct arena a;
		int open = 0;
		size_t bytes = 0;

		arena_init(&a);
		size_t used = address_parse(&a, span_str(text), room, &list);
		ck_assert_uint_le(used, room);
		for (size_t i = 0; i < list.count; i++) {
			const struct mail_address *m = &list.at[i];
			if (m->host.at == NULL)
				open += m->mailbox.at != NULL ? 1 : -1;
			bytes += ADDRESS_OVERHEAD_BYTES + m->name.bytes + m->route.bytes +
				 m->mailbox.bytes + m->host.bytes;
		}
		ck_assert_int_eq(open, 0);
		ck_assert_uint_eq(bytes, used);
		arena_free(&a);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mail_address");
	TCase *t = tcase_create("address");

	tcase_add_test(t, lists_good_and_bad);
	tcase_add_test(t, several_fields_add_up);
	tcase_add_test(t, a_list_is_cut_between_addresses);
	suite_add_tcase(s, t);
	return mail_run(s);
}
