"""Opens report.html in headless Chromium and looks at it through the DevTools protocol, over a pipe: no port is opened.

Knows the protocol's few commands that it needs, and what the page promises.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 60  # seconds for an answer; a machine under load is slow


class Browser:
    def __init__(self, profile):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if not program:
            raise RuntimeError("there is no chromium (scripts/deps browser)")
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", "--user-data-dir=" + profile, "about:blank"]
        # The protocol wants descriptors 3 and 4, which may be taken by now.
        self.process = subprocess.Popen(["/bin/bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "chromium"] + command,
                                        pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.session, self.events = b"", 0, None, []

    def message(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            if not select.select([self.read], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("the browser does not answer")
            more = os.read(self.read, 1 << 16)
            if not more:
                raise RuntimeError("the browser is gone")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.write, json.dumps(command).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, event):
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self.message())

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


passed, failed = 0, 0


def check(name, fine, found=None):
    global passed, failed
    passed, failed = passed + bool(fine), failed + (not fine)
    print(("ok    " if fine else "FAIL  ") + "browser " + name + ("" if fine else f": {found!r}"))


def column(browser, heading):
    """The cells below a heading, in the order they stand, as what they are sorted by."""
    return browser.ask("(function(){var t=document.getElementById('messages'),i=Array.from(t.tHead.rows[0].cells).findIndex(function(c){"
                       f"return c.textContent==={json.dumps(heading)}}});return Array.from(t.tBodies[0].rows,function(r){{var c=r.cells[i];"
                       "return c.hasAttribute('data-n')?Number(c.getAttribute('data-n')):c.textContent})})()")


def click(browser, heading):
    browser.ask("Array.from(document.querySelectorAll('#messages th button')).find(function(b){"
                f"return b.textContent==={json.dumps(heading)}}}).click()")


def look(browser, page, rows):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Network", "Log"):
        browser.call(domain + ".enable")
    browser.call("Page.navigate", url=page)
    browser.wait("Page.loadEventFired")

    check("no script of a message runs", browser.ask("window.ran") is None)
    check("one script, one style, nothing that loads",
          browser.ask("[document.scripts.length, document.styleSheets.length, document.images.length, document.querySelectorAll('link,iframe,object,base').length]")
          == [1, 1, 0, 0])
    wanted = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    check("it asks for nothing but itself", wanted == [page], wanted)
    said = [e["params"] for e in browser.events if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")]
    check("its policy lets its own script and style be", said == [], said)
    check("every message has a row", browser.ask("document.querySelectorAll('#messages tbody tr').length") == rows)
    check("subjects are text", '"><img src=x onerror="window.ran=1">' in column(browser, "Subject"))

    click(browser, "Bytes")
    sizes = column(browser, "Bytes")
    check("a click sorts numbers as numbers", sizes == sorted(sizes) and len(set(sizes)) > 5, sizes)
    click(browser, "Bytes")
    check("a second one the other way", column(browser, "Bytes") == sorted(sizes, reverse=True))
    check("and is announced", browser.ask("Array.from(document.querySelectorAll('th[aria-sort]'),function(h){return h.getAttribute('aria-sort')})") == ["descending"])
    click(browser, "Subject")
    check("texts sort as texts", browser.ask("document.querySelector('#messages tbody tr').cells[5].textContent").startswith('"'))

    for name, width in (("phone", 360), ("desk", 1280)):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
        wide = browser.ask("document.documentElement.scrollWidth")
        check(f"it fits a {name}", wide <= width, wide)
    browser.call("Emulation.clearDeviceMetricsOverride")
    back = "getComputedStyle(document.body).backgroundColor"
    colors = []
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colors.append(browser.ask(back))
    check("light and dark", len(set(colors)) == 2, colors)
    paper = base64.b64decode(browser.call("Page.printToPDF")["data"])
    check("it prints", paper.startswith(b"%PDF") and len(paper) > 10000, len(paper))

    browser.events.clear()
    browser.ask("document.body.insertAdjacentHTML('beforeend','<img src=\"data:image/gif,x\" onerror=\"window.ran=1\"><p style=\"color:red\" id=styled>x</p>');"
                "var s=document.createElement('script');s.textContent='window.ran=1';document.body.appendChild(s);"
                "new Promise(function(done){setTimeout(done,0)})")
    check("what got in all the same would not run", browser.ask("window.ran") is None)
    check("nor look different", browser.ask("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)")
    check("nor load", browser.ask("document.images[0].naturalWidth") == 0)


def main():
    page = pathlib.Path(sys.argv[1]).resolve().as_uri()
    profile = tempfile.mkdtemp()
    browser = None
    try:
        browser = Browser(profile)
        look(browser, page, int(sys.argv[2]))
    except (RuntimeError, OSError) as error:
        check("the browser", False, str(error))
    finally:
        if browser:
            browser.close()
        shutil.rmtree(profile, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
