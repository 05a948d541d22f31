"""CONDSTORE: RFC 7162 section 3.1, clause by clause, with what IMAP.md decides (sections 4, 5)."""
import threading

import pytest

from imapc import Lit, parse_set
from mails import simple_mail

pytestmark = pytest.mark.needs("CONDSTORE")

TOP = 2**63 - 1


def highest(c, mailbox="INBOX"):
    return c.okay("STATUS %s (HIGHESTMODSEQ)" % mailbox).one("STATUS").values[1][1]


def modseqs(c, seqs="1:*"):
    """number -> modseq"""
    got = c.okay("FETCH %s MODSEQ" % seqs).fetches()
    return {n: i["MODSEQ"][0] for n, i in got}


def modseq(c, n=1):
    return modseqs(c, str(n))[n]


@pytest.fixture
def aware(connect, account, fill):
    """aware(n): a session with INBOX of n mails selected by SELECT (CONDSTORE)."""
    def make(n=1):
        c = connect(account)
        fill(c, "INBOX", n)
        c.select("INBOX", "(CONDSTORE)")
        return c
    return make


@pytest.fixture
def two(aware, connect, account):
    """Two aware sessions on the same INBOX."""
    def make(n=1):
        a = aware(n)
        b = connect(account)
        b.select("INBOX", "(CONDSTORE)")
        return a, b
    return make


def by_number(r, n):
    """All items told of one number, joined in order."""
    out = {}
    for number, items in r.fetches():
        if number == n:
            out.update(items)
    return out


# --- 3.1: the numbers

def test_every_message_has_a_positive_modseq_of_63_bits(aware):
    for value in modseqs(aware(5)).values():
        assert 0 < value <= TOP


@pytest.mark.tidemark_only
def test_modseqs_stay_below_two_to_the_53(aware):
    """DESIGN.md section 1: some clients keep it in a double."""
    for value in modseqs(aware(5)).values():
        assert value < 2**53


def test_each_store_gets_a_different_modseq_also_from_two_sessions(two):
    a, b = two(4)
    seen = []
    for i in range(10):
        a.okay(r"STORE 1 %sFLAGS.SILENT (\Flagged)" % "+-"[i % 2])
        b.okay(r"STORE 2 %sFLAGS.SILENT (\Flagged)" % "+-"[i % 2])
        seen += [modseq(a, 1), modseq(b, 2)]
    assert len(set(seen)) == len(seen)


def test_stores_at_the_same_moment_get_different_modseqs(connect, account, fill):
    first = connect(account)
    fill(first, "INBOX", 4)
    sessions = [connect(account) for _ in range(4)]
    got = [[] for _ in sessions]

    def work(k, c):
        c.select("INBOX", "(CONDSTORE)")
        for i in range(25):
            r = c.okay("STORE %d %sFLAGS.SILENT (k%d)" % (k + 1, "+-"[i % 2], k))
            got[k].append(by_number(r, k + 1)["MODSEQ"][0])
    run_together(work, sessions)
    everything = [m for g in got for m in g]
    assert len(set(everything)) == len(everything)
    for g in got:
        assert g == sorted(g)


def run_together(work, sessions):
    """work(index, session) in a thread each; the first error is raised here."""
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


def test_a_later_store_of_the_session_has_a_greater_modseq(aware):
    c = aware(3)
    last = 0
    for n in (1, 3, 2, 1, 2):
        c.okay("STORE %d FLAGS.SILENT (k%d)" % (n, last))
        now = modseq(c, n)
        assert now > last
        last = now


@pytest.mark.parametrize("first,then", [("FLAGS ()", r"+FLAGS (\Seen)"),
                                        (r"FLAGS (\Seen)", r"-FLAGS (\Seen)"),
                                        ("FLAGS ()", "+FLAGS (kw)"), ("FLAGS (kw)", "FLAGS ()")])
def test_a_change_of_a_flag_updates_the_modseq(aware, first, then):
    c = aware(1)
    c.okay("STORE 1 " + first)
    before = modseq(c)
    c.okay("STORE 1 " + then)
    assert modseq(c) > before


@pytest.mark.parametrize("same", [r"+FLAGS (\Seen)", r"-FLAGS (\Flagged)", r"FLAGS (\Seen kw)",
                                  "+FLAGS (KW)", "-FLAGS (none)", "+FLAGS.SILENT ()",
                                  r"FLAGS (kw \Seen)"])
