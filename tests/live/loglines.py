"""The mail log beside the queue: what mqgrep --log finds, against a slow reading of the same log.

Knows how each MTA's lines begin and how its connections show in its log; shares nothing with the reader
that it checks.  Everything is asked of the whole log in memory, message by message, with regular expressions.
"""

import gzip
import json
import os
import re
import subprocess

SYSLOG = re.compile(r"(?:\w{3} [ \d]\d [\d:]{8}|\S+T\S+) (?P<host>\S+) (?P<tag>[^\[: ]+)(?:\[(?P<pid>\d+)\])?: (?P<text>.*)")
EXIM = re.compile(r"\S{10} \S{8} (?:\[(?P<pid>\d+)\] )?(?P<text>.*)")
POSTFIX_ID = re.compile(r"(?:[0-9A-F]{6,}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,}): ")
SENDMAIL_ID = re.compile(r"[0-9A-Za-z]{14}: ")


def parse(lines, pattern):
    out = []
    for number, line in enumerate(lines, 1):
        m = pattern.match(line)
        if m:
            out.append(dict(m.groupdict(), number=number))
    return out


def own(parsed, queue_id):
    return [l for l in parsed if l["text"].startswith(queue_id + ": ")]


def postfix(lines, queue_id):
    parsed = parse(lines, SYSLOG)
    mine = own(parsed, queue_id)
    mine += [l for l in parsed if l["tag"].endswith("/bounce") and
             re.fullmatch(r"\w+: .* notification: " + queue_id, l["text"])]
    for arrival in [l for l in mine if l["tag"].endswith("/smtpd") and ": client=" in l["text"]]:
        process = [l for l in parsed if (l["host"], l["tag"], l["pid"]) ==
                   (arrival["host"], arrival["tag"], arrival["pid"])]
        starts = [l["number"] for l in process if l["text"].startswith("connect from ") and
                  l["number"] < arrival["number"]]
        ends = [l["number"] for l in process if l["text"].startswith("disconnect from ") and
                l["number"] > arrival["number"]]
        mine += [l for l in process if max(starts) <= l["number"] <= min(ends + [10 ** 9]) and
                 not POSTFIX_ID.match(l["text"])]
    return mine


def exim(lines, queue_id):
    parsed = parse(lines, EXIM)
    word = re.compile(re.escape(queue_id) + r"(?: |$)")
    mine = [l for l in parsed if word.match(l["text"])]
    mine += [l for l in parsed if re.match(r"\S+ <= <> R=%s " % re.escape(queue_id), l["text"])]
    arrivals = [l for l in mine if l["text"].startswith(queue_id + " <= ")]
    for arrival in arrivals:
        peer = re.search(r" H=.* (\[[^\]]+\]:\d+) P=", arrival["text"])
        process = [l for l in parsed if l["pid"] == arrival["pid"] and
                   l["text"].startswith("SMTP connection")]
        ends = [l for l in process if l["number"] > arrival["number"]]
        # The daemon writes it (4.96), the process that serves, or exim -bs by the name of who runs it.
        starts = [l for l in parsed if l["number"] < arrival["number"] and
                  ((peer and " connection count " in l["text"] and
                    l["text"].startswith("SMTP connection from %s " % peer.group(1))) or
                   (l["pid"] == arrival["pid"] and
                    re.fullmatch(r"SMTP connection (?:Ci=\S+ )?from \w+", l["text"])))]
        mine += starts[-1:] + ends[:1]
    return mine


