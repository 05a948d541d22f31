"""CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS, NAMESPACE.

RFC 3501 6.3, RFC 2342, RFC 3348, RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154
(SPECIAL-USE), RFC 8438 (STATUS=SIZE), RFC 5530 (response codes).
"""
import pytest

from imapc import Lit, quote, utf7


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def listed(r, name="LIST"):
    """name -> set of lower-case attributes"""
    return {text(x.values[2]): {a.lower() for a in x.values[0]} for x in r.all(name)}


def names(c, pattern="*", ref=""):
    return sorted(listed(c.okay('LIST %s %s' % (quote(ref), quote(pattern)))))


def status(c, mailbox, *items):
    values = c.okay("STATUS %s (%s)" % (quote(mailbox), " ".join(items))).one("STATUS").values[1]
    return dict(zip(values[::2], values[1::2]))


def make(c, *mailboxes):
    for m in mailboxes:
        c.okay("CREATE " + quote(m))


def test_a_new_account_has_inbox_only(c):
    assert names(c) == ["INBOX"]


def test_create_and_list(c):
    make(c, "Work", "Work/2024")
    assert names(c) == ["INBOX", "Work", "Work/2024"]


def test_create_twice_is_alreadyexists(c):
    make(c, "Work")
    r = c.cmd("CREATE Work")
    assert r.no and r.code == "ALREADYEXISTS"


@pytest.mark.parametrize("name", ["INBOX", "inbox", "iNbOx"])
def test_create_inbox_is_no(c, name):
    assert c.cmd("CREATE " + name).no


def test_create_with_trailing_separator_makes_the_name_without(c):
    """6.3.3: ... the name created is without the trailing hierarchy delimiter."""
    c.okay("CREATE folder/")
    assert "folder" in names(c)


def test_create_of_a_child_makes_its_parents_visible(c):
    make(c, "a/b/c")
    got = listed(c.okay('LIST "" *'))
    assert "a/b/c" in got
    for parent in ("a", "a/b"):
        assert parent not in got or got[parent] & {"\\noselect", "\\nonexistent",
                                                    "\\haschildren"}
    assert set(names(c, "%")) == {"INBOX", "a"}


@pytest.mark.tidemark_only
def test_inferred_parents_are_nonexistent_and_may_be_created(c):
    """IMAP.md section 6: a name that has only inferiors is \\NonExistent by computation."""
    make(c, "a/b")
    got = listed(c.okay('LIST "" %'))
    assert {"\\haschildren"} <= got["a"] and got["a"] & {"\\noselect", "\\nonexistent"}
    assert c.cmd("SELECT a").no
    make(c, "a")
    assert not listed(c.okay('LIST "" a'))["a"] & {"\\noselect", "\\nonexistent"}
    c.okay("DELETE a/b")
    assert names(c) == ["INBOX", "a"]


def test_delete(c):
    make(c, "gone")
    c.okay("DELETE gone")
    assert names(c) == ["INBOX"]
    r = c.cmd("DELETE gone")
    assert r.no and r.code in ("NONEXISTENT", "TRYCREATE", None)


def test_delete_inbox_is_no(c):
    assert c.cmd("DELETE INBOX").no
    assert c.cmd("DELETE inbox").no


def test_delete_with_children_keeps_the_children(c):
    """6.3.4: the DELETE command MUST NOT remove inferior hierarchical names."""
    make(c, "foo", "foo/bar")
    c.okay("DELETE foo")
    got = listed(c.okay('LIST "" foo*'))
    assert "foo/bar" in got
    assert "foo" not in got or got["foo"] & {"\\noselect", "\\nonexistent"}
    assert c.cmd("SELECT foo").no
    assert c.select("foo/bar")


def test_delete_of_a_noselect_name_with_children_is_an_error(c):
    """6.3.4: it is an error to delete a name that has inferiors and is \\Noselect."""
    make(c, "foo/bar")
    assert c.cmd("DELETE foo").no


