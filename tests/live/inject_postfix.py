"""Postfix: two instances, what goes into them, and what must be found there.

    postfix     short queue ids, milter, header_checks, XCLIENT, SASL, TLS
    postfix-b   long queue ids, two levels of hashing, an active queue of five messages
"""

import glob
import json
import os
import re
import time

import inside
import load
import scene
import sink

A, B = "/etc/postfix", "/etc/postfix-b"
SPOOL_A, SPOOL_B = "/var/spool/postfix", "/var/spool/postfix-b"

MAIN = """
compatibility_level = 3.6
queue_directory = %(spool)s
data_directory = %(data)s
myhostname = mx.lab.example
mydomain = lab.example
myorigin = $myhostname
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = loopback-only
inet_protocols = all
relayhost = [127.0.0.1]:%(sink)d
transport_maps = inline:{
  { refused.example = smtp:[127.0.0.1]:%(closed)d },
  { hang.example = smtp:[127.0.0.1]:%(mute)d } }
virtual_alias_maps = inline:{
  { alias@v.example = later-al1@r.example later-al2@r.example } }
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level =
smtp_connect_timeout = 600s
smtp_helo_timeout = 600s
smtpd_peername_lookup = no
smtpd_relay_restrictions = check_client_access static:OK, reject
smtpd_recipient_restrictions =
smtpd_authorized_xclient_hosts = 127.0.0.0/8 [::1]
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/ssl/lab.crt
smtpd_tls_key_file = /etc/ssl/lab.key
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = $myhostname
cyrus_sasl_config_path = /etc/postfix/sasl
broken_sasl_auth_clients = yes
smtputf8_enable = yes
in_flow_delay = 0
notify_classes =
message_size_limit = 100000000
mailbox_size_limit = 0
maillog_file = %(log)s
minimal_backoff_time = 3000s
maximal_backoff_time = 4000s
queue_run_delay = 3000s
syslog_name = %(name)s
alias_maps =
alias_database =
"""

MAIN_A = """
smtpd_milters = inet:127.0.0.1:%(milter)d
non_smtpd_milters = inet:127.0.0.1:%(milter)d
milter_default_action = tempfail
header_checks = pcre:/etc/postfix/header_checks
multi_instance_directories = /etc/postfix-b
"""

MAIN_B = """
enable_long_queue_ids = yes
hash_queue_names = deferred, defer, incoming
hash_queue_depth = 2
qmgr_message_active_limit = 5
delay_warning_time = 4h
"""

HEADER_CHECKS = r"""
/^X-Lab-Check: prepend/   PREPEND X-Prepended: yes
/^X-Lab-Check: replace/   REPLACE X-Replaced: now, and longer than it was before
/^X-Lab-Check: redirect/  REDIRECT later-target@r.example
/^X-Lab-Check: filter/    FILTER smtp:[127.0.0.1]:2525
/^X-Lab-Check: hold/      HOLD looks odd
/^X-Lab-Check: ignore/    IGNORE
/^X-Lab-Check: bcc/       BCC later-bcc@r.example
/^Subject: to be changed/ REPLACE Subject: changed by a check
"""

SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
LOG_A, LOG_B = "/var/log/postfix-a.log", "/var/log/postfix-b.log"
CHECK = b"X-Lab-Check: "


