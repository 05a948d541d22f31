"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK: RFC 3501 6.3.1, 6.3.2, 6.4.1, 6.4.2; RFC 3691."""
import pytest

SYSTEM = {r"\Seen", r"\Answered", r"\Flagged", r"\Deleted", r"\Draft"}


def test_select_says_all_it_must(c, fill):
    fill(c, "INBOX", 3)
    r = c.select()
    assert r.one("EXISTS").number == 3
    assert r.one("RECENT").number == 3
    assert SYSTEM <= set(r.one("FLAGS").values[0])
    codes = r.codes()
    assert codes["UIDNEXT"] == [4]
    assert codes["UIDVALIDITY"][0] > 0
    assert codes["UNSEEN"] == [1]
    assert SYSTEM | {r"\*"} <= set(codes["PERMANENTFLAGS"][0])
    assert r.code == "READ-WRITE"


def test_select_of_an_empty_mailbox(c):
    r = c.select()
    assert r.one("EXISTS").number == 0 and r.one("RECENT").number == 0
    assert "UNSEEN" not in r.codes()
    assert r.codes()["UIDNEXT"] == [1]


def test_unseen_is_the_first_unseen_number(c, fill):
    fill(c, "INBOX", 4)
    c.select()
    c.okay(r"STORE 1:2 +FLAGS.SILENT (\Seen)")
    assert c.select().codes()["UNSEEN"] == [3]
    c.okay(r"STORE 3:4 +FLAGS.SILENT (\Seen)")
    assert "UNSEEN" not in c.select().codes()


@pytest.mark.parametrize("name", ["INBOX", "inbox", "InBoX", '"iNbOx"'])
def test_inbox_knows_no_case(c, fill, name):
    fill(c, "INBOX", 1)
    assert c.okay("SELECT " + name).one("EXISTS").number == 1


def test_select_of_what_does_not_exist_is_no_nonexistent(c):
    r = c.cmd("SELECT nowhere")
    assert r.no
    assert r.code in ("NONEXISTENT", None)


@pytest.mark.tidemark_only
def test_select_nonexistent_has_the_response_code(c):
    assert c.cmd("SELECT nowhere").code == "NONEXISTENT"


def test_a_failed_select_leaves_no_mailbox_selected(box):
    """6.3.1: ... no mailbox is selected if the SELECT fails."""
    c = box(1)
    assert c.cmd("SELECT nowhere").no
    assert c.cmd("FETCH 1 FLAGS").bad


def test_a_malformed_select_keeps_the_mailbox(box):
    """BAD is a command that did not take place."""
    c = box(1)
    assert c.cmd("SELECT").bad
    assert c.cmd("FETCH 1 FLAGS").ok


def test_closed_response_code_when_a_mailbox_is_left(box):
    """RFC 7162 3.2.11: CLOSED stands between the old mailbox's data and the new one's."""
    c = box(1)
    c.okay("CREATE other")
    c.okay("ENABLE QRESYNC")
    r = c.select("other")
    assert r.untagged[0].code == "CLOSED"
    assert "CLOSED" in c.cmd("SELECT nowhere").codes()
    assert "CLOSED" not in c.select("INBOX").codes()


def test_examine_is_read_only(c, fill):
    fill(c, "INBOX", 2)
    r = c.okay("EXAMINE INBOX")
    assert r.code == "READ-ONLY"
    assert not [f for f in r.codes().get("PERMANENTFLAGS", [[]])[0] if f != r"\*"]
    for command in (r"STORE 1 +FLAGS (\Seen)", "EXPUNGE", "UID EXPUNGE 1", "MOVE 1 INBOX"):
        assert not c.cmd(command).ok, command
    assert r"\Seen" not in c.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


def test_fetching_a_body_under_examine_sets_nothing(c, fill):
    fill(c, "INBOX", 1)
    c.okay("EXAMINE INBOX")
    c.okay("FETCH 1 BODY[]")
    assert r"\Seen" not in c.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


def test_close_under_examine_removes_nothing(c, fill):
    fill(c, "INBOX", 2, flags=r"\Deleted")
    c.okay("EXAMINE INBOX")
    c.okay("CLOSE")
    assert c.select().one("EXISTS").number == 2