def test_a_store_that_changes_nothing_changes_no_modseq(aware, same):
    c = aware(1)
    c.okay(r"STORE 1 FLAGS (\Seen kw)")
    before, box = modseq(c), highest(c)
    c.okay("STORE 1 " + same)
    assert modseq(c) == before
    assert highest(c) == box


def test_fetch_that_sets_seen_again_changes_no_modseq(aware):
    """3.1.11."""
    c = aware(1)
    c.okay("FETCH 1 BODY[]")
    before = modseq(c)
    c.okay("FETCH 1 BODY[]")
    assert modseq(c) == before


def test_fetch_that_sets_seen_updates_the_modseq_and_says_so(aware):
    c = aware(1)
    before = modseq(c)
    r = c.okay("FETCH 1 BODY[]")
    assert by_number(r, 1)["MODSEQ"][0] > before and r"\Seen" in by_number(r, 1)["FLAGS"]


@pytest.mark.parametrize("how", ["APPEND", "COPY", "MOVE"])
def test_a_new_message_is_above_all_others(aware, how):
    c = aware(2)
    c.okay("CREATE t")
    c.okay("STORE 1 +FLAGS (a)")
    if how == "APPEND":
        before = max(modseqs(c).values())
        c.okay("APPEND INBOX ", Lit(simple_mail()))
        assert modseq(c, 3) > before
        return
    c.okay("COPY 1 t")
    before = highest(c, "t")
    c.okay("%s 2 t" % how)
    c.select("t")
    assert modseq(c, 2) > max(modseq(c, 1), before - 1)
    assert highest(c, "t") == modseq(c, 2)


# --- 3.1: enabling

ENABLERS = ["SELECT", "STATUS", "FETCH MODSEQ", "SEARCH MODSEQ", "CHANGEDSINCE",
            "UNCHANGEDSINCE", "ENABLE", "UID FETCH MODSEQ"]


def enable(c, how):
    if how == "SELECT":
        return c.select("INBOX", "(CONDSTORE)")
    return c.okay({
        "STATUS": "STATUS INBOX (HIGHESTMODSEQ)", "FETCH MODSEQ": "FETCH 1 (MODSEQ)",
        "UID FETCH MODSEQ": "UID FETCH 1 (MODSEQ)",
        "SEARCH MODSEQ": "SEARCH MODSEQ 1", "CHANGEDSINCE": "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
        "UNCHANGEDSINCE": r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Draft)" % TOP,
        "ENABLE": "ENABLE CONDSTORE"}[how])


@pytest.mark.parametrize("how", ENABLERS)
def test_enabling_while_selected_gives_highestmodseq(box, how):
    """3.1: a first enabling command with a mailbox selected MUST return HIGHESTMODSEQ."""
    c = box(2)
    r = enable(c, how)
    assert "HIGHESTMODSEQ" in r.codes(), r


@pytest.mark.parametrize("how", ENABLERS)
def test_after_enabling_every_fetch_has_modseq(pair, how):
    """3.1: ... in all subsequent untagged FETCH responses: own STORE and others'."""
    a, b = pair(2)
    enable(a, how)
    assert "MODSEQ" in by_number(a.okay("STORE 2 +FLAGS (own)"), 2)
    b.okay("STORE 2 +FLAGS (foreign)")
    seen = by_number(a.okay("NOOP"), 2)
    assert "MODSEQ" in seen and "foreign" in seen["FLAGS"]
    again = a.okay("SELECT INBOX")
    assert "HIGHESTMODSEQ" in again.codes()
    b.okay("STORE 2 -FLAGS (foreign)")
    assert "MODSEQ" in by_number(a.okay("NOOP"), 2)


def test_without_enabling_no_fetch_has_modseq(pair):
    a, b = pair(1)
    b.okay("STORE 1 +FLAGS (x)")
    assert "MODSEQ" not in by_number(a.okay("NOOP"), 1)
    assert "MODSEQ" not in by_number(a.okay("STORE 1 +FLAGS (y)"), 1)
    assert "MODSEQ" not in by_number(a.okay("FETCH 1 FLAGS"), 1)


def test_fetch_responses_after_enabling_have_the_uid_too(two):
    """3.2.4: both UID and mod-sequence data in all subsequent untagged FETCH responses."""
    a, b = two(2)
    r = a.okay("STORE 1 +FLAGS (x)")
    assert by_number(r, 1)["UID"] == 1
    b_seen = by_number(b.okay("NOOP"), 1)
    assert b_seen["UID"] == 1 and "MODSEQ" in b_seen
    r = a.okay("FETCH 2 BODY[]")
    assert by_number(r, 2)["UID"] == 2 and "MODSEQ" in by_number(r, 2)


