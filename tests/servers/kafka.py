#!/usr/bin/env python3
"""Runs a command with a Kafka cluster of its own: kafka.py [options] -- COMMAND...

The brokers listen on loopback alone, on ports chosen here, with folders of their own, and are gone when this program
is. They are of version 4.1.1 or another that there is a file kafka_VERSION.xml of here, which names their jars; these
are fetched by Maven once, into ~/.cache/runnel. The command finds in its environment
  KAFKA_BOOTSTRAP  the brokers' addresses. If it is set already, no cluster is started.
  KAFKA_CONTROL    a Unix socket; each connection sends one line, "kill N", "pause N", "resume N" or "start N" for
                   broker N = 1, 2, ..., and reads "done" when that is so: a broker that was started answers clients;
                   or "allow USER OPERATION RESOURCE NAME", such as "allow bob read topic clicks"
  KAFKA_PROXIED    "PORT>PORT,..." for each broker: clients that come to the second port are told that the broker is at
                   the first, where a proxy of theirs may listen
and with --secured, of brokers where clients of all the other ports may do everything
  KAFKA_SASL       addresses where clients give a name by SASL/PLAIN, and may do what rules (ACLs) say: the names are
                   "ann" and "bob", the passwords "secret of ann" and "secret of bob"
  KAFKA_TLS        addresses where clients speak TLS, and may do everything
  KAFKA_CA         the file of the certificate to trust there
The exit code is the command's; 77 if there can be no cluster here. The reason is printed, and with
--list ARGUMENT, which makes the command list its tests, a line "SKIPPED name" for each.
"""
import argparse
import base64
import contextlib
import ctypes
import fcntl
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import uuid

POMS = {pom.stem.partition("_")[2]: pom for pom in pathlib.Path(__file__).resolve().parent.glob("kafka_*.xml")}
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "runnel"
PREFIX = "runnel-kafka-"
SKIPPED = 77


class NoCluster(Exception):
    """What is missing for a cluster."""


