"""The load: messages to inject, each with what is known about it before any MTA saw it.

Knows mail and SMTP, knows no MTA: what one of them adds, changes or forgets is said in its
inject_*.py.  A Message goes in through a door (SMTP, or a command in the room); Truth is what its
record must say, field by field, and is kept as NDJSON.

In a truth a field is a plain value, or a dictionary with one key that starts with '~':
    {"~in": [low, high]}  a number in a range      {"~has": [TEXT...]}  text that contains these
    {"~like": REGEX}      text that matches whole  {"~any": WHY}        anything, or nothing
    {"~maybe": MATCHER}   absent, or as said       {"~set": [...]}      at least these elements
    {"~one": [MATCHER...]}  one of these           {"~words": TEXT}     the same but for white space
    {"~some": N}          N elements or more       {"~moment": [...]}   arrival with its fraction
A field that a truth does not name must be absent.
"""

import base64
import milter
import smtplib
import socket
import ssl
import time

RUN = "%x" % int(time.time())
DATE = "Sat, 21 Nov 2026 12:34:56 +0100"


class Message:
    """One message to send.  Addresses are as on the wire, without angle brackets."""

    def __init__(self, tag, sender=None, rcpts=None, subject=b"plain subject", decoded=None,
                 headers=(), body=b"A line of text.\r\n", **more):
        self.tag = tag
        self.sender = "sender-%s@s.example" % tag if sender is None else sender
        self.rcpts = ["later-%s@r.example" % tag] if rcpts is None else list(rcpts)
        self.message_id = "<lab-%s-%s@lab.example>" % (tag, RUN)
        self.subject, self.decoded = subject, decoded
        self.from_ = (b"Sender <sender@s.example>", "Sender <sender@s.example>")
        self.to = (b"rcpt@r.example", "rcpt@r.example")
        self.headers, self.body = list(headers), body
        self.received = []          # (raw bytes, expected hop), top first
        self.top = []               # raw header lines above everything else
        self.mail_args, self.rcpt_args = [], {}
        self.bind, self.helo = "127.0.0.1", "client.lab.example"
        self.auth, self.tls, self.xclient, self.bdat = None, False, None, False
        self.orcpt = {}             # recipient -> original address as the record must show it
        self.date = DATE
        self.after = {}             # what a milter made of it: sender, rcpts, subject, body, ...
        self.expect = {}            # fields that differ from what follows from the above
        for name, value in more.items():
            if not hasattr(self, name):
                raise AttributeError(name)
            setattr(self, name, value)

    def header_lines(self):
        lines = list(self.top) + [b"Received: " + raw for raw, _ in self.received]
        if self.from_:
            lines.append(b"From: " + self.from_[0])
        if self.to:
            lines.append(b"To: " + self.to[0])
        if self.subject is not None:
            lines.append(b"Subject: " + self.subject)
        if self.date:
            lines.append(b"Date: " + self.date.encode())
        lines.append(b"Message-ID: " + self.message_id.encode())
        lines.append(b"X-Lab-Id: " + self.tag.encode())
        return lines + list(self.headers)

    def data(self):
        return b"".join(l + b"\r\n" for l in self.header_lines()) + b"\r\n" + self.body

    def edited_data(self):
        """What the milter should have made of it; headers that it added may come on top."""
        lines = []
        for line in self.header_lines():
            name = line.split(b":")[0].decode().lower()
            if name == "subject" and "subject" in self.after:
                line = b"Subject: " + self.after["subject"][0]
            if name not in self.after.get("deleted", ()):
                lines.append(line)
        return b"".join(l + b"\r\n" for l in lines) + b"\r\n" + self.after.get("body", self.body)

    def header_truth(self):
        """subject, from, to, message_id, date as they follow from the headers sent."""
        fields = {"message_id": self.message_id}
        if self.date:
            fields["date"] = self.date
        subject = self.after.get("subject", (self.subject, self.decoded))
        if subject[0] is not None:
            decoded = subject[1]
            if decoded is None:
                decoded = subject[0].decode()
            fields.update(text_truth("subject", subject[0], decoded))
        for name, pair in (("from", self.from_), ("to", self.to)):
            if pair and name not in self.after.get("deleted", ()):
                fields.update(text_truth(name, *pair))
        return fields


