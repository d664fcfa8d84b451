"""Four relays: mqgrep on each by clush and ssh, mqstat over what they say; and records in jq and PostgreSQL.

Knows how hosts are made of namespaces: each relay has a network, a host name and a spool of its own, one
veth pair leads to it, and Debian's sshd listens on it.  Keys, configuration and the database live on a
tmpfs of the room; nothing of the machine's own /etc/ssh is read.  What the manual shows is what is run.
"""

import collections
import glob
import inside
import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

FLOOD = "203.0.113.9"
# Relay, its MTA and spool, and how many messages of each client: nowhere does the flood lead by itself.
Relay = collections.namedtuple("Relay", "name mta spool clients")
RELAYS = (
    Relay("relay1", "exim", "/var/spool/exim4", {FLOOD: 5, "192.0.2.1": 8}),
    Relay("relay2", "postfix", "/var/spool/postfix", {FLOOD: 6, "192.0.2.2": 9}),
    Relay("relay3", "sendmail", "/var/spool/mqueue", {FLOOD: 7, "192.0.2.3": 10}),
    Relay("relay4", "exim", "/var/spool/exim4", {FLOOD: 6, "192.0.2.4": 7}),
)
ALL = "relay[1-4]"
WHEN = 1795293000

SSHD = """ListenAddress %(address)s
HostKey /relays/%(name)s.key
AuthorizedKeysFile /relays/user.key.pub
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
SSH = """User root
IdentityFile /relays/user.key
IdentitiesOnly yes
UserKnownHostsFile /relays/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
"""
CLUSH = "[Main]\nssh_options: -F /relays/ssh_config\n"

# The relay's own process: it waits for its end of the veth pair, and becomes sshd.
BECOME = r"""
set -e
name=$1 room=$2 spool=$3 mkspool=$4 description=$5 address=$6
hostname "$name"
mount -t tmpfs -o mode=755 spool "$room/var/spool"
mkdir "$room$spool"
"$mkspool" text "$description" "$room$spool"
echo ready
read -r go
chroot "$room" sh -ec 'ip link set lo up; ip address add "$2/30" dev "$1"; ip link set "$1" up' sh "$name" "$address"
exec chroot "$room" /usr/bin/env -i /usr/sbin/sshd -D -f "/relays/$name.sshd"
"""

# A relay whose connection ends in the middle of a record; the others answer as always.
CUT = """#!/bin/sh
part=$1
shift
[ "$(hostname)" = relay2 ] || exec mqgrep "$@"
mqgrep "$@" | head "$part"
kill -KILL $PPID
"""


# --- spools, in text ---------------------------------------------------------------------------

def exim_message(n, client):
    name = "input/1aaaaa-%06d-aa" % n
    queue_id = os.path.basename(name)
    return ("file %s-D\n|%s-D\n|text\nfile %s-H\n|%s-H\n|Debian-exim 100 100\n|<kim@example.com>\n|%d 0\n"
            "|-received_time_usec .000000\n|-host_address %s.4000\n|XX\n|1\n|lee@example.net\n|\n"
            "|016  Subject: hello\n" % (name, queue_id, name, queue_id, WHEN + n, client))


def postfix_message(n, client):
    return ('file deferred/%X/%X%07X mode=0700\nC sizes=6\nT "%d 0"\nA "client_address=%s"\nS "kim@example.com"\n'
            'R "lee@example.net"\nM\nN "Subject: hello"\nN\nN "text"\nX\nE\n' % (n % 16, n % 16, n, WHEN + n, client))


def sendmail_message(n, client):
    queue_id = "629EPaQe%06d" % n
    return ("file df%s\n|text\nfile qf%s\n|V8\n|T%d\n|K0\n|N0\n|P30000\n|$_[%s]\n|S<kim@example.com>\n"
            "|RPFD:<lee@example.net>\n|H??Subject: hello\n|.\n" % (queue_id, queue_id, WHEN + n, client))


MESSAGE = {"exim": exim_message, "postfix": postfix_message, "sendmail": sendmail_message}
SKELETON = {"exim": "dir input\ndir msglog\n", "sendmail": "",
            "postfix": "dir active\ndir incoming\ndir deferred\ndir maildrop\ndir hold\ndir pid\n"}


def description(relay):
    """The relay's spool, for mkspool."""
    clients = [c for c, count in relay.clients.items() for _ in range(count)]
    return SKELETON[relay.mta] + "".join(MESSAGE[relay.mta](n, c) for n, c in enumerate(clients, 1))


