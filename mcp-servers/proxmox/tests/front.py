"""A cluster for tests: fakepve as a program of its own, and this in front of it.

`front.py` installs what it needs once in the user's cache, starts `python -m fakepve` as anybody would, and serves HTTPS on
a free port of loopback. It adds what that command line has no way for: a token, faults, and what is inside of a guest.
Nothing of fakepve is imported here. It says its port, its certificate's SHA-256 and the fake's process id on its first
line, and ends, with the fake, when its standard input does. Exit code 77: what it needs can't be installed.

    POST /_front/fault   {"method", "path" (a pattern), "how": before | after | fail | task | hang, "skip", "times"}
    GET  /_front/guest/N files and programs that came to a guest through its agent
    GET  /_front/joined  teams whose script was run in a guest that has an invitation
    GET  /_front/log     requests that came, and how they were answered
"""

import fcntl
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

PIP = ["fakepve==0.5.0", "cryptography==50.0.2"]
USER, PASSWORD = "mcp@pve", "of-the-tests"
TOKEN = "PVEAPIToken=mcp@pve!mcp=11111111-1111-4111-8111-111111111111"
AGENT = re.compile(r"^/api2/json/nodes/([^/]+)/qemu/(\d+)/agent/([a-z-]+)")


def installed():
    """Python with what is needed, installed once."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "quarterdeck-peers" / "proxmox-1"
    folder.mkdir(parents=True, exist_ok=True)
    python, ready, wanted = folder / "venv/bin/python", folder / "ready", " ".join(PIP)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists() or ready.read_text() != wanted:
            try:
                subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, stdout=sys.stderr)
                subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PIP], check=True, stdout=sys.stderr)
            except (OSError, subprocess.CalledProcessError) as error:
                print(error, file=sys.stderr)
                sys.exit(77)
            ready.write_text(wanted)
    return str(python)


def certificate(folder):
    """A certificate of this run: its files, and its SHA-256."""
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pve1")])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    made = made.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return files, made.fingerprint(hashes.SHA256()).hex()


class Fake:
    """The program behind this, and the way to it."""

    def __init__(self, guests):
        command = [sys.executable, "-m", "fakepve", guests, "--host", "127.0.0.1", "--port", "0", "--time-scale", "0"]
        self.child = subprocess.Popen([*command, "--user", USER, "--password", PASSWORD], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline()
        if "https://" not in line:
            sys.exit("fakepve did not start")
        self.port = int(line.rsplit(":", 1)[1])
        self.local = threading.local()
        login = urllib.parse.urlencode({"username": USER, "password": PASSWORD})
        _, _, body = self.send("POST", "/api2/json/access/ticket", login, {})
        said = json.loads(body)["data"]
        self.session = {"Cookie": "PVEAuthCookie=" + urllib.parse.quote(said["ticket"], safe=":@"),
                        "CSRFPreventionToken": said["CSRFPreventionToken"]}

    def send(self, method, path, body, headers):
        """Status, reason, body."""
        headers = dict(headers)
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        for again in (True, False):
            way = getattr(self.local, "way", None)
            if way is None:
                # Two programs of one test, on loopback.
                way = http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context())
                self.local.way = way
            try:
                way.request(method, path, body or None, headers)
                answer = way.getresponse()
                return answer.status, answer.reason, answer.read()
            except (http.client.HTTPException, OSError):
                way.close()
                self.local.way = None
                if not again:
                    raise

    def ask(self, method, path, body=""):
        return self.send(method, path, body, self.session)


class World:
    def __init__(self):
        self.lock = threading.Lock()
        self.faults, self.doomed, self.guests, self.log = [], {}, {}, []

    def guest(self, vmid):
        return self.guests.setdefault(vmid, {"files": {}, "execs": []})

    def fault(self, method, path):
        """The fault that this request meets, if any."""
        with self.lock:
            for fault in self.faults:
                if fault["method"] != method or not re.search(fault["path"], path) or fault["times"] == 0:
                    continue
                if fault["skip"] > 0:
                    fault["skip"] -= 1
                    continue
                fault["times"] -= 1
                return fault
        return None


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write for each answer, and at once.
    disable_nagle_algorithm, wbufsize = True, -1
    fake, world = None, None

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            # Whoever does not like the certificate hangs up.
            pass

    def answer(self, status, reason, body):
        self.send_response(status, reason)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say(self, data, status=200, reason=None):
        body = {"data": data} if status == 200 else {"data": None, "message": reason}
        self.answer(status, reason, json.dumps(body).encode())

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if "/_front/" in self.path:
            return self.control(body)
        self.world.log.append([self.command, self.path])
        if self.headers.get("Authorization") != TOKEN:
            return self.answer(401, "invalid token value!", b"")
        fault = self.world.fault(self.command, self.path)
        how = fault and fault["how"]
        if how == "before":
            self.close_connection = True
            return self.connection.close()
        if how == "fail":
            return self.say(None, fault.get("status", 500), fault.get("message", "it was told to fail"))
        if how == "hang":
            time.sleep(fault.get("seconds", 60))
        inside = AGENT.match(self.path)
        if inside:
            answer = self.agent(inside, body)
        else:
            answer = self.fake.ask(self.command, self.path, body)
        status, reason, said = answer
        if how == "after":
            self.close_connection = True
            return self.connection.close()
        if how == "task" and status == 200:
            self.world.doomed[json.loads(said)["data"]] = fault.get("message", "it was told to fail")
        gone = re.match(r"^/api2/json/nodes/[^/]+/qemu/(\d+)(\?|$)", self.path)
        if self.command == "DELETE" and gone and status == 200:
            self.world.guests.pop(gone[1], None)
        task = re.match(r"^/api2/json/nodes/[^/]+/tasks/([^/]+)/status$", urllib.parse.unquote(self.path))
        if task and task[1] in self.world.doomed:
            data = json.loads(said)["data"]
            data["exitstatus"] = self.world.doomed[task[1]]
            return self.say(data)
        self.answer(status, reason, said)

    def agent(self, asked, body):
        """What is inside of a guest: an agent once it runs, files and programs that are kept to be looked at."""
        node, vmid, command = asked.groups()
        ok = lambda data: (200, "OK", json.dumps({"data": data}).encode())
        status, reason, said = self.fake.ask("GET", f"/api2/json/nodes/{node}/qemu/{vmid}/status/current")
        if status != 200:
            return status, reason, said
        if json.loads(said)["data"].get("status") != "running":
            reason = f"VM {vmid} is not running"
            return 500, reason, json.dumps({"data": None, "message": reason}).encode()
        form = urllib.parse.parse_qs(body, keep_blank_values=True)
        guest = self.world.guest(vmid)
        if command == "file-write":
            guest["files"][form["file"][0]] = form["content"][0]
            return ok(None)
        if command == "exec":
            guest["execs"].append(form["command"])
            return ok({"pid": len(guest["execs"])})
        if command == "exec-status":
            return ok({"exited": 1, "exitcode": 0, "out-data": "", "err-data": ""})
        if command == "network-get-interfaces":
            address = {"ip-address": "192.0.2.10", "ip-address-type": "ipv4", "prefix": 24}
            return ok({"result": [{"name": "eth0", "ip-addresses": [address]}]})
        return ok({"result": {}})

    def control(self, body):
        part = self.path[self.path.index("/_front/"):].split("/")
        if part[2] == "joined":
            # What the script would do in a real guest: join with the invitation that was brought.
            ran = [(guest, argv) for guest in self.world.guests.values() for argv in guest["execs"]]
            joined = [argv[2] for guest, argv in ran if len(argv) == 3 and argv[1] in guest["files"]
                      and "/etc/quarterdeck/invitation" in guest["files"]]
            return self.say(sorted(set(joined)))
        if part[2] == "fault":
            fault = {"skip": 0, "times": 1, **json.loads(body)}
            with self.world.lock:
                self.world.faults = [] if fault["how"] == "none" else [*self.world.faults, fault]
            return self.say({})
        if part[2] == "guest":
            return self.say(self.world.guests.get(part[3]))
        return self.say(self.world.log)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def main():
    if "--installed" not in sys.argv:
        python = installed()
        os.execv(python, [python, *sys.argv, "--installed"])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="front-"))
    fake = None
    try:
        fake = Front.fake = Fake(sys.argv[1])
        Front.world = World()
        (cert, key), fingerprint = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"port": server.server_port, "fingerprint": fingerprint, "fake": fake.child.pid}), flush=True)
        sys.stdin.read()
    finally:
        if fake:
            fake.child.terminate()
        shutil.rmtree(folder, ignore_errors=True)


main()
