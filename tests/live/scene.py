"""A scene: one MTA in its room, with the sink and the milter, and the truths that come of it.

Knows what the three inject_*.py have in common.  Each of them is a Scene that fills in

    configure  start  inject  listing  stop  after_stop  spools  message_bytes

and keeps, for each message, a truth: {"tag", "spool", "queue_id", "fields", "stopped"}; "stopped"
holds the fields that change when the MTA is down.
"""

import inside
import ipaddress
import json
import milter
import re
import sink

SMTP_PORT, ALT_PORT = 10025, 10026
SINK_PORT, MUTE_PORT, MILTER_PORT, CLOSED_PORT = 2525, 2526, 2530, 2599


class Scene:
    mta = None
    sink_class = sink.Sink

    def __init__(self, room, suite):
        self.room, self.suite = room, suite
        self.truths, self.notes = [], []
        self.sink = self.sink_class(SINK_PORT, MUTE_PORT)
        self.milter = milter.Milter(MILTER_PORT)

    def close(self):
        self.sink.close()
        self.milter.close()

    def logs(self):
        """The lines of the log of each spool."""
        raise NotImplementedError

    def lines_of(self, inner):
        return self.room.read(inner).decode("utf-8", "surrogateescape").splitlines()

    def found_spools(self):
        """Those that the configuration of this MTA leads to."""
        return self.spools()

    # -- truths ---------------------------------------------------------------------------------

    def truth(self, tag, queue_id, fields, spool=None, **more):
        entry = {"tag": tag, "mta": self.mta, "suite": self.suite,
                 "spool": spool or self.spools()[0][0], "queue_id": queue_id,
                 "fields": fields, "stopped": {}}
        entry.update(more)
        self.truths.append(entry)
        return entry

    def smtp_fields(self, message, facts):
        """What a message that came in by SMTP must show, whatever the MTA."""
        fields = message.header_truth()
        fields.update({
            "sender": message.after.get("sender", message.sender),
            "recipients": [self.recipient(message, r)
                           for r in message.after.get("rcpts", message.rcpts)],
            "arrival_time": {"~in": facts["window"]},
            "client_address": str(ipaddress.ip_address(message.bind)),
            "client_port": facts["port"],
            "arrival_usec": {"~moment": facts["moment"]} if "moment" in facts else
                            {"~in": [0, 999999]},
            "helo_name": message.helo,
            "flags": self.smtp_flags(message),
        })
        if message.xclient:
            self.xclient_fields(message, fields)
        return fields

    def delay(self, address, answer):
        """How this MTA keeps the sink's answer: the reason of the message, that of the recipient,
        and the status code."""
        raise NotImplementedError

    def outcome(self, fields):
        """What one attempt makes of the recipients: the sink's answers decide."""
        left, done, reasons, classes = [], [], [], []
        for rcpt in fields["recipients"]:
            answer, reason_class = sink.reply_to(rcpt["address"])
            if answer.startswith(("250", "550")):
                done.append(rcpt["address"])
                continue
            if rcpt["address"].endswith("@refused.example"):
                reason_class = "refused"
            elif rcpt["address"].endswith("@dns.example"):
                reason_class = "dns"
            whole, own, code = self.delay(rcpt["address"], answer)
            rcpt = dict(rcpt, delay_reason=own)
            if code:
                rcpt["dsn_code"] = code
            left.append(rcpt)
            reasons.append(whole)
            classes.append(reason_class)
        fields["recipients"], fields["recipients_done"] = left, done
        if left:
            fields["reason"] = {"~one": reasons}
            fields["reason_class"] = {"~one": classes}

    @staticmethod
    def status(answer):
        """The enhanced status code of a reply, if it has one."""
        m = re.match(r"\d\d\d[ -](\d\.\d\.\d+)", answer)
        return m.group(1) if m else None

    @staticmethod
    def recipient(message, address):
        entry = {"address": address}
        if address in message.orcpt:
            entry["orig_address"] = message.orcpt[address]
        return entry

    @staticmethod
    def smtp_flags(message):
        flags = []
        if message.after.get("sender", message.sender) == "":
            flags.append("bounce")
        if message.auth:
            flags.append("authenticated")
        if message.tls:
            flags.append("tls")
        if "SMTPUTF8" in message.mail_args:
            flags.append("smtputf8")
        return flags

    @staticmethod
    def xclient_fields(message, fields):
        x = message.xclient
        if "ADDR" in x:
            fields["client_address"] = str(ipaddress.ip_address(x["ADDR"].replace("IPV6:", "")))
        for name, field in (("NAME", "client_name"), ("PORT", "client_port")):
            if name in x:
                fields[field] = int(x[name]) if name == "PORT" else x[name]

    def dump(self, path):
        with open(path, "w") as f:
            for entry in self.truths:
                plain = {k: v for k, v in entry.items() if k != "message"}
                f.write(json.dumps(plain, ensure_ascii=False, sort_keys=True) + "\n")

    def expected_message(self, truth):
        """What we sent, with what a milter was told to do to it."""
        return truth["message"].edited_data()

    def sent_bytes(self, truth):
        """The bytes that the MTA itself sent to the sink or, where it sent nothing, prints."""
        taken = self.sink.deliveries(truth["message"].message_id)
        return taken[0]["data"] if taken else self.message_bytes(truth) or None

    def find(self, tag):
        for entry in self.truths:
            if entry["tag"] == tag:
                return entry
        raise inside.LabError("no truth for " + tag)
