def test_greeting(connect):
    assert connect().greeting.name == "OK"
def test_box(box):
    c = box(3)
    r = c.okay("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (From To)] BODY.PEEK[]<3.5>)")
    print(r.fetches())
    assert len(r.fetches()) == 3
