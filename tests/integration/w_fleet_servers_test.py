"""Redis as it is run: replicas and Sentinel, a cluster, passwords that change, TLS, names, unix sockets."""
import contextlib
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

import pytest
from harness.redis import RedisError
from harness.wait import wait_until


def reaches(a, b, fleet, path="/x"):
    b.fill(path)
    version = str(fleet.change(path))
    a.purge(path)
    wait_until(lambda: b.get(path).text == version, f"a purge on {a.name} reaches {b.name}")


def address(*servers):
    return "redis://" + ",".join(f"127.0.0.1:{s.port}" for s in servers)


def replica_of(fleet, master):
    r = fleet.server("--replicaof", "127.0.0.1", str(master.port), "--repl-diskless-sync-delay", "0")
    wait_until(lambda: b"master_link_status:up" in r.call("INFO", "replication"), "the replica is in sync")
    return r


# ---- addresses that a server tells ---------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["127.0.0.1:1", "no.such.name.invalid:6379", "10.255.255.1:6379"])
def test_moved_to_where_nobody_can_go_ends_at_the_configured_servers(fleet, told):
    """A cluster behind a network of its own tells addresses that nginx cannot reach, or not understand."""
    proxy = fleet.proxy()
    a = fleet.node("a", servers=f"redis://{proxy.address}")
    a.expect_log("no connection", "MOVED")
    a.fill("/x")
    said = []

    def move(data):
        said.append(1)
        return b"-MOVED 7 %s\r\n" % told.encode()
    proxy.answers = move
    wait_until(lambda: said, "it was told to go elsewhere")
    proxy.answers = None
    proxy.drop()
    wait_until(lambda: a.state()["connected"], "it is back", 30)
    fleet.redis.xadd(url="localhost/x")
    wait_until(lambda: not a.is_hit("/x"), "entries are read")
    assert a.gaps() == {}


# ---- masters and replicas -----------------------------------------------------------------------------------------


def test_replica_in_the_list_is_passed_over(fleet):
    replica = replica_of(fleet, fleet.redis)
    a = fleet.node("a", servers=address(replica, fleet.redis))
    b = fleet.node("b", servers=address(fleet.redis, replica))
    fleet.know_each_other(a, b)
    for n in (a, b):
        assert n.state()["server"] == f"127.0.0.1:{fleet.redis.port}"
        n.expect_log("no connection")
    reaches(a, b, fleet)


def test_failover_to_the_replica(fleet):
    replica = replica_of(fleet, fleet.redis)
    a, b = fleet.pair(servers=address(fleet.redis, replica))
    for n in (a, b):
        n.expect_log("no connection")
    reaches(a, b, fleet)
    wait_until(lambda: replica.entries() == fleet.redis.entries(), "the replica has it all")
    fleet.redis.kill()
    replica.call("REPLICAOF", "NO", "ONE")
    for n in (a, b):
        wait_until(lambda n=n: n.state()["server"] == f"127.0.0.1:{replica.port}" and n.state()["connected"], "the new master is found")
    reaches(a, b, fleet, "/y")
    assert a.gaps() == {} and b.gaps() == {}


def test_master_that_becomes_a_replica_is_left(fleet):
    """READONLY and UNBLOCKED: the connection lives on, and is of no use."""
    replica = replica_of(fleet, fleet.redis)
    a, b = fleet.pair(servers=address(fleet.redis, replica))
    for n in (a, b):
        n.expect_log("no connection")
    replica.call("REPLICAOF", "NO", "ONE")
    fleet.redis.call("REPLICAOF", "127.0.0.1", replica.port)
    for n in (a, b):
        wait_until(lambda n=n: n.state()["server"] == f"127.0.0.1:{replica.port}" and n.state()["connected"], "the new master is found")
    reaches(a, b, fleet)


def test_failover_that_lost_the_end(fleet):
    """The replica lags; what the master had acknowledged is gone. Who has read it sees a gap, who published it adds it again."""
    replica = replica_of(fleet, fleet.redis)
    servers = address(fleet.redis, replica)
    proxies = [fleet.proxy(), fleet.proxy(replica)]
    a, b = fleet.node("a", servers=servers), fleet.node("b", servers=servers)
    c = fleet.node("c", servers="redis://" + ",".join(p.address for p in proxies))
    fleet.know_each_other(a, b, c)
    for n in (a, b, c):
        n.expect_log("no connection", "has lost entries")
        n.fill("/x")
        n.fill("/y")
    a.purge("/z", "Prefer: wait=10")
    wait_until(lambda: replica.entries() == fleet.redis.entries(), "the replica has all so far")
    replica.call("REPLICAOF", "NO", "ONE")                 # from now on it hears nothing
    proxies[0].stall()                                     # nor does c
    fleet.change("/x")
    assert a.purge("/x").status == 200
    wait_until(lambda: b.counters()["applied"] >= 2, "b has read what will be lost")
    fleet.redis.kill()
    proxies[0].cut()
    for n in (a, b, c):
        wait_until(lambda n=n: n.state()["connected"], "the new master is found")
        wait_until(lambda n=n: n.get("/x").text == "1", f"{n.name} has the new page")
    assert a.counters()["readded"] == 1
    wait_until(lambda: "url" in str(replica.entries()), "it is in the new stream")
    reaches(b, c, fleet, "/y")


