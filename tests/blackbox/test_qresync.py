"""QRESYNC: RFC 7162 section 3.2, clause by clause, with what IMAP.md decides (section 5)."""
import pytest

from imapc import Lit

pytestmark = pytest.mark.needs("QRESYNC")

TOP = 2**63 - 1


class Known:
    """What a client keeps of a mailbox between two connections."""

    def __init__(self, select_result):
        codes = select_result.codes()
        self.validity = codes["UIDVALIDITY"][0]
        self.modseq = codes["HIGHESTMODSEQ"][0]
        self.uidnext = codes["UIDNEXT"][0]

    def params(self, uids=None, match=None, modseq=None, validity=None):
        parts = [str(validity or self.validity), str(self.modseq if modseq is None else modseq)]
        if uids:
            parts.append(uids)
        if match:
            parts.append("(%s %s)" % match)
        return "(QRESYNC (%s))" % " ".join(parts)


@pytest.fixture
def open_q(connect, account):
    """A session with QRESYNC enabled and nothing selected."""
    def make():
        c = connect(account)
        r = c.okay("ENABLE QRESYNC")
        assert "QRESYNC" in [str(v).upper() for v in r.one("ENABLED").values]
        return c
    return make


@pytest.fixture
def synced(open_q, fill):
    """(session, Known) on INBOX of n mails."""
    def make(n=10):
        c = open_q()
        fill(c, "INBOX", n)
        return c, Known(c.select())
    return make


def delete(c, uids):
    """Mark and expunge; returns the EXPUNGE's result."""
    c.okay(r"UID STORE %s +FLAGS.SILENT (\Deleted)" % uids)
    return c.okay("EXPUNGE")


def told(r):
    """(vanished earlier, uids of FETCH) of a resynchronisation."""
    return sorted(r.vanished(earlier=True)), sorted(i["UID"] for _, i in r.fetches())


# --- 3.2: numbers

@pytest.mark.parametrize("how", ["EXPUNGE", "UID EXPUNGE", "CLOSE", "MOVE"])
def test_expunging_raises_the_mailbox_and_is_remembered(synced, open_q, how):
    """MUST increment due to EXPUNGE, UID EXPUNGE, CLOSE, MOVE, and remember the UIDs with it."""
    c, known = synced(5)
    if how == "MOVE":
        c.okay("CREATE t")
        c.okay("UID MOVE 2,4 t")
    else:
        c.okay(r"UID STORE 2,4 +FLAGS.SILENT (\Deleted)")
        c.okay(how + (" 1:*" if how == "UID EXPUNGE" else ""))
    d = open_q()
    r = d.select("INBOX", known.params())
    assert Known(r).modseq > known.modseq
    assert told(r)[0] == [2, 4]


def test_the_expunges_modseq_is_above_all_before(synced, open_q):
    c, _ = synced(5)
    c.okay("STORE 1 +FLAGS.SILENT (x)")
    between = c.okay("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").values[1][1]
    r = delete(c, "3")
    assert r.code == "HIGHESTMODSEQ" and r.code_args[0] > between
    d = open_q()
    assert told(d.select("INBOX", "(QRESYNC (%d %d))" % (
        d.okay("STATUS INBOX (UIDVALIDITY)").one("STATUS").values[1][1],
        r.code_args[0])))[0] == []


def test_expunge_of_nothing_raises_nothing(synced):
    c, known = synced(3)
    r = c.okay("EXPUNGE")
    assert r.vanished() == []
    assert c.okay("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").values[1][1] == known.modseq


# --- 3.2.2, 3.2.3: capability and ENABLE

def test_capabilities(c):
    caps = c.capabilities()
    assert {"QRESYNC", "CONDSTORE", "ENABLE"} <= set(caps)


@pytest.mark.parametrize("line", ["ENABLE QRESYNC", "ENABLE QRESYNC CONDSTORE",
                                  "ENABLE CONDSTORE QRESYNC", "enable qresync"])
def test_enable_forms_have_the_same_result(connect, account, fill, line):
    c = connect(account)
    fill(c, "INBOX", 1)
    c.okay(line)
    c.select()
    r = c.okay("STORE 1 +FLAGS.SILENT (x)")
    assert "MODSEQ" in r.fetches()[0][1]
    assert delete(c, "1").vanished() == [1]


