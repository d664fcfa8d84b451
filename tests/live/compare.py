"""Comparing records with truths, field by field, and counting what was compared.

Knows the fields of a record and which of them an MTA does not store; runs no MTA.  A field that a
truth does not name must be absent from the record.  `Score` holds the matrix.
"""

import ipaddress
import json
import os
import re

# The fields of the record, in the order of its table; "a.b" is member b of the elements of list a.
RECIPIENT = ("address", "delay_reason", "dsn_code", "orig_address")
HOP = ("by", "from", "helo", "address", "with", "id", "time")
# No MTA stores them: they follow from the chain and from whom one trusts; origin() says what they must be.
ORIGIN = ("origin_address", "origin_user", "origin_script", "origin_source", "origin_trust")
DERIVED = ("received.trust", *ORIGIN)
FIELDS = (
    "schema host mta spool queue_name queue_id state arrival_time arrival_usec message_size "
    "data_size sender".split() + ["recipients." + m for m in RECIPIENT] +
    "recipients_done client_address client_port client_name helo_name protocol_name auth_user "
    "auth_method local_user local_uid attempts last_attempt next_attempt forced_expire "
    "bounce_reason hold_reason reason reason_class subject subject_b64 from from_b64 to to_b64 "
    "message_id date".split() + ["received." + m for m in HOP] + list(DERIVED) +
    "flags identity problems files".split())

STATES = ("receiving", "corrupt", "active", "held", "deferred", "incoming")

# Cells that stay empty, with the reason: the closing tables of the format notes.
NOT_STORED = {
    "arrival_usec": {"sendmail": "T holds whole seconds"},
    "recipients_done": {"sendmail": "done recipients vanish from the control file"},
    "local_user": {"postfix": "only the number stands in the Received line"},
    "local_uid": {"sendmail": "the owner of the file does not prove the login"},
    "attempts": {"postfix": "only the log knows"},
    "last_attempt": {"exim": "not stored; the msglog is for people"},
    "next_attempt": {"exim": "kept by host in the hints, not by message",
                     "sendmail": "computed from the configuration at each run"},
    "forced_expire": {"exim": "no such mark", "sendmail": "no such mark"},
    "bounce_reason": {"exim": "no log of pending bounces",
                      "sendmail": "no log of pending bounces"},
    "hold_reason": {"postfix": "only the log says why", "exim": "only the log says why"},
}

def why_empty(field, mta):
    return NOT_STORED.get(field, {}).get(mta)


class Score:
    """What was compared: counts per (field, mta, suite), and the mismatches."""

    def __init__(self, mta, suite):
        self.mta, self.suite = mta, suite
        self.cells, self.failures, self.passed = {}, [], 0

    def check(self, field, ok, filled, where, detail=""):
        if ok:
            self.passed += 1
            if filled:
                self.cells[field] = self.cells.get(field, 0) + 1
        else:
            self.failures.append("%s %s %s: %s: %s" % (self.mta, self.suite, where, field, detail))

    def plain(self, what, ok, detail=""):
        """A check that is no field of the matrix."""
        if ok:
            self.passed += 1
        else:
            self.failures.append("%s %s %s: %s" % (self.mta, self.suite, what, detail))


# --- one value ---------------------------------------------------------------------------------

def _is_matcher(expected):
    return isinstance(expected, dict) and len(expected) == 1 and next(iter(expected))[0] == "~"


def fits(expected, actual):
    """Whether a value is as the truth says (load.py explains the matchers)."""
    if not _is_matcher(expected):
        return actual == expected
    (kind, value), = expected.items()
    if kind == "~any":
        return True
    if kind == "~maybe":
        return actual is None or fits(value, actual)
    if actual is None:
        return False
    if kind == "~in":
        return isinstance(actual, int) and value[0] <= actual <= value[1]
    if kind == "~has":
        return isinstance(actual, str) and all(v in actual for v in value)
    if kind == "~like":
        return isinstance(actual, str) and re.fullmatch(value, actual) is not None
    if kind == "~one":
        return any(fits(v, actual) for v in value)
    if kind == "~set":
        return isinstance(actual, list) and set(value) <= set(actual)
    if kind == "~words":
        return isinstance(actual, str) and actual.split() == value.split()
    if kind == "~some":
        return isinstance(actual, list) and len(actual) >= value
    raise ValueError(kind)


def _filled(value):
    return value not in (None, "", [])


def _show(value):
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    return text if len(text) <= 300 else text[:300] + "..."