def test_created_again_it_has_a_greater_uidvalidity(c, fill):
    """6.3.4 and 2.3.1.1: UIDs must not be reused, or the UIDVALIDITY must grow."""
    make(c, "box")
    fill(c, "box", 2)
    first = status(c, "box", "UIDVALIDITY", "UIDNEXT")
    c.okay("DELETE box")
    make(c, "box")
    second = status(c, "box", "UIDVALIDITY", "UIDNEXT", "MESSAGES")
    assert second["MESSAGES"] == 0
    assert second["UIDVALIDITY"] > first["UIDVALIDITY"]


def test_rename(c, fill):
    make(c, "old")
    fill(c, "old", 2)
    before = status(c, "old", "UIDNEXT", "MESSAGES")
    c.okay("RENAME old new")
    assert names(c) == ["INBOX", "new"]
    assert status(c, "new", "UIDNEXT", "MESSAGES") == before


def test_rename_takes_children_along(c, fill):
    """6.3.5: if the name has inferior hierarchical names, they MUST also be renamed."""
    make(c, "old", "old/a", "old/a/b", "older")
    fill(c, "old/a/b", 1)
    c.okay("RENAME old new")
    assert names(c) == ["INBOX", "new", "new/a", "new/a/b", "older"]
    assert status(c, "new/a/b", "MESSAGES") == {"MESSAGES": 1}


def test_rename_to_an_existing_name_is_alreadyexists(c):
    make(c, "a", "b")
    r = c.cmd("RENAME a b")
    assert r.no and r.code == "ALREADYEXISTS"


def test_rename_of_what_is_not_there_is_nonexistent(c):
    r = c.cmd("RENAME a b")
    assert r.no and r.code in ("NONEXISTENT", "TRYCREATE")


def test_rename_to_inbox_is_no(c):
    make(c, "a")
    assert c.cmd("RENAME a INBOX").no


def test_rename_under_itself_is_no(c):
    make(c, "a")
    assert c.cmd("RENAME a a/b").no
    assert names(c) == ["INBOX", "a"]


def test_rename_into_a_new_hierarchy(c):
    """6.3.5: ... servers SHOULD create superior hierarchical names as needed."""
    make(c, "a")
    c.okay("RENAME a x/y/z")
    assert "x/y/z" in names(c)


def test_rename_inbox_moves_its_messages(c, fill):
    """6.3.5: renaming INBOX moves all messages and leaves INBOX empty."""
    fill(c, "INBOX", 3, flags=r"\Flagged")
    c.okay("RENAME INBOX archive")
    assert status(c, "INBOX", "MESSAGES") == {"MESSAGES": 0}
    c.select("archive")
    got = c.okay("FETCH 1:* FLAGS").fetches()
    assert len(got) == 3 and all(r"\Flagged" in i["FLAGS"] for _, i in got)


@pytest.mark.tidemark_only
def test_rename_inbox_keeps_inboxs_identity(c, fill):
    """IMAP.md section 6: INBOX keeps id and uidvalidity, and its UIDNEXT does not go back."""
    make(c, "INBOX/child")
    fill(c, "INBOX", 3)
    before = status(c, "INBOX", "UIDVALIDITY", "UIDNEXT", "MAILBOXID")
    c.okay("RENAME INBOX archive")
    after = status(c, "INBOX", "UIDVALIDITY", "UIDNEXT", "MAILBOXID")
    assert after == before
    assert "INBOX/child" in names(c) and "archive/child" not in names(c)


@pytest.mark.tidemark_only
def test_rename_back_and_forth_never_repeats_a_uidvalidity(c, fill):
    make(c, "a")
    seen = {status(c, "a", "UIDVALIDITY")["UIDVALIDITY"]}
    c.okay("RENAME a b")
    make(c, "a")
    second = status(c, "a", "UIDVALIDITY")["UIDVALIDITY"]
    assert second not in seen and second > max(seen)
    c.okay("DELETE a")
    c.okay("RENAME b a")
    third = status(c, "a", "UIDVALIDITY")["UIDVALIDITY"]
    assert third > second


# --- names