@pytest.mark.parametrize("line", ["SELECT INBOX (QRESYNC (1 1))", "EXAMINE INBOX (QRESYNC (1 1))"])
def test_select_qresync_without_enable_is_bad(c, line):
    assert c.cmd(line).bad


@pytest.mark.parametrize("first", ["ENABLE CONDSTORE", "NOOP"])
def test_vanished_modifier_without_enable_is_bad(c, fill, first):
    fill(c, "INBOX", 1)
    c.okay(first)
    c.select()
    assert c.cmd("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").bad


@pytest.mark.tidemark_only
def test_enable_qresync_while_selected(box):
    """IMAP.md section 5: it turns all later EXPUNGE into VANISHED."""
    c = box(3)
    r = c.okay("ENABLE QRESYNC")
    assert "HIGHESTMODSEQ" in r.codes()
    assert delete(c, "2").vanished() == [2]


# --- 3.2.4: UID and MODSEQ everywhere

def test_own_and_foreign_stores_tell_uid_and_modseq(pair):
    a, b = pair(3, enable="QRESYNC")
    for r in (a.okay("STORE 2 +FLAGS (x)"), b.okay("NOOP"),
              a.okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Draft)" % TOP), b.okay("NOOP"),
              a.okay("FETCH 3 BODY[]"), b.okay("NOOP")):
        joined = {}
        for n, items in r.fetches():
            joined.setdefault(n, {}).update(items)
        assert joined and all({"UID", "MODSEQ"} <= set(items) for items in joined.values())


def test_a_plain_fetch_is_not_burdened(synced):
    """... this rule doesn't affect FETCH responses caused by a FETCH without those items."""
    c, _ = synced(1)
    assert set(c.okay("FETCH 1 RFC822.SIZE").one("FETCH").items) <= {"RFC822.SIZE", "UID"}


# --- 3.2.5: SELECT (QRESYNC ...)

@pytest.mark.parametrize("verb", ["SELECT", "EXAMINE"])
def test_nothing_changed_nothing_told(synced, open_q, verb):
    _, known = synced(5)
    r = open_q().okay("%s INBOX %s" % (verb, known.params()))
    assert told(r) == ([], [])
    assert Known(r).modseq == known.modseq


def test_all_of_select_is_still_there(synced, open_q):
    """The server MUST send all untagged responses of SELECT."""
    _, known = synced(5)
    r = open_q().select("INBOX", known.params())
    assert r.one("EXISTS").number == 5 and r.has("RECENT") and r.has("FLAGS")
    assert {"UIDVALIDITY", "UIDNEXT", "PERMANENTFLAGS", "UNSEEN", "HIGHESTMODSEQ"} <= set(r.codes())


def test_changes_and_expunges_since(synced, open_q, fill):
    c, known = synced(10)
    c.okay("UID STORE 3,5 +FLAGS.SILENT (x)")
    delete(c, "2,7:8")
    fill(c, "INBOX", 1)
    r = open_q().select("INBOX", known.params())
    assert told(r) == ([2, 7, 8], [3, 5, 11])
    for _, items in r.fetches():
        assert {"UID", "FLAGS", "MODSEQ"} <= set(items) and items["MODSEQ"][0] > known.modseq


def test_vanished_comes_before_fetch_and_exists_before_both(synced, open_q):
    c, known = synced(5)
    c.okay("UID STORE 3 +FLAGS.SILENT (x)")
    delete(c, "2")
    r = open_q().select("INBOX", known.params())
    names = [u.name for u in r.untagged]
    assert names.index("EXISTS") < names.index("VANISHED") < names.index("FETCH")


def test_flag_changed_then_expunged_is_only_vanished(synced, open_q):
    c, known = synced(5)
    c.okay("UID STORE 3 +FLAGS.SILENT (x)")
    delete(c, "3")
    assert told(open_q().select("INBOX", known.params())) == ([3], [])


