"""STORE, EXPUNGE, COPY and flags: RFC 3501 6.4.3, 6.4.6, 6.4.7, 2.3.2; RFC 4315, RFC 6851."""
import pytest

from imapc import parse_set


def flags_of(c, seq=1):
    return set(c.okay("FETCH %d FLAGS" % seq).one("FETCH").items["FLAGS"]) - {r"\Recent"}


def test_flags_replaces(box):
    c = box(1)
    c.okay(r"STORE 1 FLAGS (\Seen \Flagged)")
    r = c.okay(r"STORE 1 FLAGS (\Draft)")
    assert set(r.one("FETCH").items["FLAGS"]) - {r"\Recent"} == {r"\Draft"}
    assert flags_of(c) == {r"\Draft"}


def test_plus_flags_adds(box):
    c = box(1)
    c.okay(r"STORE 1 +FLAGS (\Seen)")
    c.okay(r"STORE 1 +FLAGS (\Flagged \Seen)")
    assert flags_of(c) == {r"\Seen", r"\Flagged"}


def test_minus_flags_removes(box):
    c = box(1)
    c.okay(r"STORE 1 FLAGS (\Seen \Flagged \Draft)")
    c.okay(r"STORE 1 -FLAGS (\Seen \Draft \Answered)")
    assert flags_of(c) == {r"\Flagged"}


def test_flags_without_parentheses(box):
    c = box(1)
    c.okay(r"STORE 1 +FLAGS \Seen \Flagged")
    assert flags_of(c) == {r"\Seen", r"\Flagged"}


def test_empty_list_removes_all(box):
    c = box(1)
    c.okay(r"STORE 1 FLAGS (\Seen kw)")
    c.okay("STORE 1 FLAGS ()")
    assert flags_of(c) == set()


def test_store_replace_keeps_recent(box):
    c = box(1)
    r = c.okay(r"STORE 1 FLAGS ()")
    assert r"\Recent" in r.one("FETCH").items["FLAGS"]


@pytest.mark.parametrize("item", ["FLAGS.SILENT", "+FLAGS.SILENT", "-FLAGS.SILENT"])
def test_silent_sends_no_flags(box, item):
    c = box(2)
    r = c.okay(r"STORE 1:2 %s (\Seen)" % item)
    assert [i for _, i in r.fetches() if "FLAGS" in i] == []


def test_store_answers_for_every_message_of_the_set(box):
    c = box(5)
    r = c.okay(r"STORE 2,4:5 +FLAGS (\Seen)")
    assert sorted(n for n, _ in r.fetches()) == [2, 4, 5]


def test_plain_store_that_changes_nothing_still_answers(box):
    """A user relies on it: the untagged FETCH is the answer of STORE, also for no change."""
    c = box(1)
    c.okay(r"STORE 1 +FLAGS (\Seen)")
    assert len(c.okay(r"STORE 1 +FLAGS (\Seen)").fetches()) == 1


def test_uid_store_answers_with_uid(box):
    c = box(3)
    r = c.okay(r"UID STORE 2 +FLAGS (\Seen)")
    n, items = r.fetches()[0]
    assert n == 2 and items["UID"] == 2


def test_uid_store_of_unknown_uids_is_ok_and_silent(box):
    """6.4.8: a non-existent unique identifier is ignored without any error message."""
    c = box(2)
    assert c.okay(r"UID STORE 100:200 +FLAGS (\Seen)").fetches() == []


def test_store_beyond_the_last_message_is_bad(box):
    c = box(2)
    assert not c.cmd(r"STORE 3 +FLAGS (\Seen)").ok
    assert not c.cmd(r"STORE 1:3 +FLAGS (\Seen)").ok


def test_star_is_the_last_message(box):
    c = box(3)
    assert [n for n, _ in c.okay(r"STORE * +FLAGS (\Seen)").fetches()] == [3]
    assert sorted(n for n, _ in c.okay(r"STORE *:2 +FLAGS (\Draft)").fetches()) == [2, 3]
    assert [i["UID"] for _, i in c.okay(r"UID STORE 9:* +FLAGS (\Seen)").fetches()] == [3]


