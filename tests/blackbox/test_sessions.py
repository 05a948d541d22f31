"""Several sessions on one mailbox: what is told when (RFC 3501 5.5, 7.4.1; RFC 2180; IMAP.md 3).

The mirror in every client watches that numbers and UIDs never drift; these tests make trouble.
"""
import random
import threading

import pytest

from imapc import Closed, Lit
from mails import simple_mail


def kinds(r):
    return [u.name for u in r.untagged]


def expunge(c, seqs):
    c.okay(r"STORE %s +FLAGS.SILENT (\Deleted)" % seqs)
    return c.okay("EXPUNGE")


def uids(c):
    return [i["UID"] for _, i in c.okay("FETCH 1:* UID").fetches()]


# --- what is told while which command runs

@pytest.mark.parametrize("command", [
    "FETCH 1 FLAGS", "FETCH 1:2 (UID)", r"STORE 1 +FLAGS (\Seen)", "SEARCH ALL", "SEARCH 1:2",
    r"STORE 1 FLAGS.SILENT (\Seen)", "FETCH 1 BODY[]"])
def test_expunge_is_held(pair, command):
    """7.4.1: EXPUNGE MUST NOT be sent while responding to a FETCH, STORE, or SEARCH command."""
    a, b = pair(4)
    expunge(b, "3")
    assert not a.okay(command).has("EXPUNGE")
    assert a.okay("NOOP").expunged() == [3]
    assert uids(a) == [1, 2, 4]


@pytest.mark.parametrize("command", ["NOOP", "CHECK", "STATUS INBOX (MESSAGES)", 'LIST "" *',
                                     "CREATE x", "SUBSCRIBE INBOX", "EXPUNGE"])
def test_expunge_is_told_by_other_commands(pair, command):
    a, b = pair(4)
    expunge(b, "2")
    r = a.okay(command)
    assert r.expunged() + a.okay("NOOP").expunged() == [2]
    if command in ("NOOP", "CHECK", "EXPUNGE"):
        assert r.expunged() == [2]


@pytest.mark.tidemark_only
@pytest.mark.parametrize("command", ["STATUS INBOX (MESSAGES)", 'LIST "" *', "CREATE x",
                                     "UID FETCH 1 FLAGS", "UID SEARCH ALL",
                                     r"UID STORE 1 +FLAGS (\Seen)"])
def test_expunge_is_told_at_once_where_it_may(pair, command):
    """IMAP.md section 3, the rows with "yes"."""
    a, b = pair(4)
    expunge(b, "2")
    assert a.okay(command).expunged() == [2]


@pytest.mark.tidemark_only
@pytest.mark.parametrize("command", ["CAPABILITY", "ID NIL", "NAMESPACE", "ENABLE X-NONE"])
def test_commands_that_tell_nothing(pair, command):
    """IMAP.md section 3, the row with "no"."""
    a, b = pair(4)
    expunge(b, "2")
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    r = a.okay(command)
    assert not r.has("EXPUNGE") and not r.has("FETCH") and not r.has("EXISTS")
    r = a.okay("NOOP")
    assert r.expunged() == [2] and r.has("FETCH")


def test_new_mail_and_flags_are_told_with_noop(pair, fill):
    a, b = pair(2)
    fill(b, "INBOX", 2)
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    r = a.okay("NOOP")
    assert r.all("EXISTS")[-1].number == 4
    assert [n for n, i in r.fetches() if r"\Flagged" in i["FLAGS"]] == [1]


def test_exists_may_come_with_fetch(pair, fill):
    a, b = pair(1)
    fill(b, "INBOX", 1)
    r = a.okay("FETCH 1 UID")
    assert (r.all("EXISTS") + a.okay("NOOP").all("EXISTS"))[-1].number == 2


def test_order_of_news(pair, fill):
    """IMAP.md section 3: FLAGS, then EXPUNGE, then EXISTS (RECENT), then FETCH."""
    a, b = pair(3)
    b.okay("STORE 1 +FLAGS (fresh)")
    expunge(b, "2")
    fill(b, "INBOX", 1)
    r = a.okay("NOOP")
    order = [k for k in kinds(r) if k in ("FLAGS", "EXPUNGE", "EXISTS", "FETCH")]
    ranks = [("FLAGS", "EXPUNGE", "EXISTS", "FETCH").index(k) for k in order]
    assert {"FLAGS", "EXPUNGE", "EXISTS", "FETCH"} <= set(order)
    assert ranks == sorted(ranks) or order.index("EXPUNGE") < order.index("EXISTS")