def test_known_uids_restrict_both(synced, open_q):
    c, known = synced(10)
    c.okay("UID STORE 1,6 +FLAGS.SILENT (x)")
    delete(c, "2,7")
    r = open_q().select("INBOX", known.params(uids="1:5"))
    assert told(r) == ([2], [1])


def test_another_uidvalidity_is_a_plain_select(synced, open_q):
    """... MUST ignore the remaining parameters and behave as if nothing changed."""
    c, known = synced(5)
    c.okay("UID STORE 3 +FLAGS.SILENT (x)")
    delete(c, "2")
    r = open_q().select("INBOX", known.params(validity=known.validity + 1))
    assert told(r) == ([], []) and r.one("EXISTS").number == 4


@pytest.mark.parametrize("params", [
    "(QRESYNC)", "(QRESYNC ())", "(QRESYNC (1))", "(QRESYNC (x 1))", "(QRESYNC (1 x))",
    "(QRESYNC (0 1))", "(QRESYNC (1 1 *))", "(QRESYNC (1 1 1:*))", "(QRESYNC (1 1 1 (1)))",
    "(QRESYNC (1 1 1 (1 2 3)))", "(QRESYNC (1 1 1 (* *)))", "(QRESYNC (1 1 x))",
    "(QRESYNC (1 1 1 (1 2) 3))", "(QRESYNC (1 9223372036854775808))", "(QRESYNC (1 -1))",
    "(QRESYNC (4294967296 1))", "(QRESYNC (1 1) FOO)", "(QRESYNC (1 1)"])
def test_broken_parameters_are_bad_and_leave_the_mailbox_unselected(open_q, params):
    c = open_q()
    assert c.cmd("SELECT INBOX " + params).bad
    assert not c.cmd("FETCH 1 FLAGS").ok


@pytest.mark.tidemark_only
def test_libetpans_missing_parentheses(synced, open_q):
    """IMAP.md section 10: `SELECT box QRESYNC (v m)` is seen; BAD or taken, never plain."""
    c, known = synced(3)
    delete(c, "2")
    r = open_q().cmd("SELECT INBOX QRESYNC (%d %d)" % (known.validity, known.modseq))
    assert r.bad or r.vanished(earlier=True) == [2]


def test_evolutions_way_of_selecting(synced, open_q):
    """Known UIDs and sequence match data at once; pipelined after ENABLE."""
    c, known = synced(10)
    delete(c, "4")
    r = open_q().select("INBOX", known.params(uids="1:10", match=("1,3,9", "1,3,10")))
    assert told(r)[0] == [4]


def test_neomutts_parameters_together(synced, open_q):
    _, known = synced(2)
    assert open_q().select("INBOX", "(CONDSTORE)")
    assert open_q().cmd("SELECT INBOX (CONDSTORE QRESYNC (%d %d))" % (
        known.validity, known.modseq)).ok