def test_idle_tells_modseq_and_uid(two):
    a, b = two(1)
    tag = a.idle()
    b.okay("STORE 1 +FLAGS (x)")
    seen = a.idle_until(lambda got: any(r.name == "FETCH" for r in got))
    assert {"UID", "FLAGS", "MODSEQ"} <= set(seen[-1].items)
    a.idle_done(tag)


# --- 3.1.2: SELECT, EXAMINE

@pytest.mark.parametrize("verb", ["SELECT", "EXAMINE"])
def test_highestmodseq_with_select_and_examine(c, fill, verb):
    fill(c, "INBOX", 2)
    r = c.okay("%s INBOX (CONDSTORE)" % verb)
    assert r.codes()["HIGHESTMODSEQ"][0] >= max(modseqs(c).values())


@pytest.mark.tidemark_only
def test_highestmodseq_always_comes_and_nomodseq_never(c):
    """IMAP.md section 5: always with SELECT and EXAMINE, also before any enabling command."""
    for verb in ("SELECT", "EXAMINE"):
        codes = c.okay(verb + " INBOX").codes()
        assert codes["HIGHESTMODSEQ"] == [1] and "NOMODSEQ" not in codes


def test_highestmodseq_of_an_empty_mailbox_is_at_least_one(c):
    assert c.select("INBOX", "(CONDSTORE)").codes()["HIGHESTMODSEQ"][0] >= 1


def test_highestmodseq_is_the_highest_of_all_messages(aware):
    c = aware(4)
    c.okay("STORE 2 +FLAGS (x)")
    got = c.select("INBOX", "(CONDSTORE)").codes()["HIGHESTMODSEQ"][0]
    assert got == max(modseqs(c).values()) == modseq(c, 2)


@pytest.mark.parametrize("params", ["(CONDSTORE", "CONDSTORE)", "(NONSENSE)", "()", "(CONDSTORE))",
                                    "((CONDSTORE))", "(CONDSTORE 5)"])
def test_broken_select_parameters_are_bad(c, params):
    assert c.cmd("SELECT INBOX " + params).bad
    assert c.okay("NOOP")


def test_parameters_in_any_case(c):
    """7: implementations MUST accept these strings in a case-insensitive fashion."""
    assert c.okay("select inbox (condstore)").codes()["HIGHESTMODSEQ"]
    c.okay("APPEND INBOX ", Lit(simple_mail()))
    assert c.okay("fetch 1 (modseq) (changedsince 1)").fetches() is not None
    assert c.okay("store 1 (unchangedsince %d) +flags.silent (x)" % TOP).fetches()
    assert c.okay("search modseq 1").search_modseq()
    assert c.okay("status INBOX (highestmodseq)")


# --- 3.1.3: STORE UNCHANGEDSINCE

def test_unchanged_passes_and_tells_the_new_modseq(aware):
    c = aware(2)
    old = modseq(c)
    r = c.okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS (\Seen)" % old)
    assert r.code != "MODIFIED"
    told = by_number(r, 1)
    assert told["MODSEQ"][0] > old and r"\Seen" in told["FLAGS"] and told["UID"] == 1
    assert modseq(c) == told["MODSEQ"][0]


def test_silent_passes_and_still_tells_modseq(aware):
    """An untagged FETCH MUST be sent, even if the .SILENT suffix is specified."""
    c = aware(2)
    r = c.okay(r"STORE 1:2 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Seen)" % TOP)
    for n in (1, 2):
        told = by_number(r, n)
        assert "MODSEQ" in told and "FLAGS" not in told


def test_uid_store_tells_uid_and_modseq(aware):
    c = aware(3)
    r = c.okay(r"UID STORE 2 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Seen)" % TOP)
    n, items = r.fetches()[0]
    assert n == 2 and items["UID"] == 2 and "MODSEQ" in items


def test_changed_fails_and_does_nothing(two):
    a, b = two(1)
    old = modseq(a)
    b.okay(r"STORE 1 +FLAGS (\Flagged)")
    now = modseq(b)
    r = a.okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS (\Seen)" % old)
    assert r.code == "MODIFIED" and parse_set(r.code_args[0]) == [1]
    assert modseq(b) == now
    assert set(b.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]) - {r"\Recent"} == {r"\Flagged"}