def test_sentinel_fails_over(fleet):
    replica = replica_of(fleet, fleet.redis)
    sentinel = fleet.server(name="redis-sentinel", config=f"""
sentinel monitor mine 127.0.0.1 {fleet.redis.port} 1
sentinel down-after-milliseconds mine 1000
sentinel failover-timeout mine 3000
""")
    a, b = fleet.pair(servers=address(fleet.redis, replica))
    for n in (a, b):
        n.expect_log("no connection", "has lost entries")
    wait_until(lambda: replica_is_known(sentinel), "Sentinel knows the replica")
    fleet.redis.kill()
    for n in (a, b):
        wait_until(lambda n=n: n.state()["server"] == f"127.0.0.1:{replica.port}" and n.state()["connected"], "the new master is found", 60)
    reaches(a, b, fleet)


def replica_is_known(sentinel):
    with contextlib.suppress(RedisError):
        found = sentinel.call("SENTINEL", "REPLICAS", "mine")
        return found and b"slave" in found[0] and b"s_down" not in b" ".join(x for x in found[0] if isinstance(x, bytes))
    return False


def test_two_halves_with_a_master_each(fleet):
    """Split brain: a talks to the old master, b to the new one. Neither has lost contact, and each doubts what it has in time."""
    replica = replica_of(fleet, fleet.redis)
    options = "blind=4s"
    a = fleet.node("a", servers=address(fleet.redis), options=options)
    proxy = fleet.proxy()
    b = fleet.node("b", servers=f"redis://{proxy.address}", options=options)
    fleet.know_each_other(a, b)
    for n in (a, b):
        n.expect_log("no connection", "may not have been heard of")
    b.fill("/x")
    replica.call("REPLICAOF", "NO", "ONE")
    proxy.to = replica.port
    proxy.drop()
    wait_until(lambda: b.state()["connected"], "b is at the other master")
    fleet.change("/x")
    assert a.purge("/x", "Prefer: wait=1").status == 202   # b is known, and has not read it
    wait_until(lambda: b.get("/x").text == "1", "b doubts in time", 30)
    assert b.state()["connected"] and b.counters()["blind"] >= 1


def test_cluster_moved_is_followed(fleet):
    """Two masters; the stream's slot is the other's."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
    one, two = fleet.server(*options), fleet.server(*options)
    slot = one.call("CLUSTER", "KEYSLOT", "slab")
    other = [s for s in range(16384) if s != slot]
    with one.client() as c1, two.client() as c2:
        for k in range(0, len(other), 4096):
            c1.call("CLUSTER", "ADDSLOTS", *other[k:k + 4096])
        c2.call("CLUSTER", "ADDSLOTS", slot)
        c1.call("CLUSTER", "MEET", "127.0.0.1", two.port)
    wait_until(lambda: all(b"cluster_state:ok" in s.call("CLUSTER", "INFO") for s in (one, two)), "the cluster is up", 60)
    a, b = fleet.pair(servers=address(one))
    for n in (a, b):
        n.expect_log("no connection")
        assert n.state()["server"] == f"127.0.0.1:{two.port}"
    reaches(a, b, fleet)
    assert a.purge("/y", "Prefer: wait=20").status == 200


# ---- who may ------------------------------------------------------------------------------------------------------


def password(fleet, text):
    path = pathlib.Path(tempfile.mkdtemp(prefix="sc_pw_")) / "password"
    path.parent.chmod(0o755)
    path.write_text(text + "\n")
    return path


def test_password_of_a_user(fleet):
    fleet.redis.call("ACL", "SETUSER", "slab", "on", ">right", "~slab", "~{slab}:nodes", "+@all")
    fleet.redis.call("CONFIG", "SET", "requirepass", "other")
    path = password(fleet, "right")
    a, b = fleet.pair(options=f"user=slab password_file={path}")
    reaches(a, b, fleet)
    shutil.rmtree(path.parent)


def test_password_that_changes(fleet):
    """The file is read again where the server refuses the old one."""
    fleet.redis.call("CONFIG", "SET", "requirepass", "first")
    path = password(fleet, "first")
    a = fleet.node("a", options=f"password_file={path}")
    a.expect_log("no connection")
    path.write_text("second\n")
    with fleet.redis.client() as c:
        c.call("AUTH", "first")
        c.call("CONFIG", "SET", "requirepass", "second")
        c.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: a.counters()["connects"] >= 2 and a.state()["connected"], "it is connected again")
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("options, said", [("", "wants a password"), ("password_file={path}", "refuses the password")])
def test_wrong_password_is_told(fleet, options, said):
    path = password(fleet, "wrong")
    fleet.redis.call("CONFIG", "SET", "requirepass", "right")
    a = fleet.node("a", options=options.format(path=path), wait=False)
    a.expect_log("no connection")
    wait_until(lambda: said in a.error_log(), "the log says why")
    assert a.get("/x").status == 200
    shutil.rmtree(path.parent)


def test_database_of_its_own(fleet):
    a, b = fleet.pair(servers=f"redis://127.0.0.1:{fleet.redis.port}/3")
    reaches(a, b, fleet)
    assert fleet.redis.call("EXISTS", "slab") == 0


# ---- how to get there ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates():
    d = pathlib.Path(tempfile.mkdtemp(prefix="sc_tls_"))
    d.chmod(0o755)

    def make(name, days, extra=()):
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", d / f"{name}.key", "-out", d / "csr"],
                       check=True, capture_output=True)
        (d / "ext").write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n" if name == "redis.test" else f"subjectAltName=DNS:{name}\n")
        subprocess.run(["openssl", "x509", "-req", "-in", d / "csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key", "-CAcreateserial",
                        "-extfile", d / "ext", *days, "-out", d / f"{name}.pem", *extra], check=True, capture_output=True)
        (d / f"{name}.key").chmod(0o644)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=CA", "-keyout", d / "ca.key",
                    "-out", d / "ca.pem"], check=True, capture_output=True)
    make("redis.test", ["-days", "2"])
    make("other.test", ["-days", "2"])
    make("expired.test", ["-days", "-1"])
    yield d
    shutil.rmtree(d)


def tls_server(fleet, d, name="redis.test"):
    """With a port of the kernel's for TLS, beside the plain one."""
    server = fleet.server()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    server.tls_sock = sock
    for key, value in (("tls-cert-file", f"{d}/{name}.pem"), ("tls-key-file", f"{d}/{name}.key"), ("tls-ca-cert-file", f"{d}/ca.pem"),
                       ("tls-auth-clients", "optional"), ("tls-port", port)):
        server.call("CONFIG", "SET", key, value)
    return server, port