def dies_with_parent():
    """In a child before it becomes another program: it is killed when this process is gone, however that ended."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def jars(version):
    """The folder of the broker's jars, fetched if they are not there."""
    if not shutil.which("java"):
        raise NoCluster("there is no java")
    folder = CACHE / f"kafka-{version}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        if not shutil.which("mvn"):
            raise NoCluster("there is no mvn to fetch the broker with")
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            fetched = pathlib.Path(work) / "jars"
            result = subprocess.run(["mvn", "-q", "-B", "-f", str(POMS[version]), "dependency:copy-dependencies",
                                     "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"], cwd=work,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if result.returncode or not list(fetched.glob("kafka_*.jar")):
                raise NoCluster("the broker could not be fetched:\n" + result.stdout[-2000:])
            fetched.rename(folder)
    return folder


def free_ports(count):
    """Ports that nobody uses, below those that the system gives to clients, so that they stay free during a restart."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            port = random.randrange(20000, 32000)
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass
        return ports


def ask(port, request, version, body):
    """The answer of the broker at `port` to a request of Kafka's protocol, without the number that heads it."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        body = struct.pack(">hhi", request, version, 1) + text("probe") + body
        s.sendall(struct.pack(">i", len(body)) + body)
        with s.makefile("rb") as answer:
            size, = struct.unpack(">i", answer.read(4))
            return answer.read(size)[4:]


def text(value):
    return struct.pack(">h", len(value.encode())) + value.encode()


def brokers_known_to(port):
    """How many brokers the one at `port` tells its clients of; 0 if it does not answer."""
    try:
        return struct.unpack_from(">ii", ask(port, 3, 4, struct.pack(">ib", 0, 0)))[1]  # Metadata
    except (OSError, struct.error):
        return 0


RESOURCES = {"topic": 2, "group": 3, "transactional_id": 5}
OPERATIONS = {"read": 3, "write": 4, "describe": 8}


def allow(port, user, operation, resource, name):
    """Gives a user a right, and returns when the broker at `port` knows."""
    LITERAL, ALLOWED = 3, 3
    rule = (struct.pack(">b", RESOURCES[resource]) + text(name) + struct.pack(">b", LITERAL) + text("User:" + user) +
            text("*") + struct.pack(">bb", OPERATIONS[operation], ALLOWED))
    _, count, failure = struct.unpack_from(">iih", ask(port, 30, 1, struct.pack(">i", 1) + rule))  # CreateAcls
    if count != 1 or failure:
        raise ValueError(f"the right is not given: error {failure}")
    while True:
        answer = ask(port, 29, 1, rule)  # DescribeAcls
        _, failure, message = struct.unpack_from(">ihh", answer)
        if failure:
            raise ValueError(f"rights are not told: error {failure}")
        if struct.unpack_from(">i", answer, 8 + max(0, message))[0]:
            return
        time.sleep(0.01)


KEYS_PASSWORD = "of the tests"


def make_keys(file):
    """A key for 127.0.0.1, and a certificate that it has signed itself."""
    made = subprocess.run(["keytool", "-genkeypair", "-keystore", str(file), "-storetype", "PKCS12", "-storepass",
                           KEYS_PASSWORD, "-alias", "broker", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext",
                           "san=ip:127.0.0.1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        raise NoCluster("no keys could be made:\n" + made.stdout)


# How brokers are told to print what is wrong, by the library that they do it with: the option that names the file, and
# what is in there.
LOGGING = {
    "3": ("-Dlog4j.configuration=file:",
          "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n"
          "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
          "log4j.appender.out.layout.ConversionPattern=%d %p %c: %m%n\n"),
    "4": ("-Dlog4j2.configurationFile=",
          "status=error\nappender.out.type=Console\nappender.out.name=out\nappender.out.layout.type=PatternLayout\n"
          "appender.out.layout.pattern=%d %p %c: %m%n\nrootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\n"),
}

LISTENERS = ("PLAINTEXT", "CONTROLLER", "PROXIED", "SASL", "TLS")


class Broker:
    def __init__(self, number, ports, folder, version, classpath, controllers, brokers, settings, sustained, keys):
        ports = dict(zip((*LISTENERS, "proxy"), ports))
        self.ports = ports
        self.port = ports["PLAINTEXT"]
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.process = None
        replicas = min(brokers, 3)
        config = {
            "process.roles": "broker,controller",
            "node.id": number,
            "controller.quorum.voters": controllers,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,"
                                              "SASL:SASL_PLAINTEXT,TLS:SSL",
            "log.dirs": self.folder / "data",
            "default.replication.factor": replicas,
            "min.insync.replicas": max(1, replicas - 1),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": max(1, replicas - 1),
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "auto.create.topics.enable": "false",
            "log.retention.ms": -1,
            "log.retention.check.interval.ms": 200,
            "log.initial.task.delay.ms": 200,
            # A broker that was killed is waited for as long as the session, and on a busy machine one that is well must
            # not lose it.
            "broker.heartbeat.interval.ms": 300,
            "broker.session.timeout.ms": 3000,
        }
        listeners = LISTENERS if keys else LISTENERS[:3]
        told = {**ports, "PROXIED": ports["proxy"]}
        config["listeners"] = ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in listeners)
        config["advertised.listeners"] = ",".join(f"{name}://127.0.0.1:{told[name]}" for name in listeners
                                                  if name != "CONTROLLER")
        if keys:
            users = "".join(f' user_{name}="secret of {name}"' for name in ("ann", "bob"))
            config.update({
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl.plain.sasl.jaas.config":
                    f"org.apache.kafka.common.security.plain.PlainLoginModule required{users};",
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.location": keys,
                "ssl.keystore.password": KEYS_PASSWORD,
            })
        config.update(settings)
        (self.folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in config.items()))
        option, logging = LOGGING[version.partition(".")[0]]
        (self.folder / "logging.properties").write_text(logging)
        heap = 512 if brokers == 1 else 384
        # No property of the JVM's management here: each of them opens a port on every interface.
        speed = [] if sustained else ["-XX:TieredStopAtLevel=1"]
        self.java = ["java", f"-Xmx{heap}m", "-XX:+UseSerialGC", *speed, "-Djava.net.preferIPv4Stack=true",
                     f"{option}{self.folder}/logging.properties", "-cp", classpath]

    def run(self, *arguments):
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen(self.java + list(arguments), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, preexec_fn=dies_with_parent)

    def format(self, cluster):
        return self.run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.folder / "server.properties"))

    def start(self):
        if self.process is None:
            self.process = self.run("kafka.Kafka", str(self.folder / "server.properties"))

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number):
        if self.process is not None:
            self.process.send_signal(number)

    def failure(self, what):
        return NoCluster(f"{what}; the end of its output:\n" + (self.folder / "output").read_text(errors="replace")[-4000:])