def test_equal_passes_greater_fails(aware):
    c = aware(1)
    m = modseq(c)
    assert c.okay("STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (a)" % (m - 1)).code == "MODIFIED"
    assert c.okay("STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (a)" % m).code != "MODIFIED"


def test_modified_names_exactly_the_losers(two):
    a, b = two(9)
    limit = max(modseqs(a).values())
    b.okay("STORE 7,9 +FLAGS.SILENT (x)")
    r = a.okay(r"STORE 7,5,9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Deleted)" % limit)
    assert r.code == "MODIFIED" and sorted(parse_set(r.code_args[0])) == [7, 9]
    assert "MODSEQ" in by_number(r, 5)
    assert a.okay("SEARCH DELETED").search() == [5]


def test_modified_of_uid_store_has_uids(two):
    a, b = two(4)
    a.okay(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    a.okay("EXPUNGE")
    b.okay("NOOP")
    limit = max(modseqs(a).values())
    b.okay("UID STORE 3 +FLAGS.SILENT (x)")
    r = a.okay(r"UID STORE 2:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (y)" % limit)
    assert parse_set(r.code_args[0]) == [3]


def test_losers_are_told_what_they_lost_to(two):
    """It is RECOMMENDED that the server sends an unsolicited FETCH (examples 6, 9, 10)."""
    a, b = two(2)
    limit = max(modseqs(a).values())
    b.okay(r"STORE 2 +FLAGS (\Answered won)")
    r = a.okay(r"STORE 1:2 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Deleted)" % limit)
    told = by_number(r, 2)
    assert {r"\Answered", "won"} <= set(told["FLAGS"]) and told["MODSEQ"][0] > limit


def test_message_named_twice_does_not_fail_itself(aware):
    """... it MUST NOT fail the conditional STORE for the second occurrence."""
    c = aware(9)
    limit = max(modseqs(c).values())
    r = c.okay(r"STORE 7,3:9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Deleted)" % limit)
    assert r.code != "MODIFIED"
    assert c.okay("SEARCH DELETED").search() == [3, 4, 5, 6, 7, 8, 9]


def test_unchangedsince_zero_always_fails_for_system_flags(aware):
    """A system flag MUST always be considered existent, whether it was set or not."""
    c = aware(2)
    r = c.okay(r"STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Seen)")
    assert r.code == "MODIFIED" and parse_set(r.code_args[0]) == [1, 2]
    assert c.okay("SEARCH SEEN").search() == []


@pytest.mark.tidemark_only
def test_unchangedsince_zero_fails_for_keywords_too(aware):
    """IMAP.md section 4: the message's one modseq is compared; value 0 always fails."""
    c = aware(1)
    r = c.okay("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)")
    assert r.code == "MODIFIED" and parse_set(r.code_args[0]) == [1]


@pytest.mark.tidemark_only
def test_another_flag_that_changed_fails_the_condition(two):
    """IMAP.md section 4: the courtesy of 3.1.12 is declined: claims are exclusive."""
    a, b = two(1)
    limit = modseq(a)
    won = b.okay("STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (claimed-by-b)" % limit)
    assert won.code != "MODIFIED"
    r = a.okay("STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (claimed-by-a)" % limit)
    assert r.code == "MODIFIED"
    assert "claimed-by-a" not in a.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


@pytest.mark.tidemark_only
def test_condition_comes_before_nothing_would_change(two):
    """The bug of others: a STORE whose flag is there already must still look at the condition."""
    a, b = two(1)
    limit = modseq(a)
    b.okay(r"STORE 1 +FLAGS.SILENT (\Flagged)")
    r = a.okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Flagged)" % limit)
    assert r.code == "MODIFIED" and parse_set(r.code_args[0]) == [1]


@pytest.mark.tidemark_only
def test_condition_that_passes_for_no_change_tells_the_old_modseq(aware):
    """IMAP.md section 4: (UID MODSEQ) for all that passed, also for no-ops with their old value."""
    c = aware(1)
    c.okay(r"STORE 1 +FLAGS.SILENT (\Flagged)")
    m = modseq(c)
    r = c.okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\Flagged)" % m)
    assert r.code != "MODIFIED" and by_number(r, 1)["MODSEQ"] == [m]
    assert highest(c) == m


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "9223372036854775808",
                                   "18446744073709551615", "99999999999999999999999"])
def test_unchangedsince_out_of_range_is_bad(aware, value):
    c = aware(1)
    assert c.cmd(r"STORE 1 (UNCHANGEDSINCE %s) +FLAGS (\Seen)" % value).bad
    assert c.okay("SEARCH SEEN").search() == []


