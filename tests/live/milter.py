"""A milter that does what a header of the message tells it to.

The header X-Lab-Milter holds orders, separated by ';', each NAME=VALUE with VALUE percent-encoded:

    from=ADDR  rcpt+=ADDR  rcpt-=ADDR  add=NAME:TEXT  ins=N:NAME:TEXT  set=NAME:TEXT  del=NAME
    body=TEXT (LF means a line end)  grow=N (a body of N lines)  quarantine=REASON

Speaks the Sendmail mail filter protocol, version 6: a length, a command letter, its data.
"""

import socketserver
import struct
import threading
import urllib.parse

HEADER = "X-Lab-Milter"
SILENT = b"DAK"      # macros, abort, "quit, but keep the connection": no answer is expected
CHUNK = 60000        # below the protocol's 65535 bytes a packet


def orders(*pairs):
    """The header value for (name, text) pairs."""
    return ";".join("%s=%s" % (n, urllib.parse.quote(v, safe="@<>:.-_ ")) for n, v in pairs)


def _z(*texts):
    return b"".join(t.encode("utf-8", "surrogateescape") + b"\0" for t in texts)


def _angle(address):
    return address if address.startswith("<") else "<%s>" % address


def _body(text):
    data = text.replace("\n", "\r\n").encode()
    return [(b"b", data[i:i + CHUNK]) for i in range(0, len(data), CHUNK)]


def replies(order):
    """The packets of one order."""
    name, _, value = order.partition("=")
    value = urllib.parse.unquote(value)
    if name == "from":
        return [(b"e", _z(_angle(value)))]
    if name == "rcpt+":
        return [(b"+", _z(_angle(value)))]
    if name == "rcpt-":
        return [(b"-", _z(_angle(value)))]
    if name == "add":
        return [(b"h", _z(*value.split(":", 1)))]
    if name == "ins":
        index, header, text = value.split(":", 2)
        return [(b"i", struct.pack("!I", int(index)) + _z(header, text))]
    if name == "set":
        header, text = value.split(":", 1)
        return [(b"m", struct.pack("!I", 1) + _z(header, text))]
    if name == "del":
        return [(b"m", struct.pack("!I", 1) + _z(value, ""))]
    if name == "body":
        return _body(value)
    if name == "grow":
        return _body("".join("grown line %06d\n" % i for i in range(int(value))))
    if name == "quarantine":
        return [(b"q", _z(value))]
    raise ValueError("unknown milter order: " + order)


class Session(socketserver.BaseRequestHandler):
    def send(self, command, data=b""):
        self.request.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.request.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def handle(self):
        try:
            self.converse()
        except (EOFError, OSError):
            pass

    def converse(self):
        todo = []
        while True:
            size = struct.unpack("!I", self.exactly(4))[0]
            packet = self.exactly(size)
            command, data = packet[:1], packet[1:]
            if command == b"O":
                version, actions, _ = struct.unpack("!III", data[:12])
                self.send(b"O", struct.pack("!III", min(version, 6), actions & 0x1FF, 0))
            elif command == b"Q":
                return
            elif command == b"L":
                name, value = data.split(b"\0")[:2]
                if name.decode("utf-8", "replace").lower() == HEADER.lower():
                    text = value.decode("utf-8", "replace").replace("\n", "").strip()
                    todo = [o.strip() for o in text.split(";") if o.strip()]
                self.send(b"c")
            elif command == b"E":
                for order in todo:
                    for reply in replies(order):
                        self.send(*reply)
                todo = []
                self.send(b"c")
            elif command in SILENT:
                if command != b"D":
                    todo = []
            else:
                self.send(b"c")


class Milter(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Session)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