def _one(score, field, expected, actual, where):
    ok = fits(expected, actual)
    score.check(field, ok, _filled(actual), where,
                "expected %s, got %s" % (_show(expected), _show(actual)))


def _moment(score, span, record, where):
    """Arrival to the microsecond, between the client's first and last byte (and clock ticks)."""
    whole, usec = record.get("arrival_time"), record.get("arrival_usec")
    ok = isinstance(usec, int) and isinstance(whole, int) and \
        span[0] - 0.01 <= whole + usec / 1e6 <= span[1] + 0.01
    score.check("arrival_usec", ok, True, where, "%s.%06d is not in %s" % (whole, usec or 0, span))


# --- lists -------------------------------------------------------------------------------------

def _recipients(score, expected, actual, where):
    if _is_matcher(expected):
        score.check("recipients.address", fits(expected, actual), False, where, _show(actual))
        return
    actual = list(actual or [])
    for want in expected:
        found = [a for a in actual if a.get("address") == want["address"] and
                 ("orig_address" not in want or a.get("orig_address") == want["orig_address"])]
        found = found or [a for a in actual if a.get("address") == want["address"]]
        if not found:
            score.check("recipients.address", False, False, where, "%s is missing in %s" % (
                _show(want["address"]), _show([a.get("address") for a in actual])))
            continue
        actual.remove(found[0])
        for member in RECIPIENT:
            _one(score, "recipients." + member, want.get(member), found[0].get(member),
                 "%s <%s>" % (where, want["address"]))
    for extra in actual:
        score.check("recipients.address", False, False, where, "unexpected " + _show(extra))


def _done(score, expected, actual, where):
    if _is_matcher(expected):
        (kind, value), = expected.items()
        if kind == "~any" or (kind == "~maybe" and (not actual or _is_matcher(value))):
            return
        expected = value
    got = sorted(a["address"] if isinstance(a, dict) else a for a in actual or [])
    score.check("recipients_done", got == sorted(expected), bool(got), where,
                "expected %s, got %s" % (_show(sorted(expected)), _show(got)))


def _received(score, expected, actual, where):
    actual = actual or []
    score.check("received.by", len(actual) == len(expected), False, where,
                "%d hops, expected %d" % (len(actual), len(expected)))
    for number, (want, got) in enumerate(zip(expected, actual)):
        for member in HOP:
            _one(score, "received." + member, want.get(member), got.get(member),
                 "%s hop %d" % (where, number))


def _flags(score, expected, actual, where):
    actual = actual or []
    derived = {"partly-delivered", "redirected", "content-filter"}
    if _is_matcher(expected):
        ok = fits(expected, actual)
    else:
        ok = set(expected) == set(actual) - derived
    score.check("flags", ok, bool(actual), where,
                "expected %s, got %s" % (_show(expected), _show(actual)))


# --- where it entered --------------------------------------------------------------------------

LOOPBACK = [ipaddress.ip_network(n) for n in ("127.0.0.0/8", "::1/128")]
PRIVATE = [ipaddress.ip_network(n) for n in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
    "fc00::/7", "fe80::/10")]
CLAIMS = {"x-originating-ip": ("origin_address", "X-Originating-IP"),
          "x-authenticated-user": ("origin_user", "X-Authenticated-User"),
          "x-php-originating-script": ("origin_script", "X-PHP-Originating-Script")}


def _within(address, networks):
    return any(ipaddress.ip_address(address) in n for n in networks)


def _walk(client, chain):
    """Where the chain leads, trusting loopback alone (as of a spool that is not this machine's):
    the last address, whether a Received field beyond the client's tells it, and how many hops are
    to be believed."""
    at, believed, further = client, 0, False
    if client and chain and not chain[0].get("address"):
        believed = 1                    # its own server took it twice
    elif not client:
        return None, min(len(chain), 1), False
    for number, hop in enumerate(chain[believed:]):
        if number > 0 and not _within(at, LOOPBACK):
            break
        believed += 1
        if not hop.get("address"):
            break
        further = further or hop["address"] != at
        at = hop["address"]
    return at, believed, further