def ranking(relays):
    """(client, messages), as they must come out."""
    counts = collections.Counter()
    for relay in relays:
        counts.update(relay.clients)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


# --- what the manual shows ---------------------------------------------------------------------

def shown(page, section):
    """The commands of a section's literal displays: one text, without the prompts."""
    with open(os.path.join(TOP, "man", page)) as f:
        part = f.read().split(".Ss %s\n" % section)[1]
    part = re.split(r"^\.S[hs] ", part, flags=re.M)[0]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", part, re.M | re.S)
    text = "".join(blocks)
    for escape, plain in ((r"\(aq", "'"), (r"\(dq", '"'), (r"\-", "-"), (r"\e", "\\"), (r"\&", "")):
        text = text.replace(escape, plain)
    return text


# --- the scene ---------------------------------------------------------------------------------

class Relays:
    mta = "relays"

    def __init__(self, room, suite):
        self.room, self.suite = room, suite
        self.running = {}

    def close(self):
        for child in self.running.values():
            child.kill()
            child.wait()

    def begin(self, score, commands, bin_dir):
        self.score = score
        self.mkspool = os.path.join(os.path.dirname(os.path.realpath(bin_dir)), "tests/mkspool")
        # A mount that stays in this namespace, so that those of the relays do not meet.
        subprocess.run(["mount", "--bind", self.room.path, self.room.path], check=True)
        subprocess.run(["mount", "--make-private", self.room.path], check=True)
        self.room.mounts.append("")
        self.room.mount("proc", "proc", "/proc")
        for inner in ("/relays", "/run/sshd", "/dev/shm"):
            self.room.mount("tmpfs", "tmpfs", inner, "-o", "mode=755")
        for name, command in commands.items():
            self.room.write("/usr/local/bin/" + name, '#!/bin/sh\nexec %s "$@"\n' % " ".join(command), 0o755)
        self.room.write("/usr/local/bin/mqgrep-cut", CUT, 0o755)

    def shell(self, script, **more):
        """A command line of the manual, in bash, on the administrator's own host."""
        return self.room.ended(["env", "CLUSTERSHELL_CFGDIR=/relays", "TZ=UTC", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                                "bash", "-c", "set -o pipefail; cd /relays\n" + script], **more)

    # -- four hosts -----------------------------------------------------------------------------

    def configure(self):
        hosts = "127.0.0.1 localhost\n"
        known = ""
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
        self.room.run(keygen + ["/relays/user.key"])
        for i, relay in enumerate(RELAYS):
            address = self.address(i, 2)
            hosts += "%s %s\n" % (address, relay.name)
            self.room.run(keygen + ["/relays/%s.key" % relay.name])
            known += "%s %s" % (relay.name, self.room.read("/relays/%s.key.pub" % relay.name).decode())
            self.room.write("/relays/%s.sshd" % relay.name, SSHD % {"name": relay.name, "address": address})
            self.room.write("/relays/%s.txt" % relay.name, description(relay))
        self.room.write("/etc/hosts", hosts)
        self.room.write("/relays/known_hosts", known)
        self.room.write("/relays/ssh_config", SSH)
        self.room.write("/relays/clush.conf", CLUSH)

    @staticmethod
    def address(i, end):
        return "198.51.100.%d" % (4 * i + end)

    def start(self):
        for i, relay in enumerate(RELAYS):
            self.start_one(i, relay)
        for i, _ in enumerate(RELAYS):
            inside.wait_port(self.address(i, 2), 22)

    def start_one(self, i, relay):
        child = subprocess.Popen(
            ["unshare", "--net", "--uts", "--mount", "--propagation", "unchanged", "--", "sh", "-c", BECOME, "sh",
             relay.name, self.room.path, relay.spool, self.mkspool, self.room.host("/relays/%s.txt" % relay.name),
             self.address(i, 2)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running[relay.name] = child
        if child.stdout.readline() != "ready\n":
            raise inside.LabError("%s did not start: exit %s" % (relay.name, child.wait()))
        ip = lambda *words: self.room.run(["ip", *words])
        ip("link", "add", "name", "to-" + relay.name, "type", "veth", "peer", "name", relay.name, "netns", str(child.pid))
        ip("address", "add", self.address(i, 1) + "/30", "dev", "to-" + relay.name)
        ip("link", "set", "to-" + relay.name, "up")
        child.stdin.write("go\n")
        child.stdin.flush()

    def end_one(self, name):
        child = self.running.pop(name)
        child.kill()
        child.wait()

    # -- one ranking ----------------------------------------------------------------------------

    def ranked(self, command, statuses, what):
        """What mqstat -j says of the clients, in its order; and what was complained of."""
        code, out, err = self.shell(command)
        complaint = err.decode("utf-8", "replace")
        self.score.plain(what, code in statuses, "exit %d, not %r: %s" % (code, statuses, complaint[:300]))
        groups = [json.loads(line) for line in out.decode().splitlines()]
        return [(g["key"]["client"], g["count"]) for g in groups], complaint

    def same(self, what, got, wanted):
        self.score.plain(what, got == wanted, "%r, not %r" % (got, wanted))

    def rank(self):
        fan_out = "clush -S -w '%s' -N mqgrep -j" % ALL
        command = shown("mqselect.7", "Records from elsewhere").strip()
        self.same("what the manual shows", command, "set -o pipefail\n%s | mqstat --from - -k client" % fan_out)
        got, complaint = self.ranked(command + " -t 0 -j", (0,), "four relays")
        self.same("one ranking of four relays", got, ranking(RELAYS))
        self.same("four relays, nothing to complain", re.sub(r"mqgrep: \S+ \(\w+; usual place\)\n", "", complaint), "")
        self.hosts(fan_out)
        self.files()

    def hosts(self, fan_out):
        """Every record says whose it is, and a selection by host gives that one's own."""
        _, out, _ = self.shell(fan_out + " | tee all.ndjson | mqstat --from - -k host -t 0 -j")
        got = {g["key"]["host"]: g["count"] for g in map(json.loads, out.decode().splitlines())}
        self.same("host is kept", got, {r.name: sum(r.clients.values()) for r in RELAYS})
        for relay in RELAYS:
            got, _ = self.ranked("mqstat --from all.ndjson -e 'host == %s' -k client -t 0 -j" % relay.name, (0,), relay.name)
            self.same("the records of " + relay.name, got, ranking([relay]))

    def files(self):
        """A file from each, then all of them at once."""
        command = "".join("ssh -F ssh_config %s mqgrep -j >%s.ndjson || exit\n" % (r.name, r.name) for r in RELAYS)
        got, _ = self.ranked(command + "mqstat --from relay1.ndjson --from relay2.ndjson --from relay3.ndjson "
                             "--from relay4.ndjson -k client -t 0 -j", (0,), "four files")
        self.same("one ranking of four files", got, ranking(RELAYS))

    # -- trouble is told ------------------------------------------------------------------------

    def trouble(self):
        self.nothing()
        self.down()
        self.cut()

    def nothing(self):
        """A relay where nothing fits is no trouble, and its status is the mildest."""
        got, _ = self.ranked("clush -S -w '%s' -N mqgrep -j -p 192.0.2.1 | mqstat --from - -k client -j" % ALL, (1,),
                             "one of four has some")
        self.same("what one of four has", got, [("192.0.2.1", 8)])

    def down(self):
        self.end_one("relay3")
        got, complaint = self.ranked("clush -S -w '%s' -N mqgrep -j | mqstat --from - -k client -t 0 -j" % ALL, (255,),
                                     "a relay that is down")
        self.same("ranking of those that answer", got, ranking([r for r in RELAYS if r.name != "relay3"]))
        self.score.plain("a relay that is down is named", "relay3: exited with exit code 255" in complaint, complaint[:300])

    def cut(self):
        """Where a connection breaks within a line, that line may get lost, too; that relay2 was cut clush always says."""
        fan_out = "clush -S -w relay1,relay2,relay4 -N mqgrep-cut %s -j"
        of_clush, of_mqstat = "relay2: exited with exit code 255", ": not JSON: "
        for what, command, statuses, named in (
                ("cut after three records", fan_out % "-n3", (255,), of_clush),
                ("cut within a record", fan_out % "-c700", (2, 255), of_clush),
                ("ended within a record", "ssh -F ssh_config relay2 'mqgrep -j | head -c 700'", (2,), of_mqstat)):
            got, complaint = self.ranked(command + " | mqstat --from - -k client -t 0 -j", statuses, what)
            answered = [RELAYS[0], RELAYS[3]] if named == of_clush else []
            self.score.plain(what + ", the others", all(dict(got).get(c, 0) >= n for c, n in ranking(answered)), repr(got))
            self.score.plain(what + ", named", named in complaint, complaint[:300])

    # -- other programs -------------------------------------------------------------------------

    def programs(self):
        """jq and PostgreSQL read every record there is, hostile ones included."""
        self.hostile()
        _, out, _ = self.shell("mqstat --from queue.ndjson -k client -t 0 -j")
        wanted = {}
        # Those whose client could not be read are a group beside those that have none; others see no difference.
        for group in map(json.loads, out.decode().splitlines()):
            client = group["key"]["client"]
            n, size = wanted.get(client, (0, 0))
            wanted[client] = (n + group["count"], size + group["bytes"])
        self.same("the flood leads", max((n, c) for c, (n, _) in wanted.items() if c)[1], FLOOD)
        self.jq(wanted)
        self.postgres(wanted)

    def hostile(self):
        """queue.ndjson: the four relays', and every queue of tests/spool."""
        lines = self.room.read("/relays/all.ndjson")
        os.mkdir(self.room.host("/relays/spool"))
        for path in sorted(glob.glob(os.path.join(TOP, "tests/spool/*/*.txt"))):
            mta, name = path.split("/")[-2:]
            spool = "/relays/spool/%s-%s" % (mta, name[:-4])
            subprocess.run([self.mkspool, "text", path, self.room.host(spool)], check=True)
            lines += self.shell("mqgrep --mta %s --spool %s --host h -j" % (mta, spool))[1]
        self.room.write("/relays/queue.ndjson", lines)
        self.records = lines
        for what in (b'"problems":["', b'_b64":', b"\\u00", b"\\\\"):
            self.score.plain("hostile records", what in lines, "none with %r" % what)

    def jq(self, wanted):
        command = shown("mqtools-record.5", "In other programs").splitlines()[1]
        self.score.plain("jq of the manual", command.startswith("jq ") and command.endswith(" | head"), command)
        code, out, err = self.shell(command[:-len(" | head")])
        got = [line.split() for line in out.decode().splitlines()]
        self.same("jq, by client", (code, {c: int(n) for n, c in got}),
                  (0, {c or "-": n for c, (n, _) in wanted.items()}))
        self.same("jq, the first client", [c for _, c in got if c != "-"][0], FLOOD)
        _, out, _ = self.shell("jq -c . queue.ndjson | mqgrep --from - -j")
        self.score.plain("jq and back", out == self.records, "other bytes")

    def postgres(self, wanted):
        programs = glob.glob(self.room.host("/usr/lib/postgresql/*/bin"))[0][len(self.room.path):]
        self.room.run(["install", "-d", "-o", "postgres", "-m", "700", "/relays/db"])
        self.room.run([programs + "/initdb", "-D", "/relays/db", "-E", "UTF8", "--locale=C", "-A", "peer", "--no-sync"], user="postgres")
        server = self.room.start([programs + "/postgres", "-D", "/relays/db", "-k", "/relays/db", "-F", "-h", ""], user="postgres")
        inside.wait_until("PostgreSQL", lambda: self.room.ended([programs + "/pg_isready", "-q", "-h", "/relays/db"])[0] == 0)
        text = shown("mqtools-record.5", "In other programs")
        load, query = re.search(r"(CREATE.*?\n\\copy[^\n]*\n)(SELECT record.*?);", text, re.S).groups()
        self.same("what the manual asks PostgreSQL", query.endswith(" LIMIT 5"), True)
        self.sql(load.replace("queue.ndjson", "/relays/queue.ndjson"))
        got = [row.split("|") for row in self.sql(query[:-len(" LIMIT 5")] + ";").decode().splitlines()]
        self.same("PostgreSQL, by client", {c or None: (int(n), int(b or 0)) for c, n, b in got}, wanted)
        self.same("PostgreSQL, in order", [int(n) for _, n, _ in got], sorted((n for n, _ in wanted.values()), reverse=True))
        self.same("PostgreSQL, the first client", [c for c, _, _ in got if c][0], FLOOD)
        self.room.write("/relays/back.ndjson", self.sql("SELECT record FROM queue;"))
        _, out, err = self.shell("mqgrep --from back.ndjson -j")
        self.score.plain("PostgreSQL and back", sorted(out.splitlines()) == sorted(self.records.splitlines()),
                         "other records: " + err.decode("utf-8", "replace")[:300])
        server.terminate()
        server.wait(30)

    def sql(self, text):
        return self.room.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "/relays/db", "-d", "postgres"],
                             stdin=text.encode(), user="postgres")


SCENE = Relays