class Cluster:
    def __init__(self, folder, version, count, settings, sustained, secured):
        classpath = str(jars(version) / "*")
        self.folder = folder
        self.keys = folder / "keys" if secured else None
        each = len(LISTENERS) + 1
        ports = free_ports(each * count)
        controllers = ",".join(f"{i + 1}@127.0.0.1:{ports[each * i + 1]}" for i in range(count))
        self.brokers = [Broker(i + 1, ports[each * i:], folder, version, classpath, controllers, count, settings,
                               sustained, self.keys) for i in range(count)]

    def at(self, listener):
        return ",".join(f"127.0.0.1:{b.ports[listener]}" for b in self.brokers)

    def environment(self):
        found = {
            "KAFKA_BOOTSTRAP": self.at("PLAINTEXT"),
            "KAFKA_PROXIED": ",".join(f"{b.ports['proxy']}>{b.ports['PROXIED']}" for b in self.brokers),
        }
        if self.keys:
            authority = self.folder / "certificate"
            authority.write_text(ssl.get_server_certificate(("127.0.0.1", self.brokers[0].ports["TLS"])))
            found.update({"KAFKA_SASL": self.at("SASL"), "KAFKA_TLS": self.at("TLS"), "KAFKA_CA": str(authority)})
        return found

    def start(self):
        # An id that begins with a minus would be taken for an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        formats = [(b, b.format(cluster)) for b in self.brokers]
        if self.keys:
            make_keys(self.keys)
        for broker, process in formats:
            if process.wait():
                raise broker.failure("a broker's folder could not be formatted")
        for broker in self.brokers:
            broker.start()
        for broker in self.brokers:
            self.wait_for(broker, len(self.brokers))

    def wait_for(self, broker, count):
        """Waits until clients of `broker` see that many brokers."""
        end = time.monotonic() + 120
        while brokers_known_to(broker.port) < count:
            if broker.process.poll() is not None:
                raise broker.failure("a broker has ended")
            if time.monotonic() > end:
                raise broker.failure("a broker does not answer")
            time.sleep(0.05)

    def stop(self):
        for broker in self.brokers:
            broker.kill()

    def obey(self, line):
        verb, rest = line.rstrip("\n").split(" ", 1)
        if verb == "allow":
            allow(self.brokers[0].port, *rest.split(" ", 3))
            return "done\n"
        broker = self.brokers[int(rest) - 1]
        if verb == "kill":
            broker.kill()
        elif verb == "start":
            broker.start()
            self.wait_for(broker, sum(1 for b in self.brokers if b.process is not None))
        elif verb == "pause":
            broker.signal(signal.SIGSTOP)
        elif verb == "resume":
            broker.signal(signal.SIGCONT)
        else:
            raise ValueError(f"unknown: {line}")
        return "done\n"


def run(command, cluster, folder):
    """Runs the command, and meanwhile does to the brokers what it asks for."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "control"))
        server.listen()
        environment = {**os.environ, **cluster.environment(), "KAFKA_CONTROL": str(folder / "control")}
        process = subprocess.Popen(command, env=environment, preexec_fn=dies_with_parent)
        ended = os.pidfd_open(process.pid)
        try:
            while ended not in select.select([server, ended], [], [])[0]:
                connection, _ = server.accept()
                with connection, connection.makefile("rw") as asked:
                    try:
                        asked.write(cluster.obey(asked.readline()))
                    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error, NoCluster) as problem:
                        asked.write(f"failed: {problem}\n")
            return process.wait()
        finally:
            os.close(ended)
            process.kill()
            process.wait()


def remove_leftovers():
    """Folders of runs that were killed."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        owner = folder.name[len(PREFIX):].split("-")[0]
        if owner.isdigit() and not pathlib.Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def skip(command, list_argument, reason):
    print(f"no Kafka here: {reason}")
    if list_argument:
        listed = subprocess.run(command + [list_argument], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for line in listed.stdout.splitlines():
            if line and not line.startswith(("[doctest]", "=====")):
                print(f"SKIPPED {line}")
    return SKIPPED


def main():
    parser = argparse.ArgumentParser(description="Runs a command with a Kafka cluster of its own.")
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--version", choices=sorted(POMS), default="4.1.1", help="of the brokers")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the brokers")
    parser.add_argument("--sustained", action="store_true", help="brokers that start more slowly, and then are faster")
    parser.add_argument("--secured", action="store_true", help="brokers that also take clients by SASL and TLS")
    parser.add_argument("--list", metavar="ARGUMENT", help="makes the command list its tests")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("what is to be run?")
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return subprocess.run(command).returncode

    # Signals end the program by an exception, so that it tidies up.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        try:
            cluster = Cluster(folder, options.version, options.brokers, dict(s.split("=", 1) for s in options.set),
                              options.sustained, options.secured)
        except NoCluster as reason:
            return skip(command, options.list, reason)
        try:
            cluster.start()
            return run(command, cluster, folder)
        finally:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
