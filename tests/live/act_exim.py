"""Exim, while its queue is worked on: immediate deliveries, a queue run each second, split spool."""

import os
import re

import acting
import block
import inject_exim
import inside
import scene

SPOOL, LOG, PIDFILE = inject_exim.SPOOL, inject_exim.LOG, inject_exim.PIDFILE


class Exim(acting.Acting, inject_exim.Exim):
    ACCEPTED = r"id=(\S+)"
    WAITING = 120                   # a process for each: runs shall be short
    # The last: a process that was started for the delivery of one message comes after it was taken (4.98.2).
    LOCKS = (r"Spool file (for \S+ )?is locked", r"another process is handling this message", r"Spool file \S+-D not found")
    QUIET = (r"\bfrozen\b", r"unfrozen", r"^\S+ (<=|=>|->|==) ")

    def configure(self):
        super().configure()
        text = self.room.read("/etc/exim4/exim4.conf").decode()
        text = text.replace("queue_only = true", "queue_only = false\nqueue_run_max = 5")
        self.room.write("/etc/exim4/exim4.conf", text.replace("* * F,2h,15m", "* * F,2h,1s"))

    def start(self, *runs):
        self.room.write("/etc/exim4/lab.options", inject_exim.STAGES["modern"])
        self.room.run(["exim4", "-bd", *runs, "-oP", PIDFILE])
        inside.wait_port("127.0.0.1", scene.SMTP_PORT)

    def stop(self):
        self.room.stop(PIDFILE)
        self.room.end("exim4")

    def pause(self):
        self.room.stop(PIDFILE)
        inside.wait_until("the end of all deliveries", lambda: not self.room.processes("exim4"), 60)

    def go_on(self):
        self.start("-q1s")

    def run_queue(self):
        self.room.run(["exim4", "-qf"], check=False, timeout=acting.QUEUE_RUN)

    def log_lines(self):
        lines = []
        for name in ("mainlog", "paniclog", "rejectlog"):
            path = self.room.host("/var/log/exim4/" + name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    lines += [re.sub(r"^\S+ \S+ ", "", l.rstrip("\n")) for l in f]
        return lines

    HOME = SPOOL
    LOGGING = ""

    def at_rest(self, message, queue_id):
        inside.wait_until("the end of the first attempt", lambda: self.log_line(
            queue_id + " == " + message.rcpts[0]))
        inside.wait_until("no delivery", lambda: len(self.room.processes("exim4")) == 1)

    def paste(self, text):
        conf = self.room.read("/etc/exim4/exim4.conf").decode()
        rules = block.part(text, "Exim, first in the ACL")
        conf = conf.replace("\nbegin acl\n", "acl_smtp_mail = acl_mail\n\nbegin acl\nacl_mail:\n%s  accept\n\n" % rules, 1)
        self.room.write("/etc/exim4/exim4.conf", conf)
        self.pause()
        self.go_on()

    # -- hold and release ------------------------------------------------------------------------

    def native_hold(self, queue_id):
        self.room.run(["exim4", "-Mf", queue_id])

    def native_release(self, queue_id):
        self.room.run(["exim4", "-Mt", queue_id])

    def files(self, queue_id):
        """Without the message log, to which the commands add lines, and the moment of freezing."""
        return {n: (re.sub(rb"(?m)^-frozen \d+$", b"-frozen NOW", v[0]), *v[1:])
                for n, v in self.snapshot(SPOOL, queue_id).items() if n.startswith("input/")}

    def native(self):
        for _ in range(4):
            message, queue_id = self.inject_one("calm", acting.NEVER)
            inside.wait_until("the end of the first attempt", lambda: self.log_line(
                queue_id + " == " + message.rcpts[0]))
            self.run_queue()
            self.compare_holds(queue_id, message.rcpts[0])
        self.pause()
        self.go_on()


SCENE = Exim
