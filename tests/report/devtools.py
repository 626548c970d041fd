"""Chromium over its DevTools pipe: real keys and paper sizes, which no script inside a page can ask for."""

import json
import os
import subprocess
import sys
import threading
import time

# Puts the pipes on the numbers that the browser knows, in a process that then becomes the browser.
_BECOME = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"


class Chromium:
    """One headless browser with one page, as a context.

    Messages are JSON that ends in NUL, on file descriptors 3 (to the browser) and 4 (from it).
    """

    def __init__(self, binary, seconds=120):
        self.binary = binary
        self.seconds = seconds  # after which it is ended, so that no test waits for ever
        self.sent = 0
        self.session = None

    def __enter__(self):
        hear, self.to = os.pipe()
        answers, say = os.pipe()
        words = [self.binary, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "about:blank"]
        command = [sys.executable, "-c", _BECOME, str(hear), str(say), *words]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, pass_fds=(hear, say), stdout=quiet, stderr=quiet)
        os.close(hear)
        os.close(say)
        self.answers = os.fdopen(answers, "rb")
        self.limit = threading.Timer(self.seconds, self.process.kill)
        self.limit.start()
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        return self

    def __exit__(self, *_):
        self.limit.cancel()
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        self.answers.close()

    def call(self, method, **params):
        """The result of a command of the protocol; events meanwhile are not kept."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != self.sent:
            pass
        assert "error" not in found, f"{method}: {found['error']}"
        return found["result"]

    def _next(self):
        text = bytearray()
        while (character := self.answers.read(1)) != b"\0":
            assert character, "the browser has gone"
            text += character
        return json.loads(text)

    def open(self, path):
        """Go to a file and wait until it has loaded."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        while self.value("document.readyState") != "complete":
            time.sleep(0.02)

    def value(self, expression):
        """What a script gives, as JSON."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key):
        """A key of the keyboard, down and up: Tab, Enter or Space."""
        code, name, text = {"Tab": (9, "Tab", ""), "Enter": (13, "Enter", "\r"), "Space": (32, " ", " ")}[key]
        for kind, typed in (("keyDown", text), ("keyUp", "")):
            self.call("Input.dispatchKeyEvent", type=kind, text=typed, key=name, code=key, windowsVirtualKeyCode=code)

    def paper(self, width, height):
        """From here on the page is laid out for print, on paper of so many CSS pixels between its margins."""
        self.call("Emulation.setEmulatedMedia", media="print")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
