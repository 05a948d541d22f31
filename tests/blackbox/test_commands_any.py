"""RFC 3501 6.1 and 7: what holds in every state: greeting, CAPABILITY, NOOP, LOGOUT, errors."""
import pytest

from imapc import Closed, Lit

REQUIRED = ("IMAP4REV1 ENABLE ID IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE LITERAL+ SASL-IR "
            "ESEARCH SEARCHRES WITHIN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE "
            "STATUS=SIZE APPENDLIMIT MULTIAPPEND OBJECTID SAVEDATE SAVELIMIT=1000 "
            "COMPRESS=DEFLATE CONDSTORE QRESYNC").split()
LATER = ("IMAP4REV2 UTF8=ACCEPT UTF8=ONLY SORT THREAD=REFERENCES BINARY NOTIFY METADATA ACL "
         "QUOTA ANNOTATE-EXPERIMENT-1").split()


def test_greeting_is_ok_and_names_capabilities(connect):
    g = connect().greeting
    assert g.kind == "*" and g.name == "OK"
    if g.code is not None:
        assert g.code == "CAPABILITY"
        assert "IMAP4REV1" in [str(x).upper() for x in g.code_args]


def test_capability_before_login_has_auth_and_no_surprises(connect):
    caps = connect().capabilities()
    assert caps[0] == "IMAP4REV1" or "IMAP4REV1" in caps
    assert "AUTH=PLAIN" in caps
    assert len(caps) == len(set(caps))


@pytest.mark.tidemark_only
def test_capability_after_login_is_what_readme_promises(c):
    caps = c.capabilities()
    assert [x for x in REQUIRED if x not in caps] == [] or any(
        x.startswith("APPENDLIMIT=") for x in caps) and [
        x for x in REQUIRED if x not in caps] == ["APPENDLIMIT"]


@pytest.mark.tidemark_only
def test_nothing_is_advertised_that_is_not_there(connect, account):
    c = connect()
    assert [x for x in LATER if x in c.capabilities()] == []
    c.login(account.name, account.password)
    assert [x for x in LATER if x in c.capabilities()] == []


@pytest.mark.tidemark_only
def test_starttls_and_auth_are_not_offered_when_they_make_no_sense(connect, account):
    c = connect()
    assert "STARTTLS" in c.capabilities()
    c.login(account.name, account.password)
    caps = c.capabilities()
    assert "STARTTLS" not in caps and "LOGINDISABLED" not in caps


def test_login_answers_with_new_capabilities(connect, account):
    """6.2.3: a server MAY send CAPABILITY with the OK; Tidemark does, and saves a round trip."""
    r = connect().login(account.name, account.password)
    caps = r.codes().get("CAPABILITY") or (r.has("CAPABILITY") and r.one("CAPABILITY").values)
    assert caps and "IMAP4REV1" in [str(x).upper() for x in caps]


def test_noop_in_every_state(connect, account):
    c = connect()
    assert c.okay("NOOP").untagged == []
    c.login(account.name, account.password)
    assert c.okay("NOOP").untagged == []
    c.select()
    assert c.okay("NOOP").untagged == []


def test_logout_says_bye_then_ok_then_closes(connect):
    c = connect()
    r = c.cmd("LOGOUT")
    assert r.ok and [u.name for u in r.untagged] == ["BYE"]
    assert c.expect_closed() == []


def test_logout_selected(box):
    c = box(1)
    r = c.cmd("LOGOUT")
    assert r.ok and r.has("BYE")
    assert c.expect_closed() == []


def test_commands_are_case_insensitive(connect, account):
    c = connect()
    assert c.cmd("cApAbIlItY").ok
    assert c.cmd("login %s %s" % (account.name, account.password)).ok
    assert c.cmd("select inbox").ok
    assert c.cmd("uid search all").ok


@pytest.mark.parametrize("tag", ["a", "A1", "1", "x.y-z", "tag[with]brackets", "a" * 60])
def test_any_tag_is_given_back_as_it_came(connect, tag):
    c = connect()
    assert c.wait(c.send("NOOP", tag=tag)).tagged.kind == tag


@pytest.mark.parametrize("line", [
    b"", b" ", b"a", b"a ", b"a  NOOP", b"a\tNOOP", b"+ NOOP", b"a+b NOOP", b"(a) NOOP",
    b"* NOOP", b"a% NOOP", b"a NOOP ", b"a NOOP x", b"a CAPABILITY x", b"a LOGOUT x",
    b"a XYZZY", b"a UID", b"a UID NOOP", b"\xff\xfe NOOP", b"a \xc3\xa9"])