@pytest.mark.parametrize("name", ["Entwürfe", "日本語", "台北", "~peter", "a&b", "Боб", "☺", "😀",
                                  "Tom & Jerry", "a b c", "dots.in.name", "UPPER", "x" * 200])
def test_names_in_modified_utf7(c, name):
    wire = utf7(name)
    c.okay("CREATE " + quote(wire))
    assert wire in names(c)
    assert c.select(wire)
    c.okay("DELETE " + quote(wire))


@pytest.mark.tidemark_only
@pytest.mark.parametrize("wire", [
    "&", "&x", "bad&", "&AOQ", "a&AGE-b", "&U,BTFw-&U,BTFw-", "&2AA-", "&3AA-", "&AOQ=-", "&!-",
    "&AAAA", "&AO-", "a&-&AGE-"])
def test_modified_utf7_that_is_not_canonical_is_refused(c, wire):
    """5.1.3: printable ASCII MUST represent itself; no superfluous shifts; complete sextets."""
    r = c.cmd("CREATE " + quote(wire))
    assert not r.ok, r
    assert names(c) == ["INBOX"]


@pytest.mark.tidemark_only
def test_names_are_normalised_to_nfc(c):
    c.okay("CREATE " + quote(utf7("e\u0301te\u0301")))
    assert names(c) == sorted(["INBOX", utf7("été")])
    assert c.select(utf7("été")) and c.select(utf7("e\u0301te\u0301"))


@pytest.mark.tidemark_only
@pytest.mark.parametrize("name", ["", "/", "/a", "a//b", "//", "a/b//"])
def test_names_with_empty_levels_are_refused(c, name):
    assert not c.cmd("CREATE " + quote(name)).ok


@pytest.mark.tidemark_only
def test_eight_bit_names_are_refused_without_utf8_accept(c):
    assert not c.cmd("CREATE ", Lit("Entwürfe")).ok


@pytest.mark.tidemark_only
def test_control_characters_are_refused(c):
    assert not c.cmd("CREATE ", Lit(b"a\x01b")).ok
    assert not c.cmd("CREATE ", Lit(b"a\r\nb")).ok


@pytest.mark.tidemark_only
def test_too_many_levels_are_refused_politely(c):
    r = c.cmd("CREATE " + quote("/".join(["a"] * 1000)))
    assert r.no and r.code in ("CANNOT", "LIMIT")
    assert c.okay("NOOP") and names(c) == ["INBOX"]


@pytest.mark.tidemark_only
def test_a_name_that_is_too_long_is_refused(c):
    r = c.cmd("CREATE " + "n" * 5000)
    assert r.no
    assert c.okay("NOOP")


def test_case_matters_outside_inbox(c):
    make(c, "Box", "box")
    assert names(c) == ["Box", "INBOX", "box"]


# --- LIST

def test_list_gives_the_separator(c):
    """6.3.8: an empty mailbox name asks for the hierarchy delimiter and the root."""
    r = c.okay('LIST "" ""').one("LIST")
    assert r.values[1] == b"/" and r.values[2] in (b"", "")
    assert "\\noselect" in {a.lower() for a in r.values[0]}


@pytest.mark.parametrize("pattern,wanted", [
    ("*", ["INBOX", "a", "a/b", "a/b/c", "ab", "b"]),
    ("%", ["INBOX", "a", "ab", "b"]),
    ("a*", ["a", "a/b", "a/b/c", "ab"]),
    ("a%", ["a", "ab"]),
    ("a/%", ["a/b"]),
    ("a/*", ["a/b", "a/b/c"]),
    ("%/%", ["a/b"]),
    ("%/%/%", ["a/b/c"]),
    ("*c", ["a/b/c"]),
    ("*/b*", ["a/b", "a/b/c"]),
    ("%b", ["ab", "b"]),
    ("inbox", ["INBOX"]),
    ("InB*", ["INBOX"]),
    ("none", []),
    ("**", ["INBOX", "a", "a/b", "a/b/c", "ab", "b"]),
    ("%%", ["INBOX", "a", "ab", "b"]),
])
def test_list_patterns(c, pattern, wanted):
    make(c, "a", "a/b", "a/b/c", "ab", "b")
    assert names(c, pattern) == sorted(wanted)