def origin(truth, fields):
    """The origin fields as they must be, and for each hop whether it is observed."""
    chain = [h if isinstance(h, dict) else {} for h in fields.get("received", [])]
    client = fields.get("client_address")
    at, believed, further = _walk(client, chain)
    want = {"origin_trust": "observed"}
    source = ["local" if not at else "received" if further else "client"]
    if at:
        want["origin_address"] = at
    if not at or _within(at, LOOPBACK):
        claims = {}
        for line in truth["message"].headers if "message" in truth else ():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() in CLAIMS:
                field, name = CLAIMS[name.lower()]
                claims[field] = value.strip().strip("[]")
                source = [] if field == "origin_address" else source
                source.append(name)
        want.update(claims)
        if claims:
            want["origin_trust"] = "claimed"
    address = want.get("origin_address")
    if address and _within(address, LOOPBACK):
        source.append("inside")
    elif address and _within(address, PRIVATE):
        source.append("private")
    want["origin_source"] = ",".join(source)
    return want, ["observed"] * believed + ["claimed"] * (len(chain) - believed)


def _origin(score, truth, record, where):
    want, hops = origin(truth, truth["fields"])
    for name in ORIGIN:
        _one(score, name, want.get(name), record.get(name), where)
    got = [h.get("trust") for h in record.get("received") or []]
    score.check("received.trust", got == hops, bool(got), where,
                "expected %s, got %s" % (_show(hops), _show(got)))


LISTS = {"recipients": _recipients, "recipients_done": _done, "received": _received,
         "flags": _flags}


# --- one record --------------------------------------------------------------------------------

def _common(score, truth, record, spool, where):
    """What follows from the place alone."""
    _one(score, "schema", "mqtools.record/1", record.get("schema"), where)
    _one(score, "host", {"~maybe": "mx.lab.example"}, record.get("host"), where)
    _one(score, "mta", truth["mta"], record.get("mta"), where)
    _one(score, "spool", spool, record.get("spool"), where)
    _one(score, "queue_id", truth["queue_id"], record.get("queue_id"), where)
    if not truth.get("partial"):
        identity = str(record.get("identity"))
        inode = truth.get("inode")
        score.check("identity", bool(inode) and re.search(r"\b%s\b" % inode, identity) is not None,
                    True, where, "no inode %s in %s" % (inode, identity))
    files = record.get("files") or []
    there = [os.path.exists(os.path.join(spool, f)) for f in files]
    score.check("files", bool(files) and all(there) and truth["queue_id"] in files[0], True,
                where, _show(files))


def compare(score, truth, record, spool):
    """All fields of one record."""
    where = "%s (%s)" % (truth["tag"], truth["queue_id"])
    fields = truth["fields"]
    _common(score, truth, record, spool, where)
    if truth.get("partial"):
        for name in ("state", "queue_name", "problems"):
            if name in fields:
                _one(score, name, fields[name], record.get(name), where)
        return
    for name, check in LISTS.items():
        check(score, fields.get(name, []), record.get(name), where)
    _one(score, "problems", fields.get("problems", {"~one": [None, []]}),
         record.get("problems"), where)
    skip = {"schema", "host", "mta", "spool", "queue_id", "data_size", "problems", "identity",
            "files", *DERIVED}
    _origin(score, truth, record, where)
    for name in FIELDS:
        if "." not in name and name not in skip and name not in LISTS:
            if name == "arrival_usec" and "~moment" in (fields.get(name) or ()):
                _moment(score, fields[name]["~moment"], record, where)
                continue
            _one(score, name, fields.get(name), record.get(name), where)


def _key_recipient(record):
    return {r.get("address") for r in record.get("recipients") or []}


def pair(score, truths, records, spool_name):
    """Each truth with its record; what is left on either side is a failure."""
    left = {r.get("queue_id"): r for r in records}
    score.plain("%s: ids" % spool_name, len(left) == len(records), "an id was listed twice")
    pairs = []
    for truth in truths:
        record = left.pop(truth["queue_id"], None)
        if record:
            pairs.append((truth, record))
        elif not truth.get("optional"):
            score.plain("%s (%s)" % (truth["tag"], truth["queue_id"]), False, "no such record")
    for queue_id in left:
        score.plain("%s: %s" % (spool_name, queue_id), False, "a record of no message of ours")
    return pairs


# --- what the MTA itself lists -----------------------------------------------------------------

def _bp_size(n):
    """A size as `exim -bp` rounds it."""
    if n < 1024:
        return str(n)
    for unit, scale in (("K", 1024), ("M", 1024 * 1024)):
        if n < 1024 * 1024 or unit == "M":
            whole = n / scale
            return "%.1f%s" % (int(whole * 10 + 0.5) / 10, unit) if whole < 10 \
                else "%d%s" % (int(whole + 0.5), unit)