def test_malformed_lines_are_bad_and_the_connection_lives(connect, line):
    """7.1.3: BAD with the tag where there is one, else untagged BAD."""
    c = connect()
    c.send_raw(line + b"\r\n")
    c.send_raw(b"z9 NOOP\r\n")
    c.pending = [("a", "X"), ("z9", "NOOP")]
    seen = []
    while not seen or seen[-1].kind != "z9":
        seen.append(c.read_response())
    assert seen[-1].name == "OK"
    assert any(r.name == "BAD" for r in seen[:-1]) or line.strip() == b"", seen
    for r in seen[:-1]:
        assert r.kind in ("*", "a") and r.name in ("BAD", "NO"), r


@pytest.mark.parametrize("command", [
    "SELECT INBOX", "EXAMINE INBOX", "CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE x",
    "UNSUBSCRIBE x", 'LIST "" *', 'LSUB "" *', "STATUS INBOX (MESSAGES)", "NAMESPACE", "IDLE",
    "ENABLE CONDSTORE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH ALL", "FETCH 1 FLAGS",
    r"STORE 1 FLAGS (\Seen)", "COPY 1 x", "MOVE 1 x", "UID FETCH 1 FLAGS", "UID EXPUNGE 1"])
def test_commands_that_need_a_login_are_refused_before(connect, command):
    c = connect()
    r = c.cmd(command)
    assert not r.ok, r
    assert c.okay("NOOP")


@pytest.mark.parametrize("command", [
    "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "SEARCH ALL", "FETCH 1 FLAGS",
    r"STORE 1 FLAGS (\Seen)", "COPY 1 x", "MOVE 1 x", "UID FETCH 1 FLAGS", "UID EXPUNGE 1",
    "UID COPY 1 x", "UID SEARCH ALL", r"UID STORE 1 FLAGS (\Seen)", "UID MOVE 1 x"])
def test_commands_that_need_a_mailbox_are_refused_without(c, command):
    assert c.cmd(command).bad
    assert c.okay("NOOP")


@pytest.mark.parametrize("command", ["LOGIN a b", "AUTHENTICATE PLAIN", "STARTTLS"])
def test_login_twice_is_bad(c, command):
    assert c.cmd(command).bad
    assert c.okay("NOOP")


def test_append_needs_a_login_and_asks_for_no_literal(connect):
    c = connect()
    tag = c.send("APPEND INBOX ", Lit(b"x" * 10))
    assert not c.wait(tag).ok
    assert c.okay("NOOP")


@pytest.mark.parametrize("arg", [
    "SELECT", "SELECT ", "SELECT a b", "SELECT (a)", "EXAMINE", "CREATE", "CREATE a b", "DELETE",
    "RENAME a", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", 'LIST ""', "LSUB", "STATUS",
    "STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX MESSAGES", "STATUS INBOX (FOO)", "APPEND",
    "APPEND INBOX", 'SELECT "unfinished', 'SELECT "a"b', "SELECT {x}", "SELECT {-1}",
    "ENABLE", "NAMESPACE x", "ID", "ID x", "ID ()x", "IDLE x"])
def test_wrong_arguments_are_bad(c, arg):
    assert c.cmd(arg).bad, arg
    assert c.okay("NOOP")


@pytest.mark.parametrize("arg", [
    "FETCH", "FETCH 1", "FETCH x FLAGS", "FETCH 0 FLAGS", "FETCH 1 FOO", "FETCH 1 ()",
    "FETCH 1 (FLAGS", "FETCH 1 FLAGS)", "FETCH 1 (FLAGS))", "FETCH 1, FLAGS", "FETCH ,1 FLAGS",
    "FETCH 1:2:3 FLAGS", "FETCH 1: FLAGS", "FETCH 4294967296 FLAGS", "FETCH -1 FLAGS",
    "FETCH 1 BODY[", "FETCH 1 BODY[]<0>", "FETCH 1 BODY[]<0.0>", "FETCH 1 BODY[]<.5>",
    "FETCH 1 BODY[FOO]", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[MIME]",
    "FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 (ALL)x",
    "STORE 1", "STORE 1 FLAGS", "STORE 1 FOO (x)", r"STORE 1 FLAGS (\Foo)",
    r"STORE 1 FLAGS (\Recent)", "STORE 1 FLAGS (a", "STORE 1 FLAGS ((a))", "STORE 1 FLAGS {3}x",
    "COPY 1", "COPY x y", "MOVE 1", "SEARCH", "SEARCH FOO", "SEARCH BEFORE", "SEARCH BEFORE x",
    "SEARCH LARGER x", "SEARCH NOT", "SEARCH OR SEEN", "SEARCH (", "SEARCH ()", "SEARCH (SEEN",
    "SEARCH SEEN)", "SEARCH KEYWORD", "SEARCH HEADER x", "SEARCH UID", "SEARCH UID x",
    "SEARCH 0", "SEARCH BEFORE 32-Jan-2020", "SEARCH BEFORE 1-Foo-2020", "CHECK x", "CLOSE x",
    "EXPUNGE 1", "UNSELECT x", "UID EXPUNGE", "UID EXPUNGE x", "UID FETCH", "UID STORE 1"])