def test_examine_then_select_gives_write_access_back(c, fill):
    fill(c, "INBOX", 1)
    c.okay("EXAMINE INBOX")
    c.okay("SELECT INBOX")
    assert c.okay(r"STORE 1 +FLAGS (\Seen)")


def test_close_removes_deleted_silently(c, fill):
    """6.4.2: no untagged EXPUNGE are sent."""
    fill(c, "INBOX", 4)
    c.select()
    c.okay(r"STORE 2:3 +FLAGS.SILENT (\Deleted)")
    r = c.okay("CLOSE")
    assert not r.has("EXPUNGE") and not r.has("VANISHED") and r.code is None
    assert c.cmd("FETCH 1 FLAGS").bad
    assert c.select().one("EXISTS").number == 2


@pytest.mark.needs("UNSELECT")
def test_unselect_removes_nothing(c, fill):
    fill(c, "INBOX", 2, flags=r"\Deleted")
    c.select()
    c.okay("UNSELECT")
    assert c.cmd("FETCH 1 FLAGS").bad
    assert c.select().one("EXISTS").number == 2


@pytest.mark.parametrize("how", ["SELECT other", "EXAMINE other", "LOGOUT"])
def test_leaving_otherwise_removes_nothing(connect, account, fill, how):
    c = connect(account)
    c.okay("CREATE other")
    fill(c, "INBOX", 2, flags=r"\Deleted")
    c.select()
    c.okay(how)
    assert connect(account).select().one("EXISTS").number == 2


def test_check_is_ok_and_answers_with_news(pair):
    a, b = pair(1)
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    assert a.okay("CHECK").has("FETCH")


def test_selecting_the_same_mailbox_again_is_a_fresh_start(c, fill):
    fill(c, "INBOX", 2)
    c.select()
    fill(c, "INBOX", 1)
    assert c.select().one("EXISTS").number == 3


def test_uidvalidity_and_uidnext_stay(connect, account, fill):
    a = connect(account)
    fill(a, "INBOX", 3)
    before = a.select().codes()
    a.okay(r"STORE 1:3 +FLAGS.SILENT (\Deleted)")
    a.okay("EXPUNGE")
    after = connect(account).select().codes()
    assert after["UIDVALIDITY"] == before["UIDVALIDITY"]
    assert after["UIDNEXT"] == [4]


def test_recent_is_given_to_one_session_only(connect, account, fill):
    """2.3.2: if multiple connections have the mailbox open, only one gets the \\Recent."""
    a, b = connect(account), connect(account)
    fill(a, "INBOX", 2)
    ra, rb = a.select(), b.select()
    assert [ra.one("RECENT").number, rb.one("RECENT").number] == [2, 0]
    assert r"\Recent" in a.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]
    assert r"\Recent" not in b.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]
    assert a.select().one("RECENT").number == 0


def test_examine_and_status_do_not_take_recent(connect, account, fill):
    c = connect(account)
    fill(c, "INBOX", 2)
    assert c.okay("EXAMINE INBOX").one("RECENT").number == 2
    c.okay("UNSELECT")
    assert c.okay("STATUS INBOX (RECENT)").one("STATUS").values[1] == ["RECENT", 2]
    assert c.select().one("RECENT").number == 2


def test_search_recent_new_old(c, fill):
    fill(c, "INBOX", 2)
    c.select()
    c.okay(r"STORE 1 +FLAGS.SILENT (\Seen)")
    assert c.okay("SEARCH RECENT").search() == [1, 2]
    assert c.okay("SEARCH NEW").search() == [2]
    assert c.okay("SEARCH OLD").search() == []


def test_select_of_a_noselect_parent_is_no(c):
    c.okay("CREATE parent/child")
    names = {r.values[2]: r.values[0] for r in c.okay('LIST "" "parent*"').all("LIST")}
    parent = names.get("parent", names.get(b"parent"))
    if parent and any(f.lower() in (r"\noselect", r"\nonexistent") for f in parent):
        assert c.cmd("SELECT parent").no