def test_star_in_an_empty_mailbox(box):
    c = box(0)
    assert c.okay("UID FETCH 1:* FLAGS").fetches() == []
    assert c.okay("UID SEARCH UID 1:*").search() == []


def test_keywords_are_kept_as_spelt_and_compared_without_case(box):
    c = box(2)
    c.okay("STORE 1 +FLAGS (MyLabel $Forwarded)")
    assert flags_of(c) == {"MyLabel", "$Forwarded"}
    c.okay("STORE 2 +FLAGS (mylabel)")
    assert {f.lower() for f in flags_of(c, 2)} == {"mylabel"}
    assert c.okay("SEARCH KEYWORD MYLABEL").search() == [1, 2]
    c.okay("STORE 1 -FLAGS (MYLABEL)")
    assert flags_of(c) == {"$Forwarded"}


def test_system_flags_know_no_case(box):
    c = box(1)
    c.okay(r"STORE 1 +FLAGS (\SEEN \fLaGgEd)")
    assert flags_of(c) == {r"\Seen", r"\Flagged"}


def test_a_new_keyword_is_announced_before_its_use(box):
    """7.2.6: FLAGS lists what is in use; it must grow before a FETCH shows the new name."""
    c = box(1)
    r = c.okay("STORE 1 +FLAGS (brandnew)")
    names = [u.name for u in r.untagged]
    assert "FLAGS" in names and names.index("FLAGS") < names.index("FETCH")
    assert "brandnew" in r.one("FLAGS").values[0]


def test_other_sessions_learn_a_new_keyword_first_too(pair):
    a, b = pair(1)
    b.okay("STORE 1 +FLAGS (brandnew)")
    r = a.okay("NOOP")
    names = [u.name for u in r.untagged]
    assert names.index("FLAGS") < names.index("FETCH")


@pytest.mark.parametrize("name", ["a", "$Junk", "with.dot", "UPPER", "x" * 100, "under_score",
                                  "plus+", "#hash", "colon:", "a/b", "a=b", "1234"])
def test_any_atom_is_a_keyword(box, name):
    c = box(1)
    c.okay("STORE 1 +FLAGS (%s)" % name)
    assert str(name) in {str(f) for f in flags_of(c)}
    assert c.okay("SEARCH KEYWORD %s" % name).search() == [1]


@pytest.mark.parametrize("name", ["a(b", 'a"b', "a\\b", "a%b", "a*b", "a]b", "a{b", "é"])
def test_what_is_no_atom_is_no_keyword(box, name):
    c = box(1)
    assert c.cmd("STORE 1 +FLAGS (%s)" % name).bad
    assert c.okay("NOOP")


@pytest.mark.tidemark_only
def test_a_thousand_keywords_then_limit(box):
    c = box(1)
    made = 0
    while made < 1000:
        c.okay("STORE 1 +FLAGS.SILENT (%s)" % " ".join("k%d" % (made + i) for i in range(100)))
        made += 100
    assert len(flags_of(c)) == 1000
    assert r"\*" in c.select().codes()["PERMANENTFLAGS"][0]
    for _ in range(10):
        r = c.cmd("STORE 1 +FLAGS.SILENT (%s)" % " ".join("k%d" % (made + i) for i in range(100)))
        if not r.ok:
            break
        made += 100
    assert r.no and r.code == "LIMIT"
    while c.cmd("STORE 1 +FLAGS.SILENT (m%d)" % made).ok:
        made += 1
    assert r"\*" not in c.select().codes()["PERMANENTFLAGS"][0]
    assert c.okay("STORE 1 +FLAGS (k5)")


@pytest.mark.tidemark_only
def test_unused_keyword_slots_are_used_again(box):
    c = box(1)
    for start in range(0, 3000, 500):
        c.okay("STORE 1 FLAGS (%s)" % " ".join("s%d" % (start + i) for i in range(500)))
    assert len(flags_of(c)) == 500