def test_list_reference(c):
    make(c, "a", "a/b", "a/b/c")
    assert names(c, "%", "a/") == ["a/b"]
    assert names(c, "*", "a/") == ["a/b", "a/b/c"]


def test_list_children_attributes(c):
    """RFC 3348."""
    make(c, "a", "a/b", "z")
    got = listed(c.okay('LIST "" *'))
    assert "\\haschildren" in got["a"] and "\\hasnochildren" not in got["a"]
    assert "\\hasnochildren" in got["a/b"] and "\\hasnochildren" in got["z"]


def test_subscribe_lsub_unsubscribe(c):
    make(c, "a", "b")
    c.okay("SUBSCRIBE a")
    assert list(listed(c.okay('LSUB "" *'), "LSUB")) == ["a"]
    c.okay("UNSUBSCRIBE a")
    assert c.okay('LSUB "" *').all("LSUB") == []


@pytest.mark.tidemark_only
def test_subscription_to_what_does_not_exist(c):
    """6.3.6 and the issue: a subscription names a name, not a mailbox."""
    c.okay("SUBSCRIBE not/there")
    assert list(listed(c.okay('LSUB "" *'), "LSUB")) == ["not/there"]
    c.okay("UNSUBSCRIBE not/there")


def test_subscription_outlives_its_mailbox(c):
    """6.3.9: the server MUST NOT unilaterally remove an existing mailbox name from the list."""
    make(c, "a")
    c.okay("SUBSCRIBE a")
    c.okay("DELETE a")
    assert list(listed(c.okay('LSUB "" *'), "LSUB")) == ["a"]


def test_lsub_percent_shows_unsubscribed_parents(c):
    """6.3.9: foo/bar subscribed, LSUB "" % must answer foo with \\Noselect."""
    make(c, "foo", "foo/bar")
    c.okay("SUBSCRIBE foo/bar")
    got = listed(c.okay('LSUB "" %'), "LSUB")
    assert "\\noselect" in got["foo"]


def test_unsubscribe_of_what_is_not_subscribed(c):
    r = c.cmd("UNSUBSCRIBE nowhere")
    assert r.status in ("OK", "NO")


# --- STATUS

def test_status_all_items(c, fill):
    fill(c, "INBOX", 3)
    c.select()
    c.okay(r"STORE 1 +FLAGS.SILENT (\Seen)")
    c.okay("CLOSE")
    got = status(c, "INBOX", "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN")
    assert (got["MESSAGES"], got["UIDNEXT"], got["UNSEEN"]) == (3, 4, 2)
    assert got["UIDVALIDITY"] > 0


def test_status_of_an_empty_mailbox(c):
    make(c, "e")
    got = status(c, "e", "MESSAGES", "RECENT", "UIDNEXT", "UNSEEN")
    assert got == {"MESSAGES": 0, "RECENT": 0, "UIDNEXT": 1, "UNSEEN": 0}


@pytest.mark.tidemark_only
def test_status_size_and_deleted(c, fill):
    """RFC 8438: SIZE is the sum of RFC822.SIZE."""
    mails = fill(c, "INBOX", 3)
    assert status(c, "INBOX", "SIZE") == {"SIZE": sum(map(len, mails))}


def test_status_of_nothing_is_no(c):
    r = c.cmd("STATUS nowhere (MESSAGES)")
    assert r.no and r.code in ("NONEXISTENT", "TRYCREATE", None)


def test_status_of_the_selected_mailbox(box, fill):
    c = box(2)
    assert status(c, "INBOX", "MESSAGES") == {"MESSAGES": 2}


def test_status_name_needs_quotes_if_it_does(c):
    make(c, "a b(c)")
    assert text(c.okay('STATUS "a b(c)" (MESSAGES)').one("STATUS").values[0]) == "a b(c)"