def test_unchangedsince_at_the_top_passes(aware):
    assert aware(1).okay(r"STORE 1 (UNCHANGEDSINCE %d) +FLAGS (x)" % TOP).code != "MODIFIED"


@pytest.mark.parametrize("text", ["(UNCHANGEDSINCE 5", "(FOO 5)", "()", "(UNCHANGEDSINCE)",
                                  "((UNCHANGEDSINCE 5))", "(UNCHANGEDSINCE 5 UNCHANGEDSINCE 6)"])
def test_broken_store_modifiers_are_bad(aware, text):
    c = aware(1)
    assert c.cmd(r"STORE 1 %s +FLAGS (\Seen)" % text).bad
    assert c.okay("SEARCH SEEN").search() == []


@pytest.mark.tidemark_only
@pytest.mark.parametrize("line", ["UID STORE 1(UNCHANGEDSINCE {m}) +FLAGS.SILENT (mine)",
                                  "STORE 1(UNCHANGEDSINCE {m}) +FLAGS.SILENT (mine)"])
def test_libetpans_missing_blank_is_taken_as_conditional(two, line):
    """IMAP.md section 10: take it; never take a conditional STORE for an unconditional one."""
    a, b = two(1)
    limit = modseq(a)
    b.okay("STORE 1 +FLAGS.SILENT (theirs)")
    r = a.okay(line.format(m=limit))
    assert r.code == "MODIFIED"


@pytest.mark.tidemark_only
def test_node_imaps_modifier_without_parentheses_is_never_unconditional(two):
    a, b = two(1)
    limit = modseq(a)
    b.okay("STORE 1 +FLAGS.SILENT (theirs)")
    r = a.cmd("STORE 1 UNCHANGEDSINCE %d +FLAGS.SILENT (mine)" % limit)
    assert r.bad or r.code == "MODIFIED"
    assert "mine" not in b.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


def test_replacement_is_conditional_as_well(two):
    a, b = two(1)
    limit = modseq(a)
    b.okay(r"STORE 1 +FLAGS (\Answered)")
    assert a.okay(r"STORE 1 (UNCHANGEDSINCE %d) FLAGS.SILENT ()" % limit).code == "MODIFIED"
    assert r"\Answered" in b.okay("FETCH 1 FLAGS").one("FETCH").items["FLAGS"]


# --- gone messages (IMAP.md section 4; RFC 2180 4.2; example 11)

@pytest.fixture
def gone(two):
    """Two sessions on 4 mails; the second has expunged number 4, the first was not told."""
    def make(n=4, dead="4"):
        a, b = two(n)
        b.okay(r"STORE %s +FLAGS.SILENT (\Deleted)" % dead)
        b.okay("EXPUNGE")
        return a, b
    return make


@pytest.mark.tidemark_only
def test_example_11_modified_in_a_no(gone):
    """Failures and gone messages: NO [MODIFIED n]; the rest is done."""
    a, b = gone()
    limit = max(modseqs(b).values())
    b.okay("STORE 2 +FLAGS.SILENT (x)")
    r = a.cmd(r"STORE 1:4 (UNCHANGEDSINCE %d) +FLAGS (\Seen)" % limit)
    assert r.no and r.code == "MODIFIED" and parse_set(r.code_args[0]) == [2]
    assert by_number(r, 1)["MODSEQ"] and by_number(r, 3)["MODSEQ"]
    a.okay("NOOP")
    assert a.okay("SEARCH SEEN").search() == [1, 3]


@pytest.mark.tidemark_only
def test_conditional_store_on_the_gone_only_is_expungeissued(gone):
    a, _ = gone()
    r = a.cmd(r"STORE 4 (UNCHANGEDSINCE %d) +FLAGS (\Seen)" % TOP)
    assert r.no and r.code == "EXPUNGEISSUED"


@pytest.mark.tidemark_only
def test_unconditional_store_on_gone_ones(gone):
    a, _ = gone()
    r = a.cmd(r"STORE 3:4 +FLAGS.SILENT (\Seen)")
    assert r.ok and r.code == "EXPUNGEISSUED"
    r = a.cmd(r"STORE 3:4 +FLAGS (\Flagged)")
    assert r.no and r.code in ("EXPUNGEISSUED", None)
    a.okay("NOOP")
    assert a.okay("SEARCH SEEN FLAGGED").search() == [3]


