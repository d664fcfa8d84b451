"""Exim: one spool, filled under two configurations, and what must be found there.

First the classic layout (one directory, DATA), then a split one with BDAT bodies kept in wire
format; named queues, frozen messages, the Finput directory and a journal left by a killed delivery.
"""

import os
import re
import time

import inside
import load
import scene
import sink

SPOOL = "/var/spool/exim4"
LOG = "/var/log/exim4/mainlog"
PIDFILE = "/run/exim4/lab.pid"

CONFIG = r"""
.include /etc/exim4/lab.options
primary_hostname = mx.lab.example
qualify_domain = mx.lab.example
daemon_smtp_ports = %(port)d
local_interfaces = <; 127.0.0.1 ; ::1
log_file_path = /var/log/exim4/%%slog
queue_only = true
host_lookup =
rfc1413_query_timeout = 0s
never_users =
trusted_users = root
untrusted_set_sender = *
keep_environment =
check_spool_space = 0
check_log_space = 0
message_size_limit = 200M
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtputf8_advertise_hosts = *
auth_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = /etc/ssl/lab.crt
tls_privatekey = /etc/ssl/lab.key
dsn_advertise_hosts = *
helo_accept_junk_hosts = *
timeout_frozen_after = 0s
ignore_bounce_errors_after = 1000d
delay_warning = 1s
delay_warning_condition = ${if def:h_X-Lab-Warn:}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data

begin acl
acl_rcpt:
  warn senders = ^q-slow@
       queue = slow
  warn senders = ^q-night@
       queue = night_run
  warn senders = ^acl-vars@
       set acl_m_note = first line\nXX\n-frozen 1\n\n3\nnobody@r.example
       set acl_m_empty =
       set acl_c_conn = \nstarts with a line end\n
       set acl_m0 = $sender_address\t\377\376 raw
       set acl_c7 = ${if def:sender_helo_name{$sender_helo_name}}
  accept
acl_data:
  accept

begin routers
onetime:
  driver = redirect
  local_parts = once
  domains = v.example
  data = later-once1@r.example, later-once2@r.example
  one_time
alias:
  driver = redirect
  domains = v.example
  data = ok-al1@r.example, later-al2@r.example
hang:
  driver = manualroute
  domains = hang.example
  route_list = * 127.0.0.1
  transport = mute
  self = send
refused:
  driver = manualroute
  domains = refused.example
  route_list = * 127.0.0.1
  transport = closed
  self = send
dns:
  driver = manualroute
  domains = dns.example
  route_list = * no-such-host.lab.example byname
  host_find_failed = defer
  transport = sink
all:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = sink
  self = send

begin transports
%(transports)s

begin retry
* * F,2h,15m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if eq{$auth3}{${sg{$auth2}{lab}{secret}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${if eq{$auth2}{${sg{$auth1}{lab}{secret}}}}
  server_set_id = $auth1
"""

TRANSPORT = """%s:
  driver = smtp
  port = %d
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_chunking =
  command_timeout = 10m
"""

# Each set of main options that differs between the stages.
STAGES = {
    "classic": "split_spool_directory = false\nspool_wireformat = false\n"
               "chunking_advertise_hosts =\n",
    "modern": "split_spool_directory = true\nspool_wireformat = true\n"
              "chunking_advertise_hosts = *\n",
    "moving": "split_spool_directory = true\nmove_frozen_messages = true\n",
}