class Postfix(scene.Scene):
    mta = "postfix"

    def spools(self):
        return [("postfix", SPOOL_A), ("postfix-b", SPOOL_B)]

    # -- configuration and daemons --------------------------------------------------------------

    def configure(self):
        room = self.room
        ports = {"sink": scene.SINK_PORT, "mute": scene.MUTE_PORT, "closed": scene.CLOSED_PORT,
                 "milter": scene.MILTER_PORT}
        for conf, spool, log, port, extra in ((A, SPOOL_A, LOG_A, scene.SMTP_PORT, MAIN_A),
                                              (B, SPOOL_B, LOG_B, scene.ALT_PORT, MAIN_B)):
            name = os.path.basename(spool)
            data = "/var/lib/" + name
            room.write(conf + "/main.cf", (MAIN + extra) % dict(
                ports, spool=spool, data=data, log=log, name=name))
            room.write(conf + "/master.cf", self.master(port))
            room.write(conf + "/dynamicmaps.cf", self.dynamic_maps())
            room.run(["mkdir", "-p", spool, data])
            room.run(["chown", "postfix:postfix", data])
            if os.path.exists(room.host(log)):
                os.unlink(room.host(log))
        room.write("/etc/postfix/header_checks", HEADER_CHECKS)
        room.write("/etc/postfix/sasl/smtpd.conf", SASL)
        for user, secret in (("lab1", b"secret1"), ("lab2", b"secret2")):
            room.run(["saslpasswd2", "-p", "-c", "-u", inside.HOST, user], stdin=secret)
        room.run(["chown", "root:postfix", "/etc/sasldb2"])
        room.run(["chmod", "0640", "/etc/sasldb2"])

    def dynamic_maps(self):
        """Debian keeps the pcre table in a file of its own; the second instance needs it too."""
        text = "# written by the live lab\n"
        for name in sorted(glob.glob(self.room.host("/etc/postfix/dynamicmaps.cf.d/*"))):
            with open(name) as f:
                text += f.read()
        if "pcre" not in text:
            text += "pcre\t/usr/lib/postfix/postfix-pcre.so\tdict_pcre_open\n"
        return text

    def master(self, port):
        """The distributed services, none of them in a chroot, listening on loopback."""
        with open(self.room.host("/usr/share/postfix/master.cf.dist")) as f:
            lines = [l for l in f.read().splitlines() if l and not l.startswith("#")]
        out = []
        for line in lines:
            fields = line.split(None, 7)
            if line[:1].isspace() or len(fields) < 8:
                out.append(line)
                continue
            fields[4] = "n"
            if fields[0] == "smtp" and fields[1] == "inet":
                out += ["%s:%d inet n - n - - smtpd" % (a, port) for a in ("127.0.0.1", "[::1]")]
            else:
                out.append(" ".join(fields))
        return "\n".join(out) + "\n"

    def start(self):
        for conf, port in ((A, scene.SMTP_PORT), (B, scene.ALT_PORT)):
            self.room.run(["postfix", "-c", conf, "start"])
            inside.wait_port("127.0.0.1", port)
            inside.wait_port("::1", port)

    def stop(self):
        self.sink.finish.set()
        for conf, spool in ((A, SPOOL_A), (B, SPOOL_B)):
            self.room.run(["postfix", "-c", conf, "stop"], check=False)
            self.room.stop(spool + "/pid/master.pid")
        inside.wait_until("the end of Postfix", lambda: not self.room.processes(
            "master", "qmgr", "smtp", "smtpd", "cleanup", "pickup"))

    # -- the load -------------------------------------------------------------------------------

    def messages_a(self):
        out = load.common(True)
        add = lambda tag, **kw: out.append(load.Message(tag, **kw))
        add("xclient4", xclient={"ADDR": "203.0.113.9", "NAME": "gw.flood.example", "PORT": "4242",
                                 "PROTO": "ESMTP"}, helo="gw")
        add("xclient6", xclient={"ADDR": "IPV6:2001:db8::25", "NAME": "[UNAVAILABLE]",
                                 "PORT": "65535"}, helo="six.example")
        add("xclient-temp", xclient={"ADDR": "198.51.100.200", "NAME": "[TEMPUNAVAIL]"})
        add("xclient-hops", xclient={"ADDR": "203.0.113.77", "NAME": "out.example"},
            received=list(load.HOPS))
        add("refused", rcpts=["user@refused.example"])
        for kind in sink.REPLIES:
            add("reply-" + kind, rcpts=["defer-%s@r.example" % kind])
        add("partial", rcpts=["ok-partial@r.example", "later-partial@r.example",
                              "OK-Partial2@R.example"])
        add("partial-8bit", rcpts=["ok-p8@r.example", "later-p8@r.example"],
            body=b"caf\xe9 \xc3\xa9\r\n.dot\r\n" + b"q" * 900 + b"\r\n",
            mail_args=["BODY=8BITMIME"])
        # Longer than a record of the queue file, and exactly as long.
        add("long-line", body=b"q" * 5000 + b"\r\n" + b"r" * 2048 + b"\r\nend\r\n")
        add("alias", rcpts=["alias@v.example"])
        for action in ("prepend", "replace", "redirect", "filter", "hold", "ignore", "bcc"):
            gone = ["x-lab-check"] if action in ("replace", "ignore") else []
            add("check-" + action, headers=[CHECK + action.encode(), b"X-After: the check"],
                after={"deleted": gone})
        add("bdat", bdat=True, rcpts=["ok-bdat@r.example", "later-bdat@r.example"],
            body=b"in chunks\r\n.\r\ncaf\xe9\r\n")
        add("check-subject", subject=b"to be changed",
            after={"subject": (b"changed by a check", None)})
        out += load.edited()
        return out

    def messages_b(self):
        out = [load.Message("b-%d" % i, bind="127.0.3.%d" % (i + 1)) for i in range(6)]
        out.append(load.Message("b-folded", subject=b"long id\r\n and folded",
                                decoded="long id and folded"))
        out.append(load.Message("b-partial", rcpts=["ok-bp@r.example", "later-bp@r.example"]))
        out.append(load.Message("b-200", rcpts=["later-b%03d@many.example" % i
                                                for i in range(200)]))
        return out

    # -- injection ------------------------------------------------------------------------------

    def inject(self):
        for message in self.messages_a():
            self.smtp(message, SPOOL_A, scene.SMTP_PORT)
        for message in self.messages_b():
            self.smtp(message, SPOOL_B, scene.ALT_PORT)
        self.local()
        self.bounce()
        self.settle(A)
        self.settle(B)
        self.jam()
        self.hang()
        self.hold()
        self.corrupt()
        self.receiving()
        self.listing()

    def smtp(self, message, spool, port):
        text, facts = load.send("127.0.0.1", port, message)
        queue_id = re.search(r"queued as (\w+)", text).group(1)
        fields = self.smtp_fields(message, facts)
        proto = "ESMTP" + ("S" if message.tls else "") + ("A" if message.auth else "")
        if "SMTPUTF8" in message.mail_args:
            proto = "UTF8" + proto[1:]
        fields["protocol_name"] = proto
        if message.auth:
            fields["auth_method"] = message.auth[0]
            fields["auth_user"] = "%s@%s" % (message.auth[1], inside.HOST)
        own = {"by": inside.HOST, "helo": fields["helo_name"], "with": proto, "id": queue_id,
               "address": fields["client_address"], "time": {"~in": facts["window"]}}
        if "NAME" in (message.xclient or {}):
            if message.xclient["NAME"].startswith("["):
                fields.pop("client_name")
            else:
                own["from"] = fields["client_name"]
        fields["received"] = [own] + [hop for _, hop in message.received]
        fields.update(message.expect)
        self.tried(fields, spool)
        self.edits(message, fields)
        entry = self.truth(message.tag, queue_id, fields, spool=os.path.basename(spool))
        entry["message"] = message
        return entry

    def tried(self, fields, spool):
        """Postfix tries everything at once: what the sink answers decides what is left."""
        fields.update({"state": "deferred", "queue_name": "deferred",
                       "forced_expire": False})
        fields.setdefault("arrival_usec", {"~in": [0, 999999]})
        self.outcome(fields)

    def delay(self, address, answer):
        if address.endswith("@refused.example"):
            text = "connect to 127.0.0.1[127.0.0.1]:%d: Connection refused" % scene.CLOSED_PORT
            return text, text, "4.4.1"
        plain = re.sub(r"[\x00-\x1f]", "?", answer.replace("\r\n", " "))
        text = "host 127.0.0.1[127.0.0.1] said: %s (in reply to RCPT TO command)" % plain
        return text, text, self.status(answer) or "4.0.0"

    def edits(self, message, fields):
        """What header_checks and aliases made of it."""
        tag = message.tag
        if tag == "check-redirect":
            fields["recipients"] = [dict(address="later-target@r.example",
                                         orig_address=message.rcpts[0])]
            self.outcome(fields)
        elif tag == "check-bcc":
            fields["recipients"] = [{"address": r} for r in message.rcpts +
                                    ["later-bcc@r.example"]]
            self.outcome(fields)
        elif tag == "check-hold":
            fields.update(state="held", queue_name="hold", recipients=[
                {"address": r} for r in message.rcpts])
            fields.pop("reason"), fields.pop("reason_class")
        elif tag == "rcpt-quoted":
            # Postfix keeps addresses without quoting; what was quoted for nothing comes back plain.
            fields["recipients"][1].update(address='"a@b>c"@r.example',
                                           orig_address={"~maybe": message.rcpts[1]})
            self.outcome(fields)
        elif tag == "alias":
            fields["recipients"] = [dict(address=r, orig_address="alias@v.example")
                                    for r in ("later-al1@r.example", "later-al2@r.example")]
            self.outcome(fields)

    def local(self):
        """By command, as a plain user, with the recipients in the header and in arguments."""
        for tag, argv in (("local-t", ["-t", "-i"]),
                          ("local-args", ["-i", "-f", "other@s.example",
                                          "later-local-args@r.example"])):
            self.submit(tag, argv)

    def submit(self, tag, argv, spool=SPOOL_A, wait=True):
        message = load.Message(tag)
        message.to = (b"later-%s@r.example" % tag.encode(), "later-%s@r.example" % tag)
        begin = int(time.time())
        self.room.run(["sendmail", *argv], stdin=message.data().replace(b"\r\n", b"\n"),
                      user="alice")
        fields = message.header_truth()
        fields.update({
            "sender": "other@s.example" if "-f" in argv else "alice@" + inside.HOST,
            "recipients": [{"address": "later-%s@r.example" % tag}],
            "local_uid": 2001, "flags": ["local"],
        })
        if not wait:
            return self.truth(tag, None, fields, message_id=message.message_id)
        line = inside.wait_until("the log line of " + tag, lambda: self.log_line(
            LOG_A, "message-id=" + message.message_id))
        queue_id = re.search(r"cleanup\[\d+\]: (\w+):", line).group(1)
        window = {"~in": [begin, int(time.time())]}
        fields.update({"arrival_time": window, "received": [
            {"by": inside.HOST, "id": queue_id, "time": window}]})
        self.tried(fields, spool)
        return self.truth(tag, queue_id, fields)

    def bounce(self):
        """A refused recipient: Postfix writes a bounce, whose own delivery is put off."""
        message = load.Message("bounced", sender="later-bounced@r.example",
                               rcpts=["bad-bounced@r.example"])
        begin = int(time.time())
        text, _ = load.send("127.0.0.1", scene.SMTP_PORT, message)
        source = re.search(r"queued as (\w+)", text).group(1)
        line = inside.wait_until("the bounce", lambda: self.log_line(
            LOG_A, source + ": sender non-delivery notification: "))
        queue_id = line.rsplit(None, 1)[1]
        window = {"~in": [begin, int(time.time())]}
        fields = {
            "sender": "", "recipients": [{"address": "later-bounced@r.example"}],
            "subject": "Undelivered Mail Returned to Sender",
            "subject_b64": {"~maybe": {"~any": ""}},
            "from": {"~has": ["MAILER-DAEMON", "Mail Delivery System"]},
            "to": "later-bounced@r.example",
            "message_id": {"~has": ["@" + inside.HOST]}, "date": {"~has": ["20"]},
            "arrival_time": window,
            "received": [{"by": inside.HOST, "id": queue_id, "time": window}],
            "flags": {"~set": ["bounce"]},
        }
        self.tried(fields, SPOOL_A)
        self.truth("bounce", queue_id, fields)

    def settle(self, conf):
        """Until nothing is on the move any more."""
        def quiet():
            return not [e for e in self.postqueue(conf)
                        if e["queue_name"] in ("incoming", "active", "maildrop")]
        inside.wait_until("a quiet queue", quiet, 60)

    def jam(self):
        """Eight deliveries that never end, where five fill the active queue."""
        for i in range(8):
            message = load.Message("jam-%d" % i, rcpts=["jam%d@hang.example" % i])
            entry = self.smtp(message, SPOOL_B, scene.ALT_PORT)
            entry["fields"].update(recipients=[{"address": message.rcpts[0]}], state=None)
            for name in ("reason", "reason_class"):
                entry["fields"].pop(name)
        inside.wait_until("a full active queue", lambda: sum(
            e["queue_name"] == "active" for e in self.postqueue(B)) == 5)

    def hang(self):
        """One recipient done, one refused, one in the middle of its delivery."""
        message = load.Message("hang", sender="later-hang@r.example", rcpts=[
            "ok-hang@r.example", "bad-hang@r.example", "x@hang.example"])
        entry = self.smtp(message, SPOOL_A, scene.SMTP_PORT)
        entry["fields"].update(
            recipients=[{"address": "x@hang.example"}], state="active", queue_name="active",
            recipients_done=["ok-hang@r.example", "bad-hang@r.example"],
            bounce_reason=self.delay("", sink.reply_to("bad-hang@r.example")[0])[0])
        for name in ("reason", "reason_class"):
            entry["fields"].pop(name)
        path = self.room.host("%s/bounce/%s" % (SPOOL_A, entry["queue_id"]))
        inside.wait_until("the bounce log", lambda: os.path.exists(path) and os.path.getsize(path))
        inside.wait_until("two finished recipients", lambda: sum(
            len(e["recipients"]) for e in self.postqueue(A)
            if e["queue_id"] == entry["queue_id"]) == 1)

    def hold(self):
        """Held by hand after an attempt; one of two is marked as expired."""
        for tag in ("helo-case", "date-odd"):
            entry = self.find(tag)
            self.room.run(["postsuper", "-h", entry["queue_id"]])
            entry["fields"].update(state="held", queue_name="hold")
        entry = self.find("date-odd")
        self.room.run(["postsuper", "-e", entry["queue_id"], "hold"])
        entry["fields"]["forced_expire"] = True

    def corrupt(self):
        """A queue file that lost its end: the queue manager puts it aside."""
        with open(self.room.host("%s/hold/%s" % (SPOOL_A, self.find("check-hold")["queue_id"])),
                  "rb") as f:
            data = f.read()
        first = self.room.host(SPOOL_A + "/incoming/damaged.tmp")
        with open(first, "wb") as f:
            f.write(data[:len(data) - 40])
        self.room.run(["chown", "postfix:postfix", SPOOL_A + "/incoming/damaged.tmp"])
        queue_id = "ABCDE%X" % os.stat(first).st_ino
        os.chmod(first, 0o700)
        os.rename(first, os.path.join(os.path.dirname(first), queue_id))
        aside = self.room.host("%s/corrupt/%s" % (SPOOL_A, queue_id))
        def seen():
            self.room.run(["postkick", "public", "qmgr", "I"], check=False)
            return os.path.exists(aside)
        inside.wait_until("a corrupt file", seen)
        fields = {"state": "corrupt", "queue_name": "corrupt", "problems": {"~some": 1}}
        self.truth("corrupt", queue_id, fields, partial=True, hidden=True)

    def receiving(self):
        """A client that stopped in the middle of its data."""
        message = load.Message("receiving")
        client = load.open_session("127.0.0.1", scene.SMTP_PORT, message)
        load.envelope(client, message)
        client.must("DATA", 354)
        client.send(message.data()[:-30] + b"x" * 9000 + b"\r\n" + b"y" * 900 + b"\r\n")
        self.stalled = client
        def unready():
            for path in glob.glob(self.room.host(SPOOL_A + "/incoming/*")):
                if os.stat(path).st_mode & 0o777 == 0o600:
                    return os.path.basename(path)
        queue_id = inside.wait_until("an unfinished file", unready)
        self.truth("receiving", queue_id, {"state": "receiving", "queue_name": "incoming"},
                   partial=True, unlisted=True)

    # -- what Postfix itself says ---------------------------------------------------------------

    def postqueue(self, conf):
        out = self.room.run(["postqueue", "-c", conf, "-j"])
        return [json.loads(l) for l in out.decode("utf-8", "replace").splitlines()]

    def logs(self):
        return [self.lines_of(LOG_A), self.lines_of(LOG_B)]

    def log_line(self, log, text):
        for line in self.room.read(log).decode("utf-8", "replace").splitlines():
            if text in line:
                return line

    def listing(self):
        """postqueue -j gives sizes and, where several are possible, the queue."""
        self.listed = {}
        for conf, spool in ((A, "postfix"), (B, "postfix-b")):
            for e in self.postqueue(conf):
                self.listed[(spool, e["queue_id"])] = e
        for entry in self.truths:
            e = self.listed.get((entry["spool"], entry["queue_id"]))
            if e:
                entry["listed"] = {
                    "queue_name": e["queue_name"], "message_size": e["message_size"],
                    "sender": "" if e["sender"] == "MAILER-DAEMON" else e["sender"],
                    "recipients": sorted({r["address"] for r in e["recipients"]})}
                entry["fields"]["message_size"] = e["message_size"]
            if entry["fields"].get("state", "") is None:
                entry["fields"].update(state=e["queue_name"], queue_name=e["queue_name"])
            self.times(entry)

    def times(self, entry):
        """Retry times are kept as file times."""
        fields, spool = entry["fields"], self.room.host(dict(self.spools())[entry["spool"]])
        def find(queue):
            for depth in ("", "*/", "*/*/"):
                for path in glob.glob("%s/%s/%s%s" % (spool, queue, depth, entry["queue_id"])):
                    return path
        log = find("defer")
        if log:
            fields["last_attempt"] = int(os.stat(log).st_mtime)
        path = find(fields["queue_name"])
        if path:
            if fields["queue_name"] == "deferred":
                fields["next_attempt"] = int(os.stat(path).st_mtime)
            entry["inode"] = os.stat(path).st_ino
            entry["files"] = [os.path.relpath(p, spool) for p in (path, log) if p]

    def after_stop(self):
        """Submitted while Postfix is down: the maildrop."""
        self.stalled.close()
        self.truths = [t for t in self.truths if t["tag"] != "receiving"]
        known = set(os.listdir(self.room.host(SPOOL_A + "/maildrop")))
        for tag in ("drop-t", "drop-args"):
            begin = int(time.time())
            argv = ["-t", "-i"] if tag == "drop-t" else [
                "-i", "-f", "other@s.example", "later-drop-args@r.example"]
            entry = self.submit(tag, argv, wait=False)
            name, = set(os.listdir(self.room.host(SPOOL_A + "/maildrop"))) - known
            known.add(name)
            entry["queue_id"] = name
            entry["fields"].update(
                state="incoming", queue_name="maildrop", forced_expire=False,
                sender="other@s.example" if tag == "drop-args" else {"~like": "alice(@.*)?"},
                arrival_time={"~in": [begin, int(time.time())]},
                arrival_usec={"~maybe": {"~in": [0, 999999]}})
        self.listing()

    def message_bytes(self, entry):
        """The message as Postfix itself would print it, lines ended by CRLF."""
        conf = A if entry["spool"] == "postfix" else B
        out = self.room.run(["postcat", "-c", conf, "-qhb", entry["queue_id"]])
        return out.replace(b"\n", b"\r\n")


SCENE = Postfix