@pytest.mark.tidemark_only
def test_conditional_uid_store_lists_what_went(gone):
    """Nobody may take silence for a won claim."""
    a, _ = gone()
    r = a.cmd("UID STORE 3:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (claim)" % TOP)
    assert r.code == "MODIFIED" and parse_set(r.code_args[0]) == [4]


@pytest.mark.tidemark_only
def test_uid_store_of_what_was_never_in_the_view_is_silent(aware):
    c = aware(2)
    r = c.okay("UID STORE 2:9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (x)" % TOP)
    assert r.code != "MODIFIED"


# --- claims: exactly one wins

@pytest.mark.parametrize("own_keyword", [False, True])
@pytest.mark.parametrize("rounds", [pytest.param(25, marks=pytest.mark.tidemark_only)])
def test_of_many_claimants_exactly_one_wins(connect, account, fill, own_keyword, rounds):
    """P3: also when all set the same flag at the same moment, and each a keyword of its own."""
    first = connect(account)
    fill(first, "INBOX", rounds)
    first.select("INBOX", "(CONDSTORE)")
    limits = modseqs(first)
    sessions = [connect(account) for _ in range(4)]
    wins = [[] for _ in sessions]
    barrier = threading.Barrier(len(sessions))

    def work(k, c):
        c.select("INBOX", "(CONDSTORE)")
        flag = "claim%d" % k if own_keyword else "claimed"
        for uid in range(1, rounds + 1):
            barrier.wait(30)
            r = c.okay("UID STORE %d (UNCHANGEDSINCE %d) +FLAGS.SILENT (%s)"
                       % (uid, limits[uid], flag))
            if r.code != "MODIFIED":
                wins[k].append(uid)
    run_together(work, sessions)
    assert sorted(u for w in wins for u in w) == list(range(1, rounds + 1))


@pytest.mark.tidemark_only
def test_pipelined_claims_win_once(aware):
    c = aware(1)
    m = modseq(c)
    tags = [c.send("UID STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT (claim)" % m) for _ in range(10)]
    codes = [c.wait(t).code for t in tags]
    assert [x == "MODIFIED" for x in codes] == [False] + [True] * 9


# --- plain STORE by an aware client

def test_plain_store_updates_and_tells_modseq(aware):
    c = aware(1)
    before = modseq(c)
    told = by_number(c.okay(r"STORE 1 +FLAGS (\Seen)"), 1)
    assert told["MODSEQ"][0] > before and r"\Seen" in told["FLAGS"]


def test_plain_silent_store_tells_modseq_only(aware):
    """Example 14."""
    c = aware(1)
    told = by_number(c.okay(r"STORE 1 +FLAGS.SILENT (\Seen)"), 1)
    assert "MODSEQ" in told and "FLAGS" not in told


@pytest.mark.tidemark_only
def test_silent_store_tells_flags_of_what_others_changed(two):
    """IMAP.md section 4: FLAGS as well for the stale ones (an external change, 3501 6.4.6)."""
    a, b = two(2)
    b.okay("STORE 2 +FLAGS.SILENT (foreign)")
    r = a.okay("STORE 1:2 +FLAGS.SILENT (mine)")
    assert "FLAGS" not in by_number(r, 1)
    assert {"foreign", "mine"} <= set(by_number(r, 2)["FLAGS"])


# --- 3.1.4: FETCH

def test_fetch_modseq(aware):
    c = aware(3)
    got = c.okay("FETCH 1:3 (MODSEQ)").fetches()
    assert all(len(i["MODSEQ"]) == 1 and i["MODSEQ"][0] > 0 for _, i in got) and len(got) == 3