def test_tls_with_verification(fleet, certificates):
    server, port = tls_server(fleet, certificates)
    a = fleet.node("a", servers=f"rediss://127.0.0.1:{port}", options=f"tls_ca={certificates}/ca.pem tls_name=redis.test")
    b = fleet.node("b", servers=f"redis://127.0.0.1:{port}", options=f"tls=on tls_ca={certificates}/ca.pem")   # by its address
    fleet.know_each_other(a, b)
    reaches(a, b, fleet)
    server.tls_sock.close()


@pytest.mark.parametrize("name, options, said", [("redis.test", "tls_name=redis.test", "certificate"), ("other.test", "tls_ca={d}/ca.pem", "another name"),
                                                 ("expired.test", "tls_ca={d}/ca.pem tls_name=expired.test", "expired")])
def test_tls_that_cannot_be_trusted(fleet, certificates, name, options, said):
    server, port = tls_server(fleet, certificates, name)
    a = fleet.node("a", servers=f"rediss://127.0.0.1:{port}", options=options.format(d=certificates), wait=False)
    a.expect_log("no connection")
    wait_until(lambda: "no connection" in a.error_log(), "the log says why")
    assert said in next(line for line in a.error_log().splitlines() if "no connection" in line)
    server.tls_sock.close()


def test_tls_without_verification_by_word(fleet, certificates):
    server, port = tls_server(fleet, certificates, "other.test")
    a = fleet.node("a", servers=f"rediss://127.0.0.1:{port}", options="tls_verify=off")
    assert a.state()["connected"]
    server.tls_sock.close()


def test_unix_socket(fleet):
    server = fleet.server()
    path = server.dir / "s"
    server.kill()
    server.start("--unixsocket", str(path), "--unixsocketperm", "777")
    a, b = fleet.pair(servers=f"redis://unix:{path}")
    reaches(a, b, fleet)


class Dns:
    """Answers every question for an address with the one it has."""

    def __init__(self, ip):
        self.ip = ip
        self.asked = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            end = data.index(b"\0", 12) + 5
            is_a = data[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(self.ip) if is_a else b""
            self.sock.sendto(data[:2] + b"\x81\x80\0\1" + struct.pack(">H", 1 if is_a else 0) + b"\0\0\0\0" + data[12:end] + answer, peer)

    def stop(self):
        self.sock.close()


def test_name_that_moves_to_another_address(fleet):
    dns = Dns("127.0.0.1")
    a = fleet.node("a", servers=f"redis://redis.test:{fleet.redis.port}", http=f"resolver 127.0.0.1:{dns.port} valid=1s;")
    a.expect_log("no connection", "no server")
    assert a.state()["server"] == f"127.0.0.1:{fleet.redis.port}" and dns.asked > 0
    fleet.redis.kill()
    fleet.redis.start("--bind", "127.0.0.1", "127.0.0.3")
    dns.ip = "127.0.0.3"

    def is_there():
        if a.state()["server"].startswith("127.0.0.3"):
            return True
        fleet.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")   # the name may still be remembered
        return False
    wait_until(is_there, "it is at the new address", 30)
    dns.stop()