def test_flags_are_seen_by_a_later_session(connect, account, fill):
    a = connect(account)
    fill(a, "INBOX", 1)
    a.select()
    a.okay(r"STORE 1 +FLAGS (\Answered kw)")
    b = connect(account, select="INBOX")
    assert flags_of(b) == {r"\Answered", "kw"}


# --- EXPUNGE

def test_expunge_removes_what_is_deleted_and_renumbers(box):
    c = box(5)
    c.okay(r"STORE 2,4 +FLAGS.SILENT (\Deleted)")
    r = c.okay("EXPUNGE")
    assert sorted(r.expunged()) in ([2, 3], [2, 4])
    assert [i["UID"] for _, i in c.okay("FETCH 1:* UID").fetches()] == [1, 3, 5]


def test_expunge_of_all(box):
    c = box(3)
    c.okay(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    assert len(c.okay("EXPUNGE").expunged()) == 3
    assert c.okay("SEARCH ALL").search() == []


def test_expunge_of_nothing(box):
    c = box(2)
    assert c.okay("EXPUNGE").expunged() == []


def test_uids_are_never_used_again(box, fill):
    c = box(2)
    c.okay(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    fill(c, "INBOX", 1)
    assert c.okay("UID SEARCH ALL").search() == [3]


@pytest.mark.needs("UIDPLUS")
def test_uid_expunge_removes_only_what_is_named_and_deleted(box):
    """RFC 4315 2.1."""
    c = box(5)
    c.okay(r"STORE 2:4 +FLAGS.SILENT (\Deleted)")
    assert len(c.okay("UID EXPUNGE 1:3").expunged()) == 2
    assert c.okay("UID SEARCH ALL").search() == [1, 4, 5]


@pytest.mark.tidemark_only
@pytest.mark.parametrize("how", ["CLOSE", "EXPUNGE"])
def test_expunge_takes_nothing_that_was_never_announced(pair, fill, how):
    """IMAP.md section 6: a mail that arrived deleted since the last news is not removed unseen.

    CLOSE tells nothing, so it must leave the newcomer; EXPUNGE works on what was in the view
    when it came.
    """
    a, b = pair(2)
    fill(b, "INBOX", 1, flags=r"\Deleted")
    a.okay(how)
    assert b.okay("NOOP") and b.okay("UID SEARCH ALL").search() == [1, 2, 3]


# --- COPY, MOVE

def test_copy_keeps_flags_and_internaldate(box):
    """6.4.7: the flags and internal date of the message(s) SHOULD be preserved."""
    c = box(2)
    c.okay("CREATE target")
    c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged kw)")
    date = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"]
    body = c.okay("FETCH 1 BODY.PEEK[]").one("FETCH").items["BODY[]"]
    c.okay("COPY 1:2 target")
    assert c.select("target").one("EXISTS").number == 2
    items = c.okay("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])").one("FETCH").items
    assert {r"\Flagged", "kw"} <= set(items["FLAGS"])
    assert items["INTERNALDATE"] == date and items["BODY[]"] == body


def test_copies_are_recent(box):
    """6.4.7: ... SHOULD be preserved, and the Recent flag SHOULD be set, in the copy."""
    c = box(1)
    c.okay("CREATE target")
    c.okay("COPY 1 target")
    assert c.select("target").one("RECENT").number == 1


@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
def test_to_a_mailbox_that_does_not_exist_is_trycreate(box, verb):
    c = box(1)
    r = c.cmd(verb + " 1 nowhere")
    assert r.no and r.code == "TRYCREATE"
    assert c.okay("SEARCH ALL").search() == [1]


def test_copy_into_the_same_mailbox(box):
    c = box(2)
    r = c.okay("COPY 1:2 INBOX")
    if not r.has("EXISTS"):
        r = c.okay("NOOP")
    assert r.one("EXISTS").number == 4


@pytest.mark.needs("UIDPLUS")
def test_copyuid_pairs_sources_and_copies(box, fill):
    """RFC 4315 3: COPYUID uidvalidity, source set, target set, in corresponding order."""
    c = box(5)
    c.okay("CREATE target")
    fill(c, "target", 2)
    validity = c.okay("STATUS target (UIDVALIDITY)").one("STATUS").values[1][1]
    r = c.okay("UID COPY 2,4:5 target")
    assert r.code == "COPYUID"
    assert r.code_args[0] == validity
    assert parse_set(r.code_args[1]) == [2, 4, 5]
    assert parse_set(r.code_args[2]) == [3, 4, 5]


@pytest.mark.needs("UIDPLUS")
def test_copyuid_in_any_order_of_the_command_maps_right(box):
    c = box(4)
    c.okay("CREATE target")
    r = c.okay("UID COPY 4,1:2 target")
    pairs = dict(zip(parse_set(r.code_args[1]), parse_set(r.code_args[2])))
    subjects = {u: i["ENVELOPE"][1] for u, i in c.okay("UID FETCH 1:* ENVELOPE").by_uid().items()}
    c.select("target")
    there = {u: i["ENVELOPE"][1] for u, i in c.okay("UID FETCH 1:* ENVELOPE").by_uid().items()}
    assert {there[t]: s for s, t in pairs.items()} == {subjects[s]: s for s in (1, 2, 4)}


def test_uid_copy_of_unknown_uids_is_ok_without_copyuid(box):
    """RFC 4315 3: if nothing was copied there is no COPYUID."""
    c = box(1)
    c.okay("CREATE target")
    r = c.okay("UID COPY 50:60 target")
    assert r.code != "COPYUID"
    assert c.okay("STATUS target (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]


@pytest.mark.needs("MOVE")
def test_move_sends_copyuid_before_expunge(box):
    """RFC 6851 4.3: COPYUID untagged OK first, so that the client can map; then EXPUNGE."""
    c = box(4)
    c.okay("CREATE target")
    r = c.okay("UID MOVE 2:3 target")
    kinds = ["COPYUID" if u.code == "COPYUID" else u.name for u in r.untagged]
    assert "COPYUID" in kinds and kinds.index("COPYUID") < kinds.index("EXPUNGE")
    assert len(r.expunged()) == 2
    assert c.okay("UID SEARCH ALL").search() == [1, 4]
    assert c.okay("STATUS target (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 2]


@pytest.mark.needs("MOVE")
def test_move_by_number(box):
    c = box(3)
    c.okay("CREATE target")
    assert c.okay("MOVE 1,3 target").expunged()
    assert c.okay("UID SEARCH ALL").search() == [2]


@pytest.mark.needs("MOVE")
def test_move_moves_only_what_is_named_whatever_is_deleted(box):
    """RFC 6851 3.3: MOVE is not COPY, STORE \\Deleted, EXPUNGE: others stay."""
    c = box(3)
    c.okay("CREATE target")
    c.okay(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    c.okay("MOVE 2 target")
    assert c.okay("UID SEARCH ALL").search() == [1, 3]
    c.select("target")
    assert r"\Deleted" not in c.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


@pytest.mark.needs("MOVE")
def test_move_keeps_flags_keywords_and_date(box):
    c = box(1)
    c.okay("CREATE target")
    c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged kw)")
    date = c.okay("FETCH 1 INTERNALDATE").one("FETCH").items["INTERNALDATE"]
    c.okay("MOVE 1 target")
    c.select("target")
    items = c.okay("FETCH 1 (FLAGS INTERNALDATE)").one("FETCH").items
    assert {r"\Flagged", "kw"} <= set(items["FLAGS"]) and items["INTERNALDATE"] == date


@pytest.mark.tidemark_only
def test_move_of_unknown_uids_is_ok(box):
    c = box(1)
    c.okay("CREATE target")
    r = c.okay("UID MOVE 50 target")
    assert r.expunged() == [] and "COPYUID" not in r.codes()


def test_more_keywords_of_the_source_are_made_in_the_target(box):
    c = box(1)
    c.okay("CREATE target")
    names = ["kw%d" % i for i in range(40)]
    c.okay("STORE 1 +FLAGS.SILENT (%s)" % " ".join(names))
    c.okay("COPY 1 target")
    c.select("target")
    assert set(names) <= flags_of(c)