def test_changedsince_gives_only_newer_and_adds_modseq(aware):
    c = aware(4)
    mark = max(modseqs(c).values())
    c.okay("STORE 2,4 +FLAGS.SILENT (x)")
    got = c.okay("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % mark).fetches()
    assert sorted(n for n, _ in got) == [2, 4]
    assert all(i["MODSEQ"][0] > mark and "x" in i["FLAGS"] for _, i in got)


def test_changedsince_is_strictly_greater(aware):
    c = aware(3)
    m = modseqs(c)
    got = c.okay("FETCH 1:* (UID) (CHANGEDSINCE %d)" % m[3]).fetches()
    assert [n for n, _ in got if m[n] <= m[3]] == []


def test_changedsince_within_a_set(aware):
    c = aware(5)
    mark = max(modseqs(c).values())
    c.okay("STORE 1:5 +FLAGS.SILENT (x)")
    assert sorted(c.okay("UID FETCH 2:3 (FLAGS) (CHANGEDSINCE %d)" % mark).by_uid()) == [2, 3]


def test_changedsince_nothing(aware):
    c = aware(3)
    assert c.okay("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % TOP).fetches() == []


def test_changedsince_with_bodies_and_without_parentheses(aware):
    c = aware(2)
    mark = max(modseqs(c).values())
    c.okay("STORE 2 +FLAGS.SILENT (x)")
    got = c.okay("FETCH 1:2 FLAGS (CHANGEDSINCE %d)" % mark).fetches()
    assert [n for n, _ in got] == [2]
    got = c.okay("FETCH 1:2 (BODY.PEEK[HEADER]) (CHANGEDSINCE %d)" % mark).fetches()
    assert [n for n, _ in got] == [2] and "MODSEQ" in got[0][1]


@pytest.mark.tidemark_only
def test_changedsince_zero_is_taken(aware):
    """IMAP.md section 5: iPhone Mail sends CHANGEDSINCE 0."""
    assert len(aware(3).okay("FETCH 1:* (FLAGS) (CHANGEDSINCE 0)").fetches()) == 3


@pytest.mark.parametrize("value", ["-1", "x", "", "9223372036854775808", "18446744073709551615",
                                   "1 2"])
def test_changedsince_out_of_range_is_bad(aware, value):
    assert aware(1).cmd("FETCH 1 (FLAGS) (CHANGEDSINCE %s)" % value).bad


@pytest.mark.parametrize("text", ["(CHANGEDSINCE 5", "(FOO)", "()", "(CHANGEDSINCE)",
                                  "(CHANGEDSINCE 1 CHANGEDSINCE 2)", "((CHANGEDSINCE 5))"])
def test_broken_fetch_modifiers_are_bad(aware, text):
    assert aware(1).cmd("FETCH 1 (FLAGS) " + text).bad


def test_example_14(two):
    """A change in session 1 is told in session 2 with its mod-sequence."""
    a, b = two(7)
    told = by_number(a.okay(r"STORE 7 +FLAGS.SILENT (\Deleted)"), 7)
    seen = by_number(b.okay("NOOP"), 7)
    assert seen["MODSEQ"] == told["MODSEQ"] and r"\Deleted" in seen["FLAGS"]
    told = by_number(a.okay(r"STORE 7 -FLAGS.SILENT (\Deleted)"), 7)
    seen = by_number(b.okay("NOOP"), 7)
    assert seen["MODSEQ"] == told["MODSEQ"] and r"\Deleted" not in seen["FLAGS"]


# --- 3.1.5, 3.1.6: SEARCH

def test_search_modseq_is_greater_or_equal(aware):
    c = aware(5)
    c.okay("STORE 3 +FLAGS.SILENT (x)")
    m = modseqs(c)
    assert c.okay("SEARCH MODSEQ %d" % m[3]).search() == [3]
    assert c.okay("SEARCH MODSEQ %d" % (m[3] + 1)).search() == []


def test_search_modseq_appends_the_highest_returned(aware):
    c = aware(5)
    c.okay("STORE 2 +FLAGS.SILENT (x)")
    m = modseqs(c)
    r = c.okay("SEARCH MODSEQ 1")
    assert r.search_modseq() == max(m.values())
    r = c.okay("SEARCH MODSEQ 1 NOT 2")
    assert r.search_modseq() == max(v for n, v in m.items() if n != 2)
    values = r.one("SEARCH").values
    assert isinstance(values[-1], list)


def test_search_modseq_without_hits_has_no_modseq(aware):
    """Example 16."""
    c = aware(2)
    assert c.okay("SEARCH MODSEQ %d" % TOP).one("SEARCH").values == []
    assert c.okay("SEARCH OR NOT MODSEQ 1 LARGER 5000000").one("SEARCH").values == []


def test_search_without_modseq_has_no_modseq(aware):
    assert aware(2).okay("SEARCH ALL").search_modseq() is None


@pytest.mark.parametrize("entry", [r'"/flags/\\draft" all', r'"/flags/\\Seen" shared',
                                   '"/flags/$mdnsent" priv', r'"/FLAGS/\\Flagged" ALL'])
def test_search_modseq_with_entry_names_that_are_ignored(aware, entry):
    """If the server doesn't store separate mod-sequences, it MUST ignore entry name and type."""
    c = aware(3)
    mark = max(modseqs(c).values())
    c.okay("STORE 2 +FLAGS.SILENT (x)")
    r = c.okay("SEARCH MODSEQ %s %d" % (entry, mark + 1))
    assert r.search() == [2] and r.search_modseq() == modseq(c, 2)


@pytest.mark.parametrize("text", ["MODSEQ", "MODSEQ x", "MODSEQ -1", "MODSEQ 9223372036854775808",
                                  r'MODSEQ "/flags/\\seen" 5', r'MODSEQ "/flags/\\seen" foo 5',
                                  "MODSEQ 1.5"])
def test_broken_search_modseq_is_bad(aware, text):
    assert aware(1).cmd("SEARCH " + text).bad


def test_search_modseq_zero_finds_all(aware):
    """mod-sequence-valzer"""
    assert aware(3).okay("SEARCH MODSEQ 0").search() == [1, 2, 3]


def test_uid_search_modseq(aware):
    c = aware(3)
    c.okay(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    c.okay("EXPUNGE")
    r = c.okay("UID SEARCH MODSEQ 1")
    assert r.search() == [2, 3] and r.search_modseq()


# --- 3.1.10: ESEARCH (RFC 4731 3.2)

@pytest.mark.needs("ESEARCH")
@pytest.mark.parametrize("options,numbers", [("ALL", [1, 2, 3, 4]), ("COUNT", [1, 2, 3, 4]),
                                             ("MIN", [1]), ("MAX", [4]), ("MIN MAX", [1, 4]),
                                             ("MIN MAX COUNT", [1, 2, 3, 4]),
                                             ("MIN ALL", [1, 2, 3, 4])])
def test_esearch_modseq(aware, options, numbers):
    """With only MIN and/or MAX: the mod-sequence of those; else of all returned."""
    c = aware(4)
    c.okay("STORE 4 +FLAGS.SILENT (a)")
    c.okay("STORE 1 +FLAGS.SILENT (a)")
    c.okay("STORE 2 +FLAGS.SILENT (a)")
    m = modseqs(c)
    got = c.okay("SEARCH RETURN (%s) MODSEQ 1" % options).esearch()[2]
    assert got["MODSEQ"] == max(m[n] for n in numbers)


@pytest.mark.needs("ESEARCH")
def test_esearch_modseq_without_hits(aware):
    got = aware(2).okay("SEARCH RETURN (COUNT) MODSEQ %d" % TOP).esearch()[2]
    assert got == {"COUNT": 0}


# --- 3.1.7: STATUS

def test_status_highestmodseq_is_selects(aware):
    c = aware(3)
    c.okay("CREATE other")
    c.okay("COPY 1:3 other")
    told = highest(c, "other")
    assert c.select("other", "(CONDSTORE)").codes()["HIGHESTMODSEQ"][0] == told


def test_status_highestmodseq_of_an_empty_mailbox(c):
    assert highest(c) >= 1


@pytest.mark.tidemark_only
def test_status_of_the_selected_mailbox_is_what_was_told(two):
    """IMAP.md section 7: it syncs first, and its HIGHESTMODSEQ is T."""
    a, b = two(1)
    b.okay("STORE 1 +FLAGS.SILENT (x)")
    r = a.okay("STATUS INBOX (HIGHESTMODSEQ)")
    assert by_number(r, 1)["MODSEQ"] == [r.one("STATUS").values[1][1]]


# --- 3.1.8 and MOVE, COPY

def test_examine_with_condstore(c, fill):
    fill(c, "INBOX", 1)
    assert c.okay("EXAMINE INBOX (CONDSTORE)").codes()["HIGHESTMODSEQ"]


def test_expunge_raises_highestmodseq(aware):
    """3.2: also for a client that knows only CONDSTORE the mailbox's number grows."""
    c = aware(3)
    c.okay(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    before = highest(c)
    c.okay("EXPUNGE")
    assert highest(c) > before


@pytest.mark.tidemark_only
def test_numbers_of_a_new_mailbox(c):
    """IMAP.md section 5: a new mailbox has highestmodseq 1, uidnext 1."""
    c.okay("CREATE fresh")
    codes = c.select("fresh").codes()
    assert codes["HIGHESTMODSEQ"] == [1] and codes["UIDNEXT"] == [1]


@pytest.mark.tidemark_only
def test_one_record_one_number(aware):
    """IMAP.md section 9: all messages of one record share its modseq, which is plus one."""
    c = aware(5)
    before = highest(c)
    c.okay("STORE 1:5 +FLAGS.SILENT (x)")
    assert set(modseqs(c).values()) == {before + 1} and highest(c) == before + 1