def text_truth(name, raw, decoded):
    """A decoded header, and its stored bytes where text cannot hold them."""
    stored = raw.replace(b"\r\n", b"").strip(b" \t")
    fields = {name: decoded}
    try:
        stored.decode("utf-8")
        fields[name + "_b64"] = {"~maybe": base64.b64encode(stored).decode()}
    except UnicodeDecodeError:
        fields[name + "_b64"] = base64.b64encode(stored).decode()
    return fields


# --- the SMTP door -----------------------------------------------------------------------------

class Client(smtplib.SMTP):
    """smtplib with raw commands in UTF-8, from a chosen address."""

    def __init__(self, server, port, message):
        super().__init__(timeout=60)
        self.command_encoding = "utf-8"
        self.source_address = (message.bind, 0)
        server = "::1" if ":" in message.bind else server
        self.connect(server, port)
        self.local_port = self.sock.getsockname()[1]

    def must(self, command, code):
        got, text = self.docmd(command)
        if got // 100 != code // 100:
            raise smtplib.SMTPResponseException(got, b"%s -> %s" % (command.encode(), text))
        return got, text.decode("utf-8", "replace")


def greet(client, message):
    client.must("EHLO " + message.helo, 250)
    client.esmtp_features = {}


def start_tls(client, message):
    client.must("STARTTLS", 220)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.sock = context.wrap_socket(client.sock)
    client.file = None
    greet(client, message)


def authenticate(client, message):
    method, user, password = message.auth
    if method == "PLAIN":
        token = base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode())).decode()
        client.must("AUTH PLAIN " + token, 235)
    else:
        client.must("AUTH LOGIN " + base64.b64encode(user.encode()).decode(), 334)
        client.must(base64.b64encode(password.encode()).decode(), 235)


def open_session(server, port, message):
    client = Client(server, port, message)
    greet(client, message)
    if message.tls:
        start_tls(client, message)
    if message.xclient:
        client.must("XCLIENT " + " ".join("%s=%s" % p for p in message.xclient.items()), 220)
        greet(client, message)
    if message.auth:
        authenticate(client, message)
    return client


def envelope(client, message):
    client.must(" ".join(["MAIL FROM:<%s>" % message.sender] + message.mail_args), 250)
    for rcpt in message.rcpts:
        client.must(" ".join(["RCPT TO:<%s>" % rcpt] + message.rcpt_args.get(rcpt, [])), 250)


def send_chunks(client, data):
    """BDAT in two pieces."""
    half = len(data) // 2
    client.send(b"BDAT %d\r\n" % half + data[:half])
    code, text = client.getreply()
    if code != 250:
        raise smtplib.SMTPResponseException(code, text)
    client.send(b"BDAT %d LAST\r\n" % (len(data) - half) + data[half:])
    return client.getreply()


def send(server, port, message):
    """Sends; returns (reply text, facts the door knows: port, window)."""
    begin = time.time()
    client = open_session(server, port, message)
    try:
        envelope(client, message)
        code, text = (send_chunks(client, message.data()) if message.bdat
                      else client.data(message.data()))
        if code != 250:
            raise smtplib.SMTPResponseException(code, text)
        end = time.time()
        facts = {"port": client.local_port, "window": [int(begin), int(end)],
                 "moment": [begin, end]}
        return text.decode("utf-8", "replace"), facts
    finally:
        try:
            client.quit()
        except (OSError, smtplib.SMTPException):
            client.close()


def ipv6_works():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


# --- what is sent ------------------------------------------------------------------------------

# Five megabytes.
BIG = b"".join(b"%06d 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 xx\r\n" % i
               for i in range(85000))