def listing(score, truth, record):
    """The MTA's own listing says the same."""
    listed = truth.get("listed")
    where = "%s (%s) in the MTA's listing" % (truth["tag"], truth["queue_id"])
    if not listed or truth.get("hidden"):
        score.plain(where, bool(truth.get("unlisted") or truth.get("hidden")), "is missing")
        return
    addresses = sorted(_key_recipient(record))
    if truth["mta"] == "exim":
        size = record.get("message_size")
        score.plain(where, size is not None and _bp_size(size) == listed["size"],
                    "size %s, listed as %s" % (size, listed["size"]))
        score.plain(where, record.get("sender") == listed["sender"],
                    "sender %r, listed %r" % (record.get("sender"), listed["sender"]))
        score.plain(where, listed["frozen"] == (record.get("state") == "held"), "frozen mark")
        both = sorted(addresses + [d["address"] if isinstance(d, dict) else d
                                   for d in record.get("recipients_done") or []])
        score.plain(where, both == sorted(set(listed["recipients"] + listed["recipients_done"])),
                    "recipients %s, listed %s" % (_show(both), _show(listed)))
        return
    score.plain(where, record.get("message_size") == listed["message_size"],
                "size %s, listed %s" % (record.get("message_size"), listed["message_size"]))
    if truth["mta"] == "sendmail":
        cut = lambda a: a if len(a) <= 38 else a[:38]
        shown = [cut(("<%s>" % a)) for a in addresses] + [cut(a) for a in addresses]
        for address in listed["recipients"]:
            score.plain(where, any(s.startswith(address[:30]) for s in shown),
                        "lists %r" % address)
        return
    score.plain(where, record.get("queue_name") == listed["queue_name"],
                "queue %s, listed %s" % (record.get("queue_name"), listed["queue_name"]))
    score.plain(where, record.get("sender") == listed["sender"],
                "sender %r, listed %r" % (record.get("sender"), listed["sender"]))
    score.plain(where, set(listed["recipients"]) <= set(addresses) |
                {r.get("orig_address") for r in record.get("recipients") or []} and
                set(addresses) <= set(listed["recipients"]) |
                ({r.get("address") for r in record["recipients"] if r.get("orig_address")}),
                "recipients %s, listed %s" % (_show(addresses), _show(listed["recipients"])))


# --- the message rebuilt -----------------------------------------------------------------------

OWN_HEADERS = re.compile(rb"(received|return-path|message-id|date|from|x-mailer|sender|"
                         rb"x-authentication-warning|x-[a-z]+):", re.I)


def split_message(data):
    head, _, body = data.partition(b"\r\n\r\n")
    return re.split(rb"\r\n(?![ \t])", head), body


def same_message(sent, rebuilt):
    """None, or what differs: the body must be the same, our header lines in their order."""
    ours, body = split_message(sent)
    theirs, got = split_message(rebuilt)
    if body != got:
        at = next((i for i, (a, b) in enumerate(zip(body, got)) if a != b), min(len(body), len(got)))
        return "bodies differ at byte %d: %r / %r (%d and %d bytes)" % (
            at, body[at:at + 30], got[at:at + 30], len(body), len(got))
    squeeze = lambda l: re.sub(rb"\s+", b" ", l).strip()
    wanted = [squeeze(l) for l in ours]
    for line in theirs:
        if wanted and squeeze(line) == wanted[0]:
            wanted.pop(0)
        elif not OWN_HEADERS.match(line):
            return "unexpected header line %r" % line[:100]
    return "missing header line %r" % wanted[0][:100] if wanted else None


# --- the matrix --------------------------------------------------------------------------------

def matrix(scores):
    """Lines of the matrix, and how many cells are empty without a reason."""
    columns = [(s.mta, s.suite) for s in scores]
    lines = ["%-24s" % "field" + "".join("%18s" % ("%s/%s" % c) for c in columns)]
    bad = []
    reasons = {}
    for field in FIELDS:
        row = "%-24s" % field
        for score in scores:
            count = score.cells.get(field, 0)
            if count:
                row += "%18d" % count
                continue
            why = why_empty(field, score.mta)
            row += "%18s" % ("-" if why else "EMPTY")
            if why:
                reasons[(field, score.mta)] = why
            else:
                bad.append("empty cell: %s, %s %s" % (field, score.mta, score.suite))
        lines.append(row)
    lines += ["", "- not stored:"] + ["    %s, %s: %s" % (f, m, w)
                                      for (f, m), w in sorted(reasons.items())]
    return lines, bad