def sendmail(lines, queue_id):
    parsed = parse(lines, SYSLOG)
    mine = own(parsed, queue_id)
    mine += [l for l in parsed if re.match(r"\w{14}: %s: " % queue_id, l["text"])]
    splits = [l for l in parsed if re.fullmatch(r"\w{14}: split: count=\d+, id=" + queue_id, l["text"])]
    mine += splits
    for arrival in [l for l in mine if l["text"].startswith(queue_id + ": from=")] + splits:
        process = [l for l in parsed if l["pid"] == arrival["pid"]]
        begin = [l["number"] for l in process if
                 re.match(r"AUTH=server, |STARTTLS=server, relay=|NOQUEUE: connect from ", l["text"])]
        parent = [l["number"] for l in process if re.match(r"\w{14}: from=", l["text"])]
        first = min(begin + parent + [arrival["number"]])
        mine += [l for l in process if l["number"] >= first and not SENDMAIL_ID.match(l["text"])]
    return mine


READ = {"postfix": postfix, "exim": exim, "sendmail": sendmail}


def numbers(found):
    return sorted({l["number"] for l in found})


def ask(mqgrep, spool, files):
    argv = [mqgrep, "--spool", spool, "-j"]
    for path in files:
        argv += ["--log", path]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                          env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"})
    records = [json.loads(l) for l in done.stdout.decode("utf-8").splitlines()]
    return {r["queue_id"]: r for r in records}, done


def check(mqgrep, score, scene, directory):
    """Every message of every spool, with the logs as they are and as a night's rotation leaves them."""
    for (name, inner), lines in zip(scene.spools(), scene.logs()):
        spool = scene.room.host(inner)
        plain = os.path.join(directory, name + ".log")
        write(plain, lines)
        records, done = ask(mqgrep, spool, [plain])
        score.plain("mqgrep --log, %s" % name, done.returncode == 0,
                    "exit %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[:300]))
        for queue_id, record in records.items():
            compare(score, scene, lines, queue_id, record)
        rotated(mqgrep, score, spool, name, lines, records, directory)


def compare(score, scene, lines, queue_id, record):
    where = "%s --log" % queue_id
    got = record.get("log", [])
    score.plain(where, [l["line"] for l in got] == numbers(READ[scene.mta](lines, queue_id)),
                "lines %s, by hand %s" % ([l["line"] for l in got],
                                          numbers(READ[scene.mta](lines, queue_id))))
    score.plain(where + ", text", all(l["text"].replace("\ufffd", "") == lines[l["line"] - 1].replace("\ufffd", "")
                                      for l in got if "text_b64" not in l), "differs")
    truth = [t for t in scene.truths if t["queue_id"] == queue_id and t.get("message")]
    if got and truth:
        login(score, truth[0], record, where)


def login(score, truth, record, where):
    """Who logged in, where only the log knows."""
    auth = truth["message"].auth
    told = record.get("log_fields", {})
    if "auth_user" in record or not auth:
        score.plain(where + ", auth_user", "auth_user" not in told, "a user of nobody: %r" % told)
    else:
        score.plain(where + ", auth_user", told.get("auth_user") == auth[1] and
                    told.get("auth_method") == auth[0], "%r, it was %r" % (told, auth))


def write(path, lines, compressed=False):
    data = "".join(l + "\n" for l in lines).encode("utf-8", "surrogateescape")
    with (gzip.open if compressed else open)(path, "wb") as f:
        f.write(data)


def rotated(mqgrep, score, spool, name, lines, records, directory):
    """Cut in three, the older parts compressed, named newest first as a shell does."""
    cuts = [0, len(lines) // 3, 2 * len(lines) // 3, len(lines)]
    files = []
    for i in range(3):
        path = os.path.join(directory, "%s.part%d%s" % (name, 2 - i, "" if i == 2 else ".gz"))
        write(path, lines[cuts[i]:cuts[i + 1]], i < 2)
        files.append(path)
    again, _ = ask(mqgrep, spool, files[::-1])
    texts = lambda found: {k: [l["text"] for l in r.get("log", [])] for k, r in found.items()}
    score.plain("mqgrep --log, rotated, %s" % name, texts(again) == texts(records),
                "other lines than from one file: " + ", ".join(
                    k for k in records if texts(again).get(k) != texts(records)[k])[:300])