def test_wrong_arguments_in_a_mailbox_are_bad(box, arg):
    c = box(1)
    assert c.cmd(arg).bad, arg
    assert c.okay("NOOP")


def test_a_failed_command_changes_nothing(box):
    c = box(2)
    assert c.cmd(r"STORE 1 +FLAGS (\Seen \Foo)").bad
    assert c.cmd(r"STORE 1 +FLAGS (\Deleted) x").bad
    flags = [set(i["FLAGS"]) - {r"\Recent"} for _, i in c.okay("FETCH 1:* FLAGS").fetches()]
    assert flags == [set(), set()]


def test_quoted_literal_and_atom_are_the_same_argument(c):
    c.okay("CREATE plain")
    assert c.cmd('SELECT "plain"').ok
    assert c.cmd("SELECT ", Lit("plain")).ok
    assert c.cmd("SELECT ", Lit("plain", plus=True)).ok
    assert c.cmd(r'SELECT "pl\ain"').bad


def test_quoted_specials_are_unescaped(c):
    c.okay('CREATE "with \\"quotes\\" and \\\\"')
    names = [r.values[2] for r in c.okay('LIST "" "with*"').all("LIST")]
    assert names == [b'with "quotes" and \\']


def test_empty_literal_is_an_empty_string(c):
    r = c.okay("LIST ", Lit(""), " ", Lit("INBOX"))
    assert len(r.all("LIST")) == 1


def test_crlf_in_a_quoted_string_ends_the_line(c):
    c.send_raw(b'q1 SELECT "IN\r\n')
    c.pending.append(("q1", "SELECT"))
    assert c.wait("q1").bad
    assert c.okay("NOOP")


def test_pipelined_commands_are_answered_in_order(box):
    c = box(3)
    tags = [c.send(x) for x in ("FETCH 1 FLAGS", "NOOP", r"STORE 2 +FLAGS (\Seen)",
                                "SEARCH SEEN", "FETCH 2 FLAGS", "XYZZY", "CHECK")]
    results = [c.wait(t) for t in tags]
    assert [r.status for r in results] == ["OK", "OK", "OK", "OK", "OK", "BAD", "OK"]
    assert results[3].search() == [2]
    assert r"\Seen" in results[4].one("FETCH").items["FLAGS"]


def test_a_hundred_pipelined_commands(box):
    """More than the server parses ahead: it reads on when it has answered."""
    c = box(2)
    tags = []
    for i in range(100):
        sign = "+" if i % 2 == 0 else "-"
        tags.append(c.send(r"STORE 1 %sFLAGS (\Flagged)" % sign))
    last = c.send("FETCH 1 FLAGS")
    for t in tags:
        assert c.wait(t).ok
    assert r"\Flagged" not in c.wait(last).one("FETCH").items["FLAGS"]


def test_pipelined_select_and_fetch_belong_together(c, fill):
    c.okay("CREATE other")
    fill(c, "INBOX", 1)
    fill(c, "other", 3)
    tags = [c.send(x) for x in ("SELECT INBOX", "FETCH 1:* UID", "SELECT other",
                                "FETCH 1:* UID", "CLOSE", "FETCH 1 UID")]
    c.mirror.untagged = lambda *_: None  # two mailboxes are under way at once
    r = [c.wait(t) for t in tags]
    assert [len(x.fetches()) for x in r] == [0, 1, 0, 3, 0, 0]
    assert r[5].bad


def test_server_closes_after_logout_even_with_more_pipelined(connect):
    c = connect()
    c.send_raw(b"a LOGOUT\r\nb NOOP\r\n")
    c.pending = [("a", "LOGOUT")]
    assert c.wait("a").ok
    assert [r for r in c.expect_closed() if r.kind == "b"] == []


def test_half_closed_client_still_gets_its_answers(box):
    """A client that shuts its writing side down (nc) sees the answers of what it sent."""
    import socket
    c = box(1)
    tag = c.send("FETCH 1 (UID FLAGS)")
    c.sock.shutdown(socket.SHUT_WR)
    try:
        assert c.wait(tag).ok
    except Closed as e:
        raise AssertionError("no answer after a half close") from e