def test_uids_beyond_the_highest_that_exists(synced, open_q):
    """The issue: never missing an expunge, also for 1:* and UIDs above the highest that exists."""
    c, known = synced(5)
    delete(c, "4:5")
    assert told(open_q().select("INBOX", known.params()))[0] == [4, 5]
    d = open_q()
    d.select()
    r = d.okay("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known.modseq)
    assert sorted(r.vanished(earlier=True)) == [4, 5]


def test_everything_expunged(synced, open_q):
    c, known = synced(5)
    delete(c, "1:5")
    r = open_q().select("INBOX", known.params())
    assert told(r) == ([1, 2, 3, 4, 5], []) and r.one("EXISTS").number == 0
    assert Known(r).modseq > known.modseq


def test_in_a_mailbox_that_never_had_a_message(open_q):
    c = open_q()
    known = Known(c.select())
    assert told(open_q().select("INBOX", known.params())) == ([], [])


@pytest.mark.tidemark_only
def test_vanished_is_exact(synced, open_q):
    """IMAP.md section 5: with M at or above the horizon: what went after M, no more."""
    c, known = synced(20)
    delete(c, "3,5")
    middle = c.okay("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").values[1][1]
    delete(c, "7,9:10")
    assert told(open_q().select("INBOX", known.params()))[0] == [3, 5, 7, 9, 10]
    assert told(open_q().select("INBOX", known.params(modseq=middle)))[0] == [7, 9, 10]


def test_vanished_is_compact(synced, open_q):
    c, known = synced(30)
    delete(c, "5:25")
    r = open_q().select("INBOX", known.params())
    assert b"5:25" in b"".join(x.raw for x in r.all("VANISHED"))


def test_mail_that_came_and_went_meanwhile_may_be_named(synced, open_q, fill):
    """Such UIDs were never known to the client: naming them is allowed, missing others is not."""
    c, known = synced(3)
    fill(c, "INBOX", 2)
    c.okay("NOOP")
    delete(c, "2,4")
    gone = told(open_q().select("INBOX", known.params()))[0]
    assert 2 in gone and set(gone) <= {2, 4}


@pytest.mark.tidemark_only
@pytest.mark.slow
def test_older_than_the_horizon_is_right_only_longer(open_q):
    """More expunges than VANISHED_MAX_ROWS: every missing UID of the set is named."""
    c = open_q()
    total = 2000
    for _ in range(4):
        parts = ["APPEND INBOX"]
        for _ in range(total // 4):
            parts += [" ", Lit(b"Subject: x\r\n\r\n", plus=True)]
        c.okay(*parts)
    known = Known(c.select())
    c.okay(r"UID STORE 1:%d +FLAGS.SILENT (\Deleted)" % (total - 10))
    tags = [c.send("UID EXPUNGE %d" % u) for u in range(1, total - 10, 2)]
    for t in tags:
        c.wait(t)
    gone = told(open_q().select("INBOX", known.params()))[0]
    assert gone == list(range(1, total - 10, 2))


# --- 3.2.5.2: sequence match data

def test_match_data_never_hides_a_change(synced, open_q):
    c, known = synced(10)
    delete(c, "4")
    c.okay("UID STORE 2 +FLAGS.SILENT (x)")
    r = open_q().select("INBOX", known.params(uids="1:10", match=("1:10", "1:10")))
    assert told(r) == ([4], [2])


@pytest.mark.tidemark_only
def test_match_data_is_not_used_while_the_log_reaches_back(synced, open_q):
    """IMAP.md section 5: only if M < H; else the exact answer is known anyway."""
    c, known = synced(10)
    delete(c, "4")
    r = open_q().select("INBOX", known.params(uids="1:10", match=("1,9", "1,10")))
    assert told(r)[0] == [4]


@pytest.mark.parametrize("match", [("3,2", "5,6"), ("2,3", "6,5"), ("1,2", "1")])
def test_match_data_that_do_not_ascend_do_no_harm(synced, open_q, match):
    """Both MUST be provided in ascending order: BAD, or ignored."""
    c, known = synced(10)
    delete(c, "4")
    r = open_q().cmd("SELECT INBOX " + known.params(uids="1:10", match=match))
    assert r.bad or 4 in told(r)[0]


# --- 3.2.6: UID FETCH (CHANGEDSINCE m VANISHED)

def test_vanished_modifier(synced, open_q):
    c, known = synced(10)
    c.okay("UID STORE 8 +FLAGS.SILENT (x)")
    delete(c, "3,6")
    d = open_q()
    d.select()
    r = d.okay("UID FETCH 1:10 (FLAGS) (CHANGEDSINCE %d VANISHED)" % known.modseq)
    assert told(r) == ([3, 6], [8])
    names = [u.name for u in r.untagged]
    assert names.index("VANISHED") < names.index("FETCH")


def test_vanished_modifier_within_its_set(synced, open_q):
    c, known = synced(10)
    delete(c, "3,6")
    d = open_q()
    d.select()
    r = d.okay("UID FETCH 4:10 (FLAGS) (CHANGEDSINCE %d VANISHED)" % known.modseq)
    assert told(r)[0] == [6]


def test_vanished_modifier_since_the_present_is_empty(synced):
    c, known = synced(5)
    now = delete(c, "2").code_args[0]
    r = c.okay("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % now)
    assert told(r) == ([], []) and known


def test_vanished_modifier_does_not_touch_sequence_numbers(synced):
    """3.2.10.1: VANISHED (EARLIER) is not counted down; the mirror would raise."""
    c, known = synced(5)
    delete(c, "2")
    c.okay("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known.modseq)
    assert [i["UID"] for _, i in c.okay("FETCH 1:* UID").fetches()] == [1, 3, 4, 5]


@pytest.mark.parametrize("line", [
    "FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1:* (FLAGS) (VANISHED)",
    "UID FETCH 1:* (FLAGS) (VANISHED VANISHED CHANGEDSINCE 1)"])
def test_vanished_modifier_wrongly_used_is_bad(synced, line):
    """Not with FETCH; only together with CHANGEDSINCE."""
    c, _ = synced(2)
    assert c.cmd(line).bad


def test_vanished_before_changedsince_is_the_same(synced):
    c, known = synced(5)
    delete(c, "2")
    r = c.okay("UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE %d)" % known.modseq)
    assert told(r)[0] == [2]


def test_modseq_too_old_to_be_known_reports_all_expunged(synced, open_q):
    """A modseq below the smallest remembered MUST behave as if all expunged were asked for."""
    c, _ = synced(6)
    delete(c, "2")
    delete(c, "4:5")
    d = open_q()
    d.select()
    r = d.okay("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    assert sorted(r.vanished(earlier=True)) == [2, 4, 5]


# --- 3.2.7 to 3.2.9

def test_expunge_ends_with_highestmodseq(synced):
    c, known = synced(5)
    r = delete(c, "2,4")
    assert r.vanished() == [2, 4] and r.expunged() == []
    assert r.code == "HIGHESTMODSEQ" and r.code_args[0] > known.modseq
    assert c.okay("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").values[1][1] == r.code_args[0]


def test_uid_expunge_ends_with_highestmodseq(synced):
    c, known = synced(5)
    c.okay(r"UID STORE 2:4 +FLAGS.SILENT (\Deleted)")
    r = c.okay("UID EXPUNGE 3:9")
    assert sorted(r.vanished()) == [3, 4]
    assert r.code == "HIGHESTMODSEQ" and r.code_args[0] > known.modseq


def test_close_has_no_highestmodseq_and_says_nothing(synced, open_q):
    """3.2.8: MUST NOT send HIGHESTMODSEQ in the tagged OK; no VANISHED."""
    c, known = synced(5)
    c.okay(r"UID STORE 2 +FLAGS.SILENT (\Deleted)")
    r = c.okay("CLOSE")
    assert r.untagged == [] and r.code is None
    assert told(open_q().select("INBOX", known.params()))[0] == [2]


def test_move_ends_with_highestmodseq(synced):
    """IMAP.md section 3: [HIGHESTMODSEQ T] always (6851 4.4)."""
    c, known = synced(5)
    c.okay("CREATE t")
    r = c.okay("UID MOVE 2 t")
    assert r.vanished() == [2]
    assert r.codes()["HIGHESTMODSEQ"][0] > known.modseq


# --- 3.2.10: VANISHED

def test_foreign_expunges_are_vanished(pair):
    a, b = pair(5, enable="QRESYNC")
    delete(b, "2,4")
    r = a.okay("NOOP")
    assert sorted(r.vanished()) == [2, 4] and r.expunged() == []
    assert [i["UID"] for _, i in a.okay("FETCH 1:* UID").fetches()] == [1, 3, 5]


def test_vanished_without_earlier_tag(pair):
    a, b = pair(3, enable="QRESYNC")
    delete(b, "2")
    r = a.okay("NOOP")
    assert r.vanished(earlier=True) == [] and r.vanished() == [2]


def test_the_two_forms_are_not_combined(pair):
    """3.2.10: a foreign expunge that was not told yet is told once, without EARLIER; whether the
    VANISHED (EARLIER) of the same command repeats it is free."""
    a, b = pair(6, enable="QRESYNC")
    known = a.okay("STATUS INBOX (HIGHESTMODSEQ)").one("STATUS").values[1][1]
    delete(b, "2")
    r = a.okay("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE %d VANISHED)" % known)
    assert set(r.vanished(earlier=True)) <= {2}
    assert (r.vanished() + a.okay("NOOP").vanished()) == [2]


def test_only_what_was_announced_vanishes(pair, fill):
    """MUST NOT send UIDs of messages that were not announced to the client via EXISTS."""
    a, b = pair(2, enable="QRESYNC")
    fill(b, "INBOX", 1)
    b.okay("NOOP")
    delete(b, "3")
    r = a.okay("NOOP")
    assert 3 not in r.vanished()
    assert [i["UID"] for _, i in a.okay("FETCH 1:* UID").fetches()] == [1, 2]


@pytest.mark.parametrize("command", ["FETCH 1 FLAGS", r"STORE 1 +FLAGS (\Seen)", "SEARCH ALL",
                                     "SEARCH 1:2"])
def test_vanished_is_held_during_commands_with_numbers(pair, command):
    """MUST NOT be sent while responding to FETCH, STORE, SEARCH."""
    a, b = pair(4, enable="QRESYNC")
    delete(b, "3")
    r = a.okay(command)
    assert r.vanished() == []
    assert a.okay("NOOP").vanished() == [3]


@pytest.mark.parametrize("command", ["UID SEARCH 1:2", "UID SEARCH NOT 4", "UID SEARCH OR 1 2"])
def test_vanished_is_held_during_uid_search_with_numbers(pair, command):
    a, b = pair(4, enable="QRESYNC")
    delete(b, "3")
    assert a.okay(command).vanished() == []
    assert a.okay("NOOP").vanished() == [3]


@pytest.mark.parametrize("command", ["UID FETCH 1 FLAGS", r"UID STORE 1 +FLAGS (\Seen)",
                                     "UID SEARCH ALL", "UID SEARCH UID 1:3"])
def test_vanished_may_come_in_uid_commands(pair, command):
    a, b = pair(4, enable="QRESYNC")
    delete(b, "3")
    r = a.okay(command)
    assert r.vanished() + a.okay("NOOP").vanished() == [3]


def test_nothing_vanishes_between_commands_or_in_a_continuation(pair):
    """Not when no command is in progress, nor during the negotiation of a continuation."""
    a, b = pair(4, enable="QRESYNC")
    delete(b, "3")
    a.send_raw(b"l1 APPEND INBOX {10}\r\n")
    a.pending.append(("l1", "APPEND"))
    seen = []
    while True:
        r = a.read_response()
        if r.kind == "+":
            break
        seen.append(r.name)
    assert seen == []
    a.send_raw(b"Subject: x\r\n")
    assert a.wait("l1").vanished() in ([3], [])


@pytest.mark.tidemark_only
def test_idle_tells_vanished_at_once(pair):
    a, b = pair(4, enable="QRESYNC")
    tag = a.idle()
    delete(b, "2")
    a.idle_until(lambda got: any(r.name == "VANISHED" for r in got))
    r = a.idle_done(tag)
    assert r.codes().get("HIGHESTMODSEQ", [TOP])[0] > 0


# --- HIGHESTMODSEQ never runs ahead of what was told (3.2, section 6)

def test_highestmodseq_lags_while_a_vanished_is_delayed(pair):
    """If MODSEQ data are sent while a VANISHED with a lower one is delayed, HIGHESTMODSEQ with a
    lower value than the expunge's MUST be sent (the example of section 6)."""
    a, b = pair(4, enable="QRESYNC")
    gone_at = delete(b, "2").code_args[0]
    r = a.okay(r"STORE 3 +FLAGS.SILENT (\Seen)")
    high = max(i["MODSEQ"][0] for _, i in r.fetches() if "MODSEQ" in i)
    assert high > gone_at
    assert r.vanished() == []
    assert r.codes()["HIGHESTMODSEQ"][0] < gone_at
    r = a.okay("NOOP")
    assert r.vanished() == [2] and r.codes()["HIGHESTMODSEQ"][0] >= high


def test_a_cut_connection_loses_nothing(connect, account, pair, open_q):
    """Whatever was told when the connection broke: the client's number brings the rest."""
    a, b = pair(6, enable="QRESYNC")
    validity = a.okay("STATUS INBOX (UIDVALIDITY)").one("STATUS").values[1][1]
    delete(b, "2")
    r = a.okay(r"STORE 4 +FLAGS.SILENT (\Seen)")
    cached = r.codes().get("HIGHESTMODSEQ", [None])[0]
    if cached is None:
        cached = max(i["MODSEQ"][0] for _, i in r.fetches())
    a.close()
    r = open_q().select("INBOX", "(QRESYNC (%d %d))" % (validity, cached))
    assert 2 in r.vanished(earlier=True)


@pytest.mark.tidemark_only
def test_highestmodseq_comes_once_more_when_all_was_told(pair):
    a, b = pair(5, enable="QRESYNC")
    delete(b, "2")
    a.okay("FETCH 1 FLAGS")
    a.okay(r"STORE 3 +FLAGS.SILENT (\Seen)")
    r = a.okay("NOOP")
    assert r.vanished() == [2] and "HIGHESTMODSEQ" in r.codes()


# --- 3.2.11: CLOSED

@pytest.mark.parametrize("verb", ["SELECT", "EXAMINE"])
@pytest.mark.parametrize("enable", ["NOOP", "ENABLE QRESYNC", "ENABLE CONDSTORE"])
def test_closed_between_two_mailboxes(connect, account, verb, enable):
    """... whether or not a CONDSTORE enabling command was issued."""
    c = connect(account)
    c.okay("CREATE other")
    c.okay(enable)
    first = c.select()
    assert "CLOSED" not in first.codes()
    r = c.okay(verb + " other")
    assert [u.code for u in r.untagged][0] == "CLOSED"


def test_no_closed_after_close_or_unselect(connect, account):
    c = connect(account)
    for how in ("CLOSE", "UNSELECT"):
        c.select()
        assert "CLOSED" not in c.okay(how).codes()
        assert "CLOSED" not in c.select().codes()
        c.okay("CLOSE")


def test_closed_when_the_new_mailbox_does_not_exist(box):
    c = box(1)
    r = c.cmd("SELECT nowhere")
    assert r.no and [u.code for u in r.untagged][:1] == ["CLOSED"]


# --- 4: long lines

def test_command_lines_of_8192_octets_are_taken(synced):
    """Section 4: approximately 8192 octets."""
    c, known = synced(3)
    uids = ",".join(str(u) for u in range(1, 1700))
    assert len(uids) > 7000
    assert c.okay("UID FETCH %s (FLAGS)" % uids).by_uid()
    c.okay("CREATE other")
    c.select("other")
    assert c.select("INBOX", known.params(uids=uids))


# --- 6: the way of a whole client

def test_a_client_that_syncs_now_and_then_is_always_exact(open_q, fill):
    """Random work by one session; another resyncs from its cache and must have it all."""
    import random
    rng = random.Random(7162)
    worker = open_q()
    fill(worker, "INBOX", 20)
    known = Known(worker.select())
    cache = {i["UID"]: set(i["FLAGS"]) - {r"\Recent"}
             for _, i in worker.okay("UID FETCH 1:* FLAGS").fetches()}
    for _ in range(12):
        for _ in range(rng.randrange(1, 6)):
            random_step(rng, worker, fill)
        c = open_q()
        r = c.select("INBOX", known.params())
        for uid in r.vanished(earlier=True):
            cache.pop(uid, None)
        for _, items in r.fetches():
            cache[items["UID"]] = set(items["FLAGS"]) - {r"\Recent"}
        known = Known(r)
        truth = {u: set(i["FLAGS"]) - {r"\Recent"}
                 for u, i in c.okay("UID FETCH 1:* FLAGS").by_uid().items()}
        assert cache == truth
        c.close()


def random_step(rng, c, fill):
    uids = c.okay("UID SEARCH ALL").search()
    what = rng.choice(["append", "flag", "flag", "flag", "expunge"])
    if what == "append" or not uids:
        fill(c, "INBOX", rng.randrange(1, 4))
        c.okay("NOOP")
        return
    some = ",".join(str(u) for u in rng.sample(uids, min(len(uids), rng.randrange(1, 4))))
    if what == "flag":
        c.okay("UID STORE %s %sFLAGS.SILENT (k%d)" % (some, rng.choice("+-"), rng.randrange(5)))
    else:
        delete(c, some)
