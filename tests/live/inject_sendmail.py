"""Sendmail: several queue directories, two daemons and the submission queue; what must be there.

    q1 q2 q3    the default group: with qf, df and xf apart, plain, and with df apart
    slow        a queue group on a file system of its own, so that its messages need a d record
    port ALT    a daemon that stores more macros (client_addr, client_port, auth_authen, ...)
"""

import glob
import os
import re
import time

import inside
import load
import milter
import scene
import sink

BASE, CLIENT = "/var/spool/mqueue", "/var/spool/mqueue-client"
SENDMAIL = "/usr/sbin/sendmail"

MC = r"""divert(0)dnl
define(`_USE_ETC_MAIL_')dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `mx.lab.example')dnl
define(`QUEUE_DIR', `/var/spool/mqueue/q*')dnl
QUEUE_GROUP(`slow', `P=/var/spool/mqueue/slow, R=5, I=1h')dnl
define(`ALIAS_FILE', `/etc/lab/lab.aliases')dnl
define(`confDELIVERY_MODE', `queueonly')dnl
define(`confTO_IDENT', `0')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/lab/lab.switch')dnl
define(`confQUEUE_LA', `9999')dnl
define(`confREFUSE_LA', `9999')dnl
define(`confDELAY_LA', `9999')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confTRUSTED_USER', `smmta')dnl
define(`confPID_FILE', `%(pid)s')dnl
define(`confAUTH_OPTIONS', `')dnl
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confSERVER_CERT', `/etc/lab/lab.crt')dnl
define(`confSERVER_KEY', `/etc/lab/lab.key')dnl
define(`confCACERT', `/etc/lab/lab.crt')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`confTLS_SRV_OPTIONS', `V')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h %(sink)d')dnl
define(`RELAY_MAILER_ARGS', `TCP $h %(mute)d')dnl
define(`SMTP_MAILER_ARGS', `TCP $h %(closed)d')dnl
define(`confTO_INITIAL', `10m')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`mailertable', `hash -o /etc/lab/lab.table')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA-v4, Port=%(port)d, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Family=inet6, Name=MTA-v6, Port=%(port)d, Addr=::1')dnl
INPUT_MAIL_FILTER(`lab', `S=inet:%(milter)d@127.0.0.1, F=T')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
%(macros)s
LOCAL_RULESETS
Squeuegroup
R$* @ slow.example	$# slow
R$* @ $*	$# mqueue
R$*	$# mqueue
"""

MORE_MACROS = ("C{persistentMacros}{client_addr} {client_port} {client_name} "
               "{auth_authen} {auth_type}")

TABLE = """hang.example relay:[127.0.0.1]
refused.example smtp:[127.0.0.1]
"""
ALIASES = "postmaster: root\nteam: later-t1@r.example, ok-t2@r.example\n"
SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"

CF = {"stock": ("/etc/mail/sendmail.cf", "/run/sm-stock.pid", scene.SMTP_PORT, ""),
      "rich": ("/etc/mail/rich.cf", "/run/sm-rich.pid", scene.ALT_PORT, MORE_MACROS)}