@pytest.mark.tidemark_only
def test_order_of_news_is_the_tables(pair, fill):
    a, b = pair(3)
    b.okay("STORE 1 +FLAGS (fresh)")
    expunge(b, "2")
    fill(b, "INBOX", 1)
    order = [k for k in kinds(a.okay("NOOP")) if k in ("FLAGS", "EXPUNGE", "EXISTS", "FETCH")]
    ranks = [("FLAGS", "EXPUNGE", "EXISTS", "FETCH").index(k) for k in order]
    assert ranks == sorted(ranks)


@pytest.mark.tidemark_only
def test_unsolicited_fetch_has_uid(pair):
    """IMAP.md section 10: emailjs and node-imap mistake one without it for an answer."""
    a, b = pair(2)
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    assert a.okay("NOOP").one("FETCH").items["UID"] == 1


@pytest.mark.tidemark_only
def test_what_was_just_answered_is_not_repeated(pair):
    a, b = pair(1)
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    r = a.okay("FETCH 1 (UID FLAGS)")
    assert len(r.fetches()) == 1 and r"\Flagged" in r.fetches()[0][1]["FLAGS"]
    assert not a.okay("NOOP").has("FETCH")
    a.okay(r"STORE 1 +FLAGS (\Seen)")
    assert not a.okay("NOOP").has("FETCH")


def test_a_session_does_not_hear_its_own_silent_store(pair):
    a, _ = pair(1)
    a.okay(r"STORE 1 +FLAGS.SILENT (\Seen)")
    assert not a.okay("NOOP").has("FETCH")


# --- messages that are gone (RFC 2180 4.1, IMAP.md section 4)

@pytest.mark.tidemark_only
def test_fetch_of_an_expunged_message_still_has_its_number(pair):
    """The number stays its own until the expunge is told."""
    a, b = pair(4)
    expunge(b, "2")
    r = a.cmd("FETCH 3:4 UID")
    assert [(n, i["UID"]) for n, i in r.fetches()] == [(3, 3), (4, 4)]


@pytest.mark.tidemark_only
def test_fetch_with_some_gone_is_ok_expungeissued(pair):
    a, b = pair(4)
    expunge(b, "2")
    r = a.cmd("FETCH 1:4 (UID RFC822.SIZE)")
    assert r.ok and r.code == "EXPUNGEISSUED"
    assert [n for n, _ in r.fetches()] == [1, 3, 4]


@pytest.mark.tidemark_only
def test_fetch_with_all_gone_is_no_expungeissued(pair):
    a, b = pair(4)
    expunge(b, "2")
    r = a.cmd("FETCH 2 FLAGS")
    assert r.no and r.code == "EXPUNGEISSUED"
    assert a.okay("UID FETCH 2 FLAGS").fetches() == []


@pytest.mark.tidemark_only
@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
def test_copy_with_some_gone_does_nothing(pair, verb):
    """RFC 2180 4.4.1: NO [EXPUNGEISSUED], nothing is copied, and the expunges are told."""
    a, b = pair(4)
    a.okay("CREATE t")
    expunge(b, "2")
    r = a.cmd(verb + " 1:3 t")
    assert r.no and r.code == "EXPUNGEISSUED" and r.expunged() == [2]
    assert a.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 0]
    assert a.okay("UID %s 1:3 t" % verb)
    assert a.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 2]


@pytest.mark.tidemark_only
def test_search_leaves_the_gone_out(pair):
    a, b = pair(4)
    expunge(b, "2")
    r = a.cmd("SEARCH ALL")
    assert r.ok and r.search() == [1, 3, 4]
    assert a.okay("NOOP").expunged() == [2]


@pytest.mark.tidemark_only
def test_numbers_in_pipelined_commands_are_those_of_the_view(pair):
    """RFC 2180 and 5.5: FETCH 3 behind FETCH 1 means the same message, whatever happened."""
    a, b = pair(5)
    expunge(b, "1")
    tags = [a.send("FETCH %d UID" % n) for n in (2, 3, 4, 5)]
    got = [a.wait(t).fetches() for t in tags]
    assert [g[0][1]["UID"] for g in got if g] == [2, 3, 4, 5]


@pytest.mark.tidemark_only
def test_noop_then_fetch_pipelined_uses_the_new_numbers(pair):
    a, b = pair(5)
    expunge(b, "1")
    t1, t2 = a.send("NOOP"), a.send("FETCH 1 UID")
    assert a.wait(t1).expunged() == [1]
    assert a.wait(t2).one("FETCH").items["UID"] == 2


