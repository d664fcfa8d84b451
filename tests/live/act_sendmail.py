"""Sendmail, while its queue is worked on: background deliveries, queue runs, several queue directories
(with qf, df and xf apart, plain, with df apart) and one on another file system.

The daemon itself runs no queue: ended in the midst of a run it leaves a tf behind, and that message
waits for minutes; whose fault that is should not have to be asked here."""

import re

import acting
import inject_sendmail
import inside
import scene

BASE, SENDMAIL = inject_sendmail.BASE, inject_sendmail.SENDMAIL
CF, PID = "/etc/mail/sendmail.cf", "/run/sm-stock.pid"


class Sendmail(acting.Acting, inject_sendmail.Sendmail):
    ACCEPTED = r"2\.0\.0 (\w+) Message accepted"
    LOCKS = (r"locked",)
    QUIET = (r"quarantine=", r"stat=Sent", r"unquarantine")

    def configure(self):
        super().configure()
        cf = self.room.read(CF)
        busy = re.sub(rb"(?m)^O DeliveryMode=.*", b"O DeliveryMode=background", cf)
        self.room.write(CF, re.sub(rb"(?m)^Xlab,.*\n|^O InputMailFilters=.*\n", b"", busy))

    def start(self):
        self.room.run([SENDMAIL, "-Am", "-C", CF, "-bd"])
        inside.wait_port("127.0.0.1", scene.SMTP_PORT)

    def stop(self):
        self.room.stop(PID)
        self.room.end("sendmail", "sendmail-mta")

    def pause(self):
        names = ("sendmail", "sendmail-mta")
        inside.wait_until("the end of all deliveries",
                          lambda: len(self.room.processes(*names)) == 1, 60)
        self.room.stop(PID)
        inside.wait_until("the end of the daemon", lambda: not self.room.processes(*names), 60)

    def go_on(self):
        self.start()

    def domain(self, n):
        return "slow.example" if n % 7 == 0 else "r.example"

    def run_queue(self):
        self.room.run([SENDMAIL, "-Am", "-C", CF, "-qf"], check=False, timeout=acting.QUEUE_RUN)

    def log_lines(self):
        with self.room.log.lock:
            return [re.sub(r"^.*?\]: ", "", l) for l in self.room.log.lines]

    HOME, HELD_TOO = BASE, False

    def at_rest(self, message, queue_id):
        inside.wait_until("the first attempt", lambda: self.sink.attempts[message.rcpts[0]])
        self.settled(queue_id)

    # -- hold and release ------------------------------------------------------------------------

    def native_hold(self, queue_id):
        self.room.run([SENDMAIL, "-Am", "-C", CF, "-Q" + self.WHY, "-qI" + queue_id])

    def native_release(self, queue_id):
        self.room.run([SENDMAIL, "-Am", "-C", CF, "-qQ", "-Q", "-qI" + queue_id])

    def files(self, queue_id):
        """Without the transcript, which is nobody's."""
        return {n: v for n, v in self.snapshot(BASE, queue_id).items() if "xf" not in n}

    def native(self):
        for _ in range(4):
            message, queue_id = self.inject_one("calm", acting.NEVER)
            inside.wait_until("the first attempt", lambda: self.sink.attempts[message.rcpts[0]])
            self.settled(queue_id)
            self.compare_holds(queue_id, message.rcpts[0])

    def settled(self, queue_id):
        """Its first delivery attempt is written down, and nobody holds its lock."""
        def idle():
            path = self.control(queue_id)
            return path and b"\nN0\n" not in self.room.read(path[len(self.room.path):]) and \
                not inject_sendmail.locked(path)
        inside.wait_until("the end of the attempt", idle)


SCENE = Sendmail
