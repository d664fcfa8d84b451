"""Postfix, while its queues are worked on: two instances, one with short ids, one with long ids, hashed
deeply and with an active queue of five messages; both run their queues each second."""

import os
import re

import acting
import block
import inject_postfix
import inside
import scene

A, B = inject_postfix.A, inject_postfix.B
SPOOL_A = inject_postfix.SPOOL_A
BUSY = "minimal_backoff_time=1s", "maximal_backoff_time=2s", "queue_run_delay=1s"


class Postfix(acting.Acting, inject_postfix.Postfix):
    ACCEPTED = r"queued as (\w+)"
    # Locked when the queue manager came to it, or taken between its listing and its rename.
    LOCKS = (r"skipped, still being delivered",
             r"warning: qmgr_active_feed: \w+: rename from \w+ to active: No such file or directory$")
    # Whoever says --active accepts that a delivery about to begin finds nothing.
    QUIET = (r"postsuper\[", r"removed$", r"postfix-script\[\d+\]: (starting|stopping|refreshing|waiting for) the Postfix mail system",
             r"warning: open active \w+: No such file or directory",
             # What a queue manager with room for five (configure) may say of any mail that it has.
             r"warning: this may slow down other mail deliveries$", r"warning: you may need to increase the main\.cf qmgr_message_active_limit",
             r"warning: mail for \S+ is using up \d+ of \d+ active queue entries",
             r"force-expired, returned to sender$", r"sender non-delivery notification: \w+$")
    BY_ID, DOWN = ("--trust-ids",), ("--active",)
    PORTS = (scene.SMTP_PORT, scene.ALT_PORT)

    def pause(self):
        for conf in (A, B):
            self.room.run(["postfix", "-c", conf, "stop"])
        inside.wait_until("the end of Postfix", lambda: not self.room.processes(
            "master", "qmgr", "smtp", "smtpd", "cleanup", "pickup"), 60)

    def go_on(self):
        inject_postfix.Postfix.start(self)

    def loop_kept(self):
        """Also what the queue manager has in memory; it comes back once that has been restarted."""
        self.quarantine("take", *self.pool("kept"), "-m", "5", "--active", "--why", "to be kept")

    canary = None

    def flush(self):
        for conf in (A, B):
            self.room.run(["postqueue", "-c", conf, "-f"], check=False)

    def run_queue(self):
        """Flushing only asks for a run, and in the midst of another it may ask in vain: while there is a
        canary, the run is over when that was tried again."""
        before = self.sink.attempts[self.canary]
        for _ in range(15):
            self.flush()
            if not self.canary or self.tried(before):
                return
        raise inside.LabError("Postfix does not run its queue")

    def tried(self, before):
        try:
            return inside.wait_until("an attempt of the canary",
                                     lambda: self.sink.attempts[self.canary] > before, 2)
        except inside.LabError:
            return False

    def log_lines(self):
        lines = []
        for log in (inject_postfix.LOG_A, inject_postfix.LOG_B):
            if os.path.exists(self.room.host(log)):
                with open(self.room.host(log), errors="replace") as f:
                    lines += [re.sub(r"^\S+ +\S+ \S+ \S+ ", "", l.rstrip("\n")) for l in f]
        return lines

    HOME = SPOOL_A

    def at_rest(self, message, queue_id):
        self.files(queue_id)

    def paste(self, text):
        for name, title in (("clients", "Postfix, file /etc/postfix/block_clients"),
                            ("accounts", "Postfix, file /etc/postfix/block_accounts")):
            self.room.write("/etc/postfix/block_" + name, block.part(text, title))
        self.room.run(["postmap", "/etc/postfix/block_accounts"])
        self.room.run(["postconf", "-c", A, "-e"] + re.findall(r"in main.cf, first in the list: (.*)", text))
        self.pause()
        self.go_on()

    # -- hold and release ------------------------------------------------------------------------

    def native_hold(self, queue_id):
        self.room.run(["postsuper", "-c", A, "-h", queue_id])

    def native_release(self, queue_id):
        self.room.run(["postsuper", "-c", A, "-H", queue_id])

    def files(self, queue_id):
        """Once the queue manager has put it aside."""
        return inside.wait_until("a message that waits", lambda: self.waiting(queue_id))

    def waiting(self, queue_id):
        seen = self.snapshot(SPOOL_A, queue_id)
        if any(n.startswith(("deferred/", "hold/")) for n in seen):
            return seen

    def native(self):
        message, queue_id = self.inject_one("calm", acting.NEVER, scene.SMTP_PORT)
        self.files(queue_id)
        self.canary = message.rcpts[0]
        for _ in range(4):
            message, queue_id = self.inject_one("calm", acting.NEVER, scene.SMTP_PORT)
            self.files(queue_id)
            self.compare_holds(queue_id, message.rcpts[0])
        self.canary = None
        self.pause()
        for conf in (A, B):
            self.room.run(["postconf", "-c", conf, "-e", *BUSY])
        self.go_on()


SCENE = Postfix