# (tag, stored bytes, what a reader must see)
SUBJECTS = [
    ("b-utf8", b"=?UTF-8?B?WmHFvMOzxYLEhyBnxJnFm2zEhSBqYcW6xYQ=?=", "Zażółć gęślą jaźń"),
    ("q-utf8", b"=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Grüße aus Köln"),
    ("q-latin1", b"=?ISO-8859-1?Q?Caf=E9_=E0_la_carte?=", "Café à la carte"),
    ("b-jp", b"=?ISO-2022-JP?B?GyRCRnxLXDhsJE43b0w+GyhC?=", "日本語の件名"),
    ("q-1252", b"=?windows-1252?Q?=93quoted=94_=96_dash?=", "“quoted” – dash"),
    ("b-koi8", b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
    ("b-gb", b"=?GB2312?B?xOO6ww==?=", "你好"),
    ("q-8859-2", b"=?iso-8859-2?Q?=B1=E6=EA=B3=F1=F3=B6=BC=BF?=", "ąćęłńóśźż"),
    ("mixed", b"Re: =?utf-8?q?caf=C3=A9?= and tea", "Re: café and tea"),
    ("adjacent", b"=?utf-8?q?one_?= =?iso-8859-1?q?tw=F6?=", "one twö"),
    ("adjacent-folded", b"=?utf-8?B?w6nDqQ==?=\r\n =?utf-8?B?w6DDoA==?=\r\n tail", "ééàà tail"),
    ("unknown-charset", b"=?x-no-such?Q?abc?= rest", "=?x-no-such?Q?abc?= rest"),
    ("not-encoded", b"a =? b ?= c =?utf-8?x?z?=", "a =? b ?= c =?utf-8?x?z?="),
    ("folded", b"first part\r\n second part\r\n\tthird part", "first part second part\tthird part"),
    ("folded-wide", b"one  two\r\n    three", "one  two    three"),
    ("folded-first", b"\r\n on the next line", "on the next line"),
    ("raw-utf8", "bare zażółć".encode(), "bare zażółć"),
    ("raw-latin1", b"bare caf\xe9 \xfcber", "bare caf\ufffd \ufffdber"),
    ("empty", b"", ""),
    ("blanks", b"   padded   ", "padded"),
    ("long", b"x" * 600, "x" * 600),
    ("esc", b"red \x1b[31malert\x1b[0m \x7f", "red \x1b[31malert\x1b[0m \x7f"),
    ("quotes", b'say "hi" \\ back {json: [1]}', 'say "hi" \\ back {json: [1]}'),
]

HOPS = [
    (b"from inner.example (inner.example [198.51.100.7])\r\n\tby relay.example (Postfix) with "
     b"ESMTPS id 4ABCdef123\r\n\tfor <x@y.example>; Sat, 21 Nov 2026 20:00:00 +0000 (UTC)",
     {"by": "relay.example", "from": "inner.example", "helo": "inner.example",
      "address": "198.51.100.7", "with": "ESMTPS", "id": "4ABCdef123", "time": 1795291200}),
    (b"from [2001:db8::77] (helo=laptop)\r\n\tby inner.example with esmtpsa (TLS1.3) "
     b"tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.96)\r\n\t(envelope-from <a@b.example>)\r\n\t"
     b"id 1xUroU-0003xZ-2Y\r\n\tfor x@y.example;\r\n\tSat, 21 Nov 2026 21:59:59 +0200",
     {"by": "inner.example", "helo": "laptop", "address": "2001:db8::77", "with": "esmtpsa",
      "id": "1xUroU-0003xZ-2Y", "time": 1795291199}),
    (b"from desk (desk.example [192.0.2.77])\r\n\tby laptop.example (8.17.1/8.17.1) with ESMTP id "
     b"3ALxyz012345;\r\n\tSat, 21 Nov 2026 14:59:58 -0500",
     {"by": "laptop.example", "from": "desk.example", "helo": "desk", "address": "192.0.2.77",
      "with": "ESMTP", "id": "3ALxyz012345", "time": 1795291198}),
]


def common(utf8):
    """What every MTA gets through SMTP."""
    out = []
    add = out.append
    for i, bind in enumerate(["127.0.0.2", "127.1.2.3", "127.200.7.9", "::1"]):
        add(Message("client%d" % i, bind=bind, helo="c%d.lab.example" % i))
    add(Message("helo-literal", bind="127.0.0.7", helo="[127.0.0.7]"))
    add(Message("helo-literal6", bind="::1", helo="[IPv6:::1]"))
    add(Message("helo-case", bind="127.0.0.8", helo="UPPER.Lab.Example"))
    for tag, raw, decoded in SUBJECTS:
        add(Message("subj-" + tag, subject=raw, decoded=decoded))
    add(Message("subj-none", subject=None))
    add(Message("subj-twice", headers=[b"Subject: the second one"], decoded="plain subject"))
    add(Message("subj-lower", subject=None, top=[b"sUBJECT:no blank, odd case"],
                expect={"subject": "no blank, odd case",
                        "subject_b64": {"~maybe": base64.b64encode(
                            b"no blank, odd case").decode()}}))
    add(Message("from-encoded", from_=(b"=?utf-8?q?J=C3=BCrgen?= <j@s.example>",
                                       "Jürgen <j@s.example>")))
    add(Message("names-latin1", from_=(b"J\xfcrgen <j@s.example>", "J\ufffdrgen <j@s.example>"),
                to=(b"Kl\xe4re <k@r.example>", "Kl\ufffdre <k@r.example>")))
    add(Message("to-folded", to=(b"one@r.example,\r\n two@r.example,\r\n\tthree@r.example",
                                 "one@r.example, two@r.example,\tthree@r.example")))
    add(Message("to-none", to=None))
    add(Message("date-odd", date="21 Nov 26 12:00 GMT"))
    add(Message("null-sender", sender=""))
    add(Message("sender-quoted", sender='"odd \\"user\\" x"@q.example'))
    add(Message("sender-case", sender="MiXed.Case@UPPER.Example"))
    add(Message("sender-signs", sender="a+b=c%d!e_f'g@s.example"))
    add(Message("sender-long", sender="l" * 64 + "@s.example"))
    add(Message("rcpt-quoted", rcpts=['"later odd"@r.example', '"a\\@b>c"@r.example',
                                      "o'brien@r.example"]))
    add(Message("rcpt-case", rcpts=["Later-Mixed@R.Example", "later-mixed2@r.EXAMPLE"]))
    add(Message("rcpt-3", rcpts=["later-%d@d%d.example" % (i, i) for i in range(3)]))
    add(Message("rcpt-200", rcpts=["later-%03d@many.example" % i for i in range(200)]))
    add(Message("body-8bit", body="Zażółć gęślą jaźń\r\n".encode() + b"\xe9\xff\x80\r\n",
                mail_args=["BODY=8BITMIME"]))
    add(Message("body-empty", body=b""))
    add(Message("body-dots", body=b".\r\n..\r\n.hidden\r\nFrom me\r\n\r\n\r\n"))
    add(Message("body-long-lines", body=b"y" * 900 + b"\r\n" + b"z" * 990 + b"\r\n"))
    add(Message("body-5mb", body=BIG))
    add(Message("hops", received=list(HOPS)))
    add(Message("webmail", bind="127.0.0.12", headers=[b"X-Originating-IP: [203.0.113.99]"]))
    add(Message("webmail-user", bind="127.0.0.12", headers=[
        b"X-Authenticated-User: joe@shop.example", b"X-PHP-Originating-Script: 33:mailer.php"]))
    add(Message("auth-plain", auth=("PLAIN", "lab1", "secret1"), bind="127.0.0.9"))
    add(Message("auth-login", auth=("LOGIN", "lab2", "secret2"), bind="127.0.0.9"))
    add(Message("tls", tls=True, bind="127.0.0.10"))
    add(Message("tls-auth", tls=True, auth=("PLAIN", "lab1", "secret1"), bind="127.0.0.10"))
    add(Message("dsn", rcpts=["later-dsn1@r.example", "later-dsn2@r.example"],
                mail_args=["RET=HDRS", "ENVID=QQ314159+2Bx"],
                rcpt_args={"later-dsn1@r.example":
                           ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;First+2BTag@orig.example"],
                           "later-dsn2@r.example": ["NOTIFY=NEVER"]},
                orcpt={"later-dsn1@r.example": "First+Tag@orig.example"}))
    if utf8:
        add(Message("utf8", sender="jürgen@s.example", rcpts=["later-grüße@r.example"],
                    subject="naïve".encode(), mail_args=["SMTPUTF8", "BODY=8BITMIME"]))
        add(Message("utf8-idn", sender="a@s.example", rcpts=["later-utf@bücher.example"],
                    mail_args=["SMTPUTF8"]))
    return out



def edited():
    """What a milter changes, for the MTAs that have milters."""
    def m(tag, orders, rcpts=None, after=None, **kw):
        header = "%s: %s" % (milter.HEADER, milter.orders(*orders))
        return Message("milter-" + tag, headers=[header.encode()], rcpts=rcpts,
                       after=after or {}, **kw)
    two = lambda tag: ["ok-%s@r.example" % tag, "later-%s@r.example" % tag]
    long = b"a new subject, much longer than the old one"
    grown = "".join("grown line %06d\r\n" % i for i in range(3000)).encode()
    return [
        m("subject-longer", [("set", "Subject:" + long.decode())],
          after={"subject": (long, None)}),
        m("subject-shorter", [("set", "Subject:tiny")], subject=b"s" * 200,
          after={"subject": (b"tiny", None)}),
        m("subject-tiny", [("set", "Subject:x")], subject=b"t", after={"subject": (b"x", None)}),
        m("add", [("add", "X-Added:one"), ("add", "X-Added:two")], rcpts=two("madd")),
        m("insert", [("ins", "0:X-Top:first of all"), ("ins", "2:X-Inner:second")]),
        m("delete", [("del", "X-Lab-Milter"), ("del", "To")], after={"deleted": ["to", "x-lab-milter"]}),
        m("sender", [("from", "changed@elsewhere.example")],
          after={"sender": "changed@elsewhere.example"}),
        m("sender-null", [("from", "")], after={"sender": ""}),
        m("rcpt-add", [("rcpt+", "later-added@r.example"), ("rcpt+", "later-added2@r.example")],
          after={"rcpts": ["later-milter-rcpt-add@r.example", "later-added@r.example",
                           "later-added2@r.example"]}),
        m("rcpt-del", [("rcpt-", "later-gone@r.example")],
          rcpts=["later-gone@r.example", "later-kept@r.example"],
          after={"rcpts": ["later-kept@r.example"]}),
        m("body-shorter", [("body", "replaced\n.body\n")], body=b"old line\r\n" * 50,
          rcpts=two("mbs"), after={"body": b"replaced\r\n.body\r\n"}),
        m("body-longer", [("grow", "3000")], rcpts=two("mbl"), after={"body": grown}),
        m("all", [("set", "Subject:=?utf-8?q?ca=C5=82y?="), ("add", "X-New:yes"),
                  ("from", "all@elsewhere.example"), ("rcpt+", "later-all2@r.example"),
                  ("rcpt-", "later-drop@r.example"), ("body", "new body\n")],
          rcpts=["later-drop@r.example", "later-all@r.example"],
          after={"subject": (b"=?utf-8?q?ca=C5=82y?=", "cały"), "body": b"new body\r\n",
                 "sender": "all@elsewhere.example",
                 "rcpts": ["later-all@r.example", "later-all2@r.example"]}),
    ]