class Sendmail(scene.Scene):
    mta = "sendmail"

    def spools(self):
        return [("mqueue", BASE), ("mqueue-client", CLIENT)]

    # -- configuration and daemons --------------------------------------------------------------

    def configure(self):
        room = self.room
        for name, (cf, pid, port, macros) in CF.items():
            room.write("/etc/mail/%s.mc" % name, MC % {
                "pid": pid, "port": port, "macros": macros, "sink": scene.SINK_PORT,
                "mute": scene.MUTE_PORT, "closed": scene.CLOSED_PORT,
                "milter": scene.MILTER_PORT})
            room.write(cf, room.run(["m4", "/etc/mail/%s.mc" % name]))
        room.write("/etc/lab/lab.switch", "hosts files\naliases files\n")
        submit = re.sub(rb"(?m)^#?O ServiceSwitchFile=.*", b"O ServiceSwitchFile=/etc/lab/lab.switch",
                        room.read("/etc/mail/submit.cf"))
        room.write("/etc/mail/submit.cf", submit)
        room.write("/etc/lab/lab.aliases", ALIASES)
        room.write("/etc/lab/lab.crt", room.read("/etc/ssl/lab.crt"))
        room.write("/etc/lab/lab.key", room.read("/etc/ssl/lab.key"), mode=0o600)
        room.write("/etc/mail/sasl/Sendmail.conf", SASL)
        room.write("/usr/lib/sasl2/Sendmail.conf", SASL)
        room.run(["makemap", "-s", "hash", "/etc/lab/lab.table"], stdin=TABLE.encode())
        for user, secret in (("lab1", b"secret1"), ("lab2", b"secret2")):
            room.run(["saslpasswd2", "-p", "-c", "-u", inside.HOST, user], stdin=secret)
        room.run(["chown", "root:root", "/etc/sasldb2"])
        room.run(["chmod", "0600", "/etc/sasldb2"])
        dirs = ["q1", "q1/qf", "q1/df", "q1/xf", "q2", "q3", "q3/df", "slow"]
        room.run(["mkdir", "-p"] + ["%s/%s" % (BASE, d) for d in dirs])
        room.mount("tmpfs", "tmpfs", BASE + "/slow", "-o", "mode=0750,size=100m")
        room.run(["mkdir", "-p", "/run/sendmail/mta", "/run/sendmail/msp"])
        room.run(["newaliases"])

    def start(self):
        for cf, pid, port, _ in CF.values():
            self.room.run([SENDMAIL, "-Am", "-C", cf, "-bd"])
            inside.wait_port("127.0.0.1", port)
            inside.wait_port("::1", port)

    def stop(self):
        self.stalled.close()
        for _, pid, _, _ in CF.values():
            self.room.stop(pid)
        for child in self.running:
            child.kill()
            child.wait()
        self.room.end("sendmail", "sendmail-mta")

    # -- injection ------------------------------------------------------------------------------

    def messages(self):
        out = load.common(False) + load.edited()
        add = lambda tag, **kw: out.append(load.Message(tag, **kw))
        add("forged", bind="127.0.0.11")
        for kind in sink.REPLIES:
            add("reply-" + kind, rcpts=["defer-%s@r.example" % kind])
        add("refused", rcpts=["user@refused.example"])
        add("partial", rcpts=["ok-partial@r.example", "later-partial@r.example",
                              "OK-Partial2@R.example"])
        add("partial-8bit", rcpts=["ok-p8@r.example", "later-p8@r.example"],
            body=b"caf\xe9 \xc3\xa9\r\n.dot\r\n" + b"q" * 900 + b"\r\n",
            mail_args=["BODY=8BITMIME"])
        add("alias", rcpts=["team@" + inside.HOST])
        add("bounced", sender="later-bounced@r.example",
            rcpts=["bad-bounced@r.example", "later-stays@r.example"])
        add("quarantined")
        add("quarantined-tried")
        add("lost")
        add("no-body")
        add("slow", rcpts=["later-slow@slow.example"])
        add("split", rcpts=["later-split@r.example", "later-split@slow.example"])
        add("hang", rcpts=["x@hang.example"])
        order = "%s: %s" % (milter.HEADER, milter.orders(("quarantine", "the milter says so")))
        out.append(load.Message("milter-quarantine", headers=[order.encode()]))
        return out

    def messages_rich(self):
        return [load.Message("rich", bind="127.0.5.1"),
                load.Message("rich6", bind="::1", helo="six.lab.example"),
                load.Message("rich-named", bind="127.0.0.9"),
                load.Message("rich-auth", bind="127.0.5.2", auth=("PLAIN", "lab1", "secret1")),
                load.Message("rich-tls-auth", bind="127.0.5.3", tls=True,
                             auth=("LOGIN", "lab2", "secret2"))]

    TRIED = ["partial", "partial-8bit", "alias", "bounced", "refused",
             "quarantined-tried", "milter-add", "milter-body-shorter", "milter-body-longer"]

    def inject(self):
        self.running = []
        for message in self.messages():
            self.smtp(message, scene.SMTP_PORT)
        for message in self.messages_rich():
            self.smtp(message, scene.ALT_PORT)
        self.local()
        for tag in self.TRIED + ["reply-" + k for k in sink.REPLIES]:
            self.attempt(self.find(tag))
        self.bounce()
        self.quarantine()
        self.lose()
        self.damage()
        self.hang()
        self.receiving()
        self.listing()

    def smtp(self, message, port):
        text, facts = load.send("127.0.0.1", port, message)
        queue_id = re.search(r"2\.0\.0 (\w+) Message accepted", text).group(1)
        fields = self.smtp_fields(message, facts)
        proto = "ESMTP" + ("S" if message.tls else "") + ("A" if message.auth else "")
        body = message.after.get("body", message.body).replace(b"\r\n", b"\n")
        fields.update({"protocol_name": proto, "message_size": len(body), "attempts": 0,
                       "state": "incoming", "queue_name": "mqueue",
                       "last_attempt": {"~maybe": 0}})
        own = {"by": inside.HOST, "with": proto, "id": queue_id, "helo": message.helo,
               "address": fields["client_address"], "time": {"~in": facts["window"]}}
        name = {"127.0.0.1": "localhost", "::1": "localhost", "127.0.0.9": "nine.lab.example",
                "127.0.0.11": "forged.lab.example"}.get(message.bind)
        if name:
            fields["client_name"] = own["from"] = name
        if message.bind == "127.0.0.11":
            fields["flags"].append("client-name-unverified")
            own["from"] = {"~maybe": name}
        fields.pop("arrival_usec")
        if port == scene.SMTP_PORT:
            fields.pop("client_port")
        elif message.auth:
            fields["auth_method"] = message.auth[0]
            fields["auth_user"] = message.auth[1]
        if len(message.to[1].split(",")) > 1 if message.to else False:
            fields["to"] = {"~words": fields["to"]}
            fields["to_b64"] = {"~maybe": {"~any": "written anew by Sendmail"}}
        fields["received"] = [own] + [hop for _, hop in message.received]
        fields.update(message.expect)
        if message.tag == "milter-quarantine":
            fields.update(state="held", hold_reason="the milter says so")
        if message.tag == "slow":
            fields["queue_name"] = {"~like": "mqueue|slow"}
        if message.tag == "split":
            return self.split(message, queue_id, fields)
        return self.truth(message.tag, queue_id, fields, message=message)

    def split(self, message, queue_id, fields):
        """Recipients in two queue groups: two envelopes, one body by two names."""
        fields["flags"].append("shared-body")
        fields["received"] = [dict(fields["received"][0], id={"~any": "either of the two"})]
        for rcpt in message.rcpts:
            mine = dict(fields, recipients=[{"address": rcpt}])
            group = "slow" if "slow" in rcpt else "mqueue"
            mine["queue_name"] = {"~like": "mqueue|" + group}
            self.truth("split-" + rcpt.split("@")[1], self.id_of(rcpt), mine, found_queue=group)

    def id_of(self, rcpt):
        """The id of the message to this recipient."""
        wanted = b":<%s>\n" % rcpt.encode()
        for depth in ("*", "*/qf"):
            for path in glob.glob(self.room.host("%s/%s/qf*" % (BASE, depth))):
                if os.path.isfile(path) and wanted in self.room.read(path[len(self.room.path):]):
                    return os.path.basename(path)[2:]
        raise inside.LabError("no message to " + rcpt)

    def local(self):
        """By command: nothing listens on the submission port, so the submission queue keeps it."""
        for tag, argv, user in (("local-t", ["-t", "-i"], "alice"),
                                ("local-args", ["-i", "-f", "other@s.example",
                                                "later-local-args@r.example"], "alice"),
                                ("local-queued", ["-odq", "-i", "later-local-queued@r.example"],
                                 "bob")):
            message = load.Message(tag)
            message.to = (b"later-%s@r.example" % tag.encode(), "later-%s@r.example" % tag)
            begin = int(time.time())
            self.room.run(["sendmail", *argv], user=user,
                          stdin=message.data().replace(b"\r\n", b"\n"))
            path = inside.wait_until("the submission of " + tag, lambda: self.client_file(message))
            queue_id = os.path.basename(path)[2:]
            window = {"~in": [begin, int(time.time())]}
            fields = message.header_truth()
            tried = "-odq" not in argv
            fields.update({
                "sender": "other@s.example" if "-f" in argv else
                          {"~like": user + "(@" + re.escape(inside.HOST) + ")?"},
                "recipients": [{"address": "later-%s@r.example" % tag}],
                "local_user": user, "local_uid": {"~maybe": 2001 if user == "alice" else 2002},
                "flags": ["local"], "arrival_time": window, "queue_name": "mqueue",
                "message_size": len(message.body.replace(b"\r\n", b"\n")),
                "attempts": 1 if tried else 0, "state": "deferred" if tried else "incoming",
                "last_attempt": window if tried else {"~maybe": 0},
                "received": [{"by": inside.HOST, "id": queue_id, "time": window,
                              "from": {"~maybe": {"~any": "user@localhost"}}}]})
            if tried:
                reason = "Deferred: Connection refused by [127.0.0.1]"
                fields.update(reason=reason, reason_class="refused")
                fields["recipients"][0]["delay_reason"] = {"~maybe": reason}
            self.truth(tag, queue_id, fields, spool="mqueue-client")

    def client_file(self, message):
        for path in glob.glob(self.room.host(CLIENT + "/qf*")):
            with open(path, "rb") as f:
                text = f.read()
            if message.message_id.encode() in text and text.endswith(b"\n.\n"):
                return path

    # -- what is done to them -------------------------------------------------------------------

    def control(self, queue_id):
        """The control file of a message, wherever it is."""
        for depth in ("*", "*/qf"):
            for path in glob.glob(self.room.host("%s/%s/?f%s" % (BASE, depth, queue_id))):
                if os.path.basename(path)[0] in "qhQ":
                    return path

    def attempt(self, entry):
        begin, fields = int(time.time()), entry["fields"]
        self.room.run([SENDMAIL, "-Am", "-v", "-qI" + entry["queue_id"]], check=False)
        window = {"~in": [begin, int(time.time())]}
        if entry["tag"] == "alias":
            fields["recipients"] = [dict(address=a, orig_address="team@" + inside.HOST)
                                    for a in ("later-t1@r.example", "ok-t2@r.example")]
        self.outcome(fields)
        fields.update(attempts=1, last_attempt=window, state="deferred")

    def delay(self, address, answer):
        if address.endswith("@refused.example"):
            # Before there is a connection, only the whole message gets a reason.
            text = "Deferred: Connection refused by [127.0.0.1]"
            return text, {"~maybe": text}, None
        text = "Deferred: " + answer.split("\r\n")[0]
        return text, text, self.status(answer)

    def outcome(self, fields):
        super().outcome(fields)
        fields.pop("recipients_done")

    def bounce(self):
        source = self.find("bounced")["queue_id"]
        line = inside.wait_until("the bounce", lambda: self.room.log.find(
            source + ": ", "DSN: "))[0]
        queue_id = re.search(source + r": (\w+): DSN: ", line).group(1)
        window = {"~in": [self.find("bounced")["fields"]["arrival_time"]["~in"][0],
                          int(time.time())]}
        some = {"~maybe": {"~any": "tried at once, or not"}}
        fields = {
            "sender": "", "recipients": [{"address": "later-bounced@r.example",
                                          "delay_reason": some, "dsn_code": some}],
            "subject": "Returned mail: see transcript for details",
            "from": {"~has": ["Mail Delivery Subsystem", "MAILER-DAEMON"]},
            "to": {"~has": ["later-bounced@r.example"]}, "date": {"~has": ["20"]},
            "message_id": {"~has": [queue_id]}, "arrival_time": window,
            "subject_b64": some, "from_b64": some, "to_b64": some,
            "received": [{"by": inside.HOST, "id": queue_id, "time": window,
                          "from": {"~maybe": "localhost"}}],
            "message_size": {"~in": [100, 10000]}, "attempts": {"~in": [0, 1]},
            "last_attempt": some, "reason": some, "reason_class": some,
            "state": {"~like": "incoming|deferred"}, "queue_name": "mqueue",
            "flags": {"~set": ["bounce"]}, "helo_name": some, "client_name": some,
        }
        fields["received"][0]["helo"] = {"~maybe": "localhost"}
        self.truth("report-bounced", queue_id, fields)

    def quarantine(self):
        for tag, why in (("quarantined", "flood, ticket 7"), ("quarantined-tried", "zażółć")):
            entry = self.find(tag)
            self.room.run([SENDMAIL, "-Am", "-Q" + why, "-qI" + entry["queue_id"]])
            inside.wait_until("a held message", lambda: os.path.basename(
                self.control(entry["queue_id"])).startswith("hf"))
            entry["fields"].update(state="held", hold_reason=why)

    def lose(self):
        """A control file that others may write is set aside by the next run."""
        entry = self.find("lost")
        os.chmod(self.control(entry["queue_id"]), 0o666)
        self.room.run([SENDMAIL, "-Am", "-v", "-qI" + entry["queue_id"]], check=False)
        inside.wait_until("a lost message", lambda: os.path.basename(
            self.control(entry["queue_id"])).startswith("Qf"))
        entry["fields"]["state"] = "corrupt"
        entry["fields"]["problems"] = {"~maybe": {"~any": "a lost message may say why"}}

    def damage(self):
        """A body that is gone: the next run would send the message without it."""
        entry = self.find("no-body")
        for depth in ("*", "*/df"):
            for path in glob.glob(self.room.host("%s/%s/df%s" % (BASE, depth,
                                                                 entry["queue_id"]))):
                os.unlink(path)
        entry.update(partial=True, hidden=True)
        entry["fields"].update(state="incomplete", problems={"~some": 1})
        entry.pop("message")

    def hang(self):
        entry = self.find("hang")
        self.running.append(self.room.start(
            [SENDMAIL, "-Am", "-v", "-qI" + entry["queue_id"]]))
        path = self.control(entry["queue_id"])
        inside.wait_until("a delivery in flight", lambda: locked(path))
        entry["fields"].update(state="active", attempts={"~in": [0, 1]},
                               last_attempt={"~maybe": {"~any": "being tried"}})
        entry["stopped"]["state"] = {"~like": "incoming|deferred"}

    def receiving(self):
        """A client that stopped in the middle of its data: a df alone, no control file yet."""
        message = load.Message("receiving")
        client = load.open_session("127.0.0.1", scene.SMTP_PORT, message)
        load.envelope(client, message)
        client.must("DATA", 354)
        client.send(message.data()[:-30] + (b"x" * 900 + b"\r\n") * 30)
        self.stalled = client

        def alone():
            for pattern in ("*/df*", "*/df/df*"):
                for path in glob.glob(self.room.host("%s/%s" % (BASE, pattern))):
                    queue_id = os.path.basename(path)[2:]
                    if queue_id and os.path.isfile(path) and not self.control(queue_id):
                        return queue_id
        queue_id = inside.wait_until("an unfinished body", alone)
        self.truth("receiving", queue_id, {"state": "receiving", "queue_name": "mqueue"},
                   partial=True, unlisted=True, optional=True)

    # -- what Sendmail itself says --------------------------------------------------------------

    def listing(self):
        listed = {}
        for argv in (["-Am", "-bp"], ["-Am", "-bp", "-qQ"], ["-Am", "-bp", "-qL"], ["-Ac", "-bp"]):
            listed.update(parse_mailq(self.room.run([SENDMAIL, *argv]).decode("utf-8", "replace")))
        for entry in self.truths:
            if entry["queue_id"] in listed:
                entry["listed"] = listed[entry["queue_id"]]
            if entry["queue_id"]:
                for depth in ("", "*/", "*/df/"):
                    for path in glob.glob(self.room.host("%s/%sdf%s" % (
                            dict(self.spools())[entry["spool"]], depth, entry["queue_id"]))):
                        entry["inode"] = os.stat(path).st_ino

    def logs(self):
        """As a collector writes them: without priority, with the host. Control bytes have a line of their own nowhere."""
        with self.room.log.lock:
            lines = [re.sub(r"^<\d+>(.{15}) ", r"\1 mx ", l.rstrip("\n\0")) for l in self.room.log.lines]
        return [lines, lines]

    def after_stop(self):
        self.truths = [t for t in self.truths if t["tag"] != "receiving"]
        for entry in self.truths:
            entry["fields"].update(entry["stopped"])
        self.listing()

    def message_bytes(self, entry):
        """Sendmail has no command that prints a message."""
        return None


def locked(path):
    """Whether somebody holds a lock on this file, by the kernel's own list."""
    try:
        inode = os.stat(path).st_ino
    except OSError:
        return False
    with open("/proc/locks") as f:
        return any(line.split()[5].endswith(":%d" % inode) for line in f)


def parse_mailq(text):
    """mailq: id with a mark, size, time, sender; recipients and reasons on lines of their own."""
    out, current = {}, None
    for line in text.splitlines():
        m = re.match(r"(\w{14,18})[*X?-]?\s+(-?\d+)[ +]+\S+ \S+ +\d+ \d\d:\d\d\s+(.*)$", line)
        if m:
            current = {"message_size": int(m.group(2)), "sender": m.group(3), "recipients": []}
            out[m.group(1)] = current
        elif not line[:1].isspace():
            current = None
        elif current is not None and re.match(r"\s+\S", line) and not re.match(
                r"\s*(\(|QUARANTINE:|8BITMIME|7BIT|/\S+ \(|Total requests)", line):
            current["recipients"].append(line.strip().replace("\\\\", "\\"))
    return out


SCENE = Sendmail
