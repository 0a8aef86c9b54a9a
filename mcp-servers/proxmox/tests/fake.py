"""Serves a fake cluster on a free port of loopback, with one token; says the port on its first line."""

import asyncio
import tempfile

from fakepve.certs import make_cert
from fakepve.server import FakePve


async def main():
    pve = FakePve(user="root@pam", password="unused", host="127.0.0.1", port=0)
    pve.time_scale = 0
    pve.apitokens["root@pam!mcp"] = "11111111-1111-4111-8111-111111111111"
    disk = {"memory": 1024, "cores": 1, "scsi0": "local-lvm:vm-100-disk-0,size=8G"}
    pve.add_vm(100, "web", node="pve1", status="stopped", config={**disk, "tags": "team-alpha;qd"})
    pve.add_vm(101, "other", node="pve1", status="running", config={"tags": "team-beta;qd"})
    pve.add_vm(102, "kept", node="pve1", status="stopped", config={"tags": "protected;qd"})
    pve.add_vm(700, "far", node="pve1", status="stopped", config={"tags": "qd"})
    with tempfile.TemporaryDirectory() as folder:
        cert, key, _ = make_cert(folder, hosts=("127.0.0.1",))
        await pve.start(cert, key)
    print(pve.port, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