class Pipe:
    """An SMTP session with a command's standard input and output."""

    def __init__(self, child):
        self.child = child
        self.reply()

    def reply(self):
        while True:
            line = self.child.stdout.readline().decode("utf-8", "replace")
            if not line:
                raise inside.LabError("the SMTP command ended early")
            if line[3:4] != "-":
                return line.strip()

    def must(self, command, code):
        self.raw(command.encode() + b"\r\n")
        answer = self.reply()
        if answer[:1] != str(code)[:1]:
            raise inside.LabError("%s -> %s" % (command, answer))
        return answer

    def raw(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def send(self, message):
        """EHLO to QUIT; returns the answer to the final dot."""
        self.must("EHLO " + message.helo, 250)
        load.envelope(self, message)
        self.must("DATA", 354)
        self.raw(re.sub(rb"(?m)^\.", b"..", message.data()) + b".\r\n")
        answer = self.reply()
        self.must("QUIT", 221)
        self.child.wait(30)
        return answer


class Exim(scene.Scene):
    mta = "exim"
    LOGGING = "log_selector = +pid +smtp_connection +incoming_port\n"

    def spools(self):
        return [("exim4", SPOOL)]

    # -- configuration and daemons --------------------------------------------------------------

    def configure(self):
        transports = "".join(TRANSPORT % t for t in (
            ("sink", scene.SINK_PORT), ("mute", scene.MUTE_PORT), ("closed", scene.CLOSED_PORT)))
        self.room.write("/etc/exim4/exim4.conf", CONFIG % {
            "port": scene.SMTP_PORT, "transports": transports})
        for directory in ("/run/exim4", "/var/log/exim4"):
            self.room.run(["mkdir", "-p", directory])
            self.room.run(["chown", "Debian-exim:", directory])
        for name in ("mainlog", "rejectlog", "paniclog"):
            path = self.room.host("/var/log/exim4/" + name)
            if os.path.exists(path):
                os.unlink(path)
        self.uid = int(self.room.run(["id", "-u", "Debian-exim"]))

    def start(self, stage="classic"):
        self.room.write("/etc/exim4/lab.options", STAGES[stage] + self.LOGGING)
        self.room.run(["exim4", "-bd", "-oP", PIDFILE])
        inside.wait_port("127.0.0.1", scene.SMTP_PORT)
        inside.wait_port("::1", scene.SMTP_PORT)

    def stop(self):
        self.stalled.close()
        self.room.stop(PIDFILE)
        self.room.end("exim4")

    # -- injection ------------------------------------------------------------------------------

    def messages(self):
        out = load.common(True)
        add = lambda tag, **kw: out.append(load.Message(tag, **kw))
        for kind in sink.REPLIES:
            add("reply-" + kind, rcpts=["defer-%s@r.example" % kind])
        add("refused", rcpts=["user@refused.example"])
        add("dns", rcpts=["user@dns.example"])
        add("partial", rcpts=["ok-partial@r.example", "later-partial@r.example",
                              "OK-Partial2@R.example"])
        add("partial-8bit", rcpts=["ok-p8@r.example", "later-p8@r.example"],
            body=b"caf\xe9 \xc3\xa9\r\n.dot\r\n" + b"q" * 900 + b"\r\n",
            mail_args=["BODY=8BITMIME"])
        add("partial-5mb", rcpts=["ok-p5@r.example", "later-p5@r.example"], body=load.BIG)
        add("alias", rcpts=["group@v.example"])
        add("onetime", rcpts=["once@v.example", "later-plain@r.example"])
        add("bounced", sender="later-bounced@r.example",
            rcpts=["bad-bounced@r.example", "later-stays@r.example"])
        add("warned", sender="later-warned@r.example", headers=[b"X-Lab-Warn: yes"])
        add("bounce-frozen", sender="", rcpts=["bad-frozen@r.example", "later-bf@r.example"])
        add("frozen")
        add("frozen-tried", rcpts=["ok-ft@r.example", "later-ft@r.example"])
        add("thawed")
        add("acl", sender="acl-vars@s.example")
        add("queue-slow", sender="q-slow@s.example")
        add("queue-slow-frozen", sender="q-slow@s.example")
        add("queue-night", sender="q-night@s.example")
        add("in-rcpt", rcpts=["hang-rcpt@r.example"])
        add("journal", rcpts=["ok-journal@R.Example", "x@hang.example", "y@hang.example"])
        return out

    def messages_modern(self):
        out = [load.Message("split-%d" % i, bind="127.0.4.%d" % (i + 1)) for i in range(3)]
        out.append(load.Message("split-queue", sender="q-slow@s.example"))
        text = b"line one\r\n.\r\n..dots\r\n\r\ncaf\xe9\r\n"
        out.append(load.Message("wire", bdat=True, body=text))
        out.append(load.Message("wire-partial", bdat=True, body=text * 300,
                                rcpts=["ok-wire@r.example", "later-wire@r.example"]))
        out.append(load.Message("wire-noeol", bdat=True, body=b"no line end at the end"))
        out.append(load.Message("wire-5mb", bdat=True, body=load.BIG))
        out.append(load.Message("wire-folded", bdat=True, subject=b"wire\r\n folded",
                                decoded="wire folded"))
        out.append(load.Message("split-partial", rcpts=["ok-sp@r.example", "later-sp@r.example"]))
        return out

    TRIED = ["partial", "partial-8bit", "partial-5mb", "alias", "onetime", "bounced", "refused",
             "dns", "frozen-tried", "warned"]

    def inject(self):
        for message in self.messages():
            self.smtp(message)
        self.piped()
        self.local()
        for tag in self.TRIED + ["reply-" + k for k in sink.REPLIES]:
            self.attempt(self.find(tag))
        self.generated("bounced", "Mail delivery failed: returning message to sender")
        self.generated("warned", None)
        self.find("warned")["fields"]["flags"].append("warned")
        self.freeze()
        self.room.stop(PIDFILE)
        self.start("modern")
        for message in self.messages_modern():
            self.smtp(message)
        self.stale_wire_flag()
        for tag in ("wire-partial", "split-partial"):
            self.attempt(self.find(tag))
        self.moved()
        self.damage()
        self.journal()
        self.receiving()
        self.listing()

    def smtp(self, message):
        text, facts = load.send("127.0.0.1", scene.SMTP_PORT, message)
        return self.accepted(message, facts, text)

    def accepted(self, message, facts, text):
        queue_id = re.search(r"id=(\S+)", text).group(1)
        fields = self.smtp_fields(message, facts)
        proto = "esmtp" + ("s" if message.tls else "") + ("a" if message.auth else "")
        if "SMTPUTF8" in message.mail_args:
            proto = "utf8" + proto
        fields["protocol_name"] = proto
        if message.auth:
            fields["auth_method"], fields["auth_user"] = message.auth[0], message.auth[1]
        if message.bdat:
            fields["flags"].append("wireformat")
        address = fields["client_address"]
        own = {"by": inside.HOST, "with": proto, "id": queue_id, "address": address,
               "time": {"~in": facts["window"]}}
        if message.helo not in ("[%s]" % address, "[IPv6:%s]" % address):
            own["helo"] = message.helo
        fields["received"] = [own] + [hop for _, hop in message.received]
        fields.update(message.expect)
        queue = {"q-slow@s.example": "slow", "q-night@s.example": "night_run"}
        self.fresh(fields, queue.get(message.sender, "default"))
        return self.truth(message.tag, queue_id, fields, message=message)

    @staticmethod
    def fresh(fields, queue="default"):
        fields.update(state="incoming", queue_name=queue, recipients_done=[], attempts=0)
        fields.setdefault("arrival_usec", {"~in": [0, 999999]})

    def piped(self):
        """exim -bs with the client's address given by a trusted caller, and without one."""
        cases = [
            ("oma-6", "[2001:db8::25]:4242", "gw.flood.example"),
            ("oma-4", "[203.0.113.9]:65000", None),
            ("oma-noport", "198.51.100.3", "no.port.example"),
            ("bs-local", None, None),
        ]
        for tag, peer, name in cases:
            argv = ["exim4", "-bs"]
            if peer:
                argv += ["-oMa", peer]
            if name:
                argv += ["-oMs", name]
            message = load.Message(tag, helo="piped.example")
            begin = int(time.time())
            answer = Pipe(self.room.talk(argv, user=None if peer else "alice")).send(message)
            facts = {"port": None, "window": [begin, int(time.time())]}
            entry = self.accepted(message, facts, answer)
            fields, own = entry["fields"], entry["fields"]["received"][0]
            for field in ("client_address", "client_port"):
                fields.pop(field)
            if not peer:
                own.pop("address")
                own["helo"] = {"~maybe": "piped.example"}
                own["from"] = {"~maybe": {"~any": "Exim names the user here"}}
                own["with"] = fields["protocol_name"] = "local-esmtp"
                fields.update(local_user="alice", local_uid=2001,
                              flags={"~set": ["local"]})
                continue
            m = re.match(r"\[?([^\]]*)\]?(?::(\d+))?$", peer)
            fields["client_address"] = own["address"] = m.group(1)
            if m.group(2):
                fields["client_port"] = int(m.group(2))
            if name:
                fields["client_name"] = own["from"] = name

    def local(self):
        for tag, argv in (("local-t", ["-t", "-i"]),
                          ("local-args", ["-i", "-f", "other@s.example",
                                          "later-local-args@r.example"])):
            message = load.Message(tag)
            message.to = (b"later-%s@r.example" % tag.encode(), "later-%s@r.example" % tag)
            begin = int(time.time())
            self.room.run(["/usr/sbin/sendmail", *argv], user="alice",
                          stdin=message.data().replace(b"\r\n", b"\n"))
            line = inside.wait_until("the log line of " + tag, lambda: self.log_line(
                " id=" + message.message_id.strip("<>")))
            queue_id = line.split()[2]
            window = {"~in": [begin, int(time.time())]}
            fields = message.header_truth()
            fields.update({
                "sender": "other@s.example" if "-f" in argv else "alice@" + inside.HOST,
                "recipients": [{"address": "later-%s@r.example" % tag}],
                "local_user": "alice", "local_uid": 2001, "flags": ["local"],
                "protocol_name": "local", "arrival_time": window,
                "received": [{"by": inside.HOST, "with": "local", "id": queue_id, "time": window,
                              "from": {"~maybe": {"~any": "Exim names the user here"}}}],
            })
            self.fresh(fields)
            self.truth(tag, queue_id, fields)

    # -- what is done to them -------------------------------------------------------------------

    def attempt(self, entry):
        """One delivery attempt now; the sink's answers decide what is left."""
        begin = int(time.time())
        if entry["tag"] == "warned":
            low = entry["fields"]["arrival_time"]["~in"][1]
            inside.wait_until("a message two seconds old", lambda: time.time() > low + 2)
            begin = int(time.time())
        self.room.run(["exim4", "-M", entry["queue_id"]])
        self.outcome(entry["fields"])
        self.children(entry)
        entry["fields"].pop("attempts", None)
        entry["fields"].update(state="deferred", last_attempt={
            "~maybe": {"~in": [begin, int(time.time())]}})

    def delay(self, address, answer):
        if address.endswith("@refused.example"):
            text, code = {"~like": "(H=.*: )?Connection refused"}, None
        elif address.endswith("@dns.example"):
            text, code = 'lookup of host "no-such-host.lab.example" failed in dns router', None
        else:
            text, code = {"~like": self.refusal(address, answer)}, self.status(answer)
        return text, text, code

    @staticmethod
    def refusal(address, answer):
        """A regular expression for the message log's line; Exim writes odd bytes in octal."""
        text = "".join(chr(b) if 0x20 <= b < 0x7f else "\\%03o" % b
                       for b in answer.replace("\r\n", "\\n").encode())
        return r"(H=127\.0\.0\.1 \[127\.0\.0\.1\]: )?" + re.escape(
            "SMTP error from remote mail server after RCPT TO:<%s>: %s" % (address, text))

    def children(self, entry):
        """Redirected recipients: a plain alias stays as it is, a one-time one is replaced."""
        fields = entry["fields"]
        if entry["tag"] == "alias":
            reason = self.delay("later-al2@r.example", sink.reply_to("later-al2@r.example")[0])[0]
            fields.update(reason=reason, recipients=[{
                "address": "group@v.example", "delay_reason": {"~maybe": reason},
                "dsn_code": {"~maybe": "4.2.1"}}], recipients_done=[])
        if entry["tag"] == "onetime":
            reason = lambda a: self.delay(a, sink.reply_to(a)[0])[1]
            plain = fields["recipients"][1]
            kids = [{"address": a, "orig_address": "once@v.example", "delay_reason": reason(a),
                     "dsn_code": "4.2.1"} for a in ("later-once1@r.example",
                                                    "later-once2@r.example")]
            fields["recipients"] = kids + [plain]
            fields["recipients_done"] = {"~maybe": ["once@v.example"]}
            fields["reason"] = {"~one": [k["delay_reason"] for k in kids + [plain]]}

    def generated(self, tag, subject):
        """A message that Exim wrote because of another."""
        source = self.find(tag)["queue_id"]
        line = inside.wait_until("a report about " + tag,
                                 lambda: self.log_line("<= <> R=%s " % source))
        queue_id = line.split()[2]
        window = {"~in": [self.find(tag)["fields"]["arrival_time"]["~in"][0], int(time.time())]}
        fields = {
            "sender": "", "recipients": [{"address": "later-%s@r.example" % tag}],
            "subject": subject or {"~like": "Warning: message %s delayed.*" % source},
            "subject_b64": {"~maybe": {"~any": ""}},
            "from": {"~has": ["Mail Delivery System", "Mailer-Daemon@"]},
            "from_b64": {"~maybe": {"~any": ""}}, "to_b64": {"~maybe": {"~any": ""}},
            "to": "later-%s@r.example" % tag, "message_id": {"~has": [queue_id]},
            "date": {"~has": ["20"]}, "arrival_time": window, "protocol_name": "local",
            "local_user": "Debian-exim", "local_uid": self.uid,
            "received": [{"by": inside.HOST, "with": "local", "id": queue_id, "time": window,
                          "from": {"~maybe": {"~any": "Exim names the user here"}}}],
            "flags": {"~set": ["bounce"]},
        }
        self.fresh(fields)
        self.truth("report-" + tag, queue_id, fields)

    def freeze(self):
        for tag in ("frozen", "frozen-tried", "thawed"):
            entry = self.find(tag)
            if tag == "frozen-tried":
                self.attempt(entry)
                entry["fields"]["recipients_done"] = ["ok-ft@r.example"]
            self.room.run(["exim4", "-Mf", entry["queue_id"]])
            entry["fields"]["state"] = "held"
        self.room.run(["exim4", "-Mt", self.find("thawed")["queue_id"]])
        self.find("thawed")["fields"]["state"] = "incoming"
        entry = self.find("queue-slow-frozen")
        self.room.run(["exim4", "-qGslow", "-Mf", entry["queue_id"]])
        entry["fields"]["state"] = "held"
        # A bounce that cannot be delivered is frozen by Exim itself.
        entry = self.find("bounce-frozen")
        self.attempt(entry)
        entry["fields"].update(state="held", hold_reason={"~maybe": {"~any": "from the msglog"}},
                               recipients={"~any": "the refused one may count as done or not"},
                               recipients_done={"~maybe": {"~any": ""}})

    def stale_wire_flag(self):
        """DATA after BDAT in one connection: Exim marks it as wire format, but it is not."""
        first, second = (load.Message(t, bdat=b, body=b"a line\r\nanother\r\n")
                         for t, b in (("stale-first", True), ("stale-second", False)))
        begin = int(time.time())
        client = load.open_session("127.0.0.1", scene.SMTP_PORT, first)
        for message in (first, second):
            load.envelope(client, message)
            code, text = (load.send_chunks(client, message.data()) if message.bdat
                          else client.data(message.data()))
            facts = {"port": client.local_port, "window": [begin, int(time.time())]}
            self.accepted(message, facts, text.decode())
        client.quit()
        self.find("stale-second")["fields"]["flags"] = {"~set": []}

    def moved(self):
        """A frozen message that Exim moves away to Finput."""
        message = load.Message("finput", sender="", rcpts=["bad-finput@r.example"])
        entry = self.smtp(message)
        self.room.stop(PIDFILE)
        self.start("moving")
        self.room.run(["exim4", "-M", entry["queue_id"]])
        name = entry["queue_id"] + "-H"
        inside.wait_until("a message in Finput", lambda: any(
            name in files for _, _, files in os.walk(self.room.host(SPOOL + "/Finput"))))
        entry["fields"].pop("attempts")
        entry["hidden"] = True
        entry["fields"].update(
            state="held", queue_name="Finput", recipients={"~any": "refused"},
            recipients_done={"~maybe": {"~any": ""}}, reason={"~maybe": {"~any": ""}},
            reason_class={"~maybe": {"~any": ""}}, last_attempt={"~maybe": {"~any": ""}},
            hold_reason={"~maybe": {"~any": "from the msglog"}})

    def damage(self):
        """What a crash leaves: an envelope without its end, and one without its body."""
        source = self.find("frozen")["queue_id"]
        others = [c for c in "xyz" if c != source[5]]
        for tag, letter, cut in (("cut-short", others[0], 25), ("no-body", others[1], 0)):
            queue_id = source[:5] + letter + source[6:]
            for kind in "HD":
                if kind == "D" and not cut:
                    continue
                data = self.room.read("%s/input/%s-%s" % (SPOOL, source, kind))
                data = data.replace(source.encode() + b"-", queue_id.encode() + b"-", 1)
                if kind == "H" and cut:
                    data = data[:-cut]
                name = "%s/input/%s-%s" % (SPOOL, queue_id, kind)
                self.room.write(name, data, mode=0o640, owner="Debian-exim:Debian-exim")
            fields = {"state": "corrupt" if cut else "incomplete", "queue_name": "default",
                      "problems": {"~some": 1}}
            self.truth(tag, queue_id, fields, partial=True, hidden=True)

    def journal(self):
        """A delivery in the middle: one recipient done and journalled, two without an answer."""
        entry = self.find("journal")
        begin = int(time.time())
        self.room.start(["exim4", "-M", entry["queue_id"]])
        path = self.room.host("%s/input/%s-J" % (SPOOL, entry["queue_id"]))
        inside.wait_until("a journal", lambda: os.path.exists(path) and os.path.getsize(path))
        entry["fields"].update(
            state="active", attempts={"~maybe": 0}, recipients=[{"address": "x@hang.example"},
                                        {"address": "y@hang.example"}],
            recipients_done=["ok-journal@R.Example"],
            last_attempt={"~maybe": {"~in": [begin, begin + 300]}})
        entry["stopped"]["state"] = "deferred"
        entry = self.find("in-rcpt")
        self.room.start(["exim4", "-M", entry["queue_id"]])
        inside.wait_until("a delivery without an answer", lambda: self.sink.hanging)
        entry["fields"].update(state="active", attempts={"~maybe": 0})
        entry["stopped"]["state"] = {"~like": "incoming|deferred"}

    def receiving(self):
        """A client that stopped in the middle of its data."""
        message = load.Message("receiving")
        client = load.open_session("127.0.0.1", scene.SMTP_PORT, message)
        load.envelope(client, message)
        client.must("DATA", 354)
        client.send(message.data()[:-30] + (b"x" * 900 + b"\r\n") * 30)
        self.stalled = client

        def unready():
            names = set()
            for _, _, files in os.walk(self.room.host(SPOOL + "/input")):
                names.update(files)
            for name in names:
                if name.endswith("-D") and name[:-2] + "-H" not in names:
                    return name[:-2]
        queue_id = inside.wait_until("an unfinished message", unready)
        self.truth("receiving", queue_id, {"state": "receiving", "queue_name": "default"},
                   partial=True, unlisted=True)

    # -- what Exim itself says ------------------------------------------------------------------

    def log_line(self, text):
        """Without the pid."""
        for line in self.room.read(LOG).decode("utf-8", "replace").splitlines():
            if text in line:
                return re.sub(r"^(\S+ \S+ )\[\d+\] ", r"\1", line)

    def logs(self):
        return [self.lines_of(LOG)]

    def listing(self):
        """The queue lists of each queue; sizes there are rounded, the log has them in full."""
        sizes = {}
        for line in self.room.read(LOG).decode("utf-8", "replace").splitlines():
            m = re.search(r"^\S+ \S+ (?:\[\d+\] )?(\S+) <= .* S=(\d+)", line)
            if m:
                sizes[m.group(1)] = int(m.group(2))
        listed = {}
        for queue in ("", "slow", "night_run"):
            argv = ["exim4"] + (["-qG" + queue] if queue else []) + ["-bp"]
            listed.update(parse_bp(self.room.run(argv).decode("utf-8", "replace")))
        for entry in self.truths:
            queue_id = entry["queue_id"]
            if queue_id in sizes:
                entry["fields"]["message_size"] = sizes[queue_id]
            if queue_id in listed:
                entry["listed"] = listed[queue_id]
            self.files(entry)

    def files(self, entry):
        for where, _, names in os.walk(self.room.host(SPOOL)):
            if entry["queue_id"] + "-D" in names:
                entry["inode"] = os.stat(os.path.join(where, entry["queue_id"] + "-D")).st_ino

    def after_stop(self):
        self.truths = [t for t in self.truths if t["tag"] != "receiving"]
        for entry in self.truths:
            entry["fields"].update(entry["stopped"])
        self.listing()

    def message_bytes(self, entry):
        queue = entry["fields"]["queue_name"]
        if queue == "Finput" or entry["fields"]["state"] == "active":
            return None     # Exim shows neither
        argv = ["exim4"] + (["-qG" + queue] if queue in ("slow", "night_run") else [])
        out = self.room.run(argv + ["-Mvc", entry["queue_id"]])
        return re.sub(rb"\r?\n", b"\r\n", out)


def parse_bp(text):
    """exim -bp: age, size, id, sender, marks; then the recipients, D before those done."""
    out, current = {}, None
    for line in text.splitlines():
        m = re.match(r"\s*\d+[mhd]\s+(\S+)?\s+(\S{16}|\S{23}) <(.*?)>( \(\S+\))?"
                     r"( \*\*\* frozen \*\*\*)?$", line)
        if m:
            current = {"size": m.group(1), "sender": m.group(3), "frozen": bool(m.group(5)),
                       "recipients": [], "recipients_done": []}
            out[m.group(2)] = current
        elif line.strip() and current is not None:
            key = "recipients_done" if line[8:9] == "D" else "recipients"
            current[key].append(line[10:])
    return out


SCENE = Exim