def test_double_expunge_by_two_sessions(pair):
    """Both expunge the same message: each is told of it once."""
    a, b = pair(3)
    a.okay(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    b.okay("NOOP")
    ra, rb = a.okay("EXPUNGE"), b.okay("EXPUNGE")
    assert ra.expunged() == [2] and rb.expunged() == [2]
    assert uids(a) == uids(b) == [1, 3]


def test_many_expunges_in_one_noop(pair):
    a, b = pair(20)
    expunge(b, "1:3,7,9:15,20")
    gone = a.okay("NOOP").expunged()
    assert len(gone) == 12
    assert uids(a) == [4, 5, 6, 8, 16, 17, 18, 19]


# --- mailboxes that move under a session (IMAP.md section 6)

@pytest.mark.tidemark_only
def test_rename_under_a_session_changes_nothing_for_it(connect, account, fill):
    a, b = connect(account), connect(account)
    a.okay("CREATE old")
    fill(a, "old", 2)
    a.select("old")
    b.okay("RENAME old new")
    r = a.cmd("FETCH 1:* UID")
    assert r.ok and len(r.fetches()) == 2


@pytest.mark.tidemark_only
def test_after_a_rename_the_session_works_on(connect, account, fill):
    a, b = connect(account), connect(account)
    a.okay("CREATE old")
    fill(a, "old", 2)
    a.select("old")
    b.okay("RENAME old new")
    a.okay(r"STORE 1 +FLAGS (\Flagged)")
    fill(b, "new", 1)
    assert a.okay("NOOP").one("EXISTS").number == 3
    b.select("new")
    assert r"\Flagged" in b.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


@pytest.mark.tidemark_only
def test_delete_under_a_session_is_bye(connect, account, fill):
    """RFC 2180 3.3: the session gets a defined end: BYE."""
    a, b = connect(account), connect(account)
    a.okay("CREATE doomed")
    fill(a, "doomed", 1)
    a.select("doomed")
    b.okay("DELETE doomed")
    a.send("NOOP")
    seen = a.expect_closed()
    assert [r for r in seen if r.name == "BYE"], seen


@pytest.mark.tidemark_only
def test_delete_of_ones_own_selected_mailbox(connect, account):
    """OK [CLOSED], then OK; the session goes on without a mailbox."""
    c = connect(account)
    c.okay("CREATE mine")
    c.select("mine")
    r = c.okay("DELETE mine")
    assert "CLOSED" in r.codes()
    assert c.cmd("FETCH 1 FLAGS").bad
    assert c.select("INBOX")


@pytest.mark.tidemark_only
def test_delete_under_an_idling_session_ends_it(connect, account):
    a, b = connect(account), connect(account)
    a.okay("CREATE doomed")
    a.select("doomed")
    a.idle()
    b.okay("DELETE doomed")
    assert [r for r in a.expect_closed() if r.name == "BYE"]


@pytest.mark.tidemark_only
def test_rename_of_inbox_under_a_session_expunges_there(connect, account, fill):
    """INBOX keeps its id; its messages moved away."""
    a, b = connect(account), connect(account)
    fill(a, "INBOX", 3)
    a.select()
    b.okay("RENAME INBOX archive")
    assert len(a.okay("NOOP").expunged()) == 3
    fill(b, "INBOX", 1)
    assert a.okay("NOOP").one("EXISTS").number == 1


def test_a_deleted_and_recreated_mailbox_is_another(connect, account, fill):
    a, b = connect(account), connect(account)
    a.okay("CREATE box")
    fill(a, "box", 3)
    before = a.select("box").codes()["UIDVALIDITY"][0]
    a.okay("CLOSE")
    b.okay("DELETE box")
    b.okay("CREATE box")
    r = a.select("box")
    assert r.one("EXISTS").number == 0 and r.codes()["UIDVALIDITY"][0] > before


# --- \Recent

def test_recent_of_new_mail_goes_to_one_session(pair, fill):
    a, b = pair(0)
    c = b
    fill(c, "INBOX", 3)
    ra, rb = a.okay("NOOP"), b.okay("NOOP")
    shown = [s for s in (a, b) for _, i in s.okay("FETCH 1:* FLAGS").fetches()
             if r"\Recent" in i["FLAGS"]]
    assert len(shown) == 3, (ra, rb)


def test_recent_count_follows_exists(pair, fill):
    a, b = pair(1)
    fill(b, "INBOX", 1)
    r = a.okay("NOOP")
    if r.has("RECENT"):
        assert r.all("RECENT")[-1].number in (0, 1, 2)


# --- APPEND, COPY into the mailbox another looks at

def test_copy_into_a_watched_mailbox(connect, account, fill):
    a, b = connect(account), connect(account)
    a.okay("CREATE target")
    a.select("target")
    fill(b, "INBOX", 3)
    b.select()
    b.okay("COPY 1:3 target")
    assert a.okay("NOOP").all("EXISTS")[-1].number == 3


def test_move_between_watched_mailboxes(connect, account, fill):
    src, dst, mover = connect(account), connect(account), connect(account)
    fill(mover, "INBOX", 3)
    mover.okay("CREATE target")
    src.select()
    dst.select("target")
    mover.select()
    mover.okay("MOVE 2 target")
    assert src.okay("NOOP").expunged() == [2]
    assert dst.okay("NOOP").all("EXISTS")[-1].number == 1


# --- at the same moment

def together(work, sessions):
    errors = []

    def guarded(k, c):
        try:
            work(k, c)
        except BaseException as e:  # noqa: B902, raised again below
            errors.append(e)
    threads = [threading.Thread(target=guarded, args=x) for x in enumerate(sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_appends_by_many_get_different_uids(connect, account):
    sessions = [connect(account) for _ in range(4)]
    got = [[] for _ in sessions]

    def work(k, c):
        for i in range(20):
            r = c.okay("APPEND INBOX ", Lit(simple_mail(subject="%d-%d" % (k, i)), plus=True))
            got[k].append(r.code_args[1])
    together(work, sessions)
    everything = sorted(u for g in got for u in g)
    assert everything == list(range(1, 81))
    assert all(g == sorted(g) for g in got)


@pytest.mark.tidemark_only
def test_moves_of_the_same_messages_by_many_move_each_once(connect, account, fill):
    first = connect(account)
    first.okay("CREATE t")
    fill(first, "INBOX", 20)
    sessions = [connect(account) for _ in range(4)]
    moved = [[] for _ in sessions]

    def work(k, c):
        c.select()
        for uid in range(1, 21):
            r = c.cmd("UID MOVE %d t" % uid)
            if "COPYUID" in r.codes():
                moved[k].append(uid)
    together(work, sessions)
    assert sorted(u for m in moved for u in m) == list(range(1, 21))
    assert first.okay("STATUS t (MESSAGES)").one("STATUS").values[1] == ["MESSAGES", 20]


def test_flag_changes_by_many_all_arrive(connect, account, fill):
    """+FLAGS of different keywords on one message commute: none is lost."""
    first = connect(account)
    fill(first, "INBOX", 1)
    sessions = [connect(account) for _ in range(4)]

    def work(k, c):
        c.select()
        for i in range(15):
            c.okay("STORE 1 +FLAGS.SILENT (s%d-%d)" % (k, i))
    together(work, sessions)
    first.select()
    flags = set(first.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"])
    assert {"s%d-%d" % (k, i) for k in range(4) for i in range(15)} <= flags


def test_sessions_that_churn_agree_in_the_end(connect, account, fill, seed):
    """Several sessions do random things at once; then all see the same mailbox."""
    first = connect(account)
    fill(first, "INBOX", 10)
    sessions = [connect(account) for _ in range(4)]

    def work(k, c):
        rng = random.Random(seed + k)
        c.select()
        for _ in range(40):
            churn(rng, c)
    together(work, sessions)
    views = []
    for c in sessions:
        c.okay("NOOP")
        views.append(sorted((i["UID"], tuple(sorted(set(i["FLAGS"]) - {r"\Recent"})))
                            for _, i in c.okay("FETCH 1:* (UID FLAGS)").fetches()))
    assert all(v == views[0] for v in views)


def churn(rng, c):
    n = c.mirror.exists
    what = rng.choice(["append", "flag", "flag", "fetch", "search", "expunge", "noop", "uid"])
    some = "%d:%d" % tuple(sorted(rng.choices(range(1, n + 1), k=2))) if n else None
    if what == "append" or not n:
        c.okay("APPEND INBOX ", Lit(simple_mail(), plus=True))
    elif what == "flag":
        c.cmd("STORE %s %sFLAGS (k%d)" % (some, rng.choice("+-"), rng.randrange(4)))
    elif what == "fetch":
        c.cmd("FETCH %s (UID FLAGS)" % some)
    elif what == "search":
        c.cmd("SEARCH KEYWORD k1")
    elif what == "uid":
        c.okay("UID FETCH %d:* (FLAGS)" % rng.randrange(1, 50))
    elif what == "expunge":
        c.cmd(r"STORE %d +FLAGS.SILENT (\Deleted)" % rng.randrange(1, n + 1))
        c.okay("EXPUNGE")
    else:
        c.okay("NOOP")


def test_a_session_that_breaks_off_disturbs_nobody(pair):
    a, b = pair(3)
    a.send("FETCH 1:3 BODY.PEEK[]")
    a.close()
    assert b.okay("FETCH 1:3 FLAGS")


def test_close_while_others_stay(pair):
    a, b = pair(3)
    a.okay(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    a.okay("CLOSE")
    assert b.okay("NOOP").expunged() == [2]
    try:
        assert b.okay("FETCH 1:2 UID")
    except Closed as e:
        raise AssertionError("closing one session ended another") from e