@pytest.mark.needs("CONDSTORE")
def test_status_highestmodseq(c, fill):
    fill(c, "INBOX", 1)
    first = status(c, "INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]
    fill(c, "INBOX", 1)
    assert status(c, "INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"] > first >= 1


def test_namespace(c):
    """RFC 2342: one personal namespace "" with "/", no others."""
    r = c.okay("NAMESPACE").one("NAMESPACE")
    assert r.values == [[[b"", b"/"]], None, None]


# --- LIST-EXTENDED

@pytest.mark.needs("LIST-EXTENDED")
def test_list_subscribed(c):
    """RFC 5258 3.4: SUBSCRIBED selects, and \\Subscribed is in the answer."""
    make(c, "a", "b", "b/c")
    c.okay("SUBSCRIBE a")
    c.okay("SUBSCRIBE b/c")
    got = listed(c.okay('LIST (SUBSCRIBED) "" *'))
    assert sorted(got) == ["a", "b/c"]
    assert all("\\subscribed" in v for v in got.values())


@pytest.mark.needs("LIST-EXTENDED")
@pytest.mark.tidemark_only
def test_list_subscribed_shows_what_does_not_exist(c):
    """RFC 5258 3.1: \\NonExistent for a subscribed name that does not exist."""
    c.okay("SUBSCRIBE ghost")
    got = listed(c.okay('LIST (SUBSCRIBED) "" *'))
    assert got["ghost"] >= {"\\subscribed", "\\nonexistent"}
    assert "ghost" not in listed(c.okay('LIST "" *'))


@pytest.mark.needs("LIST-EXTENDED")
def test_list_return_subscribed(c):
    make(c, "a", "b")
    c.okay("SUBSCRIBE a")
    got = listed(c.okay('LIST "" * RETURN (SUBSCRIBED)'))
    assert sorted(got) == ["INBOX", "a", "b"]
    assert [n for n in got if "\\subscribed" in got[n]] == ["a"]


@pytest.mark.needs("LIST-EXTENDED")
def test_list_return_children(c):
    make(c, "a/b")
    got = listed(c.okay('LIST "" % RETURN (CHILDREN)'))
    assert "\\haschildren" in got["a"] and "\\hasnochildren" in got["INBOX"]


@pytest.mark.needs("LIST-EXTENDED")
def test_list_many_patterns(c):
    """RFC 5258 3: a parenthesised list of patterns; no name twice."""
    make(c, "a", "ab", "b")
    r = c.okay('LIST "" (a* b INBOX)')
    got = [text(x.values[2]) for x in r.all("LIST")]
    assert sorted(got) == ["INBOX", "a", "ab", "b"] and len(set(got)) == len(got)


@pytest.mark.needs("LIST-EXTENDED")
def test_recursivematch(c):
    """RFC 5258 3.5: a parent whose child matches is returned with CHILDINFO."""
    make(c, "foo", "foo/bar", "other")
    c.okay("SUBSCRIBE foo/bar")
    r = c.okay('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
    got = {text(x.values[2]): x.values for x in r.all("LIST")}
    assert sorted(got) == ["foo"]
    assert [text(v).upper() for v in got["foo"][3]][0] == "CHILDINFO"
    assert [text(v).upper() for v in got["foo"][3][1]] == ["SUBSCRIBED"]


@pytest.mark.needs("LIST-EXTENDED")
@pytest.mark.tidemark_only
def test_recursivematch_alone_is_bad(c):
    """RFC 5258 3.1: RECURSIVEMATCH without a selection option that it can modify MUST be BAD."""
    assert c.cmd('LIST (RECURSIVEMATCH) "" *').bad
    assert c.cmd('LIST (REMOTE RECURSIVEMATCH) "" *').bad


@pytest.mark.needs("LIST-EXTENDED")
def test_unknown_options_are_bad(c):
    assert c.cmd('LIST (XYZZY) "" *').bad
    assert c.cmd('LIST "" * RETURN (XYZZY)').bad


@pytest.mark.needs("LIST-EXTENDED")
def test_remote_is_accepted(c):
    assert "INBOX" in listed(c.okay('LIST (REMOTE) "" *'))


@pytest.mark.needs("LIST-EXTENDED")
def test_empty_option_lists(c):
    assert "INBOX" in listed(c.okay('LIST () "" * RETURN ()'))


# --- LIST-STATUS

@pytest.mark.needs("LIST-STATUS")
def test_list_return_status(c, fill):
    """RFC 5819 2: a STATUS for each selectable mailbox that is listed, after its LIST."""
    make(c, "a", "x/y")
    fill(c, "a", 2)
    r = c.okay('LIST "" * RETURN (STATUS (MESSAGES UNSEEN))')
    got = {text(x.values[0]): x.values[1] for x in r.all("STATUS")}
    assert got["a"] == ["MESSAGES", 2, "UNSEEN", 2]
    assert "INBOX" in got and "x/y" in got and "x" not in got
    order = [(u.name, text(u.values[2] if u.name == "LIST" else u.values[0])) for u in r.untagged]
    assert order.index(("LIST", "a")) < order.index(("STATUS", "a"))


@pytest.mark.needs("LIST-STATUS")
def test_list_status_with_highestmodseq(c, fill):
    fill(c, "INBOX", 1)
    r = c.okay('LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ) SUBSCRIBED)')
    assert r.one("STATUS").values[1][0] == "HIGHESTMODSEQ"


# --- SPECIAL-USE

@pytest.mark.needs("CREATE-SPECIAL-USE")
def test_create_with_special_use(c):
    """RFC 6154 3."""
    c.okay(r"CREATE Sent (USE (\Sent))")
    c.okay(r"CREATE Both (USE (\Drafts \Junk))")
    got = listed(c.okay('LIST "" * RETURN (SPECIAL-USE)'))
    assert "\\sent" in got["Sent"] and {"\\drafts", "\\junk"} <= got["Both"]
    assert sorted(listed(c.okay('LIST (SPECIAL-USE) "" *'))) == ["Both", "Sent"]


@pytest.mark.needs("CREATE-SPECIAL-USE")
def test_create_with_a_special_use_that_is_not_known_is_useattr(c):
    """RFC 6154 3: NO [USEATTR]; nothing is created."""
    r = c.cmd(r"CREATE X (USE (\Nonsense))")
    assert not r.ok and (r.bad or r.code == "USEATTR")
    assert names(c) == ["INBOX"]


@pytest.mark.tidemark_only
def test_plain_list_shows_special_use_too(c):
    """RFC 6154 2: a server MAY send it with LIST: what Thunderbird and others need."""
    c.okay(r"CREATE Trash (USE (\Trash))")
    assert "\\trash" in listed(c.okay('LIST "" *'))["Trash"]


@pytest.mark.tidemark_only
def test_special_use_goes_with_a_rename(c):
    c.okay(r"CREATE Sent (USE (\Sent))")
    c.okay("RENAME Sent Post")
    assert "\\sent" in listed(c.okay('LIST "" *'))["Post"]


# --- OBJECTID

@pytest.mark.tidemark_only
def test_mailboxid(c):
    """RFC 8474 4: in CREATE's OK, in SELECT, in STATUS; it survives a rename, not a re-creation."""
    r = c.okay("CREATE box")
    assert r.code == "MAILBOXID"
    created = r.code_args[0][0]
    assert c.select("box").codes()["MAILBOXID"][0][0] == created
    c.okay("CLOSE")
    c.okay("RENAME box other")
    assert status(c, "other", "MAILBOXID") == {"MAILBOXID": [created]}
    c.okay("DELETE other")
    assert c.okay("CREATE other").code_args[0][0] != created


@pytest.mark.tidemark_only
def test_mailboxids_are_safe_and_different(c):
    ids = [c.okay("CREATE b%d" % i).code_args[0][0] for i in range(10)]
    ids.append(c.select().codes()["MAILBOXID"][0][0])
    assert len(set(ids)) == 11
    for i in ids:
        assert 1 <= len(i) <= 255 and all(ch.isalnum() or ch in "-_" for ch in i)
